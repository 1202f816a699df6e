# SPDX-License-Identifier: Apache-2.0
"""From bins to a table of whole points: logistic weights, rounding, and tiers.

A column's worst bin gives 0 points and every other what it gains on it, so a lost point is a point below the
best bin. Columns whose points would all be the same are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from koinon.errors import BadInput
from koinon.lending.scorecard_table import MAXIMUM_FEATURES, MAXIMUM_TIERS, Feature, ScorecardTable
from koinon.lending.scoring.binning.base import Binner, Bins, joined
from koinon.lending.scoring.binning.boosted import boosted_bins
from koinon.lending.scoring.binning.one_by_one import optimal_bins, tree_bins
from koinon.lending.scoring.calibration import Calibration
from koinon.lending.scoring.frame import Frame, Integers
from koinon.lending.scoring.reader import Reader
from koinon.lending.scoring.weights import fit_weights

POINTS_TO_DOUBLE: Final = 20
POINTS_AT: Final = 600
ODDS_AT: Final = 50
FACTOR: Final = POINTS_TO_DOUBLE / math.log(2)
BINNERS: Final[Mapping[str, Binner]] = {
    "boosted": boosted_bins,
    "tree": tree_bins,
    "optimal": optimal_bins,
}
_JOINT: Final = frozenset({"boosted"})
"""Binners that see all columns together: their evidence already adds up, so weights stay near 1."""


@dataclass(frozen=True)
class Plan:
    """How a scorecard is made.

    Attributes
    ----------
    binner : str
        One of `BINNERS`.
    monotone : mapping of str to int
        Columns whose risk must only rise (1) or fall (-1) with the value.
    tiers : int or tuple of float
        How many equally large tiers, or the greatest probability of going bad of each tier but the last.
    calibration : str
        ``platt`` or ``isotonic``.
    actionable : mapping of str to int
        Columns a borrower can change: 1 up, -1 down, 0 either way.
    seed : int
        Of everything that is drawn.
    """

    binner: str = "boosted"
    monotone: Mapping[str, int] = field(default_factory=dict)
    tiers: int | tuple[float, ...] = 5
    calibration: str = "platt"
    actionable: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.binner not in BINNERS:
            raise BadInput(
                f"There is no binner '{self.binner}'.",
                hint=f"Use {', '.join(BINNERS)}.",
                code="lending.plan",
            )
        if not set(self.monotone.values()) <= {-1, 1} or not set(self.actionable.values()) <= {-1, 0, 1}:
            raise BadInput("A direction is 1 (up) or -1 (down).", code="lending.plan")
        most = MAXIMUM_TIERS + 1
        if isinstance(self.tiers, int):
            if not 1 <= self.tiers <= most:
                raise BadInput(f"A scorecard has 1 to {most} tiers.", code="lending.plan")
        elif not (
            len(self.tiers) < most
            and all(0 < chance < 1 for chance in self.tiers)
            and all(low < high for low, high in pairwise(self.tiers))
        ):
            raise BadInput("Tiers' probabilities rise between 0 and 1.", code="lending.plan")

    def check(self, frame: Frame) -> None:
        """Refuse directions of columns that are not there (BadInput)."""
        lacking = sorted((set(self.monotone) | set(self.actionable)) - set(frame.columns))
        if lacking:
            raise BadInput(
                f"There is no column '{lacking[0]}' to give a direction to.",
                hint=f"Columns are: {', '.join(frame.columns)}.",
                code="lending.plan",
            )


def fit_points(frame: Frame, plan: Plan) -> tuple[ScorecardTable, tuple[Reader, ...]]:
    """A table without tiers, and how its columns are read, from rows that teach.

    Raises
    ------
    BadInput
        No column tells good from bad.
    SetupError
        A package that the binner needs is not installed.
    """
    bins = BINNERS[plan.binner](frame, plan.monotone, plan.seed)
    joint = plan.binner in _JOINT
    return points_of(frame, bins, ridge=50.0 if joint else 1.0, prior=1.0 if joint else 0.0)


def points_of(
    frame: Frame,
    bins: Sequence[Bins],
    *,
    ridge: float,
    prior: float,
    weigh: Callable[..., tuple[float, np.ndarray]] = fit_weights,
) -> tuple[ScorecardTable, tuple[Reader, ...]]:
    """Weights for given bins, rounded to points (see `fit_points`)."""
    evidence = np.stack(
        [each.evidence_of(each.reader.read(frame.columns[each.reader.name])) for each in bins], axis=1
    )
    middle = evidence.mean(axis=0)
    intercept, weights = weigh(
        evidence - middle, frame.labels, weights=frame.weights, ridge=ridge, prior=prior
    )
    base = POINTS_AT - FACTOR * (math.log(ODDS_AT) + intercept)
    features, readers = [], []
    for each, weight, mean in zip(bins, weights.tolist(), middle.tolist(), strict=True):
        worst = max(each.worst, each.told_of_missing)
        base -= FACTOR * weight * (worst - mean)
        feature, reader = _feature(each, weight, worst)
        if len({*feature.points, feature.missing_points, feature.zero_points} - {None}) == 1:
            continue
        features.append(feature)
        readers.append(reader)
    if not features:
        raise BadInput(
            "No column tells good rows from bad ones.",
            hint="Give columns that say something about the label, or more rows.",
            code="lending.no_signal",
        )
    if len(features) > MAXIMUM_FEATURES:
        spans = [max(feature.points) - min(feature.points) for feature in features]
        kept = sorted(np.argsort(spans)[-MAXIMUM_FEATURES:].tolist())
        features, readers = [features[place] for place in kept], [readers[place] for place in kept]
    return ScorecardTable(tuple(features), (), round(base)), tuple(readers)


def _feature(bins: Bins, weight: float, worst: float) -> tuple[Feature, Reader]:
    """Points of one column, neighbouring bins of equal points made one."""

    def whole(evidence: float) -> int:
        return round(FACTOR * weight * (worst - evidence))

    points = [whole(evidence) for evidence in bins.evidence]
    kept = [place for place in range(len(bins.edges)) if points[place] != points[place + 1]]
    edges = tuple(bins.edges[place] for place in kept)
    final = (*(points[place] for place in kept), points[-1])
    zero = None if bins.zero is None else whole(bins.zero)
    reader, edges = joined(bins.reader, edges)
    return Feature(reader.name, edges, final, whole(bins.told_of_missing), zero, reader.scale), reader


def with_tiers(
    table: ScorecardTable, points: Integers, calibration: Calibration, tiers: int | tuple[float, ...]
) -> ScorecardTable:
    """The table with thresholds: equal parts of some rows' points, or where the calibration reaches given
    probabilities. Fewer tiers where points cannot tell so many apart."""
    if isinstance(tiers, int):
        shares = np.linspace(0, 1, tiers + 1)[1:-1][::-1]
        wanted = [int(np.ceil(value)) for value in np.quantile(points, shares)]
    else:
        wanted = [calibration.points_for(chance) for chance in tiers]
    falling: list[int] = []
    for threshold in wanted:
        if not falling or threshold < falling[-1]:
            falling.append(threshold)
    return ScorecardTable(table.features, tuple(falling), table.base_points)
