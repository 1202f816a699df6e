# SPDX-License-Identifier: Apache-2.0
"""Archives of blocks: CAR files, version 1 written and read, version 2 read.

Source: IPLD CARv1 and CARv2 specifications; DAG-CBOR (tag 42 for links, map keys by length and then bytes);
unsigned varints of multiformats (shortest form, nine bytes at most). An archive is read as a stream: memory
holds one block at a time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from koinon.errors import BadInput, IntegrityError
from koinon.store.cid import digest_of
from koinon.store.limited import Limited

HEADER_LIMIT: Final = 1 << 20
BLOCK_LIMIT: Final = 1 << 30
"""Bytes of the longest header and of the longest block that are read."""
PRAGMA: Final = bytes.fromhex("0aa16776657273696f6e02")
RAW, DAG_PB, SHA2_256, IDENTITY = 0x55, 0x70, 0x12, 0x00

_V2_HEADER_BYTES: Final = 40
_DIGEST_LIMIT: Final = 128
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True)
class Link:
    """A CID of any kind, as an archive names its blocks."""

    version: int
    codec: int
    hash_function: int
    digest: bytes

    @classmethod
    def of(cls, cid: str) -> Link:
        """The link of a raw SHA-256 block; BadInput for any other CID."""
        return cls(1, RAW, SHA2_256, digest_of(cid))

    def encode(self) -> bytes:
        """As bytes."""
        multihash = varint(self.hash_function) + varint(len(self.digest)) + self.digest
        return multihash if self.version == 0 else varint(1) + varint(self.codec) + multihash

    def __str__(self) -> str:
        if self.version == 0:
            number, text = int.from_bytes(self.encode(), "big"), ""
            while number:
                number, place = divmod(number, 58)
                text = _BASE58[place] + text
            return text
        return "b" + base64.b32encode(self.encode()).decode().rstrip("=").lower()

    @property
    def is_ours(self) -> bool:
        """Whether a store can keep it: a raw block under SHA-256, CID version 1."""
        return (self.version, self.codec, self.hash_function) == (1, RAW, SHA2_256)

    @property
    def can_be_checked(self) -> bool:
        """Whether its bytes can be held to it."""
        return self.hash_function in (SHA2_256, IDENTITY)

    def matches(self, data: bytes) -> bool:
        """Whether ``data`` is what it names, where that can be checked."""
        return self.digest == (data if self.hash_function == IDENTITY else hashlib.sha256(data).digest())


def varint(number: int) -> bytes:
    """``number`` as an unsigned varint."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def write_car(stream: BinaryIO, roots: Iterable[str], blocks: Iterable[tuple[str, bytes]]) -> int:
    """Write a version 1 archive of raw blocks; returns how many bytes."""
    links = [
        b"\xd8\x2a" + _head(2, len(cid) + 1) + b"\0" + cid for cid in (Link.of(r).encode() for r in roots)
    ]
    header = b"\xa2\x65roots" + _head(4, len(links)) + b"".join(links) + b"\x67version\x01"
    written = stream.write(varint(len(header)) + header)
    for cid, data in blocks:
        link = Link.of(cid)
        if not link.matches(data):
            raise IntegrityError(
                f"The bytes are not those of {cid}.", hint="Read the block again.", code="store.corrupt"
            )
        name = link.encode()
        written += stream.write(varint(len(name) + len(data)) + name)
        written += stream.write(data)
    return written


class CarReader:
    """An archive being read: its ``roots`` at once, its blocks by iterating, once.

    Raises
    ------
    BadInput
        It is no CAR, is cut short, or goes past a limit.
    IntegrityError
        A block is not what its CID says.
    """

    def __init__(self, stream: BinaryIO) -> None:
        source = Limited(stream)
        head = source.take(len(PRAGMA), "its beginning")
        if head == PRAGMA:
            source = _inside_v2(source)
            head = b""
        source.give_back(head)
        self.roots = _roots(source.take(_length(source, HEADER_LIMIT, "header"), "its header"))
        self._source = source

    def __iter__(self) -> Iterator[tuple[Link, bytes]]:
        while not self._source.ended():
            section = Limited.of(self._source, _length(self._source, BLOCK_LIMIT, "block"))
            link = _link(section)
            data = section.rest("a block")
            if link.can_be_checked and not link.matches(data):
                raise IntegrityError(
                    f"The block {link} in this archive was changed.",
                    hint="Get the archive again from whoever made it.",
                    code="store.car_block",
                )
            yield link, data


def _inside_v2(source: Limited) -> Limited:
    """The version 1 archive inside; its index is not needed."""
    header = source.take(_V2_HEADER_BYTES, "its version 2 header")
    offset, size = (int.from_bytes(header[at : at + 8], "little") for at in (16, 24))
    start = len(PRAGMA) + _V2_HEADER_BYTES
    if offset < start or size == 0:
        raise _broken("its version 2 header points nowhere")
    source.skip(offset - start)
    return Limited.of(source, size)


def _length(source: Limited, limit: int, what: str) -> int:
    length = source.varint()
    if not 0 < length <= limit:
        raise _broken(f"a {what} of {length} bytes; from 1 to {limit} are read")
    return length


def _link(source: Limited) -> Link:
    first = source.varint()
    if first == SHA2_256:
        if source.varint() != 32:
            raise _broken("a CID of version 0 with a digest that is not 32 bytes")
        return Link(0, DAG_PB, SHA2_256, source.take(32, "a CID"))
    if first != 1:
        raise _broken(f"a CID of version {first}")
    codec, function, size = source.varint(), source.varint(), source.varint()
    if size > _DIGEST_LIMIT or (function == SHA2_256 and size != 32):
        raise _broken(f"a digest of {size} bytes")
    return Link(1, codec, function, source.take(size, "a CID"))


def _roots(header: bytes) -> tuple[Link, ...]:
    """The roots of a version 1 header, which DAG-CBOR can write in one way only."""
    begins, ends = b"\xa2\x65roots", b"\x67version\x01"
    if not header.startswith(begins):
        raise _broken("its header is not that of version 1")
    source = Limited.over(header[len(begins) :])
    roots = []
    for _ in range(_count(source, 4)):
        if source.take(2, "its header") != b"\xd8\x2a":
            raise _broken("a root that is no link")
        content = Limited.of(source, _count(source, 2))
        if content.take(1, "a root") != b"\0":
            raise _broken("a root without the prefix of links")
        roots.append(_link(content))
        if not content.ended():
            raise _broken("bytes behind a root")
    if source.rest("its header") != ends:
        raise _broken("its header is not that of version 1")
    return tuple(roots)


def _head(kind: int, number: int) -> bytes:
    """The shortest CBOR head of a major type (RFC 8949 §3)."""
    if number < 24:
        return bytes([kind << 5 | number])
    size = next(size for size in range(4) if number < 1 << (8 << size))
    return bytes([kind << 5 | 24 + size]) + number.to_bytes(1 << size, "big")


def _count(source: Limited, kind: int) -> int:
    first = source.take(1, "its header")[0]
    number, extra = first & 0x1F, b""
    if 24 <= number <= 27:
        extra = source.take(1 << (number - 24), "its header")
        number = int.from_bytes(extra, "big")
    if bytes([first]) + extra != _head(kind, number):
        raise _broken("its header is not DAG-CBOR")
    return number


def _broken(what: str) -> BadInput:
    return BadInput(
        f"This is no CAR archive that can be read: {what}.",
        hint="Get the file again; it may have been cut short on its way.",
        code="store.car",
    )
