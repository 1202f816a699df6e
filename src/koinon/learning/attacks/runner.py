# SPDX-License-Identifier: Apache-2.0
"""A run in one process in which some owners attack, and a report over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.learning import metrics
from koinon.learning.aggregation import Update
from koinon.learning.attacks.base import Attack, View
from koinon.learning.attacks.data import BackDoor
from koinon.learning.common import CommonModel
from koinon.learning.contribution import Round
from koinon.learning.local import LocalLearner
from koinon.learning.recipe import Recipe
from koinon.learning.simulation import Trained, scaling_for
from koinon.tables import Table


@dataclass(frozen=True)
class Outcome:
    """How good the attacked model is on held-out rows, and how often a back door opens (None without one)."""

    accuracy: float
    back_door: float | None


@dataclass(frozen=True)
class Report:
    """Outcomes of several seeds: accuracy's mean, least and standard deviation, the back door's mean."""

    accuracy: float
    least: float
    deviation: float
    back_door: float | None
    seeds: int


def attacked(
    recipe: Recipe, tables: Sequence[Table], malicious: Sequence[int], attack: Attack, *, seed: int
) -> Trained:
    """All rounds, with the owners ``malicious`` doing as the attack says."""
    random = np.random.default_rng(seed)
    bad = sorted(malicious)
    held = [attack.poison(table, random) if index in bad else table for index, table in enumerate(tables)]
    scaling = scaling_for(recipe, held)
    learners = [LocalLearner(recipe, table, scaling, index) for index, table in enumerate(held)]
    common, rounds = CommonModel(recipe), []
    previous = common.vector
    for number in range(1, recipe.rounds + 1):
        base = common.vector
        updates = {index: one.teach(base, number)[1] for index, one in enumerate(learners)}
        if bad:
            view = View([updates[index] for index in bad], base, previous, len(tables), random)
            for index, change in zip(bad, attack.forge(view), strict=True):
                updates[index] = Update(change, updates[index].examples)
        rounds.append(Round(base, common.marked(updates)))
        common.advance(updates)
        previous = base
    return Trained(common.parameters, tuple(rounds), scaling)


def outcome(recipe: Recipe, trained: Trained, attack: Attack, held_out: Table) -> Outcome:
    """Measure an attacked model."""

    def answers(table: Table) -> NDArray[np.float64]:
        return recipe.model.probabilities(trained.vector, trained.scaling.apply(table.features))

    found = metrics.accuracy(held_out.labels, answers(held_out))
    if not isinstance(attack, BackDoor):
        return Outcome(found, None)
    return Outcome(found, attack.success(metrics.likeliest(answers(attack.triggered(held_out)))))


def report(seeds: Iterable[int], play: Callable[[int], Outcome]) -> Report:
    """Play the same scene with each seed."""
    found = [play(seed) for seed in seeds]
    accuracies = [one.accuracy for one in found]
    doors = [one.back_door for one in found if one.back_door is not None]
    return Report(
        float(np.mean(accuracies)),
        min(accuracies),
        float(np.std(accuracies)),
        float(np.mean(doors)) if doors else None,
        len(found),
    )
