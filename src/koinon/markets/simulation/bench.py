# SPDX-License-Identifier: Apache-2.0
"""An EVM in memory (revm through pyrevm) that runs the bytecode that ships, without a node.

It is a chain without blocks' headers: time and block number are set, calls run one after another, what they
log is kept. Gas is not charged, and the gas it reports is too small: the journal never ends, so that every
slot touched before stays warm and dirty (EIP-2929, EIP-2200).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from koinon.chain import artifacts
from koinon.chain.abi import revert_reason
from koinon.chain.address import checksum, create2_address
from koinon.chain.artifacts import Artifact
from koinon.chain.canonical import DEVNET_CHAIN_ID, FACTORY, FACTORY_CODE
from koinon.chain.hashing import keccak256
from koinon.errors import TransactionFailed
from koinon.extras import required

READER: Final = "0x" + "00" * 19 + "01"
"""Who asks when nobody in particular does."""

BLOCK_GAS: Final = 30_000_000


@dataclass(frozen=True)
class Log:
    """One log as it happened. ``topics`` and ``data`` are bytes, ``index`` counts within its block,
    ``transaction`` within the bench's life."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    timestamp: int
    index: int
    transaction: int

    def rpc(self) -> dict[str, Any]:
        """The log as ``eth_getLogs`` gives it; its transaction's hash is only a number."""
        return {
            "address": self.address,
            "topics": ["0x" + topic.hex() for topic in self.topics],
            "data": "0x" + self.data.hex(),
            "blockNumber": hex(self.block_number),
            "logIndex": hex(self.index),
            "transactionHash": f"0x{self.transaction:064x}",
        }


@dataclass(frozen=True)
class Outcome:
    """What a transaction did. ``output`` is what it returned, or its revert data where not ``worked``."""

    worked: bool
    output: bytes = field(repr=False)
    gas: int
    logs: tuple[Log, ...] = field(repr=False)

    @property
    def reason(self) -> str:
        """Why it was refused, in the contract's words."""
        return "" if self.worked else revert_reason(self.output, artifacts.custom_errors())


@dataclass(frozen=True)
class Placed:
    """A contract in the bench."""

    address: str
    artifact: Artifact = field(repr=False)

    def encode(self, name: str, *arguments: Any) -> bytes:
        """Call data of one of its functions."""
        return self.artifact.functions[name].encode(*arguments)


class Bench:
    """A chain in memory.

    Parameters
    ----------
    timestamp : int
        Unix seconds of the first block.
    chain_id : int
        EIP-155 chain id that contracts see; the development chain's, so that signatures serve there too.
    keep_logs : bool
        Whether `logs` keeps every transaction's; a `Outcome` has its own in any case.
    """

    def __init__(
        self, timestamp: int = 1_700_000_000, *, chain_id: int = DEVNET_CHAIN_ID, keep_logs: bool = True
    ) -> None:
        self._pyrevm = required("pyrevm", extra="markets")
        environment = self._pyrevm.Env(cfg=self._pyrevm.CfgEnv(chain_id=chain_id))
        self.evm: Any = self._pyrevm.EVM(env=environment, spec_id="CANCUN")
        self.chain_id = chain_id
        self.keep_logs = keep_logs
        self.logs: list[Log] = []
        self.transactions = 0
        self._log_index = 0
        self.evm.insert_account_info(FACTORY, self._pyrevm.AccountInfo(nonce=1, code=FACTORY_CODE))
        self.block_number = 0
        self.timestamp = timestamp
        self.next_block(timestamp)

    def next_block(self, timestamp: int) -> None:
        """Begin a block at a time (Unix seconds, never before the last one's)."""
        if timestamp < self.timestamp:
            raise ValueError("a chain's clock never goes back")
        self.block_number += 1
        self.timestamp = timestamp
        self._log_index = 0
        self.evm.set_block_env(
            self._pyrevm.BlockEnv(
                number=self.block_number, timestamp=timestamp, gas_limit=BLOCK_GAS, basefee=0
            )
        )

    # Acting

    def transact(self, sender: str, to: str, data: bytes, value: int = 0) -> Outcome:
        """Send a transaction; refusals are an `Outcome` too, and leave the state as it was."""
        number = self.transactions
        self.transactions += 1
        try:
            output = self.evm.message_call(sender, to, data, value or None)
        except RuntimeError as refusal:
            self.evm.reset_transient_storage()
            return Outcome(False, _revert_data(refusal), self.evm.result.gas_used, ())
        self.evm.reset_transient_storage()
        result = self.evm.result
        logs = []
        for log in result.logs:
            topics, content = log.data
            logs.append(
                Log(
                    log.address,
                    tuple(topics),
                    content,
                    self.block_number,
                    self.timestamp,
                    self._log_index,
                    number,
                )
            )
            self._log_index += 1
        if self.keep_logs:
            self.logs += logs
        return Outcome(True, output, result.gas_used, tuple(logs))

    def act(self, sender: str, contract: Placed, name: str, *arguments: Any, value: int = 0) -> Any:
        """Call a function that changes something: what it returns; `TransactionFailed` where refused."""
        function = contract.artifact.functions[name]
        outcome = self.transact(sender, contract.address, function.encode(*arguments), value)
        if not outcome.worked:
            raise _refused(f"{contract.artifact.name}.{name}", outcome.output)
        return function.decode(outcome.output)

    def deploy(self, name: str | Artifact, *arguments: Any, salt: bytes = bytes(32)) -> Placed:
        """Create a contract through the deterministic proxy, as on a chain: its address follows from its code
        and the salt (EIP-1014). What is there already stays."""
        artifact = artifacts.load(name) if isinstance(name, str) else name
        creation = artifact.creation(*arguments)
        placed = Placed(create2_address(FACTORY, salt, keccak256(creation)), artifact)
        if not self.code(placed.address):
            outcome = self.transact(READER, FACTORY, salt + creation)
            if not outcome.worked or not self.code(placed.address):
                raise _refused(f"The creation of {artifact.name}", outcome.output)
        return placed

    def at(self, address: str, name: str | Artifact) -> Placed:
        """A contract that is there already."""
        return Placed(checksum(address), artifacts.load(name) if isinstance(name, str) else name)

    # Looking

    def view(self, to: str, data: bytes, sender: str = READER) -> bytes:
        """What a call would return now, changing nothing; `TransactionFailed` where it is refused."""
        output = self.peek(to, data, sender)
        if output is None:
            raise _refused("A look", self._refusal)
        return output

    def peek(self, to: str, data: bytes, sender: str = READER) -> bytes | None:
        """As `view`, None where it is refused."""
        mark = self.evm.snapshot()
        try:
            found: bytes = self.evm.message_call(sender, to, data)
        except RuntimeError as refusal:
            self._refusal = _revert_data(refusal)
            return None
        finally:
            self.evm.revert(mark)
            self.evm.reset_transient_storage()
        return found

    def ask(self, contract: Placed, name: str, *arguments: Any, sender: str = READER) -> Any:
        """A function's answer now, decoded, changing nothing."""
        function = contract.artifact.functions[name]
        return function.decode(self.view(contract.address, function.encode(*arguments), sender))

    def code(self, address: str) -> bytes:
        """The code at an address; empty where there is none."""
        return bytes(self.evm.get_code(address) or b"")

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Everything done inside is undone at the end, time and logs too."""
        mark = self.evm.snapshot()
        kept = (self.block_number, self.timestamp, self._log_index, self.transactions, len(self.logs))
        try:
            yield
        finally:
            self.evm.revert(mark)
            number, timestamp, index, self.transactions, count = kept
            del self.logs[count:]
            self.block_number, self.timestamp = number - 1, timestamp
            self.next_block(timestamp)
            self._log_index = index

    def run(self, calls: Sequence[tuple[str, str, bytes]]) -> int:
        """Many prepared ``(sender, to, data)``, as fast as they go and without looking at what they log; how
        many worked."""
        call, reset, worked = self.evm.message_call, self.evm.reset_transient_storage, 0
        for sender, to, data in calls:
            try:
                call(sender, to, data)
                worked += 1
            except RuntimeError:
                pass
            reset()
        self.transactions += len(calls)
        return worked

    _refusal: bytes = b""


def _revert_data(refusal: RuntimeError) -> bytes:
    """pyrevm says what a refused call returned only in its message: ``Revert { …, output: 0x… }``."""
    _, found, rest = str(refusal).partition("output: 0x")
    return bytes.fromhex(rest.partition(" ")[0]) if found else b""


def _refused(what: str, output: bytes) -> TransactionFailed:
    reason = revert_reason(output, artifacts.custom_errors())
    return TransactionFailed(
        f"{what} was refused: {reason or 'no reason given'}", reason=reason, code="chain.call_reverted"
    )
