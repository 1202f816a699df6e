# SPDX-License-Identifier: Apache-2.0
"""Content that is sold: sealed with a key of its own, piece by piece, into the content store.

The key is split among keepers; the Work's owner signs what was sealed, for whom, and a commitment to every
share, so that a keeper who hands out a wrong one is found out at once.

Each piece is a block of its own: ChaCha20-Poly1305 in the STREAM construction (Hoang, Reyhanitabar, Rogaway,
Vizár 2015) as age uses it: the nonce is the piece's number (11 bytes) and whether it is the last (1 byte).
Pieces that are left out, moved, cut off or added do not open. A list of the pieces' digests is a block too.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.chain.keys import recover
from koinon.data.sealed_box import seal_to
from koinon.errors import BadInput, IntegrityError, KoinonError
from koinon.shamir import Share, split
from koinon.store import Store, cid_of, digest_of
from koinon.store.cid import cid_from_digest

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
CHUNK_BYTES: Final = (1 << 20) - TAG_BYTES
"""Content bytes in a piece: with the tag a block of 1 MiB, the most that content networks pass on."""
MAXIMUM_CHUNKS: Final = (1 << 20) // 32
MAXIMUM_KEEPERS: Final = 16

_KEEPER: Final = "Keeper(address account,bytes32 sealingKey,string url,bytes32 commitment)"
SEALED_CONTENT: Final = TypedStruct(
    "SealedContent(uint256 workId,uint64 size,bytes32 contentDigest,bytes32 chunkList,uint32 chunkBytes,"
    f"uint8 threshold,Keeper[] keepers){_KEEPER}"
)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who keeps a share: chain account, X25519 key (32 bytes), and where it answers (http or https)."""

    account: str
    sealing_key: bytes
    url: str


@dataclass(frozen=True)
class SealedContent:
    """What the owner of a Work signs about content that was sealed.

    ``size`` in bytes; ``content_digest`` SHA-256 of the content; ``chunk_list`` SHA-256 (and so the CID) of
    the block that lists the pieces; ``commitments`` one a keeper, see `share_commitment`. Keeper number i
    holds share i + 1.
    """

    work_id: int
    size: int
    content_digest: bytes
    chunk_list: bytes
    chunk_bytes: int
    threshold: int
    keepers: tuple[Keeper, ...]
    commitments: tuple[bytes, ...]
    signature: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.keepers) <= MAXIMUM_KEEPERS:
            raise _malformed(f"{self.threshold} of {len(self.keepers)} keepers cannot be asked for")
        if len(self.commitments) != len(self.keepers):
            raise _malformed("every keeper needs one commitment")
        if len({keeper.account for keeper in self.keepers}) < len(self.keepers):
            raise _malformed("a keeper is named twice")
        if not 1 <= self.chunk_bytes <= CHUNK_BYTES or not 0 <= self.size < 2**63:
            raise _malformed("the size of the content or of its pieces is out of range")
        words = (self.content_digest, self.chunk_list, *self.commitments)
        if any(len(word) != 32 for word in (*words, *(keeper.sealing_key for keeper in self.keepers))):
            raise _malformed("digests, commitments and keys have 32 bytes")

    @property
    def chunk_count(self) -> int:
        """How many pieces: at least one, even of nothing."""
        return max(1, -(-self.size // self.chunk_bytes))

    def values(self) -> tuple[Any, ...]:
        """As `SEALED_CONTENT` takes it."""
        keepers = [
            (keeper.account, keeper.sealing_key, keeper.url, commitment)
            for keeper, commitment in zip(self.keepers, self.commitments, strict=True)
        ]
        return (
            self.work_id,
            self.size,
            self.content_digest,
            self.chunk_list,
            self.chunk_bytes,
            self.threshold,
            keepers,
        )

    def content_id(self, domain: Domain) -> bytes:
        """What names this content everywhere, and what is signed: the EIP-712 digest, 32 bytes."""
        return digest(domain, SEALED_CONTENT.hash(*self.values()))

    def signed(self, owner: Account, domain: Domain) -> SealedContent:
        """The same with the owner's signature."""
        return replace(self, signature=owner.sign_typed(domain, SEALED_CONTENT, *self.values()))

    def signer(self, domain: Domain) -> str:
        """Who signed it; KeyFault when nobody can have. Whether that is the Work's owner, the chain says."""
        return recover(self.content_id(domain), self.signature)

    def to_json(self) -> bytes:
        """For publishing: a block of its own."""
        return orjson.dumps(
            {
                "work_id": str(self.work_id),
                "size": self.size,
                "content_digest": self.content_digest.hex(),
                "chunk_list": cid_from_digest(self.chunk_list),
                "chunk_bytes": self.chunk_bytes,
                "threshold": self.threshold,
                "keepers": [
                    {
                        "account": keeper.account,
                        "sealing_key": keeper.sealing_key.hex(),
                        "url": keeper.url,
                        "commitment": commitment.hex(),
                    }
                    for keeper, commitment in zip(self.keepers, self.commitments, strict=True)
                ],
                "signature": self.signature.hex(),
            },
            option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2,
        )

    @classmethod
    def from_json(cls, data: bytes | dict[str, Any]) -> SealedContent:
        """Read what `to_json` wrote; IntegrityError for anything else."""
        try:
            fields = data if isinstance(data, dict) else orjson.loads(data)
            keepers = fields["keepers"]
            return cls(
                work_id=_whole(int(fields["work_id"])),
                size=_whole(fields["size"]),
                content_digest=bytes.fromhex(fields["content_digest"]),
                chunk_list=digest_of(fields["chunk_list"]),
                chunk_bytes=_whole(fields["chunk_bytes"]),
                threshold=_whole(fields["threshold"]),
                keepers=tuple(
                    Keeper(
                        checksum(_text(each["account"])),
                        bytes.fromhex(each["sealing_key"]),
                        _text(each["url"]),
                    )
                    for each in keepers
                ),
                commitments=tuple(bytes.fromhex(each["commitment"]) for each in keepers),
                signature=bytes.fromhex(fields["signature"]),
            )
        except (KeyError, TypeError, ValueError, BadInput):
            raise _malformed("a field is missing or is not what it must be") from None


def content_domain(chain_id: int, works: str) -> Domain:
    """What owners sign for: content of Works in this register."""
    return Domain("Koinon Sealed Content", "1", chain_id, works)


def share_commitment(share: Share) -> bytes:
    """Keccak-256 that binds a share's number and value; a share is as unforeseeable as a key, so it hides."""
    return keccak256(b"koinon share 1" + bytes([share.index]) + share.value)


def share_context(content_id: bytes, account: str) -> bytes:
    """What a sealed share is bound to: this content, this keeper or buyer."""
    return b"koinon share 1" + content_id + bytes.fromhex(checksum(account)[2:])


def seal_content(
    store: Store,
    content: BinaryIO,
    *,
    work_id: int,
    keepers: Sequence[Keeper],
    threshold: int,
    domain: Domain,
    chunk_bytes: int = CHUNK_BYTES,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[SealedContent, tuple[bytes, ...]]:
    """Seal a stream into ``store`` under a fresh key and split the key.

    Returns the description, yet to be signed, and for each keeper its share sealed to it (81 bytes). The key
    itself is not returned: it is gone once this is.

    Raises BadInput: more than 32,768 pieces (32 GiB), or keepers that do not fit.
    """
    key = entropy(KEY_BYTES)
    hasher, digests, size = hashlib.sha256(), bytearray(), 0
    cipher = ChaCha20Poly1305(key)
    chunk = _read(content, chunk_bytes)
    for number in range(MAXIMUM_CHUNKS + 1):
        following = _read(content, chunk_bytes) if len(chunk) == chunk_bytes else b""
        if number == MAXIMUM_CHUNKS:
            raise BadInput(
                f"The content is larger than {MAXIMUM_CHUNKS * chunk_bytes} bytes.",
                hint="Sell it in several files.",
                code="data.too_large",
            )
        hasher.update(chunk)
        size += len(chunk)
        sealed = cipher.encrypt(_nonce(number, last=not following), chunk, None)
        digests += digest_of(store.put(sealed))
        if not following:
            break
        chunk = following
    shares = split(key, threshold, len(keepers))
    described = SealedContent(
        work_id=work_id,
        size=size,
        content_digest=hasher.digest(),
        chunk_list=digest_of(store.put(bytes(digests))),
        chunk_bytes=chunk_bytes,
        threshold=threshold,
        keepers=tuple(keepers),
        commitments=tuple(share_commitment(share) for share in shares),
    )
    content_id = described.content_id(domain)
    sealed_shares = tuple(
        seal_to(
            keeper.sealing_key, bytes([share.index]) + share.value, share_context(content_id, keeper.account)
        )
        for keeper, share in zip(keepers, shares, strict=True)
    )
    return described, sealed_shares


def read_share(opened: bytes, described: SealedContent) -> Share:
    """The share inside a box; IntegrityError unless it is one that the owner committed to."""
    if len(opened) == KEY_BYTES + 1:
        share = Share(opened[0], opened[1:])
        if 1 <= share.index <= len(described.commitments) and (
            share_commitment(share) == described.commitments[share.index - 1]
        ):
            return share
    raise IntegrityError(
        "This is not a share that the owner committed to.", hint="Ask another keeper.", code="data.share"
    )


def chunk_cids(store: Store, described: SealedContent) -> list[str]:
    """The CIDs of the pieces in order; IntegrityError when the list does not fit the size."""
    listed = store.get(cid_from_digest(described.chunk_list))
    if len(listed) != 32 * described.chunk_count:
        raise IntegrityError(
            "The list of pieces does not fit the size of the content.",
            hint="Do not buy this: its owner published a list that cannot be right.",
            code="data.chunk_list",
        )
    return [cid_from_digest(listed[place : place + 32]) for place in range(0, len(listed), 32)]


def open_chunks(store: Store, described: SealedContent, key: bytes, *, begin: int = 0) -> Iterator[bytes]:
    """The content, a piece at a time, from piece number ``begin``.

    Raises IntegrityError when a piece does not open with this key, NotFound when one is not in the store.
    The digest of the whole is for the caller to check, who may have earlier pieces already.
    """
    cipher = ChaCha20Poly1305(key)
    cids = chunk_cids(store, described)
    for number in range(begin, len(cids)):
        last = number == len(cids) - 1
        sealed = store.get(cids[number])
        if cid_of(sealed) != cids[number]:
            raise _broken(number)
        try:
            chunk = cipher.decrypt(_nonce(number, last=last), sealed, None)
        except InvalidTag:
            raise _broken(number) from None
        expected = described.size - number * described.chunk_bytes if last else described.chunk_bytes
        if len(chunk) != expected:
            raise _broken(number)
        yield chunk


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _read(stream: BinaryIO, size: int) -> bytes:
    """Exactly ``size`` bytes unless the stream ends: a pipe gives less at a time."""
    parts, left = [], size
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _broken(number: int) -> KoinonError:
    return IntegrityError(
        f"Piece {number + 1} of the content does not open with this key.",
        hint="What was sold is not what was sealed: ask for your money back.",
        code="data.chunk",
    )


def _malformed(reason: str) -> IntegrityError:
    return IntegrityError(
        f"The description of this content is wrong: {reason}.",
        hint="Ask its owner for the right one.",
        code="data.sealed_content",
    )


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
