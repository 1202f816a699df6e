# SPDX-License-Identifier: Apache-2.0
"""Prices outside the simulated market: paths drawn from real returns, scaled, with crashes where a scenario
says so.

A path is one price an asset a step. Days come from `returns.bootstrap`; within a day returns are a random
bridge to the day's own, as volatile as days around it. The scale is stated: a year's volatility of an asset
is set to `YEARLY_VOLATILITY`, because the shares that returns come from move less than coins do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.markets.simulation.returns import Array, bootstrap, load

DAY_S: Final = 86_400
CRYPTO_DAYS_A_YEAR: Final = 365

YEARLY_VOLATILITY: Final = {"sETH": 0.80, "sBTC": 0.60}
"""What the paths are scaled to. Assumed, not measured: coins trade every day, so a day's is this / √365."""

FIRST_PRICE: Final = {"sETH": 2_500.0, "sBTC": 50_000.0}
"""In whole dollars, at the first step."""

PRICE_DECIMALS: Final = 8


@dataclass(frozen=True)
class Crash:
    """A fall of every asset: ``share`` of the price lost within ``hours``, beginning at ``at`` (share of the
    whole time); ``recovered`` of the loss comes back within ten times as long."""

    at: float
    share: float
    hours: float
    recovered: float = 0.3

    def __post_init__(self) -> None:
        if not (0 <= self.at <= 1 and 0 < self.share < 1 and self.hours > 0 and 0 <= self.recovered <= 1):
            raise BadInput("A crash begins within the time and takes a share between 0 and 1.")


@dataclass(frozen=True)
class Outside:
    """``timestamps`` (steps,) Unix seconds; ``prices`` asset → (steps,) whole dollars a whole coin;
    ``crashed`` the steps in which a crash was under way."""

    timestamps: NDArray[np.int64]
    prices: dict[str, Array]
    crashed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.timestamps)


def draw(
    start: int,
    steps: int,
    step_s: int,
    generator: np.random.Generator,
    *,
    crashes: tuple[Crash, ...] = (),
    returns: str = "sp500",
    volatility: float = 1.0,
) -> Outside:
    """Paths from ``start`` (Unix seconds), one price every ``step_s``; ``volatility`` stretches them."""
    real = load(returns)
    per_day = DAY_S // step_s
    days = math.ceil(steps / per_day) + 1
    assets = tuple(YEARLY_VOLATILITY)
    wanted = np.array([YEARLY_VOLATILITY[asset] for asset in assets]) / math.sqrt(CRYPTO_DAYS_A_YEAR)
    daily = bootstrap(real, days, generator)
    daily = (daily - real.values.mean(axis=0)) / real.values.std(axis=0) * wanted * volatility
    logs = np.cumsum(_within_days(daily, per_day, real.correlation, generator), axis=0)[:steps]
    fallen = np.zeros(steps)
    crashed = np.zeros(steps, dtype=np.bool_)
    for crash in crashes:
        path, during = _fall(crash, steps, step_s)
        fallen += path
        crashed |= during
    return Outside(
        timestamps=start + np.arange(steps, dtype=np.int64) * step_s,
        prices={
            asset: FIRST_PRICE[asset] * np.exp(logs[:, place] - logs[0, place] + fallen)
            for place, asset in enumerate(assets)
        },
        crashed=crashed,
    )


def _within_days(daily: Array, per_day: int, correlation: Array, generator: np.random.Generator) -> Array:
    """Steps whose sum over each day is the day's return. Their own deviation follows an exponential average
    of the days' sizes (RiskMetrics' 0.94), so that quiet days are quiet inside, too."""
    days, assets = daily.shape
    size = np.empty_like(daily)
    variance = (daily**2).mean(axis=0)
    for day in range(days):
        variance = 0.94 * variance + 0.06 * daily[day] ** 2
        size[day] = np.sqrt(variance / per_day)
    noise = generator.standard_normal((days, per_day, assets)) @ np.linalg.cholesky(correlation).T
    noise = (noise - noise.mean(axis=1, keepdims=True)) * size[:, None, :]
    found: Array = (noise + daily[:, None, :] / per_day).reshape(days * per_day, assets)
    return found


def _fall(crash: Crash, steps: int, step_s: int) -> tuple[Array, NDArray[np.bool_]]:
    """What a crash adds to the logarithm of prices, and the steps of the fall itself."""
    length = max(1, round(crash.hours * 3600 / step_s))
    first = min(round(crash.at * steps), max(0, steps - length))
    low = math.log1p(-crash.share)
    back = math.log1p(-crash.share * (1 - crash.recovered))
    since = np.arange(steps) - first + 1
    falling = np.clip(since / length, 0, 1) * low
    rising = np.clip((since - length) / (10 * length), 0, 1) * (back - low)
    found: Array = falling + rising
    return found, (since >= 1) & (since <= length)


def whole(price: float, decimals: int = PRICE_DECIMALS) -> int:
    """A price as a feed's integer."""
    return max(1, round(price * 10.0**decimals))
