# SPDX-License-Identifier: Apache-2.0
"""A model of one's own: only where it is trusted, and only with owners who run the same source."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from koinon.errors import BadInput, SetupError
from koinon.learning.models import ModelSpec, Training, model_of
from koinon.learning.models.custom import load_code

SOURCE = '''
import hashlib
import numpy as np

class Mean:
    """Remembers the mean of every class."""
    guided, averages, schema = False, True, hashlib.sha256(b"mean").digest()

    def __init__(self, inputs, classes, *, width=1):
        self.shape, self.width = (classes, inputs), width

    @property
    def size(self):
        return self.shape[0] * self.shape[1]

    def initial(self, seed):
        return np.zeros(self.size, dtype=np.float32)

    def train(self, vector, inputs, labels, training, seed, *, drift=None):
        return np.concatenate([inputs[labels == each].mean(axis=0) for each in range(self.shape[0])])

    def probabilities(self, vector, inputs):
        near = [-((inputs - mean) ** 2).sum(axis=1) / self.width for mean in vector.reshape(self.shape)]
        return 1 / (1 + np.exp(near[0] - near[1]))

class Short(Mean):
    def initial(self, seed):
        return np.zeros(3)

def function(inputs, classes):
    return None
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a module of the user's, trusted as its package."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("KOINON_MODEL_CODE", "other, own_models")

    def write(source: str = SOURCE, name: str = "near") -> str:
        folder = tmp_path / "own_models"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text("")
        (folder / f"{name}.py").write_text(source)
        return f"own_models.{name}"

    yield write
    for name in [each for each in sys.modules if each.startswith("own_models")]:
        del sys.modules[name]


def test_a_class_of_ones_own_learns(own):
    model = model_of(ModelSpec(f"{own()}:Mean", {"width": 2}), 2, 2)
    inputs, labels = np.array([[0, 0], [1, 1], [4, 4]], dtype=np.float32), np.array([0, 0, 1])
    vector = model.train(model.initial(0), inputs, labels, Training(1, 1, 0.1), 0)
    assert vector.tolist() == [0.5, 0.5, 4, 4]
    assert (model.probabilities(vector, inputs) > 0.5).tolist() == [False, False, True]
    assert (model.size, model.guided, model.averages) == (4, False, True)


def test_owners_with_different_source_do_not_mix(own):
    first = model_of(ModelSpec(f"{own()}:Mean"), 2, 2).schema
    same = model_of(ModelSpec(f"{own(SOURCE)}:Mean"), 2, 2).schema
    other = model_of(ModelSpec(f"{own(SOURCE + '# more', 'changed')}:Mean"), 2, 2).schema
    assert first == same
    assert len({first, other, model_of(ModelSpec(f"{own()}:Short"), 2, 2).schema}) == 3


@pytest.mark.parametrize("name", ["os:system", "subprocess:Popen", "builtins:exec", "own_models_evil:Mean"])
def test_code_nobody_trusts_is_not_even_imported(own, name):
    before = set(sys.modules)
    with pytest.raises(BadInput, match="not been told to trust") as caught:
        model_of(ModelSpec(name), 2, 2)
    assert "KOINON_MODEL_CODE" in caught.value.hint
    assert set(sys.modules) == before


@pytest.mark.parametrize("name", ["a:", ":b", "a.b:c.d", "../x:y", "a b:c", "a:b:c"])
def test_names_that_name_nothing_are_refused(name):
    with pytest.raises(BadInput, match="names no code"):
        model_of(ModelSpec(name), 2, 2)


def test_what_is_no_model_is_refused(own):
    module = own()
    with pytest.raises(BadInput, match="is not a kind of model"):
        model_of(ModelSpec(f"{module}:function"), 2, 2)
    with pytest.raises(BadInput, match="has no 'Gone'"):
        model_of(ModelSpec(f"{module}:Gone"), 2, 2)
    with pytest.raises(BadInput, match="does not take these options"):
        model_of(ModelSpec(f"{module}:Mean", {"depth": 1}), 2, 2)
    with pytest.raises(BadInput, match="shape"):
        model_of(ModelSpec(f"{module}:Short"), 2, 2).initial(0)
    with pytest.raises(SetupError, match="cannot be imported"):
        model_of(ModelSpec("own_models.gone:Mean"), 2, 2)
    with pytest.raises(SetupError, match="cannot be imported"):
        model_of(ModelSpec(f"{own('1 / 0', 'broken')}:Mean"), 2, 2)
    with pytest.raises(SetupError, match="no source file"):
        load_code("sys:path", {"KOINON_MODEL_CODE": "sys"})
