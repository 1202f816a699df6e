# SPDX-License-Identifier: Apache-2.0
"""Reading a stream that may lie about its lengths: never more memory than there are bytes."""

from __future__ import annotations

import io
from typing import BinaryIO, Final, Self

from koinon.errors import BadInput

_CHUNK: Final = 1 << 20
_VARINT_BYTES: Final = 9


class Limited:
    """A stream, or the next ``left`` bytes of one."""

    def __init__(self, stream: BinaryIO | Limited, left: int | None = None) -> None:
        self._stream = stream
        self._left = left
        self._ahead = b""

    @classmethod
    def of(cls, outer: Limited, size: int) -> Self:
        """The next ``size`` bytes of another one."""
        return cls(outer, size)

    @classmethod
    def over(cls, data: bytes) -> Self:
        """Bytes at hand."""
        return cls(io.BytesIO(data), len(data))

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if self._left is not None:
            size = min(size, self._left)
        if self._ahead:
            got, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            got = self._stream.read(size) if size else b""
        if self._left is not None:
            self._left -= len(got)
        return got

    def take(self, size: int, what: str) -> bytes:
        """Exactly ``size`` bytes; BadInput, naming ``what``, where there are fewer."""
        out = bytearray()
        while len(out) < size:
            got = self.read(min(_CHUNK, size - len(out)))
            if not got:
                raise _short(what)
            out += got
        return bytes(out)

    def rest(self, what: str) -> bytes:
        """All that is left of a part of known size; BadInput where the stream ends earlier."""
        if self._left is None:
            raise AssertionError("the size is known")
        return self.take(self._left, what)

    def skip(self, size: int) -> None:
        """Pass over bytes."""
        while size:
            got = self.read(min(_CHUNK, size))
            if not got:
                raise _short("its padding")
            size -= len(got)

    def ended(self) -> bool:
        """Whether nothing is left."""
        if self._left is not None:
            return self._left == 0
        if not self._ahead:
            self._ahead = self._stream.read(1)
        return not self._ahead

    def give_back(self, data: bytes) -> None:
        """Put bytes that were read in front again."""
        self._ahead = data + self._ahead

    def varint(self) -> int:
        """An unsigned varint in its shortest form."""
        number = 0
        for place in range(_VARINT_BYTES):
            byte = self.take(1, "a length")[0]
            number |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if byte == 0 and place:
                    raise _wrong("a length with needless bytes")
                return number
        raise _wrong("a length of more than nine bytes")


def _short(what: str) -> BadInput:
    return _wrong(f"it ends within {what}")


def _wrong(what: str) -> BadInput:
    return BadInput(
        f"This is no CAR archive that can be read: {what}.",
        hint="Get the file again; it may have been cut short on its way.",
        code="store.car",
    )
