# SPDX-License-Identifier: Apache-2.0
"""The common model as a payload: whole, or as the step from the one before in the recipe's ``down_codec``."""

from __future__ import annotations

from typing import Final

import numpy as np

from koinon.errors import BadInput, IntegrityError
from koinon.learning.codecs import Codec, Float32, codec_named
from koinon.learning.common import vector_digest
from koinon.learning.models.base import Vector
from koinon.learning.recipe import Recipe

WHOLE: Final = b"\x00"
CHANGE: Final = b"\x01"
ALONE: Final[Codec] = Float32()
"""How models that owners made alone travel: exactly."""


def whole_model(vector: Vector) -> bytes:
    """Payload of a model that needs nothing before it."""
    return WHOLE + ALONE.encode(vector)


def changed_model(change: bytes) -> bytes:
    """Payload of a step, already encoded."""
    return CHANGE + change


def read_global_model(payload: bytes, recipe: Recipe, before: Vector | None, expected: bytes) -> Vector:
    """The common vector a payload says, checked against the signed digest.

    Parameters
    ----------
    before : float32 array, optional
        The common vector of the round before, which a step is added to.

    Raises
    ------
    BadInput
        No such payload, or a step without what it starts from.
    IntegrityError
        It is another model than the signed one.
    """
    size = recipe.federated.size(recipe.model)
    kind, data = payload[:1], payload[1:]
    if kind == WHOLE:
        vector = ALONE.decode(data, size)
    elif kind == CHANGE and before is not None:
        vector = (before + codec_named(recipe.down_codec).decode(data, size)).astype(np.float32)
    else:
        raise BadInput("This is not a model of the run.", code="learning.message")
    if vector_digest(vector) != expected:
        raise IntegrityError("The model is not the one that was signed.", code="learning.digest")
    return vector


def model_limit(recipe: Recipe) -> int:
    """The most bytes either payload takes."""
    size = recipe.federated.size(recipe.model)
    return 1 + max(ALONE.limit(size), codec_named(recipe.down_codec).limit(size))
