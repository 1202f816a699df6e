# SPDX-License-Identifier: Apache-2.0
"""What a method may see, and what it is tested on: the only place where rows are handed out.

A walk forward hands out rows that lie before the test, less an embargo. Combinatorial purged
cross-validation (López de Prado, *Advances in Financial Machine Learning*, chapter 12) also learns from later
rows; it shows how results vary with the years, and is no simulation of what could have been earned.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers, ascending. With ``forward`` every row of ``train`` is before every row of ``test``."""

    train: Rows
    test: Rows
    forward: bool = True

    def __post_init__(self) -> None:
        if not len(self.train) or not len(self.test):
            raise BadInput("A split has nothing to learn from, or nothing to test on.", code="treasury.split")
        if np.intersect1d(self.train, self.test).size:
            raise BadInput("A split is tested on what it learnt from.", code="treasury.split")
        if self.forward and self.train.max() >= self.test.min():
            raise BadInput("A split learns from what came later.", code="treasury.split")


def walk_forward(rows: int, *, train: int, step: int, embargo: int = 0) -> Iterator[Split]:
    """Each ``step`` rows, learn from the ``train`` rows that ended ``embargo`` rows before.

    Raises
    ------
    BadInput
        The rows do not last for one step.
    """
    if min(train, step) < 1 or embargo < 0 or rows < train + embargo + 1:
        raise BadInput(
            f"{rows} returns are too few to learn from {train} and test on later ones.",
            hint="Give more history, or a shorter time to learn from.",
            code="treasury.split",
        )
    for start in range(train + embargo, rows, step):
        learnt = np.arange(start - embargo - train, start - embargo)
        yield Split(learnt, np.arange(start, min(start + step, rows)))


def combinatorial_purged(
    rows: int, *, folds: int, tested: int = 2, purge: int = 1, embargo: int = 0
) -> Iterator[Split]:
    """Every choice of ``tested`` of ``folds`` equal parts to test on; from the rest, ``purge`` rows before
    each tested part and ``purge + embargo`` rows after it are left out.

    Raises
    ------
    BadInput
        There are too few rows or folds.
    """
    if not 1 <= tested < folds or rows < 2 * folds or min(purge, embargo) < 0:
        raise BadInput(
            f"{rows} rows cannot be tested {tested} of {folds} parts at a time.", code="treasury.split"
        )
    parts = np.array_split(np.arange(rows), folds)
    for chosen in itertools.combinations(range(folds), tested):
        test = np.concatenate([parts[number] for number in chosen])
        allowed = np.ones(rows, dtype=bool)
        for number in chosen:
            begin, end = int(parts[number][0]), int(parts[number][-1])
            allowed[max(0, begin - purge) : end + 1 + purge + embargo] = False
        if allowed.any():
            yield Split(np.flatnonzero(allowed), test, forward=False)
