# SPDX-License-Identifier: Apache-2.0
"""All pools one looks at, as tables; and the prices at which they come nearest to agreeing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import isnan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.extras import required
from koinon.markets.routing.laplacian import solve
from koinon.markets.routing.pools import PPM, Pool, StablePool, WeightedPool
from koinon.markets.routing.tables import Floats, GeometricTable, Ints, StableTable, Table

TOUCH: Final = 1e-9
"""What keeps prices of unconnected tokens from being undetermined, beside one pool's 1."""


@dataclass(frozen=True)
class Market:
    """Tables of pools over tokens 0 … ``tokens`` - 1; pools are counted through all tables in order."""

    tokens: int
    tables: tuple[Table, ...]

    @property
    def coins(self) -> Ints:
        """The two tokens of every pool, (n, 2)."""
        return np.concatenate([np.empty((0, 2), np.int64), *(table.coins for table in self.tables)])

    def in_units(self, unit: Floats) -> Market:
        """The same market, with amounts of token ``t`` times ``unit[t]``."""
        return Market(self.tokens, tuple(table.in_units(unit) for table in self.tables))

    def spot(self) -> Floats:
        """Logarithms of coin 0's price in coin 1 at every pool, (n,)."""
        return np.concatenate([np.empty(0), *(table.spot() for table in self.tables)])

    def values(self) -> Floats:
        """What the pools hold of either coin, (n, 2)."""
        return np.concatenate([np.empty((0, 2)), *(table.reserves for table in self.tables)])

    def islands(self) -> NDArray[np.int32]:
        """A number for every token, the same for those that pools connect, (tokens,)."""
        sparse = required("scipy.sparse", extra="markets")
        coins = self.coins
        links = sparse.coo_matrix(
            (np.ones(len(coins)), (coins[:, 0], coins[:, 1])), shape=(self.tokens, self.tokens)
        )
        csgraph = required("scipy.sparse.csgraph", extra="markets")
        _, numbers = csgraph.connected_components(links, directed=False)
        return np.asarray(numbers, np.int32)


@dataclass(frozen=True)
class Listing:
    """Pools as a market: ``tokens`` by number, ``pools`` in the market's order.

    Pools that hold nothing of a coin are left out.
    """

    market: Market
    tokens: tuple[str, ...]
    pools: tuple[Pool, ...]

    @classmethod
    def of(cls, pools: Sequence[Pool], tokens: Sequence[str] = ()) -> Listing:
        """The market of these pools, and of ``tokens`` that may be in none of them."""
        live = [pool for pool in pools if min(pool.reserves) > 0]
        named = [token for pool in live for token in pool.tokens]
        number = {token: at for at, token in enumerate(dict.fromkeys([*tokens, *named]))}
        stable = [pool for pool in live if isinstance(pool, StablePool)]
        others = [pool for pool in live if not isinstance(pool, StablePool)]
        tables: tuple[Table, ...] = (_geometric(others, number), _stable(stable, number))
        return cls(Market(len(number), tables), tuple(number), (*others, *stable))

    def numbered(self, amounts: dict[str, float]) -> Floats:
        """Numbers by token as an array, (tokens,); 0 where nothing is said."""
        return np.array([float(amounts.get(token, 0)) for token in self.tokens])


def _geometric(pools: Sequence[Pool], number: dict[str, int]) -> GeometricTable:
    shares = [pool.weight0 if isinstance(pool, WeightedPool) else 50 for pool in pools]
    first = np.array(shares, float)
    return GeometricTable(*_common(pools, number), np.stack([first, 100 - first], axis=1), _keep(pools))


def _stable(pools: Sequence[StablePool], number: dict[str, int]) -> StableTable:
    rates = np.array([pool.scales for pool in pools], float).reshape(-1, 2)
    amplification = np.array([pool.amplification for pool in pools], float)
    return StableTable(*_common(pools, number), rates, amplification, _keep(pools))


def _common(pools: Sequence[Pool], number: dict[str, int]) -> tuple[Ints, Floats]:
    coins = np.array([[number[token] for token in pool.tokens] for pool in pools], np.int64).reshape(-1, 2)
    return coins, np.array([pool.reserves for pool in pools], float).reshape(-1, 2)


def _keep(pools: Sequence[Pool]) -> Floats:
    return np.array([1 - pool.fee_ppm / PPM for pool in pools])


def depths(market: Market, worth: Floats) -> Floats:
    """What each pool holds of the coin of which it holds less in value, as a part of what the deepest pool
    does, (n,). Values are told from pool to pool, the deepest first, away from tokens of worth."""
    held = np.log(market.values()) + _deepest_first(market, worth)[market.coins]
    least = held.min(axis=1)
    return np.asarray(np.exp(least - least.max(initial=-np.inf)))


def agreed_prices(market: Market, worth: Floats) -> Floats:
    """Logarithms of prices, (tokens,), from which the pools' own differ least in squares, each pool weighted
    by what it holds; every island's level is that of the tokens there whose ``worth`` is positive.
    """
    coins, spot = market.coins, market.spot()
    prices = _least_squares(coins, np.ones(len(spot)), spot, market.tokens)
    prices += _level(market, prices, worth)
    if not len(spot):
        return prices
    held = np.log(market.values()) + prices[coins]
    least = np.minimum(held[:, 0], held[:, 1])
    weight = np.maximum(np.exp(least - least.max()), 1e-9)
    prices = _least_squares(coins, weight, spot, market.tokens)
    return prices + _level(market, prices, worth)


def _deepest_first(market: Market, worth: Floats) -> Floats:
    """Logarithms of prices, (tokens,), told from pool to pool away from what has a worth, each time by the
    pool that holds most of what is priced already.

    Whoever makes pools of tokens of their own, of any sizes, would have to put so much into them to be heard.
    """
    prices = np.where(worth > 0, np.log(np.where(worth > 0, worth, 1.0)), np.nan)
    coins, spot = market.coins.tolist(), market.spot().tolist()
    holds = np.log(market.values()).tolist()
    beside: list[list[tuple[int, int]]] = [[] for _ in range(market.tokens)]
    for pool, (first, second) in enumerate(coins):
        beside[first].append((pool, 0))
        beside[second].append((pool, 1))
    told: list[float] = prices.tolist()
    waiting: list[tuple[float, int, int]] = []

    def tell(token: int) -> None:
        for pool, side in beside[token]:
            if isnan(told[coins[pool][1 - side]]):
                heappush(waiting, (-holds[pool][side] - told[token], pool, side))

    for token in np.flatnonzero(worth > 0).tolist():
        tell(token)
    for token in range(-1, market.tokens):
        if token >= 0 and isnan(told[token]):
            told[token] = 0.0  # an island of its own, where nothing has a worth
            tell(token)
        while waiting:
            _, pool, side = heappop(waiting)
            other = coins[pool][1 - side]
            if isnan(told[other]):
                told[other] = told[coins[pool][side]] + (spot[pool] if side else -spot[pool])
                tell(other)
    return np.array(told)


def _least_squares(coins: Ints, weight: Floats, spot: Floats, tokens: int) -> Floats:
    """Minimises ``sum(weight * (p[0] - p[1] - spot)**2)``, with a mere touch of ``sum(p**2)``."""
    pushed = weight * spot
    right: Floats = np.bincount(coins[:, 0], pushed, tokens).astype(np.float64)
    right -= np.bincount(coins[:, 1], pushed, tokens)
    touch = np.full(tokens, TOUCH * weight.max(initial=1.0))
    return solve(coins, weight, touch, right, tolerance=1e-6)


def _level(market: Market, prices: Floats, worth: Floats) -> Floats:
    """By how much each token's price is to be raised, alike on each island."""
    known = worth > 0
    off = np.where(known, np.log(np.where(known, worth, 1.0)) - prices, 0.0)
    islands = market.islands()
    count = np.bincount(islands, known.astype(float))
    return np.asarray((np.bincount(islands, off) / np.maximum(count, 1))[islands])
