# SPDX-License-Identifier: Apache-2.0
"""How much may be withdrawn: quantiles by boosted trees beside the seasonal-naive guess, and which is better.

Measured with a rolling origin: a model learns of days whose outcome was known at its origin, forecasts the
days after it, then the origin moves on. The pinball loss at ``q`` is least, on average, for the true quantile
(Koenker and Bassett, Econometrica 46, 1978). The interval of the ratio is from paired blocks of days, drawn
again. Trees are used only where that interval lies below 1; otherwise the guess stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required
from koinon.watch.liquidity.flows import Flows

Floats = NDArray[np.float64]

QUANTILES: Final = (0.5, 0.9, 0.95)
SEASON_DAYS: Final = 7
SEASONS: Final = 12
"""Weeks back that the seasonal-naive guess takes its quantile of."""
FIRST_DAYS: Final = 120
FOLD_DAYS: Final = 28
LAGS: Final = 7
SPANS: Final = (7, 28)
SETTINGS: Final = {
    "objective": "quantile",
    "num_leaves": 6,
    "learning_rate": 0.08,
    "min_data_in_leaf": 12,
    "lambda_l2": 1.0,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}
ROUNDS: Final = 60


@dataclass(frozen=True)
class Judged:
    """One quantile on the days after each origin: mean pinball loss of trees and of the guess (shares of what
    is there), their ratio with its 95 % interval, and on how many days the outcome was below each."""

    quantile: float
    trees: float
    guess: float
    ratio: float
    low: float
    high: float
    trees_below: float
    guess_below: float

    @property
    def better(self) -> bool:
        """Whether the trees are better beyond doubt."""
        return self.high < 1


@dataclass(frozen=True)
class Forecast:
    """``next`` share that may be withdrawn within ``horizon`` days after the last, by quantile, and which
    way each was made; ``judged`` on ``days`` days behind ``folds`` origins."""

    horizon: int
    next: tuple[float, ...]
    by: tuple[str, ...]
    judged: tuple[Judged, ...]
    days: int
    folds: int

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "horizon_days": self.horizon,
            "next": [
                {"quantile": each.quantile, "share": share, "by": by}
                for each, share, by in zip(self.judged, self.next, self.by, strict=True)
            ],
            "judged": [{**asdict(each), "better": each.better} for each in self.judged],
            "days": self.days,
            "folds": self.folds,
        }


@dataclass(frozen=True)
class Rolled:
    """Forecasts of days ``rows`` (each made at that day's end of what came after), by both ways
    (quantiles, days), beside what came (days,)."""

    rows: NDArray[np.int64]
    came: Floats
    trees: Floats
    guess: Floats
    folds: int


def pinball(came: Floats, told: Floats, quantile: float) -> Floats:
    """(days,): ``q (y - f)`` where more came than told, ``(1 - q) (f - y)`` where less."""
    gap = came - told
    return np.asarray(np.maximum(quantile * gap, (quantile - 1) * gap), dtype=np.float64)


def targets(rate: Floats, horizon: int) -> Floats:
    """(days,): the share taken out within the ``horizon`` days after each; nan where they are not over."""
    found = np.full(rate.size, np.nan)
    if rate.size > horizon:
        stays = np.lib.stride_tricks.sliding_window_view(1 - rate[1:], horizon)
        found[: rate.size - horizon] = 1 - stays.prod(axis=1)
    return found


def features(flows: Flows) -> Floats:
    """(days, columns): what was known at each day's end; nan where the history is too short."""
    rate = flows.rate
    available = flows.before + flows.deposited
    came = np.divide(flows.deposited, available, out=np.zeros(len(flows)), where=available > 0)
    columns = [_lagged(each, lag) for each in (rate, came) for lag in range(LAGS)]
    for days in SPANS:
        for each in (rate, came):
            columns.append(_spanned(each, days, "mean"))
        columns.append(_spanned(rate, days, "max"))
    weekday = (flows.first_day + 1 + np.arange(len(flows))) % SEASON_DAYS  # of the day after
    columns.append(weekday.astype(np.float64))
    return np.column_stack(columns)


def guessed(wanted: Floats, day: int, horizon: int, quantiles: Sequence[float] = QUANTILES) -> Floats:
    """(quantiles,): the seasonal-naive guess at a day's end: quantiles of the outcomes of the same weekday,
    as many of the last `SEASONS` weeks as were over by then."""
    first = SEASON_DAYS * -(-horizon // SEASON_DAYS)
    past = day - first - SEASON_DAYS * np.arange(SEASONS)
    known = wanted[past[past >= 0]]
    return np.quantile(known, quantiles) if known.size else np.zeros(len(quantiles))


def rolled(
    flows: Flows,
    horizon: int = 1,
    *,
    first: int = FIRST_DAYS,
    fold: int = FOLD_DAYS,
    quantiles: Sequence[float] = QUANTILES,
) -> Rolled:
    """Both ways on the days after each origin, whose outcome is over.

    Raises
    ------
    BadInput
        There is no day after the first origin, or the horizon is not 1 to 28 days (``watch.short``).
    """
    if not 1 <= horizon <= FOLD_DAYS:
        raise BadInput(f"A horizon of {horizon} days is not 1 to {FOLD_DAYS}.", code="watch.short")
    wanted, known = targets(flows.rate, horizon), features(flows)
    last = len(flows) - horizon
    if last <= first:
        raise BadInput(
            f"{len(flows)} days leave none to measure a forecast on; it takes more than {first + horizon}.",
            hint="Import more of the chain's history.",
            code="watch.short",
        )
    rows, trees = [], []
    origins = list(range(first, last, fold))
    for origin in origins:
        days = np.arange(origin, min(origin + fold, last))
        rows.append(days)
        trees.append(_learnt(known[: origin + 1], wanted, horizon, quantiles, known[days]))
    at = np.concatenate(rows)
    guess = np.column_stack([guessed(wanted, int(day), horizon, quantiles) for day in at])
    return Rolled(at, wanted[at], np.concatenate(trees, axis=1), guess, len(origins))


def forecast(
    flows: Flows,
    horizon: int = 1,
    *,
    first: int = FIRST_DAYS,
    fold: int = FOLD_DAYS,
    draws: int = 500,
    seed: int = 0,
) -> Forecast:
    """What may be withdrawn after the last day, and how well such forecasts did; errors as `rolled`."""
    found = rolled(flows, horizon, first=first, fold=fold)
    judged = tuple(_judged(found, at, max(SEASON_DAYS, horizon), draws, seed) for at in range(len(QUANTILES)))
    known, wanted, end = features(flows), targets(flows.rate, horizon), len(flows) - 1
    trees = _learnt(known, wanted, horizon, QUANTILES, known[end:])[:, 0]
    guess = guessed(wanted, end, horizon)
    chosen = [float(trees[at] if each.better else guess[at]) for at, each in enumerate(judged)]
    ordered = np.maximum.accumulate(chosen)  # a higher quantile is never told lower
    by = tuple("trees" if each.better else "seasonal naive" for each in judged)
    return Forecast(
        horizon, tuple(float(each) for each in ordered), by, judged, int(found.rows.size), found.folds
    )


def _learnt(known: Floats, wanted: Floats, horizon: int, quantiles: Sequence[float], asked: Floats) -> Floats:
    """(quantiles, days asked): trees taught as of the end of the last day of ``known``, with the days whose
    outcome was over by then."""
    lightgbm = required("lightgbm", extra="watch")
    end = len(known) - horizon
    start = max(SPANS) - 1
    told = []
    for quantile in quantiles:
        settings = {**SETTINGS, "alpha": quantile, "seed": 0}
        data = lightgbm.Dataset(known[start:end], wanted[start:end], params=settings)
        booster = lightgbm.train(settings, data, num_boost_round=ROUNDS)
        told.append(np.asarray(booster.predict(asked, num_threads=1), dtype=np.float64))
    return np.clip(np.sort(np.stack(told), axis=0), 0.0, 1.0)


def _judged(found: Rolled, at: int, block: int, draws: int, seed: int) -> Judged:
    quantile = QUANTILES[at]
    trees = pinball(found.came, found.trees[at], quantile)
    guess = pinball(found.came, found.guess[at], quantile)
    days = trees.size
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, days, (draws, -(-days // block)))
    drawn = (starts[:, :, None] + np.arange(block)).reshape(draws, -1)[:, :days] % days
    ratios = trees[drawn].sum(axis=1) / np.maximum(guess[drawn].sum(axis=1), 1e-300)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Judged(
        quantile,
        float(trees.mean()),
        float(guess.mean()),
        float(trees.sum() / max(float(guess.sum()), 1e-300)),
        float(low),
        float(high),
        float((found.came <= found.trees[at]).mean()),
        float((found.came <= found.guess[at]).mean()),
    )


def _lagged(values: Floats, lag: int) -> Floats:
    found = np.full(values.size, np.nan)
    found[lag:] = values[: values.size - lag]
    return found


def _spanned(values: Floats, days: int, how: str) -> Floats:
    found = np.full(values.size, np.nan)
    if values.size >= days:
        windows = np.lib.stride_tricks.sliding_window_view(values, days)
        found[days - 1 :] = windows.mean(axis=1) if how == "mean" else windows.max(axis=1)
    return found
