# SPDX-License-Identifier: Apache-2.0
"""One channel as its gateway holds it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from koinon.services.gateway.journal_records import Watermark
from koinon.services.gateway.ledger import BATCH_REASON, Account, Refused
from koinon.services.gateway.x402 import channel_state
from koinon.works.channels import ChannelState
from koinon.works.vouchers import ChannelConfig


@dataclass(slots=True, weakref_slot=True)
class Channel:
    """A channel that pays one service.

    ``changed`` wakes the streams that wait for a voucher, once; ``streams`` how many run; ``owed_since``
    (Unix seconds) when the first of what is not claimed yet was charged (or this process began), 0 where
    nothing is owed; ``refunded_at`` (monotonic seconds) when a part was last given back.
    """

    channel_id: bytes
    work_id: int
    config: ChannelConfig
    wire: dict[str, Any]
    account: Account
    number: int = 0
    withdraw_requested_at: int = 0
    refund_nonce: int = 0
    active: bool = True
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    owed_since: float = 0.0
    streams: int = 0
    refunded_at: float = float("-inf")

    def watermark(self) -> tuple[int, Watermark]:
        """As the journal keeps it."""
        account = self.account
        return self.number, Watermark(account.charged, account.signed, account.floor, account.signature)

    def apply(self, state: ChannelState) -> None:
        """Take over what the chain says. What was claimed was charged, even if this gateway no longer knows
        it."""
        account = self.account
        account.balance = state.balance
        account.claimed = state.claimed
        account.charged = max(account.charged, state.claimed)
        self.withdraw_requested_at = state.withdraw_requested_at
        self.refund_nonce = state.refund_nonce
        if not account.unclaimed:
            self.owed_since = 0.0
        self.wake()

    def wake(self) -> None:
        """Tell everybody who waits that the channel changed."""
        self.changed.set()
        self.changed = asyncio.Event()

    def state(self) -> dict[str, Any]:
        """x402's channelState."""
        return channel_state(
            self.channel_id,
            balance=self.account.balance,
            claimed=self.account.claimed,
            withdraw_requested_at=self.withdraw_requested_at,
            refund_nonce=self.refund_nonce,
            charged=self.account.charged,
        )


class ChannelRefused(Refused):
    """A refusal that tells the buyer the channel's true state, so that it can go on from there."""

    def __init__(self, refused: Refused, channel: Channel) -> None:
        super().__init__(refused.reason, refused.message, hint=refused.hint, corrective=True)
        self.channel_state = channel.state()
        account = channel.account
        self.voucher_state = (
            {"signedMaxClaimable": str(account.signed), "signature": "0x" + account.signature.hex()}
            if account.signature
            else None
        )

    @classmethod
    def key_used(cls, channel: Channel) -> ChannelRefused:
        """The refusal of a key that paid for another input."""
        refused = Refused(
            BATCH_REASON + "key_used",
            "This Idempotency-Key paid for another call.",
            hint="Use a new key for each call.",
        )
        return cls(refused, channel)
