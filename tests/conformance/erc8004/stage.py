# SPDX-License-Identifier: Apache-2.0
"""The three registries on a chain, the table's accounts, and what each action did, in words that fit both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from vyper.compiler.output import build_abi_output

from koinon.chain import artifacts, codec
from koinon.chain.abi import CustomError
from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.contract import Call, Contract
from koinon.chain.eip712 import Domain, digest
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.chain.rpc import RpcError
from tests.conformance.erc8004.symbols import (
    IDENTITY,
    PASSER,
    REPUTATION,
    VALIDATION,
    Agent,
    Later,
    Step,
    WalletProof,
    Who,
)
from tests.contracts_support import AGENT_WALLET_SET, MOCKS, compiled

ROLES: Final = (
    "owner", "other", "operator", "approved", "client", "second", "validator", "wallet", "stranger",
)  # fmt: skip
RECEIVERS: Final = {"good receiver": 0, "wrong receiver": 1, "refuser": 2, PASSER: 3}
AGENT_NAMES: Final = {"agentId", "tokenId", "_tokenId"}
LONGEST_SHOWN: Final = 200
_ERROR, _PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")


def key(role: str) -> Key:
    """The same in every run, so that nothing recorded depends on chance."""
    return Key.from_bytes(keccak256(b"koinon erc-8004 " + role.encode()))


@dataclass
class Stage:
    """One implementation's registries. ``first`` the id of its first agent."""

    chain: Chain
    contracts: dict[str, Contract]
    first: int
    errors: Mapping[bytes, CustomError]
    names: dict[str, str] = field(default_factory=dict)
    updates: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Validation request → when it was last written (Unix seconds), and by which step."""

    def __post_init__(self) -> None:
        for role in ROLES:
            self.chain.rpc.call("anvil_setBalance", key(role).address, hex(10**21))
        places = {role: key(role).address for role in ROLES}
        places |= {name: self._receiver(manner) for name, manner in RECEIVERS.items()}
        abi = compiled(MOCKS / "Receiver.vy").compiler_data
        self.contracts[PASSER] = Contract(self.chain.rpc, places[PASSER], build_abi_output(abi))
        places |= {name: contract.address for name, contract in self.contracts.items()}
        self.names = {"nobody": ZERO_ADDRESS, **places}
        self._roles = {address: role for role, address in self.names.items()}

    def run(self, steps: Sequence[Step]) -> list[dict[str, Any]]:
        """What each step did: ``returns``, ``events`` or ``reverts``."""
        return [self._one(number, step) for number, step in enumerate(steps)]

    def _one(self, number: int, step: Step) -> dict[str, Any]:
        contract = self.contracts[step.contract]
        arguments = [self._meant(each) for each in step.arguments]
        if step.function not in contract.functions:
            return {"reverts": "there is no such function"}
        function = contract.functions[step.function]
        data = "0x" + function.encode(*arguments).hex()
        sender = key(step.actor)
        asked = {"from": sender.address, "to": contract.address, "data": data}
        try:
            answer = self.chain.rpc.call("eth_call", asked, "latest")
        except RpcError as error:
            return {"reverts": self._refusal(error.data)}
        if not function.mutates:
            values = function.outputs.read(codec.Reader(bytes.fromhex(answer[2:])), 0)
            names = function.outputs.names
            told = [self._told(each, name) for each, name in zip(values, names, strict=True)]
            if "lastUpdate" in names:
                at, step_number = self.updates["0x" + arguments[0].hex()]
                place = names.index("lastUpdate")
                told[place] = f"in step {step_number}" if told[place] == at else "at another time"
            return {"returns": told}
        receipt = self.chain.sender(sender).send(Call(contract.address, bytes.fromhex(data[2:])))
        events = [self._event(log) for log in receipt.logs]
        block = self.chain.rpc.call("eth_getBlockByNumber", hex(receipt.block_number), False)
        for _, fields in events:
            if "requestHash" in fields:
                self.updates[fields["requestHash"]] = (int(block["timestamp"], 16), number)
        return {"events": events}

    def _event(self, log: Mapping[str, Any]) -> list[Any]:
        contract = next(one for one in self.contracts.values() if one.address == checksum(log["address"]))
        event = next(each for each in contract.events.values() if each.matches(log))
        return [event.name, {name: self._told(each, name) for name, each in event.decode(log).items()}]

    def _refusal(self, data: bytes) -> Any:
        if data[:4] == _ERROR:
            return str(codec.decode(["string"], data[4:])[0])
        if data[:4] in self.errors:
            error = self.errors[data[:4]]
            values = error.inputs.read(codec.Reader(data[4:]), 0)
            names = error.inputs.names
            return [error.name, [self._told(one, name) for one, name in zip(values, names, strict=True)]]
        return "panic" if data[:4] == _PANIC else "0x" + data.hex()

    def _meant(self, value: Any) -> Any:
        """A symbol as it is here."""
        if isinstance(value, Agent):
            return value.number + self.first
        if isinstance(value, Who):
            return self.names[value.role]
        if isinstance(value, Later):
            return self.chain.timestamp() + value.seconds
        if isinstance(value, WalletProof):
            return self._proof(value)
        if isinstance(value, list):
            return [self._meant(each) for each in value]
        return value

    def _proof(self, asked: WalletProof) -> bytes:
        domain = Domain("ERC8004IdentityRegistry", "1", self.chain.chain_id, self.contracts[IDENTITY].address)
        message = AGENT_WALLET_SET.hash(
            asked.agent.number + self.first,
            self.names[asked.wallet],
            self.names[asked.owner],
            self.chain.timestamp() + asked.seconds,
        )
        return key(asked.signer or asked.wallet).sign(digest(domain, message))

    def _told(self, value: Any, name: str) -> Any:
        """A value as it would be on any chain, with agents counted from 0."""
        if name in AGENT_NAMES and isinstance(value, int):
            return f"agent {value - self.first}"
        if isinstance(value, list | tuple):
            return [self._told(each, "") for each in value]
        if isinstance(value, bytes):
            address = checksum("0x" + value.hex()) if len(value) == 20 else ""
            return self._roles.get(address, _short("0x" + value.hex()))
        if isinstance(value, str):
            return self._roles.get(value, _short(value))
        return value

    def _receiver(self, manner: int) -> str:
        code = compiled(MOCKS / "Receiver.vy").compiler_data.bytecode
        code += codec.encode(["uint256", "address"], [manner, key("other").address])
        receipt = self.chain.sender(key("owner")).send(Call(None, code))
        assert receipt.contract_address is not None
        return receipt.contract_address


def _short(text: str) -> str:
    """Long texts by their length and digest."""
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()}"


def creator(chain: Chain) -> Callable[[bytes], str]:
    """What creates contracts, for the owner."""
    chain.rpc.call("anvil_setBalance", key("owner").address, hex(10**21))

    def create(code: bytes) -> str:
        receipt = chain.sender(key("owner")).send(Call(None, code))
        assert receipt.contract_address is not None
        return receipt.contract_address

    return create


def ours(chain: Chain) -> Stage:
    """Fresh ones of ours."""
    create = creator(chain)
    till = create(artifacts.load("Till").creation())
    works = create(artifacts.load("Works").creation(till))
    places = {IDENTITY: ("Works", works)}
    for name, contract in ((REPUTATION, "Reputation"), (VALIDATION, "Validation")):
        places[name] = (contract, create(artifacts.load(contract).creation(works)))
    contracts = {name: chain.contract(*place) for name, place in places.items()}
    return Stage(chain, contracts, 1, artifacts.custom_errors())


def reference(chain: Chain, compiled_contracts: Mapping[str, Any]) -> Stage:
    """Fresh ones of the reference, behind their proxies, as its own tests put them there."""
    create = creator(chain)

    def code(name: str) -> bytes:
        return bytes.fromhex(compiled_contracts[name]["bytecode"][2:])

    def call(name: str, function: str, *arguments: Any) -> bytes:
        return (
            Contract(chain.rpc, ZERO_ADDRESS, compiled_contracts[name]["abi"])
            .functions[function]
            .encode(*arguments)
        )

    def place(name: str, *arguments: Any) -> Contract:
        first = create(code("HardhatMinimalUUPS"))
        begun = call("HardhatMinimalUUPS", "initialize(address)", *(arguments or (ZERO_ADDRESS,)))
        proxy = create(code("ERC1967Proxy") + codec.encode(["address", "bytes"], [first, begun]))
        found = Contract(chain.rpc, proxy, compiled_contracts[name]["abi"])
        begin = "initialize(address)" if arguments else "initialize()"
        upgrade = found.transaction("upgradeToAndCall", create(code(name)), call(name, begin, *arguments))
        chain.sender(key("owner")).send(upgrade)
        return found

    identity = place("IdentityRegistryUpgradeable")
    contracts = {
        IDENTITY: identity,
        REPUTATION: place("ReputationRegistryUpgradeable", identity.address),
        VALIDATION: place("ValidationRegistryUpgradeable", identity.address),
    }
    declared = [
        CustomError(entry)
        for each in compiled_contracts.values()
        for entry in each["abi"]
        if entry["type"] == "error"
    ]
    return Stage(chain, contracts, 0, {error.selector: error for error in declared})
