# SPDX-License-Identifier: Apache-2.0
"""Fixed-point models behind a gateway's door."""

from __future__ import annotations

import json

import numpy as np
import pytest

from koinon.compute import fixed_point
from koinon.errors import BadInput
from koinon.services.models import perceptron as models
from koinon.services.models.exact import ExactRunner, features_of, is_exact, open_runner
from koinon.services.models.files.prints import answers_of, tensors_of
from koinon.services.selling.signature import InvalidInput
from koinon.services.verification.inside import _load

ONE = 1 << 18


@pytest.fixture
def exact(tmp_path):
    """A file of a model that says no below an income of 2."""
    layers = ((np.array([[3 * ONE]]), np.array([-6 * ONE * ONE])),)
    outputs = fixed_point.Outputs("logistic", ("no", "yes"))
    path = tmp_path / "exact.npz"
    fixed_point.save(
        path, fixed_point.FixedNetwork(fixed_point.Inputs.plain(("income",)), layers, "relu", outputs)
    )
    return path


def test_a_fixed_point_file_answers_like_any_model(exact):
    runner = open_runner(exact, "score", "")
    assert isinstance(runner, ExactRunner)
    told = json.loads(runner.answer(b'{"features": {"income": 3}}'))
    assert told == {
        "label": "yes",
        "probability": 0.952574,
        "probabilities": {"no": 0.047426, "yes": 0.952574},
    }
    assert runner.answer(b'{"features": [3]}') == runner.answer(b'{"features": {"income": 3.0}}')
    assert features_of(exact) == ("income",)
    for wrong in (b"", b"[]", b'{"features": [1, 2]}', b'{"features": {"age": 3}}', b'{"features": [true]}'):
        with pytest.raises(InvalidInput):
            runner.answer(wrong)


def test_who_runs_an_answer_again_gets_the_same_bytes(exact):
    body = b'{"features": [1.2345678901234567]}'
    assert _load(exact, "")(body) == open_runner(exact, "score", "").answer(body)


def test_a_number_is_answered_as_one(tmp_path):
    outputs = fixed_point.Outputs("identity", ())
    layers = ((np.array([[ONE]]), np.array([0])),)
    fixed_point.save(
        tmp_path / "m.npz",
        fixed_point.FixedNetwork(fixed_point.Inputs.plain(("x",)), layers, "relu", outputs),
    )
    assert open_runner(tmp_path / "m.npz", "m", "").answer(b'{"features": [2.5]}') == b'{"value":2.5}'


def test_fingerprints_are_taken_of_both_kinds_of_file(exact):
    assert [array.shape for array in tensors_of(exact)] == [(1, 1), (1,)]
    assert answers_of(exact)(np.array([[3.0]]))[0, 1] == pytest.approx(0.952574, abs=1e-6)


def test_other_files_are_not_taken_for_one(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\3\4 nothing")
    assert not is_exact(tmp_path / "x.npz")
    assert not is_exact(tmp_path / "none.npz")
    with pytest.raises(BadInput):
        open_runner(tmp_path / "x.npz", "x", "")
    with pytest.raises(BadInput):
        models.load(tmp_path / "x.npz")
