# SPDX-License-Identifier: Apache-2.0
"""Masks: streams of 32-bit words that two participants share, or that one has by itself."""

from __future__ import annotations

from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from koinon.errors import BadInput, IntegrityError
from koinon.learning.privacy.stream import SEED_BYTES, Stream

LARGEST_VALUE: Final = 2**30
"""Values and their sums lie below this, so that words of 32 bits hold them with their sign."""

Words = NDArray[np.uint32]
Units = NDArray[np.int64]


def shared_secret(private: bytes, public: bytes, purpose: bytes) -> bytes:
    """32 bytes that both ends of a pair of X25519 keys derive for one purpose (HKDF-SHA256).

    Raises
    ------
    IntegrityError
        The public key is of small order: whoever advertised it wants a known secret.
    """
    try:
        exchanged = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError as error:
        raise IntegrityError("A public key of the sum is not sound.", code="learning.secagg_key") from error
    return HKDF(SHA256(), SEED_BYTES, None, purpose).derive(exchanged)


def public_of(private: bytes) -> bytes:
    """The public key that belongs to a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def pair_mask(private: bytes, public: bytes, context: bytes, pair: tuple[int, int], size: int) -> Words:
    """The words that a pair shares; its lower index adds them, the higher takes them away."""
    low, high = sorted(pair)
    places = low.to_bytes(2, "big") + high.to_bytes(2, "big")
    return Stream(shared_secret(private, public, b"koinon secagg 1 mask" + context + places)).words32(size)


def self_mask(seed: bytes, context: bytes, size: int) -> Words:
    """The words of one participant's own seed."""
    derived = HKDF(SHA256(), SEED_BYTES, None, b"koinon secagg 1 self mask" + context).derive(seed)
    return Stream(derived).words32(size)


def to_words(values: Units) -> Words:
    """Signed numbers modulo 2^32; BadInput for 2^30 and more."""
    if values.size and not -LARGEST_VALUE < int(values.min()) <= int(values.max()) < LARGEST_VALUE:
        raise BadInput("A number to add in secret is beyond 2^30.", code="learning.secagg_range")
    return values.astype(np.uint32)


def from_words(words: Words) -> Units:
    """The signed numbers that `to_words` made words of."""
    return words.view(np.int32).astype(np.int64)


def encode_words(words: Words) -> bytes:
    """Little-endian."""
    return words.astype("<u4", copy=False).tobytes()


def decode_words(data: bytes, size: int) -> Words:
    """Read what `encode_words` wrote; BadInput for another number of words."""
    if len(data) != 4 * size:
        raise BadInput(
            f"A masked vector has {len(data)} bytes instead of {4 * size}.", code="learning.secagg_message"
        )
    return np.frombuffer(data, dtype="<u4")
