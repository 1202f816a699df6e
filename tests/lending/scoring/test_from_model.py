# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.learning import simulation
from koinon.learning.datasets import load_credit
from koinon.learning.recipe import credit_recipe
from koinon.learning.splits import split_credit
from koinon.learning.trained import TrainedModel
from koinon.lending.scoring.frame import Frame, Numeric, of
from koinon.lending.scoring.frame_reading import from_table
from koinon.lending.scoring.from_model import distil, model_chances, with_model
from koinon.lending.scoring.points import Plan, fit_points
from koinon.lending.scoring.report import OFF_CHAIN
from koinon.services.models import perceptron


@pytest.fixture(scope="module")
def split():
    return split_credit(load_credit(), 1)


@pytest.fixture(scope="module")
def model_file(split, tmp_path_factory):
    """The tour's model, taught a little, as the file that its owners publish."""
    recipe = credit_recipe(rounds=2)
    scaling = simulation.scaling_for(recipe, split.owners)
    vector = simulation.train_together(recipe, split.owners).vector
    path = tmp_path_factory.mktemp("model") / "model.npz"
    TrainedModel(recipe, scaling, vector[: recipe.model.size]).save(path)
    return path


def test_the_tours_model_becomes_points_that_keep_most_of_what_it_knows(model_file, split):
    model = perceptron.load(model_file)
    teach = from_table(split.contribution)
    held_out = from_table(split.held_out.take(np.arange(6000)))
    made = distil(model, teach, held_out, Plan(binner="tree"), data="Taiwan", evidence=OFF_CHAIN)
    seen = made.fidelity
    assert seen.rows == 3000
    assert seen.rank > 0.7
    assert seen.same_decisions > 0.85
    assert abs(seen.lost.value) < 0.05
    assert made.scorecard.about["fidelity"]["rank"] == seen.rank
    assert set(made.scorecard.columns) <= set(model.features)


def test_its_probability_is_one_more_column(model_file, split):
    model = perceptron.load(model_file)
    frame = from_table(split.held_out.take(np.arange(50)))
    more = with_model(frame, model)
    assert np.array_equal(of(more.columns["model"]), model_chances(model, frame))
    with pytest.raises(BadInput, match="already"):
        with_model(more, model)
    with pytest.raises(BadInput, match="The model reads 'age'"):
        model_chances(model, frame.without("age"))
    three = dataclasses.replace(
        model, layers=((np.zeros((len(model.features), 3)), np.zeros(3)),), classes=("a", "b", "c")
    )
    with pytest.raises(BadInput, match="two classes"):
        model_chances(three, frame)


@pytest.mark.parametrize("binner", ["tree", "optimal"])
def test_edges_follow_what_rows_weigh_not_how_many_there_are(binner):
    """A distilled row counts once as bad and once as good, by the model's chance: rows alone say nothing."""
    values = np.tile(np.arange(10, dtype=np.float64), 400)
    chance = np.where(values < 5, 0.1, 0.8)
    rows = {"debt": Numeric(np.tile(values, 2))}
    labels = np.repeat(np.array([1, 0], dtype=np.int64), values.size)
    soft = Frame(rows, labels, weights=np.concatenate([chance, 1 - chance]))
    table, _ = fit_points(soft, Plan(binner=binner, monotone={"debt": 1}))
    (debt,) = table.features
    assert debt.edges[0] == 4
    assert debt.points[0] > debt.points[-1] == 0
