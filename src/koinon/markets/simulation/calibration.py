# SPDX-License-Identifier: Apache-2.0
"""How close simulated prices come to the real returns they are drawn from.

``python -m koinon.markets.simulation.calibration`` prints, for each statistic of a year of daily returns,
what real years show and what simulated years show: the median and the middle 95 %. Real years are every
stretch of a year, a month apart, over the deviation of the whole series; simulated ones are paths of other
seeds each, over the deviation that they are scaled to (`prices.YEARLY_VOLATILITY`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from koinon.markets.simulation.prices import YEARLY_VOLATILITY, draw
from koinon.markets.simulation.returns import SETS, Array, load, statistics

YEAR: Final = 252
PATHS: Final = 200
STEPS_A_DAY: Final = 24
DAY_S: Final = 86_400


@dataclass(frozen=True)
class Comparison:
    """One statistic: medians, and the bounds of the middle 95 %, of real years and of simulated ones."""

    statistic: str
    real: float
    real_low: float
    real_high: float
    simulated: float
    simulated_low: float
    simulated_high: float

    @property
    def overlaps(self) -> bool:
        """Whether the simulated median lies within the middle 95 % of real years."""
        return self.real_low <= self.simulated <= self.real_high


def compare(name: str = "sp500", paths: int = PATHS, seed: int = 0) -> list[Comparison]:
    """Every statistic of `returns.statistics`; see above."""
    real = load(name)
    scaled = real.values / real.values.std(axis=0)
    stretches = [scaled[first : first + YEAR] for first in range(0, len(scaled) - YEAR, YEAR // 12)]
    drawn = [_daily(seed + number, name) for number in range(paths)]
    return [
        Comparison(key, *_spread([statistics(each)[key] for each in stretches]), *_spread(found))
        for key in statistics(scaled)
        for found in [[statistics(each)[key] for each in drawn]]
    ]


def _daily(seed: int, name: str) -> Array:
    """A simulated year's daily returns, over what their deviation is set to."""
    path = draw(0, (YEAR + 1) * STEPS_A_DAY, DAY_S // STEPS_A_DAY, np.random.default_rng(seed), returns=name)
    columns = [
        np.diff(np.log(prices[::STEPS_A_DAY])) / (YEARLY_VOLATILITY[asset] / np.sqrt(365))
        for asset, prices in path.prices.items()
    ]
    return np.column_stack(columns)


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    middle, low, high = np.percentile(values, [50, 2.5, 97.5])
    return round(float(middle), 3), round(float(low), 3), round(float(high), 3)


def main(names: Sequence[str]) -> int:
    """One JSON line a statistic of each set of returns."""
    for name in names or SETS:
        for each in compare(name):
            print(json.dumps({"returns": name, **asdict(each), "overlaps": each.overlaps}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
