# SPDX-License-Identifier: Apache-2.0
"""Value at risk and liquidations at risk, as Gauntlet defines them, by Monte Carlo over price paths.

VaR: the 95th percentile of net insolvent debt over the runs. LaR: the 95th percentile of the liquidated
amount (Gauntlet, risk.gauntlet.network, methodology). Each run is one path of `run_path`; the runs are
independent, and the percentiles' intervals come from their order statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.estimates import Estimate, stationary_bootstrap
from koinon.lending.risk.book import Book, Floats, Venue
from koinon.lending.risk.cascade import Outcome, Prepared, run_path
from koinon.lending.risk.losses import quantile

Integers = NDArray[np.int64]

LEVEL: Final = 0.95


@dataclass(frozen=True)
class Simulated:
    """``paths`` log returns (runs, steps); ``outcomes`` one a run."""

    paths: Floats
    outcomes: Sequence[Outcome]

    @property
    def net_insolvent(self) -> Floats:
        return np.array([each.net_insolvent for each in self.outcomes])

    @property
    def liquidated(self) -> Floats:
        return np.array([each.liquidated for each in self.outcomes])

    def value_at_risk(self) -> Estimate:
        """The 95th percentile of net insolvent debt over the runs, in whole loan tokens."""
        return percentile(self.net_insolvent, LEVEL)

    def liquidations_at_risk(self) -> Estimate:
        """The 95th percentile of the liquidated amount over the runs, in whole loan tokens."""
        return percentile(self.liquidated, LEVEL)

    def worst(self, count: int) -> Integers:
        """The runs with the most net insolvent debt, then the most liquidated; worst first."""
        order = np.lexsort((-self.liquidated, -self.net_insolvent))
        return np.asarray(order[:count], dtype=np.int64)


def simulate(book: Book, venue: Venue, paths: Floats) -> Simulated:
    """Run every path.

    Raises
    ------
    BadInput
        There are no paths.
    """
    if paths.ndim != 2 or not paths.size:
        raise BadInput("A simulation needs paths of at least one step.", code="lending.runs")
    prepared = Prepared(book)
    return Simulated(paths, [run_path(prepared, venue, path) for path in paths])


def gaussian_paths(runs: int, steps: int, deviation: float, seed: int, *, jump: Jump | None = None) -> Floats:
    """Log returns of a geometric Brownian motion with this standard deviation a step and no drift of the
    price, with rare jumps where asked for."""
    if runs < 1 or steps < 1 or deviation < 0:
        raise BadInput("Paths need runs, steps and a deviation.", code="lending.runs")
    generator = np.random.default_rng(seed)
    found = generator.normal(-(deviation**2) / 2, deviation, (runs, steps))
    if jump is not None:
        struck = generator.random((runs, steps)) < jump.chance
        found += struck * generator.normal(jump.mean, jump.deviation, (runs, steps))
    return found


@dataclass(frozen=True)
class Jump:
    """Sudden log returns: ``chance`` of one a step, their ``mean`` and ``deviation``."""

    chance: float
    mean: float
    deviation: float


def resampled_paths(returns: Floats, runs: int, steps: int, seed: int, *, mean_block: float = 10.0) -> Floats:
    """Log returns by `stationary_bootstrap`: blocks of consecutive real returns, so that volatility clusters
    as it did."""
    if returns.ndim != 1 or len(returns) < 2 or runs < 1 or steps < 1 or mean_block < 1:
        raise BadInput("A bootstrap needs a series of returns, runs and steps.", code="lending.runs")
    generator = np.random.default_rng(seed)
    rows = stationary_bootstrap(len(returns), (runs, steps), generator, mean_block=mean_block)
    return np.asarray(returns[rows], dtype=np.float64)


def percentile(values: Floats, level: float) -> Estimate:
    """A percentile with the 95 % interval that its order statistics give (normal approximation of the
    binomial), whatever the distribution."""
    ordered = np.sort(values)
    count = len(ordered)
    spread = 1.96 * np.sqrt(count * level * (1 - level))
    low = int(np.clip(np.floor(count * level - spread) - 1, 0, count - 1))
    high = int(np.clip(np.ceil(count * level + spread) - 1, 0, count - 1))
    return Estimate(quantile(values, level), float(ordered[low]), float(ordered[high]))
