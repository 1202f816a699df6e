# SPDX-License-Identifier: Apache-2.0
"""How a parameter vector travels as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np

from koinon.errors import BadInput
from koinon.learning.model import Vector


class Codec(Protocol):
    """Bytes and back; both ends must reach the same numbers from the same bytes."""

    def encode(self, vector: Vector) -> bytes:
        """The vector as bytes."""

    def decode(self, data: bytes, size: int) -> Vector:
        """The vector of ``size`` numbers; BadInput when the bytes are not one, or not finite."""

    def limit(self, size: int) -> int:
        """The most bytes a vector of this size can take."""


class Float32:
    """Plain little-endian float32: exact, 4 bytes a parameter."""

    def encode(self, vector: Vector) -> bytes:
        return vector.astype("<f4", copy=False).tobytes()

    def decode(self, data: bytes, size: int) -> Vector:
        if len(data) != 4 * size:
            raise BadInput(
                f"A vector of {size} parameters takes {4 * size} bytes, not {len(data)}.",
                code="learning.vector_size",
            )
        vector = np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)
        if not np.isfinite(vector).all():
            raise BadInput("A vector holds numbers that are not finite.", code="learning.vector_not_finite")
        return vector

    def limit(self, size: int) -> int:
        return 4 * size


CODECS: Final[Mapping[str, Codec]] = MappingProxyType({"float32": Float32()})
