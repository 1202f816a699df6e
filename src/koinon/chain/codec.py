# SPDX-License-Identifier: Apache-2.0
"""The contract ABI's encoding of values (Solidity ABI specification, strict form).

An `AbiType` is compiled once from a type name or an ABI parameter and then encodes and decodes Python values:

======================  ====================================================
``uintN``, ``intN``     int
``bool``                bool
``address``             EIP-55 str (20 bytes accepted when encoding)
``bytesN``, ``bytes``   bytes
``string``              str; bytes that are not UTF-8 read as U+FFFD, since anybody may store any bytes
``T[k]``, ``T[]``       list
tuple                   tuple (a mapping by component names accepted when encoding)
======================  ====================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, SupportsIndex

from koinon.chain.address import checksum, to_bytes
from koinon.errors import BadInput, IntegrityError

_ARRAY: Final = re.compile(r"^(.*)\[(\d*)\]$")
_INTEGER: Final = re.compile(r"^(u?)int(\d{0,3})$")
_FIXED_BYTES: Final = re.compile(r"^bytes(\d{1,2})$")


class Reader:
    """Encoded bytes with a budget: canonical data spends at least one word an element, so data that points
    many times into the same bytes (to blow up memory) runs out of it."""

    __slots__ = ("data", "words_left")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.words_left = len(data) // 32

    def word(self, position: int) -> bytes:
        if position < 0 or position + 32 > len(self.data):
            raise IntegrityError("The encoded data ends too early.", code="chain.abi_data")
        return self.data[position : position + 32]

    def size(self, position: int) -> int:
        number = int.from_bytes(self.word(position), "big")
        if number > len(self.data):
            raise IntegrityError("The encoded data points outside itself.", code="chain.abi_data")
        return number

    def spend(self, words: int) -> None:
        self.words_left -= words
        if self.words_left < 0:
            raise IntegrityError("The encoded data reads the same bytes twice.", code="chain.abi_data")


class AbiType:
    """One ABI type. ``head_size``: bytes in its container's head (32 for dynamic types)."""

    name: str
    dynamic: bool = False
    head_size: int = 32

    def encode(self, value: Any) -> bytes:
        raise NotImplementedError

    def read(self, reader: Reader, position: int) -> Any:
        raise NotImplementedError

    def refuse(self, value: Any) -> BadInput:
        return BadInput(
            f"A value of type {type(value).__name__} does not fit {self.name}.", code="chain.abi_value"
        )


@dataclass(frozen=True)
class _Integer(AbiType):
    name: str
    lowest: int
    highest: int

    def encode(self, value: Any) -> bytes:
        if type(value) is not int and (isinstance(value, bool) or not isinstance(value, SupportsIndex)):
            raise self.refuse(value)
        number = value.__index__()
        if not self.lowest <= number <= self.highest:
            raise BadInput(f"{number} is outside the range of {self.name}.", code="chain.abi_value")
        return (number & (2**256 - 1)).to_bytes(32, "big")

    def read(self, reader: Reader, position: int) -> int:
        value = int.from_bytes(reader.word(position), "big", signed=self.lowest < 0)
        if not self.lowest <= value <= self.highest:
            raise IntegrityError(
                f"The encoded number is outside the range of {self.name}.", code="chain.abi_data"
            )
        return value


class _Bool(AbiType):
    name = "bool"

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, bool):
            raise self.refuse(value)
        return bytes(31) + bytes((value,))

    def read(self, reader: Reader, position: int) -> bool:
        number = int.from_bytes(reader.word(position), "big")
        if number > 1:
            raise IntegrityError("The encoded bool is neither 0 nor 1.", code="chain.abi_data")
        return bool(number)


class _Address(AbiType):
    name = "address"

    def encode(self, value: Any) -> bytes:
        if isinstance(value, bytes) and len(value) == 20:
            return bytes(12) + value
        if not isinstance(value, str):
            raise self.refuse(value)
        return bytes(12) + to_bytes(value)

    def read(self, reader: Reader, position: int) -> str:
        word = reader.word(position)
        if word[:12] != bytes(12):
            raise IntegrityError("The encoded address has more than 20 bytes.", code="chain.abi_data")
        return checksum(word[12:])


@dataclass(frozen=True)
class _FixedBytes(AbiType):
    name: str
    length: int

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, bytes | bytearray) or len(value) != self.length:
            raise BadInput(f"{self.name} takes exactly {self.length} bytes.", code="chain.abi_value")
        return bytes(value).ljust(32, b"\0")

    def read(self, reader: Reader, position: int) -> bytes:
        word = reader.word(position)
        if any(word[self.length :]):
            raise IntegrityError(f"The encoded {self.name} has too many bytes.", code="chain.abi_data")
        return word[: self.length]


class _Bytes(AbiType):
    name = "bytes"
    dynamic = True

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, bytes | bytearray):
            raise self.refuse(value)
        return len(value).to_bytes(32, "big") + bytes(value) + bytes(-len(value) % 32)

    def read(self, reader: Reader, position: int) -> bytes:
        length = reader.size(position)
        start = position + 32
        if start + length > len(reader.data):
            raise IntegrityError("The encoded data ends too early.", code="chain.abi_data")
        reader.spend(1 + length // 32)
        return reader.data[start : start + length]


class _String(AbiType):
    name = "string"
    dynamic = True

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise self.refuse(value)
        return _BYTES.encode(value.encode())

    def read(self, reader: Reader, position: int) -> str:
        return _BYTES.read(reader, position).decode(errors="replace")


_BYTES: Final = _Bytes()


class Tuple(AbiType):
    """Values one after another; ``names`` are the components' names ('' where the ABI gives none)."""

    def __init__(self, members: Sequence[AbiType], names: Sequence[str]) -> None:
        self.members = tuple(members)
        self.names = tuple(names)
        self.name = "(" + ",".join(member.name for member in self.members) + ")"
        self.dynamic = any(member.dynamic for member in self.members)
        self._head = sum(member.head_size for member in self.members)
        self.head_size = 32 if self.dynamic else self._head

    def encode(self, value: Any) -> bytes:
        if isinstance(value, Mapping):
            if set(value) != set(self.names):
                raise BadInput(
                    f"A mapping for {self.name} needs {', '.join(self.names)}.", code="chain.abi_value"
                )
            value = [value[name] for name in self.names]
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            raise self.refuse(value)
        if len(value) != len(self.members):
            raise BadInput(
                f"{self.name} takes {len(self.members)} values, not {len(value)}.", code="chain.abi_value"
            )
        return encode_sequence(self.members, value)

    def read(self, reader: Reader, position: int) -> tuple[Any, ...]:
        return tuple(read_sequence(self.members, reader, position))


class _Array(AbiType):
    def __init__(self, member: AbiType, length: int | None) -> None:
        self.member = member
        self.length = length
        self.name = f"{member.name}[{'' if length is None else length}]"
        self.dynamic = length is None or member.dynamic
        self.head_size = 32 if length is None or member.dynamic else member.head_size * length

    def encode(self, value: Any) -> bytes:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
            raise self.refuse(value)
        if self.length is not None and len(value) != self.length:
            raise BadInput(f"{self.name} takes exactly {self.length} values.", code="chain.abi_value")
        body = encode_sequence([self.member] * len(value), value)
        return len(value).to_bytes(32, "big") + body if self.length is None else body

    def read(self, reader: Reader, position: int) -> list[Any]:
        length = self.length
        if length is None:
            length = reader.size(position)
            position += 32
            reader.spend(length)
        return read_sequence([self.member] * length, reader, position)


def encode_sequence(types: Sequence[AbiType], values: Sequence[Any]) -> bytes:
    """Heads, then tails."""
    heads: list[bytes] = []
    tails: list[bytes] = []
    offset = sum(kind.head_size for kind in types)
    for kind, value in zip(types, values, strict=True):
        encoded = kind.encode(value)
        if kind.dynamic:
            heads.append(offset.to_bytes(32, "big"))
            tails.append(encoded)
            offset += len(encoded)
        else:
            heads.append(encoded)
    return b"".join(heads + tails)


def read_sequence(types: Sequence[AbiType], reader: Reader, base: int) -> list[Any]:
    """The inverse of `encode_sequence` for data that starts at ``base``."""
    values = []
    position = base
    for kind in types:
        values.append(kind.read(reader, base + reader.size(position) if kind.dynamic else position))
        position += kind.head_size
    return values


def from_parameter(parameter: Mapping[str, Any]) -> AbiType:
    """The type of one ``inputs``/``outputs``/``components`` entry of a JSON ABI."""
    return _build(str(parameter["type"]), parameter.get("components", ()))


def from_name(name: str) -> AbiType:
    """The type with this elementary or array name, such as ``uint256`` or ``bytes32[]``."""
    return _build(name, ())


def parameters(entries: Sequence[Mapping[str, Any]]) -> Tuple:
    """The tuple of a parameter list."""
    return Tuple(
        [from_parameter(entry) for entry in entries], [str(entry.get("name", "")) for entry in entries]
    )


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """``abi.encode`` of values with these elementary or array types."""
    return Tuple([from_name(name) for name in types], [""] * len(types)).encode(values)


def decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """The inverse of `encode`; `IntegrityError` when the data does not fit."""
    return Tuple([from_name(name) for name in types], [""] * len(types)).read(Reader(data), 0)


def _build(name: str, components: Sequence[Mapping[str, Any]]) -> AbiType:
    if match := _ARRAY.match(name):
        return _Array(_build(match[1], components), int(match[2]) if match[2] else None)
    if name == "tuple":
        return parameters(components)
    if name == "bool":
        return _Bool()
    if name == "address":
        return _Address()
    if name == "bytes":
        return _BYTES
    if name == "string":
        return _String()
    if match := _INTEGER.match(name):
        bits = int(match[2] or 256)
        if bits % 8 == 0 and 0 < bits <= 256:
            if match[1]:
                return _Integer(f"uint{bits}", 0, 2**bits - 1)
            return _Integer(f"int{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if (match := _FIXED_BYTES.match(name)) and 0 < int(match[1]) <= 32:
        return _FixedBytes(name, int(match[1]))
    raise BadInput(f"{name!r} is not a type of the contract ABI.", code="chain.abi_type")
