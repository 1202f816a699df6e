# SPDX-License-Identifier: Apache-2.0
"""The best trades with all pools at once, by prices (Diamandis, Resnick, Chitra and Angeris, "An efficient
algorithm for optimal routing through constant function market makers", 2023).

Whoever holds ``held`` of each token and wants the most of ``worth · (what is left)`` solves, over prices,

    minimise  held · prices + sum of what each pool gives at these prices     where prices ≥ worth.

Each pool's part has a closed form (`koinon.markets.routing.tables`), so a step costs one pass over arrays.
L-BFGS-B on logarithms of prices comes near; Newton's method on the same function, whose second derivative is
a graph's Laplacian, makes the trades add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required
from koinon.markets.routing.laplacian import solve
from koinon.markets.routing.market import Market, agreed_prices
from koinon.markets.routing.tables import Floats, Table

COARSE_STEPS: Final = 300
FINE_STEPS: Final = 40
BALANCED: Final = 1e-10
"""Newton's method ends where no token is short of more than this share of all that is traded."""

_FARTHEST: Final = 1.0  # a Newton step moves the logarithm of a price at most so far
_WIDEST: Final = 60.0  # logarithm of how far a price may end from where the pools nearly agree
_LEAST_DAMPING: Final = 1e-12
_MOST_DAMPING: Final = 1e-3
_HALVINGS: Final = 20


@dataclass(frozen=True)
class Optimum:
    """What is best.

    ``value`` is the most of ``worth · (held + what the trades bring)``: an upper bound, tight to rounding.
    ``prices`` (tokens,) are the marginal ones, 0 for tokens that no pool connects with one of worth, and of
    no meaning for those that lead nowhere. ``net``
    (pools, 2) is what each pool gives of its coins, less what it takes. ``short`` is the largest lack of any
    token, as a share of all that is traded.
    """

    value: float
    prices: Floats
    net: Floats
    short: float


class _Point(NamedTuple):
    """The function at some logarithms of prices: its value, its gradient, and the trades."""

    level: Floats
    value: float
    gradient: Floats
    net: Floats
    slope: Floats


def optimum(
    market: Market,
    worth: Floats,
    held: Floats | None = None,
    supplied: NDArray[np.bool_] | None = None,
) -> Optimum:
    """The best trades for whoever values a unit of token ``t`` at ``worth[t]`` ≥ 0 and holds ``held[t]`` ≥ 0.

    Arbitrage: ``worth`` the prices to value profit at (or one numéraire alone), nothing held. An order:
    ``worth`` 1 for the token wanted and 0 for others, ``held`` the amount to sell. Of tokens marked in
    ``supplied`` there is any amount at their worth.

    Raises
    ------
    BadInput
        Not as many numbers as tokens, negative ones, or nothing is worth anything.
    SetupError
        scipy is not installed.
    """
    worth = np.asarray(worth, float)
    held = np.zeros(market.tokens) if held is None else np.asarray(held, float)
    _check(market, worth, held)
    pinned = np.zeros(market.tokens, bool) if supplied is None else supplied & (worth > 0)
    reached = _reached(market, worth)
    chosen = _on_the_way(market, reached, (worth > 0) | (held > 0))
    near = Market(market.tokens, _only(market, chosen))
    unit = np.exp(np.where(reached, agreed_prices(near, worth), 0.0))
    dual = _Dual(near.in_units(unit), worth / unit, np.where(reached, held * unit, 0.0), pinned)
    found = dual.fine(dual.coarse())
    net = np.zeros((len(market.coins), 2))
    rows = np.flatnonzero(chosen)
    net[rows] = found.net / unit[market.coins[rows]]
    traded = dual.traded(found)
    lacks = np.where(pinned, 0.0, -found.gradient)
    return Optimum(
        value=found.value,
        prices=np.where(reached, np.exp(found.level) * unit, 0.0),
        net=net,
        short=float(np.max(lacks, initial=0.0)) / traded if traded else 0.0,
    )


class _Dual:
    """The function of the logarithms of prices, where every amount is a value at prices near the best."""

    def __init__(self, market: Market, worth: Floats, held: Floats, pinned: NDArray[np.bool_]) -> None:
        self.market, self.held = market, held
        self.coins = market.coins
        with np.errstate(divide="ignore"):
            self.low = np.maximum(np.log(worth), -_WIDEST)
        self.high = np.where(pinned, self.low, np.maximum(self.low, _WIDEST))
        valued = np.flatnonzero(worth)
        if len(valued) == 1:
            self.high[valued] = self.low[valued]  # the function only scales with all prices: fix one
        self.depth = np.bincount(self.coins.ravel(), market.values().ravel(), market.tokens)

    def at(self, level: Floats) -> _Point:
        """The function at some prices."""
        prices = np.exp(level)
        found = [table.best(level) for table in self.market.tables]
        net = np.concatenate([np.empty((0, 2)), *(each.net for each in found)])
        slope = np.concatenate([np.empty(0), *(each.slope for each in found)])
        gains, own = net * prices[self.coins], self.held * prices
        gradient = own + np.bincount(self.coins.ravel(), gains.ravel(), self.market.tokens)
        return _Point(level, float(own.sum() + gains.sum()), gradient, net, slope)

    def coarse(self) -> _Point:
        """Near the minimum, by L-BFGS-B from the agreed prices, each stretched by its token's depth."""
        start = self.at(np.clip(np.zeros(self.market.tokens), self.low, self.high))
        size = max(start.value, float(np.abs(start.gradient).max()))
        if not size > 0:
            return start
        depth = np.maximum(self.depth, 1e-12 * self.depth.max())
        stretch = np.sqrt(depth.mean() / depth) if depth.max() > 0 else np.ones_like(depth)

        def function(point: Floats) -> tuple[float, Floats]:
            there = self.at(point * stretch)
            return there.value / size, there.gradient * stretch / size

        found = required("scipy.optimize", extra="markets").minimize(
            function,
            start.level / stretch,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([self.low / stretch, self.high / stretch], axis=1),
            options={"maxiter": COARSE_STEPS, "ftol": 1e-13, "gtol": 1e-12, "maxcor": 20},
        )
        end = self.at(np.clip(np.asarray(found.x * stretch, float), self.low, self.high))
        return end if end.value <= start.value else start

    def fine(self, point: _Point) -> _Point:
        """The minimum, by Newton's method on the prices that no bound holds."""
        damping = _LEAST_DAMPING
        for _ in range(FINE_STEPS):
            free = self._free(point)
            if np.abs(point.gradient[free]).max(initial=0.0) <= BALANCED * self.traded(point):
                break
            weight = np.where(free[self.coins].any(axis=1), point.slope, 0.0)
            still = 1e30 * (1 + self.depth.max())
            stiffness = np.where(free, damping * self.depth, still)
            way = solve(self.coins, weight, stiffness, np.where(free, -point.gradient, 0.0), tolerance=1e-4)
            lower = self._along(point, np.clip(np.where(free, way, 0.0), -_FARTHEST, _FARTHEST))
            if lower is not None:
                point, damping = lower, max(damping / 10, _LEAST_DAMPING)
            elif damping > _MOST_DAMPING:
                break
            else:
                damping *= 100
        return point

    def _along(self, point: _Point, way: Floats) -> _Point | None:
        """The first point on the way, halving it, that is lower; or no higher than rounding, and nearer to
        balance."""
        off = np.abs(point.gradient[self._free(point)]).sum()
        rounding = 1e-14 * (abs(point.value) + float(self.held @ np.exp(point.level)))
        for halvings in range(_HALVINGS):
            there = self.at(np.clip(point.level + way * 0.5**halvings, self.low, self.high))
            fall = abs(float(point.gradient @ (there.level - point.level)))
            if there.value < point.value - 1e-4 * fall:
                return there
            nearer = np.abs(there.gradient[self._free(there)]).sum() < 0.9 * off
            if nearer and there.value <= point.value + rounding:
                return there
        return None

    def traded(self, point: _Point) -> float:
        """The value of all that is received from pools and held."""
        prices = np.exp(point.level)
        received = np.maximum(point.net, 0) * prices[self.coins]
        return float(received.sum() + self.held @ prices)

    def _free(self, point: _Point) -> NDArray[np.bool_]:
        fixed = ((point.level <= self.low) & (point.gradient >= 0)) | (point.level >= self.high)
        return np.asarray(~fixed & (self.depth > 0))


def _check(market: Market, worth: Floats, held: Floats) -> None:
    for numbers in (worth, held):
        if numbers.shape != (market.tokens,) or not np.all(np.isfinite(numbers)) or np.any(numbers < 0):
            raise BadInput(
                f"{market.tokens} tokens have that many prices and amounts, none of them below 0.",
                code="markets.worth",
            )
    if not np.any(worth > 0):
        raise BadInput("No token is worth anything.", hint="Name one to count in.", code="markets.worth")


def _reached(market: Market, worth: Floats) -> NDArray[np.bool_]:
    """The tokens that pools connect with one that is worth something."""
    islands = market.islands()
    return np.asarray(np.isin(islands, islands[worth > 0]))


def _on_the_way(market: Market, reached: NDArray[np.bool_], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pools, (n,), that anything could be traded through: a token of one single pool that is neither held
    nor wanted leads nowhere, and without it perhaps another's last but one pool does. Anyone can make such
    pools, of any sizes: they must not count."""
    coins = market.coins
    chosen = reached[coins[:, 0]]
    while True:
        pools = np.bincount(coins[chosen].ravel(), minlength=market.tokens)
        dead = chosen & ((pools == 1) & ~kept)[coins].any(axis=1)
        if not dead.any():
            return np.asarray(chosen)
        chosen &= ~dead


def _only(market: Market, chosen: NDArray[np.bool_]) -> tuple[Table, ...]:
    """The tables with the chosen pools alone."""
    tables, at = [], 0
    for table in market.tables:
        count = len(table.coins)
        tables.append(table.only(chosen[at : at + count]))
        at += count
    return tuple(tables)
