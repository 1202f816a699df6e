# SPDX-License-Identifier: Apache-2.0
"""Accounts that actions act with: a person's wallet in the browser, and keys that the node keeps.

A browser is not believed. A signature must recover to the account, or its contract must agree; a transaction
must be found on the chain with the sender, receiver, value and data that were asked for. Who lies to the node
from the browser hurts only itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from koinon.chain.account import Sending, typed_data
from koinon.chain.address import checksum
from koinon.chain.contract import Call, reverted
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.chain.receipts import Receipt
from koinon.chain.rpc import BATCH, RpcError
from koinon.console.tasks import Task, Wish
from koinon.console.wallet_signature import read_signature, signed_by
from koinon.errors import KeyFault, TransactionFailed
from koinon.web import gettext

Describe = Callable[[Call], tuple[str, Mapping[str, str]]]
"""A call in words: title, and label → value."""

SEEN_S: Final = 90.0
"""How long a transaction may take from the wallet to this node."""
MINED_S: Final = 1_800.0
_LOOK_EVERY_S: Final = 0.25
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")


class KeptAccount:
    """An account whose key the node keeps: a guest's or the operator's. It notes what it sends."""

    def __init__(self, key: Key, task: Task) -> None:
        self._key = key
        self._task = task

    @property
    def address(self) -> str:
        """EIP-55 address."""
        return self._key.address

    def sign_typed(self, domain: Domain, struct: TypedStruct, *values: Any) -> bytes:
        """Sign at once, unless the visitor has cancelled."""
        self._task.check()
        return self._key.sign_typed(domain, struct, *values)

    def sending(self, chain: Chain) -> Sending:
        """The key's queue in this process."""
        return _Noted(chain.sender(self._key), self._task)


class _Noted:
    def __init__(self, queue: Sending, task: Task) -> None:
        self._queue = queue
        self._task = task

    @property
    def address(self) -> str:
        return self._queue.address

    def send(self, call: Call) -> Receipt:
        return self.send_all([call])[0]

    def send_all(self, calls: Sequence[Call], batch: int = BATCH, *, check: bool = True) -> list[Receipt]:
        self._task.check()
        try:
            receipts = self._queue.send_all(calls, batch, check=check)
        except TransactionFailed as failure:
            if failure.transaction_hash is not None:
                self._task.sent(failure.transaction_hash)
            raise
        for receipt in receipts:
            self._task.sent(receipt.transaction_hash)
        return receipts


class RemoteAccount:
    """A person's wallet: it signs and sends in the browser, and the action waits for it.

    Parameters
    ----------
    chain : Chain
    address : str
    task : Task
    describe : callable
        Puts a call into words.
    """

    def __init__(self, chain: Chain, address: str, task: Task, describe: Describe) -> None:
        self._chain = chain
        self._address = address
        self._task = task
        self._describe = describe

    @property
    def address(self) -> str:
        """EIP-55 address."""
        return self._address

    def sign_typed(self, domain: Domain, struct: TypedStruct, *values: Any) -> bytes:
        """Have the wallet sign; KeyFault where it refuses, does not answer, or says something else."""
        message = typed_data(domain, struct, values)
        wish = Wish(
            "eth_signTypedData_v4",
            [self._address, orjson.dumps(message).decode()],
            gettext("Sign a message: %(name)s", name=struct.name),
            _words(message["message"]),
        )
        signature = read_signature(self._task.ask(wish))
        wanted = digest(domain, struct.hash(*values))
        if not signed_by(self._chain, self._address, wanted, signature):
            raise KeyFault(
                f"The wallet's answer is not {self._address}'s signature under this message.",
                hint="Choose the account you came in with in your wallet, then start again.",
                code="action.signature",
            )
        return signature

    def sending(self, chain: Chain) -> Sending:
        """The wallet's own way of sending."""
        return _WalletSending(chain, self._address, self._task, self._describe)


class _WalletSending:
    def __init__(self, chain: Chain, address: str, task: Task, describe: Describe) -> None:
        self._chain = chain
        self._address = address
        self._task = task
        self._describe = describe

    @property
    def address(self) -> str:
        return self._address

    def send(self, call: Call) -> Receipt:
        return self.send_all([call])[0]

    def send_all(self, calls: Sequence[Call], batch: int = BATCH, *, check: bool = True) -> list[Receipt]:
        del batch  # a wallet shows its owner one at a time
        return [self._send(call, check) for call in calls]

    def _send(self, call: Call, check: bool) -> Receipt:
        """One call: tried, asked for, found on the chain, waited for."""
        fields = {"from": self._address, "data": "0x" + call.data.hex(), "value": hex(call.value)}
        if call.to is not None:
            fields["to"] = call.to
        try:
            gas = int(self._chain.rpc.call("eth_estimateGas", fields), 16)
        except RpcError as error:
            raise reverted(error, "The transaction") from None
        since = self._chain.block_number()
        title, words = self._describe(call)
        answer = self._task.ask(
            Wish(
                "eth_sendTransaction",
                [{**fields, "gas": hex(max(gas * 6 // 5, call.gas or 0))}],
                title,
                words,
            )
        )
        if not _HASH.fullmatch(answer):
            raise KeyFault(
                "The wallet's answer is not a transaction's hash.",
                hint="Look into your wallet for what it sent, and start again.",
                code="action.transaction",
            )
        receipt = self._mined(call, answer.lower(), since)
        if check and receipt.status != 1:
            reason = self._reason(fields, receipt)
            raise TransactionFailed(
                f"The transaction was mined and reverted: {reason or 'no reason given'}",
                reason=reason,
                transaction_hash=receipt.transaction_hash,
                code="chain.reverted",
            )
        return receipt

    def _mined(self, call: Call, wanted: str, since: int) -> Receipt:
        found = self._appear(wanted)
        self._check(call, found, since)
        self._task.sent(wanted)
        nonce, sender = int(found["nonce"], 16), str(found["from"])
        deadline = time.monotonic() + MINED_S
        while time.monotonic() < deadline:
            receipt = self._chain.rpc.call("eth_getTransactionReceipt", wanted)
            if receipt is not None and receipt.get("blockNumber") is not None:
                return Receipt.from_rpc(receipt)
            if int(self._chain.rpc.call("eth_getTransactionCount", sender, "latest"), 16) > nonce:
                other = self._in_its_place(sender, nonce, since)
                if other is not None and other["hash"] != wanted:
                    self._check(call, other, since)
                    wanted = str(other["hash"])
                    self._task.sent(wanted)
            self._task.check()
            time.sleep(_LOOK_EVERY_S)
        raise TransactionFailed(
            "The transaction was not mined in time.",
            transaction_hash=wanted,
            hint="It may still be mined. Look for it in your wallet before you start again.",
            code="chain.not_mined",
        )

    def _appear(self, wanted: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + SEEN_S
        while time.monotonic() < deadline:
            found = self._chain.rpc.call("eth_getTransactionByHash", wanted)
            if found is not None:
                return dict(found)
            self._task.check()
            time.sleep(_LOOK_EVERY_S)
        raise KeyFault(
            "The transaction that the wallet named is not on this network.",
            hint="Is your wallet on this network? Look there for what it sent before you start again.",
            code="action.unseen",
        )

    def _check(self, call: Call, found: Mapping[str, Any], since: int) -> None:
        """Whether this is the call that was asked for, sent after it was asked for."""
        if _is_call(found, self._address, call) and (
            found.get("blockNumber") is None or int(found["blockNumber"], 16) > since
        ):
            return
        raise KeyFault(
            "The wallet sent something else than what was asked for.",
            hint="Nothing is built on it. Look into your wallet for what it sent, and start again.",
            code="action.other_transaction",
        )

    def _in_its_place(self, sender: str, nonce: int, since: int) -> Mapping[str, Any] | None:
        """The transaction that was mined with this nonce: a wallet may have paid more for the same call."""
        for number in range(since + 1, self._chain.block_number() + 1):
            block = self._chain.rpc.call("eth_getBlockByNumber", hex(number), True)
            for found in block["transactions"]:
                if found["from"] == sender and int(found["nonce"], 16) == nonce:
                    return dict(found)
        return None

    def _reason(self, fields: Mapping[str, str], receipt: Receipt) -> str:
        try:
            self._chain.rpc.call("eth_call", fields, hex(receipt.block_number - 1))
        except RpcError as error:
            failure = reverted(error, "The transaction")
            return failure.reason if isinstance(failure, TransactionFailed) else ""
        return ""


def _is_call(found: Mapping[str, Any], address: str, call: Call) -> bool:
    """A key's account sends the call itself; a contract account has it carried inside another's."""
    to = None if found.get("to") is None else checksum(found["to"])
    data = bytes.fromhex(str(found.get("input", found.get("data", "0x")))[2:])
    if checksum(found["from"]) == address:
        return to == call.to and data == call.data and int(found["value"], 16) == call.value
    inside = bytes.fromhex(address[2:]) in data or to == address
    target = b"" if call.to is None else bytes.fromhex(call.to[2:])
    return inside and target in data and bool(call.data) and call.data in data


def _words(message: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    words: dict[str, str] = {}
    for name, value in message.items():
        label = f"{prefix}{name}"
        if isinstance(value, Mapping):
            words |= _words(value, f"{label}.")
        elif isinstance(value, list):
            for position, one in enumerate(value):
                words |= _words({str(position): one}, f"{label}.")
        else:
            words[label] = str(value)
    return words
