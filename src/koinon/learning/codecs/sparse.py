# SPDX-License-Identifier: Apache-2.0
"""For thin links: signs alone, or only the largest changes; to be used with error feedback."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from koinon.errors import BadInput
from koinon.learning.codecs.base import finite, packed, packed_limit, unpacked
from koinon.learning.codecs.plain import read_unit, write_unit
from koinon.learning.models.base import Vector


class Sign:
    """One bit a parameter and the mean magnitude (1-bit SGD, Seide 2014; EF-signSGD, Karimireddy 2019)."""

    @property
    def lossless(self) -> bool:
        return False

    def encode(self, vector: Vector) -> bytes:
        unit = np.float32(np.abs(vector).mean(dtype=np.float64) if vector.size else 0.0)
        return write_unit(unit) + np.packbits(vector >= 0).tobytes()

    def decode(self, data: bytes, size: int) -> Vector:
        unit = read_unit(data)
        if len(data) != self.limit(size):
            raise BadInput("A vector has another size than the model.", code="learning.vector_size")
        bits = np.unpackbits(np.frombuffer(data[4:], dtype=np.uint8), count=size)
        return finite((bits.astype(np.float32) * 2 - 1) * unit)

    def limit(self, size: int) -> int:
        return 4 + -(-size // 8)


@dataclass(frozen=True)
class TopK:
    """The largest part of the changes (Aji and Heafield 2017), each an int8 in units of the greatest / 127.

    Places travel as gaps, their four bytes in planes, so that deflating takes the empty ones away.
    """

    fraction: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise BadInput("'topk' takes a part between 0 and 1, like topk:0.05.", code="learning.codec")

    @property
    def lossless(self) -> bool:
        return False

    def kept(self, size: int) -> int:
        """How many of ``size`` numbers travel."""
        return min(size, max(1, int(np.ceil(self.fraction * size)))) if size else 0

    def encode(self, vector: Vector) -> bytes:
        magnitude, kept = np.abs(vector), self.kept(vector.size)
        places = np.sort(np.argpartition(magnitude, vector.size - kept)[vector.size - kept :])
        unit = np.float32(magnitude.max(initial=np.float32(0)) / np.float32(127))
        levels = np.rint(vector[places] / (unit if unit > 0 else np.float32(1))).astype(np.int8)
        gaps = np.diff(places, prepend=-1).astype("<u4").view(np.uint8).reshape(-1, 4).T
        return write_unit(unit) + packed(gaps.tobytes() + levels.tobytes())

    def decode(self, data: bytes, size: int) -> Vector:
        unit, kept = read_unit(data), self.kept(size)
        found = np.frombuffer(unpacked(data[4:], 5 * kept), dtype=np.uint8)
        if found.size != 5 * kept:
            raise BadInput("A vector has another size than the model.", code="learning.vector_size")
        gaps = np.ascontiguousarray(found[: 4 * kept].reshape(4, kept).T).view("<u4").ravel()
        places = np.cumsum(gaps.astype(np.int64)) - 1
        if kept and (gaps.min() == 0 or places[-1] >= size):
            raise BadInput("A sparse vector names places it does not have.", code="learning.vector_damaged")
        vector = np.zeros(size, dtype=np.float32)
        vector[places] = found[4 * kept :].view(np.int8).astype(np.float32) * unit
        return finite(vector)

    def limit(self, size: int) -> int:
        return 4 + packed_limit(5 * self.kept(size))
