# SPDX-License-Identifier: Apache-2.0
"""``koinon lending train | evaluate | explain | fairness | distil | datasets``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from rich.markup import escape

from koinon.errors import BadInput
from koinon.learning.datasets import load_credit
from koinon.learning.splits import split_credit
from koinon.learning.trained import TrainedModel
from koinon.lending.datasets.reading import available, load
from koinon.lending.datasets.sources import SOURCES
from koinon.lending.scoring.cli_options import plan_options, read_plan
from koinon.lending.scoring.cli_shown import show_report, show_tradeoff
from koinon.lending.scoring.frame import Frame
from koinon.lending.scoring.frame_reading import from_table, read_frame
from koinon.lending.scoring.from_model import distil
from koinon.lending.scoring.mitigation import tradeoff
from koinon.lending.scoring.on_chain import read_loans, train_on_loans, whole_rows
from koinon.lending.scoring.reasons import explain
from koinon.lending.scoring.report import EVIDENCE, OFF_CHAIN, interval
from koinon.lending.scoring.scorecard import Scorecard
from koinon.lending.scoring.serving import service_file
from koinon.lending.scoring.training import Trained, train
from koinon.lending.scoring.words import notice, ways_up
from koinon.services.models import perceptron
from koinon.tables import Table
from koinon.terminal import Session, Terminal, json_option
from koinon.web.language import speaking

_TABLE = click.Path(path_type=Path)
_FOLDER: Final = click.option(
    "--folder", type=_TABLE, help="Where packages with data sets lie. [default: KOINON_DATASETS]"
)


@click.command("train")
@click.argument("table", type=_TABLE)
@click.option("--label", default="", help="The column that says who went bad.")
@click.option("--wallets", is_flag=True, help="TABLE is what `koinon lending features --out` wrote.")
@click.option("--bad", default="", help="The label's bad value, where it is not 1.")
@click.option("--time", default="", help="The column of decision times; with it the future judges.")
@click.option("--entity", default="", help="The column that says whose row it is, where one has several.")
@click.option("--group", "groups", multiple=True, help="A column to audit and never learn from. Repeat it.")
@click.option("--drop", multiple=True, help="A column to leave out. Repeat it.")
@click.option("--evidence", type=click.Choice(EVIDENCE), required=True, help="What the rows are.")
@click.option("--out", type=_TABLE, default=Path("scorecard"), show_default=True, help="A folder.")
@plan_options
@json_option
@click.pass_obj
def train_command(
    session: Session,
    /,
    *,
    table: Path,
    label: str,
    wallets: bool,
    bad: str,
    time: str,
    entity: str,
    groups: tuple[str, ...],
    drop: tuple[str, ...],
    evidence: str,
    out: Path,
    **options: Any,
) -> None:
    """Teach a scorecard on TABLE (CSV) and judge it on rows that taught nothing.

    Into the folder go scorecard.json, challenger.json, card.md, and score.py, which
    `koinon service publish` sells.
    """
    plan = read_plan(**options)
    if wallets:
        made = train_on_loans(read_loans(table), data=table.name, evidence=evidence, plan=plan)
    else:
        frame = read_frame(table, label, bad=bad, time=time, entity=entity, groups=groups, drop=drop)
        made = train(frame, plan, data=table.name, evidence=evidence)
    _write(made, out)
    value = {
        "folder": str(out),
        "scorecard": made.scorecard.digest,
        "table": "0x" + made.scorecard.table.digest.hex(),
        "report": made.report.to_dict(),
    }

    def show(terminal: Terminal) -> None:
        show_report(terminal, made.report)
        terminal.say(f"Scorecard, challenger, card and service: {escape(str(out))}")

    session.terminal.result(value, show)


@click.command("evaluate")
@click.argument("names", nargs=-1, metavar="[DATASET]...")
@click.option("--csv", type=_TABLE, help="Your own download of the one data set named.")
@_FOLDER
@plan_options
@json_option
@click.pass_obj
def evaluate(
    session: Session, /, *, names: tuple[str, ...], csv: Path | None, folder: Path | None, **options: Any
) -> None:
    """Judge scorecards on real defaults; on every DATASET that is here, without names."""
    plan = read_plan(**options)
    if csv is not None and len(names) != 1:
        raise BadInput("--csv is a copy of one data set: name that one.", code="lending.dataset")
    chosen = names or tuple(name for name, source in SOURCES.items() if available(source, folder))
    reports = []
    for name in chosen:
        frame = load(name, folder=folder, csv=csv)
        made = train(frame, plan, data=SOURCES[name].title, evidence=OFF_CHAIN)
        reports.append(made.report)
        show_report(session.terminal, made.report)
    session.terminal.result([report.to_dict() for report in reports], lambda _terminal: None)


@click.command("explain")
@click.argument("scorecard", type=_TABLE)
@click.argument("table", type=_TABLE)
@click.option("--label", default="", help="The table's label column; it is not looked at.")
@click.option("--wallets", is_flag=True, help="TABLE is what `koinon lending features --out` wrote.")
@click.option("--bad", default="", help="The label's bad value, where it is not 1.")
@click.option("--row", default=1, show_default=True, help="Which row, from 1.")
@json_option
@click.pass_obj
def explain_command(
    session: Session, /, *, scorecard: Path, table: Path, label: str, wallets: bool, bad: str, row: int
) -> None:
    """Why a row of TABLE has its points, and what would lift it a tier."""
    card = Scorecard.load(scorecard)
    frame = read_loans(table) if wallets else read_frame(table, label, bad=bad)
    if not 1 <= row <= len(frame):
        raise BadInput(f"The table has rows 1 to {len(frame)}.", code="lending.table")
    one = frame.take(np.array([row - 1]))
    rows = whole_rows(card, one) if wallets else card.rows(one)
    found = explain(card, rows[0])
    with speaking(session.terminal.language):
        reasons, ways = notice(card, found), ways_up(card, found)
    chance = float(card.calibration.chances(np.array([found.points]))[0])
    value = {
        "points": found.points,
        "tier": found.tier,
        "probability": chance,
        "reasons": reasons,
        "ways_up": ways,
    }

    def show(terminal: Terminal) -> None:
        terminal.say(f"{found.points} points, tier {found.tier}, probability of going bad {chance:.1%}")
        for sentence in (*reasons, "", *ways):
            terminal.say(escape(sentence))

    session.terminal.result(value, show)


@click.command("fairness")
@click.argument("name", metavar="DATASET|TABLE", default="hmda")
@click.option("--group", default="", help="The column of groups. [default: the data set's first]")
@click.option("--label", default="", help="For a table: who went bad.")
@click.option("--bad", default="", help="The label's bad value, where it is not 1.")
@click.option("--approve", default=0.8, show_default=True, help="Share of applicants that is approved.")
@_FOLDER
@plan_options
@json_option
@click.pass_obj
def fairness(
    session: Session,
    /,
    *,
    name: str,
    group: str,
    label: str,
    bad: str,
    approve: float,
    folder: Path | None,
    **options: Any,
) -> None:
    """Compare how groups fare, find proxies, and weigh fairer scorecards against their cost."""
    if name in SOURCES:
        frame = load(name, folder=folder)
        group = group or next(iter(frame.groups), "")
    else:
        frame = read_frame(Path(name), label, bad=bad, groups=(group,) if group else ())
    found = tradeoff(frame, group, read_plan(**options), share=approve)
    session.terminal.result(found.to_dict(), lambda terminal: show_tradeoff(terminal, found))


@click.command("distil")
@click.argument("model", type=_TABLE)
@click.argument("table", type=_TABLE, required=False)
@click.option("--label", default="", help="The table's label column.")
@click.option("--evidence", type=click.Choice(EVIDENCE), default=OFF_CHAIN, show_default=True)
@click.option("--out", type=_TABLE, default=Path("scorecard"), show_default=True, help="A folder.")
@plan_options
@json_option
@click.pass_obj
def distil_command(
    session: Session,
    /,
    *,
    model: Path,
    table: Path | None,
    label: str,
    evidence: str,
    out: Path,
    **options: Any,
) -> None:
    """Make a scorecard of a taught MODEL (.npz), and say how faithful it is.

    Without TABLE the model is the tour's, or of `koinon learn` without a table: it is asked about the
    lenders' rows, and measured on those that no lender had. Of a TABLE the first half is asked about.
    """
    plan = read_plan(**options)
    if table is None:
        parts = split_credit(load_credit(), TrainedModel.load(model).recipe.seed)
        owners = Table(
            np.concatenate([owner.features for owner in (*parts.owners, parts.contribution)]),
            np.concatenate([owner.labels for owner in (*parts.owners, parts.contribution)]),
            parts.held_out.columns,
        )
        teach, held_out, data = from_table(owners), from_table(parts.held_out), "card holders, Taiwan 2005"
    else:
        teach, held_out, data = *_halves(read_frame(table, label)), table.name
    made = distil(perceptron.load(model), teach, held_out, plan, data=data, evidence=evidence)
    out.mkdir(parents=True, exist_ok=True)
    made.scorecard.save(out / "scorecard.json")
    (out / "score.py").write_text(service_file("scorecard.json", "", "score.py", data))
    seen = made.fidelity

    def show(terminal: Terminal) -> None:
        terminal.say(f"{seen.rows:,} rows that taught neither ({escape(evidence)}):")
        terminal.say(f"  the model's AUC {interval(seen.model)}, the points' {interval(seen.points)}")
        terminal.say(
            f"  lost {interval(seen.lost)}; R² of log odds {seen.explained:.3f}, rank {seen.rank:.3f}"
        )
        terminal.say(f"  same decision for {seen.same_decisions:.1%} when 80 % are approved")
        terminal.say(f"Scorecard and service: {escape(str(out))}")

    session.terminal.result({"folder": str(out), "fidelity": seen.to_dict()}, show)


@click.command("datasets")
@_FOLDER
@json_option
@click.pass_obj
def datasets(session: Session, /, *, folder: Path | None) -> None:
    """Which sets of real loans are known, on what terms, and which are here."""
    value = [
        {
            "name": source.name,
            "title": source.title,
            "about": source.about,
            "rows": source.rows,
            "base_rate": source.base_rate,
            "licence": source.licence,
            "redistributable": source.redistributable,
            "here": available(source, folder),
        }
        for source in SOURCES.values()
    ]
    rows = [
        (
            source.name,
            f"{source.rows:,}",
            f"{source.base_rate:.1%}",
            "yes" if available(source, folder) else "no",
            source.licence,
        )
        for source in SOURCES.values()
    ]
    session.terminal.result(
        value,
        lambda terminal: terminal.table("", ("Name", "Rows", "Bad", "Here", "Terms"), rows, right=(1, 2)),
    )


SCORING: Final = (train_command, evaluate, explain_command, fairness, distil_command, datasets)
"""What `koinon lending` offers of scores."""


def _write(made: Trained, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    made.scorecard.save(out / "scorecard.json")
    (out / "challenger.json").write_bytes(made.challenger.to_bytes())
    (out / "card.md").write_text(made.report.markdown())
    summary = f"{made.report.data}, {made.report.evidence}"
    (out / "score.py").write_text(service_file("scorecard.json", "challenger.json", "score.py", summary))


def _halves(frame: Frame) -> tuple[Frame, Frame]:
    middle = len(frame) // 2
    return frame.take(np.arange(middle)), frame.take(np.arange(middle, len(frame)))
