# SPDX-License-Identifier: Apache-2.0
"""A run's history, and what a rule finds each owner's part in it to be worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.learning.aggregation import AggregationRule, Update
from koinon.learning.models.base import Vector

Utility = Callable[[Vector], float]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Round:
    """The model a round began with and who sent what, by owner index."""

    base: Vector
    updates: Mapping[int, Update]


@dataclass(frozen=True)
class History:
    """What contributions are computed from.

    Attributes
    ----------
    rounds : sequence of Round
        In their order.
    owners : int
        How many there are; those who never took part are worth 0.
    aggregation : AggregationRule
        What makes a model of updates.
    utility : callable
        Score of a vector on the committed contribution set.
    chance : float
        What a model that knows nothing scores.
    seed : int
        The run's, for rules that sample.
    """

    rounds: Sequence[Round]
    owners: int
    aggregation: AggregationRule
    utility: Utility
    chance: float
    seed: int = 0

    @property
    def participants(self) -> list[int]:
        """Who took part in any round."""
        return sorted({member for one in self.rounds for member in one.updates})


@dataclass(frozen=True)
class Valuation:
    """What each owner was worth, by index.

    Attributes
    ----------
    values, low, high : tuple of float
        One number an owner, with its 95 % interval (itself where nothing was sampled); may be negative.
    duplicates : tuple of tuple of int
        Groups of owners whose updates are near-duplicates: each shares one portion.
    evaluations : int
        How many models were built and scored.
    method : str
        ``"exact"``, ``"sampled"`` (truncated Monte Carlo), ``"rows"`` or ``"equal"``.
    """

    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    duplicates: tuple[tuple[int, ...], ...] = ()
    evaluations: int = 0
    method: str = "exact"


class ContributionRule(ABC):
    """A pure function of the run's history."""

    @abstractmethod
    def valuation(self, history: History) -> Valuation:
        """What every owner was worth, with the doubt."""

    def values(
        self,
        rounds: Sequence[Round],
        owners: int,
        aggregation: AggregationRule,
        utility: Utility,
        chance: float,
        *,
        seed: int = 0,
    ) -> Values:
        """One number an owner, shape (owners,); may be negative."""
        history = History(rounds, owners, aggregation, utility, chance, seed)
        return np.array(self.valuation(history).values, dtype=np.float64)


def valued(
    values: Values, spread: Values | float = 0.0, *, evaluations: int = 0, method: str = "exact"
) -> Valuation:
    """A valuation of arrays: the values, and half the width of their intervals."""
    return Valuation(
        tuple(values.tolist()),
        tuple((values - spread).tolist()),
        tuple((values + spread).tolist()),
        evaluations=evaluations,
        method=method,
    )
