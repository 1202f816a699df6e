# SPDX-License-Identifier: Apache-2.0
"""What a gateway must never forget: for each channel the highest voucher and what was charged.

One SQLite file in WAL mode. `Journal.commit` writes every change of one event-loop tick in one transaction,
and an answer leaves the gateway only after its commit: a killed process (kill -9) forgets nothing it
acknowledged. A background thread forces the log to the disk every `SYNC_INTERVAL_S`, so a machine that loses
power forgets at most that window. What could be lost is the gateway's own claim, never a buyer's money.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from koinon.errors import SetupError
from koinon.services.gateway.journal_lock import lock_journal
from koinon.services.gateway.journal_records import (
    CallRecord,
    ChannelRecord,
    FreeCall,
    TransferRecord,
    Watermark,
)

SYNC_INTERVAL_S = 0.1
CHECKPOINT_EVERY = 50  # syncs: every 5 s while busy
KEEP_CALLS_S = 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS channels (
    number INTEGER PRIMARY KEY,
    channel_id BLOB NOT NULL UNIQUE,
    work_id INTEGER NOT NULL,
    config BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS watermarks (
    number INTEGER PRIMARY KEY,
    charged BLOB NOT NULL,
    signed BLOB NOT NULL,
    floor BLOB NOT NULL,
    signature BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER NOT NULL,
    call_key BLOB NOT NULL,
    input_digest BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (number, call_key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transfers (
    payer TEXT NOT NULL,
    nonce BLOB NOT NULL,
    work_id INTEGER NOT NULL,
    input_digest BLOB NOT NULL,
    amount BLOB NOT NULL,
    transaction_hash TEXT,
    answered INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (payer, nonce)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS free_calls (
    work_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    caller TEXT NOT NULL,
    nonce BLOB NOT NULL,
    input_digest BLOB NOT NULL,
    valid_until INTEGER NOT NULL,
    answers INTEGER NOT NULL,
    PRIMARY KEY (work_id, day, caller, nonce)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS free_nonces ON free_calls (caller, nonce);
"""


class Journal:
    """The file. All methods are called from one thread; only the disk sync runs beside it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._lock = lock_journal(path)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("PRAGMA wal_autocheckpoint = 0")  # the background thread does it
            self._database.executescript(_SCHEMA)
            now = int(time.time())
            self._database.execute("DELETE FROM calls WHERE at < ?", (now - KEEP_CALLS_S,))
            self._database.execute(
                "DELETE FROM free_calls WHERE day < ? AND valid_until < ?",
                (now // 86_400 - 1, now - KEEP_CALLS_S),
            )
        except sqlite3.DatabaseError as error:
            self._database.close()
            self._lock.close()
            raise SetupError(
                f"The journal {path} cannot be opened: {error}.",
                hint="Move it away only if its channels are settled: unclaimed income is recorded in it.",
                code="service.journal",
            ) from error
        path.chmod(0o600)
        self._unsynced: OSError | None = None
        self._dirty = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sync_loop, name="journal-sync", daemon=True)
        self._thread.start()

    def open_channel(self, channel_id: bytes, work_id: int, config: bytes) -> int:
        """The channel's number in this journal; a new one on first use."""
        found = self._database.execute(
            "SELECT number FROM channels WHERE channel_id = ?", (channel_id,)
        ).fetchone()
        if found is not None:
            return int(found[0])
        with self._changing() as execute:
            row = execute(
                "INSERT INTO channels (channel_id, work_id, config) VALUES (?, ?, ?)",
                (channel_id, work_id, config),
            )
        return int(row.lastrowid or 0)

    def commit(
        self,
        watermarks: Iterable[tuple[int, Watermark]],
        calls: Iterable[tuple[int, CallRecord]] = (),
        *,
        at: int | None = None,
    ) -> None:
        """Write these, each with its channel's number, in one transaction; when it returns, a killed process
        no longer forgets them."""
        with self._changing() as execute:
            for number, (charged, signed, floor, signature) in watermarks:
                execute(
                    "INSERT OR REPLACE INTO watermarks VALUES (?, ?, ?, ?, ?)",
                    (number, _blob(charged), _blob(signed), _blob(floor), signature),
                )
            now = int(time.time()) if at is None else at
            for number, (call_key, input_digest) in calls:
                execute(
                    "INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?)", (number, call_key, input_digest, now)
                )

    def channels(self) -> list[ChannelRecord]:
        """Every channel that ever paid."""
        rows = self._database.execute(
            "SELECT number, channel_id, work_id, config, charged, signed, floor, signature"
            " FROM channels JOIN watermarks USING (number)"
        )
        return [
            ChannelRecord(
                number,
                channel_id,
                work_id,
                config,
                Watermark(_amount(charged), _amount(signed), _amount(floor), signature),
            )
            for number, channel_id, work_id, config, charged, signed, floor, signature in rows
        ]

    def call(self, number: int, call_key: bytes) -> CallRecord | None:
        """The call paid under this key on the channel with this number, if there was one."""
        row = self._database.execute(
            "SELECT input_digest FROM calls WHERE number = ? AND call_key = ?", (number, call_key)
        ).fetchone()
        return None if row is None else CallRecord(call_key, row[0])

    def forget_channel(self, number: int) -> None:
        """Drop a channel that was refunded in full and has nothing left to claim."""
        with self._changing() as execute:
            execute("DELETE FROM calls WHERE number = ?", (number,))
            execute("DELETE FROM watermarks WHERE number = ?", (number,))
            execute("DELETE FROM channels WHERE number = ?", (number,))

    def transfer(self, payer: str, nonce: bytes) -> TransferRecord | None:
        """The `exact` payment by this payer with this nonce, if one was taken."""
        row = self._database.execute(
            "SELECT work_id, input_digest, amount, transaction_hash, answered FROM transfers"
            " WHERE payer = ? AND nonce = ?",
            (payer, nonce),
        ).fetchone()
        if row is None:
            return None
        return TransferRecord(
            payer, nonce, row[0], bytes(row[1]), int.from_bytes(row[2], "big"), row[3], bool(row[4])
        )

    def save_transfer(self, record: TransferRecord) -> None:
        """Write or replace one `exact` payment."""
        with self._changing() as execute:
            execute(
                "INSERT OR REPLACE INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    record.payer,
                    record.nonce,
                    record.work_id,
                    record.input_digest,
                    record.amount.to_bytes(32, "big"),
                    record.transaction_hash,
                    int(record.answered),
                ),
            )

    def free_call(self, call: FreeCall) -> FreeCall | None:
        """The call that this caller's nonce was used for, whatever the day."""
        row = self._database.execute(
            "SELECT work_id, caller, nonce, input_digest, valid_until, day, answers FROM free_calls"
            " WHERE caller = ? AND nonce = ? AND work_id = ?",
            (call.caller, call.nonce, call.work_id),
        ).fetchone()
        return None if row is None else FreeCall(*row)

    def free_calls(self, call: FreeCall, *, of_caller: bool) -> int:
        """How many were given for a Work on a day: to this caller, or to all."""
        query = "SELECT count(*) FROM free_calls WHERE work_id = ? AND day = ?"
        values = (call.work_id, call.day)
        if of_caller:
            row = self._database.execute(query + " AND caller = ?", (*values, call.caller))
        else:
            row = self._database.execute(query, values)
        return int(row.fetchone()[0])

    def count_free_call(self, call: FreeCall) -> None:
        """Count one answer to a free call."""
        with self._changing() as execute:
            execute(
                "INSERT OR REPLACE INTO free_calls VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    call.work_id,
                    call.day,
                    call.caller,
                    call.nonce,
                    call.input_digest,
                    call.valid_until,
                    call.answers + 1,
                ),
            )

    def uncount_free_call(self, call: FreeCall) -> None:
        """One answer less; a call that got none is forgotten."""
        with self._changing() as execute:
            key = (call.work_id, call.day, call.caller, call.nonce)
            execute(
                "UPDATE free_calls SET answers = answers - 1"
                " WHERE work_id = ? AND day = ? AND caller = ? AND nonce = ?",
                key,
            )
            execute(
                "DELETE FROM free_calls"
                " WHERE work_id = ? AND day = ? AND caller = ? AND nonce = ? AND answers <= 0",
                key,
            )

    def close(self) -> None:
        """Sync and close."""
        self._stop.set()
        self._dirty.set()
        self._thread.join()
        try:
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # no room: the log keeps what it has
        finally:
            self._database.close()
            self._lock.close()

    def _check_synced(self) -> None:
        if self._unsynced is not None:
            raise self._unsynced

    @contextmanager
    def _changing(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        """One transaction: all of it, or nothing and a SetupError."""
        execute = self._database.execute
        try:
            self._check_synced()
            execute("BEGIN IMMEDIATE")
            yield execute
            execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                execute("ROLLBACK")
            if isinstance(error, sqlite3.Error | OSError):
                raise SetupError(
                    f"The journal {self._path} cannot be written: {error}.",
                    hint="Make room on the disk; nothing is acknowledged meanwhile.",
                    code="service.journal",
                ) from error
            raise
        self._dirty.set()

    def _sync_loop(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        log = self._path.with_name(self._path.name + "-wal")
        syncs = 0
        try:
            while not self._stop.is_set():
                self._dirty.wait()
                self._dirty.clear()
                try:
                    _sync(log)
                except OSError as error:  # nothing is acknowledged until it can be
                    self._unsynced = error
                    self._dirty.set()
                else:
                    self._unsynced = None
                syncs += 1
                if syncs % CHECKPOINT_EVERY == 0:
                    with contextlib.suppress(sqlite3.Error):  # no room: later
                        database.execute("PRAGMA wal_checkpoint(PASSIVE)")
                self._stop.wait(SYNC_INTERVAL_S)
        finally:
            database.close()


def _sync(file: Path) -> None:
    if file.exists():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _blob(amount: int) -> bytes:
    return amount.to_bytes(16, "big")


def _amount(blob: bytes) -> int:
    return int.from_bytes(blob, "big")
