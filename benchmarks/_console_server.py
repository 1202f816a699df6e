# SPDX-License-Identifier: Apache-2.0
"""The console of a node whose index has a million events, as a process of its own, for benchmarks/console.py.

    python -m benchmarks._console_server EVENTS

It starts a development chain in a folder of its own, sells a function there, fills the index and serves; one
JSON line says where everything is. It ends with its standard input.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks._million import Filled, fill
from koinon.chain.devnet import free_port
from koinon.console.app import create_app
from koinon.console.guard import Limits
from koinon.node import Node
from koinon.services.counter import open_counter
from koinon.settings import Settings
from koinon.up.children import gateway
from koinon.up.pages import Pages, listen
from koinon.web.visitor import Kind

SOLD: Final = "def score(income: float) -> float:\n    return income / 1000\n"
PATIENT: Final = Limits(reads_per_s=1e6, reads_at_once=1e6)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _sell(node: Node) -> str:
    """Publish a function as Work 1; the hash of a transaction to look at."""
    source = node.settings.home / "sold.py"
    source.write_text(SOLD, encoding="utf-8")
    open_counter(node).publish(f"{source}:score", "0.001", name="Score")
    coin = node.chain.coin
    receipt = node.chain.sender(node.operator).send(coin.transaction("mint", node.operator.address, 10**8))
    return str(receipt.transaction_hash)


def serve(home: Path, events: int) -> None:
    """Serve until standard input ends."""
    settings = Settings.load({}, home=home)
    with Node.open(settings) as node:
        transaction = _sell(node)
        _say("filling the index")
        filled = fill(home / "index.sqlite", node.chain.network, events, store=node.store)
        port = free_port()
        counter = gateway(settings, port, _say, lambda _pid: None)
        counter.start()
        listener = listen(settings.host, 0, setting="console_port")
        app = create_app(node, limits=PATIENT)
        pages = Pages(app, listener, _say)
        pages.start()
        try:
            here = _about(node, app, filled)
            here |= {"url": f"http://{settings.host}:{listener.getsockname()[1]}", "transaction": transaction}
            sys.stdout.write(orjson.dumps(here).decode() + "\n")
            sys.stdout.flush()
            sys.stdin.read()
        finally:
            pages.stop()
            counter.stop()


def _about(node: Node, app: Any, filled: Filled) -> dict[str, Any]:
    def enter(kind: Kind, address: str) -> str:
        return f"{app.state.sessions.cookie}={app.state.sessions.begin(kind, address)}"

    return {
        "events": filled.events,
        "works": filled.works,
        "busiest_work": filled.busiest_work,
        "deepest_work": filled.deepest_work,
        "busiest_owner": filled.busiest_owner,
        "busiest_payer": filled.busiest_payer,
        "block": node.chain.block_number(),
        "till": node.chain.network.address("Channels"),
        "cookies": {
            "owner": enter("wallet", filled.busiest_owner),
            "payer": enter("wallet", filled.busiest_payer),
            "operator": enter("operator", node.operator.address),
        },
    }


def main() -> None:
    """See the module."""
    with tempfile.TemporaryDirectory(prefix="koinon-bench-") as home:
        serve(Path(home), int(sys.argv[1]))


if __name__ == "__main__":
    main()
