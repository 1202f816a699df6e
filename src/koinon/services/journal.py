# SPDX-License-Identifier: Apache-2.0
"""What a gateway must never forget: for each channel the highest voucher and what was charged.

One SQLite file in WAL mode. `Journal.commit` writes every change of one event-loop tick in one transaction,
and an answer leaves the gateway only after its commit: a killed process (kill -9) forgets nothing it
acknowledged. A background thread forces the log to the disk every `SYNC_INTERVAL_S`, so a machine that loses
power forgets at most that window. What could be lost is the gateway's own claim, never a buyer's money.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from koinon.errors import SetupError

SYNC_INTERVAL_S = 0.1
CHECKPOINT_EVERY = 50  # syncs: every 5 s while busy
KEEP_CALLS_S = 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS channels (
    channel_id BLOB PRIMARY KEY,
    work_id INTEGER NOT NULL,
    config BLOB NOT NULL,
    charged BLOB NOT NULL,
    signed BLOB NOT NULL,
    signature BLOB NOT NULL,
    floor BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    channel_id BLOB NOT NULL,
    call_key BLOB NOT NULL,
    input_digest BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (channel_id, call_key)
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
"""

_CHANNEL = """
INSERT INTO channels (channel_id, work_id, config, charged, signed, signature, floor)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (channel_id) DO UPDATE SET
    charged = excluded.charged, signed = excluded.signed,
    signature = excluded.signature, floor = excluded.floor
"""


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """One channel as kept.

    ``channel_id`` 32 bytes; ``config`` its JSON in the x402 wire form; ``charged`` what its calls cost so
    far; ``signed`` the highest cumulative amount its payer signed, by ``signature``; ``floor`` the highest
    voucher that paid a call. Amounts in the coin's smallest unit, below 2**128.
    """

    channel_id: bytes
    work_id: int
    config: bytes
    charged: int
    signed: int
    signature: bytes
    floor: int


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A paid call that can be repeated for nothing by the same key and input."""

    channel_id: bytes
    call_key: bytes
    input_digest: bytes


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """An `exact` payment: written before its transaction is sent, marked once its answer is out."""

    payer: str
    nonce: bytes
    work_id: int
    input_digest: bytes
    amount: int
    transaction_hash: str | None
    answered: bool


class Journal:
    """The file. All methods are called from one thread; only the disk sync runs beside it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("PRAGMA wal_autocheckpoint = 0")  # the background thread does it
            self._database.executescript(_SCHEMA)
            self._database.execute("DELETE FROM calls WHERE at < ?", (int(time.time()) - KEEP_CALLS_S,))
        except sqlite3.DatabaseError as error:
            raise SetupError(
                f"the journal {path} cannot be opened: {error}",
                hint="move it away only if its channels are settled: unclaimed income is recorded in it",
                code="service.journal",
            ) from error
        path.chmod(0o600)
        self._dirty = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sync_loop, name="journal-sync", daemon=True)
        self._thread.start()

    def commit(
        self, channels: Iterable[ChannelRecord], calls: Iterable[CallRecord] = (), *, at: int | None = None
    ) -> None:
        """Write these in one transaction; when it returns, a killed process no longer forgets them."""
        now = int(time.time()) if at is None else at
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            database.executemany(_CHANNEL, [_channel_row(record) for record in channels])
            database.executemany(
                "INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?)",
                [(call.channel_id, call.call_key, call.input_digest, now) for call in calls],
            )
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")
        self._dirty.set()

    def channels(self) -> list[ChannelRecord]:
        """Every channel."""
        rows = self._database.execute(
            "SELECT channel_id, work_id, config, charged, signed, signature, floor FROM channels"
        )
        return [
            ChannelRecord(
                bytes(row[0]),
                row[1],
                bytes(row[2]),
                int.from_bytes(row[3], "big"),
                int.from_bytes(row[4], "big"),
                bytes(row[5]),
                int.from_bytes(row[6], "big"),
            )
            for row in rows
        ]

    def call(self, channel_id: bytes, call_key: bytes) -> CallRecord | None:
        """The paid call with this key, if there was one."""
        row = self._database.execute(
            "SELECT input_digest FROM calls WHERE channel_id = ? AND call_key = ?", (channel_id, call_key)
        ).fetchone()
        return None if row is None else CallRecord(channel_id, call_key, bytes(row[0]))

    def forget_channel(self, channel_id: bytes) -> None:
        """Drop a channel that was refunded in full and has nothing left to claim."""
        self._database.execute("DELETE FROM channels WHERE channel_id = ?", (channel_id,))
        self._dirty.set()

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
        self._database.execute(
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
        self._dirty.set()

    def close(self) -> None:
        """Sync and close."""
        self._stop.set()
        self._dirty.set()
        self._thread.join()
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    def _sync_loop(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        log = self._path.with_name(self._path.name + "-wal")
        syncs = 0
        try:
            while not self._stop.is_set():
                self._dirty.wait()
                self._dirty.clear()
                if log.exists():
                    descriptor = os.open(log, os.O_RDONLY)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
                syncs += 1
                if syncs % CHECKPOINT_EVERY == 0:
                    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
                self._stop.wait(SYNC_INTERVAL_S)
        finally:
            database.close()


def _channel_row(record: ChannelRecord) -> tuple[bytes, int, bytes, bytes, bytes, bytes, bytes]:
    return (
        record.channel_id,
        record.work_id,
        record.config,
        record.charged.to_bytes(16, "big"),
        record.signed.to_bytes(16, "big"),
        record.signature,
        record.floor.to_bytes(16, "big"),
    )
