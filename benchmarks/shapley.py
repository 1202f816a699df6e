# SPDX-License-Identifier: Apache-2.0
"""How close pay from a run's own updates comes to pay from teaching every group of owners anew.

Half the L1 distance of the two sets of shares, 0 the same and 1 disjoint, the worst of five splits of the
credit data; and what an owner of shuffled labels earns, the most over five splits and each of the five
owners.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from koinon.learning import metrics, simulation
from koinon.learning.contribution import half_l1, shapley, subset_values, to_shares
from koinon.learning.datasets import load_credit
from koinon.learning.recipe import WHOLE, Recipe, credit_recipe
from koinon.learning.splits import Split, split_credit

SEEDS = range(1, 6)
TARGET_L1, TARGET_NOISE = 0.15, 0.02


def run() -> Iterator[dict[str, Any]]:
    table = load_credit()
    distances, noise = [], []
    for seed in SEEDS:
        recipe, split = credit_recipe(seed=seed), split_credit(table, seed)
        distances.append(half_l1(_from_updates(recipe, split), _from_retraining(recipe, split)))
        for index in range(len(split.owners)):
            owners = list(split.owners)
            owners[index] = simulation.with_random_labels(owners[index], seed)
            noise.append(
                _from_updates(recipe, Split(tuple(owners), split.contribution, split.held_out))[index]
            )
    yield _figure("shapley.l1", max(distances), "half L1 distance, worst of five splits", TARGET_L1)
    yield _figure("shapley.noise", max(noise), "share of shuffled labels, most of 25", TARGET_NOISE)


def _from_updates(recipe: Recipe, split: Split) -> list[float]:
    owners = len(split.owners)
    trained = simulation.train_together(recipe, split.owners)
    values = simulation.contributions(recipe, trained, owners, split.contribution)
    shares = to_shares(values, range(owners), WHOLE)
    return [shares[index] / WHOLE for index in range(owners)]


def _from_retraining(recipe: Recipe, split: Split) -> Any:
    scaling = simulation.scaling_for(recipe, split.owners)
    utility = simulation.utility_on(recipe, split.contribution, scaling)

    def value(members: Sequence[int]) -> float:
        together = simulation.train_together(recipe, split.owners, scaling=scaling, members=members)
        return utility(together.vector)

    owners = len(split.owners)
    values = subset_values(range(owners), value, metrics.chance(recipe.classes))
    return np.maximum(shapley(values, owners), 0.0)


def _figure(name: str, ours: float, unit: str, target: float) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 4),
        "peer": None,
        "ratio": None,
        "unit": unit,
        "target": target,
        "ok": ours <= target,
    }
