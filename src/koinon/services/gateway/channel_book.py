# SPDX-License-Identifier: Apache-2.0
"""All channels of one gateway: how one is opened and checked, and how its account is kept.

A voucher's signature is checked against its payer's cached public key; what changes in one event-loop tick is
written by the journal together. What waits for the chain runs in threads.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import orjson

from koinon.services.gateway.channel import Channel, ChannelRefused
from koinon.services.gateway.journal import Journal
from koinon.services.gateway.journal_records import CallRecord, ChannelRecord
from koinon.services.gateway.ledger import EXCEEDS_BALANCE, Account, Refused, refuse
from koinon.services.gateway.onchain import OnChain
from koinon.services.gateway.signers import Signers, claimable
from koinon.services.gateway.x402 import BatchPayment, Terms
from koinon.works.vouchers import ChannelConfig, Claim, Voucher
from koinon.works.wire import address

BUSY_GROUP: Final = 3
GATHER_S: Final = 0.002
"""Where so many calls were kept together last time, the next ones wait this long for company."""

Answer = TypeVar("Answer")


class ChannelBook:
    """The channels, by id.

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
        self.journal = journal
        self._channels = chain.channels
        self._digests = chain.channels.digests
        self._signers = Signers()
        self._opening: weakref.WeakValueDictionary[bytes, Channel] = weakref.WeakValueDictionary()
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="chain")
        self._dirty: dict[int, Channel] = {}
        self._calls: list[tuple[int, CallRecord]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._last_group = 0
        for record in journal.channels():
            self._restore(record)

    def known(self, channel_id: bytes, work_id: int) -> Channel:
        """A channel that paid a service before; Refused."""
        channel = self.channels.get(channel_id)
        if channel is None or channel.work_id != work_id:
            raise refuse("channel_not_found", "The channel is not known here.", "Deposit into it first.")
        return channel

    def check_staying(self, channel: Channel) -> None:
        """Raises Refused where the payer announced a withdrawal."""
        if channel.withdraw_requested_at:
            raise refuse(
                "withdrawal_pending", "The channel's payer announced a withdrawal.", "Open a new channel."
            )

    def paid_before(self, channel_id: bytes, call_key: bytes) -> CallRecord | None:
        """A call already paid under this key on this channel."""
        channel = self.channels.get(channel_id)
        return None if channel is None else self.journal.call(channel.number, call_key)

    def claim(self, channel: Channel) -> Claim:
        """What a channel's best voucher lets the gateway claim."""
        account = channel.account
        digest = self._digests.voucher(channel.channel_id, account.signed)
        signature = claimable(digest, account.signature, channel.config.signer)
        return Claim(channel.config, Voucher(channel.channel_id, account.signed, signature), account.charged)

    def payer_of(self, payment: BatchPayment) -> str:
        """Who a payment says it is from, written in the one way that limits count by."""
        channel = self.channels.get(payment.voucher.channel_id)
        if channel is not None:
            return channel.config.payer
        return address(payment.config.get("payer"), "payer")

    def genuine(self, terms: Terms, work_id: int, payment: BatchPayment) -> Channel:
        """The channel of a voucher that its payer signed for this service, whatever it still buys; perhaps
        one that is not known yet. Raises Refused."""
        channel = self.channels.get(payment.voucher.channel_id)
        if channel is None:
            channel = self._describe(terms, work_id, payment)
        self._same_channel(channel, work_id, payment)
        self._verify_voucher(channel.config.signer, payment.voucher)
        return channel

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
        self.journal.close()

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
        channel = Channel(record.channel_id, record.work_id, config, wire, account, record.number)
        channel.owed_since = time.time()
        self.channels[record.channel_id] = channel

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

    async def keep(self, channel: Channel, call: CallRecord | None) -> None:
        """Wait until this channel's account is in the journal, together with others of the moment."""
        channel.active = True
        if not channel.owed_since and channel.account.unclaimed:
            channel.owed_since = time.time()
        if not channel.number:
            config = orjson.dumps(channel.config.to_json())
            channel.number = self.journal.open_channel(channel.channel_id, channel.work_id, config)
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
                self.journal.commit([channel.watermark() for channel in channels.values()], calls)
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

    async def _thread(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
