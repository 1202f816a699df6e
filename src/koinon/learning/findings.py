# SPDX-License-Identifier: Apache-2.0
"""What is found out about a finished model beside its score: errors, groups, who gains, how owners differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from koinon.learning import metrics
from koinon.learning.contribution import Round
from koinon.learning.drift import OwnerDrift, owner_drifts
from koinon.learning.gains import Gain, OwnReport
from koinon.learning.groups import GroupReport, compare_groups
from koinon.learning.metrics import Scores
from koinon.learning.recipe import Recipe
from koinon.tables import Table

Point = tuple[float, float]


@dataclass(frozen=True)
class Findings:
    """All that is known, by owner index where it is about owners.

    Attributes
    ----------
    curve : tuple of (false positive rate, true positive rate)
        The ROC curve on the held-out rows; empty for more than two classes.
    confusion : tuple of tuple of int
        Held-out rows by true class (outer) and likeliest class (inner); empty for two classes.
    classes : tuple of str
        What the classes are called.
    groups : GroupReport, optional
        Where the recipe names groups.
    trail : tuple of (round, GroupReport)
        The same after each round that was measured.
    gains : tuple of Gain, optional
        One an owner; None where it told none.
    drifts : tuple of OwnerDrift
    """

    curve: tuple[Point, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    classes: tuple[str, ...] = ()
    groups: GroupReport | None = None
    trail: tuple[tuple[int, GroupReport], ...] = ()
    gains: tuple[Gain | None, ...] = ()
    drifts: tuple[OwnerDrift, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def groups_of(recipe: Recipe, held_out: Table, probabilities: Scores) -> GroupReport | None:
    """How a model treats the recipe's groups; None where it names none."""
    fairness = recipe.fairness
    if not fairness.group:
        return None
    favourable = recipe.class_names[fairness.favourable]
    return compare_groups(fairness, favourable, fairness.groups_of(held_out), held_out.labels, probabilities)


def find(
    recipe: Recipe,
    held_out: Table,
    probabilities: Scores,
    *,
    rows: Sequence[int],
    reports: Mapping[int, OwnReport],
    rounds: Sequence[Round] = (),
    trail: Sequence[tuple[int, GroupReport]] = (),
) -> Findings:
    """Everything, from what whoever led the run has.

    Parameters
    ----------
    probabilities
        The finished model's answers on the held-out rows.
    rows
        How many each owner taught with, in their order.
    reports
        What owners told of themselves.
    rounds
        With their updates, where they are seen singly.
    """
    populations = {index: one.population for index, one in reports.items() if one.population is not None}
    told = [reports.get(index, OwnReport()).gain for index in range(len(rows))]
    two = recipe.classes == 2
    return Findings(
        metrics.roc_curve(held_out.labels, probabilities) if two else (),
        () if two else metrics.confusion(held_out.labels, probabilities, recipe.classes),
        recipe.class_names,
        groups_of(recipe, held_out, probabilities),
        tuple(trail),
        tuple(told),
        owner_drifts(recipe, populations, dict(enumerate(rows)), rounds),
    )


def in_words(found: Findings, metric: str) -> tuple[str, ...]:
    """Sentences for a model's card: gaps between groups that are more than chance, and owners who lose."""
    said = []
    if found.groups is not None and found.groups.gaps:
        column, favourable = found.groups.column, found.groups.favourable
        more = {
            "selected": f"is given '{favourable}' more often than",
            "opportunity": f"is given '{favourable}', where that is right, more often than",
            "score": f"has a higher {metric} than",
        }
        said += [
            f"By {column}: '{gap.most}' {more[gap.figure]} '{gap.least}', by {gap.difference.value:.3f} "
            f"({gap.difference.low:.3f} to {gap.difference.high:.3f})."
            for gap in found.groups.gaps
            if gap.certain
        ]
        if not said:
            said.append(f"By {column}: no gap between groups is more than chance explains.")
    told = [gain for gain in found.gains if gain is not None]
    if told:
        losing = sum(gain.verdict == "loses" for gain in told)
        gaining = sum(gain.verdict == "gains" for gain in told)
        said.append(
            f"On rows of their own, {gaining} of {len(told)} owners who told gain by it, {losing} lose, "
            "for the others it may be chance."
        )
    return tuple(said)
