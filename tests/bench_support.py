# SPDX-License-Identifier: Apache-2.0
"""Contract tests on the bytecode that ships, in revm: many times faster than a chain of Python's own.

Test contracts are compiled once a run; roles and keys are those of `tests.contracts_support`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from koinon.chain import artifacts
from koinon.chain.artifacts import Artifact
from koinon.chain.compile import Source, compile_source
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.errors import TransactionFailed
from koinon.markets.simulation.bench import Bench, Outcome, Placed

HALL_MOCKS = Path(__file__).parent / "works" / "contracts" / "mocks"
NOBODY = "0x" + "00" * 20


@cache
def key(role: str) -> Key:
    """The key of a role: the same role has the same account in every test."""
    return Key.from_bytes(keccak256(b"koinon test role: " + role.encode()))


def account(role: str) -> str:
    """The address of a role."""
    return key(role).address


@cache
def mock(path: Path) -> Artifact:
    """A test contract, ready to deploy."""
    return artifacts.parse(compile_source(Source(path.stem, path, path.parent)))


class Handle:
    """A contract whose functions are methods: views look, others act (``sender`` is a role's address).

    Arguments may be handles: they stand for their addresses.
    """

    def __init__(self, bench: Bench, placed: Placed) -> None:
        self.bench = bench
        self.placed = placed
        self.address = placed.address

    def __getattr__(self, name: str) -> Any:
        functions = self.placed.artifact.functions
        if name.startswith("_") or name not in functions:
            raise AttributeError(name)
        if not functions[name].mutates:
            return lambda *arguments, **options: self.bench.ask(
                self.placed, name, *addresses(arguments), **options
            )

        def act(*arguments: Any, sender: str = account("anyone"), value: int = 0) -> Any:
            return self.bench.act(sender, self.placed, name, *addresses(arguments), value=value)

        return act

    def outcome(self, name: str, *arguments: Any, sender: str) -> Outcome:
        """Act and keep what was logged; refusals are raised by nobody."""
        return self.bench.transact(sender, self.address, self.encode(name, *arguments))

    def encode(self, name: str, *arguments: Any) -> bytes:
        """Call data."""
        return self.placed.encode(name, *addresses(arguments))

    def events(self, name: str) -> list[dict[str, Any]]:
        """All its events of this name so far, decoded, in order."""
        event = self.placed.artifact.events[name]
        logs = (log.rpc() for log in self.bench.logs if log.address.lower() == self.address.lower())
        return [event.decode(log) for log in logs if event.matches(log)]


def addresses(arguments: Sequence[Any]) -> list[Any]:
    """Arguments with each handle's address in its place."""
    return [each.address if isinstance(each, Handle) else each for each in arguments]


def deploy(bench: Bench, name: str | Path, *arguments: Any) -> Handle:
    """Create one of Koinon's contracts by name, or a test contract by its file; each call another one."""
    artifact = artifacts.load(name) if isinstance(name, str) else mock(name)
    return Handle(
        bench, bench.deploy(artifact, *addresses(arguments), salt=bench.transactions.to_bytes(32, "big"))
    )


def at(bench: Bench, address: str, name: str) -> Handle:
    """One of Koinon's contracts that is there already."""
    return Handle(bench, bench.at(address, name))


def wait(bench: Bench, seconds: int) -> None:
    """A later block."""
    bench.next_block(bench.timestamp + seconds)


@contextmanager
def refused(reason: str) -> Iterator[None]:
    """What happens inside must be refused for exactly this reason."""
    with pytest.raises(TransactionFailed) as caught:
        yield
    assert caught.value.reason == reason
