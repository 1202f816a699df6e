# SPDX-License-Identifier: Apache-2.0
"""``koinon watch monitor`` and ``koinon watch alerts``: abnormal behaviour, live or in the past."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.markup import escape

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.markets.api import Markets
from koinon.markets.history.decoding import check_protocol
from koinon.markets.history.facts import Facts
from koinon.markets.history.shadow import DEPTH, Shadow
from koinon.markets.history.tables import Reading, read_rows
from koinon.markets.simulation.scenario import SCENARIOS, find
from koinon.terminal import Session, Terminal, json_option
from koinon.watch.api import Watch
from koinon.watch.living import SCAN_EVERY_S, LiveWatch, Looked
from koinon.watch.monitors.following import Follower
from koinon.watch.monitors.keeping import AlertBook
from koinon.watch.monitors.monitoring import Monitoring, all_monitors
from koinon.watch.monitors.rehearsing import rehearse
from koinon.watch.monitors.sightings import LEVELS, Sighting

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--replay", "files", type=_FILE, multiple=True, help="Rows or logs of the past. Repeat it.")
@click.option("--chain", is_flag=True, help="This node's chain, as its blocks are confirmed.")
@click.option("--simulated", type=click.Choice(sorted(SCENARIOS)), help="A simulated market: false alarms.")
@click.option(
    "--contract",
    "contracts",
    multiple=True,
    metavar="PROTOCOL=ADDRESS",
    help="One to follow, besides the coin and the pairs; or whose logs are replayed. Repeat it.",
)
@click.option("--facts", "facts_file", type=_FILE, help="JSON: markets' tokens, decimals.")
@click.option("--trust", "trusted", multiple=True, metavar="ADDRESS", help="Everybody may approve it.")
@click.option("--holder", "holders", multiple=True, metavar="ADDRESS", help="Watch what it holds.")
@click.option("--depth", type=click.IntRange(0), help="Confirmations; on a test chain 0, else 64.")
@click.option("--every", type=click.FloatRange(1), help="Go on, looking again after so many seconds.")
@click.option("--months", default=1.0, show_default=True, help="Of a simulated market.")
@click.option("--seed", default=0, show_default=True, help="Of a simulated market.")
@json_option
@click.pass_obj
def monitor(
    session: Session,
    *,
    files: Sequence[Path],
    chain: bool,
    simulated: str | None,
    contracts: Sequence[str],
    facts_file: Path | None,
    trusted: Sequence[str],
    holders: Sequence[str],
    depth: int | None,
    every: float | None,
    months: float,
    seed: int,
) -> None:
    """Look for drains, flash loans, taken powers and the like: live, in a file, or in a simulated market.

    Alerts of the chain are kept for ``koinon watch alerts``; those of the past and of simulations are only
    shown.
    """
    if bool(files) + chain + (simulated is not None) != 1:
        raise BadInput("Give --replay FILE, --chain or --simulated SCENARIO.", code="watch.file")
    facts = Facts.load(facts_file) if facts_file is not None else Facts()
    named = _contracts(contracts)
    trust, hold = [checksum(each) for each in trusted], [checksum(each) for each in holders]
    if chain:
        _live(session, named, facts, trust, hold, depth=depth, every=every)
        return
    if simulated is not None:
        scenario = find(simulated).lasting(months)
        with session.terminal.progress("A market is simulated", scenario.steps) as advance:
            rows, facts = rehearse(scenario, seed, advance)
    else:
        rows = read_rows(files, facts, Reading(contracts=named))
    monitoring = Monitoring(all_monitors(facts, trusted=trust, holders=hold))
    alerts = monitoring.feed(rows)
    document = {
        "source": f"simulated market {simulated!r}, seed {seed}" if simulated else [str(f) for f in files],
        **monitoring.document(),
        "found": [each.document() for each in alerts],
    }
    session.terminal.result(document, lambda terminal: _show(terminal, alerts, document))


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also what was told before, the newest first.")
@click.option("--most", default=20, show_default=True, type=click.IntRange(1), help="How many at most.")
@json_option
@click.pass_obj
def alerts(session: Session, *, everything: bool, most: int) -> None:
    """Alerts that nobody was told yet, the most urgent first; each is told once."""
    with Watch(session.settings.home / "watch") as watch, AlertBook(watch.home, watch.alerts) as book:
        if everything:
            found = book.newest(most)
        else:
            taken = watch.alerts.take(most)
            found = [{**asdict(each), "evidence": book.newest(1, each.key)} for each in taken]
        counts = watch.alerts.counts()
    session.terminal.result(
        {"counts": counts, "alerts": found}, lambda terminal: _show_told(terminal, found, counts)
    )


@click.command()
@click.option("--trust", "trusted", multiple=True, metavar="ADDRESS", help="Everybody may approve it.")
@click.option("--holder", "holders", multiple=True, metavar="ADDRESS", help="Watch what it holds.")
@click.option("--depth", type=click.IntRange(0), help="Confirmations; on a test chain 0, else 64.")
@click.option("--scan-every", default=SCAN_EVERY_S, show_default=True, help="Seconds; 0 scans no payments.")
@click.option("--once", is_flag=True, help="Look once and end.")
@json_option
@click.pass_obj
def run(
    session: Session,
    *,
    trusted: Sequence[str],
    holders: Sequence[str],
    depth: int | None,
    scan_every: float,
    once: bool,
) -> None:
    """Follow this node's chain until Ctrl-C: monitors, payments, pools and vaults; `koinon up` runs it."""
    terminal, stop = session.terminal, threading.Event()

    def told(looked: Looked) -> None:
        document = {"event": "ready", **looked.document()}
        terminal.result(
            document,
            lambda _: terminal.say(
                f"Through block {looked.through:,}: {looked.alerts} new alerts, {looked.cases} cases, "
                f"{looked.measured} pools and vaults measured."
            ),
        )

    with session.node() as node, Watch.of(node, node.index) as watch:
        live = LiveWatch(
            watch,
            node.chain,
            node.index,
            depth,
            trusted=[checksum(each) for each in trusted],
            holders=[checksum(each) for each in holders],
            scan_every_s=scan_every,
            say=terminal.note,
        )
        if once:
            node.index.sync()
            told(live.look())
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        live.run(stop, told)


COMMANDS: Final = (monitor, alerts, run)
"""Of the group ``koinon watch``."""


def _live(
    session: Session,
    named: Mapping[str, str],
    facts: Facts,
    trusted: Sequence[str],
    holders: Sequence[str],
    *,
    depth: int | None,
    every: float | None,
) -> None:
    with session.node() as node:
        home, network = session.settings.home / "watch", node.chain.network
        wanted = {**_of_node(node.chain), **named}
        deep = (0 if network.test_money else DEPTH) if depth is None else depth
        known = [*network.contracts.values(), *trusted]
        with (
            Watch(home) as watch,
            AlertBook(home, watch.alerts) as book,
            Shadow(node.chain.rpc, home / "shadow", first_block=network.start_block, depth=deep) as shadow,
        ):
            shadow.facts.markets.update(facts.markets)
            shadow.facts.decimals.update(facts.decimals)
            shadow.watch(wanted, network.start_block)
            monitoring = Monitoring(all_monitors(shadow.facts, trusted=known, holders=holders))
            name = f"chain {shadow.chain_id} {network.genesis_hash[:10]}"
            follower = Follower(shadow, name, monitoring, book)
            while True:
                new = follower.look()
                document = {
                    "source": f"chain {shadow.chain_id}",
                    "through": follower.through,
                    **monitoring.document(),
                    "found": [each.document() for each in new],
                }
                _answer(session, new, document)
                if every is None:
                    return
                time.sleep(every)


def _answer(session: Session, new: Sequence[Sighting], document: Mapping[str, Any]) -> None:
    session.terminal.result(document, lambda terminal: _show(terminal, new, document))


def _of_node(chain: Any) -> dict[str, str]:
    """The coin, every pair and its tokens."""
    found = {chain.coin.address: "erc20"}
    for pair in Markets(chain).list_pairs():
        found |= {pair.token0.address: "erc20", pair.token1.address: "erc20"}
        found[pair.address] = "koinon-pair"
    return found


def _contracts(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        protocol, equals, address = text.partition("=")
        if not equals:
            raise BadInput(
                f"{text!r} is not PROTOCOL=ADDRESS.", hint="Such as erc20=0x…", code="history.pair"
            )
        found[checksum(address.strip())] = check_protocol(protocol.strip())
    return found


def _show(terminal: Terminal, found: Sequence[Sighting], document: Mapping[str, Any]) -> None:
    terminal.say(
        f"{document['rows']:,} rows in {document['transactions']:,} transactions over "
        f"{document['days']:g} days: {sum(document['alerts'].values())} alerts, "
        f"{document['held']} more of the same."
    )
    for each in found:
        _one(terminal, each.document())


def _one(terminal: Terminal, document: Mapping[str, Any]) -> None:
    colour = {1: "cyan", 2: "yellow", 3: "red"}[document["level"]]
    when = datetime.fromtimestamp(document["timestamp"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    urgency = LEVELS[document["level"]]
    terminal.say(
        f"[{colour}]{urgency}[/{colour}]  {when}  {escape(document['monitor'])}: {escape(document['why'])}"
    )
    terminal.say(f"   block {document['block_number']}, transaction {document['transaction_hash']}")


def _show_told(terminal: Terminal, found: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> None:
    if not found:
        terminal.say("There is no alert that was not told.")
    for each in found:
        evidence = [each] if "monitor" in each else each["evidence"]
        if evidence:
            _one(terminal, evidence[0])
        else:
            terminal.say(f"{escape(each['key'])}: {escape(each['text'])}")
        if each.get("times", 1) > 1:
            terminal.say(f"   noticed {each['times']} times")
    terminal.say(f"{counts['waiting'] + counts['held']} wait, {counts['told']} were told.")
