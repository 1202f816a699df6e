# SPDX-License-Identifier: Apache-2.0
"""Choosing the updates that lie closest together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from koinon.learning.aggregation.base import Update, blocks, check_all, fixed_point, moved
from koinon.learning.aggregation.products import squared_distances
from koinon.learning.models.base import Vector


@dataclass(frozen=True)
class MultiKrum:
    """The mean of the n - f updates whose n - f - 2 nearest others are nearest (Blanchard et al. 2017).

    Rows are not counted. With fewer than 2f + 3 updates (a round that some missed, a subset that is being
    valued) f is as many as they allow, which is none for four and fewer: then it is the plain mean.

    Parameters
    ----------
    malicious : int
        f, how many owners may mean harm.
    """

    malicious: float = 1

    def __post_init__(self) -> None:
        if not (self.malicious >= 0 and float(self.malicious).is_integer()):
            raise ValueError("The number of malicious owners must be a whole number, 0 or more.")

    def aggregate(self, base: Vector, updates: Sequence[Update]) -> Vector:
        check_all(base, updates)
        kept = self.chosen(updates)
        step = np.empty(base.shape, dtype=np.int64)
        for part, numbers in blocks([updates[index] for index in kept], base.shape[0]):
            step[part] = np.floor_divide(numbers.sum(axis=0), len(kept))
        return moved(base, step)

    def chosen(self, updates: Sequence[Update]) -> list[int]:
        """Which updates are averaged; among equal scores those of the smaller digest."""
        number = len(updates)
        malicious = min(int(self.malicious), max(0, number - 3) // 2)
        if not malicious:
            return list(range(number))
        scores = [
            sum(sorted(row[:index] + row[index + 1 :])[: number - malicious - 2])
            for index, row in enumerate(squared_distances(updates))
        ]
        seen = Counter(scores)

        def rank(index: int) -> tuple[int, bytes]:
            tied = seen[scores[index]] > 1
            return scores[index], _digest(updates[index]) if tied else b""

        return sorted(sorted(range(number), key=rank)[: number - malicious])


def _digest(update: Update) -> bytes:
    return hashlib.sha256(fixed_point(update.change).astype("<i8").tobytes()).digest()
