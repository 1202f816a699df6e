# SPDX-License-Identifier: Apache-2.0
"""What was signed away under each mandate: one SQLite file that all programs of this machine share.

Every grant is one transaction that checks all caps and counts, written to the disk before it returns. So
several processes under one mandate never grant more than it allows together, and a process that is killed
(kill -9) between a grant and its use leaves the higher figure: what was granted counts as spent until it is
known not to be.

- A voucher counts by how far it raises its channel: vouchers are cumulative, the highest is all a payee can
  ever claim. It is given back only when the chain says that the channel is closed and empty.
- A transfer counts once for its nonce, which the token takes once. It is released when the token can no
  longer take it.
- What a call is paid with is kept until the call is done, so that a call which is tried again, even by a
  process that was killed in between, is sent with the same payment.
- A release frees the total and the payee's cap, never the day's, which limits the speed.

Days are UTC's, by this machine's clock. A clock that is set back goes on counting on the days it counted
before; one that is set forward opens a later day early, and the total holds all the same.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.wal import use_wal
from koinon.errors import NotFound, SetupError
from koinon.services.mandates.mandate import SignedMandate

FILE_NAME: Final = "mandates.sqlite"
_SCHEMA: Final = """
create table if not exists mandate (
    id blob primary key, document text not null, added real not null, stopped real
) without rowid;
create table if not exists channel (
    mandate blob not null, channel_id blob not null, owner text not null,
    base text not null, exposed text not null, watermark text not null,
    primary key (mandate, channel_id)
) without rowid;
create table if not exists transfer (
    mandate blob not null, nonce blob not null, owner text not null, amount text not null,
    until integer not null, state text not null, primary key (mandate, nonce)
) without rowid;
create table if not exists sent (
    mandate blob not null, number text not null, payment text not null, primary key (mandate, number)
) without rowid;
create table if not exists used (
    mandate blob not null, scope text not null, amount text not null, primary key (mandate, scope)
) without rowid;
"""


class SpendingLedger:
    """The file. Threads and processes may share it.

    Parameters
    ----------
    folder : Path
        Where `FILE_NAME` lies.
    clock : callable, optional
        Unix seconds.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = sqlite3.connect(
                folder / FILE_NAME, check_same_thread=False, isolation_level=None, timeout=60.0
            )
            use_wal(self._file)
            self._file.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise SetupError(
                f"What was spent under mandates cannot be read from {folder / FILE_NAME} ({error}).",
                hint="Nothing is spent before it can. Restore the file from a backup.",
                code="mandate.ledger",
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def add(self, signed: SignedMandate) -> None:
        """Know a mandate from now on; one that is known already stays as it is."""
        with self.changing() as file:
            file.execute(
                "insert or ignore into mandate values (?, ?, ?, null)",
                (signed.id, orjson.dumps(signed.to_json()).decode(), self._clock()),
            )

    def mandates(self) -> list[SignedMandate]:
        """Every mandate that is known here, the newest first."""
        with self._lock:
            rows = self._file.execute("select document from mandate order by added desc, id").fetchall()
        return [SignedMandate.from_json(orjson.loads(row[0])) for row in rows]

    def stop(self, mandate_id: bytes) -> None:
        """Grant nothing more under a mandate, at once, in every process of this machine."""
        with self.changing() as file:
            file.execute(
                "update mandate set stopped = coalesce(stopped, ?) where id = ?", (self._clock(), mandate_id)
            )

    def is_stopped(self, mandate_id: bytes) -> bool:
        """Whether a mandate was stopped here; NotFound where it is not known."""
        with self._lock:
            row = self._file.execute("select stopped from mandate where id = ?", (mandate_id,)).fetchone()
        if row is None:
            raise NotFound("No such mandate is known here.", code="mandate.unknown")
        return row[0] is not None

    def day(self) -> str:
        """Today by UTC, as amounts are counted."""
        return "day:" + datetime.fromtimestamp(self._clock(), UTC).date().isoformat()

    def read(self, query: str, *values: Any) -> list[Any]:
        """Rows of a query."""
        with self._lock:
            return self._file.execute(query, values).fetchall()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone among all threads and processes; undone where its block fails."""
        with self._lock:
            self._begin()
            try:
                yield self._file
            except BaseException:
                self._file.execute("rollback")
                raise
            self._file.execute("commit")

    def _begin(self) -> None:
        try:
            self._file.execute("begin immediate")
        except sqlite3.Error as error:
            raise SetupError(
                f"What was spent under mandates cannot be written ({error}).",
                hint="Nothing is spent before it can be counted. Try again.",
                code="mandate.ledger",
            ) from error
