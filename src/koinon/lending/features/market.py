# SPDX-License-Identifier: Apache-2.0
"""How the asset behind a subject's debt moves, and how far it is from liquidation in its own terms."""

from __future__ import annotations

from typing import Final

import numpy as np

from koinon.lending.features.point_in_time import DAY_S, Floats, Integers, Queries, World, ratio
from koinon.lending.features.positions import Positions
from koinon.markets.history.history import KIND

_DAYS: Final = 90
_EWMA: Final = {"volatility_7d": 7, "volatility_30d": 30}
_BETA_DAYS: Final = 30
_LEAST: Final = 1e-6


def market_features(world: World, queries: Queries, positions: Positions) -> dict[str, Floats]:
    """The ``market`` group of the catalogue; NaN for a subject without collateral, or without a price.

    Volatility is of daily log returns, exponentially weighted with a half-life of a third of its window
    (RiskMetrics' form, mean zero). ``sigmas_to_liquidation`` is the logarithm of the health factor in
    standard deviations of a day: what the collateral must fall before it can be liquidated.
    """
    prices = _daily_prices(world, queries, positions.main)
    returns = _returns(prices)
    found = {name: _volatility(returns[:, -days:], days / 3) for name, days in _EWMA.items()}
    reference = world.history.number(world.options.reference) if world.options.reference else 0
    same = np.full(len(queries), max(reference, 0), np.int64)
    market = _returns(_daily_prices(world, queries, same))
    found["beta_30d"] = _beta(returns[:, -_BETA_DAYS:], market[:, -_BETA_DAYS:])
    known = np.isfinite(prices)
    highest = np.where(known, prices, -np.inf).max(axis=1)
    last = prices[:, -1]
    found["drawdown_90d"] = np.where(known[:, -1], 1 - last / np.where(highest > 0, highest, np.nan), np.nan)
    found["depth_to_debt"] = ratio(_depth(world, queries, positions.main), positions.debt[:, 0])
    found["sigmas_to_liquidation"] = np.log(np.maximum(positions.health[:, 0], _LEAST)) / np.maximum(
        found["volatility_30d"], _LEAST
    )
    return found


def _daily_prices(world: World, queries: Queries, assets: Integers) -> Floats:
    """Prices on each of the last days, oldest first."""
    moments = queries.times[:, None] - DAY_S * np.arange(_DAYS, -1, -1, dtype=np.int64)
    ends = np.searchsorted(world.history.columns["timestamp"], moments, side="right")
    ends[:, -1] = queries.ends
    ends = np.minimum(ends, queries.ends[:, None]).astype(np.int64)
    return world.prices.of_rows(np.broadcast_to(assets[:, None], ends.shape), ends - 1)


def _returns(prices: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.diff(np.log(prices), axis=1))


def _volatility(returns: Floats, half_life_days: float) -> Floats:
    """NaN with fewer than three returns."""
    known = np.isfinite(returns)
    weights = 0.5 ** (np.arange(returns.shape[1] - 1, -1, -1) / half_life_days) * known
    squares = np.where(known, returns, 0.0) ** 2
    spread = np.sqrt(ratio((weights * squares).sum(axis=1), weights.sum(axis=1)))
    return np.where(known.sum(axis=1) >= 3, spread, np.nan)


def _beta(returns: Floats, market: Floats) -> Floats:
    """Covariance over the reference's variance; NaN with fewer than ten days of both, or an unmoved one."""
    both = np.isfinite(returns) & np.isfinite(market)
    count = both.sum(axis=1)
    own, other = np.where(both, returns, 0.0), np.where(both, market, 0.0)
    mean_own, mean_other = (ratio(each.sum(axis=1), count) for each in (own, other))
    product = ((own - mean_own[:, None]) * (other - mean_other[:, None]) * both).sum(axis=1)
    spread = ((other - mean_other[:, None]) ** 2 * both).sum(axis=1)
    return np.where((count >= 10) & (spread > _LEAST**2), ratio(product, spread), np.nan)


def _depth(world: World, queries: Queries, assets: Integers) -> Floats:
    """Units of account on the other side of the asset's pairs at each query's moment."""
    columns = world.history.columns
    rows = np.flatnonzero(columns["kind"] == KIND["reserves"])
    found = np.zeros(len(queries))
    for contract in np.unique(columns["contract"][rows]):
        chosen = rows[columns["contract"][rows] == contract]
        at = np.searchsorted(chosen, queries.ends) - 1
        for held, unit, amount in (("asset", "asset_2", "amount_2"), ("asset_2", "asset", "amount")):
            held_number, unit_number = (int(columns[name][chosen[0]]) for name in (held, unit))
            price = world.prices.constant.get(unit_number)
            wanted = (assets == held_number) & (at >= 0) & (held_number > 0)
            if price is not None and wanted.any():
                found[wanted] += columns[amount][chosen[at[wanted]]] * price
    return np.where(assets > 0, found, np.nan)
