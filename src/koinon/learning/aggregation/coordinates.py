# SPDX-License-Identifier: Apache-2.0
"""Rules that look at each coordinate by itself: the median, and the mean without both ends.

Robust rules count owners, not the rows they claim: whoever lies in its update lies about its rows too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from koinon.learning.aggregation.base import Update, blocks, check_all, moved
from koinon.learning.models.base import Vector

TINY: Final = 1e-9
"""So that a fifth of five is one, whatever 0.2 is in binary."""


@dataclass(frozen=True)
class TrimmedMean:
    """The mean of each coordinate without the largest and the smallest (Yin et al. 2018).

    Parameters
    ----------
    fraction : float
        How much is cut off at either end, at least 0 and below 0.5; of too few updates nothing is.
    """

    fraction: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.fraction < 0.5:
            raise ValueError("The fraction to trim must be at least 0 and below 0.5.")

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        cut = int(self.fraction * len(updates) + TINY)
        return _between(base, updates, min(cut, (len(updates) - 1) // 2))


class Median:
    """The median of each coordinate (Yin et al. 2018); of an even number the mean of the middle two."""

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        return _between(base, updates, (len(updates) - 1) // 2)


def _between(base: Vector, updates: Sequence[Update], cut: int) -> Vector:
    """The mean, rounded down, of what remains of each coordinate when ``cut`` are taken off either end."""
    check_all(base, updates)
    step, last = np.empty(base.shape, dtype=np.int64), len(updates) - cut
    for part, numbers in blocks(updates, base.shape[0]):
        if cut:
            numbers.sort(axis=0)
        step[part] = np.floor_divide(numbers[cut:last].sum(axis=0), last - cut)
    return moved(base, step)
