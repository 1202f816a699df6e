# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title The books of a pool of two coins
@license Apache-2.0
@author Koinon
@notice What stable and weighted pools share: reserves, shares (ERC-20), liquidity in and out in proportion to the
        reserves, and swaps in two halves, between which the pool says its price. The fee is taken of what comes in and
        stays in the pool.
        - Coins paid in ahead of a call count as paid (so that pools pass coins on to each other); what is missing is
          taken from the caller, who allowed it. Coins left in the pool by mistake go to whoever swaps next.
        - Reserves are the pool's own books, so a gift moves no price until `sync`.
        - While a call runs, nobody can read reserves or prices here, so nobody can be shown false ones.
        - The first shares are fewer by MINIMUM_LIQUIDITY, which nobody can ever redeem.
"""

from ethereum.ercs import IERC20
from interfaces import IPool
from koinon.works.contracts import erc20_transfers

import liquidity_token

uses: liquidity_token

MINIMUM_LIQUIDITY: public(constant(uint256)) = 1_000
MAX_RESERVE: constant(uint256) = 2**112 - 1
PPM: constant(uint256) = 1_000_000

token0: public(immutable(address))
token1: public(immutable(address))
fee_ppm: public(immutable(uint256))

_reserve0: uint256
_reserve1: uint256


@deploy
def __init__(token0_: address, token1_: address, fee_ppm_: uint256):
    """
    @param token0_ One coin.
    @param token1_ The other.
    @param fee_ppm_ The fee in 1e-6 of what comes in, at most 10 %.
    """
    assert token0_ != token1_, "the same coin twice"
    assert token0_ != empty(address) and token1_ != empty(address), "coin missing"
    assert fee_ppm_ <= PPM // 10, "fee above 10 %"
    token0 = token0_
    token1 = token1_
    fee_ppm = fee_ppm_


@external
@view
@nonreentrant
def reserves() -> (uint256, uint256):
    """
    @return What the pool holds of each coin by its own books.
    """
    return self._reserve0, self._reserve1


@external
@nonreentrant
def add_liquidity(amount0: uint256, amount1: uint256, minimum_shares: uint256, to: address) -> uint256:
    """
    @notice Pay in both coins in proportion to the reserves; the first to do so sets the proportion.
    @param amount0 The most to pay of token0.
    @param amount1 The most to pay of token1.
    @param minimum_shares It reverts for fewer.
    @param to Who gets the shares.
    @return How many.
    """
    supply: uint256 = liquidity_token.totalSupply
    reserve0: uint256 = self._reserve0
    reserve1: uint256 = self._reserve1
    assert amount0 <= MAX_RESERVE and amount1 <= MAX_RESERVE, "pool would be too large"
    paid0: uint256 = amount0
    paid1: uint256 = amount1
    shares: uint256 = 0
    if supply == 0:
        root: uint256 = isqrt(amount0 * amount1)
        assert root > MINIMUM_LIQUIDITY, "too little liquidity"
        shares = root - MINIMUM_LIQUIDITY
        liquidity_token._mint(empty(address), MINIMUM_LIQUIDITY)
    else:
        assert reserve0 > 0 and reserve1 > 0, "pool is empty"
        shares = min(amount0 * supply // reserve0, amount1 * supply // reserve1)
        # Rounded up, so that nobody's shares lose by others' coming.
        paid0 = self._ceil(shares * reserve0, supply)
        paid1 = self._ceil(shares * reserve1, supply)
    assert shares > 0 and shares >= minimum_shares, "too few shares"
    erc20_transfers._collect(token0, msg.sender, self, paid0)
    erc20_transfers._collect(token1, msg.sender, self, paid1)
    self._book(reserve0 + paid0, reserve1 + paid1)
    liquidity_token._mint(to, shares)
    log IPool.LiquidityAdded(sender=msg.sender, amount0=paid0, amount1=paid1, shares=shares, to=to)
    return shares


@external
@nonreentrant
def remove_liquidity(shares: uint256, minimum0: uint256, minimum1: uint256, to: address) -> (uint256, uint256):
    """
    @notice Redeem shares of the caller for their part of both reserves.
    @param shares How many.
    @param minimum0 It reverts when less of token0 comes out.
    @param minimum1 It reverts when less of token1 comes out.
    @param to Who gets the coins.
    @return What was paid of each coin.
    """
    supply: uint256 = liquidity_token.totalSupply
    assert shares > 0 and shares <= liquidity_token.balanceOf[msg.sender], "not so many shares"
    reserve0: uint256 = self._reserve0
    reserve1: uint256 = self._reserve1
    amount0: uint256 = shares * reserve0 // supply
    amount1: uint256 = shares * reserve1 // supply
    assert amount0 >= minimum0 and amount1 >= minimum1, "less than the minimum"
    liquidity_token._burn(msg.sender, shares)
    self._book(reserve0 - amount0, reserve1 - amount1)
    erc20_transfers._pay(token0, to, amount0)
    erc20_transfers._pay(token1, to, amount1)
    log IPool.LiquidityRemoved(sender=msg.sender, amount0=amount0, amount1=amount1, shares=shares, to=to)
    return amount0, amount1


@external
@nonreentrant
def sync():
    """
    @notice Set the books to what the pool holds: for coins whose balances change by themselves. Anyone may.
    """
    self._book(staticcall IERC20(token0).balanceOf(self), staticcall IERC20(token1).balanceOf(self))
    log IPool.Synced(reserve0=self._reserve0, reserve1=self._reserve1)


@internal
@view
def _ordered(token_in: address) -> (uint256, uint256):
    """
    @dev The reserves of the coin that comes in and of the one that goes out.
    """
    assert token_in == token0 or token_in == token1, "coin is not in the pool"
    assert self._reserve0 > 0 and self._reserve1 > 0, "pool is empty"
    if token_in == token0:
        return self._reserve0, self._reserve1
    return self._reserve1, self._reserve0


@internal
@view
def _less_fee(amount_in: uint256) -> uint256:
    """
    @dev What counts of an amount that comes in, rounded down.
    """
    return amount_in * (PPM - fee_ppm) // PPM


@internal
def _take(token_in: address, amount_in: uint256, reserve_in: uint256):
    """
    @dev First half of a swap: make sure that `amount_in` is there beyond the books.
    """
    assert amount_in > 0, "nothing paid in"
    there: uint256 = staticcall IERC20(token_in).balanceOf(self)
    assert there >= reserve_in, "coin lost balance: sync first"
    ahead: uint256 = there - reserve_in
    if ahead < amount_in:
        erc20_transfers._collect(token_in, msg.sender, self, amount_in - ahead)


@internal
def _give(
    token_in: address,
    amount_in: uint256,
    reserve_in: uint256,
    amount_out: uint256,
    reserve_out: uint256,
    minimum_out: uint256,
    to: address,
):
    """
    @dev Second half of a swap: book it and pay.
    """
    assert amount_out > 0 and amount_out >= minimum_out, "less than the minimum"
    token_out: address = token0
    if token_in == token0:
        token_out = token1
        self._book(reserve_in + amount_in, reserve_out - amount_out)
    else:
        self._book(reserve_out - amount_out, reserve_in + amount_in)
    erc20_transfers._pay(token_out, to, amount_out)
    log IPool.Swapped(
        sender=msg.sender, token_in=token_in, amount_in=amount_in, amount_out=amount_out, to=to
    )


@internal
def _book(reserve0: uint256, reserve1: uint256):
    assert reserve0 <= MAX_RESERVE and reserve1 <= MAX_RESERVE, "pool would be too large"
    self._reserve0 = reserve0
    self._reserve1 = reserve1


@internal
@pure
def _ceil(numerator: uint256, denominator: uint256) -> uint256:
    """
    @dev Division rounded up.
    """
    return numerator // denominator + convert(numerator % denominator != 0, uint256)
