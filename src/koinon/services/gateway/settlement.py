# SPDX-License-Identifier: Apache-2.0
"""Turns vouchers into money: claims the best voucher of each channel in batches, then settles into the tills.

It decides by what the chain says, never by what it remembers having sent: a claim names the whole amount
charged so far, so sending it twice moves nothing twice. After a crash it simply runs again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from koinon.services.gateway.cashier import Cashier
from koinon.services.gateway.channel import Channel
from koinon.services.gateway.gas_policy import Owing


@dataclass
class Report:
    """What one settlement did; amounts in the coin's smallest unit.

    ``settled`` maps each till to what arrived there; ``failed`` names channels whose voucher the chain
    refused.
    """

    claimed: int = 0
    channels: int = 0
    settled: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    transactions: list[str] = field(default_factory=list)
    gas_used: int = 0

    def to_dict(self) -> dict[str, object]:
        return {
            "claimed": self.claimed,
            "channels": self.channels,
            "settled": self.settled,
            "failed": self.failed,
            "transactions": self.transactions,
            "gas_used": self.gas_used,
        }


class Settlement:
    """Settles one gateway's channels; one settlement runs at a time.

    Parameters
    ----------
    cashier : Cashier
        Its gas policy says when claiming is worth its gas (see `settle_due`).
    minimum : int
        A channel is claimed once it owes at least this much.
    clock : callable
        Unix seconds.
    """

    def __init__(
        self,
        cashier: Cashier,
        *,
        minimum: int = 1,
        tills: Callable[[], Iterable[str]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._policy = cashier.gas.policy
        self._clock = clock
        self._cashier = cashier
        self._tills = tills
        self._minimum = max(1, minimum)
        self._lock = asyncio.Lock()

    def owed(self) -> int:
        """What all channels owe, as last read from the chain."""
        return sum(channel.account.unclaimed for channel in self._cashier.channels.values())

    async def settle_due(self, *, ripe: bool) -> Report | None:
        """Claim and settle what is worth its gas now, or does not wait; None where nothing is.

        ``ripe`` says that the usual time between settlements has passed. Errors as in `settle`.
        """
        channels = [each for each in self._cashier.channels.values() if each.account.unclaimed]
        if not channels:
            return None
        if self._policy.coins_per_ether == 0:
            gas_price = 0
        else:
            gas_price = await self._cashier.run(self._cashier.chain.gas_price)
        now = self._clock()
        owing = [
            Owing(
                channel.account.unclaimed,
                now - channel.owed_since,
                channel.config.withdraw_delay_s,
                bool(channel.withdraw_requested_at),
                channel.config.receiver,
            )
            for channel in channels
        ]
        chosen = {channels[place].channel_id for place in self._policy.choose(owing, gas_price, ripe=ripe)}
        return await self._settle_these(chosen, self._minimum) if chosen else None

    async def settle(self, *, everything: bool = False) -> Report:
        """Claim and settle, whatever gas costs. With ``everything``, also what lies below the minimum.

        Channels the chain refuses (emptied by their payer, say) are reported and do not keep others from
        being paid. ChainError when the node does not answer.
        """
        return await self._settle_these(None, 1 if everything else self._minimum)

    async def _settle_these(self, chosen: set[bytes] | None, least: int) -> Report:
        async with self._lock:
            cashier = self._cashier
            await cashier.refresh(list(cashier.channels))
            owing = [
                channel
                for channel in cashier.channels.values()
                if (chosen is None or channel.channel_id in chosen)
                and channel.account.unclaimed >= (1 if channel.withdraw_requested_at else least)
            ]
            owing.sort(key=lambda channel: channel.config.receiver)
            report = Report()
            if owing:
                await self._claim(owing, report)
            known = cashier.channels.values() if chosen is None else owing
            tills = sorted(
                {*(self._tills() if chosen is None else ()), *(channel.config.receiver for channel in known)}
            )
            await self._settle(tills, report)
            if report.transactions:
                await cashier.refresh([channel.channel_id for channel in owing])
            return report

    async def _claim(self, channels: Sequence[Channel], report: Report) -> None:
        chain = self._cashier.chain
        outcome = await self._cashier.run(
            chain.channels.claim, chain.key, [self._cashier.claim(channel) for channel in channels]
        )
        report.claimed = outcome.amount
        report.channels = len(channels) - len(outcome.refused)
        report.failed = {"0x" + claim.voucher.channel_id.hex(): reason for claim, reason in outcome.refused}
        report.transactions += [receipt.transaction_hash for receipt in outcome.receipts]
        report.gas_used += sum(receipt.gas_used for receipt in outcome.receipts)

    async def _settle(self, tills: Sequence[str], report: Report) -> None:
        if not tills:
            return
        amounts = await self._cashier.run(self._cashier.chain.unsettled, tills)
        due = {till: amount for till, amount in zip(tills, amounts, strict=True) if amount}
        if not due:
            return
        receipts = await self._cashier.run(self._cashier.chain.settle, list(due))
        report.settled = due
        report.transactions += [receipt.transaction_hash for receipt in receipts]
        report.gas_used += sum(receipt.gas_used for receipt in receipts)
