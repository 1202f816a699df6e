# SPDX-License-Identifier: Apache-2.0
"""Who an agent is: the Work it is, and the account whose key signs its envelopes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from koinon.chain.address import checksum, to_bytes
from koinon.errors import BadInput

MOST_WORKS: Final = 1 << 64
"""Ids of Works that envelopes can name lie below."""


@dataclass(frozen=True, slots=True)
class Address:
    """An agent, or with ``work_id`` 0 a bare account. ``account`` in EIP-55 form. As text: ``7@0xAb…``."""

    work_id: int
    account: str

    def __post_init__(self) -> None:
        if not 0 <= self.work_id < MOST_WORKS:
            raise _malformed(str(self.work_id))

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read the text form; a bare account may stand alone. `BadInput` where it is neither."""
        work, at, account = text.rpartition("@")
        if at and not (work.isascii() and work.isdigit()):
            raise _malformed(text)
        return cls(int(work) if at else 0, checksum(account))

    @classmethod
    def of(cls, work_id: int, account: bytes) -> Address:
        """From a Work's id and 20 bytes."""
        return _from_bytes(work_id, account)

    def __str__(self) -> str:
        return f"{self.work_id}@{self.account}"


@lru_cache(maxsize=8_192)
def words(address: Address) -> bytes:
    """The address as EIP-712 encodes it, work id and account: 64 bytes."""
    return address.work_id.to_bytes(32, "big") + bytes(12) + to_bytes(address.account)


@lru_cache(maxsize=8_192)
def _from_bytes(work_id: int, account: bytes) -> Address:
    return Address(work_id, checksum(account))


def _malformed(text: str) -> BadInput:
    return BadInput(
        f"{text[:80]!r} is not the address of an agent.",
        hint="An agent's address is its Work and its account: 7@0x… (or an account alone).",
        code="agents.address",
    )
