# SPDX-License-Identifier: Apache-2.0
"""Ways to read an output other than as the numbers it says it is, in search of data hidden in it.

Numbers are read as bytes, bytes are decoded (hexadecimal, base64, zlib, gzip, bzip2, xz, one in another), and
what comes out is read as numbers again. Encryption, an XOR with anything, or a code of the program's own are
out of reach of any such list.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_DEPTH: Final = 3
_LEAST_BYTES: Final = 24
_MOST_BYTES: Final = 8 << 20
_LARGE: Final = 1 << 20
_MOST_STARTS: Final = 64
_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){24,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{32,}={0,2}")
_MAGIC: Final = {b"x\x01": "zlib", b"x^": "zlib", b"x\x9c": "zlib", b"x\xda": "zlib", b"\x1f\x8b": "gzip"} | {
    b"BZh": "bz2",
    b"\xfd7zXZ": "xz",
}
_WHOLE: Final = ("u1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8")
_FLOATS: Final = ("<f4", ">f4", "<f8", ">f8")


def byte_readings(values: Numbers) -> Iterator[bytes]:
    """The bytes that these numbers may stand for: whole ones by their value, all by how they are stored."""
    if values.size == 0:
        return
    yield values.astype("<f4").tobytes()
    yield values.astype("<f8").tobytes()
    if np.array_equal(values, np.rint(values)):
        low, high = float(values.min()), float(values.max())
        if low >= -128 and high <= 255:
            yield (values.astype(np.int64) & 255).astype(np.uint8).tobytes()
        for kind in ("<u2", ">u2", "<u4", ">u4", "<i8", ">i8"):
            width = int(kind[2])
            least, most = (-(2.0**63), 2.0**63) if width == 8 else (0, 256**width - 1)
            if low >= least and high <= most and high > 256 ** (width // 2):
                yield values.astype(kind).tobytes()


def decoded(content: bytes) -> Iterator[bytes]:
    """Everything that comes out of decoding, at any place in the bytes, several codes deep."""
    waiting, seen = [(content, 0)], {content}
    while waiting:
        code, depth = waiting.pop()
        for found in _once(code):
            if len(found) >= _LEAST_BYTES and found not in seen:
                seen.add(found)
                yield found
                if depth + 1 < _DEPTH:
                    waiting.append((found, depth + 1))


def numbers_of(content: bytes) -> Iterator[Numbers]:
    """The numbers that these bytes may stand for, in every usual type at every alignment, and as text.

    More than a MiB is read as little-endian floats and as text only.
    """
    for kind in (*_FLOATS, *_WHOLE) if len(content) <= _LARGE else ("<f4", "<f8"):
        width = np.dtype(kind).itemsize
        for start in range(width):
            count = (len(content) - start) // width
            if count > 0:
                with np.errstate(over="ignore", invalid="ignore"):
                    read = np.frombuffer(content, dtype=kind, count=count, offset=start).astype(np.float64)
                yield np.where(np.isfinite(read) & (np.abs(read) < 1e30), read, 0.0)
    words = _NUMBER.findall(content)
    if words:
        yield np.array([float(word) for word in words if len(word) < 400])


def _once(content: bytes) -> Iterator[bytes]:
    for match in _HEX.finditer(content):
        yield binascii.unhexlify(match[0])
    for match in _BASE64.finditer(content):
        text = match[0].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        yield base64.b64decode(text[: len(text) // 4 * 4])
        yield base64.b64decode(text + b"=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
    starts = 0
    for magic, name in _MAGIC.items():
        at = content.find(magic)
        while at >= 0 and starts < _MOST_STARTS:
            starts += 1
            yield _expand(name, content[at:])
            at = content.find(magic, at + 1)
    yield _expand("deflate", content)


def _expand(name: str, content: bytes) -> bytes:
    """As much as comes out: a code that was cut off still tells."""
    makers: dict[str, Callable[[], Any]] = {
        "zlib": zlib.decompressobj,
        "gzip": lambda: zlib.decompressobj(31),
        "deflate": lambda: zlib.decompressobj(-15),
        "bz2": bz2.BZ2Decompressor,
        "xz": lzma.LZMADecompressor,
    }
    decoder = makers[name]()
    found = bytearray()
    for at in range(0, len(content), 256):
        try:
            found += decoder.decompress(content[at : at + 256])
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            break
        if len(found) > _MOST_BYTES:
            break
    return bytes(found)
