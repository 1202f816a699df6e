# SPDX-License-Identifier: Apache-2.0
"""Bins made one column at a time, with each bin's weight of evidence: the classical way (Siddiqi 2006).

Two makers of edges: a decision tree, and the `optbinning` library's optimal ones (Navas-Palencia 2020). The
library takes seconds to import, so it is imported only when asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from koinon.extras import required
from koinon.lending.scorecard_table import MISSING
from koinon.lending.scoring.binning.base import (
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
from koinon.lending.scoring.measures import log_odds

_LESS = 0.5  # bad rows added to each bin, so that none has infinite evidence

Edges = Callable[[Integers, Integers, Floats, int, int], tuple[int, ...]]
"""From values, labels, how much each row counts, the rows of the frame and a direction."""


def tree_bins(frame: Frame, monotone: Monotone | None = None, seed: int = 0) -> list[Bins]:
    """Bins by a decision tree a column."""
    del seed  # nothing is drawn

    def edges(
        values: Integers, labels: Integers, counted: Floats, rows: int, direction: int
    ) -> tuple[int, ...]:
        least = max(least_rows(rows), rows // 100)
        found = leaf_edges(values, labels.astype(np.float64), 12, least, counted)
        return _merged(found, values, labels, counted, direction) if direction else found

    return _each(frame, monotone or {}, edges)


def optimal_bins(frame: Frame, monotone: Monotone | None = None, seed: int = 0) -> list[Bins]:
    """Bins by optbinning.

    Raises
    ------
    SetupError
        optbinning is not installed.
    """
    del seed  # nothing is drawn
    maker = required("optbinning", extra="lending").OptimalBinning

    def edges(
        values: Integers, labels: Integers, counted: Floats, rows: int, direction: int
    ) -> tuple[int, ...]:
        del rows
        trend = {1: "ascending", -1: "descending"}.get(direction)
        found = maker(
            dtype="numerical", max_n_bins=12, min_bin_size=0.01, max_n_prebins=40, monotonic_trend=trend
        ).fit(values.astype(np.float64), labels, sample_weight=counted)
        return tuple(sorted({int(np.ceil(cut)) - 1 for cut in found.splits}))

    return _each(frame, monotone or {}, edges)


def _each(frame: Frame, monotone: Monotone, edges_of: Edges) -> list[Bins]:
    made = []
    counted = frame.counted
    overall = float(log_odds(np.array([(counted * frame.labels).sum() / counted.sum()]))[0])

    def evidence_in(rows: NDArray[np.bool_]) -> float:
        """How much likelier than all rows these went bad, in log odds; 0 for none."""
        if not rows.any():
            return 0.0
        bad = float((counted[rows] * frame.labels[rows]).sum()) + _LESS
        good = float((counted[rows] * (1 - frame.labels[rows])).sum()) + _LESS
        return float(np.log(bad / good)) - overall

    for name, column in frame.columns.items():
        reader = reader_for(name, column, frame.labels)
        values = reader.read(column)
        rest = values != MISSING
        missing = zero = None
        if not rest.all():
            missing = evidence_in(~rest)
        if zero_apart(reader, values):
            zero = evidence_in(values == 0)
            rest &= values != 0
        direction = -1 if reader.categories else monotone.get(name, 0)
        edges: tuple[int, ...] = ()
        if np.unique(values[rest]).size > 1:
            edges = edges_of(values[rest], frame.labels[rest], counted[rest], len(frame), direction)
        numbers = np.searchsorted(np.array(edges, dtype=np.int64), values, side="left")
        evidence = np.array([evidence_in(rest & (numbers == number)) for number in range(len(edges) + 1)])
        if direction:
            counts = _sums(numbers[rest], counted[rest], len(edges))
            evidence = pooled_monotone(evidence, counts, direction)
        reader, edges = joined(reader, edges)
        made.append(Bins(reader, edges, tuple(evidence.tolist()), zero, missing))
    return made


def _merged(
    edges: tuple[int, ...], values: Integers, labels: Integers, counted: Floats, direction: int
) -> tuple[int, ...]:
    """Only those edges across which the risk still differs once it is made monotone."""
    numbers = np.searchsorted(np.array(edges, dtype=np.int64), values, side="left")
    counts = _sums(numbers, counted, len(edges))
    rates = _sums(numbers, labels * counted, len(edges)) / np.where(counts > 0, counts, 1.0)
    smooth = pooled_monotone(rates, counts, direction)
    return tuple(edge for edge, one, two in zip(edges, smooth, smooth[1:], strict=False) if one != two)


def _sums(numbers: Integers, counted: Floats, edges: int) -> Floats:
    """What the rows of each bin count together, shape (edges + 1,)."""
    return np.bincount(numbers, weights=counted, minlength=edges + 1).astype(np.float64)
