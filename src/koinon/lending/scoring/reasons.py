# SPDX-License-Identifier: Apache-2.0
"""Why a row has its points, and the least change that would lift it a tier: exact, for points are a sum.

A reason is a column and the points it lost against its best bin. A way up is a change of one or of two
columns that a borrower can change, as few bins away as possible, whose points reach the next tier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from koinon.lending.scorecard_table import MISSING, Feature, Part
from koinon.lending.scoring.frame import Integers
from koinon.lending.scoring.scorecard import Scorecard

NOTICE: Final = 4
"""How many reasons a lender names when it says no or asks for more."""


@dataclass(frozen=True)
class Reason:
    """A column's whole number (``value``; `MISSING` where none was told), its points and those lost."""

    column: str
    value: int
    points: int
    lost: int


@dataclass(frozen=True)
class Change:
    """One column, from a whole number to the nearest one of a better bin.

    ``direction`` is 1 where at least ``target`` is needed, -1 where at most, 0 where exactly that (zero, a
    category); ``bins`` how many bins away it lies.
    """

    column: str
    value: int
    target: int
    direction: int
    gain: int
    bins: int


@dataclass(frozen=True)
class Way:
    """Changes that together reach ``tier`` with ``points``."""

    changes: tuple[Change, ...]
    tier: int
    points: int

    @property
    def bins(self) -> int:
        """How many bins are crossed in all."""
        return sum(change.bins for change in self.changes)


@dataclass(frozen=True)
class Explanation:
    """A row's points and tier, its reasons (most points lost first), and ways to the next tier.

    ``one`` are changes of one column, ``two`` of two, the smallest first; both empty in the best tier, and
    where nothing that can be changed is enough.
    """

    points: int
    tier: int
    reasons: tuple[Reason, ...]
    one: tuple[Way, ...]
    two: tuple[Way, ...]


def explain(scorecard: Scorecard, row: Integers, *, count: int = NOTICE, ways: int = 3) -> Explanation:
    """Why one row (whole numbers, shape (features,)) has its points, and what would lift it a tier.

    Parameters
    ----------
    count : int
        Most reasons.
    ways : int
        Most ways of each kind.
    """
    table = scorecard.table
    parts = table.parts(row)
    points = table.base_points + sum(part.points for part in parts)
    tier = sum(points < threshold for threshold in table.thresholds)
    reasons = [
        Reason(part.feature, int(value), part.points, part.lost_points)
        for part, value in zip(parts, row.tolist(), strict=True)
        if part.lost_points
    ]
    reasons.sort(key=lambda reason: (-reason.lost, reason.column))
    one: list[Way] = []
    two: list[Way] = []
    if tier > 0:
        lacking = table.thresholds[tier - 1] - points
        steps = [list(_steps(scorecard, place, int(row[place]), part)) for place, part in enumerate(parts)]
        for changes in steps:
            enough = [change for change in changes if change.gain >= lacking]
            one += [Way((change,), tier - 1, points + change.gain) for change in enough[:1]]
        for first, second in combinations(range(len(steps)), 2):
            two += _pair(steps[first], steps[second], lacking, tier - 1, points)
    return Explanation(points, tier, tuple(reasons[:count]), _best(one, ways), _best(two, ways))


def _best(found: list[Way], ways: int) -> tuple[Way, ...]:
    return tuple(sorted(found, key=lambda way: (way.bins, -way.points))[:ways])


def _pair(one: list[Change], two: list[Change], lacking: int, tier: int, points: int) -> Iterator[Way]:
    """The fewest bins of two columns that are enough together and not each alone."""
    found = [
        Way((first, second), tier, points + first.gain + second.gain)
        for first in one
        for second in two
        if first.gain < lacking and second.gain < lacking <= first.gain + second.gain
    ]
    if found:
        yield min(found, key=lambda way: (way.bins, -way.points))


def _steps(scorecard: Scorecard, place: int, value: int, part: Part) -> Iterator[Change]:
    """Better bins of one column that its borrower can reach, nearest first."""
    feature, reader = scorecard.table.features[place], scorecard.readers[place]
    way = scorecard.actionable.get(feature.name)
    if way is None:
        return
    found = []
    for target, points, direction in _targets(feature, value, named=bool(reader.categories)):
        gain = points - part.points
        moved = 0 if value == MISSING or reader.categories else (target > value) - (target < value)
        if gain > 0 and (way == 0 or moved in (0, way)):
            found.append(
                Change(feature.name, value, target, direction, gain, _distance(feature, value, target))
            )
    yield from sorted(found, key=lambda change: (change.bins, -change.gain))


def _targets(feature: Feature, value: int, *, named: bool) -> Iterator[tuple[int, int, int]]:
    """The nearest whole number of each other bin, its points, and how it must be told."""
    if named:
        yield from ((place, points, 0) for place, points in enumerate(feature.points) if place != value)
        return
    if feature.zero_points is not None and value != 0:
        yield 0, feature.zero_points, 0
    lows = (None, *(edge + 1 for edge in feature.edges))
    highs = (*feature.edges, None)
    for low, high, points in zip(lows, highs, feature.points, strict=True):
        inside = (low is None or value >= low) and (high is None or value <= high) and value != MISSING
        if inside and not (value == 0 and feature.zero_points is not None):
            continue
        up = low is not None and (value < low or value == MISSING)
        target = low if up else high
        if target is None:  # the only bin, or a missing value's lowest
            target = high if low is None else low
        if target is None:
            continue
        if target == 0 and feature.zero_points is not None:
            target = 1 if up else -1
            if (high is not None and target > high) or (low is not None and target < low):
                continue
        yield target, points, 1 if up else -1


def _distance(feature: Feature, value: int, target: int) -> int:
    """How many bins lie from one value to another; a missing one is a bin away from all."""
    if value == MISSING:
        return 1
    one = sum(edge < value for edge in feature.edges)
    two = sum(edge < target for edge in feature.edges)
    return max(1, abs(one - two))
