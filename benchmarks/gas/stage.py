# SPDX-License-Identifier: Apache-2.0
"""A node with every contract in its place, where each transaction costs the same in every run.

Nothing here depends on time or chance: accounts are fixed, the clock starts at a fixed second and moves one
second a block, every block holds one transaction, and each scenario starts from the same snapshot.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from koinon.chain import artifacts
from koinon.chain.anvil import find_anvil
from koinon.chain.canonical import CANONICAL
from koinon.chain.contract import Call, Contract
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.chain.rpc import Rpc, RpcError

CHAIN_ID = 31_337
START = 1_800_000_000
GAS_LIMIT = 25_000_000
DOLLAR = 1_000_000
ROLES = ("publisher", "buyer", "gateway", "lender", "stranger")
LARGEST = 2**256 - 1
_PATIENCE_S, _PAUSE_S = 5.0, 0.001
_ATTEMPTS = 4


class Stage:
    """Contracts by name, keys by role, and what each measured transaction cost.

    ``figures`` maps ``Contract.function`` to gas: with its parameters where the name is overloaded, with a
    note after a dot where one function is measured several ways.
    """

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self.figures: dict[str, int] = {}
        self.contracts: dict[str, Contract] = {}
        rpc.call("anvil_autoImpersonateAccount", True)
        rpc.call("anvil_setBlockTimestampInterval", 1)
        for role in ROLES:
            self.fund(role)

    def deploy(self, name: str, *arguments: Any) -> None:
        """Create the contract every scenario uses, and note what that cost.

        x402's two are put at their canonical addresses, as a genesis block does.
        """
        if name in CANONICAL:
            self.rpc.call("anvil_setCode", CANONICAL[name], "0x" + artifacts.load(name).runtime.hex())
            self.contracts[name] = self.at(name, CANONICAL[name])
        else:
            self.contracts[name] = self.create(name, *arguments, noted=True)

    def create(self, name: str, *arguments: Any, noted: bool = False) -> Contract:
        """Create another one of a kind."""
        receipt = self._send(Call(None, artifacts.load(name).creation(*arguments)), key("publisher"))
        if noted:
            self._note(f"{name} · deployed", receipt)
        return self.at(name, receipt["contractAddress"])

    def put(self, creation: Call) -> str:
        """Create code that is none of ours; its address."""
        address: str = self._send(creation, key("publisher"))["contractAddress"]
        return address

    def at(self, name: str, address: str) -> Contract:
        """A contract of this kind at another address: a Work's till."""
        return Contract(self.rpc, address, artifacts.load(name))

    def measure(
        self,
        contract: Contract,
        function: str,
        *arguments: Any,
        sender: str = "publisher",
        value: int = 0,
        note: str = "",
    ) -> dict[str, Any]:
        """Send a transaction and note its gas. The receipt is the node's."""
        receipt = self.send(contract, function, *arguments, sender=sender, value=value)
        self._note(f"{contract.name}.{function}" + (f" · {note}" if note else ""), receipt)
        return receipt

    def send(
        self, contract: Contract, function: str, *arguments: Any, sender: str = "publisher", value: int = 0
    ) -> dict[str, Any]:
        """Send a transaction that is needed but not measured."""
        return self._send(contract.transaction(function, *arguments, value=value), key(sender))

    @contextmanager
    def scene(self) -> Iterator[None]:
        """Everything done inside is undone at its end."""
        snapshot = self.rpc.call("evm_snapshot")
        yield
        self.rpc.call("evm_revert", snapshot)

    def fund(self, role: str) -> None:
        """Give a role ETH to act with."""
        self.rpc.call("anvil_setBalance", key(role).address, hex(10**24))

    def now(self) -> int:
        """The latest block's second."""
        return int(self.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def wait(self, seconds: int) -> None:
        """Move the clock on."""
        self.wait_until(self.now() + seconds)

    def wait_until(self, second: int) -> None:
        """Move the clock to a later second."""
        self.rpc.call("anvil_setNextBlockTimestamp", second)
        self.rpc.call("evm_mine")

    def _send(self, call: Call, sender: Key) -> dict[str, Any]:
        fields = {
            "from": sender.address,
            "data": "0x" + call.data.hex(),
            "value": hex(call.value),
            "gas": hex(GAS_LIMIT),
        }
        if call.to is not None:
            fields["to"] = call.to
        receipt = None
        for attempt in range(_ATTEMPTS):
            # What a node is sent right after a snapshot is restored it may forget, or sit on: ask for a
            # block, and send what it knows no more with another limit, which makes it another transaction.
            transaction = self.rpc.call("eth_sendTransaction", {**fields, "gas": hex(GAS_LIMIT - attempt)})
            receipt = self._receipt(transaction)
            if receipt is None:
                self.rpc.call("evm_mine")
                receipt = self._receipt(transaction)
            if receipt is not None:
                break
            if self.rpc.call("eth_getTransactionByHash", transaction) is not None:
                raise RuntimeError(f"The node does not mine {transaction}.")
        if receipt is None:
            raise RuntimeError(f"The node forgot a transaction {_ATTEMPTS} times.")
        if receipt["status"] != "0x1":
            try:
                self.rpc.call("eth_call", fields, hex(int(receipt["blockNumber"], 16) - 1))
            except RpcError as refused:
                raise RuntimeError(f"The transaction reverted: {refused}") from refused
            raise RuntimeError("The transaction reverted without a reason.")
        return receipt

    def _receipt(self, transaction: str) -> dict[str, Any] | None:
        deadline = time.monotonic() + _PATIENCE_S
        while (found := self.rpc.call("eth_getTransactionReceipt", transaction)) is None:
            if time.monotonic() > deadline:
                return None
            time.sleep(_PAUSE_S)
        receipt: dict[str, Any] = found
        return receipt

    def _note(self, name: str, receipt: dict[str, Any]) -> None:
        if name in self.figures:
            raise ValueError(f"{name} is measured twice")
        self.figures[name] = int(receipt["gasUsed"], 16)


def key(role: str) -> Key:
    """The fixed key of a role."""
    return Key.from_bytes(keccak256(b"koinon gas " + role.encode()))


def digest(text: str) -> bytes:
    """32 bytes without zeros among them, as digests usually are."""
    return bytes(byte or 1 for byte in keccak256(text.encode()))


@contextmanager
def opened() -> Iterator[Stage]:
    """A stage on a node of its own, which ends with it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "anvil.log"
        with log.open("wb") as stream:
            arguments = [
                "--port",
                "0",
                "--chain-id",
                CHAIN_ID,
                "--timestamp",
                START,
                "--accounts",
                1,
                "--no-cors",
            ]
            process = subprocess.Popen([find_anvil(), *map(str, arguments)], stdout=stream, stderr=stream)
        try:
            with Rpc(f"http://{_address(process, log)}") as rpc:
                yield Stage(rpc)
        finally:
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the node listens, as it says itself once it does."""
    while process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("Listening on "):
                return line.removeprefix("Listening on ").strip()
    raise RuntimeError(f"anvil ended: {log.read_text()[-500:]}")
