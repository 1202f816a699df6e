# SPDX-License-Identifier: Apache-2.0
"""A bound on what one owner can change: vectors cut to a length, as whole numbers of a fixed unit.

A unit is the 2^18th part of the norm bound. Numbers are rounded toward zero, which never lengthens a vector,
so a clipped vector is at most 2^18 units long exactly; sums of at most 2^12 of them fit 32-bit words.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.learning.models.base import Vector

NORM_BITS: Final = 18
NORM: Final = 2**NORM_BITS
"""The length, in units, of the longest clipped vector."""
LARGEST_NORM: Final = 64.0

Units = NDArray[np.int64]


def check_norm(norm: float) -> None:
    """Refuse a bound that is none (BadInput)."""
    if not 0 < norm <= LARGEST_NORM:
        raise BadInput(
            f"A norm bound lies above 0, up to {LARGEST_NORM:g}.", code="learning.privacy_parameters"
        )


def clipped_units(change: Vector, norm: float) -> Units:
    """The change, shortened to Euclidean length ``norm`` where it is longer, in units.

    Parameters
    ----------
    change : float array, shape (size,)
    norm : float
        The longest length, above 0.

    Raises
    ------
    BadInput
        Numbers that are not finite, or a bound that is none.
    """
    check_norm(norm)
    exact = change.astype(np.float64)
    largest = float(np.abs(exact).max(initial=0.0))
    if not np.isfinite(largest):
        raise BadInput("A change of the model is not finite.", code="learning.not_finite")
    length = largest * float(np.linalg.norm(exact / largest)) if largest else 0.0
    scale = NORM / max(norm, length)
    units = np.trunc(exact * scale).astype(np.int64)
    while squared_length(units) > NORM**2:  # by the rounding of the length itself
        scale *= 1 - 2.0**-40
        units = np.trunc(exact * scale).astype(np.int64)
    return units


def squared_length(units: Units) -> int:
    """The exact sum of squares; units must lie within 32 bits."""
    high, low = np.divmod(units.astype(np.int64) ** 2, 1 << 32)
    return (int(high.sum()) << 32) + int(low.sum())


def mean_of_units(total: Units, norm: float, owners: int) -> NDArray[np.float64]:
    """A sum in units as the mean of so many owners' changes, by elementwise IEEE 754 float64."""
    return total.astype(np.float64) * (norm / (NORM * owners))
