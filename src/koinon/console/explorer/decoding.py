# SPDX-License-Identifier: Apache-2.0
"""What call data and logs say, in the words of the contracts that this node knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from koinon.chain import artifacts
from koinon.chain.abi import Event, Function
from koinon.chain.address import checksum
from koinon.chain.artifacts import Artifact
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.works.till import read_footer

_EMPTY_S: Final = 5.0
_MOST_EMPTY: Final = 10_000


@dataclass(frozen=True)
class Field:
    """One named value.

    ``kind`` its ABI type; ``value`` as `koinon.chain.codec` reads it; ``parts`` the fields of a struct or the
    elements of an array, else None.
    """

    name: str
    kind: str
    value: Any
    parts: tuple[Field, ...] | None = None


@dataclass(frozen=True)
class Decoded:
    """A call or an event in words.

    ``contract`` who understands it, ``name`` of the function or event, ``certain`` False where the contract
    is unknown and one with the same signature was taken.
    """

    contract: str
    name: str
    signature: str
    fields: tuple[Field, ...]
    certain: bool = True


class Decoder:
    """Reads what happens on one network.

    Safe to share between threads; it remembers which address is whose.
    """

    def __init__(self, chain: Chain, clock: Callable[[], float] = time.monotonic) -> None:
        self._chain = chain
        self._clock = clock
        self._known = {address: name for name, address in chain.network.contracts.items()}
        self._tills: dict[str, int | None] = {}
        self._empty: dict[str, float] = {}

    def learn(self, addresses: Iterable[str]) -> None:
        """Find out in one message what stands at addresses that are not known yet."""
        wanted = [each for each in dict.fromkeys(addresses) if not self._is_known(each)]
        codes = self._chain.rpc.batch([("eth_getCode", [each, "latest"]) for each in wanted])
        for address, code in zip(wanted, codes, strict=True):
            self.note(address, str(code))

    def note(self, address: str, code: str) -> None:
        """Remember what stands at an address by its code (0x-hex): a contract's for ever, that there is none
        for a short while, since a till may be deployed there later."""
        if len(code) <= 2:
            if len(self._empty) >= _MOST_EMPTY:
                self._empty.clear()
            self._empty[address] = self._clock() + _EMPTY_S
            return
        footer = read_footer(bytes.fromhex(code[2:]))
        ours = footer is not None and checksum(footer.registry) == self._chain.network.address("Works")
        self._tills[address] = footer.work_id if footer is not None and ours else None

    def work_of_till(self, address: str) -> int | None:
        """The Work whose deployed till stands there, or None."""
        if not self._is_known(address):
            self.learn([address])
        return self._tills.get(address)

    def _is_known(self, address: str) -> bool:
        if address in self._known or address in self._tills:
            return True
        return self._empty.get(address, 0.0) > self._clock()

    def contract_name(self, address: str) -> str | None:
        """The network's name for a contract; ``Till`` for any Work's till; None for a stranger."""
        if address in self._known:
            return self._known[address]
        return "Till" if self.work_of_till(address) is not None else None

    def interface(self, address: str) -> Artifact | None:
        """What the contract there can do, where this node knows it."""
        name = self.contract_name(address)
        try:
            return artifacts.load(name) if name is not None else None
        except NotFound:
            return None

    def call(self, to: str | None, data: bytes) -> Decoded | None:
        """The function that call data asks for, with its arguments; None for plain ETH or strangers' data."""
        if to is None or len(data) < 4:
            return None
        interface = self.interface(to)
        candidates = [interface] if interface is not None else _by_selector().get(data[:4], [])
        for candidate in candidates:
            function = _function(candidate, data[:4])
            if function is None:
                continue
            try:
                values = function.decode_inputs(data)
            except (IntegrityError, BadInput):
                continue
            entry = _entry(candidate, "function", function.signature)
            return Decoded(
                candidate.name,
                function.name,
                function.signature,
                fields_of(entry["inputs"], values),
                certain=interface is not None,
            )
        return None

    def event(self, log: Mapping[str, Any]) -> Decoded | None:
        """What a log (as the node gives it) says; None for strangers' events."""
        if not log["topics"]:
            return None
        interface = self.interface(checksum(log["address"]))
        topic = bytes.fromhex(log["topics"][0][2:])
        candidates = [interface] if interface is not None else _by_topic().get(topic, [])
        for candidate in candidates:
            for event in candidate.events.values():
                if not event.matches(log):
                    continue
                try:
                    values = event.decode(log)
                except IntegrityError:
                    continue
                entry = _entry(candidate, "event", event.signature)
                return Decoded(
                    candidate.name,
                    event.name,
                    event.signature,
                    fields_of(entry["inputs"], tuple(values.values())),
                    certain=interface is not None,
                )
        return None


def fields_of(inputs: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> tuple[Field, ...]:
    """Values beside the names and types that an ABI gives them."""
    return tuple(
        _field(str(entry.get("name") or position), str(entry["type"]), entry.get("components", ()), value)
        for position, (entry, value) in enumerate(zip(inputs, values, strict=True))
    )


def _field(name: str, kind: str, components: Sequence[Mapping[str, Any]], value: Any) -> Field:
    if kind.endswith("]") and isinstance(value, list | tuple):
        element = kind.rpartition("[")[0]
        parts = tuple(_field(str(number), element, components, member) for number, member in enumerate(value))
        return Field(name, kind, value, parts)
    if kind == "tuple" and isinstance(value, tuple):
        return Field(name, kind, value, fields_of(components, value))
    return Field(name, kind, value)


def _function(interface: Artifact, selector: bytes) -> Function | None:
    return next((found for found in interface.functions.values() if found.selector == selector), None)


def _entry(interface: Artifact, kind: str, signature: str) -> Mapping[str, Any]:
    make: type[Function] | type[Event] = Function if kind == "function" else Event
    return next(
        entry for entry in interface.abi if entry["type"] == kind and make(entry).signature == signature
    )


@lru_cache(maxsize=1)
def _by_selector() -> Mapping[bytes, list[Artifact]]:
    found: dict[bytes, list[Artifact]] = {}
    for name in artifacts.names():
        interface = artifacts.load(name)
        for function in {each.signature: each for each in interface.functions.values()}.values():
            found.setdefault(function.selector, []).append(interface)
    return found


@lru_cache(maxsize=1)
def _by_topic() -> Mapping[bytes, list[Artifact]]:
    found: dict[bytes, list[Artifact]] = {}
    for name in artifacts.names():
        interface = artifacts.load(name)
        for event in interface.events.values():
            found.setdefault(event.topic, []).append(interface)
    return found
