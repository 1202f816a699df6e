# SPDX-License-Identifier: Apache-2.0
"""Federated averaging: every owner by its rows, or all the same. No defence against owners who mean harm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from koinon.learning.aggregation.base import Update, check_number, check_update, fixed_point, moved
from koinon.learning.models.base import Vector

ROWS_OF_ONE_WORD: Final = 2**26
"""Changes stay below 2^36 in fixed point, so sums weighted by so many rows stay below 2^62."""
LOW_BITS: Final = 20


class WeightedMean:
    """Federated averaging (McMahan et al. 2017), weighted by rows, in 64-bit fixed point.

    Floating-point sums depend on their order; integer sums do not. Changes are rounded to 2^-30, multiplied
    by rows and added as int64, divided rounding down, and added to the base in float64 before one rounding to
    float32. Where one word could overflow (more than 2^26 rows) the sums are kept in two; the result is the
    same exact quotient.
    """

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        check_number(updates)
        rows = sum(update.examples for update in updates)
        high, low = np.zeros(base.shape, dtype=np.int64), np.zeros(base.shape, dtype=np.int64)
        for update in updates:
            check_update(update, base.shape)
            change = fixed_point(update.change)
            if rows > ROWS_OF_ONE_WORD:
                high += (change >> LOW_BITS) * update.examples
                change &= 2**LOW_BITS - 1
            low += change * update.examples
        if rows <= ROWS_OF_ONE_WORD:
            return moved(base, np.floor_divide(low, rows))
        whole, rest = np.divmod(high, rows)
        return moved(base, (whole << LOW_BITS) + np.floor_divide((rest << LOW_BITS) + low, rows))


class Mean:
    """The mean in which every owner counts the same, however many rows it says it has."""

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        for update in updates:
            check_update(update, base.shape)
        return WeightedMean().aggregate(base, [replace(update, examples=1) for update in updates])
