# SPDX-License-Identifier: Apache-2.0
"""What binners make: for every column its way in, its edges, and each bin's evidence of going bad."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from koinon.lending.scorecard_table import MAXIMUM_EDGES, MISSING
from koinon.lending.scoring.frame import Categorical, Column, Floats, Frame, Integers, Numeric
from koinon.lending.scoring.reader import Reader, scale_for

MOST_BINS: Final = MAXIMUM_EDGES + 1
ZERO_SHARE: Final = 0.02
"""From this share of its rows on, zero has a bin of its own."""
LEAST_SHARE: Final = 0.003
LEAST_ROWS: Final = 20
SMOOTHING: Final = 20.0
"""Rows of average risk that are added to each category before they are put in order."""


@dataclass(frozen=True)
class Bins:
    """The bins of one column.

    Attributes
    ----------
    edges : tuple of int
        Upper edges of all bins but the last, rising.
    evidence : tuple of float
        Log odds of going bad that each bin adds, one more than there are edges.
    zero : float or None
        The same for exactly zero, where it has a bin of its own.
    missing : float or None
        The same for a missing value; None where none was seen.
    """

    reader: Reader
    edges: tuple[int, ...]
    evidence: tuple[float, ...]
    zero: float | None = None
    missing: float | None = None

    @property
    def worst(self) -> float:
        """The most risk that any of its bins adds."""
        return max(self.evidence + (() if self.zero is None else (self.zero,)))

    @property
    def told_of_missing(self) -> float:
        """What a missing value adds: as measured, else as much as the worst bin: silence never pays."""
        return self.worst if self.missing is None else self.missing

    def bin_of(self, values: Integers) -> Integers:
        """Numbers of bins: 0 … for edges, then one for zero and one for missing."""
        found = np.searchsorted(np.array(self.edges, dtype=np.int64), values, side="left").astype(np.int64)
        if self.zero is not None:
            found[values == 0] = len(self.evidence)
        found[values == MISSING] = len(self.evidence) + 1
        return found

    def evidence_of(self, values: Integers) -> Floats:
        """What each value adds to the log odds of going bad."""
        table = [*self.evidence, 0.0 if self.zero is None else self.zero, self.told_of_missing]
        return np.array(table)[self.bin_of(values)]


Monotone = Mapping[str, int]
"""Columns whose risk must only rise (1) or only fall (-1) with the value."""

Binner = Callable[[Frame, Monotone, int], list[Bins]]
"""Makes bins for every column from rows, the columns that must be monotone, and a seed."""


def reader_for(name: str, column: Column, labels: Integers) -> Reader:
    """A column's way in; categories in the order of their smoothed risk, worst first."""
    if isinstance(column, Numeric):
        return Reader(name, scale_for(column.values))
    rates = category_rates(column, labels)
    order = np.argsort(-rates, kind="stable")
    return Reader(name, 1, tuple((column.categories[place],) for place in order) or (("",),))


def category_rates(column: Categorical, labels: Integers) -> Floats:
    """The share of each category that went bad, drawn towards the average where there are few rows."""
    known = column.codes >= 0
    count = len(column.categories)
    rows = np.bincount(column.codes[known], minlength=count)
    bad = np.bincount(column.codes[known], weights=labels[known], minlength=count)
    result: Floats = (bad + SMOOTHING * labels.mean()) / (rows + SMOOTHING)
    return result


def zero_apart(reader: Reader, values: Integers) -> bool:
    """Whether zero is a bin of its own: often enough, and not simply one of two values."""
    if reader.categories:
        return False
    known = values[values != MISSING]
    return bool(known.size and (known == 0).mean() >= ZERO_SHARE and np.unique(known).size > 2)


def least_rows(rows: int) -> int:
    """Fewest rows of a bin."""
    return max(LEAST_ROWS, int(rows * LEAST_SHARE))


def joined(reader: Reader, edges: tuple[int, ...]) -> tuple[Reader, tuple[int, ...]]:
    """Categories that share a bin share a whole number; edges then lie between consecutive ones."""
    if not reader.categories:
        return reader, edges
    places = np.searchsorted(np.array(edges, dtype=np.int64), np.arange(len(reader.categories)), side="left")
    groups: list[tuple[str, ...]] = [() for _ in range(len(edges) + 1)]
    for place, names in zip(places.tolist(), reader.categories, strict=True):
        groups[place] += names
    return Reader(reader.name, 1, tuple(groups)), tuple(range(len(edges)))


def pooled_monotone(values: Floats, weights: Floats, direction: int) -> Floats:
    """The closest values that only rise (1) or fall (-1): pooled violators (Ayer and others 1955)."""
    blocks: list[list[float]] = []
    for value, weight in zip((values * direction).tolist(), weights.tolist(), strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last = blocks.pop()
            total = blocks[-1][1] + last[1]
            blocks[-1][0] = (blocks[-1][0] * blocks[-1][1] + last[0] * last[1]) / total if total else last[0]
            blocks[-1][1], blocks[-1][2] = total, blocks[-1][2] + last[2]
    return np.array([block[0] for block in blocks for _ in range(int(block[2]))]) * direction
