# SPDX-License-Identifier: Apache-2.0
"""Typed structured data (EIP-712) with everything that never changes computed once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from koinon.chain import codec
from koinon.chain.address import to_bytes
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput

_DOMAIN_TYPE_HASH: Final = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_STRUCT: Final = re.compile(r"([A-Za-z_$][\w$]*)\(([^()]*)\)")


@dataclass(frozen=True)
class Domain:
    """What a signature is for: these four fields, in this order, as every contract of Koinon uses them."""

    name: str
    version: str
    chain_id: int
    verifying_contract: str

    @cached_property
    def separator(self) -> bytes:
        """The domain separator: 32 bytes."""
        return keccak256(
            _DOMAIN_TYPE_HASH
            + keccak256(self.name.encode())
            + keccak256(self.version.encode())
            + self.chain_id.to_bytes(32, "big")
            + bytes(12)
            + to_bytes(self.verifying_contract)
        )


class TypedStruct:
    """A struct type, given as ``encodeType`` writes it: the struct, then every struct it refers to, by name.

    Parameters
    ----------
    encoded_type : str
        For example ``Voucher(bytes32 channelId,uint128 maxClaimableAmount)``.
    """

    def __init__(self, encoded_type: str) -> None:
        structs = _STRUCT.findall(encoded_type)
        if not structs or "".join(f"{name}({fields})" for name, fields in structs) != encoded_type:
            raise _not_a_type(encoded_type)
        self.encoded_type = encoded_type
        self.name: str = structs[0][0]
        self.type_hash = keccak256(encoded_type.encode())
        self.types: Mapping[str, tuple[tuple[str, str], ...]] = {
            name: _members(fields, encoded_type) for name, fields in structs
        }
        """Struct name to its (type, name) fields; the struct itself first."""
        self.fields = tuple(name for _, name in self.types[self.name])
        self.nested: Mapping[str, TypedStruct] = {
            name: TypedStruct(_reached(name, self.types)) for name, _ in structs[1:]
        }
        """The structs it refers to."""
        self._encoders = tuple(_encoder(kind, self.nested) for kind, _ in self.types[self.name])

    def hash(self, *values: Any) -> bytes:
        """``hashStruct``: 32 bytes.

        One value a field, in order. Strings and bytes are given as they are, an array as a list, a nested
        struct as a sequence of its own fields' values. Where only hashes are at hand, 32 bytes stand for a
        struct, or for an array of structs or of dynamic values (a wallet cannot show those: `typed_data`).
        """
        if len(values) != len(self._encoders):
            raise BadInput(
                f"{self.name} has {len(self._encoders)} fields, not {len(values)}.", code="chain.typed_data"
            )
        parts = [encode(value) for encode, value in zip(self._encoders, values, strict=True)]
        return keccak256(self.type_hash + b"".join(parts))

    def __repr__(self) -> str:
        return f"TypedStruct({self.encoded_type!r})"


def digest(domain: Domain, struct_hash: bytes) -> bytes:
    """What is signed: keccak256(0x1901 ‖ domain separator ‖ struct hash)."""
    return keccak256(b"\x19\x01" + domain.separator + struct_hash)


def _not_a_type(text: str) -> BadInput:
    return BadInput(f"{text!r} is not an EIP-712 type.", code="chain.typed_data")


def _members(fields: str, encoded_type: str) -> tuple[tuple[str, str], ...]:
    members = [field.split(" ") for field in fields.split(",") if field]
    if any(len(member) != 2 for member in members):
        raise _not_a_type(encoded_type)
    return tuple((kind, name) for kind, name in members)


def _reached(start: str, types: Mapping[str, tuple[tuple[str, str], ...]]) -> str:
    """``encodeType`` of one of the structs: itself, then those it refers to, sorted by name."""
    found, waiting = {start}, [start]
    while waiting:
        for kind, _ in types[waiting.pop()]:
            base = kind.split("[", 1)[0]
            if base == start:
                raise BadInput(f"The type {start} contains itself.", code="chain.typed_data")
            if base in types and base not in found:
                found.add(base)
                waiting.append(base)
    ordered = [start, *sorted(found - {start})]
    return "".join(
        f"{name}({','.join(f'{kind} {field}' for kind, field in types[name])})" for name in ordered
    )


def _encoder(kind: str, structs: Mapping[str, TypedStruct]) -> Callable[[Any], bytes]:
    base = kind.split("[", 1)[0]
    if kind != base:
        return _ArrayEncoder(base, kind[len(base) :], structs)
    if base in structs:
        return _StructEncoder(structs[base])
    if kind == "string":
        return _hash_text
    if kind == "bytes":
        return keccak256
    encode: Callable[[Any], bytes] = codec.from_name(kind).encode
    return encode


def _hash_text(text: str) -> bytes:
    return keccak256(text.encode())


class _StructEncoder:
    """hashStruct of a nested struct, given as its fields' values or as that hash itself."""

    def __init__(self, struct: TypedStruct) -> None:
        self._struct = struct

    def __call__(self, value: bytes | Sequence[Any]) -> bytes:
        return _word(value) if isinstance(value, bytes) else self._struct.hash(*value)


class _ArrayEncoder:
    """keccak256 of the concatenated elements, each padded to a word (nested arrays are hashed themselves)."""

    def __init__(self, base: str, dimensions: str, structs: Mapping[str, TypedStruct]) -> None:
        inner, _, _ = dimensions.rpartition("[")
        self._length = dimensions[len(inner) + 1 : -1]
        self._member: Callable[[Any], bytes] = (
            _ArrayEncoder(base, inner, structs) if inner else _encoder(base, structs)
        )
        self._opaque = base in structs or base in ("string", "bytes")

    def __call__(self, values: bytes | Sequence[Any]) -> bytes:
        if self._opaque and isinstance(values, bytes):
            return _word(values)
        if self._length and len(values) != int(self._length):
            raise BadInput(f"Expected {self._length} values.", code="chain.typed_data")
        return keccak256(b"".join(self._member(value) for value in values))


def _word(value: bytes) -> bytes:
    if len(value) != 32:
        raise BadInput("A hash has 32 bytes.", code="chain.typed_data")
    return value
