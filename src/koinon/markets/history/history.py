# SPDX-License-Identifier: Apache-2.0
"""A chain's rows in columns, in order, from which nothing later than a block can be seen by accident."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput, IntegrityError
from koinon.markets.history.facts import Facts
from koinon.markets.history.rows import COLUMNS, KINDS, EventRow

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_NAMED: Final = ("protocol", "contract", "market", "account", "counterparty", "asset", "asset_2")
KIND: Final = {name: number for number, name in enumerate(KINDS)}


@dataclass(frozen=True)
class History:
    """Rows in the chain's order.

    ``columns``: ``block_number``, ``log_index``, ``timestamp`` as int64, ``kind`` as its number in `KINDS`,
    names as numbers in ``names`` (`number`), ``amount`` and ``amount_2`` as float64 (rounded to 53 bits; the
    exact ones are in ``rows``). ``hashes`` block → hash of every block whose hash is known.
    """

    rows: Sequence[EventRow]
    facts: Facts
    names: Sequence[str]
    columns: Mapping[str, NDArray[Any]]
    hashes: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, rows: Iterable[EventRow], facts: Facts | None = None, hashes: Mapping[int, str] | None = None
    ) -> History:
        """From rows in any order.

        Raises
        ------
        BadInput
            Two rows stand at one place, time runs backwards, or a block has two hashes.
        """
        ordered = sorted(rows, key=lambda row: row.place)
        known = dict(hashes or {})
        for before, after in pairwise(ordered):
            if before.place == after.place:
                raise BadInput(
                    f"Two rows stand at block {after.block_number}, log {after.log_index}.",
                    hint="Were two tables of the same events given?",
                    code="history.twice",
                )
            if after.timestamp < before.timestamp:
                raise BadInput(
                    f"Block {after.block_number} is older than block {before.block_number} before it.",
                    hint="Check the columns of block numbers and times.",
                    code="history.time",
                )
        for row in ordered:
            if row.block_hash and known.setdefault(row.block_number, row.block_hash) != row.block_hash:
                raise BadInput(
                    f"Block {row.block_number} has two hashes.",
                    hint="Rows of two forks were mixed; read them again from one node.",
                    code="history.fork",
                )
        numbers: dict[str, int] = {"": 0}
        # A name's number depends on nothing later than its first row.
        told = [[numbers.setdefault(getattr(row, name), len(numbers)) for name in _NAMED] for row in ordered]
        table = np.array(told, np.int64).reshape(len(ordered), len(_NAMED))
        named = {name: table[:, at].copy() for at, name in enumerate(_NAMED)}
        plain = {
            name: np.array([getattr(row, name) for row in ordered], np.int64)
            for name in ("block_number", "log_index", "timestamp")
        }
        amounts = {
            name: np.array([float(getattr(row, name)) for row in ordered], np.float64)
            for name in ("amount", "amount_2")
        }
        kinds = {"kind": np.array([KIND[row.kind] for row in ordered], np.int64)}
        return cls(ordered, facts or Facts(), list(numbers), {**plain, **kinds, **named, **amounts}, known)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Name → its number in the columns."""
        return {name: number for number, name in enumerate(self.names)}

    def number(self, name: str) -> int:
        """A name's number; -1 where no row has it."""
        return self.numbers.get(name, -1)

    def through(self, block: int) -> int:
        """How many rows there are up to the end of a block."""
        return int(np.searchsorted(self.columns["block_number"], block, side="right"))

    def as_of(self, block: int) -> History:
        """What was known at the end of a block: later rows and hashes are not in it."""
        end = self.through(block)
        return History(
            self.rows[:end],
            self.facts,
            self.names,
            {name: column[:end] for name, column in self.columns.items()},
            {number: block_hash for number, block_hash in self.hashes.items() if number <= block},
        )

    def time_of(self, block: int) -> int:
        """The time of the newest row's block up to ``block``, in Unix seconds; 0 where there is none."""
        end = self.through(block)
        return int(self.columns["timestamp"][end - 1]) if end else 0

    def anchor(self, block: int) -> tuple[int, str]:
        """The newest block up to ``block`` whose hash is known, and its hash; (-1, '') where there is none.
        What was computed as of ``block`` holds as long as that block stands."""
        known = self._known_blocks
        at = bisect_right(known, block)
        return (known[at - 1], self.hashes[known[at - 1]]) if at else (-1, "")

    def check_anchor(self, anchor: tuple[int, str]) -> None:
        """`IntegrityError` where this history has another block there than ``anchor`` names: a
        reorganisation took it, and what was computed as of it is void."""
        number, block_hash = anchor
        if self.hashes.get(number, "") != block_hash:
            raise IntegrityError(
                f"Block {number} is not the block that this was computed as of.",
                hint="A reorganisation replaced it. Compute it again.",
                code="history.reorganised",
            )

    @cached_property
    def _known_blocks(self) -> list[int]:
        return sorted(self.hashes)

    def documents(self) -> list[dict[str, Any]]:
        """Rows as plain values, amounts as text."""
        return [
            {
                name: str(getattr(row, name)) if name.startswith("amount") else getattr(row, name)
                for name in COLUMNS
            }
            for row in self.rows
        ]
