# SPDX-License-Identifier: Apache-2.0
"""Blocks, transactions and addresses, read from the node and told in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from koinon.chain.address import checksum
from koinon.chain.contract import reverted
from koinon.chain.handle import Chain
from koinon.chain.rpc import RpcError
from koinon.console.explorer.decoding import Decoded, Decoder
from koinon.errors import NotFound


@dataclass(frozen=True)
class Log:
    """An event of a transaction; ``decoded`` None where nobody here knows it. ``topics``, ``data`` 0x-hex."""

    index: int
    address: str
    decoded: Decoded | None
    topics: tuple[str, ...]
    data: str


@dataclass(frozen=True)
class TransactionLine:
    """A transaction in a list. ``value`` in wei; ``to`` None where it created a contract."""

    hash: str
    block_number: int | None
    sender: str
    to: str | None
    value: int
    call: Decoded | None


@dataclass(frozen=True)
class TransactionView:
    """A transaction in full.

    ``status`` True done, False reverted, None not mined yet; ``fee`` and ``value`` in wei; ``reason`` what
    the contract said where it was refused, '' where it did not say.
    """

    line: TransactionLine
    status: bool | None
    nonce: int
    gas_limit: int
    gas_used: int | None
    fee: int | None
    timestamp: int | None
    data: str
    created: str | None
    logs: tuple[Log, ...]
    reason: str = ""


@dataclass(frozen=True)
class BlockView:
    """A block with its transactions. Gas in units, ``base_fee`` in wei a unit, ``timestamp`` Unix seconds."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    gas_used: int
    gas_limit: int
    base_fee: int
    transactions: tuple[TransactionLine, ...]


@dataclass(frozen=True)
class BlockLine:
    """A block in a list."""

    number: int
    hash: str
    timestamp: int
    transactions: int
    gas_used: int


@dataclass(frozen=True)
class AddressView:
    """An account or contract. Balances in wei and in the coin's smallest unit.

    ``name`` what the network calls the contract, ``work_id`` whose till it is, where it is one.
    """

    address: str
    name: str | None
    work_id: int | None
    balance: int
    coins: int
    nonce: int
    code_size: int

    @property
    def is_contract(self) -> bool:
        return self.code_size > 0


class ChainReader:
    """Reads one network for people."""

    def __init__(self, chain: Chain, decoder: Decoder | None = None) -> None:
        self._chain = chain
        self.decoder = decoder or Decoder(chain)

    def latest_blocks(self, count: int, before: int | None = None) -> list[BlockLine]:
        """The newest blocks first; those below ``before`` where that is given."""
        newest = self._chain.block_number() if before is None else before - 1
        numbers = range(newest, max(-1, newest - count), -1)
        found = self._chain.rpc.batch([("eth_getBlockByNumber", [hex(each), False]) for each in numbers])
        return [
            BlockLine(
                _number(block["number"]),
                block["hash"],
                _number(block["timestamp"]),
                len(block["transactions"]),
                _number(block["gasUsed"]),
            )
            for block in found
            if block is not None
        ]

    def block(self, wanted: int | str) -> BlockView:
        """A block by number or by hash; `NotFound` where there is none."""
        try:
            if isinstance(wanted, int):
                found = self._chain.rpc.call("eth_getBlockByNumber", hex(wanted), True)
            else:
                found = self._chain.rpc.call("eth_getBlockByHash", wanted, True)
        except RpcError:
            found = None
        if found is None:
            raise NotFound(
                f"There is no block {wanted} on {self._chain.network.name}.",
                hint="The newest block is on the page Chain.",
                code="explorer.block",
            )
        self._learn(found["transactions"])
        return BlockView(
            number=_number(found["number"]),
            hash=found["hash"],
            parent_hash=found["parentHash"],
            timestamp=_number(found["timestamp"]),
            gas_used=_number(found["gasUsed"]),
            gas_limit=_number(found["gasLimit"]),
            base_fee=_number(found.get("baseFeePerGas") or "0x0"),
            transactions=tuple(self._line(each) for each in found["transactions"]),
        )

    def lines(self, hashes: Sequence[str]) -> list[TransactionLine]:
        """Transactions by their hashes, in that order; unknown ones are left out."""
        found = self._chain.rpc.batch([("eth_getTransactionByHash", [each]) for each in hashes])
        there = [each for each in found if each is not None]
        self._learn(there)
        return [self._line(each) for each in there]

    def transaction(self, transaction_hash: str) -> TransactionView:
        """A transaction with what it did; `NotFound` where the node never saw it."""
        sent, receipt = self._chain.rpc.batch(
            [
                ("eth_getTransactionByHash", [transaction_hash]),
                ("eth_getTransactionReceipt", [transaction_hash]),
            ]
        )
        if sent is None:
            raise NotFound(
                f"The node knows no transaction {transaction_hash}.",
                hint="Check the hash and the network; one that was sent a moment ago may need another.",
                code="explorer.transaction",
            )
        self._learn([sent], (receipt or {}).get("logs", ()))
        line = self._line(sent)
        if receipt is None:
            return TransactionView(
                line,
                None,
                _number(sent["nonce"]),
                _number(sent["gas"]),
                None,
                None,
                None,
                sent["input"],
                None,
                (),
            )
        block = self._chain.rpc.call("eth_getBlockByNumber", receipt["blockNumber"], False)
        status = receipt["status"] == "0x1"
        created = receipt.get("contractAddress")
        return TransactionView(
            line=line,
            status=status,
            nonce=_number(sent["nonce"]),
            gas_limit=_number(sent["gas"]),
            gas_used=_number(receipt["gasUsed"]),
            fee=_number(receipt["gasUsed"]) * _number(receipt.get("effectiveGasPrice") or "0x0"),
            timestamp=_number(block["timestamp"]) if block is not None else None,
            data=sent["input"],
            created=checksum(created) if created else None,
            logs=tuple(self._log(each) for each in receipt["logs"]),
            reason="" if status else self._reason(sent),
        )

    def address(self, address: str) -> AddressView:
        """An account or contract as it is now."""
        coin = self._chain.coin
        balance, nonce, code = self._chain.rpc.batch(
            [
                ("eth_getBalance", [address, "latest"]),
                ("eth_getTransactionCount", [address, "latest"]),
                ("eth_getCode", [address, "latest"]),
            ]
        )
        self.decoder.note(address, code)
        return AddressView(
            address=address,
            name=self.decoder.contract_name(address),
            work_id=self.decoder.work_of_till(address),
            balance=_number(balance),
            coins=int(coin.call("balanceOf", address)),
            nonce=_number(nonce),
            code_size=len(code) // 2 - 1,
        )

    def _learn(self, sent: Sequence[Mapping[str, Any]], logs: Sequence[Mapping[str, Any]] = ()) -> None:
        """Ask at once who stands where, for calls and events that are about to be read."""
        called = [checksum(each["to"]) for each in sent if each.get("to") and len(each["input"]) >= 10]
        self.decoder.learn([*called, *(checksum(each["address"]) for each in logs)])

    def _line(self, sent: Mapping[str, Any]) -> TransactionLine:
        to = checksum(sent["to"]) if sent.get("to") else None
        return TransactionLine(
            hash=sent["hash"],
            block_number=_number(sent["blockNumber"]) if sent.get("blockNumber") else None,
            sender=checksum(sent["from"]),
            to=to,
            value=_number(sent["value"]),
            call=self.decoder.call(to, bytes.fromhex(sent["input"][2:])),
        )

    def _log(self, log: Mapping[str, Any]) -> Log:
        return Log(
            index=_number(log["logIndex"]),
            address=checksum(log["address"]),
            decoded=self.decoder.event(log),
            topics=tuple(log["topics"]),
            data=log["data"],
        )

    def _reason(self, sent: Mapping[str, Any]) -> str:
        """What the contract says when the same call is made on the state it met; '' where it says nothing."""

        call = {key: sent[key] for key in ("from", "to", "value", "input") if sent.get(key)}
        before = hex(max(0, _number(sent["blockNumber"]) - 1))
        try:
            self._chain.rpc.call("eth_call", call, before)
        except RpcError as error:
            return str(getattr(reverted(error, ""), "reason", "") or "")
        return ""


def _number(text: str) -> int:
    return int(text, 16)
