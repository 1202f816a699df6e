# SPDX-License-Identifier: Apache-2.0
"""What learning together is worth: five splits of the credit data, in one process, and the digits.

A line a seed and comparison: together beside the mean of the models made alone (``gain``; its 95 % interval's
lower end is ``gain_low``), beside the best of them, and beside all rows in one place with as many epochs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from koinon.learning import simulation
from koinon.learning.datasets import load_credit, load_mnist
from koinon.learning.outcome import score_all
from koinon.learning.recipe import Recipe, credit_recipe, mnist_recipe
from koinon.learning.splits import Split, split_credit, split_mnist

NAMES = ("learning",)
SEEDS = range(1, 6)
LEAST_GAIN, MOST_BEHIND_POOLED = 0.02, 0.015


def run() -> Iterator[dict[str, Any]]:
    credit = load_credit()
    for seed in SEEDS:
        yield from _compare(f"learning.seed{seed}", credit_recipe(seed=seed), split_credit(credit, seed))
    yield from _compare("learning.mnist", mnist_recipe(), split_mnist(load_mnist(), 1))


def _compare(name: str, recipe: Recipe, split: Split) -> Iterator[dict[str, Any]]:
    trained = simulation.train_together(recipe, split.owners)
    alone = {
        index: simulation.train_alone(recipe, owner, index, trained.scaling)
        for index, owner in enumerate(split.owners)
    }
    scores = score_all(recipe, trained.scaling, trained.vector, alone, split.held_out)
    pooled = simulation.utility_on(recipe, split.held_out, trained.scaling)(
        simulation.train_pooled(recipe, split.owners, trained.scaling)
    )
    together, mean = scores.together.value, float(np.mean(list(scores.alone.values())))
    unit = f"{scores.metric} on {len(split.held_out)} rows"
    yield _figure(f"{name}.gain", together, mean, unit, mean + LEAST_GAIN)
    if scores.gain is not None:
        yield _figure(f"{name}.gain_low", scores.gain.low, 0.0, "lower end of the gain's interval", 0.0)
    best = max(scores.alone.values())
    yield _figure(f"{name}.best", together, best, unit, best)
    epochs = f"{unit}, pooled with {recipe.alone.epochs} epochs"
    yield _figure(f"{name}.pooled", together, pooled, epochs, pooled - MOST_BEHIND_POOLED)
    if scores.money is not None:
        money = scores.money
        unit = f"defaults among {money.approved} approved"
        yield _figure(f"{name}.defaults", money.together, money.alone, unit, money.alone, least=False)


def _figure(
    name: str, ours: float, peer: float, unit: str, target: float, *, least: bool = True
) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "ratio": round(ours / peer, 4) if peer else None,
        "unit": unit,
        "target": round(target, 4),
        "ok": bool(ours >= target if least else ours <= target),
    }
