# SPDX-License-Identifier: Apache-2.0
"""PyTorch modules travel as flat vectors, train the same everywhere, and let methods guide them."""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from koinon.errors import BadInput, SetupError
from koinon.learning import metrics
from koinon.learning.models import ModelSpec, Perceptron, TorchModel, Training, model_of
from koinon.learning.models.descent import mini_batches
from tests.learning.models.support import TRAINING, blobs

torch = pytest.importorskip("torch")
HERE = __name__


def normalised(inputs: int, classes: int) -> Any:
    """Two logits, BatchNorm and dropout: all that has state beside parameters."""
    nn = torch.nn
    return nn.Sequential(
        OrderedDict(
            first=nn.Linear(inputs, 8),
            norm=nn.BatchNorm1d(8),
            drop=nn.Dropout(0.2),
            last=nn.Linear(8, classes),
        )
    )


def not_a_module(inputs: int, classes: int) -> int:
    return inputs + classes


def too_wide(inputs: int, classes: int) -> Any:
    return torch.nn.Linear(inputs, classes + 1)


@pytest.fixture
def trusted(monkeypatch):
    monkeypatch.setenv("KOINON_MODEL_CODE", HERE)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_perceptron_learns_and_repeats_itself(classes, optimiser):
    model = model_of(ModelSpec("torch", {"hidden": (8,)}), 4, classes)
    inputs, labels = blobs(classes=classes)
    start = model.initial(3)
    training = replace(TRAINING, epochs=8, optimiser=optimiser)
    trained = model.train(start, inputs, labels, training, 5)
    assert np.array_equal(start, model.initial(3))
    assert not np.array_equal(start, model.initial(4))
    assert np.array_equal(trained, model.train(start, inputs, labels, training, 5))
    assert not np.array_equal(trained, model.train(start, inputs, labels, training, 6))
    found = model.probabilities(trained, inputs)
    assert found.shape == ((len(labels),) if classes == 2 else (len(labels), 3))
    assert metrics.accuracy(labels, found) > 0.9


def test_it_trains_as_the_perceptron_in_numpy_does():
    """Same start, same batches: two independent implementations, one with autograd, agree."""
    own, theirs = Perceptron(4, (8,), 3, "relu"), TorchModel(4, 3, options={"hidden": (8,)})
    inputs, labels = blobs(classes=3)
    start = own.initial(1)
    drift = np.random.default_rng(0).normal(0, 0.01, own.size).astype(np.float32)
    transposed, turned = _transposed(own, start), _transposed(own, drift)
    for optimiser in ("adam", "sgd"):
        training = Training(2, 16, 0.01, 0.001, proximal=0.1, optimiser=optimiser)
        one = own.train(start, inputs, labels, training, 9, drift=drift)
        other = theirs.train(transposed, inputs, labels, training, 9, drift=turned)
        assert np.allclose(_transposed(own, one), other, atol=2e-4)
    probabilities = theirs.probabilities(transposed, inputs)
    assert np.allclose(own.probabilities(start, inputs), probabilities, atol=1e-5)


def _transposed(own: Perceptron, vector: Any) -> Any:
    """torch keeps weights as (outputs, inputs)."""
    return np.concatenate([np.concatenate([w.T.ravel(), b]) for w, b in own.layers(vector)])


def test_statistics_of_batch_normalisation_travel(trusted):
    model = TorchModel(4, 2, f"{HERE}:normalised")
    inputs, labels = blobs(rows=33)  # the last of these batches has one row
    start = model.initial(0)
    assert model.size == 4 * 8 + 8 + 8 + 8 + 8 * 2 + 2 + 8 + 8
    assert np.array_equal(start[-16:], np.repeat([0, 1], 8).astype(np.float32))
    trained = model.train(start, inputs, labels, TRAINING, 0, drift=np.zeros(model.size, np.float32))
    assert not np.array_equal(trained[-16:], start[-16:])
    assert np.array_equal(trained, model.train(start, inputs, labels, TRAINING, 0))
    assert np.array_equal(model.probabilities(trained, inputs), model.probabilities(trained, inputs))
    held = model.train(start, inputs, labels, replace(TRAINING, proximal=50.0, optimiser="sgd"), 0)
    free = model.train(start, inputs, labels, replace(TRAINING, optimiser="sgd"), 0)
    assert np.abs((held - start)[:-16]).sum() < np.abs((free - start)[:-16]).sum()


def test_images_are_seen_by_convolutions():
    model = model_of(ModelSpec("torch", {"module": "cnn", "channels": (4,), "hidden": 8}), 64, 10)
    found = model.probabilities(model.initial(0), np.zeros((3, 64), dtype=np.float32))
    assert found.shape == (3, 10)
    assert np.allclose(found.sum(axis=1), 1)
    with pytest.raises(BadInput, match="no square image"):
        model_of(ModelSpec("torch", {"module": "cnn"}), 20, 2).size  # noqa: B018


def test_the_callers_threads_and_randomness_are_left_alone():
    model, (inputs, labels) = TorchModel(4, 2), blobs(rows=20)
    torch.manual_seed(11)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(11)
    model.train(model.initial(1), inputs, labels, TRAINING, 2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_gradients_can_be_made_private():
    """Whoever replaces ``gradients`` draws the batches and fills the gradients."""

    @dataclass
    class Silent:
        drawn: int = 0

        def batches(self, rows, training, seed):
            self.drawn += 1
            return mini_batches(rows, training, seed)

        def fill(self, module, loss, inputs, targets):
            for parameter in module.parameters():
                parameter.grad = torch.zeros_like(parameter)

    model, silent, (inputs, labels) = TorchModel(4, 2), Silent(), blobs(rows=40)
    start = model.initial(0)
    private = replace(model, gradients=silent)
    assert np.array_equal(private.train(start, inputs, labels, TRAINING, 0), start)
    assert silent.drawn == 1
    assert private.schema == model.schema


def test_schemas_tell_modules_apart(trusted):
    schemas = {
        TorchModel(4, 2).schema,
        TorchModel(4, 3).schema,
        TorchModel(4, 2, options={"hidden": (8,)}).schema,
        TorchModel(4, 2, options={"dropout": 0.5}).schema,
        TorchModel(4, 2, f"{HERE}:normalised").schema,
    }
    assert len(schemas) == 5


def test_what_is_no_module_is_refused(trusted):
    inputs, labels = blobs(rows=20)
    for name, reason in (("cnn3", "no torch module"), (f"{HERE}:not_a_module", "made no torch.nn.Module")):
        with pytest.raises(BadInput, match=reason):
            TorchModel(4, 2, name).initial(0)
    with pytest.raises(BadInput, match="does not take"):
        TorchModel(4, 2, options={"depth": 3}).initial(0)
    wide = TorchModel(4, 2, f"{HERE}:too_wide")
    with pytest.raises(BadInput, match="3 outputs for 2 classes"):
        wide.probabilities(wide.initial(0), inputs)
    with pytest.raises(BadInput, match="3 outputs for 2 classes"):
        wide.train(wide.initial(0), inputs, labels, TRAINING, 0)
    with pytest.raises(BadInput, match="parameters"):
        wide.probabilities(np.zeros(3, np.float32), inputs)


def test_code_of_a_stranger_does_not_run(monkeypatch):
    monkeypatch.delenv("KOINON_MODEL_CODE", raising=False)
    with pytest.raises(BadInput, match="not been told to trust"):
        TorchModel(4, 2, f"{HERE}:normalised").initial(0)


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    model = model_of(ModelSpec("torch"), 4, 2)
    with pytest.raises(SetupError) as caught:
        model.initial(0)
    assert "koinon[torch]" in caught.value.hint
