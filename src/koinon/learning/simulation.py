# SPDX-License-Identifier: Apache-2.0
"""A run in one process, without network or chain: what tests, benchmarks and audits compare with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from koinon.learning import metrics
from koinon.learning.aggregation import Update, rule_named
from koinon.learning.common import CommonModel
from koinon.learning.contribution import CONTRIBUTIONS, Round, Utility, Values
from koinon.learning.local import LocalLearner
from koinon.learning.models.base import Vector
from koinon.learning.privacy.noised_sum import NoisedSum
from koinon.learning.privacy.threshold import threshold_for
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling, Statistics, combine
from koinon.learning.splits import concatenate
from koinon.tables import Table


@dataclass(frozen=True)
class Trained:
    """The final vector with the rounds that led to it."""

    vector: Vector
    rounds: tuple[Round, ...]
    scaling: Scaling


def scaling_for(recipe: Recipe, tables: Sequence[Table]) -> Scaling:
    """The recipe's own constants, or the owners' pooled statistics."""
    if recipe.scaling is not None:
        return recipe.scaling
    return combine([Statistics.of(table.features, recipe.signed_log) for table in tables], recipe.signed_log)


def train_together(
    recipe: Recipe,
    tables: Sequence[Table],
    *,
    scaling: Scaling | None = None,
    members: Sequence[int] | None = None,
) -> Trained:
    """All rounds with the owners ``members`` (all by default; seeds stay those of the full run).

    The noise of private recipes follows from the recipe's seed here, which would protect nobody.
    """
    scaling = scaling or scaling_for(recipe, tables)
    chosen = range(len(tables)) if members is None else members
    learners = {
        index: LocalLearner(recipe, tables[index], scaling, index, entropy=_known_seeds(recipe.seed, index))
        for index in chosen
    }
    common, rounds, known = CommonModel(recipe), [], _known_seeds(recipe.seed, -1)
    for number in range(1, recipe.rounds + 1):
        if recipe.privacy.private_sum:
            rounds.append(_summed(common, learners, number, known))
            continue
        taught = {index: learner.teach(common.vector, number) for index, learner in learners.items()}
        updates = {index: update for index, (_, update) in taught.items()}
        rounds.append(Round(common.vector, common.marked(updates)))
        common.advance(updates)
    return Trained(common.parameters, tuple(rounds), scaling)


def _summed(
    common: CommonModel, learners: Mapping[int, LocalLearner], number: int, seeds: Callable[[], bytes]
) -> Round:
    """A round of a private sum, without the masks."""
    recipe, before, owners = common.recipe, common.vector, len(learners)
    sums, threshold = (
        NoisedSum(recipe.privacy, recipe.rounds),
        threshold_for(owners, recipe.privacy.threshold),
    )
    total = np.sum([learner.contribute(before, number) for learner in learners.values()], axis=0)
    total += sums.noise_of_all(before.shape[0], owners, threshold, seeds())
    mean = sums.mean(sums.with_common_noise(total, b"", {0: seeds()}), owners)
    common.advance_by(mean)
    change = mean.astype(np.float32)
    return Round(before, {index: Update(change, learner.rows) for index, learner in learners.items()})


def _known_seeds(seed: int, index: int) -> Callable[[], bytes]:
    numbers = count()
    return lambda: hashlib.sha256(f"simulated noise {seed} {index} {next(numbers)}".encode()).digest()


def train_alone(recipe: Recipe, table: Table, owner_index: int, scaling: Scaling) -> Vector:
    """One owner's model from its own rows only, with as many passes as the run has."""
    return LocalLearner(recipe, table, scaling, owner_index).alone()


def train_pooled(recipe: Recipe, tables: Sequence[Table], scaling: Scaling) -> Vector:
    """The model if all rows lay in one place, with as many passes as the run has: what nobody could do."""
    return train_alone(recipe, concatenate(list(tables)), len(tables), scaling)


def utility_on(recipe: Recipe, table: Table, scaling: Scaling) -> Utility:
    """Score of a vector on a common set."""
    model, inputs = recipe.model, scaling.apply(table.features)

    def utility(vector: Vector) -> float:
        return metrics.score(table.labels, model.probabilities(vector[: model.size], inputs))

    return utility


def contributions(recipe: Recipe, trained: Trained, owners: int, contribution_set: Table) -> Values:
    """The recipe's contribution rule over a finished run."""
    return CONTRIBUTIONS[recipe.contribution].values(
        trained.rounds,
        owners,
        rule_named(recipe.aggregation),
        utility_on(recipe, contribution_set, trained.scaling),
        metrics.chance(recipe.classes),
        seed=recipe.seed,
    )


def with_random_labels(table: Table, seed: int) -> Table:
    """The table of an owner who sends noise: labels shuffled among its rows."""
    return Table(table.features, np.random.default_rng(seed).permutation(table.labels), table.columns)
