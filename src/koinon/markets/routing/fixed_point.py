# SPDX-License-Identifier: Apache-2.0
"""Powers of fractions in binary fixed point, rounded up: ``weighted_math.vy`` to the last bit."""

from __future__ import annotations

from typing import Final

BITS: Final = 120
_ONE: Final = 1 << BITS
_LN2: Final = 921350637599661305226344307672478454  # ln 2 times 2**120, rounded down
_MARGIN_BITS: Final = 96
_LONGEST_SERIES: Final = 64


def power_up(numerator: int, denominator: int, weight: int, base_weight: int) -> int:
    """``(numerator / denominator) ** (weight / base_weight)`` times 2**120, rounded up, at most 2**120, for
    ``0 < numerator <= denominator``."""
    exponent = _minus_log(numerator, denominator) * weight // base_weight
    power = _exp_minus(max(exponent, 0))
    return min(power + (power >> _MARGIN_BITS) + 1, _ONE)


def _minus_log(numerator: int, denominator: int) -> int:
    twos, scaled = 0, numerator
    for bits in (64, 32, 16, 8, 4, 2, 1):
        if scaled << bits <= denominator:
            scaled <<= bits
            twos += bits
    if scaled * 99 < denominator * 70:
        scaled <<= 1
        twos += 1
    z = towards_zero((denominator - scaled) << BITS, denominator + scaled)
    square = (z * z) >> BITS
    term, total, odd = z, 0, 1
    for _ in range(_LONGEST_SERIES):
        total += towards_zero(term, odd)
        term = towards_zero(term * square, _ONE)
        odd += 2
        if term == 0:
            break
    return twos * _LN2 + 2 * total


def _exp_minus(exponent: int) -> int:
    twos = exponent // _LN2
    remainder = exponent - twos * _LN2
    term = total = _ONE
    for count in range(1, _LONGEST_SERIES + 1):
        term = -towards_zero(term * remainder, _ONE * count)
        if term == 0:
            break
        total += term
    return total >> twos


def towards_zero(numerator: int, denominator: int) -> int:
    """Division of whole numbers as the EVM's signed one: towards zero."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient
