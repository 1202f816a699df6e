# SPDX-License-Identifier: Apache-2.0
"""Finding copied data by the updates it makes, and paying its copies one portion together.

Two trainings on the same rows differ only by the order of the rows, which is new in every round; two sets of
rows pull the model apart the same way round after round. So the difference of two owners' updates is compared
with itself one round later: of copies it has forgotten, of honest owners it persists, however alike their
customers are. Measured by ``python -m benchmarks contributions``.

It finds copied sets and copied updates with noise added, not a set that was partly copied or altered; nobody
could tell those from an honest resemblance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from math import sqrt
from typing import Final

from koinon.learning.aggregation import Union
from koinon.learning.aggregation.products import products
from koinon.learning.contribution.base import ContributionRule, History, Round, Valuation

PERSISTENCE: Final = 0.25
"""Copies' differences correlate less from one round to the next; on digits and credit copies stay below .22
and honest owners above .28."""
COSINE: Final = 0.3
"""Copies' updates point the same way; differences of two who send noise do not persist either."""
SAME: Final = 0.99
"""The cosine of updates that are copies even where there is but one round."""


@dataclass(frozen=True)
class Likeness:
    """How alike two owners' updates are: cosine over all rounds, and persistence of their difference.

    ``persistence`` is None where no two rounds in a row have both.
    """

    cosine: float
    persistence: float | None

    @property
    def copied(self) -> bool:
        """Whether both can be held to have learnt from the same rows."""
        if self.persistence is None or self.cosine > SAME:
            return self.cosine > SAME
        return self.cosine > COSINE and self.persistence < PERSISTENCE


@dataclass(frozen=True)
class Discounted(ContributionRule):
    """Another rule's values, but near-duplicates share one portion: the largest of their values.

    Who of them copied cannot be told from updates, so all get the same part.
    """

    rule: ContributionRule

    def valuation(self, history: History) -> Valuation:
        found = self.rule.valuation(history)
        if isinstance(history.aggregation, Union):
            return found  # trees have places of their own and no angle between them
        return discounted(found, duplicates(history.rounds))


def duplicates(rounds: Sequence[Round]) -> tuple[tuple[int, ...], ...]:
    """Groups of owners who learnt from the same rows, whoever is linked by copies of copies."""
    groups: list[set[int]] = []
    for pair, likeness in likenesses(rounds).items():
        if likeness.copied:
            touched = [group for group in groups if group & set(pair)]
            groups = [group for group in groups if group not in touched]
            groups.append(set(pair).union(*touched))
    return tuple(sorted(tuple(sorted(group)) for group in groups))


def likenesses(rounds: Sequence[Round]) -> dict[tuple[int, int], Likeness]:
    """How alike each pair of owners is who took part in a round together."""
    sums: dict[tuple[int, int], list[float]] = {}
    in_a_row: set[tuple[int, int]] = set()
    for one in rounds:
        members = sorted(one.updates)
        inner = products([one.updates[member] for member in members]) if members else []
        for a, b in combinations(range(len(members)), 2):
            row = sums.setdefault((members[a], members[b]), [0.0] * 5)
            row[0] += float(inner[a][b])
            row[1] += float(inner[a][a])
            row[2] += float(inner[b][b])
    for before, after in pairwise(rounds):
        both = sorted(before.updates.keys() & after.updates.keys())
        if not both:
            continue
        shift = len(both)
        inner = products([one.updates[member] for one in (before, after) for member in both])
        for a, b in combinations(range(shift), 2):
            in_a_row.add(pair := (both[a], both[b]))
            c, d = a + shift, b + shift
            sums[pair][3] += float(inner[a][c] + inner[b][d] - inner[a][d] - inner[b][c])
            sums[pair][4] += sqrt(_apart(inner, a, b)) * sqrt(_apart(inner, c, d))
    return {
        pair: Likeness(
            dot / sqrt(one * other) if one * other else 0.0,
            (product / lengths if lengths else 0.0) if pair in in_a_row else None,
        )
        for pair, (dot, one, other, product, lengths) in sums.items()
    }


def discounted(found: Valuation, groups: Sequence[Sequence[int]]) -> Valuation:
    """The same valuation with one portion a group."""
    values, low, high = list(found.values), list(found.low), list(found.high)
    for group in groups:
        best = max(group, key=lambda member: (found.values[member], -member))
        if found.values[best] > 0:
            for member in group:
                values[member] = found.values[best] / len(group)
                low[member] = found.low[best] / len(group)
                high[member] = found.high[best] / len(group)
    return replace(
        found,
        values=tuple(values),
        low=tuple(low),
        high=tuple(high),
        duplicates=tuple(tuple(group) for group in groups),
    )


def _apart(inner: Sequence[Sequence[int]], one: int, other: int) -> int:
    return inner[one][one] + inner[other][other] - 2 * inner[one][other]
