# SPDX-License-Identifier: Apache-2.0
"""Many pools of a kind as columns: the best trade with each of them at given prices, all at once.

At prices ``p`` a trader gains most from one pool where its marginal price, fee included, equals the market's.
For constant product and weighted pools that is a closed form (Angeris and Chitra, "Improved price oracles",
2020); for stable ones it is found by Newton's method within a bracket.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEPS: Final = 100
"""Newton or bisection steps for stable pools; ten suffice as a rule."""
CLOSE: Final = 1e-13
"""How near the logarithms of two prices are taken for equal."""


class Trades(NamedTuple):
    """The best trades at given prices: a row a pool.

    ``net`` (n, 2) is what the trader gets of either coin, less what is paid; ``slope`` (n,) is by how much
    the value of what is received falls for a relative rise of the paid coin's price (0 without a trade).
    """

    net: Floats
    slope: Floats


class Table(Protocol):
    """Pools of one kind. ``coins`` (n, 2) are numbers of tokens."""

    @property
    def coins(self) -> Ints: ...

    @property
    def reserves(self) -> Floats:
        """What the pools hold, (n, 2)."""

    @property
    def keep(self) -> Floats:
        """1 less the fee, (n,)."""

    def spot(self) -> Floats:
        """Logarithm of coin 0's marginal price in coin 1, without fee, (n,)."""

    def in_units(self, unit: Floats) -> Self:
        """The same pools with token ``t`` counted in units of ``1 / unit[t]``: reserves as values."""

    def only(self, rows: NDArray[np.bool_]) -> Self:
        """Some of the pools: those that are marked in ``rows`` (n,)."""

    def best(self, log_prices: Floats) -> Trades:
        """The best trades at prices with these logarithms, one a token."""


@dataclass(frozen=True)
class GeometricTable:
    """Constant product pools (equal weights) and weighted ones: ``reserve_0**w_0 * reserve_1**w_1`` is kept.

    The fee is taken from what is paid in.
    """

    coins: Ints
    reserves: Floats
    weights: Floats
    keep: Floats

    def spot(self) -> Floats:
        """As in `Table`."""
        value = np.log(self.reserves) - np.log(self.weights)
        return np.asarray(value[:, 1] - value[:, 0])

    def in_units(self, unit: Floats) -> GeometricTable:
        """As in `Table`."""
        return GeometricTable(self.coins, self.reserves * unit[self.coins], self.weights, self.keep)

    def only(self, rows: NDArray[np.bool_]) -> GeometricTable:
        """As in `Table`."""
        return GeometricTable(self.coins[rows], self.reserves[rows], self.weights[rows], self.keep[rows])

    def best(self, log_prices: Floats) -> Trades:
        """As in `Table`."""
        wanted = log_prices[self.coins]
        beyond = wanted[:, 0] - wanted[:, 1] - self.spot()
        buys_0 = beyond > 0  # coin 0 is worth more outside: pay coin 1
        paid = buys_0.astype(np.intp)
        rows = np.arange(len(paid))
        own, other = self.weights[rows, paid], self.weights[rows, 1 - paid]
        ratio = own / other
        step = _beyond_fee(beyond, self.keep) / (1 + ratio)
        given = self.reserves[rows, 1 - paid] * -np.expm1(-ratio * step)
        net = np.empty_like(self.reserves)
        net[rows, paid] = -self.reserves[rows, paid] * np.expm1(step) / self.keep
        net[rows, 1 - paid] = given
        change = self.reserves[rows, 1 - paid] * ratio / (1 + ratio) * np.exp(-ratio * step)
        slope = np.where(step > 0, change * np.exp(wanted[rows, 1 - paid]), 0.0)
        return Trades(net, slope)


@dataclass(frozen=True)
class StableTable:
    """Curve's invariant for two coins: ``2 a (x + y) + d = 2 a d + d**3 / (4 x y)``.

    ``rates`` bring smallest units to one measure, ``amplification`` is ``a`` above, as Curve's contracts give
    it. The fee is taken from what is paid in.
    """

    coins: Ints
    reserves: Floats
    rates: Floats
    amplification: Floats
    keep: Floats

    def spot(self) -> Floats:
        """As in `Table`."""
        rates = np.log(self.rates)
        return np.asarray(self._price + rates[:, 0] - rates[:, 1])

    def in_units(self, unit: Floats) -> StableTable:
        """As in `Table`."""
        scale = unit[self.coins]
        return replace(self, reserves=self.reserves * scale, rates=self.rates / scale)

    @cached_property
    def _held(self) -> Floats:
        return self.reserves * self.rates

    @cached_property
    def _invariant(self) -> Floats:
        return invariant(self._held[:, 0], self._held[:, 1], self.amplification)

    @cached_property
    def _price(self) -> Floats:
        return _Curve(self._invariant, self.amplification).price(np.log(self._held[:, 0]))[0]

    @cached_property
    def _levels(self) -> Floats:
        """Where trades ended when last looked for: prices rarely move far from one look to the next."""
        return np.log(self._held)

    def only(self, rows: NDArray[np.bool_]) -> StableTable:
        """As in `Table`."""
        return StableTable(
            self.coins[rows], self.reserves[rows], self.rates[rows], self.amplification[rows], self.keep[rows]
        )

    def best(self, log_prices: Floats) -> Trades:
        """As in `Table`."""
        wanted = log_prices[self.coins] - np.log(self.rates)
        held = self._held
        beyond = wanted[:, 0] - wanted[:, 1] - self._price
        trading = np.flatnonzero(_beyond_fee(beyond, self.keep))
        net, slope = np.zeros_like(self.reserves), np.zeros(len(held))
        if not len(trading):
            return Trades(net, slope)
        paid = (beyond[trading] > 0).astype(np.intp)
        first, second = held[trading, paid], held[trading, 1 - paid]
        keep = self.keep[trading]
        ask = wanted[trading, paid] - wanted[trading, 1 - paid] - np.log(keep)
        curve = _Curve(self._invariant[trading], self.amplification[trading])
        level, fall = curve.find(ask, np.log(first), self._levels[trading, paid])
        self._levels[trading, paid] = level
        arrived = np.exp(level)
        given = second - curve.other(arrived)
        net[trading, paid] = -(arrived - first) / (keep * self.rates[trading, paid])
        net[trading, 1 - paid] = given / self.rates[trading, 1 - paid]
        worth = np.exp(log_prices[self.coins[trading, 1 - paid]]) / self.rates[trading, 1 - paid]
        slope[trading] = worth * arrived * np.exp(ask) / np.maximum(-fall, 1e-300)
        return Trades(net, slope)


def _beyond_fee(beyond: Floats, keep: Floats) -> Floats:
    """How much further prices are apart than the fee; 0 for what rounding may be."""
    excess = np.abs(beyond) + np.log(keep)
    return np.where(excess > CLOSE, excess, 0.0)


class _Curve:
    """The invariant of a given size, as a function of the first balance."""

    def __init__(self, size: Floats, amplification: Floats) -> None:
        self.scale = size
        self.weight = 2 * amplification

    def other(self, first: Floats) -> Floats:
        """The second balance that belongs to a first."""
        x = first / self.scale
        lean = x + 1 / self.weight - 1
        root = np.hypot(lean, np.sqrt(1 / (self.weight * x)))
        return (
            np.where(lean > 0, 0.5 / (self.weight * x * (root + np.abs(lean))), (root - lean) / 2)
            * self.scale
        )

    def price(self, level: Floats) -> tuple[Floats, Floats]:
        """Logarithm of what another unit of the first coin gives of the second, and how that grows with
        ``level``, the logarithm of the first balance (it falls)."""
        first = np.exp(level)
        x, y = first / self.scale, self.other(first) / self.scale
        pull = 1 / (4 * self.weight * x * x)
        above, below = y + pull, 2 * y + x + 1 / self.weight - 1
        price = above / below
        above_grows, below_grows = -price - 2 * pull / x, 1 - 2 * price
        return np.log(price), x * (above_grows / above - below_grows / below)

    def find(self, ask: Floats, low: Floats, guess: Floats) -> tuple[Floats, Floats]:
        """The level, at or above ``low``, where the price's logarithm is ``ask``, and the price's growth
        there; ``guess`` is a level to begin from."""
        low, high = low.copy(), np.full_like(low, np.inf)
        level = np.maximum(guess, low)
        price, grows = self.price(level)
        for _ in range(STEPS):
            off = price - ask
            if np.all(np.abs(off) <= CLOSE * (1 + np.abs(ask))):
                break
            low, high = np.where(off > 0, level, low), np.where(off > 0, high, level)
            guess = level - off / grows
            middle = np.where(np.isinf(high), low + 1, (low + high) / 2)
            outside = ~((guess > low) & (guess < np.minimum(high, low + 4)))
            level = np.where(outside, middle, guess)
            price, grows = self.price(level)
        return level, grows


def invariant(first: Floats, second: Floats, amplification: Floats) -> Floats:
    """Curve's ``D`` of balances in one measure, by Newton's method from their sum."""
    total = first + second
    weight = 2 * amplification
    product = np.maximum(4 * first / total * (second / total), 1e-300)
    shape = np.ones_like(total)
    for _ in range(STEPS):
        cube = shape**3 / product
        new = (weight + 2 * cube) * shape / ((weight - 1) * shape + 3 * cube)
        done = np.all(np.abs(new - shape) <= 1e-15 * shape)
        shape = new
        if done:
            break
    return shape * total
