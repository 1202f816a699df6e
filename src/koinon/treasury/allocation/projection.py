# SPDX-License-Identifier: Apache-2.0
"""The nearest weights that a vault's bounds allow: a small convex problem, solved exactly by bisection.

minimise the squared distance to the wanted weights, subject to each slot's bounds, to what must stay idle,
and to the turnover that is left. Both sums are priced by one multiplier each; for given prices every weight
is found by itself (soft threshold, then clip), and each sum falls as its price rises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

Floats = NDArray[np.float64]

WHOLE_BPS: Final = 10_000
_STEPS: Final = 60
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True)
class Box:
    """What a vault allows, each a part of what it holds.

    ``low`` and ``high`` one a slot; ``idle`` the least that stays idle; ``turnover`` the most that may be
    bought plus sold now.
    """

    low: Floats
    high: Floats
    idle: float
    turnover: float


def project(wanted: Floats, held: Floats, box: Box) -> Floats:
    """The nearest allowed weights to ``wanted``, from what is ``held`` (parts of what the vault holds).

    Raises
    ------
    BadInput
        Nothing is allowed: the bounds ask for more turnover than there is.
    """
    limit = 1.0 - box.idle
    if box.low.sum() > limit + _TOLERANCE:
        raise BadInput("The floors are more than the whole.", code="treasury.bounds")

    def within_sum(penalty: float) -> Floats:
        def at(price: float) -> Floats:
            pull = wanted - price - held
            moved = np.sign(pull) * np.maximum(np.abs(pull) - penalty, 0.0)
            return np.asarray(np.clip(held + moved, box.low, box.high))

        if at(0.0).sum() <= limit:
            return at(0.0)
        least, most = 0.0, 4.0 + penalty
        for _ in range(_STEPS):
            middle = (least + most) / 2
            least, most = (middle, most) if at(middle).sum() > limit else (least, middle)
        return at(most)

    def turnover(weights: Floats) -> float:
        return float(np.abs(weights - held).sum())

    found = within_sum(0.0)
    if turnover(found) <= box.turnover + _TOLERANCE:
        return found
    least, most = 0.0, 4.0
    if turnover(within_sum(most)) > box.turnover + _TOLERANCE:
        needed = turnover(within_sum(most))
        raise BadInput(
            f"To be within the bounds, {needed:.2%} must be moved; {box.turnover:.2%} may be.",
            hint="Wait for the next epoch, or let the manager allow more turnover.",
            code="treasury.turnover",
        )
    for _ in range(_STEPS):
        middle = (least + most) / 2
        least, most = (middle, most) if turnover(within_sum(middle)) > box.turnover else (least, middle)
    return within_sum(most)


def to_bps(weights: Floats, held: Floats) -> list[int]:
    """Whole basis points, rounded towards what is held: so that rounding never asks for more turnover."""
    scaled, now = weights * WHOLE_BPS, held * WHOLE_BPS
    down = np.floor(scaled + 1e-6)
    return [int(each) for each in np.where(scaled >= now, down, np.ceil(scaled - 1e-6))]
