# SPDX-License-Identifier: Apache-2.0
"""The rule by which vouchers pay for calls; pure bookkeeping, no signatures, no chain, no disk.

A voucher is a signed cumulative amount: "the receiver may claim up to this much of my channel". Koinon reads
it as a ticket too: **each amount pays for at most one call**, so a repeated voucher buys nothing, while
several calls may be in flight on one channel and arrive in any order. For every channel, at every moment:

- charged + reserved never exceeds the highest amount its payer signed, nor the channel's balance;
- an amount that paid for a call never pays for another;
- a call that fails gives its reservation and its amount back;
- a call priced by units reserves the most it may cost and is charged what it did cost;
- a stream draws part by part on whatever is signed and neither charged nor reserved.

x402's own client signs exactly charged + price, one call at a time: a special case of this rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from koinon.errors import PaymentError

BATCH_REASON: Final = "invalid_batch_settlement_evm_"
EXACT_REASON: Final = "invalid_exact_evm_"
MISMATCH: Final = BATCH_REASON + "cumulative_amount_mismatch"
EXCEEDS_BALANCE: Final = BATCH_REASON + "cumulative_exceeds_balance"
BELOW_LEAST_DEPOSIT: Final = BATCH_REASON + "deposit_below_min_deposit"

USED_LIMIT: Final = 4096


class Refused(PaymentError):
    """A payment that buys nothing; ``reason`` is x402's word for it (part of the wire contract)."""

    def __init__(self, reason: str, message: str, *, hint: str = "", corrective: bool = False) -> None:
        super().__init__(message, hint=hint, code=f"payment.{short_reason(reason)}")
        self.reason = reason
        self.corrective = corrective


def short_reason(reason: str) -> str:
    """x402's reason without its scheme's prefix."""
    return reason.removeprefix(BATCH_REASON).removeprefix(EXACT_REASON)


def refuse(reason: str, message: str, hint: str = "", *, prefix: str = BATCH_REASON) -> Refused:
    """A refusal by the short form of its reason."""
    return Refused(prefix + reason, message, hint=hint)


@dataclass(slots=True)
class Account:
    """One channel's running account. Amounts are integers in the coin's smallest unit.

    ``charged`` paid by calls so far; ``reserved`` by calls in flight; ``signed`` the highest amount ever
    signed and ``signature`` that proves it; ``balance`` and ``claimed`` as last read from the chain; ``dead``
    at and below which no amount pays any more; ``used`` the amounts above it that have paid or are paying.
    """

    charged: int = 0
    signed: int = 0
    signature: bytes = b""
    balance: int = 0
    claimed: int = 0
    dead: int = 0
    floor: int = 0
    reserved: int = 0
    used: set[int] = field(default_factory=set)

    def check(self, amount: int, price: int) -> None:
        """Whether a voucher over ``amount`` can pay ``price`` now; raises Refused. Needs no signature yet."""
        if amount > self.balance:
            raise Refused(
                EXCEEDS_BALANCE,
                f"The voucher of {amount} exceeds the channel's balance of {self.balance}.",
                hint="Deposit more into the channel.",
            )
        if amount <= max(self.dead, self.claimed) or amount in self.used:
            raise Refused(
                MISMATCH,
                f"The voucher of {amount} already paid for a call.",
                hint="Sign a new, higher voucher for each call.",
                corrective=True,
            )
        due = self.charged + self.reserved + price
        if due > self.balance:
            raise Refused(
                EXCEEDS_BALANCE,
                f"The channel's balance of {self.balance} does not cover {due}.",
                hint="Deposit more into the channel.",
            )
        if due > max(amount, self.signed):
            raise Refused(
                MISMATCH,
                f"The voucher of {amount} does not cover {self.charged} charged before and this call.",
                hint="Continue from the charged amount that this answer states.",
                corrective=True,
            )

    def reserve(self, amount: int, price: int, signature: bytes) -> None:
        """Take the voucher for a call. Call `check` and verify the signature first, with no await between."""
        if amount > self.signed:
            self.signed = amount
            self.signature = signature
        self.used.add(amount)
        self.reserved += price
        if len(self.used) > USED_LIMIT:
            self._forget_lower_half()

    def charge(self, amount: int, price: int, cost: int) -> None:
        """The call succeeded and costs ``cost`` of the ``price`` reserved. One that costs nothing leaves its
        voucher good for another."""
        self.release(amount, price)
        if cost:
            self.spend(amount, cost)

    def spend(self, amount: int, cost: int) -> None:
        """Charge a cost that `covers` allows to the voucher of a call or stream."""
        self.used.add(amount)
        self.charged += cost
        self.floor = max(self.floor, amount)

    def covers(self, cost: int, limit: int | None = None) -> bool:
        """Whether what is signed (and ``limit``, a cumulative amount) covers a further cost."""
        most = min(self.signed, self.balance)
        return self.charged + self.reserved + cost <= (most if limit is None else min(most, limit))

    def give_back(self, cost: int) -> None:
        """A part that was charged and could not be sent."""
        self.charged = max(self.claimed, self.charged - cost)

    def sign_ahead(self, amount: int, signature: bytes) -> None:
        """Take a voucher that buys nothing by itself: it raises what calls and streams may cost. An older one
        changes nothing. Raises Refused; verify the signature first."""
        if amount > self.balance:
            raise Refused(
                EXCEEDS_BALANCE,
                f"The voucher of {amount} exceeds the channel's balance of {self.balance}.",
                hint="Deposit more into the channel.",
            )
        if amount > self.signed:
            self.signed = amount
            self.signature = signature
        self.used.add(amount)

    def release(self, amount: int, price: int) -> None:
        """The call failed: its voucher may pay another."""
        self.reserved -= price
        self.used.discard(amount)

    @property
    def unclaimed(self) -> int:
        """What was charged and not yet claimed on chain."""
        return max(0, self.charged - self.claimed)

    def _forget_lower_half(self) -> None:
        ordered = sorted(self.used)
        self.dead = ordered[len(ordered) // 2]
        self.used = set(ordered[len(ordered) // 2 + 1 :])
