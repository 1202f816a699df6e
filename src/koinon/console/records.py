# SPDX-License-Identifier: Apache-2.0
"""What the console itself remembers, in ``console.sqlite``: who came in, and what they changed.

Money, Works and keys are elsewhere; losing this file logs everybody out and forgets how actions went.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from koinon.chain.keys import write_private
from koinon.chain.wal import use_wal
from koinon.errors import SetupError

FILE_NAME: Final = "console.sqlite"
SECRET_NAME: Final = "console.secret"  # noqa: S105  (a file's name)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS session (
    digest BLOB PRIMARY KEY, kind TEXT NOT NULL, address TEXT NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS operator_code (digest BLOB PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS guest (
    name TEXT PRIMARY KEY, address TEXT NOT NULL UNIQUE, client TEXT NOT NULL, created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS action (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL,
    language TEXT NOT NULL, state TEXT NOT NULL, title TEXT NOT NULL DEFAULT '',
    stage TEXT NOT NULL DEFAULT '', sentence TEXT NOT NULL DEFAULT '', path TEXT NOT NULL DEFAULT '',
    facts TEXT NOT NULL DEFAULT '{}', hint TEXT NOT NULL DEFAULT '', code TEXT NOT NULL DEFAULT '',
    link TEXT NOT NULL DEFAULT '', created_at REAL NOT NULL, changed_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS action_owner ON action (owner, changed_at);
CREATE TABLE IF NOT EXISTS action_transaction (
    action_id TEXT NOT NULL, position INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (action_id, position)
) WITHOUT ROWID;
"""


class Records:
    """The console's database. Safe to share between threads and processes.

    Parameters
    ----------
    home : Path
        The data directory.
    """

    def __init__(self, home: Path) -> None:
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                home / FILE_NAME, timeout=10, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            (home / FILE_NAME).chmod(0o600)
            use_wal(self._connection)
            self._connection.executescript(_SCHEMA)
            self._add_what_is_new()
            self.secret = _secret(home / SECRET_NAME)
        except (sqlite3.Error, OSError) as error:
            raise SetupError(
                f"The console's records in {home} cannot be used ({error}).",
                hint=f"Give the folder to this user, or move {FILE_NAME} away: everybody comes in anew.",
                code="setup.console",
            ) from error

    def _add_what_is_new(self) -> None:
        """Columns that a file of an earlier version lacks."""
        with self.together():
            known = {row["name"] for row in self._connection.execute("PRAGMA table_info(action)")}
            if "link" not in known:
                self._connection.execute("ALTER TABLE action ADD COLUMN link TEXT NOT NULL DEFAULT ''")

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """What a query finds."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(sql, parameters)]

    def change(self, sql: str, *parameters: Any) -> int:
        """Carry out one statement durably; how many rows it changed."""
        with self._lock:
            return self._connection.execute(sql, parameters).rowcount

    @contextmanager
    def together(self) -> Iterator[None]:
        """All changes inside the ``with`` block, or none; nobody else writes meanwhile."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def insert(self, table: str, columns: Sequence[str], *values: Any) -> None:
        """One row; the names are the program's own, never a visitor's."""
        places = ", ".join("?" * len(values))
        self.change(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", *values)  # noqa: S608

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()


def _secret(path: Path) -> bytes:
    """32 bytes that outlive the process: what form tokens are derived from."""
    if not path.exists():
        write_private(path, secrets.token_bytes(32))
    found = path.read_bytes()
    if len(found) != 32:
        write_private(path, secrets.token_bytes(32))
        found = path.read_bytes()
    return found
