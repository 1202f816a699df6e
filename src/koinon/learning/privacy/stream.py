# SPDX-License-Identifier: Apache-2.0
"""Random words that follow from a seed, the same on every machine: AES-256 in counter mode."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput

SEED_BYTES: Final = 32
_BLOCK: Final = 16


class Stream:
    """Words of one seed, in order; a seed is used for one stream only.

    Parameters
    ----------
    seed : bytes
        32 bytes, which make the words unpredictable for whoever lacks them. BadInput for any other length.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise BadInput("A stream's seed has 32 bytes.", code="learning.seed")
        from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415  owners of open runs
        from cryptography.hazmat.primitives.ciphers.algorithms import AES256  # noqa: PLC0415  never load
        from cryptography.hazmat.primitives.ciphers.modes import CTR  # noqa: PLC0415  cryptography

        self._encryptor = Cipher(AES256(seed), CTR(bytes(_BLOCK))).encryptor()

    def words32(self, count: int) -> NDArray[np.uint32]:
        """The next ``4 * count`` bytes as little-endian words."""
        return np.frombuffer(self._encryptor.update(bytes(4 * count)), dtype="<u4")

    def words64(self, count: int) -> NDArray[np.uint64]:
        """The next ``8 * count`` bytes as little-endian words."""
        return np.frombuffer(self._encryptor.update(bytes(8 * count)), dtype="<u8")

    def below(self, limit: int, count: int) -> NDArray[np.int64]:
        """Whole numbers from 0 to ``limit - 1``, each exactly as likely; ``limit`` from 1 to 2^63."""
        if not 1 <= limit <= 2**63:
            raise BadInput("Numbers are drawn below a limit of 1 to 2^63.", code="learning.seed")
        shift = np.uint64(64 - max(1, (limit - 1).bit_length()))
        found = np.empty(count, dtype=np.int64)
        missing = np.arange(count)
        while missing.size:
            drawn = self.words64(missing.size) >> shift
            fits = drawn < np.uint64(limit)
            found[missing[fits]] = drawn[fits].astype(np.int64)
            missing = missing[~fits]
        return found
