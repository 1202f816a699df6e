# SPDX-License-Identifier: Apache-2.0
"""What a round costs beside training: five owners' processes, a 204 kB vector, TLS, signatures, no epochs.

From the moment the leader gives out a model until the next one is ready: five updates signed, sent, verified
and aggregated. No transaction is sent. The median of 60 rounds after the first.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from koinon.chain.keys import Key
from koinon.learning.api import Learning
from koinon.learning.models import ModelSpec
from koinon.learning.recipe import Recipe, mnist_recipe
from koinon.learning.splits import Split
from koinon.tables import Table

NAMES = ("round",)
OWNERS, ROUNDS = 5, 61
TARGET_MS = 50.0


def run() -> Iterator[dict[str, Any]]:
    recipe = replace(
        mnist_recipe(model_spec=ModelSpec("perceptron", {"hidden": (64,)})), epochs=0, rounds=ROUNDS
    )
    moments: list[float] = []

    def progress(event: dict[str, Any]) -> None:
        if event["event"] in ("started", "round"):
            moments.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        Learning(Path(folder), Key.generate()).run(recipe, _noise(recipe), progress=progress)
    rounds = [1000 * (after - before) for before, after in pairwise(moments[1:])]
    median = statistics.median(rounds)
    yield {
        "name": "round.overhead_ms",
        "ours": round(median, 1),
        "peer": None,
        "ratio": None,
        "unit": f"ms a round, {recipe.model.size * 4 / 1000:.0f} kB, {OWNERS} owners",
        "target": TARGET_MS,
        "ok": median <= TARGET_MS,
    }


def _noise(recipe: Recipe) -> Split:
    """Tables of the recipe's shape; what they hold does not matter without training."""
    random = np.random.default_rng(0)

    def table(rows: int) -> Table:
        features = random.random((rows, len(recipe.columns)), dtype=np.float32)
        return Table(features, np.arange(rows) % recipe.classes, recipe.columns)

    return Split(tuple(table(100) for _ in range(OWNERS)), table(100), table(101))
