# SPDX-License-Identifier: Apache-2.0
"""What `koinon network` prints: for programs as JSON fields, for people as sentences and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.markup import escape

from koinon.chain import spending, verification
from koinon.chain.deploy import Cost
from koinon.chain.network import Network
from koinon.terminal import Terminal

ETHER: Final = 18
"""Decimals of ETH."""


def document(network: Network) -> dict[str, Any]:
    """A network for programs, without its own way to the node."""
    return {
        "name": network.name,
        "chain_id": network.chain_id,
        "genesis_hash": network.genesis_hash,
        "test_money": network.test_money,
        "start_block": network.start_block,
        "contracts": dict(network.contracts),
        "canonical": dict(network.canonical),
        "rpc_urls": list(network.rpc_urls),
        "peers": list(network.peers),
        "signer": network.signer,
    }


def decimal(amount: int, decimals: int) -> str:
    whole, rest = divmod(amount, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}".rstrip("0").rstrip(".")


def show_deployed(terminal: Terminal, network: Network, price: Cost, spent: int, in_use: bool) -> None:
    if price.missing:
        terminal.say(
            f"{len(price.missing)} contracts were put on chain {network.chain_id} for "
            f"{decimal(spent, ETHER)} ETH."
        )
    else:
        terminal.say(f"Everything stands on chain {network.chain_id} already; nothing was sent.")
    terminal.say(f"[bold]{escape(network.name)}[/bold] begins at block {network.start_block}.")
    if in_use:
        terminal.say("Hand it to others: koinon network export FILE")
    else:
        terminal.say("This data directory goes on using another network; give this one its own (--home).")


def show_exported(terminal: Terminal, network: Network, file: Path) -> None:
    terminal.say(f"{file} describes {escape(network.name)}, signed by {network.signer}.")
    terminal.say(f"Others join it: koinon network join {file.name}")
    if not network.rpc_urls:
        terminal.say("It names no node: your own address may hold a key. Add one with --rpc URL.")
    if not network.peers:
        terminal.say("It names no gateway to fetch Works' files from. Add yours with --peer URL.")


def show_list(terminal: Terminal, networks: Sequence[Network], used: bool) -> None:
    if not networks:
        terminal.say("None yet: `koinon up` starts a development chain, `koinon network join` joins one.")
        return
    terminal.table(
        "Networks",
        ["", "name", "chain", "money", "signed by"],
        [
            (
                "in use" if used and number == 0 else "",
                network.name,
                network.chain_id,
                "test" if network.test_money else "REAL",
                network.signer or "-",
            )
            for number, network in enumerate(networks)
        ],
        right=(2,),
    )


def show_report(terminal: Terminal, network: Network, report: verification.Report) -> None:
    marks = {(True, True): "✓", (True, False): "✓", (False, True): "✗", (False, False): "–"}
    terminal.table(
        network.name,
        ["", "what", "found"],
        [(marks[found.fine, found.needed], found.what, found.detail) for found in report.findings],
    )
    terminal.table(
        "Who can change what",
        ["contract", "rights"],
        [(name, found.sentence) for name, found in report.rights.items()],
    )
    terminal.say("Everything fits." if report.fine else "[red]Something differs: see the lines with ✗.[/red]")


def show_cap(
    terminal: Terminal, cap: spending.Cap | None, spent: spending.Cap, symbol: str, decimals: int
) -> None:
    if cap is None:
        terminal.say("No cap is set, so nothing can be spent: koinon network cap COINS --gas ETH")
        return
    terminal.table(
        "May be spent",
        ["", "cap", "spent"],
        [
            (symbol, decimal(cap.coins, decimals), decimal(spent.coins, decimals)),
            ("ETH", decimal(cap.wei, ETHER), decimal(spent.wei, ETHER)),
        ],
        right=(1, 2),
    )
