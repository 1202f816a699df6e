# SPDX-License-Identifier: Apache-2.0
"""``koinon watch …``: screen addresses, scan transfers, look at cases and decide them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.markets.history.facts import Facts
from koinon.markets.history.history import History
from koinon.markets.history.own import venues
from koinon.markets.history.tables import read_rows
from koinon.markets.simulation.truth import read as read_truth
from koinon.terminal import Session, json_option
from koinon.watch.api import Scan, Watch, described
from koinon.watch.cases.record import OPEN, STATUSES
from koinon.watch.graph.cli import columns_option, features, named_columns
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.following import CONFIRMATIONS
from koinon.watch.graph.importing import from_history, read_edges, read_labelled
from koinon.watch.graph.streaming_cli import stream
from koinon.watch.laundering.again import of_file
from koinon.watch.laundering.cli import COMMANDS as FOLLOWING
from koinon.watch.laundering.rules import Rules
from koinon.watch.laundering.shelf import READERS
from koinon.watch.laundering.truth import label_chain
from koinon.watch.liquidity.cli import liquidity
from koinon.watch.monitors.cli import COMMANDS as MONITORING
from koinon.watch.shown import show_case, show_cases, show_lists, show_report, show_scan, show_screened

FILE = click.Path(path_type=Path)


@click.group()
def group() -> None:
    """Laundering, abnormal behaviour, liquidity: cases and alerts for people to judge."""


@group.command()
@click.argument("subjects", nargs=-1)
@click.option("--file", "path", type=FILE, help="One address or domain a line.")
@click.option("--known", type=FILE, help="Addresses you deal with, one a line: what imitates them is told.")
@json_option
@click.pass_obj
def screen(session: Session, *, subjects: tuple[str, ...], path: Path | None, known: Path | None) -> None:
    """Look up SUBJECTS (addresses or domains) in the lists that were added."""
    wanted = [*subjects, *_lines(path)]
    if not wanted:
        raise BadInput("Nothing was given to look up.", code="watch.subject")
    with _watch(session) as watch:
        found = watch.screen(wanted, known=_lines(known))
        lists = [each.document() for each in watch.lists.all()]
    answer = [described(subject, hits) for subject, hits in found]
    session.terminal.result(
        {"subjects": answer, "lists": lists}, lambda terminal: show_screened(terminal, answer, lists)
    )


@group.command()
@click.option("--add", "path", type=FILE, help="A list to screen against from now on.")
@click.option(
    "--kind", type=click.Choice(sorted(READERS)), default="own", show_default=True, help="What list it is."
)
@click.option("--as-of", default="", help="The day it is of, where the file does not say.")
@json_option
@click.pass_obj
def lists(session: Session, *, path: Path | None, kind: str, as_of: str) -> None:
    """Show the lists with source, day and sha256; add one."""
    with _watch(session) as watch:
        if path is not None:
            watch.add_list(path, kind, as_of=as_of)
        found = [each.document() for each in watch.lists.all()]
    session.terminal.result(found, lambda terminal: show_lists(terminal, found))


@group.command()
@click.argument("file", required=False, type=FILE)
@click.option("--chain", is_flag=True, help="The coin's transfers on this node's chain, instead of a file.")
@click.option(
    "--confirmations",
    default=CONFIRMATIONS,
    show_default=True,
    type=click.IntRange(0),
    help="With --chain: the newest blocks to leave out, since they may yet be undone.",
)
@columns_option
@click.option("--threshold", type=float, help="The sum that transfers stay just below; 0 looks for none.")
@click.option("--look-only", is_flag=True, help="Print what is found; keep no cases.")
@click.option("--asset", metavar="TOKEN", help="FILE has rows of a chain's events: this token's payments.")
@click.option("--facts", "facts_file", type=FILE, help="With --asset: JSON with tokens' decimals.")
@json_option
@click.pass_obj
def scan(
    session: Session,
    *,
    file: Path | None,
    chain: bool,
    confirmations: int,
    columns: str,
    threshold: float | None,
    look_only: bool,
    asset: str | None,
    facts_file: Path | None,
) -> None:
    """Look for laundering in FILE (Parquet, CSV, DuckDB), or on the chain; findings become cases."""
    rules = Rules() if threshold is None else Rules(threshold=threshold)
    if (file is None) != chain:
        raise BadInput("Give a file, or --chain.", code="watch.file")
    if (chain and asset) or (facts_file is not None and asset is None):
        raise BadInput("--facts goes with --asset, and --asset with a file of rows.", code="watch.file")
    with _watch(session) as watch:
        if file is not None:
            edges = _paid_in(file, asset, facts_file) if asset else read_edges(file, named_columns(columns))
            found = watch.scan(edges, rules=rules, keep=not look_only)
        else:
            found = _of_chain(session, watch.home, rules, confirmations, keep=not look_only)
    session.terminal.result(
        {
            "transfers": found.transfers,
            "kinds": found.kinds,
            "cases": sorted(set(found.cases)),
            "findings": [each.document() for each in found.findings],
            "model": found.model,
        },
        lambda terminal: show_scan(terminal, found),
    )


@group.command()
@click.option("--status", type=click.Choice(STATUSES), multiple=True, help="Only these. Repeat it.")
@click.option("--budget", default=20, show_default=True, type=click.IntRange(1), help="How many at most.")
@json_option
@click.pass_obj
def cases(session: Session, *, status: tuple[str, ...], budget: int) -> None:
    """The cases to look at first, as many as you can look at."""
    with _watch(session) as watch:
        found = watch.queue(budget, status or OPEN)
        counts = watch.cases.counts()
    session.terminal.result(
        {"counts": counts, "cases": [each.document() for each in found]},
        lambda terminal: show_cases(terminal, found, counts),
    )


@group.command()
@click.argument("case_id", type=int)
@json_option
@click.pass_obj
def case(session: Session, *, case_id: int) -> None:
    """One case: why, its transfers in the order of time, and what was decided."""
    with _watch(session) as watch:
        found = watch.case(case_id)
    session.terminal.result(found.document(), lambda terminal: show_case(terminal, found))


@group.command()
@click.argument("case_id", type=int)
@click.argument("status", type=click.Choice(STATUSES))
@click.option("--who", required=True, help="Who decides; kept for ever.")
@click.option("--why", required=True, help="Why, in words; kept for ever.")
@json_option
@click.pass_obj
def decide(session: Session, *, case_id: int, status: str, who: str, why: str) -> None:
    """Write down that case CASE_ID is now of that STATUS."""
    with _watch(session) as watch:
        made = watch.decide(case_id, status, who=who, why=why)
    session.terminal.result(
        asdict(made),
        lambda terminal: terminal.say(f"Case {made.case_id} was {made.before} and is {made.status}."),
    )


@group.command()
@click.argument("file", required=False, type=FILE)
@click.option("--label", default="illicit", show_default=True, help="The column that says what is illicit.")
@click.option("--simulated", is_flag=True, help="Simulated transfers instead of a file.")
@click.option(
    "--truth",
    type=FILE,
    help="This node's chain instead of a file, with the truth that `koinon markets fill` wrote.",
)
@click.option("--known-at", default="", help="The column that says when each label was known.")
@columns_option
@click.option("--budget", default=0.05, show_default=True, help="Share of transfers that can be looked at.")
@click.option("--seed", default=0, show_default=True)
@json_option
@click.pass_obj
def train(
    session: Session,
    *,
    file: Path | None,
    label: str,
    simulated: bool,
    truth: Path | None,
    known_at: str,
    columns: str,
    budget: float,
    seed: int,
) -> None:
    """Learn to rank from labelled transfers in FILE and from decided cases; measure on the later ones.

    With --known-at, labels that became known after the later transfers began are not learned from.
    """
    if (file is not None) + simulated + (truth is not None) != 1:
        raise BadInput("Give a file, --simulated, or --truth FILE.", code="watch.file")
    if known_at and file is None:
        raise BadInput("--known-at names a column of a file.", code="watch.file")
    with _watch(session) as watch:
        if truth is not None:
            document = _by_truth(session, watch, truth, budget, seed)
        elif file is None:
            document, _ = watch.train_simulated(seed=seed, budget=budget)
        else:
            named = named_columns(columns)
            edges, illicit, known = read_labelled(file, label, named, known_at=known_at)
            document, _ = watch.train(
                edges,
                illicit,
                data=f"the file {file.name}",
                known_at=known,
                budget=budget,
                seed=seed,
                source=of_file(file, label, named, known_at, budget),
            )
    session.terminal.result(document, lambda terminal: show_report(terminal, document))


@group.command()
@json_option
@click.pass_obj
def report(session: Session) -> None:
    """What the model finds in later transfers, beside simpler ways; whom its false alarms hit."""
    with _watch(session) as watch:
        document = watch.report()
    session.terminal.result(document, lambda terminal: show_report(terminal, document))


group.add_command(features)
group.add_command(liquidity)


for _command in (*FOLLOWING, stream, *MONITORING):
    group.add_command(_command)


def _watch(session: Session) -> Watch:
    return Watch(session.settings.home / "watch")


def _of_chain(session: Session, home: Path, rules: Rules, confirmations: int, *, keep: bool) -> Scan:
    with session.node() as node:
        node.index.sync()
        decimals = int(node.chain.coin.call("decimals"))
        with Watch(home, index=node.index) as watch:
            edges: Edges = watch.chain_edges(
                decimals=decimals, confirmations=confirmations, venues=venues(node.index)
            )
            return watch.scan(edges, rules=rules, keep=keep)


def _paid_in(file: Path, asset: str, facts_file: Path | None) -> Edges:
    """A token's payments among a chain's rows."""
    facts = Facts.load(facts_file) if facts_file is not None else Facts()
    token = checksum(asset)
    edges = from_history(History.of(read_rows([file], facts), facts), token)
    if not len(edges):
        raise BadInput(f"No row of {file.name} is a payment in {token}.", code="watch.file")
    return edges


def _by_truth(session: Session, watch: Watch, path: Path, budget: float, seed: int) -> dict[str, Any]:
    document = read_truth(path)
    with session.node() as node:
        node.index.sync()
        head = node.index.head()
        planted = label_chain(
            node.index,
            document,
            decimals=int(node.chain.coin.call("decimals")),
            through_block=-1 if head is None else head.number,
            venues=venues(node.index),
        )
    told, _ = watch.train(
        planted.edges,
        planted.illicit,
        data=f"a chain that a simulated market filled ({path.name})",
        planted=planted,
        budget=budget,
        seed=seed,
    )
    return told


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise BadInput(f"{path} cannot be read.", code="watch.file") from fault
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]
