# SPDX-License-Identifier: Apache-2.0
"""Functions, events and revert reasons of a contract, bound from its JSON ABI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from koinon.chain import codec
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, IntegrityError

_ERROR_STRING: Final = keccak256(b"Error(string)")[:4]
_PANIC: Final = keccak256(b"Panic(uint256)")[:4]
_PANICS: Final = {
    0x01: "assertion failed",
    0x11: "arithmetic overflow or underflow",
    0x12: "division or modulo by zero",
    0x21: "value outside its enumeration",
    0x31: "pop from an empty array",
    0x32: "array index out of bounds",
    0x41: "too much memory",
    0x51: "call of an empty function pointer",
}


class Function:
    """One function of a contract.

    ``selector`` 4 bytes, ``signature`` such as ``transfer(address,uint256)``, ``mutates`` whether it needs a
    transaction, ``payable`` whether it may receive ETH.
    """

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.name = str(entry["name"])
        self.inputs = codec.parameters(entry.get("inputs", ()))
        self.outputs = codec.parameters(entry.get("outputs", ()))
        self.signature = self.name + self.inputs.name
        self.selector = keccak256(self.signature.encode())[:4]
        mutability = entry.get("stateMutability", "nonpayable")
        self.mutates = mutability not in ("view", "pure")
        self.payable = mutability == "payable"

    def encode(self, *values: Any) -> bytes:
        """Call data; `BadInput` names the function when a value does not fit."""
        try:
            return self.selector + self.inputs.encode(values)
        except BadInput as fault:
            raise BadInput(f"{self.signature}: {fault.message}", hint=fault.hint, code=fault.code) from None

    def decode_inputs(self, data: bytes) -> tuple[Any, ...]:
        """The arguments in call data of this function."""
        if data[:4] != self.selector:
            raise IntegrityError(f"The call data is not for {self.signature}.", code="chain.abi_data")
        return self.inputs.read(codec.Reader(data[4:]), 0)

    def decode(self, data: bytes) -> Any:
        """What a call returned: None, the single value, or a tuple of values."""
        values = self.outputs.read(codec.Reader(data), 0)
        if not values:
            return None
        return values[0] if len(values) == 1 else values

    def __repr__(self) -> str:
        return f"Function({self.signature})"


class Event:
    """One event of a contract. ``topic``: keccak256 of its signature, 32 bytes."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.name = str(entry["name"])
        everything = codec.parameters(entry["inputs"])
        self.signature = self.name + everything.name
        self.topic = keccak256(self.signature.encode())
        self.names = everything.names
        self._indexed = [
            (name, kind)
            for name, kind, field in zip(everything.names, everything.members, entry["inputs"], strict=True)
            if field.get("indexed")
        ]
        self._data = codec.parameters([field for field in entry["inputs"] if not field.get("indexed")])

    def matches(self, log: Mapping[str, Any]) -> bool:
        """Whether a log (as the node gives it) is this event: same topic, as many indexed fields."""
        topics = log["topics"]
        return len(topics) == 1 + len(self._indexed) and bytes.fromhex(topics[0][2:]) == self.topic

    def decode(self, log: Mapping[str, Any]) -> dict[str, Any]:
        """Field name → value, in the ABI's order. Indexed strings, bytes and arrays are their hashes.

        Raises
        ------
        IntegrityError
            The log is another event's, or malformed.
        """
        if not self.matches(log):
            raise IntegrityError(f"The log is not a {self.signature}.", code="chain.abi_data")
        found: dict[str, Any] = {}
        for (name, kind), topic in zip(self._indexed, log["topics"][1:], strict=True):
            word = bytes.fromhex(topic[2:])
            hashed = kind.dynamic or isinstance(kind, codec.Tuple) or kind.name.endswith("]")
            found[name] = word if hashed else kind.read(codec.Reader(word), 0)
        data = codec.Reader(bytes.fromhex(log["data"][2:]))
        found.update(zip(self._data.names, self._data.read(data, 0), strict=True))
        return {name: found[name] for name in self.names}

    def topics(self, **indexed: Any) -> list[str | None]:
        """A filter for ``eth_getLogs``: the event's topic and the given indexed fields (None = any)."""
        unknown = set(indexed) - {name for name, _ in self._indexed}
        if unknown:
            raise BadInput(f"{self.signature} has no indexed field {', '.join(sorted(unknown))}.")
        topics: list[str | None] = ["0x" + self.topic.hex()]
        for name, kind in self._indexed:
            if name not in indexed:
                topics.append(None)
            elif kind.name in ("string", "bytes"):
                content = indexed[name]
                topics.append(
                    "0x" + keccak256(content.encode() if isinstance(content, str) else content).hex()
                )
            elif kind.dynamic:
                raise BadInput(
                    f"{self.signature}: {name} is filtered by its hash, which only the emitter knows."
                )
            else:
                topics.append("0x" + kind.encode(indexed[name]).hex())
        while topics[-1] is None:
            topics.pop()
        return topics

    def __repr__(self) -> str:
        return f"Event({self.signature})"


def constructor(abi: Sequence[Mapping[str, Any]]) -> codec.Tuple:
    """The constructor's parameters (empty where the ABI has none)."""
    for entry in abi:
        if entry["type"] == "constructor":
            return codec.parameters(entry.get("inputs", ()))
    return codec.Tuple((), ())


class CustomError:
    """One error a contract declares. ``selector`` 4 bytes."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.name = str(entry["name"])
        self.inputs = codec.parameters(entry.get("inputs", ()))
        self.signature = self.name + self.inputs.name
        self.selector = keccak256(self.signature.encode())[:4]

    def describe(self, data: bytes) -> str:
        """``Name(value, ...)``; ``data`` is the revert data."""
        values = self.inputs.read(codec.Reader(data[4:]), 0)
        shown = ("0x" + value.hex() if isinstance(value, bytes) else str(value) for value in values)
        return f"{self.name}({', '.join(shown)})"


def revert_reason(data: bytes, errors: Mapping[bytes, CustomError] | None = None) -> str:
    """Why a call reverted, in the contract's words: Error(string), Panic(uint256), one of the known
    ``errors`` (by selector), else the data as hex."""
    try:
        if data[:4] == _ERROR_STRING:
            return str(codec.decode(["string"], data[4:])[0])
        if data[:4] == _PANIC:
            panic = int(codec.decode(["uint256"], data[4:])[0])
            return _PANICS.get(panic, f"panic 0x{panic:02x}")
        if errors and data[:4] in errors:
            return errors[data[:4]].describe(data)
    except IntegrityError:
        return "0x" + data.hex()
    return "0x" + data.hex() if data else ""
