# SPDX-License-Identifier: Apache-2.0
"""``koinon lending features``: a chain's history as a table to look at, or to teach a scorecard on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.lending.features.catalogue import FEATURES, NAMES
from koinon.lending.features.compute import FeatureTable, feature_table, features
from koinon.lending.features.labels import labels
from koinon.lending.features.point_in_time import DAY_S, Options
from koinon.lending.scorecard_table import MISSING
from koinon.lending.scoring.wallets import COLUMNS, groups_of_history
from koinon.markets.history.facts import Facts
from koinon.markets.history.history import History
from koinon.markets.history.tables import read_rows
from koinon.terminal import Session, Terminal, json_option

_GIVEN = click.Path(exists=True, dir_okay=False, path_type=Path)
_PLACE: Final = ("subject", "as_of_block", "block_hash", "time_s", "known_at_s", "bad")


@click.command("features")
@click.argument("files", nargs=-1, required=True, type=_GIVEN)
@click.option("--facts", "facts_file", type=_GIVEN, help="JSON: markets' tokens, decimals, stablecoins.")
@click.option("--subject", help="One address; without it, every loan of the history.")
@click.option("--block", type=click.IntRange(0), help="As of the end of this block. [default: the last]")
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help="Horizon of the label.")
@click.option(
    "--dust", type=click.FloatRange(0), default=10.0, show_default=True, help="Counts from here on."
)
@click.option("--reference", default="", help="The asset that beta is measured against.")
@click.option("--listed", type=_GIVEN, help="Accounts that taint spreads from, one a line.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the loans here, as CSV.")
@click.option("--unripe", is_flag=True, help="Also write loans whose horizon is not over; without a label.")
@json_option
@click.pass_obj
def features_command(
    session: Session,
    files: Sequence[Path],
    *,
    facts_file: Path | None,
    subject: str | None,
    block: int | None,
    days: int,
    dust: float,
    reference: str,
    listed: Path | None,
    out: Path | None,
    unripe: bool,
) -> None:
    """What rows in FILES say of borrowers, as of the block before each loan or of SUBJECT at BLOCK."""
    facts = Facts.load(facts_file) if facts_file is not None else Facts()
    history = History.of(read_rows(files, facts), facts)
    if not len(history):
        raise BadInput("There are no rows.", hint="Import or follow a chain first.", code="features.empty")
    options = Options(
        dust_value=dust,
        reference=checksum(reference) if reference else "",
        listed=frozenset(_addresses(listed)) if listed is not None else frozenset(),
    )
    if subject is not None:
        last = history.rows[-1].block_number if block is None else block
        vector = features(history, checksum(subject), last, options)
        document = {
            "subject": vector.subject,
            "as_of_block": last,
            "block_hash": vector.anchor[1],
            "features": {name: _plain(value) for name, value in vector.values.items()},
        }
        session.terminal.result(document, partial(_show_vector, document=document))
        return
    rows = loan_rows(history, days, options)
    if out is not None:
        _write([row for row in rows if unripe or row["bad"] != ""], out)
    told = {
        "loans": len(rows),
        "labelled": sum(row["bad"] != "" for row in rows),
        "bad": sum(row["bad"] == 1 for row in rows),
        "days": days,
        "out": str(out or ""),
    }
    session.terminal.result(told if out is not None else rows, partial(_show_loans, told=told))


FEATURES_COMMANDS = (features_command,)
"""Of the group ``koinon lending``."""


def loan_rows(history: History, days: int, options: Options | None = None) -> list[dict[str, Any]]:
    """Every loan as of the block before it: whose, when, the features' whole numbers ('' for a missing one)
    and whether it went bad within the horizon ('' while that is not over), known when that ends."""
    found, labelled = labels(history, days, options)
    table: FeatureTable = feature_table(
        history, found.subjects, [max(0, block - 1) for block in found.blocks], options
    )
    groups = groups_of_history(history, found.subjects, table.blocks, table.column("age_days"), options)
    bad: dict[int, int] = dict(zip(labelled.rows.tolist(), labelled.labels.tolist(), strict=True))
    rows = []
    for place, whole in enumerate(table.integers().tolist()):
        row: dict[str, Any] = {
            "subject": found.subjects[place],
            "as_of_block": table.blocks[place],
            "block_hash": table.anchors[place][1],
            "time_s": int(found.times[place]),
            "known_at_s": int(found.times[place]) + days * DAY_S,
            "bad": bad.get(place, ""),
        }
        told = ("" if each == MISSING else each for each in whole)
        whose = {column: str(groups[name][place]) for column, name in COLUMNS.items()}
        rows.append(row | dict(zip(NAMES, told, strict=True)) | whose)
    return rows


def _write(rows: Sequence[dict[str, Any]], path: Path) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, (*_PLACE, *NAMES, *COLUMNS))
            writer.writeheader()
            writer.writerows(rows)
    except OSError as fault:
        raise BadInput(
            f"{path} cannot be written ({fault.strerror or fault}).",
            hint="Name a file in a folder you may write.",
            code="features.table",
        ) from None


def _addresses(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [checksum(line) for line in lines if line]


def _plain(value: float) -> float | None:
    """JSON has no NaN."""
    return None if value != value else value  # noqa: PLR0124


def _show_vector(terminal: Terminal, document: dict[str, Any]) -> None:
    terminal.say(f"{escape(document['subject'])} at the end of block {document['as_of_block']}")
    values = document["features"]
    rows = [
        (each.group, each.name, "" if values[each.name] is None else f"{values[each.name]:.6g}", each.unit)
        for each in FEATURES
    ]
    terminal.table("", ("group", "feature", "value", "unit"), rows, right=(2,))


def _show_loans(terminal: Terminal, told: dict[str, Any]) -> None:
    terminal.say(
        f"{told['loans']} loans; of {told['labelled']} the {told['days']} days are over, and "
        f"{told['bad']} of them went bad."
    )
    if told["out"]:
        terminal.say(f"They are in {escape(told['out'])}.")
