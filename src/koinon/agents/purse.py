# SPDX-License-Identifier: Apache-2.0
"""An agent's money: single transfers it signs under an allowance, and those of others that it takes.

A transfer is an ERC-3009 authorization whose nonce names what it pays for. The token takes a nonce once, so
nothing that is tried again, by either side, pays twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import PaymentError
from koinon.services.buying.allowance import Allowance, Limit, Payee
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.x402 import TransferPayment
from koinon.services.mandates.book import MandateBook
from koinon.services.mandates.spending import MandateSpending

USE: Final = "trade"
"""For what a mandate lets agents pay each other."""


def open_purse(chain: Chain, account: Account, book: MandateBook) -> Purse:
    """An agent's purse under the newest mandate for its account that stands and allows trades, whichever that
    is at the time of a payment; without one it can take money and spend none."""
    opened: dict[bytes, MandateSpending] = {}

    def standing() -> Allowance:
        for entry in book.entries():
            mandate, number = entry.signed.mandate, entry.signed.id
            if mandate.agent == account.address and USE in mandate.uses and entry.state == "standing":
                if number not in opened:
                    opened[number] = book.spending(entry.signed, account.address, use=USE)
                opened[number].reconcile()
                return opened[number]
        return Limit(0)

    return Purse(chain, account, standing)


class Purse:
    """Signs and takes transfers of the network's coin. Synchronous: it waits for the chain.

    Parameters
    ----------
    chain : Chain
    account : Account
        Whose coins are spent, and who pays for taking others' transfers.
    allowance : Allowance or callable
        What may be signed, as `koinon.services.mandates.spending.MandateSpending` with the use ``trade``; or
        what gives it, asked at each payment.
    """

    def __init__(
        self, chain: Chain, account: Account, allowance: Allowance | Callable[[], Allowance]
    ) -> None:
        self._onchain = OnChain(chain, account)
        self._account = account
        self._allowed = allowance if callable(allowance) else lambda: allowance
        self._under: dict[bytes, Allowance] = {}
        self._works = chain.contract("Works")

    @property
    def account(self) -> str:
        """Whose money it is."""
        return self._account.address

    def payee(self, work_id: int) -> Payee:
        """Where a Work is paid, and who owns it, by the chain."""
        till, owner = self._works.call_many([("till_of", work_id), ("ownerOf", work_id)])
        return Payee(work_id, till, owner)

    def sign(self, work_id: int, amount: int, nonce: bytes, until: int) -> TransferPayment:
        """A transfer to a Work's till; the same nonce again is the same transfer.

        Raises PaymentError where the allowance does not grant it; then nothing is signed.
        """
        payee = self.payee(work_id)
        allowance = self._under.get(nonce) or self._allowed()
        allowance.transfer(payee, amount, nonce, until)
        self._under[nonce] = allowance
        signature = self._onchain.coin_digests.sign_transfer(
            self._account, payee.till, amount, valid_before=until, nonce=nonce
        )
        return TransferPayment(self.account, payee.till, amount, 0, until, nonce, signature)

    def made(self, nonce: bytes) -> bool:
        """Whether the transfer of this nonce was taken by the token; the allowance is told."""
        taken = self.used(self.account, nonce)
        if taken and (allowance := self._under.pop(nonce, None)) is not None:
            allowance.transferred(nonce)  # after a restart, the allowance asks the chain itself
        return taken

    def used(self, payer: str, nonce: bytes) -> bool:
        """Whether the token took a transfer of an account under a nonce."""
        return self._onchain.authorization_used(payer, nonce)

    def take(self, payment: TransferPayment, work_id: int, amount: int) -> str:
        """Carry out another's transfer to one's own Work, or find that it was carried out; the transaction.

        Raises
        ------
        PaymentError
            It is for another till or amount.
        TransactionFailed
            The token refuses it.
        """
        if (payment.receiver, payment.value) != (self.payee(work_id).till, amount):
            raise PaymentError(
                "The payment is for another till, or of another amount.", code="payment.not_as_agreed"
            )
        if self._onchain.transfer_arrived(payment):
            return ""
        return self._onchain.transfer(payment).transaction_hash
