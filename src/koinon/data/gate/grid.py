# SPDX-License-Identifier: Apache-2.0
"""The steps that a column's values stand on, and how often other numbers fall on the same."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.data.gate.runs import Numbers, bits_of, words_of

_MOST_BITS: Final = 24.0
_LEAST_MATCHES: Final = 8
_SHIFTS: Final = tuple(
    sign * size * 10**power for sign in (-1, 1) for size in (1, 2, 3, 5) for power in range(4)
)


@dataclass(frozen=True)
class Grid:
    """The steps a column's values stand on: decimal where it has one, else the float32 numbers themselves."""

    step: float
    places: NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, column: Numbers) -> Grid:
        distinct = np.unique(column)
        for digits in range(7):
            scaled = distinct * 10.0**digits
            whole = np.rint(scaled)
            if np.abs(whole).max() < 2**52 and (np.abs(scaled - whole) <= np.abs(whole) * 1e-7 + 1e-9).all():
                unit = int(np.gcd.reduce(np.abs(whole.astype(np.int64)))) or 1
                return cls(unit / 10.0**digits, np.unique(whole.astype(np.int64) // unit))
        return cls(0.0, np.unique(_order(distinct)))

    @property
    def reach(self) -> tuple[int, int]:
        """The lowest and the highest place to compare with."""
        return int(self.places[0]) - max(_SHIFTS), int(self.places[-1]) + max(_SHIFTS)

    def bits(self, column: Numbers) -> Numbers:
        """How telling each value is: by its frequency, or by its digits where it occurs once.

        What occurs once would by frequency alone be as likely as one row in all. Its share of the column is
        spread over the steps between the twentieth parts at both ends (as Good and Turing spread what was
        never seen).
        """
        words = words_of(column)
        told = bits_of(words)
        _values, inverse, counts = np.unique(words, return_inverse=True, return_counts=True)
        once = counts[inverse] == 1
        if once.any():
            low, high = np.quantile(self.places, (0.05, 0.95))
            steps = max(float(once.sum()), high - low)
            told[once] = min(_MOST_BITS, math.log2(steps * once.size / once.sum()))
        return told

    def matches_above_chance(self, places: NDArray[np.int64]) -> bool:
        """Whether more different values are the column's than are some steps beside a value of it.

        Steps of many sizes: most of a column may stand on a coarser grid than its finest value.
        """
        matches = self._count(places)
        if matches < _LEAST_MATCHES:
            return False
        beside = max(self._count(places + shift) for shift in _SHIFTS)
        return _tail(matches, places.size, (beside + 1) / (places.size + 1)) < 1e-6

    def _count(self, places: NDArray[np.int64]) -> int:
        few, many = sorted((self.places, places), key=len)
        if not few.size:
            return 0
        at = np.minimum(np.searchsorted(many, few), many.size - 1)
        return int((many[at] == few).sum())


def places_of(values: Numbers, step: float, low: int, high: int) -> NDArray[np.int64]:
    """The different places, ``low`` to ``high``, of those values that are on a grid; step 0 is float32's."""
    if not step:
        places = _order(values)
        return np.unique(places[(places >= low) & (places <= high)])
    scaled = values / step
    scaled = scaled[(scaled > low - 1) & (scaled < high + 1)]
    whole = np.rint(scaled)
    near = (np.abs(scaled) < 2**52) & (np.abs(scaled - whole) <= np.abs(scaled) * 1e-7 + 1e-9)
    return np.unique(whole[near].astype(np.int64))


def _order(values: Numbers) -> NDArray[np.int64]:
    """float32 numbers as whole numbers in the same order, next to each other."""
    with np.errstate(over="ignore"):
        bits = (values + 0.0).astype(np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _tail(matches: int, tried: int, chance: float) -> float:
    """Chernoff's bound on the probability of so many matches or more."""
    share = matches / tried
    if share <= chance:
        return 1.0
    excess = share * math.log(share / chance)
    if share < 1:
        excess += (1 - share) * math.log((1 - share) / (1 - chance))
    return math.exp(-tried * excess)
