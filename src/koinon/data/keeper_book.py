# SPDX-License-Identifier: Apache-2.0
"""What a keeper must never forget: the shares left with it, and the nonces it has answered.

One SQLite file; every commit is on the disk before an answer leaves. Shares stay sealed to the keeper's key.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Final

from koinon.chain.wal import use_wal
from koinon.errors import SetupError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deposits (
    content_id BLOB PRIMARY KEY,
    work_id TEXT NOT NULL,
    described BLOB NOT NULL,
    sealed_share BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deposits_of_work ON deposits (work_id);
CREATE TABLE IF NOT EXISTS nonces (
    grantee TEXT NOT NULL,
    nonce BLOB NOT NULL,
    deadline INTEGER NOT NULL,
    PRIMARY KEY (grantee, nonce)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS nonces_by_deadline ON nonces (deadline);
"""


class KeeperBook:
    """The file of one keeper. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            use_wal(self._connection)
            self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise SetupError(
                f"The keeper's book {path} cannot be opened ({error}).",
                hint="Give its folder to this user, or restore it from your backup.",
                code="data.keeper_book",
            ) from error

    def deposit(
        self, content_id: bytes, work_id: int, described: bytes, sealed_share: bytes, *, limit: int
    ) -> bool:
        """Keep a share; True when it is kept now, also if it was before. False when the Work has ``limit``
        contents here already."""
        with self._lock, self._connection as transaction:
            transaction.execute("BEGIN IMMEDIATE")
            if self._deposited(content_id) is not None:
                return True
            (count,) = transaction.execute(
                "SELECT count(*) FROM deposits WHERE work_id = ?", (str(work_id),)
            ).fetchone()
            if count >= limit:
                return False
            transaction.execute(
                "INSERT INTO deposits VALUES (?, ?, ?, ?)",
                (content_id, str(work_id), described, sealed_share),
            )
            return True

    def deposited(self, content_id: bytes) -> tuple[int, bytes, bytes] | None:
        """Work id, description and sealed share of a content; None when it was never left here."""
        with self._lock:
            return self._deposited(content_id)

    def use_nonce(self, grantee: str, nonce: bytes, deadline: int, *, now: int) -> bool:
        """Write a nonce down for ever (until its deadline is past); False when it was used before."""
        with self._lock, self._connection as transaction:
            transaction.execute("BEGIN IMMEDIATE")
            transaction.execute("DELETE FROM nonces WHERE deadline < ?", (now,))
            added = transaction.execute(
                "INSERT OR IGNORE INTO nonces VALUES (?, ?, ?)", (grantee, nonce, deadline)
            )
            return added.rowcount == 1

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _deposited(self, content_id: bytes) -> tuple[int, bytes, bytes] | None:
        row = self._connection.execute(
            "SELECT work_id, described, sealed_share FROM deposits WHERE content_id = ?", (content_id,)
        ).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]), bytes(row[2]))
