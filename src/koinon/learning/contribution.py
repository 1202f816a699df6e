# SPDX-License-Identifier: Apache-2.0
"""What each owner's data were worth: Shapley values over models rebuilt from the rounds' updates.

The value of a set of owners is the score, on a committed contribution set, of the model their updates alone
would have made; the empty set scores chance. Taking the previous global model as the empty set would pay the
last ones to improve it and not those who taught it. Sources: Shapley 1953; Song, Tong and Wei 2019
(rebuilding from updates).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import factorial
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.learning.aggregation import AggregationRule, Update
from koinon.learning.model import Vector

EXACT_LIMIT: Final = 10
Utility = Callable[[Vector], float]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Round:
    """The model a round began with and who sent what, by owner index."""

    base: Vector
    updates: Mapping[int, Update]


class ContributionRule(Protocol):
    """A pure function of the run's history."""

    def values(
        self,
        rounds: Sequence[Round],
        owners: int,
        aggregation: AggregationRule,
        utility: Utility,
        chance: float,
    ) -> Values:
        """One number an owner, shape (owners,); may be negative."""


class ShapleyOfRounds:
    """Shapley values of every round's models, rebuilt on the round's own base and added up.

    Close to retraining (half the L1 distance .06), but everyone is credited for the base that others taught:
    an owner of noise too small to do harm would be paid.
    """

    def values(
        self,
        rounds: Sequence[Round],
        owners: int,
        aggregation: AggregationRule,
        utility: Utility,
        chance: float,
    ) -> Values:
        total = np.zeros(owners)
        for one in rounds:
            present = sorted(one.updates)

            def rebuilt(members: Sequence[int], one: Round = one) -> float:
                return utility(aggregation.aggregate(one.base, [one.updates[member] for member in members]))

            total[present] += shapley(subset_values(present, rebuilt, chance), len(present))
        return total


@dataclass(frozen=True)
class ShapleyFromNothing:
    """Shapley values of models rebuilt from the initial one by a subset's updates, over the first rounds.

    Nobody can lean on what others taught; but updates were computed on the common model, so later rounds no
    longer fit together, and only the first few are used.
    """

    rounds: int = 3

    def values(
        self,
        rounds: Sequence[Round],
        owners: int,
        aggregation: AggregationRule,
        utility: Utility,
        chance: float,
    ) -> Values:
        first = rounds[: self.rounds]

        def rebuilt(members: Sequence[int]) -> float:
            vector, scores = first[0].base, []
            for one in first:
                updates = [one.updates[member] for member in members if member in one.updates]
                if updates:
                    vector = aggregation.aggregate(vector, updates)
                    scores.append(utility(vector))
                else:
                    scores.append(scores[-1] if scores else chance)
            return float(np.mean(scores))

        present = sorted({member for one in first for member in one.updates})
        total = np.zeros(owners)
        total[present] = shapley(subset_values(present, rebuilt, chance), len(present))
        return total


@dataclass(frozen=True)
class Shapley:
    """The geometric mean of both views' shares: whoever is worth nothing in one is worth nothing.

    Measured on splits of the credit data (``python -m benchmarks shapley``): half the L1 distance to shares
    from retraining every subset stays below .12, and owners of shuffled labels earn nothing.
    """

    from_nothing: ShapleyFromNothing = field(default_factory=ShapleyFromNothing)

    def values(
        self,
        rounds: Sequence[Round],
        owners: int,
        aggregation: AggregationRule,
        utility: Utility,
        chance: float,
    ) -> Values:
        views = []
        for rule in (ShapleyOfRounds(), self.from_nothing):
            found = rule.values(rounds, owners, aggregation, utility, chance)
            positive = np.maximum(found, 0.0).sum()
            views.append(found / positive if positive > 0 else found)
        smaller, larger = np.minimum(*views), np.maximum(*views)
        mean = np.sqrt(np.maximum(smaller, 0.0) * np.maximum(larger, 0.0))
        return np.asarray(np.where(smaller > 0, mean, smaller), dtype=np.float64)


CONTRIBUTIONS: Final[Mapping[str, ContributionRule]] = MappingProxyType(
    {
        "shapley": Shapley(),
        "shapley_of_rounds": ShapleyOfRounds(),
        "shapley_from_nothing": ShapleyFromNothing(),
    }
)


def subset_values(members: Sequence[int], value: Callable[[Sequence[int]], float], empty: float) -> Values:
    """The value of every subset; entry i is that of the members whose bits are set in i.

    Raises
    ------
    BadInput
        More than ten members.
    """
    if len(members) > EXACT_LIMIT:
        raise BadInput(
            f"Exact Shapley values are computed for at most {EXACT_LIMIT} owners, not {len(members)}.",
            code="learning.too_many_owners",
        )
    found = np.empty(2 ** len(members))
    found[0] = empty
    for subset in range(1, found.shape[0]):
        found[subset] = value([member for bit, member in enumerate(members) if subset >> bit & 1])
    return found


def shapley(values: Values, players: int) -> Values:
    """Exact Shapley values of a game given by all 2^players subset values."""
    result = np.zeros(players)
    sizes = np.array([subset.bit_count() for subset in range(values.shape[0])])
    weights = np.array(
        [factorial(size) * factorial(players - size - 1) / factorial(players) for size in range(players)]
    )
    subsets = np.arange(values.shape[0])
    for player in range(players):
        without = subsets[(subsets >> player) & 1 == 0]
        result[player] = np.sum(weights[sizes[without]] * (values[without | 1 << player] - values[without]))
    return result


def to_shares(
    values: Values, participants: Sequence[int], pool: int, minimums: Mapping[int, int] | None = None
) -> dict[int, int]:
    """Divide a pool by value: negatives earn nothing but the one unit that keeps them in the lineage.

    Parameters
    ----------
    values : float array, shape (owners,)
    participants : sequence of int
        Owner indices that took part in a round; only they are paid.
    pool : int
        What is divided, in 1e-9; the shares add up to it exactly (largest remainders first).
    minimums : mapping of int to int, optional
        The least share an owner was promised, in 1e-9; it is taken from the others in proportion.

    Raises
    ------
    BadInput
        Nobody took part, or the pool has fewer units than participants.
    """
    members = sorted(participants)
    least = {member: max(1, (minimums or {}).get(member, 0)) for member in members}
    if not members or pool < sum(least.values()):
        raise BadInput("There is nobody to pay, or too little to divide.", code="learning.pool")
    weights = {member: max(float(values[member]), 0.0) for member in members}
    if not all(np.isfinite(values[members])):
        raise BadInput("A contribution is not a finite number.", code="learning.contribution")
    if not any(weights.values()):
        weights = dict.fromkeys(members, 1.0)
    shares: dict[int, int] = {}
    while True:
        free = [member for member in members if member not in shares]
        exact = _in_proportion({member: weights[member] for member in free}, pool - sum(shares.values()))
        short = [member for member in free if exact[member] < least[member]]
        if not short:
            return {member: (shares | exact)[member] for member in members}
        shares |= {member: least[member] for member in short}


def _in_proportion(weights: Mapping[int, float], pool: int) -> dict[int, int]:
    """Largest remainders; without any weight, equal parts. Nothing for nobody."""
    total = sum(weights.values())
    exact = {
        member: pool * (weight / total if total else 1 / len(weights)) for member, weight in weights.items()
    }
    whole = {member: int(part) for member, part in exact.items()}
    order = sorted(weights, key=lambda member: (whole[member] - exact[member], member))
    missing = pool - sum(whole.values())
    for place in range(abs(missing) if order else 0):
        whole[order[place % len(order)]] += 1 if missing > 0 else -1
    return whole


def half_l1(first: Sequence[float] | Values, second: Sequence[float] | Values) -> float:
    """Half the L1 distance of two sets of shares, each normalised to one (0 the same, 1 disjoint)."""
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)
