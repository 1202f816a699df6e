# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Points of secp256k1, as far as the ecrecover precompile goes
@dev The precompile gives the address of r^-1 (s R - e G): with e = 0 and s = k r that of k R, for any R whose
     abscissa is r. Every point of this curve but the neutral one has the same prime order: none is weak.
@custom:source SEC 2, section 2.4.1
"""

PRIME: constant(uint256) = 115792089237316195423570985008687907853269984665640564039457584007908834671663
ORDER: constant(uint256) = 115792089237316195423570985008687907852837564279074904382605163141518161494337
# The base point's abscissa; its ordinate is even.
BASE: constant(uint256) = 55066263022277343669578718895168534326250603453777594175500187360389116729240


struct Point:
    x: uint256
    y: uint256


@internal
@pure
def _is_point(point: Point) -> bool:
    """
    @dev Whether y² = x³ + 7, both below the prime.
    """
    if point.x >= PRIME or point.y >= PRIME:
        return False
    cube: uint256 = uint256_mulmod(uint256_mulmod(point.x, point.x, PRIME), point.x, PRIME)
    return uint256_mulmod(point.y, point.y, PRIME) == uint256_addmod(cube, 7, PRIME)


@internal
@pure
def _address(point: Point) -> address:
    """
    @dev The account of a public key.
    """
    hashed: uint256 = convert(keccak256(abi_encode(point)), uint256)
    return convert(hashed & convert(max_value(uint160), uint256), address)


@internal
@view
def _public(secret: uint256) -> address:
    """
    @dev The account of a secret key; zero when it is none.
    """
    return self._times(secret, BASE, False)


@internal
@view
def _times(factor: uint256, x: uint256, odd: bool) -> address:
    """
    @dev The account of a point's multiple; zero when there is no such point, or none below the order.
    """
    if factor == 0 or factor >= ORDER or x == 0 or x >= ORDER:
        return empty(address)
    return ecrecover(empty(bytes32), 27 + convert(odd, uint256), x, uint256_mulmod(factor, x, ORDER))
