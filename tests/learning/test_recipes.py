# SPDX-License-Identifier: Apache-2.0
"""Shipped recipes teach five owners as well as if their rows lay in one place, and survive a lost owner."""

from __future__ import annotations

import tomllib
from importlib import resources

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.learning import metrics, recipes, simulation
from koinon.learning.common import CommonModel
from koinon.learning.datasets import default_cache
from koinon.learning.local import LocalLearner
from koinon.learning.models import Trees
from koinon.learning.recipe import Recipe, credit_recipe
from koinon.learning.recipes import SHIPPED, example_split, read_recipe
from koinon.learning.shorthand import spelled_out
from koinon.learning.splits import split_evenly
from koinon.tables import Table
from koinon.text import hash_columns, hash_texts

SPAM_IS_HERE = (default_cache() / "spam.npz").is_file()
HEADLINES = [
    "credit-trees",
    "digits-torch",
    pytest.param(
        "spam", marks=pytest.mark.skipif(not SPAM_IS_HERE, reason="tools/setup.sh dev brings the mail")
    ),
]


def test_every_shipped_recipe_is_read_by_its_name():
    for name in SHIPPED:
        recipe = read_recipe(name, seed=9)
        assert recipe.seed == 9
        assert Recipe.from_json(recipe.to_json()) == recipe
    assert read_recipe("credit").to_json() == credit_recipe().to_json()


def test_a_recipe_is_read_from_a_file(tmp_path):
    text = resources.files(recipes).joinpath("spam.toml").read_text(encoding="utf-8")
    (tmp_path / "own.toml").write_text(text.replace("Spam filter", "Mine"))
    (tmp_path / "own.json").write_bytes(read_recipe("spam", name="Mine").to_json())
    assert read_recipe(tmp_path / "own.toml") == read_recipe(str(tmp_path / "own.json"))
    assert read_recipe(tmp_path / "own.toml").columns == hash_columns(1024)
    for name in ("gone", "../credit", tmp_path):
        with pytest.raises(BadInput, match="no recipe"):
            read_recipe(name)
    with pytest.raises(BadInput, match="shipped"):
        example_split("gone", 1)


@pytest.mark.parametrize("name", HEADLINES)
def test_learning_together_is_within_two_points_of_pooling(name):
    """Also after one of five owners was lost for good, against a pool of the four that are left."""
    recipe, split = read_recipe(name), example_split(name, 1)
    for members in (range(5), range(1, 5)):
        trained = simulation.train_together(recipe, split.owners, members=members)
        pooled = simulation.train_pooled(recipe, [split.owners[index] for index in members], trained.scaling)
        utility = simulation.utility_on(recipe, split.held_out, trained.scaling)
        assert utility(trained.vector) > utility(pooled) - 0.02
        assert utility(trained.vector) > 0.7 > metrics.chance(recipe.classes)


def test_the_private_recipe_learns_under_its_noise():
    recipe, split = read_recipe("digits-private", rounds=3), example_split("digits-private", 1)
    trained = simulation.train_together(recipe, split.owners)
    utility = simulation.utility_on(recipe, split.held_out, trained.scaling)
    assert utility(trained.vector) > 0.6


def test_trees_of_an_absent_owner_leave_no_trace():
    recipe, split = read_recipe("credit-trees", rounds=3), example_split("credit-trees", 1)
    trained = simulation.train_together(recipe, split.owners, members=[0, 2])
    model = recipe.model
    assert isinstance(model, Trees)
    counts = model.slots(trained.vector)[:, :, 0]
    assert counts[:3].tolist() == [[1600, 0, 500, 0, 0]] * 3
    assert not counts[3:].any()
    for number, done in enumerate(trained.rounds, start=1):
        for index, update in done.updates.items():
            model.check_change(update.change, index, number, update.examples)


def test_trees_are_united_exactly_or_refused():
    for changes, reason in (
        ({"aggregation": "weighted_mean"}, "does not fit"),
        ({"codec": "int8"}, "travel exactly"),
        ({"down_codec": "sign"}, "travel exactly"),
        ({"rounds": 21}, "places for 20 rounds"),
        ({"method": "fedadam"}, "united, not averaged"),
    ):
        with pytest.raises(BadInput, match=reason):
            read_recipe("credit-trees", **changes)
    with pytest.raises(BadInput, match="does not fit"):
        read_recipe("spam", aggregation="union")


def test_a_run_takes_trees_only_in_their_owners_places():
    recipe, split = read_recipe("credit-trees"), example_split("credit-trees", 1)
    common = CommonModel(recipe)
    updates = {
        index: LocalLearner(recipe, split.owners[index], simulation.scaling_for(recipe, ()), index).teach(
            common.vector, 1
        )[1]
        for index in (0, 1)
    }
    for index, update in updates.items():
        common.check(index, update)
        with pytest.raises(BadInput, match="beyond its owner's slot"):
            common.check(index + 1, update)
    common.advance(updates)
    with pytest.raises(BadInput, match="beyond its owner's slot"):
        common.check(0, updates[0])


def test_text_of_five_owners_makes_one_filter():
    """The shipped filter on text made here, so that it is tested where the mail is not."""
    random = np.random.default_rng(0)
    common = [f"word{index}" for index in range(50)]
    texts = [
        " ".join(
            [
                *random.choice(common, 20),
                *random.choice(["win", "free", "cash"] if label else ["see", "you"], 2),
            ]
        )
        for label in np.arange(600) % 2
    ]
    table = Table(hash_texts(texts), np.arange(600) % 2, hash_columns(1024))
    recipe, split = read_recipe("spam"), split_evenly(table, 5, 1)
    trained = simulation.train_together(recipe, split.owners)
    assert simulation.utility_on(recipe, split.held_out, trained.scaling)(trained.vector) > 0.95


def test_shorthand_spells_out():
    found = spelled_out(
        tomllib.loads(
            """
            columns = ["age", "bill_{1..3}", "x{2..2}y"]
            signed_log = ["bill_{2..3}"]
            scaling = {center = 2, scale = [1, 1, 1, 1, 1]}
            """
        )
    )
    money = [False, False, True, True, False]
    assert found["columns"] == ["age", "bill_1", "bill_2", "bill_3", "x2y"]
    assert found["signed_log"] == money
    assert found["scaling"] == {"signed_log": money, "center": [2] * 5, "scale": [1] * 5}
    plain = {
        "columns": ["a"],
        "signed_log": [True],
        "scaling": {"signed_log": [True], "center": [1], "scale": [1]},
    }
    assert spelled_out(plain) == plain


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('columns = ["a{3..1}"]', "no columns"),
        ('columns = ["a{0..999999}"]', "too many"),
        ('columns = ["a"]\nsigned_log = ["b"]', "no column"),
        ('columns = "a"', "list of names"),
        ("columns = [1, 2]", "list of names"),
        ('columns = ["a", "b"]\nsigned_log = ["b", true]', "mixes"),
        ('columns = ["a"]\nscaling = 3', "scaling"),
        ('columns = ["a"]\n[scaling]\ncenter = "x"\nscale = 1', "scaling"),
    ],
)
def test_shorthand_that_means_nothing_is_refused(text, reason):
    with pytest.raises(BadInput, match=reason):
        Recipe.from_toml(f'name = "x"\nlabel = "y"\n{text}')
