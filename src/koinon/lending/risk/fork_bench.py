# SPDX-License-Identifier: Apache-2.0
"""The machine of a replay on a copy of a real chain: what `Bench` does in memory, by JSON-RPC."""

from __future__ import annotations

from typing import Any, Final

from koinon.chain import artifacts, testnode
from koinon.chain.abi import revert_reason
from koinon.chain.address import checksum
from koinon.chain.artifacts import Artifact
from koinon.chain.fork import Fork
from koinon.chain.rpc import Rpc, RpcError
from koinon.errors import TransactionFailed
from koinon.markets.simulation.bench import READER, Placed

_GAS: Final = hex(15_000_000)
_ETHER: Final = 1_000 * 10**18


class ForkBench:
    """Acts for any account of a `Fork`. Every transaction is a block, a second or more after the one before.

    Attributes
    ----------
    chain_id : int
        The copied chain's, so that its signatures serve here too.
    timestamp : int
        Unix seconds of the newest block.
    """

    def __init__(self, fork: Fork) -> None:
        self._rpc: Rpc = fork.rpc
        self.chain_id = int(self._rpc.call("eth_chainId"), 16)
        self.timestamp = 0
        self._have_gas: set[str] = set()
        self._look_at_the_clock()

    def next_block(self, timestamp: int) -> None:
        """An empty block at this Unix second, or at once where that is past."""
        testnode.set_next_time(self._rpc, max(timestamp, self.timestamp + 1))
        testnode.mine(self._rpc)
        self._look_at_the_clock()

    def act(self, sender: str, contract: Placed, name: str, *arguments: Any) -> Any:
        """A transaction: what the function returned; `TransactionFailed` where it is refused."""
        function = contract.artifact.functions[name]
        data = function.encode(*arguments)
        output = self.view(contract.address, data, sender)
        receipt = self._send({"from": sender, "to": contract.address, "data": "0x" + data.hex()})
        if int(receipt["status"], 16) != 1:
            raise TransactionFailed(
                f"{contract.artifact.name}.{name} was refused once it was mined.", code="chain.call_reverted"
            )
        return function.decode(output) if output else None  # some tokens return nothing

    def ask(self, contract: Placed, name: str, *arguments: Any) -> Any:
        """A function's answer now, decoded."""
        function = contract.artifact.functions[name]
        return function.decode(self.view(contract.address, function.encode(*arguments)))

    def view(self, to: str, data: bytes, sender: str = READER) -> bytes:
        """What a call would return now; `TransactionFailed` where it is refused."""
        try:
            return self._call(to, data, sender)
        except RpcError as fault:
            reason = revert_reason(fault.data, artifacts.custom_errors())
            raise TransactionFailed(
                f"A call was refused: {reason or fault}", reason=reason, code="chain.call_reverted"
            ) from fault

    def peek(self, to: str, data: bytes, sender: str = READER) -> bytes | None:
        """As `view`, None where it is refused."""
        try:
            return self._call(to, data, sender)
        except RpcError:
            return None

    def at(self, address: str, name: str | Artifact) -> Placed:
        """A contract that is there already."""
        return Placed(checksum(address), artifacts.load(name) if isinstance(name, str) else name)

    def deal(self, token: str, holder: str, units: int) -> None:
        """Set what an account holds of a token, wherever the token keeps it.

        Raises
        ------
        RpcError
            The token's balances are not plain storage.
        """
        self._rpc.call("anvil_dealERC20", holder, token, hex(units))

    def put_code_of(self, artifact: Artifact, arguments: tuple[Any, ...], address: str) -> None:
        """Give the contract at an address the code that a creation with these arguments leaves, storage as
        it was."""
        created = self._send({"from": READER, "data": "0x" + artifact.creation(*arguments).hex()})
        code = self._rpc.call("eth_getCode", created["contractAddress"], "latest")
        testnode.set_code(self._rpc, address, bytes.fromhex(code[2:]))

    def _send(self, call: dict[str, str]) -> dict[str, Any]:
        if call["from"] not in self._have_gas:
            testnode.give(self._rpc, call["from"], _ETHER)
            self._have_gas.add(call["from"])
        sent = self._rpc.call("eth_sendTransaction", {**call, "gas": _GAS})
        receipt: dict[str, Any] | None = None
        while receipt is None:  # it is mined at once, though not always before its hash is told
            receipt = self._rpc.call("eth_getTransactionReceipt", sent)
        self._look_at_the_clock()
        return receipt

    def _call(self, to: str, data: bytes, sender: str) -> bytes:
        call = {"from": sender, "to": to, "data": "0x" + data.hex(), "gas": _GAS}
        return bytes.fromhex(self._rpc.call("eth_call", call, "latest")[2:])

    def _look_at_the_clock(self) -> None:
        self.timestamp = int(self._rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
