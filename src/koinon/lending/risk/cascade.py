# SPDX-License-Identifier: Apache-2.0
"""Liquidations that push the price down and so cause more: one path at a time, a book's positions at once.

A step: traders move the pair by the path's return; the oracle shows the pair's price of some steps ago;
liquidators take the unsound loans, the least sound first, as long as selling the collateral into the pair
pays for the debt they repay and their gas; then others trade part of the sales' impact away. Collateral is
valued by the oracle, sold at the pair: where the pair lies below the oracle by more than the bonus nobody
liquidates, and insolvency grows. Rules of one liquidation are those of `CreditPool.liquidate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.lending.risk.book import Book, Floats, Venue

Integers = NDArray[np.int64]

MOST_ROUNDS: Final = 500
"""Steps without a new price after which a cascade is taken to have ended."""

_SMALL: Final = 1e-12
_BPS: Final = 10_000
_CHUNK: Final = 4_096


@dataclass(frozen=True)
class Outcome:
    """What one path did, in whole loan tokens unless said otherwise.

    ``liquidated`` debt that liquidators repaid, ``seized`` collateral tokens, ``bad_debt`` given up where no
    collateral was left, ``insolvent`` what open loans owe beyond their collateral's value at the end,
    ``profit`` liquidators' gain after gas, ``count`` liquidations, ``steps`` taken, ``price`` the pair's at
    the end, ``lowest`` the least.
    """

    liquidated: float
    seized: float
    bad_debt: float
    insolvent: float
    profit: float
    count: int
    steps: int
    price: float
    lowest: float

    @property
    def net_insolvent(self) -> float:
        """Bad debt realised, and what open loans lack."""
        return self.bad_debt + self.insolvent


class Prepared:
    """A book in the order in which its loans become unsound as the price falls, so that many paths share one
    sorting."""

    def __init__(self, book: Book) -> None:
        limits = _limits(book.collateral, book.debt, book.lltv)
        order = np.argsort(-limits, kind="stable")
        self.limits = limits[order]
        self.falling = -self.limits
        self.collateral, self.debt, self.lltv = book.collateral[order], book.debt[order], book.lltv[order]


class _State:
    """One path's loans. ``limits``: the oracle's price below which each is unsound; ``since`` when it last
    became so, if it was ``seen`` so in the step before."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.collateral, self.debt = prepared.collateral.copy(), prepared.debt.copy()
        self.limits, self.lltv = prepared.limits.copy(), prepared.lltv
        self.since, self.seen = np.zeros(len(self.debt), np.int32), np.full(len(self.debt), -2, np.int32)
        self.reached = 0

    def unsound(self, oracle: float, step: int) -> Integers:
        """The loans that can be liquidated at this price."""
        self.reached = max(self.reached, int(np.searchsorted(self.prepared.falling, -oracle, side="left")))
        chosen = np.flatnonzero(self.limits[: self.reached] > oracle)
        fresh = chosen[self.seen[chosen] != step - 1]
        self.since[fresh] = step
        self.seen[chosen] = step
        return chosen


def shock(book: Book | Prepared, venue: Venue, fall: float) -> Outcome:
    """One sudden fall of the pair's price (0.3: by 30 %), and what follows until nobody liquidates."""
    return run_path(book, venue, np.array([np.log1p(-fall)]), settle=True)


def shocks(book: Book, venue: Venue, falls: Floats) -> list[Outcome]:
    """Each fall on its own."""
    prepared = Prepared(book)
    return [shock(prepared, venue, float(fall)) for fall in falls]


def run_path(book: Book | Prepared, venue: Venue, returns: Floats, *, settle: bool = False) -> Outcome:
    """One path of log returns, a step each; with ``settle``, more steps of no return until nobody liquidates.

    Raises
    ------
    BadInput
        A return is no number.
    """
    if not np.isfinite(returns).all():
        raise BadInput("Every return is a number.", code="lending.path")
    state = _State(book if isinstance(book, Prepared) else Prepared(book))
    prices = [venue.price] * (venue.oracle_delay_steps + 1)
    price = lowest = outside = venue.price
    totals = np.zeros(5)
    idle = step = 0
    patience = venue.oracle_delay_steps + venue.auction_steps
    while step < len(returns) or (settle and idle <= patience and step < len(returns) + MOST_ROUNDS):
        if step < len(returns):
            factor = float(np.exp(returns[step]))
            price, outside = price * factor, outside * factor
        prices.append(price)
        oracle = prices[-1 - venue.oracle_delay_steps]
        sold, told = _liquidate(state, venue, price, oracle, step)
        price = venue.constant / (math.sqrt(venue.constant / price) + sold) ** 2
        lowest = min(lowest, price)
        prices[-1] = price
        totals += told
        price = price ** (1 - venue.recovery) * outside**venue.recovery
        idle = 0 if sold > 0 else idle + 1
        step += 1
    insolvent = float(np.maximum(state.debt - state.collateral * price, 0.0).sum())
    liquidated, seized, bad_debt, profit, count = (float(each) for each in totals)
    return Outcome(
        liquidated, seized, bad_debt, insolvent, profit, round(count), step, float(price), float(lowest)
    )


def _liquidate(state: _State, venue: Venue, price: float, oracle: float, step: int) -> tuple[float, Floats]:
    """One step's liquidations: how much collateral stayed in the pair, and the sums of `Outcome`."""
    totals = np.zeros(5)
    chosen = state.unsound(oracle, step)
    # A unit of collateral costs oracle / (1 + bonus), whatever the loan: who has too little does not pay gas.
    margin = price * (1 - venue.fee) - oracle / (1 + venue.max_bonus)
    if not chosen.size or margin <= 0:
        return 0.0, totals
    if venue.gas > 0:
        chosen = chosen[state.collateral[chosen] > venue.gas / margin]
    sold = 0.0
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        taken, more, done = _sell(state, venue, part, (price, oracle, sold), step)
        sold += taken
        totals += more
        if done:
            break
    # What a sale pays in grows the pair by its fee too; the price falls by what the pair keeps.
    return sold * (1 - venue.fee), totals


def _sell(
    state: _State, venue: Venue, chosen: Integers, market: tuple[float, float, float], step: int
) -> tuple[float, Floats, bool]:
    """Liquidate these in turn after ``market``'s (price, oracle, sold already), until one does not pay:
    collateral sold, sums, and whether one did not."""
    price, oracle, before = market
    passed = np.minimum(step - state.since[chosen], venue.auction_steps) / venue.auction_steps
    bonus = _bonus(state, venue, chosen, passed, oracle)
    paid, seized = _terms(state, venue, chosen, bonus, oracle)
    # Who would not pay even alone is left for later, and stands in nobody's way.
    alone = seized * (price * (1 - venue.fee)) > paid + venue.gas
    chosen, paid, seized = chosen[alone], paid[alone], seized[alone]
    together = before + np.cumsum(seized)
    first = _proceeds(np.array([before]), price, venue)[0]
    gain = np.diff(_proceeds(together, price, venue), prepend=first) - paid - venue.gas
    losing = np.flatnonzero(gain < 0)
    taken = int(losing[0]) if losing.size else len(chosen)
    if not taken:
        return 0.0, np.zeros(5), bool(losing.size)
    chosen, paid, seized = chosen[:taken], paid[:taken], seized[:taken]
    collateral, debt = state.collateral[chosen] - seized, state.debt[chosen] - paid
    bare = collateral <= _SMALL * seized
    bad_debt = float(np.maximum(debt[bare], 0.0).sum())
    collateral[bare], debt[bare] = 0.0, 0.0
    state.collateral[chosen], state.debt[chosen] = collateral, debt
    state.limits[chosen] = _limits(collateral, debt, state.lltv[chosen])
    sums = np.array([paid.sum(), seized.sum(), bad_debt, float(gain[:taken].sum()), taken])
    return float(together[taken - 1]) - before, sums, bool(losing.size)


def _bonus(state: _State, venue: Venue, chosen: Integers, passed: Floats, oracle: float) -> Floats:
    """Each loan's, by the contract's rule, in whole basis points: from the least, or from what the collateral
    is worth beyond the debt where that is less, to the highest."""
    with np.errstate(divide="ignore"):
        beyond = state.collateral[chosen] * oracle / state.debt[chosen] - 1
    least = np.floor(np.clip(beyond, 0.0, venue.min_bonus) * _BPS + _SMALL)
    most = venue.max_bonus * _BPS
    return np.asarray(np.floor(least + (most - least) * passed + _SMALL) / _BPS)


def _limits(collateral: Floats, debt: Floats, lltv: Floats) -> Floats:
    """The price below which each loan is unsound; 0 where nothing is owed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(debt > _SMALL, debt / (collateral * lltv), 0.0)


def _terms(
    state: _State, venue: Venue, chosen: Integers, bonus: Floats, oracle: float
) -> tuple[Floats, Floats]:
    """What is repaid and taken of each loan, by the contract's rules."""
    debt, collateral = state.debt[chosen], state.collateral[chosen]
    part = debt * venue.close_factor
    whole = (debt - part < venue.min_debt) | (collateral * oracle < debt * (1 + bonus))
    paid = np.where(whole, debt, part)
    seized = paid * (1 + bonus) / oracle
    short = seized >= collateral
    seized = np.where(short, collateral, seized)
    return np.where(short, np.minimum(paid, collateral * oracle / (1 + bonus)), paid), seized


def _proceeds(sold: Floats, price: float, venue: Venue) -> Floats:
    """Loan tokens for collateral sold into the pair at this price (Uniswap V2's formula)."""
    base, quote = np.sqrt(venue.constant / price), np.sqrt(venue.constant * price)
    counted = sold * (1 - venue.fee)
    return np.asarray(quote * counted / (base + counted))
