# SPDX-License-Identifier: Apache-2.0
"""Methods tried on what came later, with costs, always beside equal weight."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.treasury.allocation import evidence
from koinon.treasury.allocation.methods import BENCHMARK, Views, allocate
from koinon.treasury.allocation.prices import Prices
from koinon.treasury.allocation.splits import combinatorial_purged, walk_forward

Floats = NDArray[np.float64]
ViewSource = Callable[[Floats, tuple[str, ...]], Views]
"""Views from past returns alone: it is given what the method is given, and nothing later."""

SAMPLES: Final = 1_000


@dataclass(frozen=True)
class Plan:
    """How methods are tried. ``train``, ``step`` and ``embargo`` in rows; ``cost_bps`` of each trade, so that
    moving everything from one asset to another costs it twice."""

    train: int = 504
    step: int = 63
    embargo: int = 1
    cost_bps: float = 30.0
    seed: int = 0
    samples: int = SAMPLES


@dataclass(frozen=True)
class Record:
    """What a method did. ``returns`` after costs, one a tested row; ``turnover`` the mean a rebalance, of
    what was held; ``seconds`` to find the weights once."""

    method: str
    returns: Floats = field(repr=False)
    turnover: float
    rebalances: int
    seconds: float
    weights: Floats = field(repr=False)


@dataclass(frozen=True)
class Row:
    """One method's line of a report. Ratios a year, intervals of 95 %; ``beats`` the difference of its Sharpe
    ratio to equal weight's on the same bootstrap samples; ``probable`` and ``deflated`` probabilities."""

    method: str
    sharpe: float
    sharpe_interval: tuple[float, float]
    beats: float
    beats_interval: tuple[float, float]
    probable: float
    deflated: float
    a_year: float
    volatility: float
    drawdown: float
    shortfall: float
    turnover: float
    seconds: float

    @property
    def better(self) -> bool:
        """Whether it beats equal weight beyond chance."""
        return self.beats_interval[0] > 0


@dataclass(frozen=True)
class Report:
    """Rows with equal weight first. ``paths`` the Sharpe ratios of combinatorial purged cross-validation, by
    method: how they vary with the years that were tested."""

    source: str
    begin: str
    end: str
    tested: int
    plan: Plan
    rows: tuple[Row, ...]
    paths: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For a JSON document."""
        return {
            "source": self.source,
            "begin": self.begin,
            "end": self.end,
            "tested_rows": self.tested,
            "split": {
                "kind": "walk forward",
                "train": self.plan.train,
                "step": self.plan.step,
                "embargo": self.plan.embargo,
            },
            "cost_bps": self.plan.cost_bps,
            "baseline": BENCHMARK,
            "rows": [{**vars(row), "better": row.better} for row in self.rows],
            "paths": {name: list(values) for name, values in self.paths.items()},
        }


def walk(prices: Prices, method: str, plan: Plan, views: ViewSource | None = None) -> Record:
    """Try one method. At each rebalance it sees a copy of the rows of its split, and nothing else.

    Errors as `walk_forward` and `allocate`.
    """
    returns = prices.returns
    held = np.zeros(len(prices.names))
    earned, moved, chosen, seconds = [], [], [], 0.0
    for split in walk_forward(len(returns), train=plan.train, step=plan.step, embargo=plan.embargo):
        seen = returns[split.train].copy()
        begun = time.perf_counter()
        said = views(seen.copy(), prices.names) if views is not None else None
        weights = allocate(method, seen, prices.names, said)
        seconds += time.perf_counter() - begun
        turnover = float(np.abs(weights - held).sum())
        moved.append(turnover)
        chosen.append(weights)
        path, held = _hold(weights, returns[split.test])
        path[0] = (1 + path[0]) * (1 - turnover * plan.cost_bps / 10_000) - 1
        earned.append(path)
    later = moved[1:] or moved  # the first is the purchase of everything
    return Record(
        method,
        np.concatenate(earned),
        float(np.mean(later)),
        len(moved),
        seconds / len(moved),
        np.array(chosen),
    )


def _hold(weights: Floats, returns: Floats) -> tuple[Floats, Floats]:
    """What holding earns a row, and the weights at the end: nothing is traded in between."""
    grown = weights * np.cumprod(1 + returns, axis=0)
    wealth = np.concatenate([[1.0], grown.sum(axis=1)])
    return np.asarray(wealth[1:] / wealth[:-1] - 1), np.asarray(grown[-1] / wealth[-1])


def backtest(
    prices: Prices,
    methods: Sequence[str],
    plan: Plan | None = None,
    *,
    views: ViewSource | None = None,
    folds: int = 0,
) -> Report:
    """Try methods on prices; equal weight is always among them, and all count as trials.

    ``folds`` above 0 adds combinatorial purged cross-validation, two of that many parts tested at a time.
    """
    plan = plan or Plan()
    names = list(dict.fromkeys([BENCHMARK, *methods]))
    records = [walk(prices, name, plan, views if name == "black-litterman" else None) for name in names]
    periods = prices.periods_a_year
    drawn = evidence.resampled(len(records[0].returns), plan.samples, plan.seed)
    ratios = [evidence.sharpe(record.returns, 1.0) for record in records]
    base = evidence.sharpes_resampled(records[0].returns, drawn, periods)
    rows = []
    for record in records:
        mine = evidence.sharpes_resampled(record.returns, drawn, periods)
        ratio = evidence.sharpe(record.returns, periods)
        growth = float(np.prod(1 + record.returns)) ** (periods / len(record.returns)) - 1
        rows.append(
            Row(
                record.method,
                ratio,
                evidence.interval(mine),
                ratio - evidence.sharpe(records[0].returns, periods),
                evidence.interval(mine - base),
                evidence.probabilistic_sharpe(record.returns),
                evidence.deflated_sharpe(record.returns, ratios),
                growth,
                float(record.returns.std(ddof=1)) * periods**0.5,
                evidence.worst_drawdown(record.returns),
                evidence.expected_shortfall(record.returns),
                record.turnover,
                record.seconds,
            )
        )
    tested = len(records[0].returns)
    return Report(
        prices.source,
        str(prices.dates[-tested].astype("datetime64[D]")),
        str(prices.dates[-1].astype("datetime64[D]")),
        tested,
        plan,
        tuple(rows),
        {name: _paths(prices, name, folds) for name in names if name != "black-litterman"} if folds else {},
    )


def _paths(prices: Prices, method: str, folds: int) -> tuple[float, ...]:
    returns = prices.returns
    found = []
    for split in combinatorial_purged(len(returns), folds=folds, purge=1, embargo=5):
        weights = allocate(method, returns[split.train].copy(), prices.names)
        found.append(evidence.sharpe(returns[split.test] @ weights, prices.periods_a_year))
    if not found:
        raise BadInput("Nothing is left to learn from after purging.", code="treasury.split")
    return tuple(found)
