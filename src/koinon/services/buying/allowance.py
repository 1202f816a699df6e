# SPDX-License-Identifier: Apache-2.0
"""What a buyer may sign away, asked before every signature.

A buyer signs cumulative vouchers and single transfers. Both go through an `Allowance`: `Limit` holds one
number for one process, `mandate_spending` what an owner's mandate grants to several.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from koinon.errors import PaymentError


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid for a use: a Work, the till where it is paid, and the account that owns it."""

    work_id: int
    till: str
    owner: str


class Allowance(Protocol):
    """Grants what a buyer may sign; every amount in the coin's smallest unit. Safe to share by threads.

    `voucher` and `transfer` raise PaymentError when the amount is not granted: nothing is signed then.
    """

    @property
    def salt(self) -> bytes:
        """32 bytes that make the channels opened under this allowance its own."""

    @property
    def per_use(self) -> int | None:
        """The most that one use may cost, a stream from its beginning to its end; None without such a cap."""

    @property
    def signed(self) -> int:
        """The sum of everything granted: the most that all payees together could ever take."""

    def left(self, payee: Payee) -> int:
        """The most that may still be granted for a payee."""

    def voucher(self, payee: Payee, channel_id: bytes, above: int, price: int) -> int:
        """The amount of a channel's next voucher, for one call at ``price``: higher than ``above`` and than
        any granted before, so that two buyers on one channel never sign the same."""

    def again(self, payee: Payee, channel_id: bytes, amount: int) -> None:
        """A voucher of this amount was granted and bought nothing; may it be used for another call?"""

    def transfer(self, payee: Payee, amount: int, nonce: bytes, until: int) -> None:
        """A single transfer, which may be taken until a moment in Unix seconds; the same nonce again is the
        same transfer and counts once."""

    def transferred(self, nonce: bytes) -> None:
        """The transfer was made."""

    def keep(self, number: str, payment: Mapping[str, Any]) -> None:
        """Keep what a call is paid with, before it is sent, until `forget`."""

    def kept(self, number: str) -> Mapping[str, Any] | None:
        """What the call of this number was paid with, where its answer is still missing."""

    def forget(self, number: str, charged: int = 0) -> None:
        """The call of this number is done, and this much was charged for it."""

    def watermark(self, channel_id: bytes) -> int:
        """The highest voucher that was granted on a channel, whichever process asked; 0 where none was."""

    def closed(self, channel_id: bytes, claimed: int) -> None:
        """The chain says that of this channel ``claimed`` was taken and that nothing is left in it."""


class Limit:
    """One number for all payees, in memory."""

    salt = bytes(32)
    per_use = None

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._signed = 0
        self._transfers: set[bytes] = set()
        self._sent: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()

    @property
    def signed(self) -> int:
        return self._signed

    def left(self, payee: Payee) -> int:  # noqa: ARG002  (the same for all)
        with self._lock:
            return self._limit - self._signed

    def voucher(self, payee: Payee, channel_id: bytes, above: int, price: int) -> int:  # noqa: ARG002
        with self._lock:
            self._count(price)
        return above + price

    def again(self, payee: Payee, channel_id: bytes, amount: int) -> None:
        """Counted when it was granted."""

    def transfer(self, payee: Payee, amount: int, nonce: bytes, until: int) -> None:  # noqa: ARG002
        with self._lock:
            if nonce not in self._transfers:
                self._count(amount)
                self._transfers.add(nonce)

    def transferred(self, nonce: bytes) -> None:
        """Counted when it was granted."""

    def keep(self, number: str, payment: Mapping[str, Any]) -> None:
        self._sent[number] = payment

    def kept(self, number: str) -> Mapping[str, Any] | None:
        return self._sent.get(number)

    def forget(self, number: str, charged: int = 0) -> None:  # noqa: ARG002  (what was signed counts)
        self._sent.pop(number, None)

    def watermark(self, channel_id: bytes) -> int:  # noqa: ARG002
        """Nobody else signs within this limit."""
        return 0

    def closed(self, channel_id: bytes, claimed: int) -> None:
        """What came back may not be spent again within this limit."""

    def _count(self, amount: int) -> None:
        if self._signed + amount > self._limit:
            raise PaymentError(
                f"This call would go beyond the spending limit of {self._limit} units.",
                hint="Raise the limit if that is what you want.",
                code="payment.spending_limit",
            )
        self._signed += amount
