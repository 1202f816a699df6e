# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A pool of two coins that are worth about the same
@license Apache-2.0
@author Koinon
@notice Curve's invariant for two coins: Ann (x + y) + D = Ann D + D**3 / (4 x y), with Ann = 2 A as in Curve's pools and
        both balances in units of 18 decimals. Almost flat near balance, steep far from it.
        Whoever trades gets what the invariant allows, rounded down: D is bounded from above, and what must stay in the
        pool is the exact root of a quadratic equation, rounded up.
        A coin that loses its worth takes the whole pool's worth with it: that is what the shares bear.
@dev A never changes and nobody owns this contract.
@custom:source Egorov, StableSwap, 2019
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from interfaces import IPool

import liquidity_token
import two_coins

implements: IERC20
implements: IPool

initializes: liquidity_token
initializes: two_coins[liquidity_token := liquidity_token]

exports: (
    liquidity_token.name,
    liquidity_token.symbol,
    liquidity_token.decimals,
    liquidity_token.totalSupply,
    liquidity_token.balanceOf,
    liquidity_token.allowance,
    liquidity_token.nonces,
    liquidity_token.transfer,
    liquidity_token.transferFrom,
    liquidity_token.approve,
    liquidity_token.permit,
    liquidity_token.DOMAIN_SEPARATOR,
    liquidity_token.PERMIT_TYPEHASH,
    two_coins.MINIMUM_LIQUIDITY,
    two_coins.token0,
    two_coins.token1,
    two_coins.fee_ppm,
    two_coins.reserves,
    two_coins.add_liquidity,
    two_coins.remove_liquidity,
    two_coins.sync,
)


kind: public(constant(String[8])) = "stable"
MAX_A: constant(uint256) = 100_000
MAX_BALANCE: constant(uint256) = 2**100  # in units of 18 decimals: a million million coins

A: public(immutable(uint256))
scale0: public(immutable(uint256))
scale1: public(immutable(uint256))


@deploy
def __init__(token0_: address, token1_: address, A_: uint256, fee_ppm_: uint256):
    """
    @notice A pool without liquidity.
    @param token0_ One coin.
    @param token1_ The other.
    @param A_ Amplification, 1 to 100,000: how flat the price stays. Curve's number, n**(n - 1) times the paper's.
    @param fee_ppm_ The fee in 1e-6 of what comes in, at most 10 %.
    """
    assert A_ > 0 and A_ <= MAX_A, "amplification out of range"
    two_coins.__init__(token0_, token1_, fee_ppm_)
    A = A_
    decimals0: uint8 = staticcall IERC20Detailed(token0_).decimals()
    decimals1: uint8 = staticcall IERC20Detailed(token1_).decimals()
    assert decimals0 <= 18 and decimals1 <= 18, "coin with more than 18 decimals"
    scale0 = 10 ** convert(18 - decimals0, uint256)
    scale1 = 10 ** convert(18 - decimals1, uint256)


@external
@view
@nonreentrant
def getAmountOut(amount_in: uint256, token_in: address) -> uint256:
    """
    @notice What a swap pays now.
    @param amount_in What comes in, fee included.
    @param token_in The coin that comes in.
    @return What goes out of the other coin.
    """
    reserve_in: uint256 = 0
    reserve_out: uint256 = 0
    reserve_in, reserve_out = two_coins._ordered(token_in)
    return self._amount_out(amount_in, token_in, reserve_in, reserve_out)


@external
@nonreentrant
def swap_exact(token_in: address, amount_in: uint256, minimum_out: uint256, to: address) -> uint256:
    """
    @notice Swap exactly `amount_in`, paid ahead or taken from the caller.
    @param token_in The coin that comes in.
    @param amount_in How much of it, fee included.
    @param minimum_out It reverts when less goes out.
    @param to Who gets the other coin.
    @return How much of it.
    """
    reserve_in: uint256 = 0
    reserve_out: uint256 = 0
    reserve_in, reserve_out = two_coins._ordered(token_in)
    two_coins._take(token_in, amount_in, reserve_in)
    amount_out: uint256 = self._amount_out(amount_in, token_in, reserve_in, reserve_out)
    two_coins._give(token_in, amount_in, reserve_in, amount_out, reserve_out, minimum_out, to)
    return amount_out


@external
@view
@nonreentrant
def invariant_D() -> uint256:
    """
    @notice The invariant: the worth of both reserves at balance, in units of 18 decimals; at most 1 below the root,
            and far out of balance a few units above.
    """
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    reserve0, reserve1 = two_coins._ordered(two_coins.token0)
    return self._invariant(reserve0 * scale0, reserve1 * scale1)


@internal
@view
def _amount_out(amount_in: uint256, token_in: address, reserve_in: uint256, reserve_out: uint256) -> uint256:
    scale_in: uint256 = scale0
    scale_out: uint256 = scale1
    if token_in != two_coins.token0:
        scale_in = scale1
        scale_out = scale0
    x: uint256 = reserve_in * scale_in
    y: uint256 = reserve_out * scale_out
    paid: uint256 = two_coins._less_fee(amount_in) * scale_in
    assert x + paid <= MAX_BALANCE and y <= MAX_BALANCE, "pool would be too large"
    stays: uint256 = self._other(self._invariant(x, y) + 2, x + paid)
    return (y - stays) // scale_out if y > stays else 0


@internal
@pure
def _cube_over(total: uint256, x: uint256) -> uint256:
    """
    @dev total * total / (2 x), rounded down: a factor of D**3 / (4 x y).
    """
    return total * total // (2 * x)


@internal
@view
def _invariant(x: uint256, y: uint256) -> uint256:
    """
    @dev D by Newton's method from x + y, from where it falls to at most 1 below the root. Where the pool is far out of
         balance it may stop a few units above, which is for the pool.
    """
    ann: uint256 = 2 * A
    total: uint256 = x + y
    current: uint256 = total
    for _: uint256 in range(255):
        cubed: uint256 = self._cube_over(current, x) * current // (2 * y)
        following: uint256 = (ann * total + 2 * cubed) * current // ((ann - 1) * current + 3 * cubed)
        if following >= current or current - following == 1:
            return min(following, current)
        current = following
    raise "invariant does not converge"


@internal
@view
def _other(invariant: uint256, x: uint256) -> uint256:
    """
    @dev What must stay of one coin when there are `x` of the other: the positive root of
         y**2 + (x + D / Ann - D) y = D**3 / (4 Ann x), rounded up.
    """
    ann: uint256 = 2 * A
    linear: int256 = convert(x + invariant // ann, int256) - convert(invariant, int256)
    # Twice the root's square needs 4 times the right side: D**3 / (Ann x), each division rounded up.
    constant_term: uint256 = two_coins._ceil(two_coins._ceil(invariant * invariant, x) * invariant, ann)
    square: uint256 = convert(linear * linear, uint256) + constant_term
    root: uint256 = isqrt(square)
    if root * root < square:
        root += 1
    return (convert(convert(root, int256) - linear, uint256) + 1) // 2
