# SPDX-License-Identifier: Apache-2.0
"""Making one model of several updates, so that every peer that does it again gets the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.learning.model import Vector

FRACTION_BITS: Final = 30
MAXIMUM_CHANGE: Final = 64.0
MAXIMUM_EXAMPLES: Final = 2**22
MAXIMUM_UPDATES: Final = 16  # 2^30 · 2^6 · 2^22 · 2^4 stays below 2^63


@dataclass(frozen=True)
class Update:
    """One owner's change of the model in one round, and how many rows it learnt it from."""

    change: Vector
    examples: int


class AggregationRule(Protocol):
    """A pure function of the base model and the updates; the order of updates must not matter."""

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        """The next global model."""


class WeightedMean:
    """Federated averaging (McMahan et al. 2017), weighted by rows, in 64-bit fixed point.

    Floating-point sums depend on their order; integer sums do not. Changes are rounded to 2^-30, multiplied
    by rows and added as int64, divided rounding down, and added to the base in float64 before one rounding to
    float32.
    """

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        if not 0 < len(updates) <= MAXIMUM_UPDATES:
            raise BadInput(f"Between 1 and {MAXIMUM_UPDATES} updates make a model.", code="learning.updates")
        total = np.zeros(base.shape, dtype=np.int64)
        examples = 0
        for update in updates:
            check_update(update, base.shape)
            total += fixed_point(update.change) * update.examples
            examples += update.examples
        mean = np.floor_divide(total, examples)
        return (base.astype(np.float64) + mean.astype(np.float64) / 2.0**FRACTION_BITS).astype(np.float32)


def check_update(update: Update, shape: tuple[int, ...]) -> None:
    """Refuse a change, or a number of rows, beyond what a fixed-point sum of 16 can hold (BadInput)."""
    if update.change.shape != shape:
        raise BadInput("An update has another size than the model.", code="learning.vector_size")
    if not 0 < update.examples <= MAXIMUM_EXAMPLES:
        raise BadInput(
            f"An update claims {update.examples} rows; 1 to {MAXIMUM_EXAMPLES} are possible.",
            code="learning.examples",
        )
    largest = max(float(update.change.max(initial=0.0)), -float(update.change.min(initial=0.0)))
    if not largest <= MAXIMUM_CHANGE:
        raise BadInput("An update changes the model beyond all measure.", code="learning.update_too_large")


def fixed_point(change: Vector) -> NDArray[np.int64]:
    """The change in units of 2^-30, rounded half to even."""
    scaled = change.astype(np.float64)
    scaled *= 2.0**FRACTION_BITS
    return np.rint(scaled, out=scaled).astype(np.int64)


AGGREGATIONS: Final[Mapping[str, AggregationRule]] = MappingProxyType({"weighted_mean": WeightedMean()})
