# SPDX-License-Identifier: Apache-2.0
"""Joins as of a row: for many (subject, block) pairs at once, what each subject's stream held by then.

The clock is the row: everything that a block knows lies in the rows before its end, so no comparison of times
can let a later block of the same second in. Sums are of whole numbers, hence the same to the last bit
whatever stands elsewhere in the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.markets.history.history import KIND, History
from koinon.markets.history.prices import Prices

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

DAY_S: Final = 86_400
CENTS: Final = 100
UNKNOWN: Final = -1
_MOST_CENTS: Final = 10**14


@dataclass(frozen=True)
class Options:
    """How features are computed; part of a model's card, for other options make other numbers.

    ``dust_value`` units of account below which a transfer or loan does not count; ``default_lltv_ppm`` where
    a market's facts name none; ``reference`` the asset of ``beta_30d`` (an address); ``listed`` accounts that
    taint spreads from; ``structure``: also what needs the whole graph at each block (``core_number``).
    """

    dust_value: float = 10.0
    default_lltv_ppm: int = 800_000
    reference: str = ""
    listed: frozenset[str] = field(default_factory=frozenset)
    structure: bool = False


@dataclass(frozen=True)
class Queries:
    """Whom to tell about, and as of when: ``subjects`` numbers of names (-1: no row has it), ``ends`` how
    many rows there were, ``times`` the time by then in Unix seconds, ``names`` the subjects' own."""

    subjects: Integers
    ends: Integers
    times: Integers
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, history: History, subjects: Sequence[str], blocks: Sequence[int]) -> Queries:
        """`BadInput` where there are not as many blocks as subjects."""
        if len(subjects) != len(blocks):
            raise BadInput("Features need one block for each subject.", code="features.pairs")
        numbers = np.array([history.number(name) for name in subjects], np.int64)
        ends = np.searchsorted(
            history.columns["block_number"], np.array(blocks, np.int64), side="right"
        ).astype(np.int64)
        times = np.concatenate([[0], history.columns["timestamp"]])[ends].astype(np.int64)
        return cls(numbers, ends, times, tuple(subjects))

    def __len__(self) -> int:
        return len(self.subjects)


@dataclass(frozen=True)
class World:
    """A history with what every group of features needs: prices, each row's value in cents (`UNKNOWN` without
    a price), and which rows count.

    ``counts``: the value is known and not dust.
    """

    history: History
    options: Options
    prices: Prices
    cents: Integers
    counts: Booleans

    @classmethod
    def of(cls, history: History, options: Options | None = None) -> World:
        options = options or Options()
        prices = Prices.of(history)
        columns = history.columns
        rows = np.arange(len(history), dtype=np.int64)
        value = columns["amount"] * prices.of_rows(columns["asset"], rows)
        known = np.isfinite(value)
        cents = np.full(len(history), UNKNOWN, np.int64)
        cents[known] = np.minimum(np.floor(value[known] * CENTS), _MOST_CENTS).astype(np.int64)
        counts = (cents >= np.int64(options.dust_value * CENTS)) & ~_against_nothing(history, prices)
        return cls(history, options, prices, cents, counts)

    def windows(self, queries: Queries, seconds: int) -> Integers:
        """The first row that is inside the window of so many seconds before each query's time."""
        found = np.searchsorted(self.history.columns["timestamp"], queries.times - seconds, side="right")
        return np.minimum(found, queries.ends).astype(np.int64)


class Stream:
    """Rows that belong to subjects, in the order of subject and row.

    Parameters
    ----------
    subjects, rows : int64[n]
        A row may belong to several subjects. Subjects that are no name (0) are left out.
    length : int
        Rows in the history.
    """

    def __init__(self, subjects: Integers, rows: Integers, length: int) -> None:
        kept = subjects > 0
        order = np.lexsort((rows[kept], subjects[kept]))
        self.order = np.flatnonzero(kept)[order]
        self.subjects, self.rows = subjects[self.order], rows[self.order]
        self._step = np.int64(length + 1)
        self._keys = self.subjects * self._step + self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def until(self, subjects: Integers, ends: Integers) -> Integers:
        """For each subject, where its rows before ``ends`` stop."""
        return np.searchsorted(self._keys, subjects * self._step + ends).astype(np.int64)

    def span(self, subjects: Integers, starts: Integers, ends: Integers) -> tuple[Integers, Integers]:
        """Where each subject's rows from ``starts`` to before ``ends`` lie."""
        return self.until(subjects, starts), self.until(subjects, ends)

    def total(self, values: Integers, span: tuple[Integers, Integers]) -> Integers:
        """The sum of whole numbers, given in the order in which the stream was made, over each span."""
        sums = np.concatenate([[0], np.cumsum(values[self.order])])
        return np.asarray(sums[span[1]] - sums[span[0]], dtype=np.int64)

    def firsts(self, partners: Integers) -> Booleans:
        """Whether an entry is its subject's first with that partner (given in the stream's order)."""
        return self.previous(partners) < 0

    def previous(self, partners: Integers) -> Integers:
        """For each entry, where the one before it of the same subject and partner is; -1 for the first."""
        order = np.lexsort((np.arange(len(self)), partners, self.subjects))
        same = (self.subjects[order][1:] == self.subjects[order][:-1]) & (
            partners[order][1:] == partners[order][:-1]
        )
        found = np.full(len(self), -1, np.int64)
        found[order[1:][same]] = order[:-1][same]
        return found


def _against_nothing(history: History, prices: Prices) -> Booleans:
    """Loans of markets whose collateral has no price then: anybody can open one and repay himself in it."""
    columns = history.columns
    rows = np.flatnonzero(np.isin(columns["kind"], [KIND["borrow"], KIND["repay"]]))
    found = np.zeros(len(history), np.bool_)
    if rows.size:
        collateral = {
            int(market): history.number(facts.asset_2)
            for market in np.unique(columns["market"][rows])
            if (facts := history.facts.market(history.names[int(market)])).asset_2
        }
        assets = np.array([collateral.get(int(each), 0) for each in columns["market"][rows]], np.int64)
        found[rows] = (assets != 0) & np.isnan(prices.of_rows(assets, rows.astype(np.int64)))
    return found


def ratio(top: Floats | Integers, bottom: Floats | Integers) -> Floats:
    """Their quotient; NaN where there is nothing below the line."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(bottom) > 0, np.asarray(top) / np.asarray(bottom), np.nan)
