# SPDX-License-Identifier: Apache-2.0
"""How far owners differ: in what their rows are like, and in where their updates point.

Populations are told so coarsely (twentieths, no counts) that little is learnt of single rows; directions are
computed from updates that whoever aggregates has anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.learning.contribution import Round
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.tables import Table

STEPS: Final = 20
"""Parts are told in twentieths."""
EDGES: Final = (-1.5, -0.5, 0.5, 1.5)
"""Of a scaled column's bins."""
NOTABLE, LARGE = 0.1, 0.25
"""From where on a stability index is usually called a notable and a large shift (Siddiqi 2006)."""

Parts = tuple[int, ...]


@dataclass(frozen=True)
class Population:
    """What an owner's rows are like: twentieths of its rows by label, and by bin of each scaled column."""

    labels: Parts
    columns: tuple[Parts, ...]

    @classmethod
    def of(cls, recipe: Recipe, table: Table, scaling: Scaling) -> Population:
        """Of a table."""
        bins = np.searchsorted(np.array(EDGES), scaling.apply(table.features), side="right")
        return cls(
            _twentieths(np.bincount(table.labels, minlength=recipe.classes)),
            tuple(_twentieths(np.bincount(column, minlength=len(EDGES) + 1)) for column in bins.T),
        )

    @classmethod
    def from_dict(cls, found: Mapping[str, Any], recipe: Recipe) -> Population:
        """From plain values; ValueError, KeyError or TypeError when they are none of this recipe."""
        labels, columns = tuple(found["labels"]), tuple(tuple(one) for one in found["columns"])
        if len(found) != 2 or not recipe.fairness.populations:
            raise ValueError("more than the recipe asks for")
        if len(labels) != recipe.classes or len(columns) != len(recipe.columns):
            raise ValueError("columns")
        if any(len(one) != len(EDGES) + 1 for one in columns):
            raise ValueError("bins")
        for parts in (labels, *columns):
            if any(type(part) is not int or not 0 <= part <= STEPS for part in parts) or not any(parts):
                raise ValueError("parts")
        return cls(labels, columns)


@dataclass(frozen=True)
class OwnerDrift:
    """How far an owner is from the others together.

    Attributes
    ----------
    labels : float, optional
        Stability index of its labels; None where populations are not told.
    column, shift
        The column that differs most, with its index.
    directions : tuple of (round, cosine)
        Between its update and the sum of the others'; 1 the same way, 0 across, -1 against.
    """

    index: int
    labels: float | None = None
    column: str = ""
    shift: float | None = None
    directions: tuple[tuple[int, float], ...] = ()

    @property
    def direction(self) -> float | None:
        """The mean cosine."""
        return sum(one for _, one in self.directions) / len(self.directions) if self.directions else None


def stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """Population stability index: the sum of (a - e) ln(a / e); parts of nothing count half a step."""
    parts = [np.maximum(np.asarray(one, dtype=np.float64), 1e-12) for one in (expected, actual)]
    first, second = (np.maximum(one / one.sum(), 0.5 / STEPS) for one in parts)
    first, second = first / first.sum(), second / second.sum()
    return float(np.sum((second - first) * np.log(second / first)))


def owner_drifts(
    recipe: Recipe,
    populations: Mapping[int, Population],
    rows: Mapping[int, int],
    rounds: Sequence[Round],
) -> tuple[OwnerDrift, ...]:
    """Every owner against the others.

    Parameters
    ----------
    populations : mapping of int to Population
        What owners told, by index.
    rows : mapping of int to int
        How many rows each owner teaches with: the weight of its population.
    rounds : sequence of Round
        With every update; empty where single updates are not seen.
    """
    ways = directions(recipe, rounds)
    found = []
    for index in sorted(rows):
        own = populations.get(index)
        others = {other: one for other, one in populations.items() if other != index}
        drift = OwnerDrift(index, directions=ways.get(index, ()))
        if own is not None and others:
            labels = stability_index(_pooled({o: one.labels for o, one in others.items()}, rows), own.labels)
            shifts = [
                stability_index(_pooled({o: one.columns[place] for o, one in others.items()}, rows), parts)
                for place, parts in enumerate(own.columns)
            ]
            most = int(np.argmax(shifts))
            drift = OwnerDrift(index, labels, recipe.columns[most], shifts[most], drift.directions)
        found.append(drift)
    return tuple(found)


def largest_shift(before: Population, now: Population, columns: Sequence[str]) -> tuple[str, float]:
    """The column, or ``""`` for the labels, that moved most since another time, with its stability index."""
    shifts = {"": stability_index(before.labels, now.labels)}
    for name, earlier, later in zip(columns, before.columns, now.columns, strict=True):
        shifts[name] = stability_index(earlier, later)
    most = max(shifts, key=lambda name: shifts[name])
    return most, shifts[most]


def directions(recipe: Recipe, rounds: Sequence[Round]) -> dict[int, tuple[tuple[int, float], ...]]:
    """By owner, round by round, the cosine between its update and the others' weighted sum.

    Updates of trees are trees of one's own and have no direction in common: nothing is found.
    """
    found: dict[int, list[tuple[int, float]]] = {}
    if recipe.aggregation.startswith("union"):
        return {}
    size = recipe.model.size
    for number, one in enumerate(rounds, 1):
        changes = {
            index: update.change[:size].astype(np.float64) * update.examples
            for index, update in one.updates.items()
        }
        total = sum(changes.values(), np.zeros(size))
        for index, change in sorted(changes.items()):
            cosine = _cosine(change, total - change)
            if cosine is not None:
                found.setdefault(index, []).append((number, cosine))
    return {index: tuple(ways) for index, ways in found.items()}


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    length = float(np.sqrt(np.sum(one**2)) * np.sqrt(np.sum(other**2)))
    return float(np.clip(np.sum(one * other) / length, -1.0, 1.0)) if length > 0 else None


def _pooled(parts: Mapping[int, Parts], rows: Mapping[int, int]) -> list[float]:
    weighted = [np.array(one) / sum(one) * rows[index] for index, one in parts.items()]
    pooled: list[float] = np.sum(weighted, axis=0).tolist()
    return pooled


def _twentieths(counts: NDArray[np.int64]) -> Parts:
    """Counts as parts that add up to 20, by largest remainders."""
    exact = counts * STEPS / max(1, int(counts.sum()))
    parts = np.floor(exact).astype(int)
    order = np.argsort(parts - exact, kind="stable")
    parts[order[: STEPS - int(parts.sum())]] += 1
    found: list[int] = parts.tolist()
    return tuple(found)
