# SPDX-License-Identifier: Apache-2.0
"""What a Work earned: from whom, by which way, when; what was paid out, and what still lies in its till.

Everything comes from the event index, for one token whose Transfers are indexed (the coin). ETH leaves no
event when it arrives, so it is not in here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from koinon.works.directory import Notebook
from koinon.works.earnings import Income, Payment, Rail, Released
from koinon.works.family import Family, Index
from koinon.works.income_entries import Entries, IncomeNotes
from koinon.works.shares import OWNER

_TILLS_REMEMBERED: Final = 512
_READ_AT_ONCE: Final = 16
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
_COMMISSIONED: Final = """
SELECT p.block_number, p.log_index, f.client
FROM jobs_payment_released p JOIN jobs_job_funded f ON f.job_id = p.job_id
WHERE p.provider = ? AND p.block_number > ?
"""
_AFTER_TRANSFER: Final = 2
"""How many events after the transfer the escrow of jobs says whom it paid for which job."""


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
    jobs : str
        Address of the escrow of commissioned work (ERC-8183); empty where the network has none.
    notebook : Notebook, optional
        Where what is final of busy tills is kept, so that it need not be read again after a start.
    """

    def __init__(
        self,
        index: Index,
        family: Family,
        *,
        token: str,
        channels: str,
        jobs: str = "",
        notebook: Notebook | None = None,
    ) -> None:
        self.index, self.family, self.token, self.channels = index, family, token, channels
        self.jobs = jobs
        self._notes = None if notebook is None else IncomeNotes(index, notebook, token)
        self._books: dict[int, _Book] = {}
        self._lock = Lock()
        self._of_work = tuple(Lock() for _ in range(_READ_AT_ONCE))

    def of(self, work_id: int) -> Income:
        """A Work's income up to the newest block; zero for one that never earned, or does not exist."""
        head = self.index.head()
        mark = ("", -1) if head is None else (head.hash, head.number)
        with self._of_work[work_id % _READ_AT_ONCE]:
            with self._lock:
                book = self._books.pop(work_id, None)
            if book is None or book.final.block > mark[1] or not self._still_there(book.final):
                book = _Book()
                if self._notes is not None:
                    book.final = self._notes.read(work_id) or book.final
            if book.shown is None or book.mark != mark:
                book.shown, book.mark = self._read(work_id, book), mark
            with self._lock:
                self._books[work_id] = book
                while len(self._books) > _TILLS_REMEMBERED:
                    self._books.pop(next(iter(self._books)))
            return book.shown

    def _still_there(self, final: Entries) -> bool:
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
        commissioned = {
            (int(row["block_number"]), int(row["log_index"]) - _AFTER_TRANSFER): str(row["client"])
            for row in (self.index.rows(_COMMISSIONED, (till, after)) if self.jobs else ())
        }
        final = self.index.rows("SELECT number, hash FROM block WHERE finalized ORDER BY number DESC LIMIT 1")
        boundary = max(after, int(final[0]["number"]) if final else -1)

        def add(entries: Entries, wanted: Callable[[dict[str, Any]], bool]) -> None:
            steps = [("claim", row) for row in claimed if wanted(row)]
            steps += [("in", row) for row in arrived if wanted(row)]
            steps.sort(key=lambda step: (step[1]["block_number"], step[1]["log_index"]))
            for kind, row in steps:
                if kind == "claim":
                    entries.claim(row)
                else:
                    client = commissioned.get((int(row["block_number"]), int(row["log_index"])))
                    entries.arrive(row, granted, self.channels, client if row["payer"] == self.jobs else None)
            for row in left:
                if wanted(row):
                    entries.leave(row)
            entries.close()

        add(book.final, lambda row: row["block_number"] <= boundary)
        book.final.block = boundary
        book.final.block_hash = str(final[0]["hash"]) if final and boundary == final[0]["number"] else ""
        if self._notes is not None:
            self._notes.write(work_id, book.final)
        newest = book.final.copy()
        add(newest, lambda row: row["block_number"] > boundary)
        return newest.income(work_id, till, self.token)


@dataclass
class _Book:
    final: Entries = field(default_factory=Entries)
    mark: tuple[str, int] = ("", -2)
    shown: Income | None = None


__all__ = ["OWNER", "Income", "IncomeBook", "Payment", "Rail", "Released"]
