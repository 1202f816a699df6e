# SPDX-License-Identifier: Apache-2.0
"""``koinon markets fill``: give a development chain months of history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click

from koinon.chain.devnet import Devnet, Watch
from koinon.markets.simulation.credit import nothing_lent
from koinon.markets.simulation.filled import Filled, begins_for, fill
from koinon.markets.simulation.scenario import SCENARIOS, Scenario, find
from koinon.settings import Settings
from koinon.terminal import Session, Terminal, json_option

MOST_MEMORY: Final = 16 * 2**30
"""Anvil keeps a trace of every transaction while it runs, about 75 kB each: months of them are more than a
development chain usually may have. Started again, it has none."""


@click.command("fill")
@click.option("--months", type=float, default=3.0, show_default=True, help="How much history, of 30 days.")
@click.option(
    "--seed", type=click.IntRange(0), default=7, show_default=True, help="The same makes the same again."
)
@click.option(
    "--scenario",
    type=click.Choice(sorted(SCENARIOS)),
    default="ordinary",
    show_default=True,
    help="What prices do.",
)
@click.option("--ahead", is_flag=True, help="Let the chain's clock run ahead of the world's.")
@json_option
@click.pass_obj
def command(session: Session, *, months: float, seed: int, scenario: str, ahead: bool) -> None:
    """Fill the development chain with a simulated market's history.

    In a new data directory the chain begins in the past, and its history ends now. On a chain that is there
    already the clock has to run ahead. Running it again says what is there.
    """
    wanted = find(scenario).lasting(months)
    with _chain_with_a_past(session.settings, wanted), session.node() as node:
        filled = fill(
            node.chain,
            session.settings.home,
            wanted,
            seed,
            fund=node.fund,
            bar=session.terminal.progress,
            ahead=ahead,
            lenders=session.bring("simulated lenders") or nothing_lent,
        )
        opened = _open(session, node, filled)
        events = _index(node, filled)
    document = filled.shown() | {"events": events, "opened": opened}
    session.terminal.result(document, lambda terminal: _show(terminal, filled, events, opened))


@contextmanager
def _chain_with_a_past(settings: Settings, scenario: Scenario) -> Iterator[None]:
    """Where this data directory would make a new chain, begin it as early as the scenario does."""
    new = not settings.devnet.exists() and not settings.network.exists() and settings.rpc_url is None
    if not new:
        yield
        return
    settings.ensure_home()
    watch = Watch(memory_limit=MOST_MEMORY)
    with Devnet(settings.devnet, settings.anvil, begins=begins_for(scenario), watch=watch):
        yield


def _open(session: Session, node: Any, filled: Filled) -> dict[str, str]:
    """What higher floors open for this node's operator over the first feed: name → address."""
    opener = session.bring("opened after filling")
    feeds = sorted(address for name, address in filled.contracts.items() if name.endswith("seth_feed"))
    if opener is None or not feeds:
        return {}
    node.fund(node.operator.address)
    found: dict[str, str] = opener(node, feeds[0])
    return found


def _index(node: Any, filled: Filled) -> int:
    """Have the index of events read the filling's contracts, too; how many blocks with events it has."""
    known = {source.name for source, _ in node.index.sources()}
    for name, address, abi in filled.indexed:
        if name not in known:
            node.index.add(name, address, abi, 0)
    node.index.sync()
    return int(node.index.rows("SELECT COALESCE(SUM(events), 0) AS n FROM block")[0]["n"])


def _show(terminal: Terminal, filled: Filled, events: int, opened: Mapping[str, str]) -> None:
    first, last = (
        datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (filled.begins, filled.ends)
    )
    counts = filled.counts
    if filled.already:
        terminal.say(f"This chain is filled already: seed {filled.seed}, {filled.scenario}.")
    else:
        terminal.say(
            f"Simulated in {filled.simulated_s:g} s, played in {filled.played_s:g} s: "
            f"{filled.per_s:g} transactions a second."
        )
    terminal.say(
        f"{filled.transactions:,} transactions of {counts['accounts']:,} accounts, {first} to {last} UTC; "
        f"{events:,} events are in the index."
    )
    terminal.table(
        "Planted, and what looks like it", ("pattern", "cases"), sorted(counts["cases"].items()), right=(1,)
    )
    if counts["events"]:
        terminal.table("What happened", ("event", "times"), sorted(counts["events"].items()), right=(1,))
    terminal.table("Contracts", ("table name", "address"), sorted(filled.contracts.items()))
    if opened:
        terminal.table("Opened by this node", ("what", "address"), opened.items())
        terminal.say(f"Ask for terms: koinon lending quote ADDRESS --pool {opened['credit pool']}")
    terminal.say(f"Who is who and what launders money is told only in {filled.truth}")
