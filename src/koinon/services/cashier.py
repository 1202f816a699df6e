# SPDX-License-Identifier: Apache-2.0
"""Takes payments: verifies them, keeps each channel's account, and lets nothing be acknowledged before it is
kept.

A call by voucher touches no chain: the signature is checked against the payer's cached public key, the amount
against the account (see `ledger`), and the charge is written by the journal with all other charges of the
same event-loop tick. Deposits and refunds go through the chain, in threads; `exact` payments are `transfers`.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import orjson

from koinon.errors import TransactionFailed
from koinon.services.channel import Channel, ChannelRefused
from koinon.services.journal import CallRecord, ChannelRecord, Journal
from koinon.services.ledger import EXCEEDS_BALANCE, MISMATCH, Account, Refused, refuse
from koinon.services.onchain import OnChain
from koinon.services.signers import Signers, claimable
from koinon.services.transfers import LATEST_ARRIVAL_S, Transfers
from koinon.services.x402 import BatchPayment, Terms, settle_response
from koinon.works.channels import ChannelState
from koinon.works.payments import DepositAuthorization, deposit_nonce
from koinon.works.vouchers import ChannelConfig, Claim, Voucher
from koinon.works.wire import MalformedPayment

BUSY_GROUP: Final = 3
GATHER_S: Final = 0.002
"""Where so many calls were kept together last time, the next ones wait this long for company."""

Answer = TypeVar("Answer")
Work = Callable[[], Awaitable[bytes]]


class Cashier:
    """All channels of one gateway.

    Parameters
    ----------
    chain : OnChain
        Holds the gateway's key.
    journal : Journal
    """

    def __init__(self, chain: OnChain, journal: Journal) -> None:
        self.chain = chain
        self.authorizer = chain.key.address
        self.channels: dict[bytes, Channel] = {}
        self._journal = journal
        self._channels = chain.channels
        self._digests = chain.channels.digests
        self._signers = Signers()
        self._opening: weakref.WeakValueDictionary[bytes, Channel] = weakref.WeakValueDictionary()
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="chain")
        self._dirty: dict[int, Channel] = {}
        self._calls: list[tuple[int, CallRecord]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._last_group = 0
        self.transfers = Transfers(chain, journal, self._signers, self.run)
        for record in journal.channels():
            self._restore(record)

    async def pay_by_voucher(
        self, terms: Terms, work_id: int, payment: BatchPayment, call: CallRecord | None, work: Work
    ) -> tuple[bytes, dict[str, Any]]:
        """Run ``work`` and charge the channel; (its answer, the PAYMENT-RESPONSE).

        Raises Refused (nothing was run), or whatever ``work`` raises (nothing was charged).
        """
        channel = self.channels.get(payment.voucher.channel_id)
        if channel is None:
            channel = await self._open(terms, work_id, payment)
        account, amount, price = channel.account, payment.voucher.amount, terms.price
        self._same_channel(channel, work_id, payment)
        if channel.withdraw_requested_at:
            raise refuse(
                "withdrawal_pending", "The channel's payer announced a withdrawal.", "Open a new channel."
            )
        self._check(channel, amount, price)
        self._verify_voucher(channel.config.signer, payment.voucher)
        account.reserve(amount, price, payment.voucher.signature)
        try:
            answer = await work()
        except BaseException:
            account.release(amount, price)
            raise
        account.charge(amount, price)
        await self._keep(channel, call)
        return answer, self._charged(terms, channel)

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
                answer = await work()
                transaction = ""
                if not spent:
                    transaction = await self._submit_deposit(channel, payment)
            except BaseException:
                account.release(amount, price)
                raise
            self.channels[channel.channel_id] = channel
            account.charge(amount, price)
            await self._keep(channel, call)
        response = self._charged(terms, channel)
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
            if account.reserved:
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
            self._journal.forget_channel(channel.number)
        return response

    def paid_before(self, channel_id: bytes, call_key: bytes) -> CallRecord | None:
        """A call already paid under this key on this channel."""
        channel = self.channels.get(channel_id)
        return None if channel is None else self._journal.call(channel.number, call_key)

    def claim(self, channel: Channel) -> Claim:
        """What a channel's best voucher lets the gateway claim."""
        account = channel.account
        digest = self._digests.voucher(channel.channel_id, account.signed)
        signature = claimable(digest, account.signature, channel.config.signer)
        return Claim(channel.config, Voucher(channel.channel_id, account.signed, signature), account.charged)

    def authenticate(self, payment: BatchPayment) -> None:
        """Raises Refused unless the channel's payer signed this voucher."""
        channel = self.channels.get(payment.voucher.channel_id)
        if channel is None:
            raise refuse("channel_not_found", "The channel is not known here.", "Deposit into it first.")
        self._verify_voucher(channel.config.signer, payment.voucher)

    def acknowledge(self, terms: Terms, channel_id: bytes) -> dict[str, Any]:
        """The PAYMENT-RESPONSE for a call that was paid before and is answered again for nothing."""
        channel = self.channels[channel_id]
        return settle_response(
            terms.network,
            channel.config.payer,
            extra={"channelState": channel.state(), "chargedAmount": "0"},
        )

    async def refresh(self, channel_ids: Iterable[bytes] | None = None) -> list[Channel]:
        """Read channels from the chain again (those used since the last time, when none are named).

        Returns those whose payer announced a withdrawal: to be claimed at once.
        """
        if channel_ids is None:
            chosen = [
                channel for channel in self.channels.values() if channel.active or channel.account.unclaimed
            ]
        else:
            chosen = [self.channels[channel_id] for channel_id in channel_ids if channel_id in self.channels]
        for channel in chosen:
            channel.active = False
        states = await self._thread(self._channels.states, [channel.channel_id for channel in chosen])
        for channel, state in zip(chosen, states, strict=True):
            channel.apply(state)
        return [channel for channel in chosen if channel.withdraw_requested_at]

    async def run(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Run something that waits for the chain in a thread."""
        return await self._thread(function, *arguments)

    def close(self) -> None:
        """Wait for threads and close the journal."""
        self._threads.shutdown()
        self._flush()
        self._journal.close()

    def _restore(self, record: ChannelRecord) -> None:
        wire = orjson.loads(record.config)
        kept = record.watermark
        account = Account(
            charged=kept.charged,
            signed=kept.signed,
            signature=kept.signature,
            dead=kept.floor,
            floor=kept.floor,
        )
        config = ChannelConfig.from_json(wire)
        self.channels[record.channel_id] = Channel(
            record.channel_id, record.work_id, config, wire, account, record.number
        )

    def _describe(self, terms: Terms, work_id: int, payment: BatchPayment) -> Channel:
        """A channel as its payer describes it, checked against the terms, not yet against the chain."""
        config = ChannelConfig.from_json(payment.config)
        channel_id = payment.voucher.channel_id
        if self._digests.channel_id(config) != channel_id:
            raise refuse("channel_id_mismatch", "The channel id is not that of its configuration.", "")
        for name, given, expected in (
            ("receiver", config.receiver, terms.pay_to),
            ("receiver_authorizer", config.receiver_authorizer, terms.authorizer),
            ("token", config.token, terms.coin),
        ):
            if given != expected:
                raise refuse(
                    f"{name}_mismatch",
                    f"The channel's {name} is not {expected}.",
                    "Open a channel as the 402 answer says.",
                )
        return Channel(channel_id, work_id, config, payment.config, Account())

    async def _open(self, terms: Terms, work_id: int, payment: BatchPayment) -> Channel:
        """A channel this gateway does not know yet: looked up on chain once its voucher is known to be
        genuine."""
        channel = self._describe(terms, work_id, payment)
        self._verify_voucher(channel.config.signer, payment.voucher)
        state = (await self._thread(self._channels.states, [payment.voucher.channel_id]))[0]
        if state.balance == 0:
            raise refuse("channel_not_found", "The channel holds nothing.", "Deposit into it first.")
        channel = self.channels.get(payment.voucher.channel_id) or self._opening.setdefault(
            payment.voucher.channel_id, channel
        )
        channel.apply(state)
        self.channels[payment.voucher.channel_id] = channel
        return channel

    def _same_channel(self, channel: Channel, work_id: int, payment: BatchPayment) -> None:
        if payment.config != channel.wire:
            if ChannelConfig.from_json(payment.config) != channel.config:
                raise refuse("channel_id_mismatch", "The channel id is not that of its configuration.", "")
            channel.wire = payment.config
        if channel.work_id != work_id:
            raise refuse(
                "receiver_mismatch", "The channel pays another service.", "Open one for this service."
            )

    def _check(self, channel: Channel, amount: int, price: int) -> None:
        try:
            channel.account.check(amount, price)
        except Refused as refused:
            if refused.corrective:
                raise ChannelRefused(refused, channel) from None
            if refused.reason == EXCEEDS_BALANCE:
                channel.active = True
            raise

    def _verify_voucher(self, signer: str, voucher: Voucher) -> None:
        if not self._signers.verify(
            self._digests.voucher(voucher.channel_id, voucher.amount), voucher.signature, signer
        ):
            raise refuse(
                "voucher_signature", "The voucher is not signed by the channel's payer.", "Sign it again."
            )

    async def _keep(self, channel: Channel, call: CallRecord | None) -> None:
        """Wait until this charge is in the journal, together with others of the moment."""
        channel.active = True
        if not channel.number:
            config = orjson.dumps(channel.config.to_json())
            channel.number = self._journal.open_channel(channel.channel_id, channel.work_id, config)
        self._dirty[channel.number] = channel
        if call is not None:
            self._calls.append((channel.number, call))
        loop = asyncio.get_running_loop()
        if not self._waiting:
            if self._last_group < BUSY_GROUP:
                loop.call_soon(self._flush)
            else:
                loop.call_later(GATHER_S, self._flush)
        kept: asyncio.Future[None] = loop.create_future()
        self._waiting.append(kept)
        await kept

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._last_group = len(waiting)
        channels, self._dirty = self._dirty, {}
        calls, self._calls = self._calls, []
        try:
            if channels:
                self._journal.commit([channel.watermark() for channel in channels.values()], calls)
        except Exception as error:
            for kept in waiting:
                if not kept.done():
                    kept.set_exception(error)
            if not waiting:
                raise
        else:
            for kept in waiting:
                if not kept.done():
                    kept.set_result(None)

    def _charged(self, terms: Terms, channel: Channel) -> dict[str, Any]:
        return settle_response(
            terms.network,
            channel.config.payer,
            extra={"channelState": channel.state(), "chargedAmount": str(terms.price)},
        )

    def _deposit_outlook(self, payer: str, payment: BatchPayment, salt: int) -> tuple[bool, ChannelState]:
        nonce = deposit_nonce(payment.voucher.channel_id, salt)
        return self.chain.authorization_used(payer, nonce), self._channels.states(
            [payment.voucher.channel_id]
        )[0]

    async def _submit_deposit(self, channel: Channel, payment: BatchPayment) -> str:
        try:
            receipt = await self._thread(
                self._channels.deposit, self.chain.key, channel.config, payment.deposit
            )
        except TransactionFailed as error:
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

    async def _thread(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
