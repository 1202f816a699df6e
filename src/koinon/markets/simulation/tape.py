# SPDX-License-Identifier: Apache-2.0
"""Every transaction of a simulation in its order: what a chain is filled with, what runs are compared by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.bench import Outcome


@dataclass(frozen=True, slots=True)
class Sent:
    """One transaction. ``gas`` as the bench counted it (too little, see there), ``number`` counts from 0 over
    the whole tape."""

    number: int
    sender: Person
    to: str
    data: bytes = field(repr=False)
    worked: bool
    gas: int

    @property
    def gas_limit(self) -> int:
        """Enough where slots are cold and clean: the bench's count never includes that."""
        return 150_000 + 3 * self.gas


@dataclass
class Block:
    """Transactions of one moment (Unix seconds), in their order; ``gas`` the sum of their limits."""

    timestamp: int
    gas: int = 0
    sent: list[Sent] = field(default_factory=list)


class Tape:
    """The blocks of a simulation, as they are made."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._count = 0
        self._digest = hashlib.sha256()

    def next_block(self, timestamp: int) -> None:
        """Begin a block; one without transactions is left out."""
        if self.blocks and not self.blocks[-1].sent:
            self.blocks.pop()
        self.blocks.append(Block(timestamp))

    def add(self, sender: Person, to: str, data: bytes, outcome: Outcome) -> Sent:
        """Keep a transaction, and count what it logged into the digest."""
        sent = Sent(self._count, sender, to, data, outcome.worked, outcome.gas)
        self._count += 1
        block = self.blocks[-1]
        block.sent.append(sent)
        block.gas += sent.gas_limit
        told = (
            f"{block.timestamp} {sender.address} {to} {outcome.worked} {len(outcome.logs)}\n".encode() + data
        )
        for log in outcome.logs:
            told += log.address.encode() + b"".join(log.topics) + log.data
        self._digest.update(len(told).to_bytes(4, "big") + told)
        return sent

    @property
    def digest(self) -> str:
        """SHA-256 over every transaction, its time, whether it worked, and all it logged."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[Sent]:
        for block in self.blocks:
            yield from block.sent

    def __len__(self) -> int:
        return self._count
