# SPDX-License-Identifier: Apache-2.0
"""What every contract test needs: the contracts themselves, accounts named by role, and readable logs.

Contracts run in titanoboa's own chain (py-evm). `fresh_chain` forgets everything between tests; compiled
contracts are kept for the whole run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boa

from koinon.chain import codec
from koinon.chain.abi import Event
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key

SOURCES = Path(__file__).parent.parent / "src" / "koinon"
MOCKS = Path(__file__).parent / "works" / "contracts" / "mocks"
NOBODY = "0x" + "00" * 20
ETH = NOBODY
OWNER = NOBODY
WHOLE = 1_000_000_000
PARENT_PERMISSION = TypedStruct(
    "ParentPermission(uint256 parentId,address publisher,uint64 minimumShare,uint256 deadline)"
)
AGENT_WALLET_SET = TypedStruct(
    "AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"
)


@cache
def compiled(path: Path) -> Any:
    """A contract ready to deploy (compiled once a run)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return boa.load_partial(str(path))


def deployable(room: str, name: str) -> Any:
    """``src/koinon/<room>/contracts/<name>.vy``, ready to deploy."""
    return compiled(SOURCES / room / "contracts" / f"{name}.vy")


def deploy(room: str, name: str, *arguments: Any, **options: Any) -> Any:
    """Deploy one of Koinon's contracts."""
    return deployable(room, name).deploy(*arguments, **options)


def deploy_mock(name: str, *arguments: Any, **options: Any) -> Any:
    """Deploy a contract from ``tests/works/contracts/mocks``: plain and hostile tokens, payees, wallets."""
    return compiled(MOCKS / f"{name}.vy").deploy(*arguments, **options)


@cache
def key(role: str) -> Key:
    """The key of a role: the same role has the same account in every test."""
    return Key.from_bytes(keccak256(b"koinon test role: " + role.encode()))


def account(role: str, ether: int = 10**24) -> str:
    """The address of a role, with ETH to act."""
    address = key(role).address
    boa.env.set_balance(address, ether)
    return address


@contextmanager
def fresh_chain() -> Iterator[None]:
    """Everything done inside is undone at the end."""
    with boa.env.anchor():
        yield
    # titanoboa remembers written slots by address for its reprs, also those of contracts that were undone.
    boa.env.sstore_trace.clear()


@dataclass(frozen=True)
class Hall:
    """Works and the code its tills run."""

    works: Any
    till_implementation: Any

    @property
    def domain(self) -> Domain:
        """What people sign for at this Works."""
        return Domain("ERC8004IdentityRegistry", "1", boa.env.evm.patch.chain_id, self.works.address)

    def till(self, work_id: int) -> Any:
        """The deployed till of a Work."""
        return till_at(self.works.deploy_till(work_id))

    def publish(self, owner: str, parents: Any = (), royalty_bps: int = 0, uri: str = "ipfs://work") -> int:
        """Publish a Work and return its id."""
        return int(self.works.publish(uri, [], royalty_bps, list(parents), sender=owner))

    def permission(self, parent_id: int, owner: Key, publisher: str, share: int, deadline: int) -> bytes:
        """A parent owner's leave: the deadline and the signature, as `publish` takes it."""
        message = PARENT_PERMISSION.hash(parent_id, publisher, share, deadline)
        return deadline.to_bytes(32, "big") + owner.sign(digest(self.domain, message))


def deploy_hall() -> Hall:
    """A new Works with its till implementation."""
    implementation = deploy("works", "Till")
    return Hall(deploy("works", "Works", implementation.address), implementation)


def till_at(address: str) -> Any:
    """A till's functions at the address of its clone (whose code, rightly, is not the implementation's)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return deployable("works", "Till").at(address)


def give_eth(address: str, amount: int) -> None:
    """Send plain ETH, as anyone would."""
    boa.env.execute_code(address, sender=account("payer of ether"), value=amount)


def events(called: Any, name: str, emitter: Any = None) -> list[dict[str, Any]]:
    """The events of this name that the last call of ``called`` left, in order.

    The event is looked up in the ABI of ``emitter`` (``called`` itself when not given).
    """
    event = event_of(emitter or called, name)
    found = []
    for _, _, topics, data in called._computation.get_raw_log_entries():
        words = ["0x" + topic.to_bytes(32, "big").hex() for topic in topics]
        log = {"topics": words, "data": "0x" + data.hex()}
        if event.matches(log):
            found.append(event.decode(log))
    return found


def event_of(contract: Any, name: str) -> Event:
    """An event of a contract by name."""
    return next(Event(entry) for entry in contract.abi if entry["type"] == "event" and entry["name"] == name)


def refused(contract: Any, call: Callable[[], Any]) -> bytes:
    """What ``contract`` answers to a call that it must refuse: the revert data."""
    with boa.reverts():
        call()
    return bytes(contract._computation.output)


def custom_error(signature: str, *arguments: Any) -> bytes:
    """The revert data of a custom error."""
    kinds = signature[signature.index("(") + 1 : -1].split(",")
    return keccak256(signature.encode())[:4] + codec.encode(kinds, arguments)


class Refused(Exception):
    """A call without an ABI was refused; ``data`` is what it reverted with."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data.hex())
        self.data = data


def raw_call(target: str, data: bytes, *, sender: str | None = None, value: int = 0) -> bytes:
    """Call data as it is, without an ABI: what comes back, or `Refused`."""
    sender = sender or account("caller")
    computation = boa.env.execute_code(target, sender=sender, data=data, value=value)
    if computation.is_error:
        raise Refused(bytes(computation.output))
    return bytes(computation.output)
