# SPDX-License-Identifier: Apache-2.0
"""Rules that bound how far one owner can pull: clipped norms, and trust by a yardstick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite, isqrt
from typing import Final

import numpy as np

from koinon.errors import BadInput
from koinon.learning.aggregation.base import FRACTION_BITS, Fixed, Update, check_all, fixed_point, moved
from koinon.learning.aggregation.coordinates import Median
from koinon.learning.aggregation.products import products, squared_lengths
from koinon.learning.models.base import Vector

ROOT_BITS: Final = 64
"""Bits behind the point of square roots of quotients."""


@dataclass(frozen=True)
class NormClipping:
    """The mean of updates shortened to a common bound (Sun et al. 2019). Rows are not counted.

    Parameters
    ----------
    bound : float
        The longest Euclidean norm left as it is; 0 takes the (lower) median of the round's norms.
    """

    bound: float = 0.0

    def __post_init__(self) -> None:
        if not (isfinite(self.bound) and self.bound >= 0):
            raise ValueError("The bound must be a positive number, or 0 for the median.")

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        check_all(base, updates)
        squares = squared_lengths(updates)
        limit = int(Fraction(self.bound) ** 2 * 4**FRACTION_BITS) or sorted(squares)[(len(updates) - 1) // 2]
        total = np.zeros(base.shape, dtype=np.int64)
        for update, square in zip(updates, squares, strict=True):
            change = fixed_point(update.change)
            total += change if square <= limit else _times(change, _root(limit, square), 1 << ROOT_BITS)
        return moved(base, np.floor_divide(total, len(updates)))


class FLTrust:
    """Updates stretched to the yardstick's length and weighted by their cosine with it (Cao et al. 2021).

    The yardstick is the update marked ``root``, of an owner everyone trusts; it takes part with full trust.
    Updates that point away from it count nothing. Rows are not counted. Without a yardstick (its owner missed
    the round, or a subset without it is being valued) it is the coordinates' median.

    Raises
    ------
    BadInput
        More than one update is marked.
    """

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        check_all(base, updates)
        roots = [update for update in updates if update.root]
        if not roots:
            return Median().aggregate(base, updates)
        if len(roots) > 1:
            raise BadInput("Only one update can be the yardstick.", code="learning.updates")
        trusted, trust = [], []
        for update in updates:
            (yard, inner), (_, square) = products([roots[0], update])
            if inner > 0:
                trust.append(isqrt((inner**2 << 2 * ROOT_BITS) // (yard * square)))
                trusted.append((update, _root(yard, square)))
        total = np.zeros(base.shape, dtype=np.int64)
        for (update, stretch), weight in zip(trusted, trust, strict=True):
            total += _times(fixed_point(update.change), weight * stretch, sum(trust) << ROOT_BITS)
        return moved(base, total)


def _root(one: int, other: int) -> int:
    """The square root of a quotient, in units of 2^-64, rounded down."""
    return isqrt((one << 2 * ROOT_BITS) // other)


def _times(change: Fixed, numerator: int, denominator: int) -> Fixed:
    """Times a quotient, rounded half to even.

    Python rounds quotients of integers correctly and IEEE 754 the products: the bits are the same anywhere.
    """
    return np.rint(change.astype(np.float64) * (numerator / denominator)).astype(np.int64)
