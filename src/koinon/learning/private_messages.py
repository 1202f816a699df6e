# SPDX-License-Identifier: Apache-2.0
"""How owners sign in a private sum: each step towards the leader, and what the others must believe."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Final

from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.keys import Key, PublicKeyCache
from koinon.errors import BadInput
from koinon.learning.messages import Message

SECRET_SUM: Final = TypedStruct("SecretSum(bytes message)")
_SIGNERS: Final = PublicKeyCache(4_096)


@dataclass(frozen=True)
class PrivateStep(Message):
    """An owner's message in one phase of a round's secret sum (`Phase`); the payload is that message.

    ``base`` is the digest of the model the round starts from; ``attempt`` counts the round's sums from 1.
    """

    run_id: int
    round: int
    owner: str
    base: bytes
    attempt: int
    phase: int
    message: bytes

    KIND: ClassVar[str] = "private"
    TYPE: ClassVar[TypedStruct] = TypedStruct(
        "PrivateStep(uint256 runId,uint32 round,address owner,bytes32 base,uint8 attempt,uint8 phase,"
        "bytes32 message)"
    )

    def struct_hash(self) -> bytes:
        place = (self.run_id, self.round, self.owner, self.base)
        return self.TYPE.hash(*place, self.attempt, self.phase, self.message)


def sum_context(run_id: int, number: int, base: bytes, recipe: bytes, attempt: int) -> bytes:
    """Names one of a round's secret sums: sha256 over run, round, base model, recipe and attempt."""
    told = run_id.to_bytes(32, "big") + number.to_bytes(4, "big") + base + recipe + bytes((attempt,))
    return hashlib.sha256(b"koinon private round 2" + told).digest()


def sum_name(address: str) -> bytes:
    """An account as the secret sum's participants know it: its 20 bytes."""
    return bytes.fromhex(address.removeprefix("0x"))


class AccountChecks:
    """Checks what accounts signed for a secret sum on one network."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain

    def check(self, name: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the account of this name signed the message."""
        try:
            address = checksum(name)
        except BadInput:
            return False
        return _SIGNERS.verify(digest(self._domain, SECRET_SUM.hash(message)), signature, address)


class AccountIdentity(AccountChecks):
    """An account that takes part in secret sums."""

    def __init__(self, key: Key, domain: Domain) -> None:
        super().__init__(domain)
        self._key = key

    @property
    def name(self) -> bytes:
        return sum_name(self._key.address)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign_typed(self._domain, SECRET_SUM, message)
