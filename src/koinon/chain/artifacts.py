# SPDX-License-Identifier: Apache-2.0
"""Compiled contracts that ship with the package, so that nobody needs a compiler to use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import orjson

from koinon.chain import codec
from koinon.chain.abi import CustomError, Event, Function, constructor
from koinon.chain.hashing import keccak256
from koinon.errors import NotFound


@dataclass(frozen=True)
class Artifact:
    """One contract.

    ``abi`` is the JSON ABI with the standards' argument names, ``init_code`` what creates it (constructor
    arguments follow), ``runtime`` the code it leaves (before immutables), ``source_sha256`` the hash over its
    source, every module it imports and its canonical names, ``sources`` their paths, ``settings`` the
    compiler's.
    """

    name: str
    abi: Sequence[Mapping[str, Any]] = field(repr=False)
    init_code: bytes = field(repr=False)
    runtime: bytes = field(repr=False)
    source_sha256: str
    sources: tuple[str, ...] = field(repr=False)
    compiler: str
    settings: Mapping[str, Any] = field(repr=False)

    @cached_property
    def functions(self) -> Mapping[str, Function]:
        """By full signature, and by plain name where only one function has it."""
        return bind_functions(self.abi)

    @cached_property
    def events(self) -> Mapping[str, Event]:
        """By name."""
        return bind_events(self.abi)

    @cached_property
    def constructor(self) -> codec.Tuple:
        """The constructor's parameters."""
        return constructor(self.abi)

    def creation(self, *arguments: Any) -> bytes:
        """Init code followed by the encoded constructor arguments."""
        return self.init_code + self.constructor.encode(arguments)

    @cached_property
    def runtime_hash(self) -> bytes:
        """keccak256 of the runtime code: the code hash on chain of a contract without immutables."""
        return keccak256(self.runtime)


@lru_cache(maxsize=256)
def load(name: str) -> Artifact:
    """The contract called ``name``; `NotFound` when none of that name ships."""
    file = _folder() / f"{name}.json"
    if not name.isidentifier() or not file.is_file():
        raise NotFound(f"No contract called {name!r} ships with Koinon.", code="chain.artifact")
    return parse(file.read_bytes())


def names() -> list[str]:
    """Every contract that ships, sorted."""
    return sorted(
        entry.name.removesuffix(".json") for entry in _folder().iterdir() if entry.name.endswith(".json")
    )


def parse(content: bytes) -> Artifact:
    """An artifact from its JSON."""
    fields = orjson.loads(content)
    return Artifact(
        name=fields["name"],
        abi=fields["abi"],
        init_code=bytes.fromhex(fields["bytecode"][2:]),
        runtime=bytes.fromhex(fields["runtime"][2:]),
        source_sha256=fields["source_sha256"],
        sources=tuple(fields["sources"]),
        compiler=fields["compiler"],
        settings=fields["settings"],
    )


def bind_functions(entries: Sequence[Mapping[str, Any]]) -> dict[str, Function]:
    """Functions of a JSON ABI by full signature, and by plain name where it is unambiguous."""
    functions = [Function(entry) for entry in entries if entry["type"] == "function"]
    bound = {function.signature: function for function in functions}
    plain = [function.name for function in functions]
    bound.update({function.name: function for function in functions if plain.count(function.name) == 1})
    return bound


def bind_events(entries: Sequence[Mapping[str, Any]]) -> dict[str, Event]:
    """Events of a JSON ABI by name."""
    return {entry["name"]: Event(entry) for entry in entries if entry["type"] == "event"}


@lru_cache(maxsize=1)
def custom_errors() -> Mapping[bytes, CustomError]:
    """Every error declared by a contract that ships, by selector."""
    found = [CustomError(entry) for name in names() for entry in load(name).abi if entry["type"] == "error"]
    return {error.selector: error for error in found}


def _folder() -> Traversable:
    return resources.files("koinon.chain").joinpath("artifacts")
