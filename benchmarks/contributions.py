# SPDX-License-Identifier: Apache-2.0
"""What contributions cost and how far they can be relied on, on 8x8 digits.

Ten owners of one round: three of shuffled labels, one of a tenth of the rows, six honest. Seconds for all
1,023 models; the correlation of sampled with exact values, the least of five seeds; and how the search for
copied sets does over ten evenly split runs of ten owners, one of whose sets is held by an eleventh too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from koinon.learning import metrics, simulation
from koinon.learning.aggregation import WeightedMean
from koinon.learning.contribution import History, ShapleyOfRounds, likenesses, sampled
from koinon.learning.datasets import load_digits8
from koinon.learning.models import ModelSpec
from koinon.learning.recipe import Recipe
from koinon.learning.scaling import Scaling
from koinon.tables import Table

NAMES = ("shapley.n10_s", "shapley.tmc_correlation", "contributions")
OWNERS, JUDGED, SEEDS = 10, 300, range(1, 6)
ROUNDS_OF_LIKENESS, RUNS_OF_LIKENESS = 8, 10
TARGET_S, TARGET_CORRELATION, TARGET_FALSE, TARGET_FOUND = 0.5, 0.95, 0.01, 0.95


def run() -> Iterator[dict[str, Any]]:
    table = load_digits8()
    seconds, correlations = [], []
    for seed in SEEDS:
        history = one_round(table, seed)
        with threadpool_limits(1):  # matrices this small are slower on several cores
            start = time.perf_counter()
            exact = ShapleyOfRounds().valuation(history)
            seconds.append(time.perf_counter() - start)
        correlations.append(float(np.corrcoef(exact.values, _sampled(history, seed))[0, 1]))
    unit = "s, 1,023 models of 10 owners on one core"
    yield _figure("shapley.n10_s", min(seconds), unit, TARGET_S, most=True)
    unit = "sampled with exact values, least of five"
    yield _figure("shapley.tmc_correlation", min(correlations), unit, TARGET_CORRELATION, most=False)
    wrong, found = _likeness(table)
    unit = "of honest pairs taken for copies"
    yield _figure("contributions.false_duplicates", wrong, unit, TARGET_FALSE, most=True)
    yield _figure("contributions.copies_found", found, "of copied sets found", TARGET_FOUND, most=False)


def one_round(table: Table, seed: int) -> History:
    """Ten owners after one round, on a contribution set of 300 rows."""
    order = np.random.default_rng(seed).permutation(len(table))
    judge, tables = table.take(order[:JUDGED]), _evenly(table, order[JUDGED:])
    for index in range(3):
        tables[index] = simulation.with_random_labels(tables[index], seed)
    tables[3] = tables[3].take(np.arange(len(tables[3]) // 10))
    recipe = digits_recipe(seed, 1)
    trained = simulation.train_together(recipe, tables)
    utility = simulation.utility_on(recipe, judge, trained.scaling)
    return History(trained.rounds, OWNERS, WeightedMean(), utility, metrics.chance(10), seed)


def digits_recipe(seed: int, rounds: int, **changes: Any) -> Recipe:
    """A perceptron 64-32-10 on 8x8 digits, two local epochs a round."""
    return Recipe(
        name="Small digits",
        columns=tuple(f"pixel_{index}" for index in range(64)),
        label="digit",
        classes=10,
        model_spec=ModelSpec("perceptron", {"hidden": (32,)}),
        rounds=rounds,
        seed=seed,
        scaling=Scaling((False,) * 64, (0.0,) * 64, (16.0,) * 64),
        **changes,
    )


def _sampled(history: History, seed: int) -> Any:
    one = history.rounds[0]

    def rebuilt(members: Sequence[int]) -> float:
        return history.utility(
            history.aggregation.aggregate(one.base, [one.updates[member] for member in members])
        )

    return sampled(range(OWNERS), rebuilt, history.chance, np.random.default_rng(seed)).values


def _likeness(table: Table) -> tuple[float, float]:
    """The parts of honest pairs and of copied pairs that are held to be copies."""
    honest: list[bool] = []
    copied: list[bool] = []
    for seed in range(1, RUNS_OF_LIKENESS + 1):
        tables = _evenly(table, np.random.default_rng(seed).permutation(len(table)))
        trained = simulation.train_together(digits_recipe(seed, ROUNDS_OF_LIKENESS), [*tables, tables[0]])
        for pair, likeness in likenesses(trained.rounds).items():
            (copied if pair == (0, OWNERS) else honest).append(likeness.copied)
    return float(np.mean(honest)), float(np.mean(copied))


def _evenly(table: Table, order: Any) -> list[Table]:
    return [table.take(part) for part in np.array_split(order, OWNERS)]


def _figure(name: str, ours: float, unit: str, target: float, *, most: bool) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 4),
        "peer": None,
        "ratio": None,
        "unit": unit,
        "target": target,
        "ok": ours <= target if most else ours >= target,
    }
