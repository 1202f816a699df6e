# SPDX-License-Identifier: Apache-2.0
"""What a Work earned: from whom, by which way, when; what was paid out, and what still lies in its till.

Everything comes from the event index, for one token whose Transfers are indexed (the coin). ETH leaves no
event when it arrives, so it is not in here.

A payment's ``rail`` is how it came: ``channel`` (settled out of payment channels, told by who filled them),
``exact`` (an x402 payment signed by its payer), ``grant`` (a use bought under the Work's terms), ``share``
(a child Work's till passed it up), or ``transfer`` (anything else).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any, Final, Literal

from koinon.works.family import Family, Index
from koinon.works.shares import OWNER
from koinon.works.till import due

Rail = Literal["channel", "exact", "grant", "share", "transfer"]
_TILLS_REMEMBERED: Final = 512
_ARRIVED: Final = """
SELECT t.block_number, t.log_index, t.transaction_hash, b.timestamp, t."from" AS payer, t.value,
       s.amount AS settled, a.nonce AS authorized, r.amount AS passed_up
FROM coin_transfer t
LEFT JOIN block b ON b.number = t.block_number
LEFT JOIN channels_settled s ON s.block_number = t.block_number AND s.log_index = t.log_index + 1
     AND s.receiver = t."to" AND s.transaction_hash = t.transaction_hash
LEFT JOIN coin_authorization_used a ON a.block_number = t.block_number AND a.log_index = t.log_index - 1
     AND a.authorizer = t."from" AND a.transaction_hash = t.transaction_hash
LEFT JOIN till_released r ON r.block_number = t.block_number AND r.log_index = t.log_index + 1
     AND r.address = t."from" AND r.transaction_hash = t.transaction_hash
WHERE t."to" = ? AND t.address = ? AND t.block_number > ?
ORDER BY t.block_number, t.log_index
"""
_LEFT: Final = """
SELECT t.block_number, b.timestamp, t."to" AS receiver, t.value, r.payee
FROM coin_transfer t
LEFT JOIN block b ON b.number = t.block_number
LEFT JOIN till_released r ON r.block_number = t.block_number AND r.log_index = t.log_index + 1
     AND r.address = t."from" AND r.transaction_hash = t.transaction_hash
WHERE t."from" = ? AND t.address = ? AND t.block_number > ?
ORDER BY t.block_number, t.log_index
"""
_CLAIMED: Final = """
SELECT c.block_number, c.log_index, c.claim_amount, k.payer
FROM (SELECT DISTINCT channel_id, config_payer AS payer FROM channels_channel_created
      WHERE config_receiver = ? AND config_token = ?) k
JOIN channels_claimed c ON c.channel_id = k.channel_id
WHERE c.block_number > ?
ORDER BY c.block_number, c.log_index
"""
_GRANTED: Final = (
    "SELECT transaction_hash, payer FROM terms_granted WHERE work_id = ? AND token = ? AND block_number > ?"
)


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
class Income:
    """A Work's income in one token, in its smallest unit; ``unsettled`` was claimed from channels, by payer,
    and waits to be settled into the till."""

    work_id: int
    till: str
    token: str
    payments: tuple[Payment, ...]
    releases: tuple[Released, ...]
    unsettled: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def earned(self) -> int:
        """Everything that ever arrived."""
        return sum(payment.amount for payment in self.payments)

    @cached_property
    def withdrawn(self) -> int:
        """Everything that was paid out."""
        return sum(release.amount for release in self.releases)

    @cached_property
    def waiting(self) -> int:
        """What lies in the till."""
        return self.earned - self.withdrawn

    @cached_property
    def by_payer(self) -> dict[str, int]:
        """Payer → amount, largest first."""
        return _summed((payment.payer, payment.amount) for payment in self.payments)

    @cached_property
    def by_rail(self) -> dict[str, int]:
        """Rail → amount, largest first."""
        return _summed((payment.rail, payment.amount) for payment in self.payments)

    @cached_property
    def by_payee(self) -> dict[str, int]:
        """Payee → what it was paid, largest first."""
        return _summed((release.payee, release.amount) for release in self.releases)

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
        )


class IncomeBook:
    """Every Work's income, read once and then only what is new.

    What is final is remembered by till; what is not is read again whenever the head moves, so that a
    reorganisation needs no undoing here. Safe to share between threads.

    Parameters
    ----------
    index : Index
    family : Family
    token, channels : str
        Addresses of the coin and of the Channels contract.
    """

    def __init__(self, index: Index, family: Family, *, token: str, channels: str) -> None:
        self.index, self.family, self.token, self.channels = index, family, token, channels
        self._books: dict[int, _Book] = {}
        self._lock = Lock()

    def of(self, work_id: int) -> Income:
        """A Work's income up to the newest block; zero for one that never earned, or does not exist."""
        head = self.index.head()
        mark = ("", -1) if head is None else (head.hash, head.number)
        with self._lock:
            book = self._books.pop(work_id, None)
            if book is None or book.final.block > mark[1] or not self._still_there(book.final):
                book = _Book()
            if book.shown is None or book.mark != mark:
                book.shown, book.mark = self._read(work_id, book), mark
            self._books[work_id] = book
            while len(self._books) > _TILLS_REMEMBERED:
                self._books.pop(next(iter(self._books)))
            return book.shown

    def _still_there(self, final: _Entries) -> bool:
        """Whether the chain is still the one that was read (a development chain may start anew)."""
        if not final.block_hash:
            return True
        found = self.index.rows("SELECT hash FROM block WHERE number = ?", (final.block,))
        return not found or found[0]["hash"] == final.block_hash

    def _read(self, work_id: int, book: _Book) -> Income:
        till, after = self.family.till_of(work_id), book.final.block
        arrived = self.index.rows(_ARRIVED, (till, self.token, after))
        left = self.index.rows(_LEFT, (till, self.token, after))
        claimed = self.index.rows(_CLAIMED, (till, self.token, after))
        granted = {
            (row["transaction_hash"], row["payer"])
            for row in self.index.rows(_GRANTED, (work_id, self.token, after))
        }
        final = self.index.rows("SELECT number, hash FROM block WHERE finalized ORDER BY number DESC LIMIT 1")
        boundary = max(after, int(final[0]["number"]) if final else -1)

        def add(entries: _Entries, wanted: Callable[[dict[str, Any]], bool]) -> None:
            steps = [("claim", row) for row in claimed if wanted(row)]
            steps += [("in", row) for row in arrived if wanted(row)]
            steps.sort(key=lambda step: (step[1]["block_number"], step[1]["log_index"]))
            for kind, row in steps:
                if kind == "claim":
                    entries.pending.append((row["payer"], int(row["claim_amount"])))
                else:
                    entries.arrive(row, granted, self.channels)
            for row in left:
                if wanted(row):
                    key = (int(row["timestamp"] or 0), row["payee"] or row["receiver"], row["receiver"])
                    entries.releases[key] += int(row["value"])

        add(book.final, lambda row: row["block_number"] <= boundary)
        book.final.block = boundary
        book.final.block_hash = str(final[0]["hash"]) if final and boundary == final[0]["number"] else ""
        newest = book.final.copy()
        add(newest, lambda row: row["block_number"] > boundary)
        return newest.income(work_id, till, self.token)


class _Entries:
    """Payments and releases of one till up to a block, and claims that no settlement brought yet."""

    def __init__(self) -> None:
        self.block, self.block_hash = -1, ""
        self.payments: dict[tuple[int, str, Rail], tuple[int, int]] = {}
        self.releases: dict[tuple[int, str, str], int] = defaultdict(int)
        self.pending: list[tuple[str, int]] = []

    def copy(self) -> _Entries:
        other = _Entries()
        other.block, other.block_hash = self.block, self.block_hash
        other.payments = self.payments.copy()
        other.releases = self.releases.copy()
        other.pending = self.pending.copy()
        return other

    def arrive(self, row: dict[str, Any], granted: set[tuple[str, str]], channels: str) -> None:
        amount, at, payer = int(row["value"]), int(row["timestamp"] or 0), row["payer"]
        if row["settled"] is not None and payer == channels:
            self._settle(at, amount, channels)
        elif row["passed_up"] is not None:
            self._pay(at, payer, "share", amount)
        elif (row["transaction_hash"], payer) in granted:
            self._pay(at, payer, "grant", amount)
        elif row["authorized"] is not None:
            self._pay(at, payer, "exact", amount)
        else:
            self._pay(at, payer, "transfer", amount)

    def _settle(self, at: int, amount: int, channels: str) -> None:
        """A settlement brings exactly what was claimed since the one before; any rest came from channels that
        are not in the index."""
        for payer, claimed in self.pending:
            taken = min(claimed, amount)
            amount -= taken
            self._pay(at, payer, "channel", taken)
        self.pending = []
        self._pay(at, channels, "channel", amount)

    def _pay(self, at: int, payer: str, rail: Rail, amount: int) -> None:
        if amount:
            before, count = self.payments.get((at, payer, rail), (0, 0))
            self.payments[at, payer, rail] = (before + amount, count + 1)

    def income(self, work_id: int, till: str, token: str) -> Income:
        return Income(
            work_id,
            till,
            token,
            tuple(Payment(*key, *value) for key, value in self.payments.items()),
            tuple(Released(*key, amount) for key, amount in self.releases.items()),
            _summed(self.pending),
        )


@dataclass
class _Book:
    final: _Entries = field(default_factory=_Entries)
    mark: tuple[str, int] = ("", -2)
    shown: Income | None = None


def _summed(pairs: Any) -> dict[str, int]:
    totals: dict[str, int] = defaultdict(int)
    for key, amount in pairs:
        totals[key] += amount
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


__all__ = ["OWNER", "Income", "IncomeBook", "Payment", "Rail", "Released"]
