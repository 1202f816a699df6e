# SPDX-License-Identifier: Apache-2.0
"""Edges: who sent how much to whom, and when; the one table every part of the watch reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from koinon.errors import BadInput

Accounts = NDArray[np.int32]
Times = NDArray[np.int64]
Amounts = NDArray[np.float64]

MOST_ACCOUNTS: Final = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Edges:
    """Transfers in the order in which they happened.

    Parameters
    ----------
    source, target : int32[n]
        Accounts, numbered from 0.
    timestamp : int64[n]
        Unix time in seconds, never falling. Of two edges of one second the earlier row happened first (on a
        chain: block, then log index).
    amount : float64[n]
        Finite and not negative, in whole tokens or any one unit.
    names : sequence of str
        What an account is called, by its number (an address); may be empty.

    Raises
    ------
    BadInput
        Lengths differ, time falls, or a number is not what it must be.
    """

    source: Accounts
    target: Accounts
    timestamp: Times
    amount: Amounts
    names: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        columns = (self.source, self.target, self.timestamp, self.amount)
        wanted = tuple(np.dtype(kind) for kind in (np.int32, np.int32, np.int64, np.float64))
        rows = self.source.shape
        if any(column.shape != rows or column.ndim != 1 for column in columns):
            raise BadInput("Edges need four columns of one length.", code="watch.edges")
        if (self.source.dtype, self.target.dtype, self.timestamp.dtype, self.amount.dtype) != wanted:
            raise BadInput(
                "Edges are int32, int32, int64 and float64.",
                hint="Use Edges.of, which converts.",
                code="watch.edges",
            )
        if not rows[0]:
            return
        if min(int(self.source.min()), int(self.target.min())) < 0:
            raise BadInput("An account's number is not negative.", code="watch.edges")
        if self.names and self.accounts > len(self.names):
            raise BadInput("An edge names an account that has no name.", code="watch.edges")
        if bool((np.diff(self.timestamp) < 0).any()):
            raise BadInput(
                "Edges must be in the order of time.", hint="Use Edges.of, which sorts.", code="watch.order"
            )
        if not bool(np.isfinite(self.amount).all()) or float(self.amount.min()) < 0:
            raise BadInput("An amount is negative or no number.", code="watch.edges")

    @classmethod
    def of(
        cls,
        source: ArrayLike,
        target: ArrayLike,
        timestamp: ArrayLike,
        amount: ArrayLike,
        names: Sequence[str] = (),
    ) -> Self:
        """Edges from columns of any number type, sorted by time; rows of one second keep their order.

        ``source`` and ``target`` may be texts (addresses), which are then numbered in the order in which they
        appear; ``names`` must be empty then.
        """
        first, second = np.asarray(source), np.asarray(target)
        times, amounts = _whole(timestamp), np.asarray(amount, dtype=np.float64)
        if not first.shape == second.shape == times.shape == amounts.shape or first.ndim != 1:
            raise BadInput("Edges need four columns of one length.", code="watch.edges")
        order = np.argsort(times, kind="stable")
        first, second = first[order], second[order]
        if first.dtype.kind in "USO" and first.size:
            both, names = _numbered(np.stack([first, second], axis=1).ravel())
            first, second = both[0::2], both[1::2]
        return cls(
            _accounts(first), _accounts(second), times[order], np.ascontiguousarray(amounts[order]), names
        )

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]], *, decimals: int = 0) -> Self:
        """Edges from rows with a sender (``source`` or ``from``), a receiver (``target`` or ``to``), a
        ``timestamp`` and an ``amount`` (or ``value``) in units of ``10**-decimals``."""
        try:
            return cls.of(
                [str(_either(row, "source", "from")) for row in rows],
                [str(_either(row, "target", "to")) for row in rows],
                [int(row["timestamp"]) for row in rows],
                [int(_either(row, "amount", "value")) / 10**decimals for row in rows],
            )
        except (KeyError, TypeError, ValueError) as fault:
            raise BadInput(
                f"A row is no transfer ({fault}).",
                hint="Each needs source, target, timestamp and amount.",
                code="watch.edges",
            ) from fault

    def __len__(self) -> int:
        return int(self.source.shape[0])

    @property
    def accounts(self) -> int:
        """One more than the highest account's number."""
        if not len(self):
            return 0
        return 1 + max(int(self.source.max()), int(self.target.max()))

    def name(self, account: int) -> str:
        """What an account is called; its number where it has no name."""
        return self.names[account] if account < len(self.names) else str(account)

    def number(self, name: str) -> int | None:
        """The account of that name, None where no edge has it."""
        try:
            return self.names.index(name)
        except ValueError:
            return None

    def between(self, start: int, end: int) -> Edges:
        """The rows from ``start`` up to ``end``; accounts keep their numbers."""
        part = slice(start, end)
        return Edges(
            self.source[part], self.target[part], self.timestamp[part], self.amount[part], self.names
        )

    def until(self, timestamp: int) -> Edges:
        """What had happened by that moment, itself included."""
        return self.between(0, int(np.searchsorted(self.timestamp, timestamp, side="right")))

    def rows(self, numbers: Sequence[int] | NDArray[np.int64]) -> list[dict[str, Any]]:
        """Some edges as people read them: row, source, target, timestamp, amount."""
        return [
            {
                "row": int(row),
                "source": self.name(int(self.source[row])),
                "target": self.name(int(self.target[row])),
                "timestamp": int(self.timestamp[row]),
                "amount": float(self.amount[row]),
            }
            for row in numbers
        ]


def _either(row: Mapping[str, Any], one: str, other: str) -> Any:
    return row[one] if one in row else row[other]


def _whole(values: ArrayLike) -> Times:
    given = np.asarray(values)
    if given.dtype.kind == "M":
        return given.astype("datetime64[s]").astype(np.int64)
    if given.dtype.kind not in "iuf" and given.size:
        raise BadInput("A time is no number of seconds.", code="watch.edges")
    whole = given.astype(np.int64)
    if given.dtype.kind == "f" and not np.array_equal(whole, given):
        raise BadInput("A time is no number of seconds.", code="watch.edges")
    return whole


def _accounts(values: NDArray[Any]) -> Accounts:
    if values.dtype.kind not in "iu" and values.size:
        raise BadInput("An account is neither a number nor a text.", code="watch.edges")
    if values.size and (int(values.min()) < 0 or int(values.max()) >= MOST_ACCOUNTS):
        raise BadInput(f"Accounts are numbered from 0 to {MOST_ACCOUNTS - 1}.", code="watch.edges")
    return np.ascontiguousarray(values, dtype=np.int32)


def _numbered(names: NDArray[Any]) -> tuple[NDArray[np.int64], list[str]]:
    known: dict[str, int] = {}
    numbers = np.fromiter(
        (known.setdefault(str(name), len(known)) for name in names), dtype=np.int64, count=names.size
    )
    return numbers, list(known)
