# SPDX-License-Identifier: Apache-2.0
"""Shapley values over models rebuilt from the rounds' updates.

The value of a set of owners is the score, on a committed contribution set, of the model their updates alone
would have made; the empty set scores chance. Taking the previous global model as the empty set would pay the
last ones to improve it and not those who taught it. Source: Song, Tong and Wei 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from koinon.learning.contribution.base import ContributionRule, History, Round, Valuation, Values, valued
from koinon.learning.contribution.games import solve

METHODS = {True: "exact", False: "sampled"}


class ShapleyOfRounds(ContributionRule):
    """Shapley values of every round's models, rebuilt on the round's own base and added up.

    Close to retraining (half the L1 distance .06), but everyone is credited for the base that others taught:
    an owner of noise too small to do harm would be paid.
    """

    def valuation(self, history: History) -> Valuation:
        total, variance = np.zeros(history.owners), np.zeros(history.owners)
        evaluations, exact = 0, True
        for number, one in enumerate(history.rounds):
            present = sorted(one.updates)

            def rebuilt(members: Sequence[int], one: Round = one) -> float:
                updates = [one.updates[member] for member in members]
                return history.utility(history.aggregation.aggregate(one.base, updates))

            found = solve(present, rebuilt, history.chance, (history.seed, number))
            total[present] += found.values
            variance[present] += found.spread**2
            evaluations, exact = evaluations + found.evaluations, exact and found.exact
        return valued(total, np.sqrt(variance), evaluations=evaluations, method=METHODS[exact])


@dataclass(frozen=True)
class ShapleyFromNothing(ContributionRule):
    """Shapley values of models rebuilt from the initial one by a subset's updates, over the first rounds.

    Nobody can lean on what others taught; but updates were computed on the common model, so later rounds no
    longer fit together, and only the first few are used.
    """

    rounds: int = 3

    def valuation(self, history: History) -> Valuation:
        first = history.rounds[: self.rounds]

        def rebuilt(members: Sequence[int]) -> float:
            vector, scores = first[0].base, []
            for one in first:
                updates = [one.updates[member] for member in members if member in one.updates]
                if updates:
                    vector = history.aggregation.aggregate(vector, updates)
                    scores.append(history.utility(vector))
                else:
                    scores.append(scores[-1] if scores else history.chance)
            return float(np.mean(scores))

        present = sorted({member for one in first for member in one.updates})
        found = solve(present, rebuilt, history.chance, (history.seed, len(history.rounds)))
        total, spread = np.zeros(history.owners), np.zeros(history.owners)
        total[present], spread[present] = found.values, found.spread
        return valued(total, spread, evaluations=found.evaluations, method=METHODS[found.exact])


@dataclass(frozen=True)
class Shapley(ContributionRule):
    """The geometric mean of both views' shares: whoever is worth nothing in one is worth nothing.

    Measured on splits of the credit data (``python -m benchmarks shapley``): half the L1 distance to shares
    from retraining every subset stays below .12, and owners of shuffled labels earn nothing. The interval is
    that of both views' ends.
    """

    from_nothing: ShapleyFromNothing = field(default_factory=ShapleyFromNothing)

    def valuation(self, history: History) -> Valuation:
        views = [rule.valuation(history) for rule in (ShapleyOfRounds(), self.from_nothing)]
        totals = [np.maximum(view.values, 0.0).sum() for view in views]

        def combined(ends: Sequence[Sequence[float]]) -> tuple[float, ...]:
            shares = [
                np.array(end) / total if total > 0 else np.array(end)
                for end, total in zip(ends, totals, strict=True)
            ]
            return tuple(_geometric_mean(shares).tolist())

        return Valuation(
            combined([view.values for view in views]),
            combined([view.low for view in views]),
            combined([view.high for view in views]),
            evaluations=sum(view.evaluations for view in views),
            method=METHODS[all(view.method == "exact" for view in views)],
        )


def _geometric_mean(shares: Sequence[Values]) -> Values:
    """Of two; where one is negative, that one."""
    smaller, larger = np.minimum(*shares), np.maximum(*shares)
    mean = np.sqrt(np.maximum(smaller, 0.0) * np.maximum(larger, 0.0))
    return np.asarray(np.where(smaller > 0, mean, smaller), dtype=np.float64)
