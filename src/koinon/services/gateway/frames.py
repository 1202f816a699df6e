# SPDX-License-Identifier: Apache-2.0
"""Frames between the gateway and its workers: a kind byte, a 4-byte big-endian length, and that many
bytes."""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

from koinon.services.gateway.metering import Measured

HEADER: Final = struct.Struct(">cI")
_UNITS: Final = struct.Struct(">q")


def write_frame(pipe: BinaryIO, kind: bytes, body: bytes) -> None:
    pipe.write(HEADER.pack(kind, len(body)) + body)
    pipe.flush()


def read_frame(pipe: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next frame, or None at the end of the input."""
    head = pipe.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    kind, length = HEADER.unpack(head)
    body = pipe.read(length)
    return (kind, body) if len(body) == length else None


def pack(measured: Measured) -> bytes:
    """A result and its units as a frame's body."""
    return _UNITS.pack(-1 if measured.units is None else measured.units) + measured.body


def unpack(body: bytes) -> Measured:
    """What `pack` packed."""
    (units,) = _UNITS.unpack_from(body)
    return Measured(body[_UNITS.size :], None if units < 0 else units)
