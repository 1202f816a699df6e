# SPDX-License-Identifier: Apache-2.0
"""DP-SGD: every row weighs little, and the noise is Opacus' with fresh entropy."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.learning import metrics
from koinon.learning.models import TorchModel, Training
from koinon.learning.privacy.dpsgd import PrivateGradients, row_sampling
from tests.learning.models.support import blobs
from tests.learning.models.test_torch_module import __name__ as modules

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("opacus")

SEED = bytes(range(32))
TRAINING = Training(epochs=3, batch=16, learning_rate=0.02)


def model(noise=1.0, clip=1.0, seed=SEED, **options):
    found = TorchModel(4, 2, **{"options": {"hidden": (8,)}, **options})
    return replace(found, gradients=PrivateGradients(noise, clip, seed=seed))


def test_it_learns_under_noise():
    inputs, labels = blobs(400)
    private, training = model(noise=0.8), replace(TRAINING, epochs=3, batch=80, learning_rate=0.1)
    vector = private.train(private.initial(1), inputs, labels, training, 1)
    assert metrics.score(labels, private.probabilities(vector, inputs)) > 0.9


def test_without_noise_and_clipping_a_full_batch_is_plain_training():
    inputs, labels = blobs(60)
    training = Training(epochs=4, batch=60, learning_rate=0.05, optimiser="sgd")
    private = model(noise=0.0, clip=1e6)
    plain = TorchModel(4, 2, options={"hidden": (8,)})
    start = plain.initial(3)
    assert np.allclose(
        private.train(start, inputs, labels, training, 1),
        plain.train(start, inputs, labels, training, 1),
        atol=1e-5,
    )


def test_no_single_row_moves_the_model_further_than_its_clip():
    inputs, labels = blobs(20)
    training = Training(epochs=0, steps=1, batch=20, learning_rate=1.0, optimiser="sgd")
    loud = inputs.copy()
    loud[0] *= 1e4
    start = model().initial(1)
    one, other = (
        model(noise=0.0, clip=0.5).train(start, each, labels, training, 1) for each in (inputs, loud)
    )
    assert 0 < np.linalg.norm(one - other) <= 2 * 0.5 / 20 + 1e-6


def test_the_noise_has_the_size_that_is_accounted_for():
    inputs, labels = blobs(50)
    training = Training(epochs=0, steps=1, batch=50, learning_rate=1.0, optimiser="sgd")
    large = {"options": {"hidden": (400,)}}
    quiet, noisy = model(noise=0.0, **large), model(noise=2.0, **large)
    start = quiet.initial(1)
    noise = noisy.train(start, inputs, labels, training, 1) - quiet.train(start, inputs, labels, training, 1)
    assert noise.std() == pytest.approx(2.0 * 1.0 / 50, rel=0.1)


def test_the_noise_does_not_come_from_torchs_generator():
    inputs, labels = blobs(30)
    training = Training(epochs=0, steps=2, batch=30, learning_rate=0.1)

    def taught(torch_seed, seed):
        torch.manual_seed(torch_seed)
        private = model(seed=seed)
        return private.train(private.initial(1), inputs, labels, training, 1)

    assert (taught(1, SEED) == taught(2, SEED)).all()
    assert (taught(1, SEED) != taught(1, SEED[::-1])).any()


def test_rows_are_drawn_each_by_itself_and_not_from_the_public_seed():
    training = Training(epochs=0, steps=300, batch=10, learning_rate=0.1)
    drawn = list(PrivateGradients(1.0, 1.0, seed=SEED).batches(100, training, seed=1))
    sizes = np.array([len(rows) for rows in drawn])
    assert len(drawn) == 300
    assert sizes.mean() == pytest.approx(10, abs=0.7)
    assert sizes.std() == pytest.approx(3, abs=0.5)
    assert row_sampling(training, 100) == (0.1, 300)
    fresh = [list(PrivateGradients(1.0, 1.0).batches(100, training, seed=1)) for _ in range(2)]
    assert any(len(one) != len(other) or (one != other).any() for one, other in zip(*fresh, strict=True))


def test_a_mini_batch_of_nobody_is_only_noise():
    inputs, labels = blobs(1_000)
    training = Training(epochs=0, steps=40, batch=1, learning_rate=0.01)
    private = model()
    assert np.isfinite(private.train(private.initial(1), inputs, labels, training, 1)).all()


def test_a_module_that_mixes_rows_is_refused(monkeypatch):
    monkeypatch.setenv("KOINON_MODEL_CODE", modules)
    inputs, labels = blobs(40)
    mixing = model(module=f"{modules}:normalised", options={})
    with pytest.raises(BadInput) as refused:
        mixing.train(mixing.initial(1), inputs, labels, TRAINING, 1)
    assert refused.value.code == "learning.private_module"


@pytest.mark.parametrize(("noise", "clip"), [(-1.0, 1.0), (1.0, 0.0)])
def test_settings_out_of_range_are_refused(noise, clip):
    with pytest.raises(BadInput) as refused:
        PrivateGradients(noise, clip)
    assert refused.value.code == "learning.privacy_parameters"
