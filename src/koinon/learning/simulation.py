# SPDX-License-Identifier: Apache-2.0
"""A run in one process, without network or chain: what tests, benchmarks and audits compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from koinon.learning import metrics
from koinon.learning.aggregation import AGGREGATIONS, Update
from koinon.learning.contribution import CONTRIBUTIONS, Round, Utility, Values
from koinon.learning.model import Vector
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling, Statistics, combine
from koinon.learning.splits import concatenate
from koinon.learning.tables import Table


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
    """All rounds with the owners ``members`` (all by default; seeds stay those of the full run)."""
    scaling = scaling or scaling_for(recipe, tables)
    chosen = range(len(tables)) if members is None else members
    model, rule = recipe.model, AGGREGATIONS[recipe.aggregation]
    inputs = {index: scaling.apply(tables[index].features) for index in chosen}
    vector, rounds = model.initial(recipe.seed), []
    for number in range(1, recipe.rounds + 1):
        updates = {}
        for index in chosen:
            trained = model.train(
                vector, inputs[index], tables[index].labels, recipe.training, recipe.local_seed(number, index)
            )
            updates[index] = Update(trained - vector, len(tables[index]))
        rounds.append(Round(vector, updates))
        vector = rule.aggregate(vector, list(updates.values()))
    return Trained(vector, tuple(rounds), scaling)


def train_alone(recipe: Recipe, table: Table, owner_index: int, scaling: Scaling) -> Vector:
    """One owner's model from its own rows only, with as many passes as the run has."""
    model = recipe.model
    return model.train(
        model.initial(recipe.seed),
        scaling.apply(table.features),
        table.labels,
        recipe.alone,
        recipe.local_seed(0, owner_index),
    )


def train_pooled(recipe: Recipe, tables: Sequence[Table], scaling: Scaling) -> Vector:
    """The model if all rows lay in one place, with as many passes as the run has: what nobody could do."""
    return train_alone(recipe, concatenate(list(tables)), len(tables), scaling)


def utility_on(recipe: Recipe, table: Table, scaling: Scaling) -> Utility:
    """Score of a vector on a common set."""
    model, inputs = recipe.model, scaling.apply(table.features)

    def utility(vector: Vector) -> float:
        return metrics.score(table.labels, model.probabilities(vector, inputs))

    return utility


def contributions(recipe: Recipe, trained: Trained, owners: int, contribution_set: Table) -> Values:
    """The recipe's contribution rule over a finished run."""
    return CONTRIBUTIONS[recipe.contribution].values(
        trained.rounds,
        owners,
        AGGREGATIONS[recipe.aggregation],
        utility_on(recipe, contribution_set, trained.scaling),
        metrics.chance(recipe.classes),
    )


def with_random_labels(table: Table, seed: int) -> Table:
    """The table of an owner who sends noise: labels shuffled among its rows."""
    return Table(table.features, np.random.default_rng(seed).permutation(table.labels), table.columns)
