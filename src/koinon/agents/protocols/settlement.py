# SPDX-License-Identifier: Apache-2.0
"""Paying for what was agreed: the buyer sends one signed transfer, the seller takes it and says so.

The buyer reads the seller's till from the chain, so a seller cannot have its buyer pay elsewhere. The
transfer's nonce is the digest of the trade: it is made at most once, however often either side tries, dies or
is asked again, and two trades of one conversation are two unless seller, good and price are the same. Pay and
delivery are two steps; who must not trust the other uses a job's escrow instead.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field

from koinon.agents.address import Address
from koinon.agents.behaviour import Protocol, on
from koinon.agents.context import Context
from koinon.agents.message import message
from koinon.agents.protocols.terms import Amount, Hex32, Moment, Reason, Text
from koinon.agents.purse import Purse
from koinon.errors import BadInput, KoinonError, NotFound, PaymentError, TransactionFailed
from koinon.services.gateway.x402 import TransferPayment

Signature = Annotated[str, Field(pattern="^[0-9a-f]{130}$")]


@message
class Payment:
    """A TransferWithAuthorization (ERC-3009) from ``payer`` to the seller's till."""

    good: Text
    price: Amount
    payer: str
    until: Moment
    nonce: Hex32
    signature: Signature


@message
class Paid:
    """The transfer was carried out; ``transaction`` empty where it had been before."""

    nonce: Hex32
    transaction: Annotated[str, Field(max_length=66)]


@message
class NotPaid:
    nonce: Hex32
    reason: Reason


@message
class SignPayment:
    """The buyer to itself: this was agreed with ``seller``; it is signed ``by`` then, or never."""

    seller: str
    good: Text
    price: Amount
    by: Moment


@message
class PayAgain:
    """The buyer to itself: the seller would not take the payment yet."""

    nonce: Hex32


@message
class PaymentDue:
    """To oneself: by now the transfer was taken, or never will be."""

    nonce: Hex32


class Settlement(Protocol):
    name = "settlement"
    messages = (Payment, Paid, NotPaid, SignPayment, PayAgain, PaymentDue)


PAY_S: Final = 300
"""How long a buyer has to sign a transfer, and then a seller to take it."""

EXPECT_S: Final = 2 * PAY_S + 60
"""How long a seller expects a payment."""

_AGAIN_S: Final = 5.0
_LOOK_S: Final = 60.0


@dataclass(frozen=True)
class Trade:
    """What was agreed in one session."""

    session: UUID
    buyer: str
    seller: str
    good: str
    price: int

    @property
    def nonce(self) -> bytes:
        """SHA-256 of session, both addresses, price (8 bytes, big-endian) and the good: 32 bytes."""
        parts = (self.buyer, self.seller)
        head = self.session.bytes + b"".join(len(part).to_bytes(2, "big") + part.encode() for part in parts)
        return hashlib.sha256(head + self.price.to_bytes(8, "big") + self.good.encode()).digest()


class Payer(Settlement):
    """Pays sellers that are Works.

    Parameters
    ----------
    purse : Purse
    paid : callable
        ``paid(context, seller, good, price)``, once, when the token has made the transfer.
    failed : callable
        ``failed(context, reason)``, once: the allowance does not grant it, or the seller did not take it;
        nothing was paid, and nothing of it ever will be.
    """

    def __init__(
        self,
        purse: Purse,
        paid: Callable[[Context, Address, str, int], None],
        failed: Callable[[Context, str], None] = lambda _context, _reason: None,
    ) -> None:
        self._purse, self._paid, self._failed = purse, paid, failed

    def pay(self, context: Context, seller: Address, good: str, price: int) -> None:
        """Pay for what was agreed in this session, once this call of a handler is over."""
        by = math.ceil(context.now + PAY_S)
        context.of(self).later(0, SignPayment(str(seller), good, price, by))

    @on(SignPayment)
    async def sign(self, agreed: SignPayment, context: Context) -> None:
        trade = Trade(context.session, str(context.me), agreed.seller, agreed.good, agreed.price)
        nonce = trade.nonce.hex()
        if context.sender != context.me or nonce in context.session_memory:
            return
        seller, until = Address.parse(agreed.seller), int(context.now) + PAY_S
        try:
            payment = await asyncio.to_thread(
                self._purse.sign, seller.work_id, trade.price, trade.nonce, until
            )
        except KoinonError as error:
            final = isinstance(error, _REFUSED) and error.code != "mandate.unknown"
            if final or context.now > agreed.by:
                self._failed(context, f"{error.message} [{error.code}]")
            else:
                context.later(_AGAIN_S, agreed)
            return
        signature = payment.signature.hex()
        context.session_memory[nonce] = {
            "seller": agreed.seller,
            "good": trade.good,
            "price": trade.price,
            "until": until,
            "signature": signature,
            "again": False,
            "paid": False,
        }
        context.send(seller, Payment(trade.good, trade.price, payment.payer, until, nonce, signature))
        context.later(PAY_S + 30, PaymentDue(nonce))

    @on(Paid)
    async def told_paid(self, paid: Paid, context: Context) -> None:
        owed = self._owed(context, paid.nonce)
        if owed is not None and owed["seller"] == str(context.sender):
            with suppress(KoinonError):  # `PaymentDue` asks the chain again
                if await asyncio.to_thread(self._purse.made, bytes.fromhex(paid.nonce)):
                    self._settled(context, paid.nonce, owed)

    @on(NotPaid)
    def told_not_paid(self, told: NotPaid, context: Context) -> None:
        """Perhaps it came before the agreement was known there: it is sent again while it is good."""
        owed = self._owed(context, told.nonce)
        if owed is not None and owed["seller"] == str(context.sender) and not owed["again"]:
            context.session_memory[told.nonce] = owed | {"again": True}
            context.later(_AGAIN_S, PayAgain(told.nonce))

    @on(PayAgain)
    def again(self, message: PayAgain, context: Context) -> None:
        owed = self._owed(context, message.nonce)
        if owed is None or context.sender != context.me or context.now > owed["until"]:
            return
        context.session_memory[message.nonce] = owed | {"again": False}
        head = (owed["good"], owed["price"], self._purse.account, owed["until"], message.nonce)
        context.send(Address.parse(owed["seller"]), Payment(*head, owed["signature"]))

    @on(PaymentDue)
    async def due(self, message: PaymentDue, context: Context) -> None:
        owed = self._owed(context, message.nonce)
        if owed is None or context.sender != context.me:
            return
        try:
            made = await asyncio.to_thread(self._purse.made, bytes.fromhex(message.nonce))
        except KoinonError:  # only the chain knows
            context.later(_LOOK_S, message)
            return
        if made:
            self._settled(context, message.nonce, owed)
        else:
            del context.session_memory[message.nonce]
            self._failed(context, "The seller did not take the payment in its time.")

    @staticmethod
    def _owed(context: Context, nonce: str) -> dict[str, Any] | None:
        """A payment of this session that was signed and is not known to be made."""
        owed: dict[str, Any] | None = context.session_memory.get(nonce)
        return None if owed is None or owed["paid"] else owed

    def _settled(self, context: Context, nonce: str, owed: dict[str, Any]) -> None:
        context.session_memory[nonce] = owed | {"paid": True}
        self._paid(context, Address.parse(owed["seller"]), owed["good"], owed["price"])


class Collector(Settlement):
    """Takes payments for the Work it is.

    Parameters
    ----------
    purse : Purse
    paid : callable
        ``paid(context, buyer, good, price)``, once, when the till has the money.
    unpaid : callable
        ``unpaid(context, buyer, good, price)``, once, when the buyer has not paid within `EXPECT_S`; what it
        sends after that is refused.
    """

    def __init__(
        self,
        purse: Purse,
        paid: Callable[[Context, Address, str, int], None],
        unpaid: Callable[[Context, Address, str, int], None] = lambda *_trade: None,
    ) -> None:
        self._purse, self._paid, self._unpaid = purse, paid, unpaid

    def expect(self, context: Context, buyer: Address, good: str, price: int) -> None:
        """This was agreed with the buyer in this session: its payment will be taken."""
        own = context.of(self)
        nonce = Trade(own.session, str(buyer), str(own.me), good, price).nonce.hex()
        if nonce not in own.session_memory:
            due = own.now + EXPECT_S
            owed = {"buyer": str(buyer), "good": good, "price": price, "due": due, "taken": False}
            own.session_memory[nonce] = owed
            own.later(EXPECT_S, PaymentDue(nonce))

    @on(Payment)
    async def received(self, payment: Payment, context: Context) -> Paid | NotPaid:
        owed, buyer = context.session_memory.get(payment.nonce), context.sender
        if owed is None:
            return NotPaid(payment.nonce, "Nothing like that is agreed here now.")
        told = (str(buyer), payment.good, payment.price, payment.payer)
        if told != (owed["buyer"], owed["good"], owed["price"], buyer.account):
            return NotPaid(payment.nonce, "That is not what was agreed.")
        if owed["taken"]:
            return Paid(payment.nonce, "")
        try:
            transaction = await asyncio.to_thread(self._carry_out, payment, context.me.work_id)
        except KoinonError as error:
            return NotPaid(payment.nonce, error.message[:400])
        context.session_memory[payment.nonce] = owed | {"taken": True}
        self._paid(context, buyer, payment.good, payment.price)
        return Paid(payment.nonce, transaction)

    @on(PaymentDue)
    async def overdue(self, message: PaymentDue, context: Context) -> None:
        owed = context.session_memory.get(message.nonce)
        if owed is None or owed["taken"] or context.sender != context.me:
            return
        buyer = Address.parse(owed["buyer"])
        try:
            used = await asyncio.to_thread(self._purse.used, buyer.account, bytes.fromhex(message.nonce))
        except KoinonError:
            used = True  # only the chain knows
        if used and context.now < owed["due"] + PAY_S:  # perhaps it was taken as this process was killed
            context.later(_LOOK_S, message)
            return
        del context.session_memory[message.nonce]
        self._unpaid(context, buyer, owed["good"], owed["price"])

    def _carry_out(self, payment: Payment, work_id: int) -> str:
        signed = TransferPayment(
            payment.payer,
            self._purse.payee(work_id).till,
            payment.price,
            0,
            payment.until,
            bytes.fromhex(payment.nonce),
            bytes.fromhex(payment.signature),
        )
        return self._purse.take(signed, work_id, payment.price)


_REFUSED: Final = (PaymentError, BadInput, NotFound, TransactionFailed)
"""What trying again does not mend."""
