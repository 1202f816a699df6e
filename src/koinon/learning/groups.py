# SPDX-License-Identifier: Apache-2.0
"""How a model treats the groups of a column: each one's figures with their doubt, and the largest gaps.

The figures are those of group fairness: selection rates (demographic parity), the selection rate of those who
merit it (equal opportunity; Hardt, Price and Srebro 2016), and how good the model is in each group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from koinon.estimates import Z95, Estimate, wilson
from koinon.learning import metrics
from koinon.learning.fairness import Fairness
from koinon.learning.metrics import Labels, Scores


@dataclass(frozen=True)
class Group:
    """A group's figures with 95 % intervals; None where too few rows say anything.

    Attributes
    ----------
    selected
        The part of the group that is given the favourable class.
    opportunity
        The same of those who merit it (whose label it is).
    score
        AUC or accuracy inside the group.
    """

    name: str
    rows: int
    selected: Estimate | None
    opportunity: Estimate | None
    score: Estimate | None


@dataclass(frozen=True)
class Gap:
    """The largest difference between two groups in one figure, with an interval that allows for all pairs.

    ``figure`` is ``"selected"``, ``"opportunity"`` or ``"score"``; ``most`` and ``least`` name the groups.
    """

    figure: str
    difference: Estimate
    most: str
    least: str

    @property
    def certain(self) -> bool:
        """Whether it is more than chance explains."""
        return self.difference.low > 0


@dataclass(frozen=True)
class GroupReport:
    """How a model treats the groups of a column, on common held-out rows."""

    column: str
    favourable: str
    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]

    def gap(self, figure: str) -> Gap | None:
        """The largest gap in a figure; None where fewer than two groups are measured."""
        return next((gap for gap in self.gaps if gap.figure == figure), None)


def compare_groups(
    fairness: Fairness, favourable: str, groups: NDArray[np.int64], labels: Labels, probabilities: Scores
) -> GroupReport:
    """Each group's figures and the largest gaps.

    Parameters
    ----------
    favourable : str
        What the favourable class is called.
    groups, labels, probabilities
        One a row, as `Fairness.groups_of` and a model give them.
    """
    chosen, merits = fairness.chosen(probabilities), labels == fairness.favourable
    measured = []
    for place, name in enumerate(fairness.names):
        inside = groups == place
        figures: dict[str, _Rate | _Score | None] = {
            "selected": _Rate.of(chosen[inside], fairness.least),
            "opportunity": _Rate.of(chosen[inside & merits], fairness.least),
            "score": _Score.of(labels[inside], probabilities[inside], fairness.least),
        }
        measured.append((name, int(inside.sum()), figures))
    gaps = [
        _gap(figure, [(name, found) for name, _, all_of in measured if (found := all_of[figure]) is not None])
        for figure in ("selected", "opportunity", "score")
    ]
    return GroupReport(
        fairness.group,
        favourable,
        tuple(
            Group(
                name,
                rows,
                **{figure: found.interval() if found else None for figure, found in figures.items()},
            )
            for name, rows, figures in measured
        ),
        tuple(gap for gap in gaps if gap is not None),
    )


@dataclass(frozen=True)
class _Rate:
    """A part of some rows."""

    hits: int
    rows: int

    @classmethod
    def of(cls, hits: NDArray[np.bool_], least: int) -> _Rate | None:
        return cls(int(hits.sum()), len(hits)) if len(hits) >= least else None

    @property
    def value(self) -> float:
        return self.hits / self.rows

    def interval(self, z: float = Z95) -> Estimate:
        """Wilson's (1927)."""
        return wilson(self.hits, self.rows, z=z)


@dataclass(frozen=True)
class _Score:
    """AUC or accuracy of some rows, and its variance."""

    value: float
    variance: float

    @classmethod
    def of(cls, labels: Labels, probabilities: Scores, least: int) -> _Score | None:
        one_class = probabilities.ndim == 1 and len(np.unique(labels)) < 2
        if len(labels) < least or one_class:
            return None
        return cls(metrics.score(labels, probabilities), metrics.variance(labels, probabilities))

    def interval(self, z: float = Z95) -> Estimate:
        """By the normal approximation."""
        half = z * self.variance**0.5
        return Estimate(self.value, max(0.0, self.value - half), min(1.0, self.value + half))


def _gap(figure: str, measured: Sequence[tuple[str, _Rate | _Score]]) -> Gap | None:
    """Between rates by Newcombe's hybrid score interval (1998, method 10), which adds up each one's own."""
    if len(measured) < 2:
        return None
    pairs = len(list(combinations(measured, 2)))
    z = NormalDist().inv_cdf(1 - 0.025 / pairs)  # Bonferroni: the pair was picked because it differs most
    (least, low), (most, high) = (pick(measured, key=lambda one: one[1].value) for pick in (min, max))
    first, second = high.interval(z), low.interval(z)
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Gap(figure, Estimate(value, max(-1.0, value - below), min(1.0, value + above)), most, least)
