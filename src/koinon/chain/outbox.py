# SPDX-License-Identifier: Apache-2.0
"""Where signed transactions wait until nothing can lose them any more."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from koinon.chain.receipts import Receipt
from koinon.chain.rpc import Rpc
from koinon.chain.transactions import SignedTransaction


class Outbox(Protocol):
    """Signed transactions, kept from before they are sent until they cannot be lost, so that a crash on
    either side loses nothing: sending the same bytes again is harmless."""

    def record(self, transactions: Sequence[SignedTransaction]) -> None:
        """Keep signed transactions; returns once they are safe. `SetupError` where they cannot be kept."""

    def forget(self, transactions: Sequence[SignedTransaction]) -> None:
        """They can never be mined."""

    def mined(
        self, transactions: Sequence[tuple[SignedTransaction, Receipt]], rpc: Rpc
    ) -> list[SignedTransaction]:
        """They were mined, so that no other transaction with their nonces can be; returns once this is safe.

        What it returns is not safe: the node has lost it since its receipt was read.
        """

    def reach(self, block_number: int, rpc: Rpc) -> None:
        """Make safe what everybody's transactions did up to a block."""

    def waiting(self, sender: str | None = None) -> list[bytes]:
        """Transactions not known to be mined, of one account or of all, in the order of their nonces."""


class MemoryOutbox:
    """An outbox that lives as long as the process."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, SignedTransaction] = {}
        self._lock = threading.Lock()

    def record(self, transactions: Sequence[SignedTransaction]) -> None:
        """Keep signed transactions."""
        with self._lock:
            self._waiting |= {each.raw: each for each in transactions}

    def forget(self, transactions: Sequence[SignedTransaction]) -> None:
        """Drop them; unknown ones are ignored."""
        with self._lock:
            for each in transactions:
                self._waiting.pop(each.raw, None)

    def mined(
        self, transactions: Sequence[tuple[SignedTransaction, Receipt]], rpc: Rpc
    ) -> list[SignedTransaction]:
        """Drop them and whatever has the same nonces."""
        del rpc
        taken = {(each.sender, each.transaction.nonce) for each, _ in transactions}
        with self._lock:
            self._waiting = {
                raw: each
                for raw, each in self._waiting.items()
                if (each.sender, each.transaction.nonce) not in taken
            }
        return []

    def reach(self, block_number: int, rpc: Rpc) -> None:
        """Nothing here outlives the process."""

    def waiting(self, sender: str | None = None) -> list[bytes]:
        """In the order of their nonces."""
        with self._lock:
            found = [each for each in self._waiting.values() if sender in (None, each.sender)]
        return [each.raw for each in sorted(found, key=lambda each: each.transaction.nonce)]
