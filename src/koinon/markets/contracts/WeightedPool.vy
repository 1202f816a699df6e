# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A pool of two coins of unequal weight
@license Apache-2.0
@author Koinon
@notice Balancer's invariant for two coins: x**weight0 * y**weight1 stays. What goes out for `amount_in` is
        y (1 - (x / (x + amount_in)) ** (weight_in / weight_out)), with the power rounded up and the product down, so
        that rounding is always for the pool.
@dev Weights never change and nobody owns this contract.
@custom:source Martinelli, Mushegian, Balancer, 2019
"""

from ethereum.ercs import IERC20
from interfaces import IPool

import liquidity_token
import two_coins
import weighted_math

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


kind: public(constant(String[8])) = "weighted"

weight0: public(immutable(uint256))
weight1: public(immutable(uint256))


@deploy
def __init__(token0_: address, token1_: address, weight0_: uint256, fee_ppm_: uint256):
    """
    @notice A pool without liquidity.
    @param token0_ One coin.
    @param token1_ The other.
    @param weight0_ The weight of token0 in percent, 1 to 99; token1 has the rest.
    @param fee_ppm_ The fee in 1e-6 of what comes in, at most 10 %.
    """
    assert weight0_ > 0 and weight0_ < 100, "weight out of range"
    two_coins.__init__(token0_, token1_, fee_ppm_)
    weight0 = weight0_
    weight1 = 100 - weight0_


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


@internal
@view
def _amount_out(amount_in: uint256, token_in: address, reserve_in: uint256, reserve_out: uint256) -> uint256:
    weight_in: uint256 = weight0
    if token_in != two_coins.token0:
        weight_in = weight1
    assert amount_in <= two_coins.MAX_RESERVE - reserve_in, "pool would be too large"
    stays: uint256 = weighted_math._power_up(
        reserve_in,
        reserve_in + two_coins._less_fee(amount_in),
        convert(weight_in, int256),
        convert(100 - weight_in, int256),
    )
    # Of 2**120; the reserve is below 2**112.
    return reserve_out * (2**120 - stays) >> 120
