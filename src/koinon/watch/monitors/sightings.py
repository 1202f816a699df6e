# SPDX-License-Identifier: Apache-2.0
"""What monitors see: the rows of one transaction; and what they say: a sighting with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Final, Protocol

from koinon.markets.history.rows import EventRow

LOOK, ACT, NOW = 1, 2, 3
LEVELS: Final[Mapping[int, str]] = {LOOK: "look", ACT: "act", NOW: "act now"}
"""How urgent, as words."""

MOST_ROWS: Final = 20
"""Rows that one sighting keeps as evidence."""


@dataclass(frozen=True)
class Transaction:
    """The rows of one transaction, in their order; there is one at least."""

    rows: Sequence[EventRow]

    @property
    def timestamp(self) -> int:
        """Unix seconds of its block."""
        return self.rows[0].timestamp

    @property
    def block_number(self) -> int:
        """Its block."""
        return self.rows[0].block_number

    def of_kind(self, *kinds: str) -> list[EventRow]:
        """Its rows of some kinds."""
        return [row for row in self.rows if row.kind in kinds]


def transactions(rows: Iterable[EventRow]) -> Iterator[Transaction]:
    """Rows in the chain's order, by transaction. A row of a table without transactions is one of its own."""

    def place(row: EventRow) -> tuple[int, str, int, int]:
        known = row.transaction_hash
        return (row.block_number, known, *((0, 0) if known else (row.log_index, row.position)))

    for _, group in groupby(rows, key=place):
        yield Transaction(tuple(group))


@dataclass(frozen=True)
class Sighting:
    """Something a monitor saw.

    Parameters
    ----------
    monitor : str
        Which monitor.
    subject : str
        Who or what it is about; the same monitor and subject are the same thing seen again.
    level : int
        1 look at it, 2 act, 3 act now.
    why : str
        One sentence, with the figures.
    accounts : tuple of str
        Who takes part, the most concerned first.
    rows : tuple of EventRow
        What shows it.
    """

    monitor: str
    subject: str
    level: int
    why: str
    accounts: tuple[str, ...]
    rows: tuple[EventRow, ...]
    timestamp: int
    block_number: int
    transaction_hash: str

    @classmethod
    def of(
        cls,
        monitor: str,
        subject: str,
        level: int,
        why: str,
        seen: Transaction,
        *,
        accounts: Iterable[str] = (),
        rows: Iterable[EventRow] = (),
    ) -> Sighting:
        """Seen in a transaction; its rows are the evidence where none are named."""
        shown = tuple(rows)[-MOST_ROWS:] or tuple(seen.rows[:MOST_ROWS])
        return cls(
            monitor,
            subject,
            level,
            why,
            tuple(each for each in dict.fromkeys(accounts) if each)[:MOST_ROWS],
            shown,
            seen.timestamp,
            seen.block_number,
            seen.rows[0].transaction_hash,
        )

    @property
    def key(self) -> str:
        """Names it for cool-downs."""
        return f"{self.monitor} {self.subject}"

    def document(self) -> dict[str, Any]:
        """As JSON, amounts as text."""
        rows = [
            {**asdict(row), "amount": str(row.amount), "amount_2": str(row.amount_2)} for row in self.rows
        ]
        return {
            "monitor": self.monitor,
            "subject": self.subject,
            "level": self.level,
            "urgency": LEVELS[self.level],
            "why": self.why,
            "accounts": list(self.accounts),
            "timestamp": self.timestamp,
            "block_number": self.block_number,
            "transaction_hash": self.transaction_hash,
            "rows": rows,
        }


class Monitor(Protocol):
    """State and rule of one kind of behaviour.

    `see` is given every transaction once, in the chain's order; it knows no clock but the chain's and draws
    no lots, so that the same rows give the same sightings, live or years later.
    """

    name: str

    def see(self, seen: Transaction) -> Sequence[Sighting]:
        """What this transaction shows, with all before it."""
