# SPDX-License-Identifier: Apache-2.0
"""Fixed-point models in the gateway: asked as other models, answered with the same bits everywhere.

Such a service can promise the comparison ``exact``: whoever runs an answer again gets it to the last digit,
on any machine and in any batch.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import orjson

from koinon.compute import fixed_point
from koinon.services.models import perceptron as models
from koinon.services.models.rows import answer_schema, input_schema, read_row
from koinon.services.selling.signature import Signature

_NUMBER: Final = {
    "type": "object",
    "required": ["value"],
    "properties": {"value": {"type": "number"}},
}


class ExactRunner:
    """Answers calls with a fixed-point model."""

    def __init__(self, model: fixed_point.FixedModel, name: str, description: str) -> None:
        self._model = model
        classes = model.outputs.classes
        output = answer_schema(classes) if classes else _NUMBER
        self.signature = Signature(name, description, input_schema(model.inputs.features), output)

    def answer(self, body: bytes) -> bytes:
        """A JSON body in, a JSON result out; InvalidInput."""
        row = read_row(body, self._model.inputs.features)
        return orjson.dumps(self._model.answers(np.array([row]))[0])

    async def call(self, body: bytes) -> bytes:
        return self.answer(body)

    async def close(self) -> None:
        """Nothing to release."""


class ModelFileRunner(Protocol):
    """What answers calls by a model file."""

    signature: Signature

    def answer(self, body: bytes) -> bytes: ...

    async def call(self, body: bytes) -> bytes: ...

    async def close(self) -> None: ...


def open_model(path: Path) -> models.Mlp | fixed_point.FixedModel:
    """The model in a ``.npz`` file of either format; BadInput when it is neither."""
    return fixed_point.load(path) if is_exact(path) else models.load(path)


def features_of(path: Path) -> tuple[str, ...]:
    """The names that a ``.npz`` file of either format reads, in their order; BadInput when it is neither."""
    model = open_model(path)
    return model.features if isinstance(model, models.Mlp) else model.inputs.features


def open_runner(path: Path, name: str, description: str) -> ModelFileRunner:
    """What answers calls by a ``.npz`` file of either format; BadInput when it is neither."""
    model = open_model(path)
    if isinstance(model, models.Mlp):
        return models.ModelRunner(model, name, description)
    return ExactRunner(model, name, description)


def is_exact(path: Path) -> bool:
    """Whether a file says that it is a fixed-point model."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return str(arrays["format"]) == fixed_point.FORMAT
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return False
