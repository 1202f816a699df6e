# SPDX-License-Identifier: Apache-2.0
"""What a provider signs under each answer, and the tree of answers whose root it submits.

An answer commits to the digests of its input and output, the model Work and what runs it, so that whoever
holds input and output can show that they are what was signed. The leaf of the n-th answer of a batch is
keccak256(0x00 ‖ n ‖ digest), n in 32 bytes; a node is keccak256(0x01 ‖ smaller child ‖ greater child), and
a lone node goes up unchanged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Final, Self

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.chain.keys import recover
from koinon.errors import BadInput, IntegrityError, KeyFault

ANSWER: Final = TypedStruct(
    "Answer(uint256 workId,uint256 bondId,address payer,bytes32 inputDigest,bytes32 runtimeDigest,"
    "bytes32 outputDigest,uint64 number,uint64 issuedAt)"
)
MAX_DEPTH: Final = 64


def verification_domain(chain_id: int, contract: str) -> Domain:
    """The domain that answers are signed in; ``contract`` is Verification's address."""
    return Domain("Koinon Verification", "1", chain_id, contract)


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """One answer and the signature under it.

    Parameters
    ----------
    work_id, bond_id : int
        The Work that answered, and the bond behind it.
    payer : str
        Who paid for it.
    input_digest, output_digest : bytes
        sha256 of the request's body and of the result's JSON, as they went over the wire.
    runtime_digest : bytes
        Of what ran, see `details`.
    number : int
        The provider's own count of answers under this bond.
    issued_at : int
        Unix seconds.
    signature : bytes
        65 bytes.
    """

    work_id: int
    bond_id: int
    payer: str
    input_digest: bytes
    runtime_digest: bytes
    output_digest: bytes
    number: int
    issued_at: int
    signature: bytes = b""

    @property
    def values(self) -> tuple[Any, ...]:
        """In the order of the struct's fields."""
        return tuple(getattr(self, field.name) for field in fields(self)[:-1])

    @property
    def struct_hash(self) -> bytes:
        """EIP-712 hashStruct: 32 bytes."""
        return ANSWER.hash(*self.values)

    def digest(self, domain: Domain) -> bytes:
        """What is signed, and what a tree's leaf holds: 32 bytes."""
        return digest(domain, self.struct_hash)

    def signed(self, signer: Account, domain: Domain) -> SignedAnswer:
        """With this account's signature."""
        return replace(self, signature=signer.sign_typed(domain, ANSWER, *self.values))

    def check(self, domain: Domain, signer: str, body: bytes, result: bytes) -> None:
        """Check the signature, and that input and output are those signed.

        Raises
        ------
        IntegrityError
            One of them is not (``verification.signature``, ``verification.input``, ``verification.output``).
        """
        try:
            found = recover(self.digest(domain), self.signature)
        except KeyFault:
            found = None
        if found != checksum(signer):
            raise IntegrityError(
                "The answer is not signed by its promise's signer.", code="verification.signature"
            )
        if hashlib.sha256(body).digest() != self.input_digest:
            raise IntegrityError("The input is not the one that was answered.", code="verification.input")
        if hashlib.sha256(result).digest() != self.output_digest:
            raise IntegrityError("The output is not the one that was signed.", code="verification.output")

    def to_json(self) -> dict[str, Any]:
        """Numbers as they are, bytes as 0x-hex."""
        return {
            field.name: "0x" + value.hex() if isinstance(value := getattr(self, field.name), bytes) else value
            for field in fields(self)
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` wrote; BadInput (``verification.answer``) for anything else."""
        names = [field.name for field in fields(cls)]
        try:
            values = {name: _read(name, data[name]) for name in names}
            more = len(data) - len(names)
        except (ValueError, TypeError, KeyError, BadInput) as error:
            raise BadInput("This is not a signed answer.", code="verification.answer") from error
        if more:
            raise BadInput("A signed answer has no more fields.", code="verification.answer")
        return cls(**values)


_NUMBERS: Final = {"work_id": 256, "bond_id": 256, "number": 64, "issued_at": 64}


def _read(name: str, value: Any) -> Any:
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << _NUMBERS[name]:
            raise ValueError(name)
        return value
    if name == "payer":
        return checksum(value)
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(name)
    found = bytes.fromhex(value[2:])
    if len(found) != (65 if name == "signature" else 32):
        raise ValueError(name)
    return found


def leaf(position: int, answer: bytes) -> bytes:
    """The leaf of the answer with this digest: 32 bytes."""
    return keccak256(b"\x00" + position.to_bytes(32, "big") + answer)


def node(one: bytes, other: bytes) -> bytes:
    """The node above two others: 32 bytes."""
    return keccak256(b"\x01" + min(one, other) + max(one, other))


class AnswerTree:
    """The answers of a batch by their digests, in order; at least one."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        if not answers:
            raise BadInput("There are no answers to submit.", code="verification.empty")
        self.answers = tuple(answers)

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1][0]

    @cached_property
    def _levels(self) -> list[list[bytes]]:
        levels = [[leaf(position, answer) for position, answer in enumerate(self.answers)]]
        while len(levels[-1]) > 1:
            below = levels[-1]
            above = [node(*below[at : at + 2]) for at in range(0, len(below) - 1, 2)]
            levels.append(above + below[len(below) - len(below) % 2 :])
        return levels

    def proof(self, position: int) -> list[bytes]:
        """The siblings of a leaf, from the bottom up."""
        siblings, at = [], position
        for level in self._levels[:-1]:
            if at ^ 1 < len(level):
                siblings.append(level[at ^ 1])
            at //= 2
        return siblings


def check_membership(root: bytes, position: int, answer: bytes, proof: Sequence[bytes]) -> None:
    """IntegrityError (``verification.membership``) where this answer is not there in the tree."""
    found = leaf(position, answer)
    for sibling in proof:
        found = node(found, sibling)
    if found != root or len(proof) > MAX_DEPTH or any(len(sibling) != 32 for sibling in proof):
        raise IntegrityError("The answer is not in the batch with this root.", code="verification.membership")
