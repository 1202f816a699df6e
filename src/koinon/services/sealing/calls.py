# SPDX-License-Identifier: Apache-2.0
"""Calls that only their two ends can read: HPKE (RFC 9180), X25519, HKDF-SHA256, ChaCha20-Poly1305.

A request is sealed to a key that the provider's gateway changes twice a day and signs with its account; the
Work's owner names that account on chain (metadata ``sealing``). The answer is sealed to a key that the caller
makes for this call alone. Hosts and proxies in between, those that end TLS among them, see the price, the
payment and a size in steps of 256 bytes, and nothing else.

A sealed request opens only along with the payment and the key it was made for, so it cannot be sent again
under another. Both sides keep commitments to the plaintexts, salted by the caller so that short ones cannot
be guessed; the gateway signs the pair (`CallOpening`). Whoever has a dispute reveals the opening.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from koinon.chain import keys
from koinon.chain.account import Account
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError
from koinon.works import wire

METADATA_KEY: Final = "sealing"
"""Under which a Work names, on chain, the 20-byte account whose keys its calls are sealed to."""

MEDIA_TYPE: Final = "application/vnd.koinon.sealed"
SALT_BYTES: Final = 32
KEY_BYTES: Final = 32
STEP: Final = 256

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_KEY: Final = TypedStruct("SealingKey(bytes32 key,uint64 notBefore,uint64 notAfter)")
_RECEIPT: Final = TypedStruct("CallReceipt(uint256 workId,bytes32 input,bytes32 output)")


def sealing_domain(chain: Chain) -> Domain:
    """What gateways' signatures about sealed calls are for."""
    return Domain("Koinon Sealed Calls", "1", chain.chain_id, chain.network.address("Works"))


@dataclass(frozen=True)
class SealingKey:
    """A gateway's public key (32 bytes) for a time (Unix seconds), signed by its account."""

    key: bytes
    not_before: int
    not_after: int
    signature: bytes = field(repr=False)

    @classmethod
    def sign(
        cls, account: Account, domain: Domain, key: bytes, not_before: int, not_after: int
    ) -> SealingKey:
        """One, signed."""
        return cls(key, not_before, not_after, account.sign_typed(domain, _KEY, key, not_before, not_after))

    def check(self, domain: Domain, account: str, now: int, skew_s: int) -> None:
        """IntegrityError unless ``account`` signed it and it is valid now, give or take ``skew_s``."""
        signed = digest(domain, _KEY.hash(self.key, self.not_before, self.not_after))
        if not keys.verify(signed, self.signature, account):
            raise IntegrityError(
                f"The key to seal to is not signed by {account}, whom the Work names on chain.",
                hint="Somebody in between may have put it there. Nothing was sent.",
                code="service.sealing_key",
            )
        if not self.not_before - skew_s <= now <= self.not_after + skew_s:
            raise IntegrityError(
                "The key to seal to is not valid at this time.",
                hint="Check this machine's clock; an old key may be somebody's who stole it.",
                code="service.sealing_key",
            )

    def to_json(self) -> dict[str, Any]:
        """As a gateway gives it out."""
        return {
            "key": "0x" + self.key.hex(),
            "notBefore": self.not_before,
            "notAfter": self.not_after,
            "signature": "0x" + self.signature.hex(),
        }

    @classmethod
    def from_json(cls, value: object) -> SealingKey:
        """The inverse; `wire.MalformedPayment` for anything else."""
        found = wire.fields_of(value, "The sealing key", "key", "notBefore", "notAfter", "signature")
        times = found["notBefore"], found["notAfter"]
        if not all(isinstance(each, int) and 0 <= each < 2**64 for each in times):
            raise wire.MalformedPayment("The sealing key's times are no numbers.")
        return cls(
            wire.hex_bytes(found["key"], "key", KEY_BYTES),
            *times,
            wire.hex_bytes(found["signature"], "signature", 65),
        )


@dataclass(frozen=True)
class CallOpening:
    """What was asked and answered in one sealed call, and the proof of it.

    ``input`` and ``output`` are the bodies, byte for byte; ``salt`` 32 bytes; ``receipt`` the gateway's
    signature over both commitments. A committee that is shown this can check it without either party.
    """

    work_id: int
    salt: bytes
    input: bytes = field(repr=False)
    output: bytes = field(repr=False)
    receipt: bytes = field(repr=False, default=b"")

    @property
    def input_commitment(self) -> bytes:
        """SHA-256 over the salt and the input: 32 bytes that say nothing of it."""
        return commitment("input", self.salt, self.input)

    @property
    def output_commitment(self) -> bytes:
        """The same of the output."""
        return commitment("output", self.salt, self.output)

    def signed_by(self, account: Account, domain: Domain) -> CallOpening:
        """The same with the gateway's receipt."""
        receipt = account.sign_typed(
            domain, _RECEIPT, self.work_id, self.input_commitment, self.output_commitment
        )
        return CallOpening(self.work_id, self.salt, self.input, self.output, receipt)

    def check(self, domain: Domain, account: str) -> None:
        """IntegrityError unless ``account`` signed that this output is its answer to this input."""
        signed = digest(domain, _RECEIPT.hash(self.work_id, self.input_commitment, self.output_commitment))
        if not keys.verify(signed, self.receipt, account):
            raise IntegrityError(
                f"{account} did not sign this answer to this input.",
                hint="One of them was changed, or the call went elsewhere.",
                code="service.receipt",
            )

    def to_json(self) -> dict[str, str]:
        """For a dispute's evidence."""
        return {
            "workId": str(self.work_id),
            "salt": "0x" + self.salt.hex(),
            "input": "0x" + self.input.hex(),
            "output": "0x" + self.output.hex(),
            "receipt": "0x" + self.receipt.hex(),
        }

    @classmethod
    def from_json(cls, value: object) -> CallOpening:
        """The inverse; BadInput for anything else."""
        found = wire.fields_of(value, "The opening", "workId", "salt", "input", "output", "receipt")
        try:
            asked, said = (bytes.fromhex(str(found[name]).removeprefix("0x")) for name in ("input", "output"))
        except ValueError:
            raise BadInput("The opening's bodies are not hex.", code="service.opening") from None
        return cls(
            wire.integer(found["workId"], "workId", wire.WORD_LIMIT),
            wire.hex_bytes(found["salt"], "salt", SALT_BYTES),
            asked,
            said,
            wire.hex_bytes(found["receipt"], "receipt", 65),
        )


def commitment(part: str, salt: bytes, content: bytes) -> bytes:
    """SHA-256 of one side of a call (``input`` or ``output``), salted."""
    return hashlib.sha256(b"koinon call %s 1\0" % part.encode() + salt + content).digest()


def request_context(work_id: int, *bound: bytes) -> bytes:
    """What a sealed request is bound to: its Work, and the headers that pay for it."""
    whole = hashlib.sha256(b"koinon sealed request 1\0" + work_id.to_bytes(32, "big"))
    for each in bound:
        whole.update(len(each).to_bytes(8, "big") + each)
    return whole.digest()


def answer_context(request: bytes) -> bytes:
    """What a sealed answer is bound to: the sealed request it answers."""
    return hashlib.sha256(b"koinon sealed answer 1\0" + request).digest()


def part_context(request: bytes, number: int) -> bytes:
    """What a part of a sealed stream is bound to: the sealed request, and its place from 0."""
    head = b"koinon sealed part 1\0" + number.to_bytes(8, "big")
    return hashlib.sha256(head + request).digest()


def seal(public: bytes, head: dict[str, Any], body: bytes, context: bytes) -> bytes:
    """A head and a body for whoever holds the private key; its length tells the content's in steps of `STEP`.

    BadInput when nobody can have that key.
    """
    line = orjson.dumps(head)
    padding = -(len(line) + len(body) + 1 + 2) % STEP
    plain = b"".join((padding.to_bytes(2, "big"), bytes(padding), line, b"\n", body))
    try:
        return _SUITE.encrypt(plain, X25519PublicKey.from_public_bytes(public), context)
    except ValueError:
        raise BadInput(
            "The reader's key is not a usable X25519 key.", code="service.sealing_reader"
        ) from None


def unseal(private: X25519PrivateKey, sealed: bytes, context: bytes) -> tuple[dict[str, Any], bytes]:
    """The head and the body; IntegrityError when for another reader or context, or changed."""
    try:
        plain = _SUITE.decrypt(sealed, private, context)
        padding = int.from_bytes(plain[:2], "big")
        line, _, body = plain[2 + padding :].partition(b"\n")
        head = dict(orjson.loads(line))
    except (InvalidTag, ValueError, TypeError):
        raise IntegrityError(
            "This was sealed for another reader or another payment, or was changed on the way.",
            hint="Somebody in between may have changed it.",
            code="service.sealed",
        ) from None
    return head, body
