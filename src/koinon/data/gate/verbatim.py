# SPDX-License-Identifier: Apache-2.0
"""Whether numbers hold rows or columns of the data: as they are, permuted, rounded, or scaled.

Each test compares with chance and is silent where the data cannot tell: values of few kinds (ages, flags)
occur in honest results too. What it looks for:

- runs of a row or of a column, value by value, when by the data's own frequencies a run that long does not
  occur by accident (48 bits and more, of which a value that occurs once has by its digits);
- single values in any order, more of them than of values some steps of the column's own grid beside them
  (quantiles and extremes are values of single rows: many of them are refused);
- runs that are a row or a column under one scale and shift, also every s-th number (rows written one after
  another, each column scaled), by the ratios of successive differences, which scale and shift leave alone;
- all of a column in any order under any scale and shift, or rounded, by its sorted values.

A program that knows this list can pass it: by encryption or an XOR with anything, by changing every number a
little and differently, by copying less than a run, by sums of rows. Only noise with a true sensitivity bounds
what such a program tells. These tests stop accidents and the lazy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Final

import numpy as np

from koinon.data.gate.grid import Grid, places_of
from koinon.data.gate.runs import RATIOS, Numbers, Runs, Words, ratios_of, shapes_of, words_of
from koinon.tables import Table

_NARROW: Final = 33
_STRIDE_WORK: Final = 20_000_000
_LEAST_DISTINCT: Final = 16


class Fingerprints:
    """What a table's rows and columns are recognised by; made once a gate."""

    def __init__(self, table: Table) -> None:
        self._matrix = table.features.astype(np.float64)
        labels = table.labels.astype(np.float64)
        self._columns = [*self._matrix.T, labels]
        self._whole = np.column_stack([self._matrix, labels])

    @cached_property
    def _runs(self) -> list[Runs]:
        """Within rows and within columns; how telling a value is, its own column says.

        Also over the ends of rows, where one alone is too short to tell.
        """
        bits = np.column_stack(
            [grid.bits(column) for grid, column in zip(self._grids, self._columns, strict=True)]
        )
        words = words_of(self._whole)
        flat = [
            Runs.of(
                words[:, :end].reshape(1, -1),
                bits[:, :end].reshape(1, -1),
                self._whole[:, :end].reshape(1, -1),
            )
            for end in (-1, words.shape[1])
            if words.shape[1] <= _NARROW
        ]
        return [Runs.of(words, bits, self._whole), Runs.of(words.T, bits.T, self._whole.T), *flat]

    @cached_property
    def _words(self) -> Words:
        return np.unique(words_of(self._whole))

    @cached_property
    def _reaches(self) -> dict[float, tuple[int, int]]:
        """For each step of a grid, the places that its columns have, and those beside them."""
        found: dict[float, tuple[int, int]] = {}
        for grid in self._grids:
            low, high = found.get(grid.step, grid.reach)
            found[grid.step] = min(low, grid.reach[0]), max(high, grid.reach[1])
        return found

    @cached_property
    def _row_shapes(self) -> Runs:
        return shapes_of(self._matrix)

    @cached_property
    def _column_shapes(self) -> Runs:
        return shapes_of(self._whole.T)

    @cached_property
    def _grids(self) -> list[Grid]:
        return [Grid.of(column) for column in self._columns]

    @cached_property
    def _sorted(self) -> list[Numbers]:
        found = [_standard(np.sort(column)) for column in self._columns]
        return [each for each in found if each is not None]

    def find(self, values: Numbers) -> str:
        """What of the data these numbers hold, in words; empty where nothing was found."""
        values = values[np.isfinite(values)]
        if values.size < 3:
            return ""
        if found := self.find_exact(values):
            return found
        if values.size > RATIOS + 2 and self._shapes_hit(values):
            return "rows or columns under a scale and a shift"
        if any(self._is_column(part) for part in _parts(values, len(self._whole))):
            return "a column in another order, or rounded"
        return ""

    def find_exact(self, values: Numbers) -> str:
        """As `find`, only for values as they are: for the many ways to read bytes."""
        values = values[np.isfinite(values)]
        words = words_of(values)
        if self._may_hold_runs(words) and any(runs.hits(words, values) for runs in self._runs):
            return "values of rows or columns, one after the other"
        places = {step: places_of(values, step, *reach) for step, reach in self._reaches.items()}
        if any(grid.matches_above_chance(places[grid.step]) for grid in self._grids):
            return "more of the data's own values than chance gives"
        return ""

    def _may_hold_runs(self, words: Words) -> bool:
        """Whether as many values as the shortest run has are the data's, one after the other."""
        at = np.minimum(np.searchsorted(self._words, words), self._words.size - 1)
        same = self._words[at] == words
        return bool((same[2:] & same[1:-1] & same[:-2]).any())

    def _shapes_hit(self, values: Numbers) -> bool:
        columns = self._matrix.shape[1]
        near = [1, *range(max(2, columns - 1), columns + 4), 2 * columns, 2 * columns + 2]
        every = [*range(1, min(2 * columns + 3, 129))]
        for stride in every if values.size * len(every) < _STRIDE_WORK else sorted({*near}):
            for start in range(stride):
                part = values[start::stride]
                if part.size > RATIOS + 2:
                    symbols = ratios_of(part)
                    if self._column_shapes.hits(symbols, part, least=2):
                        return True
                    if stride == 1 and self._row_shapes.hits(symbols, part, least=2):
                        return True
        return False

    def _is_column(self, part: Numbers) -> bool:
        shape = _standard(np.sort(part))
        if shape is None:
            return False
        most = 0.1 / math.sqrt(shape.size)
        return any(
            float(np.abs(way - column).mean()) < most
            for column in self._sorted
            for way in (shape, -shape[::-1])
        )


def _standard(ordered: Numbers) -> Numbers | None:
    """Mean 0 and deviation 1; None where there are too few kinds of values to tell columns apart."""
    spread = float(ordered.std())
    if ordered.size < _LEAST_DISTINCT or spread == 0 or np.unique(ordered).size < _LEAST_DISTINCT:
        return None
    shape: Numbers = (ordered - ordered.mean()) / spread
    return shape


def _parts(values: Numbers, rows: int) -> Iterator[Numbers]:
    """The parts of the output that are as long as a column."""
    if values.size < rows:
        return
    yield values[:rows]
    yield values[-rows:]
    count, rest = divmod(values.size, rows)
    if rest == 0 and 1 < count <= 64:
        yield from values.reshape(count, rows)
        yield from values.reshape(rows, count).T
