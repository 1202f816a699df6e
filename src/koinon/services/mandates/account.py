# SPDX-License-Identifier: Apache-2.0
"""The account of one mandate in the ledger: what is granted under it, counted before it is signed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from koinon.errors import PaymentError
from koinon.services.buying.allowance import Payee
from koinon.services.mandates.ledger import SpendingLedger
from koinon.services.mandates.mandate import SignedMandate

_ONLY_ITS_OWNER: Final = "Only its owner can grant more, by a new mandate."
_TOTAL: Final = "total"
_CHARGED: Final = "charged"


@dataclass(frozen=True)
class Spent:
    """What was used of a mandate, in the token's smallest unit: ``signed`` away in all and ``today``,
    ``charged`` by answered calls, ``by_owner`` signed away for each owner of Works."""

    signed: int
    today: int
    charged: int
    by_owner: dict[str, int]


@dataclass(frozen=True)
class OpenTransfer:
    """A transfer that may still be taken, until a moment in Unix seconds."""

    nonce: bytes
    amount: int
    until: int


class MandateAccount:
    """Counts for one mandate. Every method is one transaction of the ledger; amounts in the token's smallest
    unit. What grants raises PaymentError with a code that starts with ``mandate.``, and has then counted
    nothing.

    Parameters
    ----------
    ledger : SpendingLedger
    signed : SignedMandate
        Known to the ledger from now on.
    """

    def __init__(self, ledger: SpendingLedger, signed: SignedMandate) -> None:
        self.mandate = signed.mandate
        self.id = signed.id
        self._ledger = ledger
        ledger.add(signed)

    @property
    def spent(self) -> Spent:
        """What was used so far."""
        rows = dict(self._ledger.read("select scope, amount from used where mandate = ?", self.id))
        return Spent(
            signed=int(rows.get(_TOTAL, 0)),
            today=int(rows.get(self._ledger.day(), 0)),
            charged=int(rows.get(_CHARGED, 0)),
            by_owner={
                scope.removeprefix("to:"): int(amount)
                for scope, amount in rows.items()
                if scope.startswith("to:")
            },
        )

    def left(self, payee: Payee) -> int:
        """The most that may still be granted for a payee today."""
        spent, mandate = self.spent, self.mandate
        return max(
            0,
            min(
                mandate.total - spent.signed,
                mandate.per_day - spent.today,
                mandate.per_counterparty - spent.by_owner.get(payee.owner, 0),
            ),
        )

    def voucher(self, payee: Payee, channel_id: bytes, above: int, price: int) -> int:
        """Grant a channel's next voucher for a use at ``price``, higher than ``above``; its amount."""
        with self._ledger.changing() as file:
            base, exposed, watermark = self._channel(file, payee, channel_id, above)
            if above > watermark:  # signed by this key, but not under this ledger
                base, exposed, watermark = base + above - watermark, exposed + above - watermark, above
            amount = watermark + price
            self._count(file, payee, amount - exposed)
            self._keep_channel(file, channel_id, base, amount, amount)
        return amount

    def again(self, payee: Payee, channel_id: bytes, amount: int) -> None:
        """Grant that a voucher which bought nothing is used for another call. Money that is put in for it
        lies open to every voucher of the channel, so the highest counts."""
        with self._ledger.changing() as file:
            base, exposed, watermark = self._channel(file, payee, channel_id, amount)
            highest = max(watermark, amount)
            self._count(file, payee, highest - exposed)
            self._keep_channel(file, channel_id, base, highest, highest)

    def watermark(self, channel_id: bytes) -> int:
        """The highest voucher that was granted on a channel, by any process; 0 where none was."""
        rows = self._ledger.read(
            "select watermark from channel where mandate = ? and channel_id = ?", self.id, channel_id
        )
        return int(rows[0][0]) if rows else 0

    def closed(self, channel_id: bytes, claimed: int) -> None:
        """A channel is empty on chain with this much claimed: the rest of what was signed is free again. Its
        vouchers count again should it be filled again."""
        with self._ledger.changing() as file:
            row = file.execute(
                "select owner, base, exposed, watermark from channel where mandate = ? and channel_id = ?",
                (self.id, channel_id),
            ).fetchone()
            if row is None:
                return
            base, exposed, watermark = (int(value) for value in row[1:])
            kept = min(exposed, max(claimed, base))
            self._release(file, row[0], exposed - kept)
            self._keep_channel(file, channel_id, base, kept, watermark)

    def reserve(self, payee: Payee, amount: int, nonce: bytes, until: int) -> None:
        """Grant a transfer under a nonce, which may be taken ``until`` a moment (Unix seconds). The same
        nonce again counts only what it is higher."""
        with self._ledger.changing() as file:
            row = file.execute(
                "select amount, until, state, owner from transfer where mandate = ? and nonce = ?",
                (self.id, nonce),
            ).fetchone()
            before, state = 0, "reserved"
            if row is not None:
                if row[3] != payee.owner:
                    raise PaymentError(
                        "This nonce was used to pay somebody else.",
                        hint="Take a new one.",
                        code="mandate.nonce",
                    )
                if row[2] != "released":
                    before, state = int(row[0]), row[2]
                until = max(until, int(row[1]))
            highest = max(before, amount)
            self._count(file, payee, highest - before)
            file.execute(
                "insert or replace into transfer values (?, ?, ?, ?, ?, ?)",
                (self.id, nonce, payee.owner, str(highest), until, state),
            )

    def commit(self, nonce: bytes) -> None:
        """A transfer was made: it stays counted."""
        with self._ledger.changing() as file:
            file.execute(
                "update transfer set state = 'committed' "
                "where mandate = ? and nonce = ? and state = 'reserved'",
                (self.id, nonce),
            )

    def release(self, nonce: bytes) -> None:
        """A transfer was not made and can no longer be: it counts no more. Once, and never after `commit`."""
        with self._ledger.changing() as file:
            row = file.execute(
                "select owner, amount from transfer where mandate = ? and nonce = ? and state = 'reserved'",
                (self.id, nonce),
            ).fetchone()
            if row is not None:
                self._release(file, row[0], int(row[1]))
                file.execute(
                    "update transfer set state = 'released' where mandate = ? and nonce = ?", (self.id, nonce)
                )

    def open_transfers(self) -> list[OpenTransfer]:
        """Transfers that were granted and of which it is not known whether they were made."""
        rows = self._ledger.read(
            "select nonce, amount, until from transfer where mandate = ? and state = 'reserved'", self.id
        )
        return [OpenTransfer(bytes(nonce), int(amount), until) for nonce, amount, until in rows]

    def keep(self, number: str, payment: Mapping[str, Any]) -> None:
        """Keep what the call of this number is paid with."""
        with self._ledger.changing() as file:
            file.execute(
                "insert or replace into sent values (?, ?, ?)",
                (self.id, number, orjson.dumps(payment).decode()),
            )

    def kept(self, number: str) -> Mapping[str, Any] | None:
        """What the call of this number was paid with, until `forget`."""
        rows = self._ledger.read("select payment from sent where mandate = ? and number = ?", self.id, number)
        return dict(orjson.loads(rows[0][0])) if rows else None

    def forget(self, number: str, charged: int = 0) -> None:
        """The call of this number is done, and this much was charged for it."""
        with self._ledger.changing() as file:
            file.execute("delete from sent where mandate = ? and number = ?", (self.id, number))
            self._add(file, _CHARGED, charged)

    def _count(self, file: sqlite3.Connection, payee: Payee, amount: int) -> None:
        row = file.execute("select stopped from mandate where id = ?", (self.id,)).fetchone()
        if row is None or row[0] is not None:
            raise PaymentError(
                "This mandate was stopped.", hint="Ask its owner for a new one.", code="mandate.stopped"
            )
        mandate = self.mandate
        if self._add(file, _TOTAL, amount) > mandate.total:
            raise PaymentError(
                f"This would go beyond the {mandate.total} units that the mandate grants in all.",
                hint=_ONLY_ITS_OWNER,
                code="mandate.total",
            )
        if self._add(file, self._ledger.day(), amount) > mandate.per_day:
            raise PaymentError(
                f"This would go beyond the {mandate.per_day} units that the mandate grants a day.",
                hint=_ONLY_ITS_OWNER,
                code="mandate.per_day",
            )
        if self._add(file, f"to:{payee.owner}", amount) > mandate.per_counterparty:
            raise PaymentError(
                f"This would go beyond the {mandate.per_counterparty} units the mandate grants one payee.",
                hint=_ONLY_ITS_OWNER,
                code="mandate.per_counterparty",
            )

    def _release(self, file: sqlite3.Connection, owner: str, amount: int) -> None:
        for scope in (_TOTAL, f"to:{owner}"):
            self._add(file, scope, -amount)

    def _add(self, file: sqlite3.Connection, scope: str, amount: int) -> int:
        row = file.execute(
            "select amount from used where mandate = ? and scope = ?", (self.id, scope)
        ).fetchone()
        total = (0 if row is None else int(row[0])) + amount
        file.execute("insert or replace into used values (?, ?, ?)", (self.id, scope, str(total)))
        return total

    def _channel(
        self, file: sqlite3.Connection, payee: Payee, channel_id: bytes, above: int
    ) -> tuple[int, int, int]:
        row = file.execute(
            "select base, exposed, watermark from channel where mandate = ? and channel_id = ?",
            (self.id, channel_id),
        ).fetchone()
        if row is None:
            file.execute(
                "insert into channel values (?, ?, ?, ?, ?, ?)",
                (self.id, channel_id, payee.owner, str(above), str(above), str(above)),
            )
            return above, above, above
        return int(row[0]), int(row[1]), int(row[2])

    def _keep_channel(self, file: sqlite3.Connection, channel_id: bytes, *amounts: int) -> None:
        file.execute(
            "update channel set base = ?, exposed = ?, watermark = ? where mandate = ? and channel_id = ?",
            (*map(str, amounts), self.id, channel_id),
        )
