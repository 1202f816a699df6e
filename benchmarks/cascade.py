# SPDX-License-Identifier: Apache-2.0
"""Liquidation cascades: 20 falls of the price over 100,000 loans in one constant-product market.

With everything the model has: partial liquidations, auctions that raise the bonus, gas, an oracle one step
late, trading that brings back a third of the sales' impact. The loans are made up (seeded); seconds are of
one core's time, so that other programs on the machine do not count. ``cascade.replay`` plays a smaller fall
through on the real contracts and says how far what happened is from what was predicted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from koinon.lending.risk.book import UNSCORED, Book, Terms, Venue
from koinon.lending.risk.cascade import shocks
from koinon.lending.risk.montecarlo import gaussian_paths, simulate
from koinon.lending.risk.replay import replay
from koinon.lending.risk.scenario import Scenario

LOANS, FALLS, TRIES = 100_000, 20, 3
PRICE = 2_000.0


def run() -> Iterator[dict[str, Any]]:
    book = made_up(LOANS, seed=0)
    venue = market(book, share=0.5)
    falls = np.linspace(0.05, 0.6, FALLS)
    best = min(_seconds(book, venue, falls) for _ in range(TRIES))
    yield _figure(
        "cascade.s", round(best, 3), f"s of one core for {FALLS} falls x {LOANS} loans, best of {TRIES}", 1.0
    )
    yield from _with_scores()
    small = made_up(40, seed=1)
    scenario = Scenario.of("fall", small, market(small, share=1.5), np.log([0.9, 0.85, 0.8, 1, 1, 0.9, 1, 1]))
    started = time.perf_counter()
    found = replay(scenario)
    rate = found.calls / (time.perf_counter() - started)
    worst = max(abs(each) for each in found.differences().values())
    unit = f"largest difference of predicted and realised, 40 loans, {found.calls} calls at {rate:.0f}/s"
    yield _figure("cascade.replay", round(worst, 5), unit, 0.02)


def _with_scores() -> Iterator[dict[str, Any]]:
    """VaR of a made-up book as it is and as scores would have let it be lent; nothing here says how good
    scores are, only what lending less to the worse does."""
    book = made_up(2_000, seed=2)
    scored = Book(book.collateral, book.debt, book.lltv, np.random.default_rng(3).uniform(0, 0.1, len(book)))
    venue, paths = market(book, share=0.6), gaussian_paths(200, 30, 0.04, seed=4)
    tiers = (Terms(0.02, 0.8), Terms(0.05, 0.7), Terms(1.0, 0.5))
    before = simulate(book, venue, paths).value_at_risk()
    after = simulate(scored.scored(tiers), venue, paths).value_at_risk()
    yield {
        "name": "cascade.scores_var",
        "ours": round(after.value),
        "peer": round(before.value),
        "ratio": round(before.value / after.value, 1) if after.value else None,
        "unit": f"VaR 95 % with and without scores' limits, {book.debt.sum():.0f} lent, 200 simulated paths; "
        f"intervals {after.low:.0f} to {after.high:.0f} and {before.low:.0f} to {before.high:.0f}",
        "target": None,
        "ok": None,
    }


def made_up(count: int, seed: int) -> Book:
    """Loans at 60 to 98 % of what their LLTV allows."""
    generator = np.random.default_rng(seed)
    collateral = generator.lognormal(1, 1, count)
    lltv = generator.choice([0.7, 0.8], count)
    debt = collateral * PRICE * lltv * generator.uniform(0.6, 0.98, count)
    return Book(collateral, debt, lltv, np.full(count, UNSCORED))


def market(book: Book, share: float) -> Venue:
    """A pair that holds this share of all collateral."""
    base = float(book.collateral.sum()) * share
    return Venue(
        base,
        base * PRICE,
        min_bonus=0.02,
        max_bonus=0.1,
        auction_steps=6,
        close_factor=0.5,
        min_debt=10,
        gas=2,
        oracle_delay_steps=1,
        recovery=1 / 3,
    )


def _seconds(book: Book, venue: Venue, falls: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    started = time.process_time()
    shocks(book, venue, falls)
    return time.process_time() - started


def _figure(name: str, ours: float, unit: str, target: float) -> dict[str, Any]:
    return {
        "name": name,
        "ours": ours,
        "peer": None,
        "ratio": None,
        "unit": unit,
        "target": target,
        "ok": ours < target,
    }
