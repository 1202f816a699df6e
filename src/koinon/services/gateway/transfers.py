# SPDX-License-Identifier: Apache-2.0
"""Takes x402 `exact` payments: an EIP-3009 transfer to the till, verified, then settled before the answer."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from koinon.chain.sender import Receipt
from koinon.errors import ChainError, TransactionFailed
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.journal_records import TransferRecord
from koinon.services.gateway.ledger import EXACT_REASON, Refused, refuse
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.signers import Signers
from koinon.services.gateway.x402 import Terms, TransferPayment, settle_response

LATEST_ARRIVAL_S: Final = 6
"""An authorization must stay valid this long for its transaction to be mined in time (as x402 facilitators
ask)."""

UNSETTLED_KEPT: Final = 256
"""Answers whose payment may or may not have been made."""

Work = Callable[[], Awaitable[bytes]]


class SettlementPending(ChainError):
    """Whether a payment was made is not known yet: HTTP 503 with Retry-After."""

    code = "payment.settlement_pending"
    http_status = 503
    retry_after_s = 2.0

    def __init__(self) -> None:
        super().__init__(
            "The node does not say whether the payment was made.",
            hint="Send the same request with the same payment again: it is not paid a second time.",
        )


class Transfers:
    """The `exact` payments of one gateway.

    Parameters
    ----------
    chain : OnChain
    journal : Journal
    signers : Signers
    run : callable
        Runs a function that waits for the chain in a thread.
    """

    def __init__(
        self, chain: OnChain, journal: Journal, signers: Signers, run: Callable[..., Awaitable[Any]]
    ) -> None:
        self._chain = chain
        self._journal = journal
        self._signers = signers
        self._run = run
        self._open: set[tuple[str, bytes]] = set()
        self._unsettled: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()

    async def pay(
        self, terms: Terms, work_id: int, payment: TransferPayment, input_digest: bytes, work: Work
    ) -> tuple[bytes, dict[str, Any], TransferRecord]:
        """Run ``work``, then settle an `exact` payment on chain; the record is to be passed to `answered`.

        A payment whose answer never left (the process died in between) is answered again for the same input,
        without being settled twice. Where the chain does not say whether the payment was made, nothing is
        answered, and what the service made is kept for the same payment's next try: `SettlementPending`.
        """
        key = (payment.payer, payment.nonce)
        if key in self._open:
            raise _refusal("nonce_already_used", "This payment is being processed.", "Wait for its answer.")
        self._open.add(key)
        try:
            record = self._journal.transfer(*key)
            if record is not None and (
                record.answered or record.work_id != work_id or record.input_digest != input_digest
            ):
                raise _refusal("nonce_already_used", "This payment was already used.", "Sign a new one.")
            settled = record is not None and await self._run(self._chain.transfer_arrived, payment)
            if not settled:
                self._check(terms, payment)
                await self._simulate(payment)
            made = self._unsettled.get(key)
            answer = await work() if made is None else made
            record = record or TransferRecord(
                payment.payer, payment.nonce, work_id, input_digest, payment.value, None, False
            )
            transaction = record.transaction_hash or ""
            if not settled:
                self._journal.save_transfer(record)
                try:
                    transaction = await self._settle(payment)
                except SettlementPending:
                    self._unsettled[key] = answer
                    if len(self._unsettled) > UNSETTLED_KEPT:
                        self._unsettled.popitem(last=False)
                    raise
            self._unsettled.pop(key, None)
        finally:
            self._open.discard(key)
        response = settle_response(
            terms.network, payment.payer, transaction=transaction, amount=payment.value
        )
        return answer, response, record

    async def verify(self, terms: Terms, payment: TransferPayment) -> None:
        """Raises Refused unless the payment could be settled now."""
        key = (payment.payer, payment.nonce)
        record = self._journal.transfer(*key)
        if key in self._open or (record is not None and record.answered):
            raise _refusal("nonce_already_used", "This payment was already used.", "Sign a new one.")
        self._check(terms, payment)
        await self._simulate(payment)

    def answered(self, record: TransferRecord, transaction: str) -> None:
        """Note that the answer to an `exact` payment has left: the payment buys nothing more."""
        self._journal.save_transfer(
            TransferRecord(
                record.payer,
                record.nonce,
                record.work_id,
                record.input_digest,
                record.amount,
                transaction,
                True,
            )
        )

    def _check(self, terms: Terms, payment: TransferPayment) -> None:
        now = int(time.time())
        if payment.receiver != terms.pay_to:
            raise _refusal("recipient_mismatch", f"The payment does not go to {terms.pay_to}.", "")
        if payment.value != terms.price:
            raise _refusal(
                "authorization_value_mismatch",
                f"The payment is {payment.value}, the price {terms.price}.",
            )
        if payment.valid_before < now + LATEST_ARRIVAL_S:
            raise _refusal("authorization_valid_before", "The payment has expired.", "Sign a new one.")
        if payment.valid_after > now:
            raise _refusal("authorization_valid_after", "The payment is not valid yet.", "")
        digest = self._chain.coin_digests.transfer(
            payment.payer,
            payment.receiver,
            payment.value,
            valid_after=payment.valid_after,
            valid_before=payment.valid_before,
            nonce=payment.nonce,
        )
        if not self._signers.verify(digest, payment.signature, payment.payer):
            raise _refusal("signature", "The payment is not signed by its payer.", "Sign it again.")

    async def _simulate(self, payment: TransferPayment) -> None:
        try:
            await self._run(self._chain.try_transfer, payment)
        except TransactionFailed as error:
            raise _refusal(
                "transaction_simulation_failed",
                f"The payment would fail on chain: {error.reason}.",
                error.hint,
            ) from error

    async def _settle(self, payment: TransferPayment) -> str:
        try:
            receipt: Receipt = await self._run(self._chain.transfer, payment)
        except TransactionFailed as error:
            if await self._arrived(payment):  # by an earlier try of ours, or by somebody else's hand
                return error.transaction_hash or ""
            raise _refusal(
                "transaction_failed", f"The payment failed on chain: {error.reason}.", error.hint
            ) from error
        except ChainError as error:
            raise SettlementPending() from error
        return receipt.transaction_hash

    async def _arrived(self, payment: TransferPayment) -> bool:
        try:
            return bool(await self._run(self._chain.transfer_arrived, payment))
        except ChainError as error:
            raise SettlementPending() from error


def _refusal(reason: str, message: str, hint: str = "") -> Refused:
    return refuse(reason, message, hint, prefix=EXACT_REASON)
