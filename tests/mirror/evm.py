# SPDX-License-Identifier: Apache-2.0
"""titanoboa's py-evm with a second EVM beside it that is told everything and must answer the same.

What is compared for every top-level message: whether it succeeded, what it returned or reverted with, and
each log's address, topics and data; for a deployment also the address and the code. Gas is counted on both
sides and compared only as a sum: py-evm runs messages outside of transactions, so what is warm and what a
slot held at first differ.

Two things are made the same that titanoboa leaves out, so that addresses agree: a call, too, uses up a nonce
of its sender, and each message is a block with titanoboa's time.

A node has one chain id. What a few tests ask as on a copy of the chain with another id is executed by py-evm
alone and counted; a change made there fails the test, for the two would no longer hold the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from boa.util.abi import Address
from boa.vm.py_evm import PyEVM
from eth.exceptions import InsufficientFunds

from koinon.chain.rpc import Rpc, RpcError

CREATION_GAS, TRANSACTION_GAS, WORD_GAS = 32_000, 21_000, 2
ZERO_BYTE_GAS, BYTE_GAS = 4, 16


class Difference(AssertionError):
    """Two EVMs disagree about a message."""


@dataclass
class Mirror:
    """The second EVM, what it was told and how it differed."""

    rpc: Rpc
    chain_id: int
    transactions: int = 0
    views: int = 0
    deployments: int = 0
    left_out: int = 0
    gas: int = 0
    mirrored_gas: int = 0
    differences: list[str] = field(default_factory=list)
    _senders: set[str] = field(default_factory=set)
    _block_time: int = -1

    @property
    def messages(self) -> int:
        """Messages that both executed."""
        return self.transactions + self.views + self.deployments

    def transact(self, message: Mapping[str, Any], timestamp: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Send it in a block of its own; its receipt and its call trace."""
        requests: list[tuple[str, list[Any]]] = []
        if message["from"] not in self._senders:
            requests.append(("hardhat_impersonateAccount", [message["from"]]))
            self._senders.add(message["from"])
        requests.append(("evm_setNextBlockTimestamp", [timestamp]))
        requests.append(("eth_sendTransaction", [message]))
        transaction = self.rpc.batch(requests)[-1]
        self._block_time = timestamp
        receipt, trace = self.rpc.batch(
            [
                ("eth_getTransactionReceipt", [transaction]),
                ("debug_traceTransaction", [transaction, {"tracer": "callTracer"}]),
            ]
        )
        return receipt, trace

    def view(
        self, message: Mapping[str, Any], timestamp: int, code: bytes | None = None
    ) -> tuple[bool, bytes]:
        """Whether a call that changes nothing succeeds, and what it answers; ``code`` stands in for its
        target's."""
        if self._block_time != timestamp:
            self.rpc.batch([("evm_setNextBlockTimestamp", [timestamp]), ("evm_mine", [])])
            self._block_time = timestamp
        instead = {} if code is None else {message["to"]: {"code": "0x" + code.hex()}}
        try:
            return True, _bytes(self.rpc.call("eth_call", message, "latest", instead))
        except RpcError as error:
            if error.rpc_code != 3:  # 3 = the execution failed
                raise
            return False, error.data

    def refused(self, message: Mapping[str, Any]) -> bool:
        """Whether it is no transaction at all, as where the sender does not have what it would send."""
        try:
            self.rpc.call("eth_call", message, "latest")
        except RpcError:
            return True
        return False

    def snapshot(self) -> tuple[str, int]:
        """A point to return to with `revert`."""
        return self.rpc.call("evm_snapshot"), self._block_time

    def revert(self, snapshot: tuple[str, int]) -> None:
        """Undo everything since; each snapshot is good for once."""
        number, self._block_time = snapshot
        if self.rpc.call("evm_revert", number) is not True:
            raise Difference(f"hardhat does not know the snapshot {number}")

    def differ(self, what: str, here: object, there: object) -> None:
        """Fail the test that runs; the end of the session says it again."""
        self.differences.append(f"{what}: py-evm {here}, hardhat {there}")
        raise Difference(self.differences[-1])


class MirroredEVM(PyEVM):
    """py-evm that does everything twice. Made of titanoboa's own by `attach`."""

    mirror: Mirror

    @classmethod
    def attach(cls, environment: Any, mirror: Mirror) -> None:
        """Let ``environment`` (``boa.env``), before it has done anything, have a mirror."""
        environment.evm.__class__ = cls
        environment.evm.mirror = mirror
        environment.evm.patch.chain_id = mirror.chain_id

    def set_balance(self, address: Address, value: int) -> None:
        super().set_balance(address, value)
        self.mirror.rpc.call("hardhat_setBalance", str(address), hex(value))

    def set_code(self, address: Address, code: bytes) -> None:
        super().set_code(address, code)
        self.mirror.rpc.call("hardhat_setCode", str(address), "0x" + code.hex())

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        super().set_storage(address, slot, value)
        word = "0x" + value.to_bytes(32, "big").hex()
        self.mirror.rpc.call("hardhat_setStorageAt", str(address), hex(slot), word)

    def snapshot(self) -> tuple[Any, tuple[str, int]]:
        return super().snapshot(), self.mirror.snapshot()

    def revert(self, snapshot_id: tuple[Any, tuple[str, int]]) -> None:
        here, there = snapshot_id
        super().revert(here)
        self.mirror.revert(there)

    def deploy_code(self, **message: Any) -> Any:
        computation = super().deploy_code(**message)
        target: Address = message["target_address"]
        code: bytes = message["bytecode"]
        # titanoboa has counted the sender's nonce up already, so both sides create at the same one.
        receipt, trace = self.mirror.transact(
            {**self._fields(message), "data": "0x" + code.hex()}, self.patch.timestamp
        )
        self.mirror.deployments += 1
        what = f"the deployment of {len(code)} bytes by {message['sender']}"
        self._compare(what, computation, receipt, trace, _intrinsic_gas(code, creation=True))
        if computation.is_success and Address(receipt["contractAddress"]) != target:
            self.mirror.differ(f"the address of {what}", target, receipt["contractAddress"])
        return computation

    def execute_code(self, **message: Any) -> Any:
        to, code = message["to"], bytes(message["bytecode"])
        fields = {**self._fields(message), "to": str(to), "data": "0x" + message["data"].hex()}
        standing = bytes(self.get_code(to))
        instead = None if code == standing else code  # titanoboa runs other code at this address for once
        if self.patch.chain_id != self.mirror.chain_id:
            return self._alone(message)
        if message["is_static"]:
            return self._view(message, fields, instead)
        return self._transact(message, fields, instead, standing)

    def _alone(self, message: Mapping[str, Any]) -> Any:
        computation = super().execute_code(**message)
        if computation.is_success and not message["is_static"]:
            raise Difference(f"{_named(message)} changed a chain with another id, which has no mirror")
        self.mirror.left_out += 1
        return computation

    def _view(self, message: Mapping[str, Any], fields: dict[str, str], instead: bytes | None) -> Any:
        what, timestamp = _named(message), self.patch.timestamp
        computation = super().execute_code(**message)
        del fields["gasPrice"]
        succeeded, output = self.mirror.view(fields, timestamp, instead)
        self.mirror.views += 1
        if computation.is_success != succeeded:
            self.mirror.differ(f"the success of {what}", computation.is_success, succeeded)
        if bytes(computation.output) != output:
            self.mirror.differ(f"the answer to {what}", computation.output.hex(), output.hex())
        return computation

    def _transact(
        self, message: Mapping[str, Any], fields: dict[str, str], instead: bytes | None, standing: bytes
    ) -> Any:
        what, to, sender = _named(message), fields["to"], message["sender"].canonical_address
        nonce = self.vm.state.get_nonce(sender)
        self.vm.state.set_nonce(sender, nonce + 1)
        try:
            computation = super().execute_code(**message)
        except InsufficientFunds:
            self.vm.state.set_nonce(sender, nonce)
            if not self.mirror.refused(fields):
                self.mirror.differ(f"the refusal of {what}", True, False)
            raise
        if instead is not None:
            self.mirror.rpc.call("hardhat_setCode", to, "0x" + instead.hex())
        receipt, trace = self.mirror.transact(fields, self.patch.timestamp)
        if instead is not None:
            self.mirror.rpc.call("hardhat_setCode", to, "0x" + standing.hex())
        self.mirror.transactions += 1
        self._compare(what, computation, receipt, trace, _intrinsic_gas(message["data"]))
        return computation

    def _fields(self, message: Mapping[str, Any]) -> dict[str, str]:
        data = message.get("data", message["bytecode"])
        gas = self.get_gas_limit() if message["gas"] is None else message["gas"]
        intrinsic = _intrinsic_gas(data, creation="data" not in message)
        return {
            "from": str(message["sender"]),
            "value": hex(message["value"]),
            "gas": hex(gas + intrinsic),
            "gasPrice": "0x0",
        }

    def _compare(
        self, what: str, here: Any, receipt: Mapping[str, Any], trace: Mapping[str, Any], intrinsic: int
    ) -> None:
        succeeded = receipt["status"] == "0x1"
        if here.is_success != succeeded:
            self.mirror.differ(f"the success of {what}", here.is_success, f"{succeeded} {trace.get('error')}")
        output = _bytes(trace.get("output", "0x"))
        if bytes(here.output) != output:
            self.mirror.differ(f"the answer to {what}", here.output.hex(), output.hex())
        logs = [
            (Address(address), [topic.to_bytes(32, "big") for topic in topics], bytes(data))
            for _, address, topics, data in here.get_raw_log_entries()
        ]
        mirrored = [
            (Address(log["address"]), [_bytes(topic) for topic in log["topics"]], _bytes(log["data"]))
            for log in receipt["logs"]
        ]
        if logs != mirrored:
            self.mirror.differ(f"the logs of {what}", logs, mirrored)
        self.mirror.gas += here.net_gas_used
        self.mirror.mirrored_gas += int(receipt["gasUsed"], 16) - intrinsic


def _named(message: Mapping[str, Any]) -> str:
    return f"a call of {message['to']} by {message['sender']} with 0x{message['data'][:4].hex()}"


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _intrinsic_gas(data: bytes, *, creation: bool = False) -> int:
    """What a transaction costs before its first instruction (Yellow Paper §6.2, EIP-2028, EIP-3860)."""
    zeros = data.count(0)
    calldata = zeros * ZERO_BYTE_GAS + (len(data) - zeros) * BYTE_GAS
    return TRANSACTION_GAS + calldata + (CREATION_GAS + WORD_GAS * -(-len(data) // 32) if creation else 0)
