# SPDX-License-Identifier: Apache-2.0
"""Trees of several owners, in slots that never overlap, predict as LightGBM itself does."""

from __future__ import annotations

import sys
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput, SetupError
from koinon.learning import metrics
from koinon.learning.models import ModelSpec, Training, Trees, Vector, model_of
from koinon.learning.models.trees import LARGEST, _rounded_down
from tests.learning.models.support import blobs

TRAINING = Training(epochs=1, batch=1, learning_rate=0.3, weight_decay=0.1, round=1)
SMALL = {"rounds": 3, "owners": 2, "leaves": 6, "leaf_rows": 5}


def united(model: Trees, parts: list, training: Training = TRAINING) -> Vector:
    """Rounds by hand: the changes of all owners, which never overlap, added."""
    vector = model.initial(0)
    for number in range(1, model.rounds + 1):
        changes = []
        for slot, (inputs, labels) in enumerate(parts):
            own = replace(training, round=number, slot=slot)
            changes.append(model.train(vector, inputs, labels, own, number) - vector)
        assert not np.logical_and.reduce([change != 0 for change in changes]).any()
        vector = vector + np.sum(changes, axis=0)
    return vector


@pytest.mark.parametrize("classes", [2, 3])
def test_raw_scores_are_those_of_lightgbm(classes):
    """One owner, all trees in one round: exactly one LightGBM model."""
    inputs, labels = blobs(400, classes, 5)
    model = Trees(5, classes, rounds=1, owners=1, trees=7, leaves=9, leaf_rows=5)
    vector = model.train(model.initial(0), inputs, labels, TRAINING, 4)
    parameters = {
        "objective": "binary" if classes == 2 else "multiclass",
        "num_leaves": 9,
        "min_data_in_leaf": 5,
        "max_bin": 63,
        "learning_rate": 0.3,
        "lambda_l2": 0.1,
        "boost_from_average": classes == 2,
        "use_missing": False,
        "seed": 4,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "feature_pre_filter": False,
        "verbosity": -1,
    } | ({} if classes == 2 else {"num_class": classes})
    booster = lightgbm.train(parameters, lightgbm.Dataset(inputs, labels), num_boost_round=7)
    new, _ = blobs(2_000, classes, 5, seed=3)
    new[0], new[1, 2] = np.nan, -0.0
    expected = np.asarray(booster.predict(new, raw_score=True)).reshape(len(new), -1)
    assert np.allclose(model.raw(vector, new), expected, rtol=0, atol=1e-6)
    chances = booster.predict(new)
    assert np.allclose(model.probabilities(vector, new), chances, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_owners_together_are_better_than_one(classes):
    parts = [blobs(120, classes, seed=seed) for seed in (1, 2)]
    model = model_of(ModelSpec("trees", SMALL), 4, classes)
    assert isinstance(model, Trees)
    vector = united(model, parts)
    test, labels = blobs(1_000, classes, seed=9)
    assert metrics.accuracy(labels, model.probabilities(vector, test)) > 0.85
    assert np.array_equal(vector, united(model, parts))
    alone = model.train(model.initial(0), *parts[0], replace(TRAINING, round=0, slot=1), 0)
    assert model.slots(alone)[:, 0, 0].tolist() == [120] * 3
    assert not model.slots(alone)[:, 1].any()


def test_a_round_weighs_its_owners_by_their_rows():
    model = Trees(4, 2, rounds=1, owners=2, leaf_rows=5)
    large, small = blobs(300, seed=1), blobs(100, seed=2)
    vectors = [
        model.train(model.initial(0), *rows, replace(TRAINING, slot=slot), 0)
        for slot, rows in enumerate((large, small))
    ]
    new, _ = blobs(50, seed=3)
    raw = [model.raw(vector, new) for vector in vectors]
    assert np.allclose(model.raw(vectors[0] + vectors[1], new), 0.75 * raw[0] + 0.25 * raw[1])


def test_an_owner_goes_on_where_the_common_ensemble_is():
    """The second round corrects the first: trained on a label the ensemble already knows, it adds little."""
    model, (inputs, labels) = Trees(4, 2, **SMALL), blobs(300)
    first = model.train(model.initial(0), inputs, labels, TRAINING, 0)
    second = model.train(first, inputs, labels, replace(TRAINING, round=2), 0)
    loss = [metrics_loss(labels, model.probabilities(vector, inputs)) for vector in (first, second)]
    assert loss[1] < loss[0]
    assert np.array_equal(second.reshape(3, 2, -1)[0], first.reshape(3, 2, -1)[0])


def metrics_loss(labels, chances):
    return float(-np.log(np.where(labels == 1, chances, 1 - chances)).mean())


def test_too_few_rows_grow_a_stump_without_a_split():
    model, (inputs, labels) = Trees(4, 2, rounds=1, owners=1), blobs(10)
    vector = model.train(model.initial(0), inputs, labels, TRAINING, 0)
    assert np.allclose(model.probabilities(vector, inputs), labels.mean(), atol=1e-6)


@given(
    threshold=st.floats(-LARGEST, LARGEST),
    number=st.floats(width=32, allow_nan=False, allow_infinity=False),
)
@settings(max_examples=300, deadline=None)
def test_rounding_thresholds_down_decides_every_number_alike(threshold, number):
    rounded = _rounded_down(threshold)
    assert np.isfinite(rounded)
    assert bool(np.float32(number) <= rounded) == (number <= threshold)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, -1.0),  # rows
        (0, 2.5),
        (0, np.nan),
        (1, 99.0),  # a feature the table lacks
        (1, 0.5),
        (6, np.inf),  # a threshold
        (11, 0.25),  # children
        (11, 17.0),
        (11, -8.0),
        (22, np.nan),  # a leaf
    ],
)
def test_vectors_that_are_no_trees_are_refused(place, value):
    model, (inputs, labels) = Trees(4, 2, **SMALL), blobs()
    vector = model.train(model.initial(0), inputs, labels, TRAINING, 0)
    vector[place] = value
    with pytest.raises(BadInput, match="holds no trees"):
        model.probabilities(vector, inputs)
    with pytest.raises(BadInput, match="holds no trees"):
        model.train(vector, inputs, labels, replace(TRAINING, round=2), 0)


def test_trees_that_would_be_walked_for_ever_are_refused():
    model, (inputs, labels) = Trees(4, 2, **SMALL), blobs()
    vector = model.train(model.initial(0), inputs, labels, TRAINING, 0)
    vector[1 + 2 * 5 + 1] = 1  # node 1's left child is node 1
    with pytest.raises(BadInput, match="holds no trees"):
        model.probabilities(vector, inputs)


def test_what_the_layout_lacks_is_refused():
    model, (inputs, labels) = Trees(4, 2, **SMALL), blobs()
    start = model.initial(0)
    for training in (replace(TRAINING, round=4), replace(TRAINING, slot=2), replace(TRAINING, round=-1)):
        with pytest.raises(BadInput, match="no slot"):
            model.train(start, inputs, labels, training, 0)
    with pytest.raises(BadInput, match="guidance"):
        model.train(start, inputs, labels, replace(TRAINING, proximal=1.0), 0)
    with pytest.raises(BadInput, match="numbers"):
        model.raw(start[1:], inputs)
    for changes in ({"rounds": 0}, {"leaves": 1}, {"leaves": 5_000}, {"bins": 999}, {"rounds": 10**7}):
        with pytest.raises(BadInput, match=r"[Tt]rees"):
            model_of(ModelSpec("trees", SMALL | changes), 4, 2)
    with pytest.raises(BadInput, match="options"):
        model_of(ModelSpec("trees", SMALL | {"depth": 4}), 4, 2)
    assert not model.averages
    assert not model.guided


def test_a_change_beyond_ones_own_slot_is_refused():
    model, (inputs, labels) = Trees(4, 2, **SMALL), blobs(100)
    first = model.train(model.initial(0), inputs, labels, TRAINING, 0)
    change = model.train(first, inputs, labels, replace(TRAINING, round=2, slot=1), 0) - first
    model.check_change(change, 1, 2, 100)
    for slot, number, rows in ((0, 2, 100), (1, 1, 100), (1, 2, 99), (2, 2, 100), (1, 4, 100)):
        with pytest.raises(BadInput, match="beyond its owner's slot"):
            model.check_change(change, slot, number, rows)
    with pytest.raises(BadInput, match="beyond its owner's slot"):
        model.check_change(change + first, 1, 2, 100)
    with pytest.raises(BadInput, match="beyond its owner's slot"):
        model.check_change(model.initial(0), 1, 2, 100)


def test_serving_needs_no_lightgbm_and_training_says_what_it_needs(monkeypatch):
    model, (inputs, labels) = Trees(4, 2, **SMALL), blobs()
    vector = model.train(model.initial(0), inputs, labels, TRAINING, 0)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert metrics.accuracy(labels, model.probabilities(vector, inputs)) > 0.8
    with pytest.raises(SetupError) as caught:
        model.train(vector, inputs, labels, replace(TRAINING, round=2), 0)
    assert "koinon[trees]" in caught.value.hint
