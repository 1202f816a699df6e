# SPDX-License-Identifier: Apache-2.0
"""Intervals where one borrower has several rows: borrowers are drawn, not rows.

A borrower's loans share their fate. DeLong's interval and that of a mean take rows as independent, and are
too narrow then. Here whole borrowers are drawn with replacement, all their rows with them (the cluster
bootstrap; Field and Welsh 2007), and the middle 95 % of what comes out is the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from koinon.estimates import Estimate
from koinon.lending.scoring.frame import Floats, Integers, Texts
from koinon.lending.scoring.measures import auc

DRAWS: Final = 400
Measure = Callable[[Floats], float]
"""From how often each row was drawn, to a value."""


def auc_of_borrowers(labels: Integers, risk: Floats, borrowers: Texts, *, seed: int = 0) -> Estimate:
    """AUC as `koinon.lending.scoring.measures.auc` has it, with an interval by borrower.

    Raises
    ------
    BadInput
        Only one class is there.
    """
    return _estimate(auc(labels, risk).value, _auc_of(labels, risk), labels, borrowers, seed)


def gap_of_borrowers(
    labels: Integers, first: Floats, second: Floats, borrowers: Texts, *, seed: int = 0
) -> Estimate:
    """AUC of the first less that of the second, both on the same drawn borrowers."""
    one, two = _auc_of(labels, first), _auc_of(labels, second)
    value = auc(labels, first).value - auc(labels, second).value
    return _estimate(value, lambda times: one(times) - two(times), labels, borrowers, seed)


def mean_of_borrowers(labels: Integers, values: Floats, borrowers: Texts, *, seed: int = 0) -> Estimate:
    """The mean over rows, with an interval by borrower."""
    value = float(values.mean())
    return _estimate(value, lambda times: float(times @ values / times.sum()), labels, borrowers, seed)


def _estimate(value: float, measure: Measure, labels: Integers, borrowers: Texts, seed: int) -> Estimate:
    found = np.array([measure(times) for times in _drawn(labels, borrowers, seed)])
    low, high = np.quantile(found, (0.025, 0.975))
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def _drawn(labels: Integers, borrowers: Texts, seed: int) -> Iterator[Floats]:
    """How often each row comes, draw by draw; draws with one kind of rows only are passed over."""
    _, whose = np.unique(borrowers, return_inverse=True)
    count = int(whose.max()) + 1
    random = np.random.default_rng(seed)
    for _ in range(DRAWS):
        times = np.bincount(random.integers(0, count, count), minlength=count)[whose].astype(np.float64)
        if 0 < times @ labels < times.sum():
            yield times


def _auc_of(labels: Integers, risk: Floats) -> Measure:
    _, place = np.unique(risk, return_inverse=True)
    size = int(place.max()) + 1
    is_bad = labels.astype(np.float64)

    def measure(times: Floats) -> float:
        bad = np.bincount(place, times * is_bad, size)
        good = np.bincount(place, times * (1 - is_bad), size)
        below = np.cumsum(good) - good / 2
        return float(bad @ below / (bad.sum() * good.sum()))

    return measure
