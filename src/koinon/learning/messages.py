# SPDX-License-Identifier: Apache-2.0
"""What owners and leader say to each other: a small JSON head, a binary payload, and an EIP-712 signature
over both.

On the wire a message is 4 bytes (big endian) length of the head, the head, the payload. A head holds
``kind``, the fields and ``signature``; the payload is bound by its sha256 digest, which is a signed field.
Signatures hold for one run of one Federation contract on one chain; `Consent` and `ParentPermission` are
checked again by the contracts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final, Self

import orjson

from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.keys import Key, PublicKeyCache
from koinon.errors import BadInput, IntegrityError

MAXIMUM_HEAD: Final = 1 << 20
_LONGEST_NUMBER: Final = 1 << 53  # as much as every reader of JSON keeps exactly; beyond, 0x and hexadecimal
_SIGNERS: Final = PublicKeyCache(4_096)


def federation_domain(chain_id: int, federation: str = ZERO_ADDRESS) -> Domain:
    """Domain of everything said in a run; zero address for runs without a chain."""
    return Domain("Koinon Federation", "1", chain_id, federation)


def works_domain(chain_id: int, works: str) -> Domain:
    """Domain of a parent permission, as `Works.vy` checks it."""
    return Domain("ERC8004IdentityRegistry", "1", chain_id, works)


CONSENT: Final = TypedStruct("Consent(uint256 runId,uint256 workId,uint64 minimumShare,uint256 deadline)")
PARENT_PERMISSION: Final = TypedStruct(
    "ParentPermission(uint256 parentId,address publisher,uint64 minimumShare,uint256 deadline)"
)


def payload_digest(data: bytes) -> bytes:
    """sha256: the digest inside the payload's CID."""
    return hashlib.sha256(data).digest()


@dataclass(frozen=True)
class Message:
    """Base of all signed messages. Fields of type bytes travel as hex; addresses are EIP-55."""

    TYPE: ClassVar[TypedStruct]
    KIND: ClassVar[str]

    def struct_hash(self) -> bytes:
        """hashStruct of the signed fields, in the order of the EIP-712 type."""
        raise NotImplementedError

    def pack(self, key: Key, domain: Domain, payload: bytes = b"") -> bytes:
        """Sign and write."""
        head = {name: _plain(value) for name, value in asdict(self).items()}
        head["kind"] = self.KIND
        head["signature"] = key.sign(digest(domain, self.struct_hash())).hex()
        encoded = orjson.dumps(head)
        return len(encoded).to_bytes(4, "big") + encoded + payload

    @classmethod
    def unpack(cls, data: bytes, domain: Domain, signer: str | None = None) -> tuple[Self, bytes]:
        """Read, check the signature and return message and payload.

        Parameters
        ----------
        signer : str, optional
            Who must have signed; by default the message's own ``owner`` field.

        Raises
        ------
        BadInput
            Not such a message.
        IntegrityError
            Not signed by whom it should be.
        """
        head, payload = split_frame(data)
        if head.pop("kind", None) != cls.KIND:
            raise BadInput(f"This is not a '{cls.KIND}' message.", code="learning.message")
        try:
            signature = bytes.fromhex(head.pop("signature"))
            message = cls(**{field.name: _typed(field.type, head.pop(field.name)) for field in fields(cls)})
            struct_hash = message.struct_hash()
        except (KeyError, TypeError, ValueError, AttributeError, BadInput) as error:
            raise BadInput(f"This '{cls.KIND}' message is malformed.", code="learning.message") from error
        if head:
            raise BadInput(f"This '{cls.KIND}' message says too much.", code="learning.message")
        expected = signer if signer is not None else getattr(message, "owner", None)
        if expected is None or not _SIGNERS.verify(digest(domain, struct_hash), signature, expected):
            raise IntegrityError(
                f"The signature of this '{cls.KIND}' message is not by {expected}.",
                hint="It was altered, forged, or made for another run or network.",
                code="learning.signature",
            )
        return message, payload


def split_frame(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Head and payload of a frame, unchecked; BadInput when it is none."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 or length > MAXIMUM_HEAD or len(data) < 4 + length:
        raise BadInput("A message was cut off or is no message.", code="learning.message")
    try:
        head = orjson.loads(data[4 : 4 + length])
    except ValueError as error:
        raise BadInput("A message's head is not JSON.", code="learning.message") from error
    if not isinstance(head, dict):
        raise BadInput("A message's head is not an object.", code="learning.message")
    return head, data[4 + length :]


@dataclass(frozen=True)
class Offer(Message):
    """The opener invites: this run, this recipe (the payload), behind this TLS certificate."""

    run_id: int
    recipe: bytes
    certificate: bytes

    KIND: ClassVar[str] = "offer"
    TYPE: ClassVar[TypedStruct] = TypedStruct("Offer(uint256 runId,bytes32 recipe,bytes32 certificate)")

    def struct_hash(self) -> bytes:
        return self.TYPE.hash(self.run_id, self.recipe, self.certificate)


@dataclass(frozen=True)
class Joining(Message):
    """An owner joins with a dataset Work and what its table counts; the payload is its statistics (or empty).

    ``consent`` and ``permission`` are the owner's signatures for the contracts (empty without a chain);
    ``permission`` begins with its 32-byte deadline, as Works takes it.
    """

    run_id: int
    owner: str
    work_id: int
    recipe: bytes
    examples: int
    statistics: bytes
    minimum_share: int
    deadline: int
    consent: bytes
    permission: bytes

    KIND: ClassVar[str] = "joining"
    TYPE: ClassVar[TypedStruct] = TypedStruct(
        "Joining(uint256 runId,address owner,uint256 workId,bytes32 recipe,uint64 examples,"
        "bytes32 statistics,uint64 minimumShare,uint256 deadline,bytes consent,bytes permission)"
    )

    def struct_hash(self) -> bytes:
        return self.TYPE.hash(
            self.run_id,
            self.owner,
            self.work_id,
            self.recipe,
            self.examples,
            self.statistics,
            self.minimum_share,
            self.deadline,
            self.consent,
            self.permission,
        )


@dataclass(frozen=True)
class LocalUpdate(Message):
    """An owner's change of the model in one round; the payload is the encoded change."""

    run_id: int
    round: int
    owner: str
    base: bytes
    update: bytes
    examples: int

    KIND: ClassVar[str] = "update"
    TYPE: ClassVar[TypedStruct] = TypedStruct(
        "LocalUpdate(uint256 runId,uint32 round,address owner,bytes32 base,bytes32 update,uint64 examples)"
    )

    def struct_hash(self) -> bytes:
        return self.TYPE.hash(self.run_id, self.round, self.owner, self.base, self.update, self.examples)


@dataclass(frozen=True)
class GlobalModel(Message):
    """The model after a round (0: the first); the payload is the encoded vector.

    ``updates`` digests the round's update digests in owner order, ``participants`` has a bit an owner in
    joining order, ``index`` is the reader's place in that order, ``scaling`` the digest of the scaling's
    JSON.
    """

    run_id: int
    round: int
    model: bytes
    updates: bytes
    participants: int
    last: bool

    KIND: ClassVar[str] = "global"
    TYPE: ClassVar[TypedStruct] = TypedStruct(
        "GlobalModel(uint256 runId,uint32 round,bytes32 model,bytes32 updates,uint256 participants,bool last)"
    )

    def struct_hash(self) -> bytes:
        return self.TYPE.hash(self.run_id, self.round, self.model, self.updates, self.participants, self.last)


@dataclass(frozen=True)
class Start(Message):
    """The answer to joining: the reader's place, the common scaling; the payload is a `GlobalModel` frame."""

    run_id: int
    owner: str
    index: int
    scaling: str

    KIND: ClassVar[str] = "start"
    TYPE: ClassVar[TypedStruct] = TypedStruct(
        "Start(uint256 runId,address owner,uint32 index,string scaling)"
    )

    def struct_hash(self) -> bytes:
        return self.TYPE.hash(self.run_id, self.owner, self.index, self.scaling)


@dataclass(frozen=True)
class AloneModel(Message):
    """The model an owner made by itself, shown only to be measured; the payload is its vector."""

    run_id: int
    owner: str
    model: bytes

    KIND: ClassVar[str] = "alone"
    TYPE: ClassVar[TypedStruct] = TypedStruct("AloneModel(uint256 runId,address owner,bytes32 model)")

    def struct_hash(self) -> bytes:
        return self.TYPE.hash(self.run_id, self.owner, self.model)


@dataclass(frozen=True)
class Report(Message):
    """What an owner found out on rows of its own and tells, see `OwnReport`; the payload is its JSON."""

    run_id: int
    owner: str
    report: bytes

    KIND: ClassVar[str] = "report"
    TYPE: ClassVar[TypedStruct] = TypedStruct("Report(uint256 runId,address owner,bytes32 report)")

    def struct_hash(self) -> bytes:
        return self.TYPE.hash(self.run_id, self.owner, self.report)


def updates_digest(updates: Mapping[int, bytes]) -> bytes:
    """sha256 over (owner index as one byte ‖ update digest) in index order: what the chain records."""
    return hashlib.sha256(b"".join(bytes((index,)) + updates[index] for index in sorted(updates))).digest()


def _plain(value: Any) -> Any:
    if isinstance(value, int) and value >= _LONGEST_NUMBER:
        return hex(value)
    return value.hex() if isinstance(value, bytes) else value


def _typed(annotation: Any, value: Any) -> Any:
    match annotation:
        case "bytes":
            return bytes.fromhex(value)
        case "int" if isinstance(value, int) and not isinstance(value, bool):
            return value
        case "int" if isinstance(value, str) and value.startswith("0x"):
            return int(value, 16)
        case "bool" if isinstance(value, bool):
            return value
        case "str" if isinstance(value, str):
            return checksum(value) if len(value) == 42 and value.startswith("0x") else value
        case _:
            raise ValueError(annotation)
