# SPDX-License-Identifier: Apache-2.0
"""The network's gradient is right, training repeats itself, and metrics agree with their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from koinon.errors import BadInput
from koinon.learning import metrics
from koinon.learning.models import Perceptron, Training
from tests.learning.support import SCALING, table


def loss(model, vector, inputs, labels):
    found = model.probabilities(vector, inputs)
    if found.ndim == 1:
        found = np.stack([1 - found, found], axis=1)
    return -np.log(found[np.arange(labels.shape[0]), labels]).mean()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_gradient_is_the_slope_of_the_loss(classes, activation):
    model = Perceptron(3, (5, 4), classes, activation)
    random = np.random.default_rng(1)
    inputs = random.standard_normal((20, 3)).astype(np.float32)
    labels = random.integers(0, classes, 20)
    vector = model.initial(2)
    gradient = np.empty_like(vector)
    model._gradient(model.layers(vector), model.layers(gradient), inputs, model._targets(labels))
    for index in random.choice(vector.shape[0], 12, replace=False):
        step = np.zeros_like(vector)
        step[index] = 2e-3
        slope = (
            loss(model, vector + step, inputs, labels) - loss(model, vector - step, inputs, labels)
        ) / 4e-3
        assert gradient[index] == pytest.approx(slope, abs=3e-3)


def test_training_learns_and_repeats_itself_bit_for_bit():
    model, found = Perceptron(3, (8,)), table(400)
    inputs = SCALING.apply(found.features)
    start = model.initial(0)
    kept = start.copy()
    settings_ = Training(epochs=10, batch=32, learning_rate=0.01, weight_decay=1e-3)
    once, again = (model.train(start, inputs, found.labels, settings_, seed=3) for _ in range(2))
    assert np.array_equal(start, kept)
    assert np.array_equal(once, again)
    assert metrics.auc(found.labels, model.probabilities(once, inputs)) > 0.8
    assert not np.array_equal(once, model.train(start, inputs, found.labels, settings_, seed=4))


def test_no_epochs_change_nothing():
    model, found = Perceptron(3, (4,)), table()
    start = model.initial(0)
    assert np.array_equal(
        start, model.train(start, SCALING.apply(found.features), found.labels, Training(0, 8, 0.1), 0)
    )


def test_extreme_inputs_stay_finite():
    for classes in (2, 4):
        model = Perceptron(2, (), classes)
        vector = np.full(model.size, 1e4, dtype=np.float32)
        inputs = np.array([[1e4, 1e4], [-1e4, -1e4]], dtype=np.float32)
        with np.errstate(all="raise", under="ignore"):
            found = model.probabilities(vector, inputs)
        assert np.isfinite(found).all()


def test_schemas_tell_architectures_apart():
    seen = {
        Perceptron(3, (4,)).schema,
        Perceptron(3, (5,)).schema,
        Perceptron(3, (4,), activation="relu").schema,
    }
    assert len(seen) == 3
    with pytest.raises(BadInput):
        Perceptron(3, (4,)).probabilities(np.zeros(3, np.float32), np.zeros((1, 3), np.float32))
    for wrong in ((0, ()), (3, (0,))):
        with pytest.raises(BadInput):
            Perceptron(*wrong)
    with pytest.raises(BadInput):
        Perceptron(3, (4,), activation="swish")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40))
def test_auc_is_the_share_of_ordered_pairs_with_ties_half(rows):
    labels = np.array([int(label) for label, _ in rows])
    scores = np.array([float(score) for _, score in rows])
    if labels.min() == labels.max():
        with pytest.raises(BadInput):
            metrics.auc(labels, scores)
    else:
        assert metrics.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_intervals_hold_the_value_and_a_better_model_is_better():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 2_000)
    good, bad = labels + random.normal(0, 1, 2_000), labels + random.normal(0, 3, 2_000)
    found = metrics.bootstrap(labels, good)
    assert found.low < found.value == metrics.auc(labels, good) < found.high
    assert found.high - found.low < 0.06
    gain = metrics.bootstrap_difference(labels, good, (bad, bad))
    assert gain.value == pytest.approx(metrics.auc(labels, good) - metrics.auc(labels, bad))
    assert gain.low > 0
    same = metrics.bootstrap_difference(labels, good, (good,))
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_several_classes_are_measured_by_accuracy():
    labels = np.array([0, 1, 2, 2])
    probabilities = np.eye(3)[[0, 1, 2, 0]]
    assert metrics.score(labels, probabilities) == 0.75
    assert metrics.chance(10) == 0.1
    found = metrics.bootstrap(labels, probabilities)
    assert found.value == 0.75
    with pytest.raises(BadInput):
        metrics.accuracy(np.empty(0, np.int64), np.empty((0, 3)))


def test_money_is_defaults_among_the_approved():
    labels = np.array([0, 0, 1, 1, 1])
    scores = np.array([0.1, 0.6, 0.2, 0.8, 0.9])
    approved = metrics.defaults_among_approved(labels, scores, 0.6)
    assert (approved.approved, approved.defaults) == (3, 1)
    assert approved.rate == pytest.approx(1 / 3)
    with pytest.raises(BadInput):
        metrics.defaults_among_approved(labels, scores, 0.1)
