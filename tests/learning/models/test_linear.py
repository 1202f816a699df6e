# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's linear classifiers learn from the common vector on, and serve without scikit-learn."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier

from koinon.errors import BadInput, SetupError
from koinon.learning import metrics
from koinon.learning.models import LinearModel, ModelSpec, model_of
from tests.learning.models.support import TRAINING, blobs

ESTIMATORS = ("LogisticRegression", "SGDClassifier", "Perceptron")


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("classes", [2, 3])
def test_each_estimator_learns_and_repeats_itself(estimator, classes):
    model = model_of(ModelSpec("sklearn", {"estimator": estimator}), 4, classes)
    inputs, labels = blobs(classes=classes)
    start = model.initial(1)
    trained = model.train(start, inputs, labels, TRAINING, 5)
    assert trained.dtype == np.float32
    assert trained.shape == (model.size,)
    assert not start.any()
    assert np.array_equal(trained, model.train(start, inputs, labels, TRAINING, 5))
    found = model.probabilities(trained, inputs)
    assert found.shape == ((len(labels),) if classes == 2 else (len(labels), 3))
    assert metrics.accuracy(labels, found) > 0.9


def test_training_goes_on_from_the_common_vector():
    model, (inputs, labels) = LinearModel(4, 3), blobs(classes=3)
    first = model.train(model.initial(0), inputs, labels, TRAINING, 0)
    second = model.train(first, inputs, labels, TRAINING, 0)
    longer = model.train(model.initial(0), inputs, labels, replace(TRAINING, epochs=200), 0)
    assert np.abs(second - longer).sum() < np.abs(first - longer).sum()


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_those_of_scikit_learn(classes):
    inputs, labels = blobs(classes=classes)
    for name, kind in (
        ("LogisticRegression", LogisticRegression()),
        ("SGDClassifier", SGDClassifier("log_loss")),
    ):
        kind.fit(inputs, labels)
        vector = np.concatenate([kind.coef_.ravel(), kind.intercept_]).astype(np.float32)
        found = LinearModel(4, classes, name).probabilities(vector, inputs)
        expected = kind.predict_proba(inputs)
        assert np.allclose(found, expected[:, 1] if classes == 2 else expected, atol=1e-4)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_owner_may_lack_a_class(estimator):
    model, (inputs, labels) = LinearModel(4, 3, estimator), blobs(classes=3)
    some = labels != 2
    trained = model.train(model.initial(0), inputs[some], labels[some], TRAINING, 0)
    assert np.isfinite(trained).all()
    assert metrics.accuracy(labels[some], model.probabilities(trained, inputs[some])) > 0.9


def test_what_cannot_be_followed_is_refused():
    model, (inputs, labels) = LinearModel(4, 2, "SGDClassifier"), blobs()
    start = model.initial(0)
    assert not model.guided
    for training in (replace(TRAINING, proximal=0.1), replace(TRAINING, steps=3)):
        with pytest.raises(BadInput, match="whole passes"):
            model.train(start, inputs, labels, training, 0)
    with pytest.raises(BadInput, match="guidance"):
        model.train(start, inputs, labels, TRAINING, 0, drift=start)
    with pytest.raises(BadInput, match="parameters"):
        model.probabilities(start[:-1], inputs)
    for name in ("Ridge", "SGDRegressor", "RidgeClassifier", "__doc__", "os"):
        with pytest.raises(BadInput, match="no classifier"):
            LinearModel(4, 2, name).train(start, inputs, labels, TRAINING, 0)
    with pytest.raises(BadInput, match="follows from the recipe"):
        LinearModel(4, 2, options={"max_iter": 3})
    with pytest.raises(BadInput, match="inputs"):
        LinearModel(0, 2)


def test_schemas_tell_estimators_and_options_apart():
    schemas = {
        LinearModel(4, 2).schema,
        LinearModel(4, 3).schema,
        LinearModel(4, 2, "SGDClassifier").schema,
        LinearModel(4, 2, "SGDClassifier", {"loss": "hinge"}).schema,
    }
    assert len(schemas) == 4


def test_serving_needs_no_scikit_learn_and_training_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    model, (inputs, labels) = LinearModel(4, 2), blobs()
    assert np.allclose(model.probabilities(model.initial(0), inputs), 0.5)
    with pytest.raises(SetupError, match="sklearn") as caught:
        model.train(model.initial(0), inputs, labels, TRAINING, 0)
    assert "koinon[sklearn]" in caught.value.hint
