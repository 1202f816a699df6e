# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Powers of fractions, rounded up
@license Apache-2.0
@author Koinon
@notice Binary fixed point with 120 fractional bits. The logarithm is 2 artanh((1 - m) / (1 + m)) of a fraction m between
        0.7 and 1.42, times a power of two; the exponential function is Taylor's of a remainder below ln 2. With weights
        of at most 99 to 1 both together leave less than 2**-104 of the result, which is raised by 2**-96 of itself and
        one unit.
"""

BITS: constant(uint256) = 120
ONE: constant(int256) = 2**120
LN2: constant(int256) = 921350637599661305226344307672478454  # ln 2 times 2**120, rounded down
MARGIN_BITS: constant(uint256) = 96
LONGEST_SERIES: constant(uint256) = 64


@internal
@pure
def _power_up(numerator: uint256, denominator: uint256, weight: int256, base_weight: int256) -> uint256:
    """
    @dev (numerator / denominator) ** (weight / base_weight) times 2**120, rounded up, at most 2**120.
         The fraction is above 0 and at most 1, both numbers below 2**113; weights are from 1 to 99.
    """
    exponent: int256 = self._minus_log(numerator, denominator) * weight // base_weight
    power: uint256 = self._exp_minus(max(exponent, 0))
    return min(power + (power >> MARGIN_BITS) + 1, convert(ONE, uint256))


@internal
@pure
def _minus_log(numerator: uint256, denominator: uint256) -> int256:
    """
    @dev -ln(numerator / denominator) times 2**120.
    """
    twos: int256 = 0
    scaled: uint256 = numerator
    for bits: uint256 in [64, 32, 16, 8, 4, 2, 1]:
        if scaled << bits <= denominator:
            scaled <<= bits
            twos += convert(bits, int256)
    # scaled / denominator is above 1/2 and at most 1; below 70/99, the root of 1/2, it is doubled once more.
    if scaled * 99 < denominator * 70:
        scaled <<= 1
        twos += 1
    difference: int256 = convert(denominator, int256) - convert(scaled, int256)
    z: int256 = (difference << BITS) // convert(denominator + scaled, int256)
    square: int256 = (z * z) >> BITS
    term: int256 = z
    total: int256 = 0
    odd: int256 = 1
    for _: uint256 in range(LONGEST_SERIES):
        total += term // odd
        term = (term * square) // ONE
        odd += 2
        if term == 0:
            break
    return twos * LN2 + 2 * total


@internal
@pure
def _exp_minus(exponent: int256) -> uint256:
    """
    @dev exp(-exponent / 2**120) times 2**120 for an exponent of at least 0.
    """
    twos: int256 = exponent // LN2
    remainder: int256 = exponent - twos * LN2
    term: int256 = ONE
    total: int256 = ONE
    count: int256 = 1
    for _: uint256 in range(LONGEST_SERIES):
        term = -(term * remainder) // (ONE * count)
        if term == 0:
            break
        total += term
        count += 1
    return convert(total, uint256) >> convert(twos, uint256)
