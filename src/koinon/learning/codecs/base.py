# SPDX-License-Identifier: Apache-2.0
"""How a parameter vector travels as bytes."""

from __future__ import annotations

import zlib
from typing import Protocol

import numpy as np

from koinon.errors import BadInput
from koinon.learning.models.base import Vector


class Codec(Protocol):
    """Bytes and back; both ends reach the same numbers from the same bytes, on any CPU."""

    @property
    def lossless(self) -> bool:
        """Whether decoding gives back the very vector."""

    def encode(self, vector: Vector) -> bytes:
        """The vector as bytes."""

    def decode(self, data: bytes, size: int) -> Vector:
        """The vector of ``size`` numbers; BadInput when the bytes are not one, or not finite."""

    def limit(self, size: int) -> int:
        """The most bytes a vector of this size can take."""


def packed(data: bytes) -> bytes:
    """Deflated (RFC 1950), in the usual effort."""
    return zlib.compress(data, 6)


def packed_limit(size: int) -> int:
    """The most bytes that deflating ``size`` bytes can give."""
    return size + size // 1_000 + 64


def unpacked(data: bytes, limit: int) -> bytes:
    """Inflated; BadInput when it is not deflated, cut off, or would be longer than ``limit`` bytes."""
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise BadInput("A vector's bytes are damaged.", code="learning.vector_damaged") from error
    if len(found) > limit or not inflater.eof or inflater.unused_data:
        raise BadInput("A vector's bytes do not have the length they should.", code="learning.vector_size")
    return found


def finite(vector: Vector) -> Vector:
    """The vector itself; BadInput when it holds NaN or infinity."""
    if not np.isfinite(vector).all():
        raise BadInput("A vector holds numbers that are not finite.", code="learning.vector_not_finite")
    return vector
