# SPDX-License-Identifier: Apache-2.0
"""``koinon markets follow`` and ``koinon markets import``: any chain's events as one table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from koinon.chain.rpc import redact
from koinon.errors import BadInput
from koinon.markets.history.decoding import check_protocol
from koinon.markets.history.facts import Facts
from koinon.markets.history.files import write_rows
from koinon.markets.history.history import History
from koinon.markets.history.own import Own
from koinon.markets.history.paced import PacedRpc
from koinon.markets.history.shadow import DEPTH, Shadow
from koinon.markets.history.tables import Reading, read_rows
from koinon.terminal import Session, Terminal, json_option

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("rpc_url")
@click.option(
    "--contract",
    "contracts",
    multiple=True,
    metavar="PROTOCOL=ADDRESS",
    help="A contract to follow, such as aave-v3=0x…; can be given again. What was followed goes on.",
)
@click.option("--from", "from_block", type=click.IntRange(0), default=0, help="First block to look at.")
@click.option("--depth", type=click.IntRange(0), default=DEPTH, show_default=True, help="Confirmations.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True)
@click.option("--facts", "facts_file", type=_FILE, help="JSON: feeds' tokens, stablecoins, decimals.")
@click.option("--out", type=_FILE, help="Also write the confirmed rows here (.parquet or .csv).")
@click.option("--every", type=click.FloatRange(1), help="Go on, looking again after so many seconds.")
@json_option
@click.pass_obj
def follow(
    session: Session,
    rpc_url: str,
    *,
    contracts: Sequence[str],
    from_block: int,
    depth: int,
    rate: float,
    facts_file: Path | None,
    out: Path | None,
    every: float | None,
) -> None:
    """Follow contracts of the chain at RPC_URL, reading only, at RATE requests a second at most."""
    wanted = _contracts(contracts)
    folder = session.settings.home / "shadow"
    with (
        PacedRpc(rpc_url, rate) as rpc,
        Shadow(rpc, folder, first_block=from_block, depth=depth) as shadow,
    ):
        if facts_file is not None:
            _merge(shadow.facts, Facts.load(facts_file))
        shadow.watch(wanted, from_block)
        if not shadow.contracts():
            raise BadInput(
                "There is nothing to follow yet.",
                hint="Name a contract: --contract aave-v3=0x…",
                code="history.nothing",
            )
        while True:
            head = shadow.sync()
            history = shadow.history()
            if out is not None:
                write_rows(history.rows, out)
            document = {
                "node": redact(rpc_url),
                "chain_id": shadow.chain_id,
                "head": head,
                "confirmed": shadow.confirmed(),
                "file": str(shadow.file),
                **summary(history),
            }
            session.terminal.result(document, partial(_show, document=document))
            if every is None:
                return
            time.sleep(every)


@click.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--out", type=_FILE, help="Write the rows here (.parquet or .csv).")
@click.option("--facts", "facts_file", type=_FILE, help="JSON: markets' tokens, decimals, stablecoins.")
@click.option("--protocol", default="", help="Of tables with one decoded event each.")
@click.option("--event", default="", help="Which event such a table holds, such as Borrow.")
@click.option("--asset", default="", help="The token of a table of transfers that does not say.")
@click.option(
    "--contract", "contracts", multiple=True, metavar="PROTOCOL=ADDRESS", help="Of raw logs; can be repeated."
)
@click.option("--column", "columns", multiple=True, metavar="OURS=THEIRS", help="What a column is called.")
@json_option
@click.pass_obj
def import_(
    session: Session,
    files: Sequence[Path],
    *,
    out: Path | None,
    facts_file: Path | None,
    protocol: str,
    event: str,
    asset: str,
    contracts: Sequence[str],
    columns: Sequence[str],
) -> None:
    """Read FILES exported from real chains (CSV, Parquet): our rows, raw logs, transfers, decoded events."""
    facts = Facts.load(facts_file) if facts_file is not None else Facts()
    named = {ours: theirs for ours, theirs in (_pair(each, "OURS=THEIRS") for each in columns)}
    reading = Reading(named, protocol, event, _contracts(contracts), asset)
    history = History.of(read_rows(files, facts, reading), facts)
    if out is not None:
        write_rows(history.rows, out)
    document = {"files": [str(file) for file in files], "out": str(out or ""), **summary(history)}
    session.terminal.result(document, partial(_show, document=document))


@click.command("history")
@click.option(
    "--pool",
    "pools",
    multiple=True,
    metavar="ADDRESS",
    help="A credit pool whose feed and tokens are followed and believed, too; can be given again.",
)
@click.option("--depth", type=click.IntRange(0), help="Confirmations. [default: 64, on test chains 0]")
@click.option("--out", type=_FILE, help="Also write the confirmed rows here (.parquet or .csv).")
@click.option("--facts-out", type=_FILE, help="Also write what events leave out here, as JSON.")
@json_option
@click.pass_obj
def own(
    session: Session, *, pools: Sequence[str], depth: int | None, out: Path | None, facts_out: Path | None
) -> None:
    """What this network's own pairs, credit pools and vaults did, from the node's event index."""
    with session.node() as node:
        kept = Own(node.index, node.chain, pools, depth=depth)
        head = kept.sync()
        history = kept.history()
        document = {
            "node": redact(node.chain.rpc.url),
            "chain_id": node.chain.chain_id,
            "head": head,
            "confirmed": kept.confirmed(),
            **summary(history),
        }
    if out is not None:
        write_rows(history.rows, out)
        document["out"] = str(out)
    if facts_out is not None:
        _write_facts(kept.facts, facts_out)
    session.terminal.result(document, partial(_show, document=document))


COMMANDS = (follow, import_, own)
"""Of the group ``koinon markets``."""


def summary(history: History) -> dict[str, Any]:
    """How many rows of which kinds, and of which blocks."""
    counts = Counter(row.kind for row in history.rows)
    return {
        "rows": len(history),
        "kinds": dict(sorted(counts.items())),
        "first_block": history.rows[0].block_number if len(history) else None,
        "last_block": history.rows[-1].block_number if len(history) else None,
    }


def _write_facts(facts: Facts, path: Path) -> None:
    try:
        path.write_bytes(facts.to_json())
    except OSError as fault:
        raise BadInput(
            f"{path} cannot be written ({fault.strerror or fault}).",
            hint="Name a file in a folder you may write.",
            code="history.facts",
        ) from None


def _show(terminal: Terminal, document: dict[str, Any]) -> None:
    if "chain_id" in document:
        terminal.say(
            f"Chain {document['chain_id']} at {escape(document['node'])}: block {document['head']}, "
            f"confirmed {document['confirmed']}."
        )
    where = f", blocks {document['first_block']} to {document['last_block']}" if document["rows"] else ""
    terminal.say(f"{document['rows']} rows{where}.")
    if document["rows"]:
        terminal.table("", ("kind", "rows"), document["kinds"].items(), right=(1,))
    if document.get("out"):
        terminal.say(f"They are in {escape(document['out'])}.")


def _contracts(texts: Sequence[str]) -> dict[str, str]:
    pairs = (_pair(text, "PROTOCOL=ADDRESS") for text in texts)
    return {address: check_protocol(protocol) for protocol, address in pairs}


def _pair(text: str, shape: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise BadInput(f"{text!r} is not {shape}.", hint=f"Write {shape}.", code="history.pair")
    return left.strip(), right.strip()


def _merge(known: Facts, more: Facts) -> None:
    known.markets.update(more.markets)
    known.decimals.update(more.decimals)
    known.symbols.update(more.symbols)
    known.units.update(more.units)
