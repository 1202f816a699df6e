# SPDX-License-Identifier: Apache-2.0
"""Takes payments: verifies them, keeps each channel's account, and lets nothing be acknowledged before it is
kept.

A call by voucher touches no chain: the signature is checked against the payer's cached public key, the amount
against the account (see `ledger`), and the charge is written by the journal with all other charges of the
same event-loop tick. Deposits and refunds go through the chain, in threads; `exact` payments are `transfers`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from koinon.errors import KoinonError, TransactionFailed
from koinon.services.gateway.channel import Channel, ChannelRefused
from koinon.services.gateway.channel_book import ChannelBook
from koinon.services.gateway.gas_floor import GasFloor
from koinon.services.gateway.gas_policy import GasPolicy
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.journal_records import CallRecord
from koinon.services.gateway.ledger import MISMATCH, Refused, refuse
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.transfers import LATEST_ARRIVAL_S, Transfers
from koinon.services.gateway.x402 import BatchPayment, Terms, settle_response
from koinon.works.channels import ChannelState
from koinon.works.payments import DepositAuthorization, deposit_nonce
from koinon.works.wire import MalformedPayment

PART_EVERY_S: Final = 60.0
"""How often a part of one channel is given back; all that is left is at any time."""

Answer = TypeVar("Answer")
Work = Callable[[], Awaitable[tuple[bytes, int]]]
"""Runs a service: its answer, and what it costs in the coin's smallest unit, at most the price."""


class Cashier(ChannelBook):
    """Takes payments on the channels of one gateway, and `exact` ones.

    Parameters
    ----------
    chain : OnChain
        Holds the gateway's key.
    journal : Journal
    """

    def __init__(self, chain: OnChain, journal: Journal) -> None:
        super().__init__(chain, journal)
        self.gas = GasFloor(GasPolicy())
        self.transfers = Transfers(chain, journal, self._signers, self.run)

    async def pay_by_voucher(
        self, terms: Terms, work_id: int, payment: BatchPayment, call: CallRecord | None, work: Work
    ) -> tuple[bytes, dict[str, Any]]:
        """Run ``work`` and charge the channel; (its answer, the PAYMENT-RESPONSE).

        Raises Refused (nothing was run), or whatever ``work`` raises (nothing was charged).
        """
        channel = await self.admit(terms, work_id, payment, terms.price)
        account, amount, price = channel.account, payment.voucher.amount, terms.price
        account.reserve(amount, price, payment.voucher.signature)
        try:
            answer, cost = await work()
        except BaseException:
            account.release(amount, price)
            raise
        account.charge(amount, price, cost)
        await self._keep_charge(channel, call, cost)
        return answer, self.charged(terms, channel, cost)

    async def admit(self, terms: Terms, work_id: int, payment: BatchPayment, price: int) -> Channel:
        """The channel whose voucher pays ``price``; the caller reserves or signs ahead with no await between.

        Raises Refused.
        """
        channel = self.channels.get(payment.voucher.channel_id)
        if channel is None:
            channel = await self._open(terms, work_id, payment)
        self._same_channel(channel, work_id, payment)
        self.check_staying(channel)
        self._check(channel, payment.voucher.amount, price)
        self._verify_voucher(channel.config.signer, payment.voucher)
        return channel

    async def sign_ahead(self, terms: Terms, work_id: int, payment: BatchPayment) -> Channel:
        """Take a voucher, perhaps with a deposit, that buys nothing by itself: it covers calls by token and
        the streams that run. Kept when this returns. Raises Refused."""
        if payment.kind == "deposit":
            await self.pay_by_deposit(replace(terms, price=0), work_id, payment, None, _nothing)
        channel = self.channels.get(payment.voucher.channel_id)
        if channel is None:
            channel = await self._open(terms, work_id, payment)
        self._same_channel(channel, work_id, payment)
        self.check_staying(channel)
        self._verify_voucher(channel.config.signer, payment.voucher)
        try:
            channel.account.sign_ahead(payment.voucher.amount, payment.voucher.signature)
        except Refused:
            channel.active = True  # perhaps its payer deposited: to be looked at again
            raise
        await self.keep(channel, None)
        channel.wake()
        return channel

    async def open_stream(self, terms: Terms, work_id: int, payment: BatchPayment) -> Channel:
        """The channel of a stream that this voucher opens, with the voucher taken; a deposit that comes with
        it is brought on chain first. Raises Refused."""
        if payment.kind == "deposit":
            await self.pay_by_deposit(replace(terms, price=0), work_id, payment, None, _nothing)
        channel = await self.admit(terms, work_id, payment, terms.unit_price)
        channel.account.reserve(payment.voucher.amount, 0, payment.voucher.signature)
        return channel

    async def pay_ahead(
        self, terms: Terms, channel: Channel, limit: int, call: CallRecord, work: Work
    ) -> tuple[bytes, dict[str, Any]]:
        """Run ``work`` and charge what was signed ahead, up to the cumulative ``limit``; else as
        `pay_by_voucher`."""
        account, price = channel.account, terms.price
        self.check_staying(channel)
        if not account.covers(price, limit):
            raise ChannelRefused(
                Refused(MISMATCH, "What was signed ahead does not cover this call."), channel
            )
        account.reserved += price
        try:
            answer, cost = await work()
        finally:
            account.reserved -= price
        account.charged += cost
        await self._keep_charge(channel, call, cost)
        return answer, self.charged(terms, channel, cost)

    async def pay_by_deposit(
        self, terms: Terms, work_id: int, payment: BatchPayment, call: CallRecord | None, work: Work
    ) -> tuple[bytes, dict[str, Any]]:
        """Run ``work``, put the deposit into the channel, charge it. Errors as in `pay_by_voucher`."""
        deposit = payment.deposit
        if deposit is None:
            raise MalformedPayment("The payload carries no deposit.")
        channel = self.channels.get(payment.voucher.channel_id)
        if channel is None:
            channel = self._describe(terms, work_id, payment)
            self._verify_voucher(channel.config.signer, payment.voucher)
            channel = self._opening.setdefault(payment.voucher.channel_id, channel)
        self._same_channel(channel, work_id, payment)
        self._verify_voucher(channel.config.signer, payment.voucher)
        payer = channel.config.payer
        async with channel.lock:
            spent, state = await self._thread(self._deposit_outlook, payer, payment, deposit.salt)
            if state.withdraw_requested_at:
                raise refuse(
                    "withdrawal_pending", "The channel's payer announced a withdrawal.", "Open a new one."
                )
            if not spent:
                now = int(time.time())
                if deposit.valid_before < now + LATEST_ARRIVAL_S:
                    raise refuse(
                        "payload_authorization_valid_before",
                        "The deposit's authorization has expired.",
                        "Sign a new one.",
                    )
                if deposit.valid_after > now:
                    raise refuse(
                        "payload_authorization_valid_after",
                        "The deposit's authorization is not valid yet.",
                        "",
                    )
                self.gas.check_deposit(deposit.amount)
                await self._simulate(channel, deposit)
            channel.apply(state)
            account, amount, price = channel.account, payment.voucher.amount, terms.price
            expected = state.balance + (0 if spent else deposit.amount)
            account.balance = expected
            try:
                self._check(channel, amount, price)
                account.reserve(amount, price, payment.voucher.signature)
            finally:
                account.balance = state.balance
            try:
                answer, cost = await work()
                transaction = ""
                if not spent:
                    transaction = await self._submit_deposit(channel, payment, deposit)
            except BaseException:
                account.release(amount, price)
                raise
            self.channels[channel.channel_id] = channel
            account.charge(amount, price, cost)
            await self._keep_charge(channel, call, cost)
        response = self.charged(terms, channel, cost)
        response["transaction"] = transaction
        response["amount"] = str(deposit.amount)
        return answer, response

    async def refund(self, terms: Terms, work_id: int, payment: BatchPayment) -> dict[str, Any]:
        """Claim what was charged and give the payer the rest, or ``refund_amount`` of it; the
        PAYMENT-RESPONSE."""
        channel = self.channels.get(payment.voucher.channel_id)
        if channel is None:
            channel = await self._open(terms, work_id, payment)
        self._same_channel(channel, work_id, payment)
        self._verify_voucher(channel.config.signer, payment.voucher)
        async with channel.lock:
            account = channel.account
            if account.reserved or channel.streams:
                raise refuse(
                    "channel_busy",
                    "Calls on this channel are still in flight.",
                    "Ask again when they are done.",
                )
            if payment.voucher.amount != account.charged:
                raise ChannelRefused(
                    Refused(MISMATCH, "A refund's voucher must state exactly what was charged."), channel
                )
            wanted = payment.refund_amount
            if wanted == 0:
                raise refuse(
                    "refund_amount_invalid", "Nothing cannot be refunded.", "Ask for an amount above 0."
                )
            remainder = account.balance - account.charged
            if remainder <= 0 or (wanted is not None and wanted > remainder):
                raise refuse("refund_no_balance", f"Only {remainder} can be refunded.", "Ask for less.")
            self.gas.check_refund(account.charged, channel.refund_nonce)
            if wanted is not None and wanted < remainder:
                self._not_too_often(channel)
            account.reserved += remainder  # no call may spend it meanwhile
            try:
                transaction = await self._thread(
                    self._refund, channel, remainder if wanted is None else wanted
                )
                channel.apply((await self._thread(self._channels.states, [channel.channel_id]))[0])
            finally:
                account.reserved -= remainder
        response = settle_response(
            terms.network,
            channel.config.payer,
            transaction=transaction,
            amount=remainder if wanted is None else wanted,
            extra={"channelState": channel.state()},
        )
        if account.balance <= account.charged == account.claimed:
            self.channels.pop(channel.channel_id, None)
            self.journal.forget_channel(channel.number)
            channel.number = 0
        return response

    @staticmethod
    def _not_too_often(channel: Channel) -> None:
        """Parts cost the gateway gas, and x402 does not sign how much is asked for: anybody who has seen a
        claim could ask for one unit after the other."""
        now = time.monotonic()
        if now - channel.refunded_at < PART_EVERY_S:
            raise refuse(
                "refund_too_often",
                f"A part of a channel is refunded once in {PART_EVERY_S:g} s.",
                "Ask for all that is left, or later.",
            )
        channel.refunded_at = now

    def acknowledge(self, terms: Terms, channel: Channel) -> dict[str, Any]:
        """The PAYMENT-RESPONSE for a call that was paid before and is answered again for nothing."""
        return settle_response(
            terms.network,
            channel.config.payer,
            extra={"channelState": channel.state(), "chargedAmount": "0"},
        )

    def charged(self, terms: Terms, channel: Channel, cost: int) -> dict[str, Any]:
        """The PAYMENT-RESPONSE for what cost that much."""
        return settle_response(
            terms.network,
            channel.config.payer,
            extra={"channelState": channel.state(), "chargedAmount": str(cost)},
        )

    async def _keep_charge(self, channel: Channel, call: CallRecord | None, cost: int) -> None:
        """As `keep`; what cannot be kept is not charged, for its answer never leaves."""
        try:
            await self.keep(channel, call)
        except KoinonError:
            channel.account.give_back(cost)
            raise

    def _deposit_outlook(self, payer: str, payment: BatchPayment, salt: int) -> tuple[bool, ChannelState]:
        nonce = deposit_nonce(payment.voucher.channel_id, salt)
        return self.chain.authorization_used(payer, nonce), self._channels.states(
            [payment.voucher.channel_id]
        )[0]

    async def _submit_deposit(
        self, channel: Channel, payment: BatchPayment, deposit: DepositAuthorization
    ) -> str:
        try:
            receipt = await self._thread(self._channels.deposit, self.chain.key, channel.config, deposit)
        except TransactionFailed as error:
            outlook = await self._thread(self._deposit_outlook, channel.config.payer, payment, deposit.salt)
            channel.apply(outlook[1])
            if outlook[0]:  # by an earlier try whose end we did not see
                return error.transaction_hash or ""
            raise refuse(
                "deposit_transaction_failed", f"The deposit failed: {error.reason}.", error.hint
            ) from error
        channel.apply((await self._thread(self._channels.states, [channel.channel_id]))[0])
        return receipt.transaction_hash

    def _refund(self, channel: Channel, amount: int) -> str:
        if channel.account.unclaimed:
            self._channels.claim(self.chain.key, [self.claim(channel)])
        return self.chain.refund(channel.config, amount).transaction_hash

    async def _simulate(self, channel: Channel, deposit: DepositAuthorization) -> None:
        try:
            await self._thread(self._channels.try_deposit, self.authorizer, channel.config, deposit)
        except TransactionFailed as error:
            raise refuse(
                "deposit_simulation_failed", f"The deposit would fail: {error.reason}.", error.hint
            ) from error


async def _nothing() -> tuple[bytes, int]:
    return b"", 0
