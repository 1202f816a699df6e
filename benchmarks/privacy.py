# SPDX-License-Identifier: Apache-2.0
"""What privacy costs in accuracy, and what it takes from an attacker: digits of 8x8 pixels, three seeds.

Rows are protected by DP-SGD among five owners (the shipped recipe ``digits-private``), whole owners by
distributed noise among a hundred of some twelve rows. The attacker guesses from a row's loss whether the
model was taught with it; the area under its ROC curve is 0.5 if it learns nothing. Baselines are the same
task without noise. Some minutes on one core.

    python -m benchmarks.privacy         the table as it stands in the documents
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from koinon.learning import metrics, simulation
from koinon.learning.datasets import load_digits8
from koinon.learning.models import ModelSpec
from koinon.learning.privacy.plan import Privacy
from koinon.learning.recipe import Recipe
from koinon.learning.recipes import read_recipe
from koinon.learning.splits import Split, concatenate, split_evenly

SEEDS: Final = range(1, 4)
FEW, MANY = 5, 100
MOST_LOST: Final = {("row", 8.0): 0.1, ("owner", 8.0): 0.1}
"""The most accuracy that these may cost."""


@dataclass(frozen=True)
class Cost:
    """Means over the seeds of accuracy and attack, with their standard deviations."""

    accuracy: float
    deviation: float
    attack: float
    attack_deviation: float
    noise: float


def rows(seed: int, epsilon: float) -> tuple[Recipe, Split]:
    """Five owners, single rows protected; without epsilon ``digits-torch``, which has no noise or masks."""
    name = "digits-private" if epsilon else "digits-torch"
    recipe = read_recipe(name, seed=seed)
    if epsilon:
        recipe = replace(recipe, privacy=replace(recipe.privacy, epsilon=epsilon))
    return recipe, split_evenly(load_digits8(), FEW, seed)


def owners(seed: int, epsilon: float) -> tuple[Recipe, Split]:
    """A hundred owners, each protected as a whole; no epsilon is the same private sum without noise."""
    recipe = read_recipe(
        "digits-torch",
        seed=seed,
        aggregation="mean",
        contribution="equal",
        minimum_owners=67,
        minimum_rows=10,
        model_spec=ModelSpec("perceptron", {"hidden": (32,)}),
        rounds=8,
        epochs=10,
        batch=12,
        learning_rate=0.05,
        privacy=Privacy("private_sum", "distributed" if epsilon else "none", clip_norm=2.0, epsilon=epsilon),
    )
    return recipe, split_evenly(load_digits8(), MANY, seed, contribution=0.1, held_out=0.2)


PLANS: Final[Mapping[str, tuple[Callable[[int, float], tuple[Recipe, Split]], tuple[float, ...]]]] = {
    "row": (rows, (0.0, 8.0, 3.0, 1.0)),
    "owner": (owners, (0.0, 16.0, 8.0, 4.0)),
}


def run() -> Iterator[dict[str, Any]]:
    for protects, (_, epsilons) in PLANS.items():
        plain = measured(protects, 0.0)
        for epsilon in epsilons[1:]:
            found, least = measured(protects, epsilon), MOST_LOST.get((protects, epsilon))
            attack = f"attack {found.attack:.3f}, without noise {plain.attack:.3f}"
            yield {
                "name": f"privacy.{protects}.epsilon{epsilon:g}",
                "ours": round(found.accuracy, 4),
                "peer": round(plain.accuracy, 4),
                "ratio": round(found.accuracy / plain.accuracy, 4),
                "unit": f"accuracy, mean of {len(SEEDS)} seeds; {attack}",
                "target": None if least is None else round(plain.accuracy - least, 4),
                "ok": None if least is None else found.accuracy >= plain.accuracy - least,
            }


@cache
def measured(protects: str, epsilon: float) -> Cost:
    """One line of the table; an epsilon of 0 is no noise."""
    with threadpool_limits(1):
        found = [_once(*PLANS[protects][0](seed, epsilon)) for seed in SEEDS]
    accuracy, attack, noise = (np.array(each) for each in zip(*found, strict=True))
    return Cost(accuracy.mean(), accuracy.std(), attack.mean(), attack.std(), noise.mean())


def _once(recipe: Recipe, split: Split) -> tuple[float, float, float]:
    trained = simulation.train_together(recipe, split.owners)
    members, others = concatenate(list(split.owners)), split.held_out
    losses = []
    for table in (members, others):
        found = recipe.model.probabilities(trained.vector, trained.scaling.apply(table.features))
        losses.append(-np.log(found[np.arange(len(table)), table.labels] + 1e-12))
    taught = np.repeat([1, 0], [len(members), len(others)])
    attack = metrics.auc(taught, -np.concatenate(losses))
    fewest = min(len(table) for table in split.owners)
    noise = recipe.privacy.multiplier(recipe.rounds) or recipe.privacy.row_multiplier(
        recipe.training, fewest, recipe.rounds
    )
    return simulation.utility_on(recipe, others, trained.scaling)(trained.vector), attack, noise


def markdown() -> Iterator[str]:
    """The table, a line at a time."""
    yield "| What is protected | ε at δ = 1e-5 | Noise, times the norm | Accuracy | Attack (AUC) |"
    yield "|---|---:|---:|---:|---:|"
    names = {"row": f"a row, {FEW} owners", "owner": f"an owner, {MANY} owners"}
    for protects, (_, epsilons) in PLANS.items():
        for epsilon in epsilons:
            found = measured(protects, epsilon)
            words = f"{epsilon:g} | {found.noise:.2f}" if epsilon else "∞ | none"
            accuracy = f"{found.accuracy:.3f} ± {found.deviation:.3f}"
            attack = f"{found.attack:.3f} ± {found.attack_deviation:.3f}"
            yield f"| {names[protects]} | {words} | {accuracy} | {attack} |"


if __name__ == "__main__":
    for line in markdown():
        print(line, flush=True)
