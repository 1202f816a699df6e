# SPDX-License-Identifier: Apache-2.0
"""A recipe is one digest for everybody; scaling is public and tells nothing but sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from koinon.errors import BadInput, NotFound
from koinon.learning.models import ModelSpec
from koinon.learning.recipe import Recipe, credit_recipe, mnist_recipe
from koinon.learning.scaling import Scaling, Statistics, combine
from koinon.learning.splits import concatenate
from koinon.learning.trained import TrainedModel
from tests.learning.support import SCALING, recipe, table


def test_a_recipe_survives_the_wire_with_its_digest():
    for found in (recipe(), recipe(scaling=None), credit_recipe(seed=9), mnist_recipe()):
        again = Recipe.from_json(found.to_json())
        assert again == found
        assert again.digest == found.digest
    assert recipe(seed=6).digest != recipe(seed=5).digest


def test_seeds_differ_by_round_and_owner():
    found = recipe()
    assert len({found.local_seed(number, owner) for number in range(5) for owner in range(5)}) == 25


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": ()},
        {"signed_log": (True,)},
        {"rounds": 0},
        {"epochs": -1},
        {"batch": 0},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"owners_share": 0},
        {"owners_share": 10**9 + 1},
        {"minimum_owners": 101},
        {"minimum_rows": 0},
        {"round_deadline_s": 0.0},
        {"codec": "zip"},
        {"aggregation": "best"},
        {"contribution": "guess"},
        {"classes": 1},
        {"model_spec": ModelSpec("perceptron", {"activation": "swish"})},
        {"model_spec": ModelSpec("perceptron", {"depth": 3})},
        {"model_spec": ModelSpec("oracle")},
        {"codec": "topk:2"},
        {"codec": "topk:a"},
        {"down_codec": "zip"},
        {"method": "fedmagic"},
        {"method": "fedprox:-1"},
        {"method": "scaffold"},
        {"optimiser": "lbfgs"},
        {"steps": -1},
        {"compute_share": 10**9},
        {"scaling": Scaling((False,), (0.0,), (1.0,))},
    ],
)
def test_an_unusable_recipe_cannot_be_made(changes):
    with pytest.raises(BadInput):
        recipe(**changes)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"name": "x"}', orjson.dumps({**orjson.loads(recipe().to_json()), "extra": 1})],
)
def test_what_is_no_recipe_is_refused(content):
    with pytest.raises(BadInput):
        Recipe.from_json(content)


def test_pooled_statistics_scale_like_the_pooled_table():
    parts = [table(rows, seed) for seed, rows in enumerate((50, 80, 30))]
    signed_log = SCALING.signed_log
    wired = [
        Statistics.from_dict(
            orjson.loads(orjson.dumps(Statistics.of(part.features, signed_log).to_dict())), 3
        )
        for part in parts
    ]
    scaled = combine(wired, signed_log).apply(concatenate(parts).features)
    assert np.allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(scaled.std(axis=0), 1, atol=1e-4)


def test_a_constant_column_keeps_its_scale():
    features = np.full((5, 1), 7.0, np.float32)
    found = combine([Statistics.of(features, (False,))], (False,))
    assert found.apply(features).tolist() == [[0.0]] * 5


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"rows": 0, "sums": [0, 0, 0], "squares": [0, 0, 0]},
        {"rows": 2, "sums": [0, 0], "squares": [0, 0]},
        {"rows": 2, "sums": [9, 0, 0], "squares": [1, 0, 0]},
        {"rows": 2, "sums": ["nan", 0, 0], "squares": [1, 0, 0]},
        {"rows": 2, "sums": [0, 0, 0], "squares": [-1, 0, 0]},
    ],
)
def test_statistics_no_table_has_are_refused(fields):
    with pytest.raises(BadInput):
        Statistics.from_dict(fields, 3)


def test_a_scaling_that_divides_by_zero_or_does_not_fit_is_refused():
    with pytest.raises(BadInput):
        Scaling((False,), (0.0,), (0.0,))
    with pytest.raises(BadInput):
        Scaling((False,), (0.0, 1.0), (1.0,))
    with pytest.raises(BadInput):
        Scaling.from_dict({"center": []})
    with pytest.raises(BadInput):
        SCALING.apply(np.zeros((2, 2), np.float32))


def test_a_model_file_answers_as_the_model_did(tmp_path):
    found = recipe()
    model = TrainedModel(found, SCALING, found.model.initial(1))
    model.save(tmp_path / "model.npz")
    again = TrainedModel.load(tmp_path / "model.npz")
    rows = table().features
    assert np.array_equal(model.predict(rows), again.predict(rows))
    row = dict(zip(found.columns, map(float, rows[0]), strict=True))
    assert again.score(row) == pytest.approx(float(model.predict(rows[:1])[0]))


def test_a_bad_row_or_file_is_refused(tmp_path):
    found = recipe()
    model = TrainedModel(found, SCALING, found.model.initial(1))
    good = {"age": 1.0, "income": 2.0, "late": 3.0}
    bad: list[Any] = [{}, {**good, "more": 1.0}, {**good, "age": float("nan")}, {**good, "age": "old"}]
    for row in bad:
        with pytest.raises(BadInput):
            model.score(row)
    with pytest.raises(NotFound):
        TrainedModel.load(tmp_path / "none.npz")
    with pytest.raises(BadInput):
        TrainedModel.from_bytes(model.to_bytes()[:-40])
    other = TrainedModel(found, SCALING, np.zeros(3, np.float32))
    with pytest.raises(BadInput):
        TrainedModel.from_bytes(other.to_bytes())


def test_a_recipe_is_the_same_from_its_file():
    found = Recipe.from_toml(
        """
        name = "Late payers"
        label = "default"
        columns = ["age", "income", "late"]
        method = "fedprox:0.1"
        codec = "int8"

        [model]
        kind = "perceptron"
        hidden = [4]
        """
    )
    assert found.model.size == 21
    assert Recipe.from_json(found.to_json()) == found
    assert Recipe.from_json(found.to_json()).digest == found.digest


@pytest.mark.parametrize(
    "content", ["", "name = ", "name = 3", 'name = "x"\ncolumns = ["a"]\nlabel = "b"\ncolour = 1']
)
def test_what_is_no_recipes_file_is_refused(content):
    with pytest.raises(BadInput):
        Recipe.from_toml(content)
