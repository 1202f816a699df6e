# SPDX-License-Identifier: Apache-2.0
"""Signed envelopes: what travels between agents, as bytes and as EIP-712 data.

On the wire an envelope is 232 bytes and its payload, in this order, big-endian: ``KA``, version 1, the
sender's Work (8) and account (20), the target's Work and account, session (16, a UUID), schema digest (32),
protocol digest (32), expiry in Unix seconds (8), nonce (16), the payload's length (4), the payload, the
signature (65: r ‖ s ‖ v, low s). What is signed is typed data of the domain "Koinon agents", version 1, the
network's chain id and its Works, so that an envelope is worth nothing on another network and no other
signature passes for one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from koinon.agents.address import Address, words
from koinon.agents.context import LONGEST_LIFETIME_S
from koinon.agents.message import PAYLOAD_LIMIT
from koinon.chain.eip712 import Domain, TypedStruct
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key, PublicKeyCache
from koinon.errors import BadInput, IntegrityError

ENVELOPE: Final = TypedStruct(
    "Envelope(uint256 senderWork,address sender,uint256 targetWork,address target,bytes16 session,"
    "bytes32 schemaDigest,bytes32 protocolDigest,bytes payload,uint64 expires,bytes16 nonce)"
)
CLOCK_SKEW_S: Final = 60
"""How far two hosts' clocks may differ, in seconds: so much later an expired envelope still passes, and so
much longer than a day another may be said to live."""

_HEAD: Final = struct.Struct(">2sBQ20sQ20s16s32s32sQ16sI")
_MAGIC: Final = b"KA"
_VERSION: Final = 1
_SIGNATURE: Final = 65
OVERHEAD: Final = _HEAD.size + _SIGNATURE
ENVELOPE_LIMIT: Final = OVERHEAD + PAYLOAD_LIMIT


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message with all that surrounds it. ``expires`` in Unix seconds; ``nonce`` 16 random bytes."""

    sender: Address
    target: Address
    session: UUID
    schema: bytes
    protocol: bytes
    payload: bytes
    expires: int
    nonce: bytes
    signature: bytes = b""

    def digest(self, domain: Domain) -> bytes:
        """What is signed, and the message's name: 32 bytes."""
        hashed = keccak256(
            ENVELOPE.type_hash
            + words(self.sender)
            + words(self.target)
            + self.session.bytes
            + _PADDING
            + self.schema
            + self.protocol
            + keccak256(self.payload)
            + self.expires.to_bytes(32, "big")
            + self.nonce
            + _PADDING
        )
        return keccak256(b"\x19\x01" + domain.separator + hashed)

    def signed(self, key: Key, domain: Domain) -> tuple[Envelope, bytes]:
        """The same with its signature by ``key``, which is the sender's, and its digest."""
        digest = self.digest(domain)
        return replace(self, signature=key.sign(digest)), digest

    def to_bytes(self) -> bytes:
        """The wire form."""
        head = _HEAD.pack(
            _MAGIC,
            _VERSION,
            self.sender.work_id,
            bytes.fromhex(self.sender.account[2:]),
            self.target.work_id,
            bytes.fromhex(self.target.account[2:]),
            self.session.bytes,
            self.schema,
            self.protocol,
            self.expires,
            self.nonce,
            len(self.payload),
        )
        return head + self.payload + self.signature

    @classmethod
    def from_bytes(cls, content: bytes) -> Envelope:
        """Read the wire form; nothing is believed yet (see `check`).

        Raises
        ------
        BadInput
            ``agents.envelope_malformed``, or ``agents.envelope_too_long``.
        """
        if len(content) > ENVELOPE_LIMIT:
            raise BadInput(
                f"The envelope has {len(content)} bytes.",
                hint=f"At most {ENVELOPE_LIMIT}.",
                code="agents.envelope_too_long",
            )
        if len(content) < OVERHEAD:
            raise _malformed(f"it has {len(content)} bytes")
        (
            magic,
            version,
            sender_work,
            sender,
            target_work,
            target,
            session,
            *digests,
            expires,
            nonce,
            length,
        ) = _HEAD.unpack_from(content)
        if magic != _MAGIC or version != _VERSION:
            raise _malformed("it does not begin as one of version 1")
        if length != len(content) - OVERHEAD:
            raise _malformed("its length is another than it says")
        return cls(
            Address.of(sender_work, sender),
            Address.of(target_work, target),
            UUID(bytes=session),
            digests[0],
            digests[1],
            content[_HEAD.size : _HEAD.size + length],
            expires,
            nonce,
            content[_HEAD.size + length :],
        )


def check(envelope: Envelope, domain: Domain, now: float, keys: PublicKeyCache) -> bytes:
    """The digest of an envelope that its sender signed for this network and that has not expired.

    Raises
    ------
    BadInput
        ``agents.expired``: it came too late; ``agents.too_long_lived``: its expiry is further than a day and
        `CLOCK_SKEW_S` away.
    IntegrityError
        ``agents.forged``: the sender's account did not sign it.
    """
    if envelope.expires + CLOCK_SKEW_S < now:
        raise BadInput(
            f"The envelope expired {now - envelope.expires:.0f} s ago.",
            hint="Send the message again, and see whether both clocks are right.",
            code="agents.expired",
        )
    if envelope.expires > now + LONGEST_LIFETIME_S + CLOCK_SKEW_S:
        raise BadInput(
            "The envelope expires more than a day from now.",
            hint="Give it less time, and see whether both clocks are right.",
            code="agents.too_long_lived",
        )
    digest = envelope.digest(domain)
    if not keys.verify(digest, envelope.signature, envelope.sender.account):
        raise IntegrityError(
            f"The envelope was not signed by {envelope.sender.account}.",
            hint="It was changed on its way, made for another network, or forged.",
            code="agents.forged",
        )
    return digest


_PADDING: Final = bytes(16)


def _malformed(why: str) -> BadInput:
    return BadInput(
        f"This is no envelope: {why}.",
        hint="See the wire form in its source.",
        code="agents.envelope_malformed",
    )
