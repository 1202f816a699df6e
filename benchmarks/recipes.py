# SPDX-License-Identifier: Apache-2.0
"""What five owners reach together with each shipped recipe, beside all rows in one place and each one alone.

Lines a recipe and seed: ``pooled`` (its target is two points below all rows in one place with as many
passes), ``alone`` (the mean of the five models each owner makes from its own rows), and ``lost`` (one owner
is gone from the start; the pool has the other four). The unit tells the measure, the rows nobody trained on,
the 95 % bootstrap interval of ours, and for two classes what share of rows is classified rightly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.learning import metrics, simulation
from koinon.learning.models.base import Vector
from koinon.learning.recipe import Recipe
from koinon.learning.recipes import SHIPPED, example_split, read_recipe
from koinon.learning.scaling import Scaling
from koinon.tables import Table

SEEDS = range(1, 6)
MOST_BEHIND_POOLED = 0.02


def run() -> Iterator[dict[str, Any]]:
    for name in SHIPPED:
        for seed in SEEDS:
            recipe, split = read_recipe(name, seed=seed), example_split(name, seed)
            yield from _compare(f"recipes.{name}.seed{seed}", recipe, split.owners, split.held_out)


def _compare(name: str, recipe: Recipe, owners: Sequence[Table], held_out: Table) -> Iterator[dict[str, Any]]:
    scaling = simulation.scaling_for(recipe, owners)

    def chances(vector: Vector) -> NDArray[np.float64]:
        model = recipe.model
        return model.probabilities(vector[: model.size], scaling.apply(held_out.features))

    def score(vector: Vector) -> float:
        return metrics.score(held_out.labels, chances(vector))

    for figure, members in (("pooled", range(len(owners))), ("lost", range(1, len(owners)))):
        together = chances(simulation.train_together(recipe, owners, members=members).vector)
        pooled = score(simulation.train_pooled(recipe, [owners[index] for index in members], scaling))
        value, unit = _measured(held_out, together)
        yield _figure(f"{name}.{figure}", value, pooled, unit, pooled - MOST_BEHIND_POOLED)
        if figure == "pooled":
            alone = _mean_alone(recipe, owners, scaling, score)
            yield _figure(f"{name}.alone", value, alone, unit, alone)


def _mean_alone(recipe: Recipe, owners: Sequence[Table], scaling: Scaling, score: Any) -> float:
    scores = [
        score(simulation.train_alone(recipe, table, index, scaling)) for index, table in enumerate(owners)
    ]
    return float(np.mean(scores))


def _measured(held_out: Table, chances: NDArray[np.float64]) -> tuple[float, str]:
    interval = metrics.bootstrap(held_out.labels, chances)
    kind = "AUC" if chances.ndim == 1 else "accuracy"
    unit = f"{kind} on {len(held_out)} rows, 95 % {interval.low:.4f} to {interval.high:.4f}"
    if chances.ndim == 1:
        right = metrics.accuracy(held_out.labels, chances)
        commoner = float(np.bincount(held_out.labels).max()) / len(held_out)
        unit += f"; right {right:.4f}, always the commoner class {commoner:.4f}"
    return interval.value, unit


def _figure(name: str, ours: float, peer: float, unit: str, target: float) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "ratio": round(ours / peer, 4),
        "unit": unit,
        "target": round(target, 4),
        "ok": ours >= target,
    }
