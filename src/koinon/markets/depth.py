# SPDX-License-Identifier: Apache-2.0
"""Depth: how much a market takes before its price gives way, in one pool and along all routes at once.

For a pair ``dx = R (1 / sqrt(1 - x) - 1)`` of its reserve ``R`` moves the price by ``x``; for other pools and
for all of them together the optimiser's trades at a given marginal price say it. Amounts are in the tokens'
smallest units, prices in units of one token for a unit of the other; the fee is paid within the amount.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from koinon.errors import BadInput
from koinon.markets.routing.dual import optimum
from koinon.markets.routing.market import Listing
from koinon.markets.routing.pools import Pool

CURVE: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Falls of the price, as shares, at which a curve is drawn."""

_STEPS: Final = 60
_NEAR: Final = 1e-5
"""How near a fall of the price is found, as a part of it."""
_LEAST_FALL: Final = 1e-9  # below it, what is sold moves prices by less than they are known
_TINY: Final = 1e-11  # the share of what pools hold that moves no price


@dataclass(frozen=True)
class Depth:
    """What can be sold until the marginal price has fallen by ``fall`` (a share), and what it brings."""

    fall: float
    amount: float
    brings: float

    @property
    def price(self) -> float:
        """The average price; 0 where nothing is sold."""
        return self.brings / self.amount if self.amount > 0 else 0.0


def pool_depth(pool: Pool, coin_in: int, fall: float) -> Depth:
    """What one pool takes of coin 0 or 1 until its own price has fallen by ``fall``."""
    _check(fall)
    listing = Listing.of([pool])
    if not listing.pools:
        return Depth(fall, 0.0, 0.0)
    table = next(table for table in listing.market.tables if len(table.coins))
    spot = float(table.spot()[0]) * (1 if coin_in == 0 else -1)
    after = spot + float(np.log(table.keep[0])) + float(np.log1p(-fall))
    prices = np.array([after, 0.0] if coin_in == 0 else [0.0, after])
    net = table.best(prices).net[0]
    return Depth(fall, float(-net[coin_in]), float(net[1 - coin_in]))


def best_price(pools: Sequence[Pool], token_in: str, token_out: str) -> float:
    """What the first unit of one token brings of the other along the best route, fees paid; 0 without one.

    Where pools are out of line, as they are after arbitrage: nobody else's gains are counted as depth.
    """
    return _Slope(pools, token_in, token_out).first


def route_depth(pools: Sequence[Pool], token_in: str, token_out: str, fall: float) -> Depth:
    """What all pools together take until the best marginal price has fallen by ``fall``."""
    return depth_curve(pools, token_in, token_out, (fall,))[0]


def depth_curve(
    pools: Sequence[Pool], token_in: str, token_out: str, falls: Sequence[float] = CURVE
) -> list[Depth]:
    """Depth at several falls of the price."""
    for fall in falls:
        _check(fall)
    slope = _Slope(pools, token_in, token_out)
    return [slope.down_to(fall) for fall in falls]


def withdrawable(
    pools: Sequence[Pool], token_in: str, token_out: str, slippage: float, amount: float = float("inf")
) -> Depth:
    """The most, up to ``amount``, that sells for at most ``slippage`` (a share) less a unit, on average, than
    the first unit; ``fall`` is where the marginal price ends.

    This is what a position in ``token_in`` can be turned into when it must be: see liquidity risk.
    """
    _check(slippage)
    slope = _Slope(pools, token_in, token_out)
    low, high = 0.0, 1.0
    best = Depth(0.0, 0.0, 0.0)
    for _ in range(_STEPS):
        # Falls span many powers of ten: halve the distance of their logarithms.
        fall = math.sqrt(max(low, _LEAST_FALL) * high)
        found = slope.down_to(fall)
        if found.amount <= amount and found.price >= slope.first * (1 - slippage):
            low, best = fall, found
        elif found.amount == 0:
            low = fall
        else:
            high = fall
        if high - low < _NEAR * high or high <= _LEAST_FALL * (1 + _NEAR):
            break
    return best


class _Slope:
    """How the price falls as one token is sold for another: ``first`` is the first unit's price, ``alone``
    what arbitrage brings without anything sold."""

    def __init__(self, pools: Sequence[Pool], token_in: str, token_out: str) -> None:
        self.listing = Listing.of(pools, (token_in, token_out))
        self.token_in, self.token_out = token_in, token_out
        self.give, self.get = (self.listing.tokens.index(token) for token in (token_in, token_out))
        market = self.listing.market
        held = float(market.values()[market.coins == self.give].sum())
        tiny = self.listing.numbered({token_in: held * _TINY})
        found = optimum(market, self.listing.numbered({token_out: 1.0}), tiny)
        self.first = float(found.prices[self.give]) if held else 0.0
        self.alone = max(found.value - self.first * float(tiny.sum()), 0.0)

    def down_to(self, fall: float) -> Depth:
        """What is sold, beside arbitrage, where whoever sells keeps what would bring less than the first
        unit's price less ``fall``."""
        price = self.first * (1 - fall)
        if not price > 0:
            return Depth(fall, 0.0, 0.0)
        worth = self.listing.numbered({self.token_in: price, self.token_out: 1.0})
        supplied = self.listing.numbered({self.token_in: 1.0}) > 0
        market = self.listing.market
        net = optimum(market, worth, supplied=supplied).net
        came = np.bincount(market.coins.ravel(), net.ravel(), market.tokens)
        return Depth(fall, max(float(-came[self.give]), 0.0), max(float(came[self.get]) - self.alone, 0.0))


def _check(share: float) -> None:
    if not 0 < share < 1:
        raise BadInput(
            f"A price falls by more than nothing and less than all of it, not by {share:g}.",
            hint="Give a share between 0 and 1, such as 0.02 for 2 %.",
            code="markets.depth",
        )
