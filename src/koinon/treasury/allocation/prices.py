# SPDX-License-Identifier: Apache-2.0
"""Prices of several assets at the same moments, read from files, from a chain's pairs, or from skfolio."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required

Floats = NDArray[np.float64]
Dates = NDArray[np.datetime64]

LEAST_ROWS: Final = 3
_YEAR: Final = np.timedelta64(365 * 24 * 3_600 + 6 * 3_600, "s")


@dataclass(frozen=True)
class Prices:
    """Prices without gaps.

    Attributes
    ----------
    dates : datetime64[s] array, shape (rows,)
        Strictly ascending.
    names : tuple of str
        One an asset.
    values : float64 array, shape (rows, assets)
        All positive.
    source : str
        Where they are from, for reports.
    """

    dates: Dates
    names: tuple[str, ...]
    values: Floats
    source: str = ""

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.dates), len(self.names)):
            raise BadInput("Prices, dates and names do not fit each other.", code="treasury.prices")
        if len(self.dates) < LEAST_ROWS or not self.names:
            raise BadInput(f"There are fewer than {LEAST_ROWS} prices.", code="treasury.prices")
        if len(set(self.names)) != len(self.names):
            raise BadInput("Two assets have the same name.", code="treasury.prices")
        if not np.all(np.isfinite(self.values)) or not np.all(self.values > 0):
            row, column = np.argwhere(~(np.isfinite(self.values) & (self.values > 0)))[0]
            raise BadInput(
                f"The price of {self.names[column]} at {self.dates[row]} is missing or not positive.",
                hint="Leave out the row, or the asset.",
                code="treasury.prices",
            )
        if not np.all(np.diff(self.dates) > np.timedelta64(0, "s")):
            raise BadInput("The dates do not ascend.", hint="Sort the rows.", code="treasury.prices")

    @property
    def returns(self) -> Floats:
        """Simple returns, shape (rows - 1, assets): row t is what happened from date t to date t + 1."""
        return np.asarray(self.values[1:] / self.values[:-1] - 1.0)

    @property
    def periods_a_year(self) -> float:
        """How many rows a year has."""
        span = float((self.dates[-1] - self.dates[0]) / _YEAR)
        return (len(self.dates) - 1) / span

    def last(self, rows: int) -> Prices:
        """The newest rows only."""
        return Prices(self.dates[-rows:], self.names, self.values[-rows:], self.source)


def read_prices(path: Path) -> Prices:
    """A CSV or Parquet file: the first column dates, each other column the prices of one asset.

    Raises
    ------
    BadInput
        It cannot be read, or is not such a table.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            names, columns = _parquet(path)
        else:
            names, columns = _csv(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error}.", code="treasury.prices") from None
    try:
        dates = np.array(columns[0], dtype="datetime64[s]")
        values = np.array(columns[1:], dtype=np.float64).T.reshape(len(dates), len(names) - 1)
    except ValueError as error:
        raise BadInput(
            f"{path} holds no prices: {error}.",
            hint="The first column has dates like 2024-01-31, the others numbers.",
            code="treasury.prices",
        ) from None
    return Prices(dates, tuple(names[1:]), values, path.name)


def _csv(path: Path) -> tuple[list[str], list[list[Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = [row for row in csv.reader(file) if row]
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadInput(f"{path} is no CSV file: {error}.", code="treasury.prices") from None
    if len(rows) < 2 or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise BadInput(
            f"{path} is no table of dates and prices.",
            hint="A header, then one row a date: the date, and one price an asset.",
            code="treasury.prices",
        )
    return rows[0], [[row[place] or "nan" for row in rows[1:]] for place in range(len(rows[0]))]


def _parquet(path: Path) -> tuple[list[str], list[list[Any]]]:
    parquet = required("pyarrow.parquet", extra="parquet")
    try:
        table = parquet.read_table(path)
    except Exception as error:  # pyarrow's own kinds, which are not imported here
        raise BadInput(f"{path} is no Parquet file: {error}.", code="treasury.prices") from None
    return list(table.column_names), [column.to_pylist() for column in table.columns]


def sp500_prices(rows: int | None = None) -> Prices:
    """20 stocks of the S&P 500, daily from 1990 to 2022: skfolio's ``load_sp500_dataset``, which needs no
    network. They are stocks that lived to be chosen: every method here looks better than it was."""
    table = required("skfolio.datasets", extra="treasury").load_sp500_dataset()
    prices = Prices(
        table.index.to_numpy().astype("datetime64[s]"),
        tuple(map(str, table.columns)),
        table.to_numpy(dtype=np.float64),
        "skfolio load_sp500_dataset",
    )
    return prices if rows is None else prices.last(rows)


def aligned(
    series: Mapping[str, tuple[Sequence[int], Sequence[float]]], step_s: int, *, source: str = ""
) -> Prices:
    """Prices told at any moments, at even steps: at each step the newest that was told by then.

    ``series`` maps a name to moments (Unix seconds, ascending) and prices: of a pair's history, say. The
    first step is when all have one.
    """
    if not series or any(len(moments) == 0 for moments, _ in series.values()):
        raise BadInput("An asset has no price at all.", code="treasury.prices")
    first = max(int(moments[0]) for moments, _ in series.values())
    last = max(int(moments[-1]) for moments, _ in series.values())
    steps = np.arange(first, last + 1, step_s, dtype=np.int64)
    columns = []
    for moments, values in series.values():
        places = np.searchsorted(np.asarray(moments, dtype=np.int64), steps, side="right") - 1
        columns.append(np.asarray(values, dtype=np.float64)[places])
    return Prices(steps.astype("datetime64[s]"), tuple(series), np.column_stack(columns), source)
