# SPDX-License-Identifier: Apache-2.0
"""What known issuers say of an account: schemas, attestations and revocations (`Attestations.vy`).

Issuers sign EIP-712 messages off chain (`AttestationDomain`), anyone posts them and reads what stands
(`Attestations`). Times are Unix seconds; ``word`` is a number below 2**256 whose meaning the schema's text
gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain import codec
from koinon.chain.account import Account
from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, TransactionFailed

ATTESTATION: Final = TypedStruct(
    "Attestation(bytes32 schema,address subject,uint256 word,bytes32 digest,uint256 workId,"
    "bytes32 featureRoot,uint64 asOfBlock,uint64 issuedAt,uint64 expiresAt,uint64 nonce)"
)
REVOCATION: Final = TypedStruct("Revocation(bytes32 schema,address subject,bytes32 uid)")
ISSUER_CHANGE: Final = TypedStruct(
    "IssuerChange(bytes32 schema,address[] issuers,uint256 threshold,uint64 change)"
)
MAXIMUM_ISSUERS: Final = 16
MAXIMUM_TEXT_BYTES: Final = 256

Signed = tuple[str, bytes]
"""An issuer and its signature."""


@dataclass(frozen=True, slots=True)
class SchemaTerms:
    """What a schema is registered with.

    Parameters
    ----------
    text : str
        What its attestations mean: a sentence, or the CID of a document; at most 256 bytes.
    resolver : str
        A contract that is told of each and may refuse one; the zero address for none.
    issuers : tuple of str
        Addresses of those who may sign, in any order.
    threshold : int
        How many of them must.
    change_delay_s : int
        Seconds between a change of issuers and its effect; 0: they never change.
    """

    text: str
    resolver: str = ZERO_ADDRESS
    issuers: tuple[str, ...] = ()
    threshold: int = 1
    change_delay_s: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.text.encode()) <= MAXIMUM_TEXT_BYTES:
            raise _wrong(f"A schema's text has 1 to {MAXIMUM_TEXT_BYTES} bytes.")
        if not 1 <= self.threshold <= len(set(self.issuers)) or len(self.issuers) > MAXIMUM_ISSUERS:
            raise _wrong(f"{self.threshold} of {len(self.issuers)} issuers cannot sign.")

    def values(self) -> tuple[str, str, list[str], int, int]:
        """As the contract's ABI takes it: issuers in rising order."""
        return (self.text, self.resolver, rising(self.issuers), self.threshold, self.change_delay_s)

    def id(self, chain_id: int, contract: str, registrant: str) -> bytes:
        """The schema's id (32 bytes), as the contract computes it."""
        kinds = (
            "uint256",
            "address",
            "address",
            "string",
            "address",
            "address[]",
            "uint256",
            "uint64",
        )
        return keccak256(codec.encode(kinds, (chain_id, contract, registrant, *self.values())))


@dataclass(frozen=True, slots=True)
class Attestation:
    """What issuers say of a subject. Its uid (`AttestationDomain.uid`) commits to every field.

    Parameters
    ----------
    schema : bytes
        32 bytes.
    subject : str
        The account.
    word : int
        The data, where they fit one word: a score's tier and probability of default.
    digest : bytes
        The data's digest, where they do not; 32 bytes.
    work_id : int
        The model or other Work that judged; 0 none.
    feature_root : bytes
        Merkle root of what was judged, 32 bytes; zero where nothing is to be proven.
    as_of_block : int
        The last block that was looked at.
    issued_at, expires_at : int
        The newest stands, until it expires.
    nonce : int
        Orders attestations of one second.
    """

    schema: bytes
    subject: str
    word: int
    issued_at: int
    expires_at: int
    digest: bytes = bytes(32)
    work_id: int = 0
    feature_root: bytes = bytes(32)
    as_of_block: int = 0
    nonce: int = 0

    def __post_init__(self) -> None:
        if any(len(each) != 32 for each in (self.schema, self.digest, self.feature_root)):
            raise _wrong("Schema, digest and feature root have 32 bytes.")
        if not 0 <= self.issued_at < self.expires_at < 2**64:
            raise _wrong("An attestation expires after it was issued.")

    def values(self) -> tuple[Any, ...]:
        """As the contract's ABI takes it, and as it is signed."""
        return (
            self.schema,
            self.subject,
            self.word,
            self.digest,
            self.work_id,
            self.feature_root,
            self.as_of_block,
            self.issued_at,
            self.expires_at,
            self.nonce,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest attestation of a subject, as kept on chain; ``uid`` is zero where there never was one."""

    uid: bytes
    word: int
    work_id: int
    as_of_block: int
    issued_at: int
    expires_at: int
    nonce: int
    revoked: bool

    def is_valid(self, now: int) -> bool:
        """Whether it stands at this second."""
        return not self.revoked and now < self.expires_at


class AttestationDomain:
    """What issuers sign for one Attestations contract on one chain."""

    def __init__(self, chain_id: int, contract: str) -> None:
        self.domain = Domain("Koinon Attestations", "1", chain_id, contract)

    def uid(self, attestation: Attestation) -> bytes:
        """The digest that issuers sign, which is also the attestation's uid."""
        return digest(self.domain, ATTESTATION.hash(*attestation.values()))

    def sign(self, issuer: Account, attestation: Attestation) -> Signed:
        """An issuer's signature under an attestation."""
        return issuer.address, issuer.sign_typed(self.domain, ATTESTATION, *attestation.values())

    def revocation_digest(self, schema: bytes, subject: str, uid: bytes) -> bytes:
        """What issuers sign to take an attestation back."""
        return digest(self.domain, REVOCATION.hash(schema, subject, uid))

    def sign_revocation(self, issuer: Account, attestation: Attestation) -> Signed:
        """An issuer's signature to take an attestation back."""
        return self.sign_taking_back(issuer, attestation.schema, attestation.subject, self.uid(attestation))

    def sign_taking_back(self, issuer: Account, schema: bytes, subject: str, uid: bytes) -> Signed:
        """The same, where only the attestation's uid is known."""
        return issuer.address, issuer.sign_typed(self.domain, REVOCATION, schema, subject, uid)

    def change_digest(self, schema: bytes, issuers: Iterable[str], threshold: int, change: int) -> bytes:
        """What the present issuers sign to put others in their place."""
        return digest(self.domain, ISSUER_CHANGE.hash(schema, rising(issuers), threshold, change))

    def sign_change(
        self, issuer: Account, schema: bytes, issuers: Iterable[str], threshold: int, change: int
    ) -> Signed:
        """A present issuer's signature under a change of issuers."""
        values = (schema, rising(issuers), threshold, change)
        return issuer.address, issuer.sign_typed(self.domain, ISSUER_CHANGE, *values)


class Attestations:
    """The Attestations contract of a network. What sends takes the key that pays; errors as in `Sender`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Attestations")
        self.domain = AttestationDomain(chain.chain_id, self.contract.address)

    def register(self, registrant: Account, terms: SchemaTerms) -> bytes:
        """Register a schema and return its id; the same again by the same account is no second one."""
        schema = terms.id(self.chain.chain_id, self.contract.address, registrant.address)
        if self.contract.call("is_registered", schema):
            return schema
        try:
            self.chain.sender(registrant).send(self.contract.transaction("register", *terms.values()))
        except TransactionFailed:
            if not self.contract.call("is_registered", schema):
                raise
        return schema

    def post(self, payer: Account, attestation: Attestation, signed: Sequence[Signed]) -> bytes:
        """Post what issuers signed and return its uid."""
        call = self.contract.transaction("attest", attestation.values(), in_order(signed))
        self.chain.sender(payer).send(call)
        return self.domain.uid(attestation)

    def revoke(self, payer: Account, attestation: Attestation, signed: Sequence[Signed]) -> None:
        """Post that issuers take an attestation back, posted or not."""
        uid = self.domain.uid(attestation)
        self.take_back(payer, attestation.schema, attestation.subject, uid, signed)

    def take_back(
        self, payer: Account, schema: bytes, subject: str, uid: bytes, signed: Sequence[Signed]
    ) -> None:
        """The same, where only the attestation's uid is known."""
        values = (schema, subject, uid, in_order(signed))
        self.chain.sender(payer).send(self.contract.transaction("revoke", *values))

    def change_issuers(
        self, payer: Account, schema: bytes, issuers: Iterable[str], threshold: int, signed: Sequence[Signed]
    ) -> int:
        """Post a change of issuers and return the second from which it counts."""
        values = (schema, rising(issuers), threshold, in_order(signed))
        self.chain.sender(payer).send(self.contract.transaction("change_issuers", *values))
        return int(self.contract.call("next_issuers_from", schema))

    def latest(self, schema: bytes, subject: str) -> Standing:
        """The newest attestation of a subject, valid or not."""
        return Standing(*self.contract.call("latest", schema, subject))

    def latest_of(self, schema: bytes, subjects: Sequence[str]) -> list[Standing]:
        """The newest attestation of each subject, asked for in one message."""
        answers = self.contract.call_many([("latest", schema, subject) for subject in subjects])
        return [Standing(*answer) for answer in answers]

    def is_valid(self, schema: bytes, subject: str) -> bool:
        """Whether an attestation stands that is neither expired nor revoked, by the chain's clock."""
        return bool(self.contract.call("is_valid", schema, subject))

    def issuers_of(self, schema: bytes) -> tuple[list[str], int]:
        """The present issuers and how many of them must sign; nobody and 0 for what is no schema."""
        issuers, threshold = self.contract.call("issuers_of", schema)
        return [checksum(issuer) for issuer in issuers], int(threshold)


def rising(addresses: Iterable[str]) -> list[str]:
    """Addresses in rising order, as the contract takes issuers."""
    return sorted(addresses, key=lambda address: int(address, 16))


def in_order(signed: Sequence[Signed]) -> list[Signed]:
    """Signatures in rising order of their issuers."""
    return sorted(signed, key=lambda each: int(each[0], 16))


def _wrong(sentence: str) -> BadInput:
    return BadInput(sentence, code="works.attestation")
