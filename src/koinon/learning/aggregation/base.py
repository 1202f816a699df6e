# SPDX-License-Identifier: Apache-2.0
"""Updates, and the fixed point in which every rule computes with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.learning.models.base import Vector

FRACTION_BITS: Final = 30
MAXIMUM_CHANGE: Final = 64.0
MAXIMUM_EXAMPLES: Final = 2**22
MAXIMUM_UPDATES: Final = 256
BLOCK: Final = 2**14
"""Coordinates looked at together: 256 updates of them fit a processor's cache of 32 MB."""

Fixed = NDArray[np.int64]


@dataclass(frozen=True)
class Update:
    """One owner's change of the model in one round, and how many rows it learnt it from.

    ``root`` marks the owner whose update is the yardstick of ``fltrust``.
    """

    change: Vector
    examples: int
    root: bool = False


class AggregationRule(Protocol):
    """A pure function of the base model and the updates; the order of updates must not matter."""

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        """The next global model."""


def check_number(updates: Sequence[Update]) -> None:
    """Refuse none, and more than a fixed-point sum can hold (BadInput)."""
    if not 0 < len(updates) <= MAXIMUM_UPDATES:
        raise BadInput(f"Between 1 and {MAXIMUM_UPDATES} updates make a model.", code="learning.updates")


def check_update(update: Update, shape: tuple[int, ...]) -> None:
    """Refuse a change, or a number of rows, beyond what fixed-point sums can hold (BadInput)."""
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


def check_all(base: Vector, updates: Sequence[Update]) -> None:
    """Both checks, for rules that look at all updates more than once."""
    check_number(updates)
    for update in updates:
        check_update(update, base.shape)


def fixed_point(change: Vector) -> Fixed:
    """The change in units of 2^-30, rounded half to even."""
    scaled = change.astype(np.float64)
    scaled *= 2.0**FRACTION_BITS
    return np.rint(scaled, out=scaled).astype(np.int64)


def moved(base: Vector, step: Fixed) -> Vector:
    """The base and a fixed-point step, added in float64 before one rounding to float32."""
    return (base.astype(np.float64) + step.astype(np.float64) / 2.0**FRACTION_BITS).astype(np.float32)


def blocks(updates: Sequence[Update], size: int) -> Iterator[tuple[slice, Fixed]]:
    """Stretches of coordinates with all updates' fixed-point numbers there, shape (updates, stretch)."""
    for start in range(0, size, BLOCK):
        part = slice(start, min(start + BLOCK, size))
        yield part, np.stack([fixed_point(update.change[part]) for update in updates])
