# SPDX-License-Identifier: Apache-2.0
"""What participants and collector say to each other, as bytes, and what is signed of it.

Most messages are entries: a count (2 bytes, big endian), then for each participant in ascending order its
index (2 bytes), a length (4 bytes) and so many bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, Self

from koinon.errors import BadInput

KEY_BYTES: Final = 32
LONGEST_NAME: Final = 64
LONGEST_SIGNATURE: Final = 128


class Phase(IntEnum):
    """The five phases in order, the end, and instead of what is left of them: giving the sum up."""

    KEYS = 0
    SHARES = 1
    MASKED = 2
    AGREEMENT = 3
    REVEAL = 4
    DONE = 5
    ABANDON = 6


class Identity(Protocol):
    """How a participant signs, and checks what others signed. ``name`` has at most 64 bytes."""

    @property
    def name(self) -> bytes:
        """Who it is, as the others know it."""

    def sign(self, message: bytes) -> bytes:
        """A signature of at most 128 bytes."""

    def check(self, name: bytes, message: bytes, signature: bytes) -> bool:
        """Whether whoever has this name signed the message."""


@dataclass(frozen=True)
class Advert:
    """A participant's keys for one sum (X25519), and a commitment to the seed of its own mask (sha256)."""

    name: bytes
    seal_key: bytes
    mask_key: bytes
    seed_commitment: bytes
    signature: bytes = b""

    def signed_part(self, context: bytes, index: int) -> bytes:
        """What the participant signs."""
        fields = (context, index.to_bytes(2, "big"), self.name, *self._keys())
        return _tagged(b"koinon secagg 1 keys", *fields)

    def encode(self) -> bytes:
        return b"".join((bytes((len(self.name),)), self.name, *self._keys(), self.signature))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote; BadInput when it is something else."""
        end = 1 + data[0] if data else 0
        name, rest = data[1:end], data[end:]
        if not data or not 0 < len(name) <= LONGEST_NAME or len(rest) < 3 * KEY_BYTES:
            raise _malformed()
        keys = (rest[:KEY_BYTES], rest[KEY_BYTES : 2 * KEY_BYTES], rest[2 * KEY_BYTES : 3 * KEY_BYTES])
        signature = rest[3 * KEY_BYTES :]
        if len(signature) > LONGEST_SIGNATURE:
            raise _malformed()
        return cls(name, *keys, signature)

    def _keys(self) -> tuple[bytes, bytes, bytes]:
        return self.seal_key, self.mask_key, self.seed_commitment


@dataclass(frozen=True)
class Dealt:
    """A dealer's two shares for one participant: sealed for it (empty for oneself), and committed to."""

    key_commitment: bytes
    seed_commitment: bytes
    sealed: bytes

    def encode(self) -> bytes:
        return self.key_commitment + self.seed_commitment + self.sealed

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote; BadInput when it is something else."""
        if len(data) not in (2 * KEY_BYTES, 4 * KEY_BYTES + 16):
            raise _malformed()
        return cls(data[:KEY_BYTES], data[KEY_BYTES : 2 * KEY_BYTES], data[2 * KEY_BYTES :])


SEED_SHARE: Final = b"\x01"
KEY_SHARE: Final = b"\x02"


def agreed_part(context: bytes, roster: bytes, masked: Iterable[int], survivors: Iterable[int]) -> bytes:
    """What a participant signs before it reveals anything: who began, who shared, and who survived."""
    told = (pack(dict.fromkeys(group, b"")) for group in (masked, survivors))
    return _tagged(b"koinon secagg 1 agreement", context, hashlib.sha256(roster).digest(), *told)


def abandoned_part(context: bytes, roster: bytes) -> bytes:
    """What a participant signs that will never reveal anything of this sum."""
    return _tagged(b"koinon secagg 1 abandonment", context, hashlib.sha256(roster).digest())


def share_commitment(context: bytes, dealer: int, holder: int, kind: bytes, share: bytes) -> bytes:
    """sha256; a share has 32 bytes of entropy, so its hash says nothing about it."""
    places = dealer.to_bytes(2, "big") + holder.to_bytes(2, "big")
    return hashlib.sha256(_tagged(b"koinon secagg 1 share", context, places, kind, share)).digest()


def seed_commitment(context: bytes, index: int, seed: bytes) -> bytes:
    """sha256 of a participant's seed."""
    return hashlib.sha256(_tagged(b"koinon secagg 1 seed", context, index.to_bytes(2, "big"), seed)).digest()


def pack(entries: Mapping[int, bytes]) -> bytes:
    """Entries in ascending order."""
    parts = [len(entries).to_bytes(2, "big")]
    for index in sorted(entries):
        parts += [index.to_bytes(2, "big"), len(entries[index]).to_bytes(4, "big"), entries[index]]
    return b"".join(parts)


def unpack(data: bytes) -> dict[int, bytes]:
    """Read what `pack` wrote, strictly; BadInput when it is something else."""
    entries: dict[int, bytes] = {}
    position, last = 2, -1
    for _ in range(int.from_bytes(data[:2], "big")):
        index = int.from_bytes(data[position : position + 2], "big")
        start = position + 6
        position = start + int.from_bytes(data[position + 2 : start], "big")
        if start > len(data) or position > len(data) or index <= last:
            raise _malformed()
        entries[index], last = data[start:position], index
    if len(data) < 2 or position != len(data):
        raise _malformed()
    return entries


def _tagged(tag: bytes, *fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in (tag, *fields))


def _malformed() -> BadInput:
    return BadInput("A message of a secret sum is malformed.", code="learning.secagg_message")
