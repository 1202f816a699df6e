# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.services.models.perceptron import Mlp, ModelRunner, load, save
from koinon.services.selling.signature import InvalidInput


def model(**fields: Any) -> Mlp:
    """Two inputs, two hidden units, one logistic output, with numbers one can follow."""
    whole: dict[str, Any] = {
        "features": ("money", "age"),
        "signed_log": np.array([True, False]),
        "center": np.array([0.0, 40.0]),
        "scale": np.array([1.0, 10.0]),
        "layers": (
            (np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 0.0])),
            (np.array([[1.0], [-1.0]]), np.array([0.5])),
        ),
        "activation": "relu",
        "classes": ("pays", "defaults"),
    }
    return Mlp(**(whole | fields))


def test_the_numbers_are_those_of_the_formula() -> None:
    (row,) = model().probabilities(np.array([[math.e - 1, 60.0]]))
    expected = 1 / (1 + math.exp(-(1.0 - 2.0 + 0.5)))
    assert row == pytest.approx([1 - expected, expected])


def test_tanh_and_softmax() -> None:
    three = model(
        activation="tanh",
        layers=((np.eye(2), np.zeros(2)), (np.array([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), np.zeros(3))),
        classes=("a", "b", "c"),
    )
    (row,) = three.probabilities(np.array([[math.e - 1, 50.0]]))
    logits = np.array([math.tanh(1), 2 * math.tanh(1), -math.tanh(1)])
    assert row == pytest.approx(np.exp(logits) / np.exp(logits).sum())


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    save(tmp_path / "model.npz", model())
    found = load(tmp_path / "model.npz")
    rows = np.array([[100.0, 30.0], [-5.0, 70.0]])
    assert found.probabilities(rows) == pytest.approx(model().probabilities(rows))
    assert found.features == ("money", "age")
    assert found.classes == ("pays", "defaults")


def test_answers_by_name_and_in_order_are_the_same() -> None:
    runner = ModelRunner(model(), "credit", "Who pays back.")
    by_name = runner.answer(b'{"features": {"age": 60, "money": 1.5}}')
    assert by_name == runner.answer(b'{"features": [1.5, 60]}')
    answer = json.loads(by_name)
    assert set(answer["probabilities"]) == {"pays", "defaults"}
    assert answer["probability"] == answer["probabilities"]["defaults"]
    assert runner.signature.input_schema["required"] == ["features"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"features": 1}',
        b'{"features": [1]}',
        b'{"features": [1, "2"]}',
        b'{"features": [1, true]}',
        b'{"features": [1, null]}',
        b'{"features": [1, 1e999]}',
        b'{"features": {"money": 1}}',
        b'{"features": {"money": 1, "age": 2, "more": 3}}',
        b'{"features": [1, 2], "more": 1}',
    ],
)
def test_a_body_that_does_not_fit_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        ModelRunner(model(), "credit", "").answer(body)


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": ()},
        {"features": ("money", "money")},
        {"center": np.zeros(3)},
        {"scale": np.array([1.0, 0.0])},
        {"center": np.array([0.0, math.nan])},
        {"layers": ()},
        {"layers": ((np.ones((3, 1)), np.zeros(1)),)},
        {"activation": "step"},
        {"classes": ("only",)},
    ],
)
def test_a_model_that_does_not_fit_together_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refused:
        replace(model(), **wrong)
    assert refused.value.code == "service.model_file"


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(BadInput) as refused:
        load(tmp_path / "model.npz")
    assert refused.value.code == "service.model_file"


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    with (tmp_path / "model.npz").open("wb") as file:
        np.savez(file, format=np.array("koinon.mlp/1"), features=np.array([object()], dtype=object))
    with pytest.raises(BadInput):
        load(tmp_path / "model.npz")
    with pytest.raises(BadInput):
        load(tmp_path / "missing.npz")
