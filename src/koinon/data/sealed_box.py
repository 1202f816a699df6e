# SPDX-License-Identifier: Apache-2.0
"""Small secrets for one reader: HPKE (RFC 9180) in base mode, X25519, HKDF-SHA256, ChaCha20-Poly1305.

A sealed secret is 32 bytes of key and 16 of tag longer than what is in it: short enough for a transaction.
The context is bound: what was sealed for one purpose does not open for another.
"""

from __future__ import annotations

from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from koinon.errors import BadInput, IntegrityError, KeyFault

OVERHEAD: Final = 48
"""By how many bytes a sealed secret is longer."""

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class BoxKey:
    """A reader's X25519 key: ``public`` (32 bytes) is for everyone, the rest is never shown."""

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"BoxKey({self.public.hex()})"

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(X25519PrivateKey.generate())

    @classmethod
    def derive(cls, secret: bytes, purpose: str) -> Self:
        """The key that ``secret`` (32 random bytes or more) has for ``purpose``: HKDF-SHA256."""
        if len(secret) < 32:
            raise KeyFault(
                "A secret to derive from needs at least 32 bytes.",
                hint="Use a random key, never a password.",
                code="data.box_secret",
            )
        scalar = HKDF(SHA256(), 32, None, b"koinon box 1:" + purpose.encode()).derive(secret)
        return cls(X25519PrivateKey.from_private_bytes(scalar))

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """The key with this secret scalar, 32 bytes from a file of one's own; ValueError otherwise."""
        return cls(X25519PrivateKey.from_private_bytes(secret))

    @property
    def secret(self) -> bytes:
        """The secret scalar, for a file of one's own and for nothing else."""
        return self._private.private_bytes_raw()

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed; IntegrityError when for another reader or context, or changed."""
        try:
            return _SUITE.decrypt(sealed, self._private, context)
        except (InvalidTag, ValueError):
            raise IntegrityError(
                "This secret was sealed for another reader or another purpose, or was changed on the way.",
                hint="Ask for it again.",
                code="data.box",
            ) from None


def check_reader(public: bytes) -> None:
    """BadInput where nothing can be sealed to this public key."""
    seal_to(public, b"", b"")


def seal_to(public: bytes, secret: bytes, context: bytes) -> bytes:
    """``secret`` for the reader with this public key; BadInput when that is no key anyone can have."""
    try:
        return _SUITE.encrypt(secret, X25519PublicKey.from_public_bytes(public), context)
    except ValueError:
        raise BadInput(
            "The reader's key is not a usable X25519 key.", hint="It has 32 bytes.", code="data.box_reader"
        ) from None
