# SPDX-License-Identifier: Apache-2.0
"""How sure a track record is: Sharpe ratios with their intervals, and what is left of the best of many.

Sources: Bailey and López de Prado, "The Sharpe Ratio Efficient Frontier" (2012) and "The Deflated Sharpe
Ratio" (2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.estimates import stationary_bootstrap

Floats = NDArray[np.float64]

_NORMAL: Final = NormalDist()
_EULER: Final = 0.5772156649015329
_FLAT: Final = 1e-12
BLOCK: Final = 20
"""Mean length of a bootstrap block, in rows: about a month of days."""


def sharpe(returns: Floats, periods_a_year: float) -> float:
    """Mean over standard deviation, a year; 0 where nothing ever changed."""
    spread = float(returns.std(ddof=1))
    return float(returns.mean()) / spread * math.sqrt(periods_a_year) if spread > _FLAT else 0.0


def probabilistic_sharpe(returns: Floats, benchmark: float = 0.0) -> float:
    """The probability that the true Sharpe ratio of one period is above ``benchmark``, given length, skewness
    and tails of the record."""
    spread = float(returns.std(ddof=1))
    if spread <= _FLAT or len(returns) < 3:
        return 0.5
    ratio = float(returns.mean()) / spread
    scaled = (returns - returns.mean()) / returns.std()
    skewness, kurtosis = float((scaled**3).mean()), float((scaled**4).mean())
    variance = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(len(returns) - 1) / math.sqrt(max(variance, 1e-12)))


def best_by_chance(ratios: Sequence[float]) -> float:
    """The Sharpe ratio of one period to expect of the best of so many trials, all of them worthless."""
    trials = len(ratios)
    if trials < 2:
        return 0.0
    spread = float(np.std(ratios, ddof=1))
    return spread * (
        (1 - _EULER) * _NORMAL.inv_cdf(1 - 1 / trials) + _EULER * _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    )


def deflated_sharpe(returns: Floats, ratios: Sequence[float]) -> float:
    """`probabilistic_sharpe` against `best_by_chance` of everything tried (``ratios`` of one period)."""
    return probabilistic_sharpe(returns, best_by_chance(ratios))


def resampled(rows: int, samples: int, seed: int, block: int = BLOCK) -> NDArray[np.int64]:
    """Row numbers of a stationary bootstrap, shape (samples, rows)."""
    generator = np.random.default_rng(seed)
    return stationary_bootstrap(rows, (samples, rows), generator, mean_block=block)


def sharpes_resampled(returns: Floats, drawn: NDArray[np.int64], periods_a_year: float) -> Floats:
    """The Sharpe ratio of each bootstrap sample."""
    taken = returns[drawn]
    spread = taken.std(axis=1, ddof=1)
    ratio = np.divide(taken.mean(axis=1), spread, out=np.zeros(len(taken)), where=spread > _FLAT)
    return np.asarray(ratio * math.sqrt(periods_a_year))


def interval(values: Floats, coverage: float = 0.95) -> tuple[float, float]:
    """The middle part of bootstrap values."""
    tail = (1 - coverage) / 2
    return float(np.quantile(values, tail)), float(np.quantile(values, 1 - tail))


def worst_drawdown(returns: Floats) -> float:
    """The largest fall from a peak, as a positive part of the peak."""
    wealth = np.concatenate([[1.0], np.cumprod(1 + returns)])
    return float((1 - wealth / np.maximum.accumulate(wealth)).max())


def expected_shortfall(returns: Floats, level: float = 0.95) -> float:
    """The mean of the worst 5 % of periods, as a positive loss."""
    worst = np.sort(returns)[: max(1, math.ceil(round(len(returns) * (1 - level), 9)))]
    return float(-worst.mean())
