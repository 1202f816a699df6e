# SPDX-License-Identifier: Apache-2.0
"""Sending transactions for one account: nonces, gas, fees, receipts, replacement of the overdue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from koinon.chain.contract import Call, reverted
from koinon.chain.keys import Key
from koinon.chain.outbox import MemoryOutbox, Outbox
from koinon.chain.receipts import Receipt
from koinon.chain.rpc import BATCH, Rpc, RpcError
from koinon.chain.transactions import SignedTransaction, Transaction
from koinon.errors import BadInput, NodeUnavailable, TransactionFailed

__all__ = ["Patience", "Receipt", "Sender"]

_ATTEMPTS: Final = 5
_FIRST_PAUSE_S: Final = 0.004
_LONGEST_PAUSE_S: Final = 0.5
_DEFAULT_TIP: Final = 10**9
_KNOWN: Final = ("already known", "already imported", "known transaction")
_NONCE_TAKEN: Final = ("nonce too low", "replacement transaction underpriced")
_FEE_TOO_LOW: Final = ("less than block base fee", "lower than the block base fee", "transaction underpriced")


@dataclass(frozen=True)
class Patience:
    """How long a sender waits, in seconds: before it sends the same bytes again, before it replaces them by a
    transaction that pays 12.5 % more, before it gives up on one, and before it gives up on a silent node."""

    resend_after_s: float = 2.0
    replace_after_s: float = 30.0
    give_up_after_s: float = 600.0
    node_silent_s: float = 30.0


class _Entry:
    """A call on its way: every transaction signed for it that may still be mined, newest last."""

    def __init__(self, call: Call, signed: SignedTransaction, now: float) -> None:
        self.call = call
        self.versions = [signed]
        self.signed_at = self.sent_at = now
        self.overtaken = 0
        self.receipt: Receipt | None = None
        self.failure: TransactionFailed | None = None
        self.filler: SignedTransaction | None = None

    @property
    def newest(self) -> SignedTransaction:
        return self.versions[-1]

    @property
    def transaction(self) -> Transaction:
        return self.newest.transaction

    @property
    def nonce(self) -> int:
        return self.transaction.nonce

    @property
    def open(self) -> bool:
        return self.receipt is None and self.failure is None


@dataclass(frozen=True)
class _Conditions:
    base_fee: int
    tip: int
    balance: int
    nonce: int

    @property
    def fee(self) -> int:
        return 2 * self.base_fee + self.tip


class Sender:
    """The sending queue of one account. Safe to share between threads; use one for an account in a process.

    Parameters
    ----------
    rpc : Rpc
    key : Key
    chain_id : int
    outbox : Outbox, optional
        In memory by default.
    patience : Patience, optional
    clock, pause : callables, optional
        Seconds now, and waiting for some seconds.
    """

    def __init__(
        self,
        rpc: Rpc,
        key: Key,
        *,
        chain_id: int,
        outbox: Outbox | None = None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rpc = rpc
        self.chain_id = chain_id
        self.outbox: Outbox = outbox if outbox is not None else MemoryOutbox()
        self.patience = patience or Patience()
        self._key = key
        self._clock = clock
        self._pause = pause
        self._lock = threading.Lock()
        self._next_nonce = 0
        self._on_their_way = 0

    @property
    def address(self) -> str:
        """The account."""
        return self._key.address

    def send(self, call: Call) -> Receipt:
        """Send one transaction and wait until it is mined; errors as in `send_all`."""
        return self.send_all([call])[0]

    def send_all(self, calls: Sequence[Call], batch: int = BATCH, *, check: bool = True) -> list[Receipt]:
        """Send calls in order, ``batch`` (at most 250) at a time, and wait until all are mined.

        Calls without ``gas`` are tried first, each against the chain as it is before its batch, so a call
        that depends on another in the same batch must bring its own gas. Order holds unless another program
        sends for the same account at the same time.

        Raises
        ------
        TransactionFailed
            Refused when tried (nothing of its batch was sent), not payable by the account, reverted when
            mined (unless ``check`` is False; then its receipt has status 0), or not mined in time. The rest
            of its batch is waited for first.
        NodeUnavailable
            The node is gone. What was already sent stays in the outbox; `resume` sends it again.
        SetupError
            The outbox cannot keep transactions (``chain.outbox``): nothing more is sent, or, where it was
            mined already, it is not yet safe.
        """
        if not 0 < batch <= BATCH:
            raise BadInput(f"A batch has 1 to {BATCH} transactions.")
        receipts: list[Receipt] = []
        for start in range(0, len(calls), batch):
            part = calls[start : start + batch]
            gas = self._estimate(part)
            entries: list[_Entry] = []
            try:
                with self._lock:
                    entries = self._sign(part, gas)
                    self._submit(entries)
                self._await(entries)
            finally:
                with self._lock:
                    self._on_their_way -= len(entries)
            receipts += self._results(entries, check)
        return receipts

    def price(self, calls: Sequence[Call]) -> list[tuple[Call, int]]:
        """Each call with its gas filled in, and the most it can cost in wei at present prices. It is tried
        for that; errors as in `send_all`."""
        fee = self._conditions().fee
        return [
            (replace(call, gas=gas), call.value + gas * fee)
            for call, gas in zip(calls, self._estimate(calls), strict=True)
        ]

    def must_have_worked(self, calls: Sequence[Call], receipts: Sequence[Receipt]) -> None:
        """`TransactionFailed`, with the contract's reason, for the first of these that was mined in vain."""
        for call, receipt in zip(calls, receipts, strict=True):
            if receipt.status != 1:
                raise self._reverted(call, receipt)

    def wait(self, transaction_hash: bytes) -> Receipt:
        """Wait until somebody's transaction is mined; `TransactionFailed` when it is not, in time."""
        deadline, pause = self._clock() + self.patience.give_up_after_s, _FIRST_PAUSE_S
        while (found := self.rpc.call("eth_getTransactionReceipt", "0x" + transaction_hash.hex())) is None:
            if self._clock() >= deadline:
                raise self._not_mined(transaction_hash)
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        receipt = Receipt.from_rpc(found)
        self.outbox.reach(receipt.block_number, self.rpc)
        return receipt

    def resend(self) -> int:
        """Send again what the outbox still holds for this account, without waiting; how many that were. What
        was mined meanwhile is noted, and what never can be is forgotten."""
        waiting = [SignedTransaction.from_raw(raw) for raw in self.outbox.waiting(self.address)]
        late = [
            each
            for each, answer in zip(waiting, self._send_raw(waiting), strict=True)
            if isinstance(answer, RpcError) and _means(answer, ("nonce too low",))
        ]
        if late:
            mined = self._mined(late)
            self.outbox.mined(mined, self.rpc)
            done = {each.hash for each, _ in mined}
            self.outbox.forget([each for each in late if each.hash not in done])
        return len(waiting)

    def resume(self) -> list[Receipt]:
        """Send again what the outbox still holds for this account and wait; receipts of what was mined."""
        entries: dict[int, _Entry] = {}
        for raw in self.outbox.waiting(self.address):
            signed = SignedTransaction.from_raw(raw)
            t = signed.transaction
            if t.chain_id != self.chain_id:
                continue
            if t.nonce in entries:
                entries[t.nonce].versions.append(signed)
            else:
                entries[t.nonce] = _Entry(Call(t.to, t.data, t.value, t.gas), signed, self._clock())
        found = list(entries.values())
        with self._lock:
            self._on_their_way += len(found)
            self._next_nonce = max([self._next_nonce, *(nonce + 1 for nonce in entries)])
        try:
            for entry in found:
                self._nudge(entry)
            self._await(found)
        finally:
            with self._lock:
                self._on_their_way -= len(found)
        return self._results(found, check=False)

    def __repr__(self) -> str:
        return f"Sender({self.address})"

    # Before sending

    def _estimate(self, calls: Sequence[Call]) -> list[int]:
        unknown = [position for position, call in enumerate(calls) if call.gas is None]
        gas = [call.gas or 0 for call in calls]
        if not unknown:
            return gas
        requests = [("eth_estimateGas", [self._fields(calls[position])]) for position in unknown]
        for position, answer in zip(unknown, self.rpc.batch(requests, raise_errors=False), strict=True):
            if isinstance(answer, RpcError):
                raise self._refusal(answer)
            gas[position] = int(answer, 16) * 6 // 5
        return gas

    def _conditions(self) -> _Conditions:
        answers = self.rpc.batch(
            [
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_getBalance", [self.address, "pending"]),
                ("eth_getTransactionCount", [self.address, "pending"]),
                ("eth_maxPriorityFeePerGas", []),
            ],
            raise_errors=False,
        )
        for answer in answers[:3]:
            if isinstance(answer, RpcError):
                raise answer
        block, balance, count, tip = answers
        return _Conditions(
            base_fee=int(block.get("baseFeePerGas") or "0x0", 16),
            tip=_DEFAULT_TIP if isinstance(tip, RpcError) else int(tip, 16),
            balance=int(balance, 16),
            nonce=int(count, 16),
        )

    def _sign(self, calls: Sequence[Call], gas: Sequence[int]) -> list[_Entry]:
        now, conditions = self._clock(), self._conditions()
        fee, value, units = conditions.fee, sum(call.value for call in calls), sum(gas)
        if value + fee * units > conditions.balance:
            fee = conditions.base_fee * 9 // 8 + conditions.tip
        if value + fee * units > conditions.balance:
            raise TransactionFailed(
                f"The account {self.address} cannot pay: it has {conditions.balance} wei and needs "
                f"{value + fee * units}.",
                reason="insufficient funds",
                hint="Send it some ETH, or use another account.",
                code="chain.insufficient_funds",
            )
        # The node's count is right, except that it may not know yet what is still on its way.
        first = max(conditions.nonce, self._next_nonce) if self._on_their_way else conditions.nonce
        entries = []
        for nonce, (call, limit) in enumerate(zip(calls, gas, strict=True), first):
            transaction = Transaction(
                self.chain_id, nonce, conditions.tip, fee, limit, call.to, call.value, call.data
            )
            entries.append(_Entry(call, transaction.sign(self._key), now))
        self._next_nonce = first + len(entries)
        self._on_their_way += len(entries)
        return entries

    # Sending

    def _submit(self, entries: Sequence[_Entry]) -> None:
        """Record and send new transactions. Where another program's nonce or a risen fee got in the way they
        are signed anew; what the node refuses for good fails, and the nonces it leaves are filled."""
        open_ = list(entries)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.outbox.record([entry.newest for entry in open_])
            except BaseException:
                self._next_nonce = min(entry.nonce for entry in open_)  # none of these was sent
                raise
            try:
                answers = self._send_raw([entry.newest for entry in open_])
            except NodeUnavailable:
                return  # perhaps sent, perhaps not: sent again while waiting for the receipts
            again: list[_Entry] = []
            refused: list[SignedTransaction] = []
            renumbered: set[int] = set()
            for entry, answer in zip(open_, answers, strict=True):
                if not isinstance(answer, RpcError) or _means(answer, _KNOWN):
                    continue
                refused.append(entry.newest)
                if attempt == _ATTEMPTS or not _means(answer, _NONCE_TAKEN + _FEE_TOO_LOW):
                    entry.failure = self._refusal(answer)
                    continue
                again.append(entry)
                if _means(answer, _NONCE_TAKEN):
                    renumbered.add(id(entry))
            if refused:
                self.outbox.forget(refused)
            if not again:
                break
            self._sign_again(again, renumbered)
            open_ = again
        self._fill_gaps(entries)

    def _sign_again(self, entries: Sequence[_Entry], renumbered: set[int]) -> None:
        conditions = self._conditions()
        self._next_nonce = max(conditions.nonce, self._next_nonce)
        for entry in entries:
            nonce = entry.nonce
            if id(entry) in renumbered:
                nonce, self._next_nonce = self._next_nonce, self._next_nonce + 1
            transaction = replace(
                entry.transaction,
                nonce=nonce,
                max_fee_per_gas=max(conditions.fee, entry.transaction.max_fee_per_gas),
                max_priority_fee_per_gas=conditions.tip,
            )
            entry.versions = [transaction.sign(self._key)]

    def _fill_gaps(self, entries: Sequence[_Entry]) -> None:
        """Nothing is mined after an unused nonce: where later ones were accepted, spend it on nothing."""
        unused = [entry for entry in entries if entry.failure is not None]
        last = max((entry.nonce for entry in entries if entry.failure is None), default=-1)
        for entry in unused:
            if entry.nonce < last:
                nothing = replace(entry.transaction, to=self.address, value=0, data=b"", gas=21_000)
                entry.filler = nothing.sign(self._key)
        fillers = [entry.filler for entry in unused if entry.filler is not None]
        if unused:
            self._next_nonce = min(
                [self._next_nonce, *(entry.nonce for entry in unused if entry.nonce > last)]
            )
        if fillers:
            self.outbox.record(fillers)
            self._send_raw(fillers)

    def _send_raw(self, signed: Sequence[SignedTransaction]) -> list[Any]:
        requests = [("eth_sendRawTransaction", ["0x" + each.raw.hex()]) for each in signed]
        return self.rpc.batch(requests, raise_errors=False)

    # After sending

    def _results(self, entries: Sequence[_Entry], check: bool) -> list[Receipt]:
        receipts = []
        for entry in entries:
            if entry.failure is not None:
                raise entry.failure
            if entry.receipt is not None:
                receipts.append(entry.receipt)
        if check:
            for entry, receipt in zip(entries, receipts, strict=True):
                if receipt.status != 1:
                    raise self._reverted(entry.call, receipt)
        return receipts

    def _await(self, entries: Sequence[_Entry]) -> None:
        pause = _FIRST_PAUSE_S
        progress_at = answered_at = self._clock()
        while True:
            open_ = [entry for entry in entries if entry.open]
            try:
                if not open_ and self._confirm(entries):
                    return
                progress = bool(open_) and self._collect(open_)
                answered_at = now = self._clock()
                if progress:
                    progress_at, pause = now, _FIRST_PAUSE_S
                    continue
                for entry in open_:
                    if now - entry.sent_at >= self.patience.resend_after_s:
                        self._nudge(entry)
                    if now - progress_at >= self.patience.give_up_after_s:
                        entry.failure = self._not_mined(entry.newest.hash)
            except NodeUnavailable:
                if self._clock() - answered_at >= self.patience.node_silent_s:
                    raise
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _collect(self, entries: Sequence[_Entry]) -> bool:
        """Fetch receipts; whether there was a new one."""
        owners = [(entry, version) for entry in entries for version in entry.versions]
        answers = self.rpc.batch(
            [("eth_getTransactionReceipt", ["0x" + version.hash.hex()]) for _, version in owners]
        )
        progress = False
        for (entry, _), answer in zip(owners, answers, strict=True):
            if answer is not None and answer.get("blockNumber") is not None:
                entry.receipt = Receipt.from_rpc(answer)
                progress = True
        return progress

    def _confirm(self, entries: Sequence[_Entry]) -> bool:
        """Have the outbox make safe what was mined; False where a node that lost it must mine it again."""
        mined = [
            (version, entry.receipt)
            for entry in entries
            if entry.receipt is not None
            for version in entry.versions
            if "0x" + version.hash.hex() == entry.receipt.transaction_hash
        ]
        mined += self._mined([entry.filler for entry in entries if entry.filler is not None])
        lost = {each.hash for each in self.outbox.mined(mined, self.rpc)} if mined else set()
        for entry in entries:
            if lost and any(version.hash in lost for version in entry.versions):
                entry.receipt = None
        return not lost

    def _mined(self, transactions: Sequence[SignedTransaction]) -> list[tuple[SignedTransaction, Receipt]]:
        """Those of them that are mined."""
        answers = self.rpc.batch(
            [("eth_getTransactionReceipt", ["0x" + each.hash.hex()]) for each in transactions]
        )
        return [
            (each, Receipt.from_rpc(answer))
            for each, answer in zip(transactions, answers, strict=True)
            if answer is not None and answer.get("blockNumber") is not None
        ]

    def _nudge(self, entry: _Entry) -> None:
        """Send again, in case the node lost it; pay more when it has waited long."""
        now = self._clock()
        signed = entry.newest
        if now - entry.signed_at >= self.patience.replace_after_s:
            old, conditions = entry.transaction, self._conditions()
            signed = replace(
                old,
                max_fee_per_gas=max(conditions.fee, old.max_fee_per_gas * 9 // 8 + 1),
                max_priority_fee_per_gas=max(conditions.tip, old.max_priority_fee_per_gas * 9 // 8 + 1),
            ).sign(self._key)
            self.outbox.record([signed])
            entry.versions.append(signed)
            entry.signed_at = now
        entry.sent_at = now
        answer = self._send_raw([signed])[0]
        if isinstance(answer, RpcError) and _means(answer, ("nonce too low",)):
            entry.overtaken += (
                1  # mined just now, or its nonce was used by somebody else: two more looks decide
            )
            if entry.overtaken > 2:
                entry.failure = self._replaced(entry)

    # Errors

    def _fields(self, call: Call) -> dict[str, str]:
        fields = {"from": self.address, "data": "0x" + call.data.hex(), "value": hex(call.value)}
        if call.to is not None:
            fields["to"] = call.to
        if call.gas is not None:
            fields["gas"] = hex(call.gas)
        return fields

    def _refusal(self, error: RpcError) -> TransactionFailed:
        found = reverted(error, "The transaction")
        if isinstance(found, TransactionFailed):
            return found
        if "insufficient funds" in error.message.lower():
            return TransactionFailed(
                f"The account {self.address} cannot pay for the transaction.",
                reason="insufficient funds",
                hint="Send it some ETH, or use another account.",
                code="chain.insufficient_funds",
            )
        return TransactionFailed(
            f"The node refused the transaction: {error.message}", reason=error.message, code="chain.refused"
        )

    def _reverted(self, call: Call, receipt: Receipt) -> TransactionFailed:
        reason = ""
        try:
            self.rpc.call("eth_call", self._fields(call), hex(receipt.block_number - 1))
        except RpcError as error:
            found = reverted(error, "The transaction")
            reason = found.reason if isinstance(found, TransactionFailed) else ""
        return TransactionFailed(
            f"The transaction was mined and reverted: {reason or 'no reason given'}",
            hint="Send the account coins first; where money is test money, `koinon coins` gives some."
            if "exceeds balance" in reason
            else "",
            reason=reason,
            transaction_hash=receipt.transaction_hash,
            code="chain.reverted",
        )

    def _not_mined(self, transaction_hash: bytes) -> TransactionFailed:
        return TransactionFailed(
            f"The transaction was not mined within {self.patience.give_up_after_s:g} seconds.",
            transaction_hash="0x" + transaction_hash.hex(),
            hint="It may still be mined; it stays in the outbox.",
            code="chain.not_mined",
        )

    def _replaced(self, entry: _Entry) -> TransactionFailed:
        self.outbox.forget(entry.versions)
        return TransactionFailed(
            "Another transaction of the same account took this one's place.",
            transaction_hash="0x" + entry.newest.hash.hex(),
            hint="Another program sends for this account. Try again.",
            code="chain.replaced",
        )


def _means(error: RpcError, phrases: Sequence[str]) -> bool:
    message = error.message.lower()
    return any(phrase in message for phrase in phrases)
