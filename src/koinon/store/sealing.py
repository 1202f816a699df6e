# SPDX-License-Identifier: Apache-2.0
"""Content that only chosen readers can open, in the age format (age-encryption.org/v1, X25519 recipients)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pyrage
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from koinon.errors import BadInput, IntegrityError, KeyFault

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


class SealingIdentity:
    """A reader: ``recipient`` (``age1…``) is public, the identity itself is never shown.

    Make one with `generate`, or with `derive` from a secret kept anyway, so that restoring that secret
    restores what was sealed.
    """

    def __init__(self, identity: str) -> None:
        try:
            self._identity = pyrage.x25519.Identity.from_str(identity.strip())
        except pyrage.IdentityError:
            raise KeyFault(
                "This is not an age X25519 identity.",
                hint="It starts with AGE-SECRET-KEY-1.",
                code="key.sealing_identity",
            ) from None
        self.recipient = str(self._identity.to_public())

    def __repr__(self) -> str:
        return f"SealingIdentity({self.recipient})"

    @classmethod
    def generate(cls) -> Self:
        return cls(str(pyrage.x25519.Identity.generate()))

    @classmethod
    def derive(cls, secret: bytes, purpose: str) -> Self:
        """The identity that ``secret`` (32 random bytes or more) has for ``purpose``: HKDF-SHA256."""
        if len(secret) < 32:
            raise KeyFault(
                "A secret to derive from needs at least 32 bytes.",
                hint="Use a random key, never a password.",
                code="key.sealing_secret",
            )
        scalar = HKDF(SHA256(), 32, None, b"koinon sealing 1:" + purpose.encode()).derive(secret)
        return cls(_bech32("age-secret-key-", scalar).upper())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Raises KeyFault if it is missing, damaged or readable by others."""
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise KeyFault(
                    f"{path} can be read by other users.",
                    hint=f"Run: chmod 600 {path}",
                    code="key.permissions",
                )
            return cls(path.read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError):
            raise KeyFault(
                f"The sealing identity {path} cannot be read.",
                hint="Restore it from your backup.",
                code="key.sealing_identity",
            ) from None

    def save(self, path: Path) -> None:
        """Write the identity for its owner's eyes only; never over another file."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise KeyFault(
                f"{path} already holds an identity.",
                hint="Choose another name or load it.",
                code="key.exists",
            ) from None
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{self._identity}\n")
            stream.flush()
            os.fsync(stream.fileno())

    def open(self, sealed: bytes) -> bytes:
        """The content of ``sealed``; KeyFault when it was sealed for another reader or was changed."""
        return unseal(sealed, [self])


def seal(data: bytes, recipients: Sequence[str]) -> bytes:
    """Encrypt ``data`` for every one of ``recipients`` (``age1…``); BadInput for none or a wrong one."""
    if not recipients:
        raise BadInput(
            "Sealing needs at least one reader.", hint="Name a recipient (age1…).", code="store.seal"
        )
    try:
        readers = [pyrage.x25519.Recipient.from_str(recipient) for recipient in recipients]
    except pyrage.RecipientError:
        raise BadInput(
            "One of the readers is not an age X25519 recipient.",
            hint="It starts with age1.",
            code="store.seal",
        ) from None
    return bytes(pyrage.encrypt(data, readers))


def unseal(sealed: bytes, identities: Sequence[SealingIdentity]) -> bytes:
    """Decrypt with whichever of ``identities`` fits.

    Raises IntegrityError for bytes that are no age file, KeyFault when none fits or the content was changed.
    """
    if not sealed.startswith(b"age-encryption.org/v1\n"):
        raise IntegrityError(
            "This is not sealed content.", hint="Fetch it again from its publisher.", code="store.unseal"
        )
    try:
        return bytes(pyrage.decrypt(sealed, [identity._identity for identity in identities]))
    except pyrage.DecryptError:
        raise KeyFault(
            "This content cannot be opened: it was sealed for someone else, or changed on the way.",
            hint="Ask its owner to seal it for your recipient, or fetch it again.",
            code="key.unseal",
        ) from None


def _bech32(prefix: str, data: bytes) -> str:
    """Bech32 of whole bytes (BIP 173)."""
    bits = int.from_bytes(data) << (-len(data) * 8 % 5)
    count = -(-len(data) * 8 // 5)
    values = [bits >> 5 * (count - 1 - place) & 31 for place in range(count)]
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    checksum = 1
    for value in [*expanded, *values, 0, 0, 0, 0, 0, 0]:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(GENERATORS):
            checksum ^= generator if top >> place & 1 else 0
    checksum ^= 1
    tail = [checksum >> 5 * (5 - place) & 31 for place in range(6)]
    return prefix + "1" + "".join(BECH32[value] for value in [*values, *tail])
