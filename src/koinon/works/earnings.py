# SPDX-License-Identifier: Apache-2.0
"""What a Work earned, as records: payments, releases and their sums.

A payment's ``rail`` is how it came: ``channel`` (settled out of payment channels, told by who filled them),
``exact`` (an x402 payment signed by its payer), ``grant`` (a use bought under the Work's terms), ``share``
(a child Work's till passed it up), or ``transfer`` (anything else).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Literal

from koinon.works.till import due

Rail = Literal["channel", "exact", "grant", "job", "share", "transfer"]


@dataclass(frozen=True)
class Payment:
    """Money that arrived at a till: all of one payer, rail and block. ``amount`` in the smallest unit."""

    timestamp: int
    payer: str
    rail: Rail
    amount: int
    count: int


@dataclass(frozen=True)
class Released:
    """Money that left a till for a payee (zero: whoever owned the Work), into the receiver's account."""

    timestamp: int
    payee: str
    receiver: str
    amount: int


@dataclass(frozen=True)
class Sums:
    """Payer, rail and payee → amount."""

    payers: dict[str, int] = field(default_factory=dict)
    rails: dict[str, int] = field(default_factory=dict)
    payees: dict[str, int] = field(default_factory=dict)

    def plus(self, payments: Iterable[Payment], releases: Iterable[Released]) -> Sums:
        """With more of both."""
        more = Sums(self.payers.copy(), self.rails.copy(), self.payees.copy())
        for payment in payments:
            more.payers[payment.payer] = more.payers.get(payment.payer, 0) + payment.amount
            more.rails[payment.rail] = more.rails.get(payment.rail, 0) + payment.amount
        for release in releases:
            more.payees[release.payee] = more.payees.get(release.payee, 0) + release.amount
        return more


@dataclass(frozen=True)
class Income:
    """A Work's income in one token, in its smallest unit; ``unsettled`` was claimed from channels, by payer,
    and waits to be settled into the till; ``sums`` what payments and releases add up to, where that is known
    already."""

    work_id: int
    till: str
    token: str
    payments: tuple[Payment, ...]
    releases: tuple[Released, ...]
    unsettled: Mapping[str, int] = field(default_factory=dict)
    sums: Sums | None = field(default=None, repr=False, compare=False)

    @property
    def earned(self) -> int:
        """Everything that ever arrived."""
        return sum(self.by_rail.values())

    @property
    def withdrawn(self) -> int:
        """Everything that was paid out."""
        return sum(self.by_payee.values())

    @property
    def waiting(self) -> int:
        """What lies in the till."""
        return self.earned - self.withdrawn

    @cached_property
    def by_payer(self) -> dict[str, int]:
        """Payer → amount, largest first."""
        return _largest_first(self._summed.payers)

    @cached_property
    def by_rail(self) -> dict[str, int]:
        """Rail → amount, largest first."""
        return _largest_first(self._summed.rails)

    @cached_property
    def by_payee(self) -> dict[str, int]:
        """Payee → what it was paid, largest first."""
        return _largest_first(self._summed.payees)

    @cached_property
    def _summed(self) -> Sums:
        return self.sums or Sums().plus(self.payments, self.releases)

    @cached_property
    def last_paid(self) -> dict[str, int]:
        """Payer → when it last paid (Unix seconds)."""
        found: dict[str, int] = {}
        for payment in self.payments:
            found[payment.payer] = max(payment.timestamp, found.get(payment.payer, 0))
        return found

    @cached_property
    def first_paid(self) -> int | None:
        """When the first payment came (Unix seconds)."""
        return min((payment.timestamp for payment in self.payments), default=None)

    def paid_by(self, payer: str, until: int) -> int:
        """What one payer had paid by a moment (Unix seconds)."""
        times, totals = self._of_payer.get(payer, ((), ()))
        place = bisect_right(times, until)
        return totals[place - 1] if place else 0

    @cached_property
    def _of_payer(self) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """Payer → when it paid, and what that had come to each time."""
        found: dict[str, list[Payment]] = defaultdict(list)
        for payment in sorted(self.payments, key=lambda payment: payment.timestamp):
            found[payment.payer].append(payment)
        return {
            payer: (
                tuple(each.timestamp for each in paid),
                tuple(accumulate(each.amount for each in paid)),
            )
            for payer, paid in found.items()
        }

    def due(self, payee: str, share: int) -> int:
        """What a release would pay a payee with this share (1e-9) now."""
        return due(self.waiting, self.withdrawn, self.by_payee.get(payee, 0), share)

    def until(self, timestamp: int) -> Income:
        """As it was at a moment; what had been claimed and not settled then is not told."""
        return replace(
            self,
            payments=tuple(payment for payment in self.payments if payment.timestamp <= timestamp),
            releases=tuple(release for release in self.releases if release.timestamp <= timestamp),
            unsettled={},
            sums=None,
        )


def _largest_first(totals: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))
