# SPDX-License-Identifier: Apache-2.0
"""Measured values with how sure they are: the one shape of an interval, and what several rooms draw it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Z95: Final = 1.959963984540054
"""The normal distribution's two-sided 95 % point."""


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_dict(self, digits: int | None = None) -> dict[str, float]:
        """As JSON, rounded where ``digits`` are given."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        if digits is None:
            return numbers
        return {name: round(number, digits) for name, number in numbers.items()}


def wilson(hits: int, count: int, *, z: float = Z95) -> Estimate:
    """A share of independent trials by the score interval (Wilson 1927); 0 to 1 where nothing was tried.

    Examples
    --------
    >>> wilson(0, 0)
    Estimate(value=0.0, low=0.0, high=1.0)
    >>> wilson(9, 10).to_dict(3)
    {'value': 0.9, 'low': 0.596, 'high': 0.982}
    """
    if not count:
        return Estimate(0.0, 0.0, 1.0)
    share, less = hits / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / less
    half = z / less * (share * (1 - share) / count + z * z / (4 * count**2)) ** 0.5
    return Estimate(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def stationary_bootstrap(
    rows: int, shape: tuple[int, int], generator: np.random.Generator, *, mean_block: float
) -> NDArray[np.int64]:
    """Row numbers of blocks of consecutive rows, geometric in length, that go on at the first row after the
    last: what clusters in time stays together.

    Parameters
    ----------
    rows : int
        How many there are to draw from.
    shape : (int, int)
        How many samples, and of how many rows each.
    mean_block : float
        Mean length of a block, in rows, at least 1.

    Returns
    -------
    numpy.ndarray
        Of that ``shape``, numbers from 0 to ``rows - 1``.

    Source: Politis and Romano, The Stationary Bootstrap, JASA 89 (1994).
    """
    fresh = generator.random(shape) < 1.0 / mean_block
    fresh[:, 0] = True
    starts = generator.integers(0, rows, shape)
    places = np.arange(shape[1])
    begun = np.maximum.accumulate(np.where(fresh, places, 0), axis=1)
    return np.asarray((np.take_along_axis(starts, begun, axis=1) + places - begun) % rows, dtype=np.int64)
