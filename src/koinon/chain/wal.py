# SPDX-License-Identifier: Apache-2.0
"""SQLite's write-ahead log on files that several processes open at once."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.01


def use_wal(
    connection: sqlite3.Connection, patience_s: float = PATIENCE_S, *, each_commit: bool = True
) -> None:
    """Write this connection's file through a log; unless ``each_commit`` is False, every commit to the disk.

    Turning a file to the log takes all of it for a moment, and SQLite does not wait for that whatever the
    connection's time-out: of those who open a new file together one is told that it is locked. So this tries
    again. Raises sqlite3.OperationalError when time is up.
    """
    end = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as fault:
            if "locked" not in str(fault) or time.monotonic() >= end:
                raise
            time.sleep(_PAUSE_S)
        else:
            break
    if each_commit:
        connection.execute("PRAGMA synchronous = FULL")
