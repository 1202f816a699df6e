# SPDX-License-Identifier: Apache-2.0
"""Random markets of all kinds of pools, and the same problem given to Clarabel."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np

from koinon.markets.routing.market import Listing, agreed_prices
from koinon.markets.routing.pools import PairPool, Pool, StablePool, WeightedPool
from koinon.markets.routing.tables import GeometricTable

UNIT = 10**18
KINDS = ("pair", "weighted", "stable")


def random_pools(
    count: int,
    tokens: int,
    *,
    seed: int,
    apart: float = 0.01,
    kinds: tuple[str, ...] = ("pair",),
    fee_ppm: int = 3_000,
) -> tuple[list[Pool], dict[str, float]]:
    """Pools whose prices are off by ``apart`` (standard deviation of logarithms), and the prices they are off
    from, in value a smallest unit."""
    source = np.random.default_rng(seed)
    names = [f"T{number}" for number in range(tokens)]
    prices = dict(zip(names, np.exp(source.normal(0, 2, tokens)) / UNIT, strict=True))
    pools: list[Pool] = []
    for number in range(count):
        kind = kinds[int(source.integers(len(kinds)))]
        first, second = (names[int(at)] for at in source.choice(tokens, 2, replace=False))
        value, off = float(np.exp(source.normal(10, 1))), float(np.exp(source.normal(0, apart)))
        weight0 = int(source.integers(10, 91)) if kind == "weighted" else 50
        reserves = (
            int(value * weight0 / 50 / prices[first] * off),
            int(value * (100 - weight0) / 50 / prices[second]),
        )
        address, coins = f"{kind}-{number}", (first, second)
        if kind == "pair":
            pools.append(PairPool(address, coins, reserves, fee_ppm))
        elif kind == "weighted":
            pools.append(WeightedPool(address, coins, reserves, weight0, fee_ppm))
        else:
            # Coins of one worth each: their own names, so that no other pool disagrees by much.
            near = int(value * UNIT * float(np.exp(source.normal(0, 0.3))))
            stable = ("S0", "S1") if number % 2 else ("S1", "S2")
            pools.append(StablePool(address, stable, (int(value * UNIT), near), 200, (1, 1), 400))
    if "stable" in kinds:
        prices |= {"S0": 1 / UNIT, "S1": 1 / UNIT, "S2": 1 / UNIT}
        pools.append(PairPool("bridge", ("S0", names[0]), (10**22, int(1e4 / prices[names[0]]))))
    return pools, prices


def with_clarabel(listing: Listing, worth: Any, held: Any) -> float:
    """The value of the best trades with constant product and weighted pools, by an interior-point method."""
    cvxpy: Any = importlib.import_module("cvxpy")  # 10 s: only where it is asked
    sparse: Any = importlib.import_module("scipy.sparse")

    market = listing.market
    table = market.tables[0]
    assert isinstance(table, GeometricTable)
    assert not len(market.tables[1].coins)
    count, coins = len(table.coins), table.coins
    unit = np.exp(agreed_prices(market, worth))

    paid, given = cvxpy.Variable((count, 2)), cvxpy.Variable((count, 2))
    left = 1 + cvxpy.multiply(table.keep[:, None] * np.ones((1, 2)), paid) - given
    equal = np.flatnonzero(table.weights[:, 0] == table.weights[:, 1])
    other = np.flatnonzero(table.weights[:, 0] != table.weights[:, 1])
    limits = [paid >= 0, given >= 0]
    if len(equal):
        x, y = left[equal, 0], left[equal, 1]
        limits.append(cvxpy.SOC(x + y, cvxpy.vstack([2 * np.ones(len(equal)), x - y]), axis=0))
    if len(other):
        share = table.weights[other, 0] / table.weights[other].sum(axis=1)
        limits.append(cvxpy.PowCone3D(left[other, 0], left[other, 1], np.ones(len(other)), share))
    rows = np.arange(count)
    flow = held * unit
    for side in (0, 1):
        scale = table.reserves[:, side] * unit[coins[:, side]]
        to_token = sparse.csr_matrix((scale, (coins[:, side], rows)), shape=(market.tokens, count))
        flow = flow + to_token @ (given[:, side] - paid[:, side])
    problem = cvxpy.Problem(cvxpy.Maximize((worth / unit) @ flow), [*limits, flow >= 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says so when it stops short of 1e-9; the caller compares to 1e-6
        problem.solve(solver=cvxpy.CLARABEL, tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    return float(problem.value)
