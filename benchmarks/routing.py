# SPDX-License-Identifier: Apache-2.0
"""How fast the best trades with many pools are found, and how much of them can really be carried out.

Markets are simulated: constant product pools with a fee of 0.3 %, of log-normal size, whose prices are off
by 1 % (standard deviation). ``uniform``: every two tokens are as likely to have a pool. ``hubs``: tokens are
drawn by Zipf's law, as a few are in most pools of real exchanges. Profit is counted at the prices from which
the pools are off. One thread; the peer is the same problem in cvxpy, solved by Clarabel.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from koinon.markets.routing.arbitrage import arbitrage
from koinon.markets.routing.cycles import disjoint_cycles
from koinon.markets.routing.dual import optimum
from koinon.markets.routing.market import Listing
from koinon.markets.routing.pools import PairPool
from koinon.markets.routing.tables import GeometricTable

REPEATS: Final = 5
UNIT: Final = 1e18
EQUAL: Final = 1e-6


def run() -> Iterator[dict[str, Any]]:
    """The figures."""
    optimum_of(*market(100, 20))  # scipy is loaded
    small = market(1_000, 100)
    ours_s, value = median_of(lambda: optimum_of(*small))
    unit = "s for 1,000 pools and 100 tokens, median of 5, pools given as objects"
    yield _figure("routing.1000_s", ours_s, unit, 0.3, ours_s < 0.3)
    theirs_s, theirs = median_of(lambda: clarabel(*small))
    off = abs(value / theirs - 1)
    yield _figure(
        "routing.vs_clarabel",
        ours_s,
        f"s for 1,000 pools, beside cvxpy and Clarabel; values differ by {off:.1e}",
        3.0,
        theirs_s / ours_s >= 3 and off <= EQUAL,
        peer=theirs_s,
    )
    large = market(10_000, 1_000)
    large_s, _ = median_of(lambda: optimum_of(*large))
    unit = "s for 10,000 pools and 1,000 tokens, median of 5"
    yield _figure("routing.10000_s", large_s, unit, 2.0, large_s < 2.0)
    yield from _executed()


def _executed() -> Iterator[dict[str, Any]]:
    for name, hubs in (("", True), (".uniform", False)):
        pools, prices = market(1_000, 100, hubs=hubs)
        plan = arbitrage(pools, prices)
        what = "hubs" if hubs else "uniform"
        unit = f"of the optimum's profit by whole units, cycles of at most 8 pools, 1,000 pools ({what})"
        yield _figure(
            f"routing.executed_share{name}",
            plan.share,
            unit,
            0.99 if hubs else None,
            not hubs or plan.share >= 0.99,
        )
        greedy = disjoint_cycles(pools, prices).value / plan.predicted
        unit = f"of the optimum's profit by disjoint cycles of 2 and 3 pools, 1,000 pools ({what})"
        yield _figure(f"routing.greedy_share{name}", greedy, unit, None, True)


def market(
    count: int, tokens: int, *, hubs: bool = False, seed: int = 1
) -> tuple[list[PairPool], dict[str, float]]:
    """Pools, and the prices they are off from, in value a smallest unit."""
    source = np.random.default_rng(seed)
    prices = np.exp(source.normal(0, 2, tokens)) / UNIT
    likely = 1 / np.arange(1, tokens + 1) if hubs else np.ones(tokens)
    likely = likely / likely.sum()
    pools = []
    for number in range(count):
        first, second = source.choice(tokens, 2, replace=False, p=likely)
        value, off = np.exp(source.normal(10, 1)), np.exp(source.normal(0, 0.01))
        reserves = (int(value / prices[first] * off), int(value / prices[second]))
        pools.append(PairPool(str(number), (str(first), str(second)), reserves))
    return pools, {str(token): float(price) for token, price in enumerate(prices)}


def optimum_of(pools: list[PairPool], prices: dict[str, float]) -> float:
    """The optimum's value, from pools as objects."""
    listing = Listing.of(pools, tuple(prices))
    return optimum(listing.market, listing.numbered(prices)).value


def clarabel(pools: list[PairPool], prices: dict[str, float]) -> float:
    """The same by an interior-point method: every pool a second-order cone on reserves of 1."""
    cvxpy: Any = importlib.import_module("cvxpy")
    sparse: Any = importlib.import_module("scipy.sparse")
    listing = Listing.of(pools, tuple(prices))
    table = listing.market.tables[0]
    assert isinstance(table, GeometricTable)
    count, rows = len(table.coins), np.arange(len(table.coins))
    paid, given = cvxpy.Variable((count, 2)), cvxpy.Variable((count, 2))
    left = 1 + 0.997 * paid - given
    cone = cvxpy.SOC(
        left[:, 0] + left[:, 1], cvxpy.vstack([2 * np.ones(count), left[:, 0] - left[:, 1]]), axis=0
    )
    flow: Any = 0
    for side in (0, 1):
        held = table.reserves[:, side] * listing.numbered(prices)[table.coins[:, side]]
        shape = (listing.market.tokens, count)
        to_token = sparse.csr_matrix((held, (table.coins[:, side], rows)), shape=shape)
        flow = flow + to_token @ (given[:, side] - paid[:, side])
    problem = cvxpy.Problem(cvxpy.Maximize(cvxpy.sum(flow)), [paid >= 0, given >= 0, cone, flow >= 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver=cvxpy.CLARABEL)
    return float(problem.value)


def median_of(action: Callable[[], float]) -> tuple[float, float]:
    """Median seconds, and what it answered."""
    took, answer = [], 0.0
    for _ in range(REPEATS):
        started = time.perf_counter()
        answer = action()
        took.append(time.perf_counter() - started)
    return float(np.median(took)), answer


def _figure(
    name: str, ours: float, unit: str, target: float | None, ok: bool, *, peer: float | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 5),
        "peer": None if peer is None else round(peer, 5),
        "ratio": None if peer is None else round(peer / ours, 2),
        "unit": unit,
        "target": target,
        "ok": ok,
    }
