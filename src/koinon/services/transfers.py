# SPDX-License-Identifier: Apache-2.0
"""Takes x402 `exact` payments: an EIP-3009 transfer to the till, verified, then settled before the answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from koinon.chain.sender import Receipt
from koinon.errors import TransactionFailed
from koinon.services.journal import Journal, TransferRecord
from koinon.services.ledger import EXACT_REASON, Refused, refuse
from koinon.services.onchain import OnChain
from koinon.services.signers import Signers
from koinon.services.x402 import Terms, TransferPayment, settle_response

LATEST_ARRIVAL_S: Final = 6
"""An authorization must stay valid this long for its transaction to be mined in time (as x402 facilitators
ask)."""

Work = Callable[[], Awaitable[bytes]]


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

    async def pay(
        self, terms: Terms, work_id: int, payment: TransferPayment, input_digest: bytes, work: Work
    ) -> tuple[bytes, dict[str, Any], TransferRecord]:
        """Run ``work``, then settle an `exact` payment on chain; the record is to be passed to `answered`.

        A payment whose answer never left (the process died in between) is answered again for the same input,
        without being settled twice.
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
            answer = await work()
            record = record or TransferRecord(
                payment.payer, payment.nonce, work_id, input_digest, payment.value, None, False
            )
            transaction = record.transaction_hash or ""
            if not settled:
                self._journal.save_transfer(record)
                transaction = await self._settle(payment)
        finally:
            self._open.discard(key)
        response = settle_response(
            terms.network, payment.payer, transaction=transaction, amount=payment.value
        )
        return answer, response, record

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
            raise _refusal(
                "transaction_failed", f"The payment failed on chain: {error.reason}.", error.hint
            ) from error
        return receipt.transaction_hash


def _refusal(reason: str, message: str, hint: str = "") -> Refused:
    return refuse(reason, message, hint, prefix=EXACT_REASON)
