# SPDX-License-Identifier: Apache-2.0
"""What the index's tests share: a chain that can be turned back, and everything an index says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from koinon.chain.handle import Chain
from koinon.chain.index import EventIndex

Place = Callable[[], Path | str]
"""Makes an empty place for an index."""


class Town:
    """An anvil with Koinon's contracts, where anything can be sent, and undone."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.rpc = chain.rpc
        self.accounts: list[str] = self.rpc.call("eth_accounts")

    def send(self, contract: str, function: str, *arguments: Any, address: str | None = None) -> Any:
        call = self.chain.contract(contract, address).transaction(function, *arguments)
        fields = {
            "from": self.accounts[0],
            "to": call.to,
            "data": "0x" + call.data.hex(),
            "gas": hex(3_000_000),
        }
        transaction_hash = self.rpc.call("eth_sendTransaction", fields)
        receipt = None
        while receipt is None:  # the node answers before it has mined
            receipt = self.rpc.call("eth_getTransactionReceipt", transaction_hash)
        assert receipt["status"] == "0x1"
        return receipt

    def mint(self, amount: int, to: int = 1) -> None:
        self.send("Coin", "mint", self.accounts[to], amount)

    def mine(self, blocks: int) -> None:
        self.rpc.call("anvil_mine", hex(blocks))

    def snapshot(self) -> str:
        return str(self.rpc.call("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        assert self.rpc.call("evm_revert", snapshot)


def content(index: EventIndex) -> dict[str, list[dict[str, Any]]]:
    """Everything an index says about the chain."""
    names = [
        name
        for source, _ in index.sources()
        for table in source.tables
        for name in (table.name, *(child for child, _ in table.children))
    ]
    found = {name: index.rows(f'SELECT * FROM "{name}" ORDER BY 1, 2') for name in sorted(names)}  # noqa: S608  (our names)
    found["block"] = index.rows(
        "SELECT number, hash, timestamp, events FROM block WHERE events > 0 ORDER BY 1"
    )
    found["head"] = index.rows("SELECT number, hash FROM head")
    return found
