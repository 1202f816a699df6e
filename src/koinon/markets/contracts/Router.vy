# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Orders and arbitrage across pools, in one transaction or not at all
@license Apache-2.0
@author Koinon
@notice A hop goes through one pool: a pair with Uniswap V2's ABI, with its fee named in the hop (3,000 for Koinon's), or,
        where that is 0, a pool that prices itself (`getAmountOut`, `swap_exact`). Coins go from the caller to the first
        pool and from pool to pool; the last one pays the receiver.
        - The router holds nothing between calls and takes coins from its caller only, within that allowance. What is
          left here by mistake is anyone's.
        - Pools and tokens are whatever the caller names: false ones can waste the caller's amount, which `minimum_out`
          and `minimum_profit` bound by what the receiver's balance really grew. Nobody else's coins are in reach.
        - Fees that a token takes are counted by what arrived at each pool.
@dev Nobody owns this contract. It has no storage besides a lock; what a flash swap must call back with is transient.
"""

from ethereum.ercs import IERC20
from interfaces import IPair
from interfaces import IPool
from interfaces import IRouter
from interfaces import IUniswapV2Callee
from koinon.works.contracts import erc20_transfers

implements: IRouter


MAX_HOPS: constant(uint256) = 8
MAX_ROUTES: constant(uint256) = 16
PPM: constant(uint256) = 1_000_000

_awaited: transient(bytes32)  # keccak256 of the pair that may call back, and of what it must bring


# --------------------------------------------------------------------------------------------- orders


@external
@nonreentrant
def swap_along(
    hops: DynArray[IRouter.Hop, MAX_HOPS], amount_in: uint256, minimum_out: uint256, deadline: uint256, to: address
) -> uint256:
    """
    @notice Swap along one route.
    @param hops The pools in order, each with the coin it takes and the one it gives.
    @param amount_in What is taken from the caller of the first coin.
    @param minimum_out It reverts when the receiver's balance of the last coin grows by less.
    @param deadline The last second to carry it out, unix time.
    @param to Who is paid.
    @return By how much the receiver's balance grew.
    """
    self._begin(deadline, to)
    self._check(hops)
    token_out: address = hops[len(hops) - 1].token_out
    before: uint256 = staticcall IERC20(token_out).balanceOf(to)
    self._enter(hops[0], amount_in)
    self._walk(hops, 0, to)
    return self._settle(hops[0].token_in, token_out, amount_in, before, minimum_out, to)


@external
@nonreentrant
def swap_split(
    routes: DynArray[IRouter.Route, MAX_ROUTES], minimum_out: uint256, deadline: uint256, to: address
) -> uint256:
    """
    @notice Swap along several routes from one coin to another, one after the other.
    @param routes Each with its part of the amount.
    @param minimum_out It reverts when the receiver's balance grows by less in all.
    @param deadline The last second to carry it out, unix time.
    @param to Who is paid.
    @return By how much the receiver's balance grew.
    """
    self._begin(deadline, to)
    assert len(routes) > 0, "no routes"
    self._check(routes[0].hops)
    token_in: address = routes[0].hops[0].token_in
    token_out: address = routes[0].hops[len(routes[0].hops) - 1].token_out
    before: uint256 = staticcall IERC20(token_out).balanceOf(to)
    amount_in: uint256 = 0
    for index: uint256 in range(len(routes), bound=MAX_ROUTES):
        hops: DynArray[IRouter.Hop, MAX_HOPS] = routes[index].hops
        self._check(hops)
        assert hops[0].token_in == token_in, "routes begin differently"
        assert hops[len(hops) - 1].token_out == token_out, "routes end differently"
        amount_in += routes[index].amount_in
        self._enter(hops[0], routes[index].amount_in)
        self._walk(hops, 0, to)
    return self._settle(token_in, token_out, amount_in, before, minimum_out, to)


@external
@view
def quote(hops: DynArray[IRouter.Hop, MAX_HOPS], amount_in: uint256) -> uint256:
    """
    @notice What a route would pay now, for pools that occur in it once and tokens that take no fee.
    @param hops The route.
    @param amount_in What comes in.
    @return What would go out.
    """
    self._check(hops)
    amount: uint256 = amount_in
    for index: uint256 in range(len(hops), bound=MAX_HOPS):
        hop: IRouter.Hop = hops[index]
        if hop.pair_fee_ppm == 0:
            amount = staticcall IPool(hop.pool).getAmountOut(amount, hop.token_in)
        else:
            reserve_in: uint256 = 0
            reserve_out: uint256 = 0
            reserve_in, reserve_out = self._pair_reserves(hop)
            amount = self._pair_amount_out(amount, reserve_in, reserve_out, hop.pair_fee_ppm)
    return amount


# --------------------------------------------------------------------------------------------- liquidity


@external
@nonreentrant
def add_liquidity(
    pair: address,
    amount0: uint256,
    amount1: uint256,
    minimum0: uint256,
    minimum1: uint256,
    minimum_shares: uint256,
    deadline: uint256,
    to: address,
) -> uint256:
    """
    @notice Pay both coins into a pair in proportion to its reserves. Whoever gets its first shares sets the proportion:
            what was given to an empty pair before, by `sync`, says nothing about the price and is theirs.
    @param pair The pair.
    @param amount0 The most to pay of its token0.
    @param amount1 The most to pay of its token1.
    @param minimum0 It reverts when the proportion takes less of token0: then the price is another one.
    @param minimum1 It reverts when the proportion takes less of token1.
    @param minimum_shares It reverts for fewer.
    @param deadline The last second to carry it out, unix time.
    @param to Who gets the shares.
    @return How many.
    """
    self._begin(deadline, to)
    paid0: uint256 = amount0
    paid1: uint256 = amount1
    if staticcall IERC20(pair).totalSupply() > 0:
        reserve0: uint112 = 0
        reserve1: uint112 = 0
        at: uint32 = 0
        reserve0, reserve1, at = staticcall IPair(pair).getReserves()
        fitting: uint256 = amount0 * convert(reserve1, uint256) // convert(reserve0, uint256)
        if fitting <= amount1:
            paid1 = fitting
        else:
            paid0 = amount1 * convert(reserve0, uint256) // convert(reserve1, uint256)
    assert paid0 >= minimum0 and paid1 >= minimum1, "the price has moved"
    self._pull(staticcall IPair(pair).token0(), pair, paid0)
    self._pull(staticcall IPair(pair).token1(), pair, paid1)
    shares: uint256 = extcall IPair(pair).mint(to)
    assert shares >= minimum_shares, "less than the minimum"
    return shares


@external
@nonreentrant
def remove_liquidity(
    pair: address, shares: uint256, minimum0: uint256, minimum1: uint256, deadline: uint256, to: address
) -> (uint256, uint256):
    """
    @notice Redeem shares of a pair, which the caller allowed the router.
    @param pair The pair.
    @param shares How many.
    @param minimum0 It reverts when less of token0 comes out.
    @param minimum1 It reverts when less of token1 comes out.
    @param deadline The last second to carry it out, unix time.
    @param to Who gets the coins.
    @return What came out of each.
    """
    self._begin(deadline, to)
    self._pull(pair, pair, shares)
    amount0: uint256 = 0
    amount1: uint256 = 0
    amount0, amount1 = extcall IPair(pair).burn(to)
    assert amount0 >= minimum0 and amount1 >= minimum1, "less than the minimum"
    return amount0, amount1


# --------------------------------------------------------------------------------------------- arbitrage


@external
@nonreentrant
def arbitrage(
    cycles: DynArray[IRouter.Cycle, MAX_ROUTES], minimum_profit: uint256, token: address
) -> uint256:
    """
    @notice Carry out cycles that begin and end with one coin, and keep what they earn.
    @param cycles Each with what goes in. A `flash` cycle's first pool must be a pair: it lends the second coin, the
                  other hops turn it into the first, the loan is paid and the rest goes to the caller, who needs nothing.
                  Other cycles take the amount from the caller.
    @param minimum_profit It reverts when the caller's balance grows by less in all.
    @param token The coin that all cycles begin and end with.
    @return By how much the caller's balance grew.
    """
    assert len(cycles) > 0, "no cycles"
    before: uint256 = staticcall IERC20(token).balanceOf(msg.sender)
    for index: uint256 in range(len(cycles), bound=MAX_ROUTES):
        hops: DynArray[IRouter.Hop, MAX_HOPS] = cycles[index].hops
        self._check(hops)
        assert hops[0].token_in == token and hops[len(hops) - 1].token_out == token, "not a cycle of this coin"
        if cycles[index].flash:
            self._borrow(hops, cycles[index].amount_in)
            left: uint256 = staticcall IERC20(token).balanceOf(self)
            erc20_transfers._pay(token, msg.sender, left)
        else:
            self._enter(hops[0], cycles[index].amount_in)
            self._walk(hops, 0, msg.sender)
    after: uint256 = staticcall IERC20(token).balanceOf(msg.sender)
    assert after >= before and after - before >= minimum_profit, "profit below the floor"
    log IRouter.Arbitraged(sender=msg.sender, token=token, profit=after - before)
    return after - before


@external
def uniswapV2Call(sender: address, amount0: uint256, amount1: uint256, data: Bytes[2_048]):
    """
    @notice What a pair calls in the middle of a flash cycle: walk the other hops and pay the pair.
    @param sender This router.
    @param amount0 Unused.
    @param amount1 Unused.
    @param data The cycle and what the pair is owed, as this router gave them.
    """
    assert sender == self, "not our flash swap"
    assert self._awaited != empty(bytes32) and self._awaited == self._expectation(msg.sender, data), "not awaited"
    self._awaited = empty(bytes32)
    hops: DynArray[IRouter.Hop, MAX_HOPS] = []
    owed: uint256 = 0
    hops, owed = abi_decode(data, (DynArray[IRouter.Hop, MAX_HOPS], uint256))
    lent: uint256 = staticcall IERC20(hops[0].token_out).balanceOf(self)
    erc20_transfers._pay(hops[0].token_out, hops[1].pool, lent)
    self._walk(hops, 1, self)
    earned: uint256 = staticcall IERC20(hops[0].token_in).balanceOf(self)
    assert earned >= owed, "cycle does not pay its loan"
    erc20_transfers._pay(hops[0].token_in, msg.sender, owed)


# --------------------------------------------------------------------------------------------- inside


@internal
@view
def _begin(deadline: uint256, to: address):
    assert block.timestamp <= deadline, "deadline past"
    assert to != self, "the router keeps nothing"


@internal
@pure
def _check(hops: DynArray[IRouter.Hop, MAX_HOPS]):
    """
    @dev Each hop takes what the one before gives.
    """
    assert len(hops) > 0, "no hops"
    for index: uint256 in range(1, len(hops), bound=MAX_HOPS):
        assert hops[index].token_in == hops[index - 1].token_out, "hops do not meet"


@internal
def _enter(hop: IRouter.Hop, amount_in: uint256):
    """
    @dev The caller pays the first pool.
    """
    self._pull(hop.token_in, hop.pool, amount_in)


@internal
def _pull(token: address, to: address, amount: uint256):
    """
    @dev Of the caller's coins, within the caller's allowance.
    """
    assert extcall IERC20(token).transferFrom(msg.sender, to, amount, default_return_value=True), "transfer refused"


@internal
def _walk(hops: DynArray[IRouter.Hop, MAX_HOPS], first: uint256, receiver: address):
    """
    @dev Swap through hops whose first pool has been paid; each counts what arrived beyond its books.
    """
    for index: uint256 in range(first, len(hops), bound=MAX_HOPS):
        hop: IRouter.Hop = hops[index]
        to: address = hops[index + 1].pool if index + 1 < len(hops) else receiver
        if hop.pair_fee_ppm == 0:
            self._through_pool(hop, to)
        else:
            reserve_in: uint256 = 0
            reserve_out: uint256 = 0
            reserve_in, reserve_out = self._pair_reserves(hop)
            arrived: uint256 = staticcall IERC20(hop.token_in).balanceOf(hop.pool) - reserve_in
            amount_out: uint256 = self._pair_amount_out(arrived, reserve_in, reserve_out, hop.pair_fee_ppm)
            self._swap_pair(hop, amount_out, to, b"")


@internal
def _through_pool(hop: IRouter.Hop, to: address):
    reserve0: uint256 = 0
    reserve1: uint256 = 0
    reserve0, reserve1 = staticcall IPool(hop.pool).reserves()
    booked: uint256 = reserve0 if staticcall IPool(hop.pool).token0() == hop.token_in else reserve1
    arrived: uint256 = staticcall IERC20(hop.token_in).balanceOf(hop.pool) - booked
    extcall IPool(hop.pool).swap_exact(hop.token_in, arrived, 0, to)


@internal
def _borrow(hops: DynArray[IRouter.Hop, MAX_HOPS], amount_in: uint256):
    """
    @dev A flash swap of the first hop's pair: it calls `uniswapV2Call` here before it is paid.
    """
    assert len(hops) > 1, "a flash cycle needs two hops"
    assert hops[0].pair_fee_ppm > 0, "a flash cycle begins with a pair"
    reserve_in: uint256 = 0
    reserve_out: uint256 = 0
    reserve_in, reserve_out = self._pair_reserves(hops[0])
    amount_out: uint256 = self._pair_amount_out(amount_in, reserve_in, reserve_out, hops[0].pair_fee_ppm)
    data: Bytes[2_048] = abi_encode(hops, amount_in)
    self._awaited = self._expectation(hops[0].pool, data)
    self._swap_pair(hops[0], amount_out, self, data)
    assert self._awaited == empty(bytes32), "pair did not call back"


@internal
def _swap_pair(hop: IRouter.Hop, amount_out: uint256, to: address, data: Bytes[2_048]):
    if staticcall IPair(hop.pool).token0() == hop.token_in:
        extcall IPair(hop.pool).swap(0, amount_out, to, data)
    else:
        extcall IPair(hop.pool).swap(amount_out, 0, to, data)


@internal
@view
def _pair_reserves(hop: IRouter.Hop) -> (uint256, uint256):
    """
    @dev A pair's reserves, of the coin that comes in first.
    """
    reserve0: uint112 = 0
    reserve1: uint112 = 0
    at: uint32 = 0
    reserve0, reserve1, at = staticcall IPair(hop.pool).getReserves()
    if staticcall IPair(hop.pool).token0() == hop.token_in:
        return convert(reserve0, uint256), convert(reserve1, uint256)
    return convert(reserve1, uint256), convert(reserve0, uint256)


@internal
@pure
def _pair_amount_out(amount_in: uint256, reserve_in: uint256, reserve_out: uint256, fee_ppm: uint256) -> uint256:
    """
    @dev The most that a pair's product allows, rounded down.
    """
    counted: uint256 = amount_in * (PPM - fee_ppm)
    return counted * reserve_out // (reserve_in * PPM + counted)


@internal
def _settle(
    token_in: address, token_out: address, amount_in: uint256, before: uint256, minimum_out: uint256, to: address
) -> uint256:
    after: uint256 = staticcall IERC20(token_out).balanceOf(to)
    assert after >= before and after - before >= minimum_out, "less than the minimum"
    log IRouter.Routed(
        sender=msg.sender,
        token_in=token_in,
        token_out=token_out,
        amount_in=amount_in,
        amount_out=after - before,
        to=to,
    )
    return after - before


@internal
@pure
def _expectation(pair: address, data: Bytes[2_048]) -> bytes32:
    return keccak256(concat(convert(pair, bytes32), keccak256(data)))
