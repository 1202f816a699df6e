# SPDX-License-Identifier: Apache-2.0
"""Statistics that everyone may see: counts, means and histograms with Laplace noise, and what they spend.

Only columns with bounds that the owner declared get any: bounds read off the data would tell of it. The
stated epsilon holds for one row more or less in all of them together (basic composition): it is split evenly
among the count of rows, and a histogram and a mean for each column.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.data.gate.noise import add_noise, calibrate
from koinon.data.policy_file import ColumnBounds
from koinon.errors import BadInput
from koinon.tables import Table

LABEL: Final = "label"
_MOST_ROWS: Final = 2.0**40


@dataclass(frozen=True)
class ColumnStatistics:
    """A column's noised mean and how many rows, noised, fall into each bin; ``edges`` one more than bins."""

    name: str
    mean: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def sound(self) -> bool:
        """Whether there are bins, one beside the other."""
        ordered = all(low < high for low, high in itertools.pairwise(self.edges))
        return len(self.edges) == len(self.counts) + 1 >= 2 and ordered


@dataclass(frozen=True)
class Statistics:
    """What is shown of a table: ``rows`` noised, and ``epsilon`` spent for all of it."""

    rows: int
    columns: tuple[ColumnStatistics, ...]
    epsilon: float

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "epsilon": self.epsilon,
            "mechanism": "laplace",
            "columns": {
                one.name: {"mean": one.mean, "edges": list(one.edges), "counts": list(one.counts)}
                for one in self.columns
            },
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Statistics:
        """From what `to_json` made; BadInput for anything else."""
        try:
            columns = tuple(
                ColumnStatistics(
                    str(name),
                    float(one["mean"]),
                    tuple(float(edge) for edge in one["edges"]),
                    tuple(int(count) for count in one["counts"]),
                )
                for name, one in told["columns"].items()
            )
            found = cls(int(told["rows"]), columns, float(told["epsilon"]))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _no_statistics() from None
        if not found.epsilon > 0 or not all(one.sound for one in columns):
            raise _no_statistics()
        return found

    def synthetic(self, rows: int, generator: np.random.Generator) -> list[dict[str, float]]:
        """Made-up rows, each column by itself from its histogram: nothing but the statistics is used."""
        drawn = {one.name: _drawn(one, rows, generator) for one in self.columns}
        return [{name: round(float(values[row]), 6) for name, values in drawn.items()} for row in range(rows)]


def statistics(
    table: Table,
    bounds: Mapping[str, ColumnBounds],
    epsilon: float,
    generator: np.random.Generator | None = None,
) -> Statistics:
    """Noised statistics of a table.

    Parameters
    ----------
    bounds : mapping
        For the columns to be told of; ``label`` is the label column.
    epsilon : float
        Above 0, for everything together.
    generator : numpy Generator, optional
        For tests; without it noise comes from the system's secure source.

    Raises
    ------
    BadInput
        No epsilon, or a column that the table does not have.
    """
    if not epsilon > 0:
        raise BadInput("Statistics need an epsilon above 0.", code="data.epsilon")
    each = epsilon / (1 + 2 * len(bounds))

    def noised(values: NDArray[np.float64], sensitivity: float, largest: float, *, whole: bool) -> Any:
        calibration = calibrate(
            "laplace",
            sensitivity=sensitivity,
            epsilon=each,
            delta=0.0,
            length=values.size if whole else 1,
            largest=largest,
            whole=whole,
        )
        return add_noise(values, calibration, generator)

    rows = max(0, int(noised(np.array([float(len(table))]), 1.0, _MOST_ROWS, whole=True)[0]))
    columns = []
    for name, limits in bounds.items():
        values = np.clip(_column(table, name), limits.low, limits.high)
        edges = np.linspace(limits.low, limits.high, limits.bins + 1)
        counts = noised(np.histogram(values, edges)[0].astype(np.float64), 1.0, _MOST_ROWS, whole=True)
        middle, half = (limits.low + limits.high) / 2, (limits.high - limits.low) / 2
        total = noised(np.array([float((values - middle).sum())]), half, half * _MOST_ROWS, whole=False)
        mean = float(np.clip(middle + total[0] / max(rows, 1), limits.low, limits.high))
        columns.append(
            ColumnStatistics(
                name,
                mean,
                tuple(float(edge) for edge in edges),
                tuple(max(0, int(count)) for count in counts),
            )
        )
    return Statistics(rows, tuple(columns), epsilon)


def _no_statistics() -> BadInput:
    return BadInput("These are no statistics of a dataset.", hint="Ask its owner.", code="data.statistics")


def _column(table: Table, name: str) -> NDArray[np.float64]:
    if name in table.columns:
        return table.features[:, table.columns.index(name)].astype(np.float64)
    if name == LABEL:
        return table.labels.astype(np.float64)
    raise BadInput(
        f"The table has no column {name}.", hint=f"It has {', '.join(table.columns)}.", code="data.column"
    )


def _drawn(one: ColumnStatistics, rows: int, generator: np.random.Generator) -> NDArray[np.float64]:
    counts = np.array(one.counts, dtype=np.float64)
    shares = counts / counts.sum() if counts.sum() > 0 else np.full(counts.size, 1 / counts.size)
    bins = generator.choice(counts.size, rows, p=shares)
    edges = np.array(one.edges)
    return np.asarray(generator.uniform(edges[bins], edges[bins + 1]))
