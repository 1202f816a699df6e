# SPDX-License-Identifier: Apache-2.0
"""Arithmetic whose results are the same bits in any order, in any batch and on any processor.

Values are integers that stand for multiples of 2^-18, probabilities for multiples of 2^-30. Sums of products
are left to the matrix product of float64: every product and partial sum is a whole number below 2^53, so
nothing is ever rounded and the order of addition, which batches, threads and processors choose differently,
cannot matter. Everything else is integer arithmetic, or one operation of IEEE 754 at a time, which the
standard fixes to the bit. Exponentials come from tables made with decimal arithmetic.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

FRACTION: Final = 18
ONE: Final = 1 << FRACTION
SHARE_BITS: Final = 30
WHOLE: Final = 1 << SHARE_BITS
"""A probability of 1."""
LARGEST_SUM: Final = 1 << 52
"""Sums of products stay below it, so that float64 holds them and their rounding exactly."""
MILLION: Final = 1_000_000

_LONGEST_EXPONENT: Final = 22
"""e^-22 is less than 2^-30 after rounding to nearest, and taken for 0."""
_STEP_BITS: Final = 10
_EXACT: Final = Context(prec=40, rounding=ROUND_HALF_EVEN)
_LOG_BITS: Final = 24
_LN2_BITS: Final = 28
_LN2: Final = int(
    _EXACT.multiply(Decimal(2).ln(_EXACT), Decimal(1 << _LN2_BITS)).to_integral_value(ROUND_HALF_EVEN)
)


def to_fixed(values: Floats, largest: int) -> Integers:
    """Multiples of 2^-18 nearest to ``values`` (halves upwards), kept within ±``largest`` (below 2^31)."""
    within = np.clip(values, -float(largest), float(largest))
    result: Integers = np.floor(within * float(ONE) + 0.5).astype(np.int64)
    return result


def shifted(values: Integers, bits: int) -> Integers:
    """``values`` / 2^``bits``, rounded to nearest, halves upwards."""
    return (values + (1 << (bits - 1))) >> bits


def products(rows: Integers, weights: Integers, biases: Integers) -> Integers:
    """``rows @ weights + biases``: (n, d), (d, k), (k,) to (n, k).

    The caller has made sure, by `bound`, that every sum of magnitudes is below `LARGEST_SUM`.
    """
    exact = rows.astype(np.float64) @ weights.astype(np.float64)
    return exact.astype(np.int64) + biases


def bound(largest: list[int], weights: Integers, biases: Integers) -> list[int]:
    """The largest magnitude that each output of `products` can have, for inputs up to ``largest`` (d,)."""
    columns = np.abs(weights).T.tolist()
    return [
        sum(weight * limit for weight, limit in zip(column, largest, strict=True)) + abs(bias)
        for column, bias in zip(columns, biases.tolist(), strict=True)
    ]


def exponential(values: Integers) -> Integers:
    """e^-v in multiples of 2^-30, of v >= 0."""
    whole_table, step_table = _exponentials()
    whole = np.minimum(values >> FRACTION, _LONGEST_EXPONENT)
    rest = values & (ONE - 1)
    between = FRACTION - _STEP_BITS
    step, into = rest >> between, rest & ((1 << between) - 1)
    upper = step_table[step]
    fraction = upper - shifted((upper - step_table[step + 1]) * into, between)
    return shifted(whole_table[whole] * fraction, SHARE_BITS)


def logistic(values: Integers) -> Integers:
    """1 / (1 + e^-v) in multiples of 2^-30."""
    divisor = WHOLE + exponential(np.abs(values))
    above = ((1 << (2 * SHARE_BITS)) + (divisor >> 1)) // divisor
    return np.where(values < 0, WHOLE - above, above)


def tanh(values: Integers) -> Integers:
    """Hyperbolic tangent."""
    falling = exponential(2 * np.abs(values))
    divisor = WHOLE + falling
    found = (((WHOLE - falling) << FRACTION) + (divisor >> 1)) // divisor
    return np.where(values < 0, -found, found)


def softmax(values: Integers) -> Integers:
    """Shares of each row, (n, k), in multiples of 2^-30; they add up to 1 within k roundings."""
    powers = exponential(values.max(axis=1, keepdims=True) - values)
    total = powers.sum(axis=1, keepdims=True)
    result: Integers = ((powers << SHARE_BITS) + (total >> 1)) // total
    return result


def signed_log(values: Floats) -> Floats:
    """sign(v) · ln(1 + |v|), to a multiple of about 2^-24, of finite numbers.

    The logarithm to base 2 is taken bit by bit, by squaring the mantissa.
    """
    mantissa, exponent = np.frexp(1.0 + np.abs(values))
    square = np.floor(mantissa * float(2 * WHOLE)).astype(np.int64)
    digits = np.zeros_like(square)
    for _ in range(_LOG_BITS):
        square = (square * square) >> SHARE_BITS
        over = square >> (SHARE_BITS + 1)
        square >>= over
        digits = 2 * digits + over
    base_two = ((exponent.astype(np.int64) - 1) << _LOG_BITS) + digits
    natural = shifted(base_two * _LN2, _LN2_BITS).astype(np.float64) / float(1 << _LOG_BITS)
    result: Floats = np.sign(values) * natural
    return result


def millionths(shares: Integers) -> Integers:
    """Probabilities as whole millionths."""
    return shifted(shares * MILLION, SHARE_BITS)


@cache
def _exponentials() -> tuple[Integers, Integers]:
    """e^-i for whole i, and e^-(j/1024) for steps of the unit interval, in multiples of 2^-30."""
    whole = [_rounded(Decimal(-i).exp(_EXACT)) for i in range(_LONGEST_EXPONENT)] + [0]
    steps = [
        _rounded(_EXACT.divide(Decimal(-j), Decimal(1 << _STEP_BITS)).exp(_EXACT))
        for j in range((1 << _STEP_BITS) + 1)
    ]
    return np.array(whole, dtype=np.int64), np.array(steps, dtype=np.int64)


def _rounded(value: Decimal) -> int:
    return int(_EXACT.multiply(value, Decimal(WHOLE)).to_integral_value(ROUND_HALF_EVEN))
