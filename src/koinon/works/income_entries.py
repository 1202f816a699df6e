# SPDX-License-Identifier: Apache-2.0
"""Building up a till's payments and releases from events in the chain's order, and keeping what is final."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from koinon.works.directory import Notebook
from koinon.works.earnings import Income, Payment, Rail, Released, Sums
from koinon.works.family import Index

MANY: Final = 2_000
"""Payments and releases since the last note before there is another one."""

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS work_income (work_id BIGINT NOT NULL, token TEXT NOT NULL,"
    " block_number BIGINT NOT NULL, block_hash TEXT NOT NULL, content TEXT NOT NULL,"
    " PRIMARY KEY (work_id, token))"
)


class Entries:
    """Payments and releases of one till up to a block, and claims that no settlement brought yet.

    Add whole blocks with `arrive`, `leave` and ``pending``, then `close`. ``last`` the last block of them.
    """

    def __init__(self) -> None:
        self.block, self.block_hash = -1, ""
        self.last = -1
        self.payments: list[Payment] = []
        self.releases: list[Released] = []
        self.pending: list[tuple[str, int]] = []
        self.sums = Sums()
        self.noted = 0
        self._open: dict[tuple[int, str, Rail], tuple[int, int]] = {}
        self._leaving: dict[tuple[int, str, str], int] = {}

    def copy(self) -> Entries:
        other = Entries()
        other.block, other.block_hash, other.last = self.block, self.block_hash, self.last
        other.payments, other.releases = self.payments.copy(), self.releases.copy()
        other.pending, other.sums = self.pending.copy(), self.sums
        return other

    def arrive(
        self, row: dict[str, Any], granted: set[tuple[str, str]], channels: str, client: str | None = None
    ) -> None:
        """A transfer into the till; ``client`` whose job it pays, where an escrow of jobs sent it."""
        self.last = max(self.last, int(row["block_number"]))
        amount, at, payer = int(row["value"]), int(row["timestamp"] or 0), row["payer"]
        if row["settled"] is not None and payer == channels:
            self._settle(at, amount, channels)
        elif client is not None:
            self._pay(at, client, "job", amount)
        elif row["passed_up"] is not None:
            self._pay(at, payer, "share", amount)
        elif (row["transaction_hash"], payer) in granted:
            self._pay(at, payer, "grant", amount)
        elif row["authorized"] is not None:
            self._pay(at, payer, "exact", amount)
        else:
            self._pay(at, payer, "transfer", amount)

    def claim(self, row: dict[str, Any]) -> None:
        self.last = max(self.last, int(row["block_number"]))
        self.pending.append((row["payer"], int(row["claim_amount"])))

    def leave(self, row: dict[str, Any]) -> None:
        self.last = max(self.last, int(row["block_number"]))
        key = (int(row["timestamp"] or 0), row["payee"] or row["receiver"], row["receiver"])
        self._leaving[key] = self._leaving.get(key, 0) + int(row["value"])

    def close(self) -> None:
        """What was added is complete."""
        payments = [Payment(*key, *value) for key, value in self._open.items()]
        releases = [Released(*key, amount) for key, amount in self._leaving.items()]
        self.sums = self.sums.plus(payments, releases)
        self.payments += payments
        self.releases += releases
        self._open, self._leaving = {}, {}

    def income(self, work_id: int, till: str, token: str) -> Income:
        unsettled = Sums().plus(
            (Payment(0, payer, "channel", amount, 1) for payer, amount in self.pending), ()
        )
        return Income(
            work_id, till, token, tuple(self.payments), tuple(self.releases),
            dict(sorted(unsettled.payers.items(), key=lambda item: (-item[1], item[0]))), self.sums,
        )  # fmt: skip

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
            before, count = self._open.get((at, payer, rail), (0, 0))
            self._open[at, payer, rail] = (before + amount, count + 1)


class IncomeNotes:
    """Final entries of busy tills, in a table beside the index.

    A note names its last block, which has events and therefore stays in the index; where that block is not
    there with the same hash, the note is of another chain and is not used.
    """

    def __init__(self, index: Index, notebook: Notebook, token: str) -> None:
        self._index, self._notebook, self._token = index, notebook, token
        notebook.keep([(_TABLE, [()])])

    def read(self, work_id: int) -> Entries | None:
        """None where there is no note that holds."""
        found = self._index.rows(
            "SELECT n.block_number, n.block_hash, n.content FROM work_income n"
            " JOIN block b ON b.number = n.block_number AND b.hash = n.block_hash"
            " WHERE n.work_id = ? AND n.token = ?",
            (work_id, self._token),
        )
        if not found:
            return None
        entries = Entries()
        entries.block = entries.last = int(found[0]["block_number"])
        entries.block_hash = str(found[0]["block_hash"])
        names, payments, releases, pending = orjson.loads(found[0]["content"])
        entries.payments = [
            Payment(at, names[payer], names[rail], int(amount), count)
            for at, payer, rail, amount, count in payments
        ]
        entries.releases = [
            Released(at, names[payee], names[receiver], int(amount))
            for at, payee, receiver, amount in releases
        ]
        entries.pending = [(names[payer], int(amount)) for payer, amount in pending]
        entries.sums = entries.sums.plus(entries.payments, entries.releases)
        entries.noted = len(entries.payments) + len(entries.releases)
        return entries

    def write(self, work_id: int, entries: Entries) -> None:
        """Keep what is final, where there is much of it that is not kept yet."""
        size = len(entries.payments) + len(entries.releases)
        if size - entries.noted < MANY:
            return
        found = self._index.rows("SELECT hash FROM block WHERE number = ?", (entries.last,))
        if not found:
            return
        row = (work_id, self._token, entries.last, str(found[0]["hash"]), _content(entries))
        self._notebook.keep(
            [
                ("DELETE FROM work_income WHERE work_id = ? AND token = ?", [row[:2]]),
                ("INSERT INTO work_income VALUES (?, ?, ?, ?, ?)", [row]),
            ]
        )
        entries.noted = size


def _content(entries: Entries) -> str:
    """JSON; each name once, amounts as text, since JSON's numbers are small."""
    places: dict[str, int] = {}

    def place(name: str) -> int:
        return places.setdefault(name, len(places))

    payments: Sequence[Any] = [
        (each.timestamp, place(each.payer), place(each.rail), str(each.amount), each.count)
        for each in entries.payments
    ]
    releases: Sequence[Any] = [
        (each.timestamp, place(each.payee), place(each.receiver), str(each.amount))
        for each in entries.releases
    ]
    pending = [(place(payer), str(amount)) for payer, amount in entries.pending]
    return orjson.dumps([list(places), payments, releases, pending]).decode()
