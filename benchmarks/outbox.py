# SPDX-License-Identifier: Apache-2.0
"""How many transactions a second one account has mined through the durable outbox.

Every batch of 250 is on the disk before it is sent, and every block it is in before it is acknowledged. The
peer is the same queue with an outbox in memory, on the same chain in the same run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from koinon.chain.contract import Call
from koinon.chain.devnet import Devnet
from koinon.chain.outbox import MemoryOutbox, Outbox
from koinon.chain.rpc import Rpc
from koinon.chain.sender import Sender

TRANSACTIONS = 3000
ROUNDS = 3
TARGET = "0x" + "22" * 20


def run() -> Iterator[dict[str, Any]]:
    """The figure."""
    ours, peer = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder, Devnet(Path(folder) / "devnet") as devnet:
        for number in range(ROUNDS):
            peer = max(peer, _measure(devnet, 2 * number, MemoryOutbox()))
            ours = max(ours, _measure(devnet, 2 * number + 1, devnet.outbox))
    yield {
        "name": "outbox.tx_per_s",
        "ours": round(ours),
        "peer": round(peer),
        "ratio": round(ours / peer, 2),
        "unit": "transactions mined per second, one account (peer: outbox in memory)",
        "target": 400,
        "ok": ours >= 400,
    }


def _measure(devnet: Devnet, account: int, outbox: Outbox) -> float:
    calls = [Call(TARGET, value=1, gas=21_000)] * TRANSACTIONS
    with Rpc(devnet.rpc_url) as rpc:
        sender = Sender(rpc, devnet.key(account), chain_id=devnet.chain_id, outbox=outbox)
        started = time.perf_counter()
        receipts = sender.send_all(calls)
        seconds = time.perf_counter() - started
    if len(receipts) != TRANSACTIONS or outbox.waiting(sender.address):
        raise RuntimeError("not everything was mined")
    return TRANSACTIONS / seconds
