# SPDX-License-Identifier: Apache-2.0
"""What stable and weighted pools should pay, from their formulas with 150 digits, not from the contracts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")


def precise(function: Callable[P, Decimal]) -> Callable[P, Decimal]:
    """With 150 digits."""

    @wraps(function)
    def computed(*arguments: P.args, **named: P.kwargs) -> Decimal:
        with localcontext(Context(prec=150)):
            return function(*arguments, **named)

    return computed


def after_fee(amount_in: int, fee_ppm: int) -> int:
    """What counts of what comes in."""
    return amount_in * (1_000_000 - fee_ppm) // 1_000_000


@precise
def stable_invariant(x: int, y: int, a: int) -> Decimal:
    """The root D of 2 a (x + y) + D = 2 a D + D**3 / (4 x y), by bisection."""
    ann = Decimal(2 * a)

    def excess(d: Decimal) -> Decimal:
        return ann * d + d**3 / (4 * Decimal(x) * y) - ann * (x + y) - d

    low, high = Decimal(0), Decimal(x + y)
    for _ in range(420):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return low


@precise
def stable_other(d: Decimal, x: int, a: int) -> Decimal:
    """The balance y that goes with x at the invariant D."""
    ann = Decimal(2 * a)
    linear = x + d / ann - d
    constant = d**3 / (4 * ann * x)
    return ((linear**2 + 4 * constant).sqrt() - linear) / 2


@precise
def stable_out(
    amount_in: int,
    reserves: tuple[int, int],
    scales: tuple[int, int],
    a: int,
    fee_ppm: int,
    raised: int = 0,
) -> Decimal:
    """What goes out, in units of the other coin; with D ``raised`` as a pool that errs would."""
    x, y = (reserve * scale for reserve, scale in zip(reserves, scales, strict=True))
    d = stable_invariant(x, y, a) + raised
    paid = after_fee(amount_in, fee_ppm) * scales[0]
    return (y - stable_other(d, x + paid, a)) / scales[1]


@precise
def weighted_out(amount_in: int, reserves: tuple[int, int], weight_in: int, fee_ppm: int) -> Decimal:
    """What goes out: y (1 - (x / (x + paid)) ** (weight_in / weight_out))."""
    x, y = map(Decimal, reserves)
    ratio = x / (x + after_fee(amount_in, fee_ppm))
    return y * (1 - (ratio.ln() * weight_in / (100 - weight_in)).exp())
