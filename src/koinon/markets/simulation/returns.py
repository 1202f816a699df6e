# SPDX-License-Identifier: Apache-2.0
"""Real daily returns of shares, as skfolio ships them, from which the simulator draws its outside prices.

They are read from the package's own files, without importing it (which takes longer than a simulation). No
long history of crypto prices is in any package that may be used offline: what is taken from these is how
returns cluster, jump and move together, and what is not, their size, is scaled (see `prices`).
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import NotFound, SetupError
from koinon.estimates import stationary_bootstrap

Array = NDArray[np.float64]

SETS: Final = {
    "sp500": ("sp500_dataset.csv.gz", ("AMD", "AAPL"), "2003-01-01"),
    "factors": ("factors_dataset.csv.gz", ("VLUE", "SIZE"), "2014-01-01"),
}
"""Name → skfolio's file, the columns that stand for (sETH, sBTC), and the first day that is used."""

DAYS_A_YEAR: Final = 252
"""Trading days: what a share's yearly volatility is counted by."""


@dataclass(frozen=True)
class RealReturns:
    """``values`` (days, assets) daily log returns, ``names`` of the columns, first and last day."""

    source: str
    names: tuple[str, ...]
    first: str
    last: str
    values: Array

    @property
    def yearly_volatility(self) -> Array:
        """Standard deviation a year of each column."""
        return np.sqrt(np.diag(np.atleast_2d(np.cov(self.values.T))) * DAYS_A_YEAR)

    @property
    def correlation(self) -> Array:
        """Of the columns' daily returns."""
        return np.atleast_2d(np.corrcoef(self.values.T))


@lru_cache(maxsize=4)
def load(name: str = "sp500") -> RealReturns:
    """One of `SETS`.

    Raises
    ------
    SetupError
        skfolio is not installed.
    NotFound
        There is no such set.
    """
    if name not in SETS:
        raise NotFound(f"There are no returns called {name!r}.", hint=f"Name one of {', '.join(SETS)}.")
    file, columns, first = SETS[name]
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(_file(file).read_bytes()).decode())))
    kept = [row for row in rows if row["Date"] >= first and all(row[column] for column in columns)]
    prices = np.array([[float(row[column]) for column in columns] for row in kept])
    return RealReturns(
        f"skfolio load_{name}_dataset",
        columns,
        kept[0]["Date"][:10],
        kept[-1]["Date"][:10],
        np.diff(np.log(prices), axis=0),
    )


def bootstrap(
    real: RealReturns, days: int, generator: np.random.Generator, mean_block: float = 10.0
) -> Array:
    """Days of returns by `stationary_bootstrap`: blocks of real consecutive days (``mean_block`` of them on
    average), all assets together, so that volatility clusters and assets move together as they did."""
    chosen = stationary_bootstrap(len(real.values), (1, days), generator, mean_block=mean_block)[0]
    return np.asarray(real.values[chosen], dtype=np.float64)


def statistics(values: Array) -> dict[str, Any]:
    """What a path of daily returns (days, 2) is compared by: standard deviation and excess kurtosis of the
    first asset, autocorrelation at lag 1 of its absolute returns (clustering), correlation of both."""
    first = np.subtract(values[:, 0], float(np.mean(values[:, 0])))
    size = np.subtract(np.abs(values[:, 0]), float(np.mean(np.abs(values[:, 0]))))
    together = np.asarray(np.corrcoef(values.T))
    return {
        "daily_deviation": float(first.std()),
        "excess_kurtosis": float((first**4).mean() / (first**2).mean() ** 2 - 3),
        "clustering": float((size[1:] * size[:-1]).mean() / (size**2).mean()),
        "correlation": float(together[0, 1]),
    }


def _file(name: str) -> Path:
    spec = importlib.util.find_spec("skfolio")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / "datasets" / "data" / name
        if path.is_file():
            return path
    raise SetupError(
        "The market simulator draws prices from real returns that come with skfolio, which is not installed.",
        hint="pip install 'koinon[finance]'",
        code="setup.no_extra",
    )
