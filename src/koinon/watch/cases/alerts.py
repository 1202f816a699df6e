# SPDX-License-Identifier: Apache-2.0
"""Alerts that people are told: the same one once, few at a time, and none lost.

In a storm the same thing is noticed a thousand times. An alert has a key; while it is waiting or was told a
short time ago, more of the same are counted and not told. At most so many wait to be told; the rest are held
and follow. Every call of `raise_` is in the counts, whatever was told.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from koinon.errors import BadInput

FILE_NAME: Final = "alerts.sqlite"
COOL_DOWN_S: Final = 3_600
MOST_WAITING: Final = 100
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS alerts (
    key TEXT PRIMARY KEY,
    level INTEGER NOT NULL,
    text TEXT NOT NULL,
    state TEXT NOT NULL,
    times INTEGER NOT NULL,
    untold INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    told_at INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alerts_state ON alerts (state, level DESC, last_at);
"""


@dataclass(frozen=True)
class Alert:
    """What people are told.

    ``times`` how often it was noticed in all, ``untold`` how often since it was told last; ``first_at`` and
    ``last_at`` in Unix seconds.
    """

    key: str
    level: int
    text: str
    times: int
    untold: int
    first_at: int
    last_at: int


class AlertDesk:
    """The file. Safe between threads and processes.

    Parameters
    ----------
    cool_down_s : int
        For how long an alert that was told is not told again.
    most_waiting : int
        How many wait to be told at most; more are held until there is room.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        cool_down_s: int = COOL_DOWN_S,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        if cool_down_s < 0 or most_waiting < 1:
            raise BadInput("A desk has room for an alert at least.", code="watch.alerts")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clock, self._cool_down_s, self._most = clock, cool_down_s, most_waiting
        self._lock = threading.Lock()
        self._base = sqlite3.connect(
            folder / FILE_NAME, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def raise_(self, key: str, text: str, *, level: int = 1, at: int | None = None) -> bool:
        """Notice something; whether it waits to be told or will (False: it was told a short time ago).

        Parameters
        ----------
        key : str
            Names it; what has the same key is the same alert.
        level : int
            How urgent; the highest is told first, and raises one that waits.
        """
        now = int(self._clock()) if at is None else at
        with self._transaction():
            noticed = self._notice(key, text, level, now)
            self._promote()
        return noticed

    def raise_all(self, noticed: Iterable[tuple[str, str, int]], *, at: int | None = None) -> None:
        """`raise_` of (key, text, level) of many things at once: all are on disk afterwards, or none."""
        now = int(self._clock()) if at is None else at
        with self._transaction():
            for key, text, level in noticed:
                self._notice(key, text, level, now)
            self._promote()

    def _notice(self, key: str, text: str, level: int, now: int) -> bool:
        row = self._base.execute("SELECT state, told_at FROM alerts WHERE key = ?", (key,)).fetchone()
        if row is None:
            self._base.execute(
                "INSERT INTO alerts VALUES (?, ?, ?, 'held', 1, 1, ?, ?, NULL)",
                (key, level, text, now, now),
            )
        else:
            state, told_at = row
            if state == "told" and now - told_at >= self._cool_down_s:
                state = "held"
            self._base.execute(
                "UPDATE alerts SET state = ?, level = max(level, ?), text = ?, times = times + 1, "
                "untold = untold + 1, last_at = max(last_at, ?) WHERE key = ?",
                (state, level, text, now, key),
            )
            if state == "told":
                return False
        return True

    def take(self, most: int = MOST_WAITING, keys: Collection[str] | None = None) -> list[Alert]:
        """The most urgent that wait, told from now on; with ``keys``, of those alone."""
        now = int(self._clock())
        with self._transaction():
            self._reopen(now)
            self._promote()
            rows = self._waiting(most, keys)
            self._base.executemany(
                "UPDATE alerts SET state = 'told', untold = 0, told_at = ? WHERE key = ?",
                [(now, row[0]) for row in rows],
            )
            self._promote()
        return [Alert(*row) for row in rows]

    def waiting(self, most: int = MOST_WAITING, keys: Collection[str] | None = None) -> list[Alert]:
        """The most urgent that wait, which go on waiting: for a page, that anybody may look at. With
        ``keys``, of those alone."""
        with self._lock:
            rows = self._waiting(most, keys)
        return [Alert(*row) for row in rows]

    def _waiting(self, most: int, keys: Collection[str] | None) -> list[tuple[Any, ...]]:
        rows = self._base.execute(
            "SELECT key, level, text, times, untold, first_at, last_at FROM alerts "
            "WHERE state = 'waiting' ORDER BY level DESC, first_at, key LIMIT ?",
            (most if keys is None else self._most,),
        ).fetchall()
        return [row for row in rows if keys is None or row[0] in keys][:most]

    def counts(self) -> dict[str, int]:
        """Alerts waiting, held and told, how often something was noticed, and how much of it is not told."""
        sql = (
            "SELECT coalesce(sum(state = 'waiting'), 0), coalesce(sum(state = 'held'), 0), "
            "coalesce(sum(state = 'told'), 0), coalesce(sum(times), 0), coalesce(sum(untold), 0) FROM alerts"
        )
        with self._lock:
            row = self._base.execute(sql).fetchone()
        return dict(zip(("waiting", "held", "told", "noticed", "untold"), map(int, row), strict=True))

    def _reopen(self, now: int) -> None:
        """What went on while it cooled down is told once it has."""
        self._base.execute(
            "UPDATE alerts SET state = 'held' WHERE state = 'told' AND untold > 0 AND told_at <= ?",
            (now - self._cool_down_s,),
        )

    def _promote(self) -> None:
        waiting = "SELECT count(*) FROM alerts WHERE state = 'waiting'"
        room = self._most - int(self._base.execute(waiting).fetchone()[0])
        if room > 0:
            self._base.execute(
                "UPDATE alerts SET state = 'waiting' WHERE key IN (SELECT key FROM alerts "
                "WHERE state = 'held' ORDER BY level DESC, first_at, key LIMIT ?)",
                (room,),
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")
