# SPDX-License-Identifier: Apache-2.0
"""Decision trees, forests and boosted trees in fixed point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.compute.fixed_point import arithmetic
from koinon.compute.fixed_point.arithmetic import FRACTION, LARGEST_SUM, Floats, Integers
from koinon.compute.fixed_point.inputs import Inputs, malformed
from koinon.compute.fixed_point.outputs import Outputs

LEAF_BITS = 36
"""Leaf values are multiples of 2^-36, so that many trees add up to a score without a rounding between."""


@dataclass(frozen=True, eq=False)
class FixedTrees:
    """Trees in one table of m nodes; scores are sums of leaf values, which are integers.

    A row goes to ``left`` where its feature, scaled and rounded to float32, is at most the threshold. A node
    whose ``left`` is itself is a leaf. Comparisons of floats and sums of integers have no order to disagree
    about.

    Parameters
    ----------
    feature, left, right, output : (m,) int64
        Children come after their parents. ``output``: to which score a leaf adds.
    threshold : (m,) float32
    value : (m,) int64
        Leaf values in multiples of 2^-36; 0 elsewhere.
    roots : (t,) int64
        The first node of each tree.
    base : (scores,) int64
        Where the sums start, in multiples of 2^-36.
    """

    inputs: Inputs
    feature: Integers
    threshold: NDArray[np.float32]
    left: Integers
    right: Integers
    output: Integers
    value: Integers
    roots: Integers
    base: Integers
    outputs: Outputs

    def __post_init__(self) -> None:
        count = self.feature.size
        columns = (self.feature, self.threshold, self.left, self.right, self.output, self.value)
        if not count or any(column.shape != (count,) for column in columns) or self.roots.ndim != 1:
            raise malformed("its columns have different lengths")
        node = np.arange(count)
        leaf = self.left == node
        sound = (
            bool(((self.feature >= 0) & (self.feature < len(self.inputs.features))).all())
            and bool(np.isfinite(self.threshold).all())
            and bool(((self.roots >= 0) & (self.roots < count)).all())
            and self.base.shape == (self.outputs.scores,)
            and bool(((self.output >= 0) & (self.output < self.outputs.scores)).all())
            and all(
                bool((leaf | ((child > node) & (child < count))).all()) for child in (self.left, self.right)
            )
        )
        if not sound:
            raise malformed("its nodes do not make trees")
        furthest = int(np.abs(self.base).max())
        furthest += self.roots.size * int(np.abs(self.value).max())
        if furthest >= LARGEST_SUM << 8:
            raise malformed("its leaf values are too large to be added up exactly")

    def scores(self, rows: Floats) -> Integers:
        """Raw scores (n, scores) in multiples of 2^-18 of raw feature rows (n, d); BadInput."""
        with np.errstate(over="ignore"):
            values = self.inputs.prepared(rows).astype(np.float32)
        total = np.tile(self.base, (len(rows), 1))
        index = np.arange(len(rows))
        for root in self.roots:
            at = np.full(len(rows), root)
            while True:  # ends: a child comes after its parent
                goes_left = values[index, self.feature[at]] <= self.threshold[at]
                after = np.where(goes_left, self.left[at], self.right[at])
                after = np.where(self.left[at] == at, at, after)
                if np.array_equal(after, at):
                    break
                at = after
            np.add.at(total, (index, self.output[at]), self.value[at])
        return arithmetic.shifted(total, LEAF_BITS - FRACTION)

    def answers(self, rows: Floats) -> list[dict[str, Any]]:
        """One answer a row, as `Outputs.answers` says."""
        return self.outputs.answers(self.scores(rows))
