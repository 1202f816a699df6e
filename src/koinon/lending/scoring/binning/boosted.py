# SPDX-License-Identifier: Apache-2.0
"""Bins from boosted trees that each look at one column: additive, so every column has a curve of its own.

LightGBM grows trees of three leaves, each allowed one column, until rows it does not learn from stop gaining;
three such runs are averaged. Each column's curve is then cut into at most sixteen bins where it changes most.
This is what generalised additive models with boosted shape functions do (Lou, Caruana and Gehrke 2012). Bins
that see the other columns tell more than bins made one column at a time: see ``benchmarks/scorecard.py``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from koinon.extras import required
from koinon.lending.scorecard_table import MISSING
from koinon.lending.scoring.binning.base import (
    MOST_BINS,
    Bins,
    Monotone,
    joined,
    least_rows,
    pooled_monotone,
    reader_for,
    zero_apart,
)
from koinon.lending.scoring.binning.leaves import leaf_edges
from koinon.lending.scoring.frame import Floats, Frame, Integers
from koinon.lending.scoring.reader import read_rows
from koinon.lending.scoring.splits import held_back

RUNS: Final = 3
HELD_BACK: Final = 0.15
MOST_TREES: Final = 1500
PATIENCE: Final = 40
FEW_TREES: Final = 60
"""Where there are too few rows to hold any back."""
_CURVE_POINTS: Final = 2_000


def boosted_bins(frame: Frame, monotone: Monotone | None = None, seed: int = 0) -> list[Bins]:
    """Bins of every column, their evidence from one additive model.

    Raises
    ------
    SetupError
        LightGBM or scikit-learn is not installed.
    """
    must = monotone or {}
    readers = [reader_for(name, column, frame.labels) for name, column in frame.columns.items()]
    rows = read_rows(readers, frame)
    directions = [
        -1 if reader.categories else must.get(name, 0)
        for name, reader in zip(frame.columns, readers, strict=True)
    ]
    models = [_grow(rows, frame, directions, seed + run) for run in range(RUNS)]
    nowhere = _curve(models, rows.shape[1], 0, None)[0]
    made = []
    for place, reader in enumerate(readers):
        values = rows[:, place]
        known = np.unique(values[values != MISSING])
        curve = _curve(models, rows.shape[1], place, known)
        evidence = np.interp(values, known, curve) if known.size else np.zeros(len(values))
        lacking = values == MISSING
        missing = float(nowhere) if lacking.any() else None
        zero = None
        rest = ~lacking
        if zero_apart(reader, values):
            zero = float(curve[known == 0][0])
            rest &= values != 0
        edges = leaf_edges(values[rest], evidence[rest], MOST_BINS, least_rows(len(values)))
        numbers = np.searchsorted(np.array(edges, dtype=np.int64), values[rest], side="left")
        counts = np.bincount(numbers, minlength=len(edges) + 1).astype(np.float64)
        sums = np.bincount(numbers, weights=evidence[rest], minlength=len(edges) + 1)
        means = sums / np.maximum(counts, 1.0)
        if directions[place]:
            means = pooled_monotone(means, counts, directions[place])
        reader, edges = joined(reader, edges)  # noqa: PLW2901  from here on the joined one
        made.append(Bins(reader, edges, tuple(means.tolist()), zero, missing))
    return made


def _matrix(rows: Integers) -> Floats:
    """What LightGBM reads: NaN where a value is missing."""
    return np.where(rows == MISSING, np.nan, rows.astype(np.float64))


def _grow(rows: Integers, frame: Frame, directions: list[int], seed: int) -> Any:
    lightgbm = required("lightgbm", extra="lending")
    earlier, held = held_back(frame, HELD_BACK, seed)
    options = {
        "objective": "binary",
        "learning_rate": 0.1,
        "num_leaves": 3,
        "min_data_in_leaf": min(50, max(5, len(frame) // 40)),
        "interaction_constraints": [[place] for place in range(rows.shape[1])],
        "monotone_constraints": directions,
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    matrix = _matrix(rows)
    if not held.any():
        everything = lightgbm.Dataset(matrix, frame.labels, weight=frame.counted)
        return lightgbm.train(options, everything, FEW_TREES)
    teach = lightgbm.Dataset(
        matrix[earlier], frame.labels[earlier], weight=frame.counted[earlier], free_raw_data=False
    )
    judge = teach.create_valid(matrix[held], frame.labels[held], weight=frame.counted[held])
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train(options, teach, MOST_TREES, valid_sets=[judge], callbacks=[stop])


def _curve(models: list[Any], columns: int, place: int, known: Integers | None) -> Floats:
    """The mean model's log odds along one column, all others missing; one number where this one is too."""
    asked = np.array([np.nan]) if known is None else known.astype(np.float64)
    if not asked.size:
        return np.zeros(0)
    if asked.size > _CURVE_POINTS:
        asked = asked[np.unique(np.linspace(0, asked.size - 1, _CURVE_POINTS).round().astype(np.int64))]
    probe = np.full((asked.size, columns), np.nan)
    probe[:, place] = asked
    found: Floats = np.mean([model.predict(probe, raw_score=True) for model in models], axis=0)
    return found if known is None else np.interp(known, asked, found)
