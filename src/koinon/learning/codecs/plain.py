# SPDX-License-Identifier: Apache-2.0
"""Exact and nearly exact: every number of the vector travels."""

from __future__ import annotations

import numpy as np

from koinon.errors import BadInput
from koinon.learning.codecs.base import finite, packed, packed_limit, unpacked
from koinon.learning.models.base import Vector


class Float32:
    """Plain little-endian float32: exact, 4 bytes a parameter."""

    @property
    def lossless(self) -> bool:
        return True

    def encode(self, vector: Vector) -> bytes:
        return vector.astype("<f4", copy=False).tobytes()

    def decode(self, data: bytes, size: int) -> Vector:
        if len(data) != 4 * size:
            raise BadInput(
                f"A vector of {size} parameters takes {4 * size} bytes, not {len(data)}.",
                code="learning.vector_size",
            )
        vector = np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)
        return finite(vector)

    def limit(self, size: int) -> int:
        return 4 * size


class Int8:
    """One byte a parameter: units of the greatest magnitude / 127, rounded half to even, deflated."""

    @property
    def lossless(self) -> bool:
        return False

    def encode(self, vector: Vector) -> bytes:
        unit = np.float32(np.abs(vector).max(initial=np.float32(0)) / np.float32(127))
        divisor = unit if unit > 0 else np.float32(1)
        levels = np.rint(vector / divisor).astype(np.int8)
        return write_unit(unit) + packed(levels.tobytes())

    def decode(self, data: bytes, size: int) -> Vector:
        unit = read_unit(data)
        levels = unpacked(data[4:], size)
        if len(levels) != size:
            raise BadInput("A vector has another size than the model.", code="learning.vector_size")
        return finite(np.frombuffer(levels, dtype=np.int8).astype(np.float32) * unit)

    def limit(self, size: int) -> int:
        return 4 + packed_limit(size)


def write_unit(unit: np.float32) -> bytes:
    """Four bytes, little endian."""
    return np.array([unit], dtype="<f4").tobytes()


def read_unit(data: bytes) -> np.float32:
    """The float32 in front of a quantised vector; BadInput when it is missing, negative or not finite."""
    if len(data) < 4:
        raise BadInput("A vector's bytes are cut off.", code="learning.vector_size")
    unit = np.frombuffer(data[:4], dtype="<f4")[0].astype(np.float32)
    if not np.isfinite(unit) or unit < 0:
        raise BadInput("A vector's unit is no finite number.", code="learning.vector_not_finite")
    return np.float32(unit)
