# SPDX-License-Identifier: Apache-2.0
"""Typed structured data (EIP-712) with everything that never changes computed once."""

from __future__ import annotations

import re
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
            raise BadInput(f"{encoded_type!r} is not an EIP-712 type.", code="chain.typed_data")
        known = {name for name, _ in structs}
        self.encoded_type = encoded_type
        self.name: str = structs[0][0]
        self.type_hash = keccak256(encoded_type.encode())
        fields = [field.split(" ") for field in structs[0][1].split(",") if field]
        if any(len(field) != 2 for field in fields):
            raise BadInput(f"{encoded_type!r} is not an EIP-712 type.", code="chain.typed_data")
        self.fields = tuple(name for _, name in fields)
        self._encoders = tuple(_encoder(kind, known) for kind, _ in fields)

    def hash(self, *values: Any) -> bytes:
        """``hashStruct``: 32 bytes.

        One value a field, in order. Strings and bytes are given as they are; a nested struct as its own
        32-byte hash, an array of structs or of dynamic values as the 32-byte hash of its elements' hashes, an
        array of static values as a list.
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


def _encoder(kind: str, structs: set[str]) -> Any:
    base = kind.split("[", 1)[0]
    if base in structs or (kind != base and base in ("string", "bytes")):
        return codec.from_name("bytes32").encode
    if kind == "string":
        return _hash_text
    if kind == "bytes":
        return keccak256
    if kind != base:
        return _ArrayEncoder(base, kind[len(base) :])
    return codec.from_name(kind).encode


def _hash_text(text: str) -> bytes:
    return keccak256(text.encode())


class _ArrayEncoder:
    """keccak256 of the concatenated elements, each padded to a word (nested arrays are hashed themselves)."""

    def __init__(self, base: str, dimensions: str) -> None:
        inner, _, _ = dimensions.rpartition("[")
        self._length = dimensions[len(inner) + 1 : -1]
        self._member = _ArrayEncoder(base, inner) if inner else codec.from_name(base).encode

    def __call__(self, values: list[Any]) -> bytes:
        if self._length and len(values) != int(self._length):
            raise BadInput(f"Expected {self._length} values.", code="chain.typed_data")
        return keccak256(b"".join(self._member(value) for value in values))
