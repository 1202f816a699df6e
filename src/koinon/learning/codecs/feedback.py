# SPDX-License-Identifier: Apache-2.0
"""Error feedback: what a codec leaves out is added to the next vector (Seide 2014, Karimireddy 2019)."""

from __future__ import annotations

import numpy as np

from koinon.learning.codecs.base import Codec
from koinon.learning.models.base import Vector


class ErrorFeedback:
    """A codec with memory, at one sender.

    Attributes
    ----------
    residual : float32 array, shape (size,)
        What is still owed; zeros for a lossless codec.
    """

    def __init__(self, codec: Codec, size: int, residual: Vector | None = None) -> None:
        self._codec = codec
        self.residual: Vector = np.zeros(size, dtype=np.float32) if residual is None else residual

    def encode(self, vector: Vector) -> tuple[bytes, Vector]:
        """The bytes, and the vector that whoever decodes them will have."""
        if self._codec.lossless:
            return self._codec.encode(vector), vector
        owed = vector + self.residual
        data = self._codec.encode(owed)
        decoded = self._codec.decode(data, owed.shape[0])
        self.residual = owed - decoded
        return data, decoded
