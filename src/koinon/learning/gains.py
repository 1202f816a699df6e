# SPDX-License-Identifier: Apache-2.0
"""Whether an owner gains by joining: the common model and its own, on rows of its own that taught neither."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import orjson

from koinon.errors import BadInput
from koinon.estimates import Estimate
from koinon.learning import metrics
from koinon.learning.drift import Population
from koinon.learning.models.base import Vector
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.tables import Table

Verdict = Literal["gains", "loses", "unclear"]
DRAWS: Final = 200


@dataclass(frozen=True)
class Gain:
    """What an owner found, or as much of it as it tells.

    Attributes
    ----------
    difference : Estimate
        The common model's score less that of the owner's own, with the bootstrap 95 % interval over its rows.
    rows : int
        On how many rows; 0 where that is not told.
    together, alone : Estimate, optional
        Both scores; None where they are not told.
    trail : tuple of (round, score)
        The common model after each round.
    """

    difference: Estimate
    rows: int = 0
    together: Estimate | None = None
    alone: Estimate | None = None
    trail: tuple[tuple[int, float], ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What the interval allows to say."""
        return "gains" if self.difference.low > 0 else "loses" if self.difference.high < 0 else "unclear"


@dataclass(frozen=True)
class OwnReport:
    """What an owner tells the others at the end of a run; parts it does not tell are None."""

    gain: Gain | None = None
    population: Population | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_bytes(cls, content: bytes, recipe: Recipe) -> OwnReport:
        """Read what an owner sent; parts that the recipe does not ask for are refused.

        Raises
        ------
        BadInput
            It is no such report.
        """
        try:
            found = orjson.loads(content)
            gain, population = found.pop("gain"), found.pop("population")
            report = cls(
                None if gain is None else _gain(gain, recipe),
                None if population is None else Population.from_dict(population, recipe),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput("This is not an owner's report on this run.", code="learning.report") from error
        if found:
            raise BadInput("An owner's report says too much.", code="learning.report")
        return report


def kept_population(content: bytes, now: Population) -> Population | None:
    """What an owner's rows were like in the report it kept of an earlier run; None where it is no match."""
    try:
        found = orjson.loads(content)["population"]
        before = Population(tuple(found["labels"]), tuple(tuple(one) for one in found["columns"]))
    except (ValueError, KeyError, TypeError):
        return None
    parts, same = (before.labels, *before.columns), (now.labels, *now.columns)
    sound = all(type(part) is int and part >= 0 for one in parts for part in one)
    return before if sound and [*map(len, parts)] == [*map(len, same)] else None


def set_aside(recipe: Recipe, table: Table) -> tuple[Table, Table]:
    """An owner's table as what teaches and what its own findings are measured on, divided by class and seed.

    The second is empty where the recipe does not ask for it.
    """
    part = recipe.fairness.own_rows
    kept: list[int] = []
    if part:
        random = np.random.default_rng(recipe.local_seed(0, 0))
        for label in np.unique(table.labels):
            rows = random.permutation(np.flatnonzero(table.labels == label))
            kept += rows[: int(len(rows) * part)].tolist()
    own = np.zeros(len(table), dtype=np.bool_)
    own[kept] = True
    return table.take(np.flatnonzero(~own)), table.take(np.flatnonzero(own))


class OwnRows:
    """An owner's rows that did not teach, and how the common model does on them round by round.

    Parameters
    ----------
    table : Table
        The second part of `set_aside`.
    trail : sequence of (round, score)
        Rounds measured before.
    """

    def __init__(
        self, recipe: Recipe, table: Table, scaling: Scaling, trail: Sequence[tuple[int, float]] = ()
    ) -> None:
        self._recipe, self._labels = recipe, table.labels
        self._inputs = scaling.apply(table.features)
        one_class = recipe.classes == 2 and len(np.unique(table.labels)) < 2
        self.enough = len(table) >= recipe.fairness.least and not one_class
        self._trail = list(trail)

    @property
    def trail(self) -> tuple[tuple[int, float], ...]:
        """The common model's score after each round that was measured."""
        return tuple(self._trail)

    def note(self, number: int, vector: Vector) -> float | None:
        """Measure the common model after a round; None where there are too few rows."""
        if not self.enough:
            return None
        found = metrics.score(self._labels, self._probabilities(vector))
        self._trail.append((number, found))
        return found

    def gain(self, together: Vector, alone: Vector) -> Gain | None:
        """Compare the last common model with the owner's own; None where there are too few rows."""
        if not self.enough:
            return None
        common, own = self._probabilities(together), self._probabilities(alone)
        return Gain(
            metrics.bootstrap_difference(self._labels, common, (own,), draws=DRAWS),
            len(self._labels),
            metrics.bootstrap(self._labels, common, draws=DRAWS),
            metrics.bootstrap(self._labels, own, draws=DRAWS),
            self.trail,
        )

    def _probabilities(self, vector: Vector) -> metrics.Scores:
        return self._recipe.model.probabilities(vector[: self._recipe.model.size], self._inputs)


def as_told(gain: Gain | None, told: str) -> Gain | None:
    """As much of a finding as a recipe has owners tell: see `Fairness.told`."""
    if gain is None or told == "nothing":
        return None
    if told == "scores":
        return gain
    found = gain.difference
    return Gain(Estimate(*(round(value, 2) for value in (found.value, found.low, found.high))))


def _gain(found: dict[str, Any], recipe: Recipe) -> Gain:
    """A stranger's numbers: finite, in range, and no more than the recipe has them tell."""
    trail = tuple((_count(number), _number(score, 0.0)) for number, score in found["trail"])
    gain = Gain(
        _interval(found["difference"], -1.0),
        _count(found["rows"]),
        None if found["together"] is None else _interval(found["together"], 0.0),
        None if found["alone"] is None else _interval(found["alone"], 0.0),
        trail,
    )
    numbers, told = [number for number, _ in trail], recipe.fairness.told
    in_order = numbers == sorted(set(numbers)) and set(numbers) <= set(range(1, recipe.rounds + 1))
    if len(found) != 5 or not in_order:
        raise ValueError("rounds")
    if told == "nothing" or (told == "gain" and gain != Gain(gain.difference)):
        raise ValueError("more than the recipe asks for")
    return gain


def _interval(found: dict[str, Any], least: float) -> Estimate:
    value, low, high = (_number(found[name], least) for name in ("value", "low", "high"))
    if len(found) != 3 or low > high:
        raise ValueError("interval")
    return Estimate(value, low, high)


def _number(value: Any, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("number")
    if not least <= value <= 1:
        raise ValueError("range")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**40:
        raise ValueError("count")
    return value
