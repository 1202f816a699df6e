# SPDX-License-Identifier: Apache-2.0
"""Alerts with their evidence in a file, and how far monitors have looked at each chain."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from koinon.watch.cases.alerts import AlertDesk
from koinon.watch.monitors.sightings import LEVELS, Sighting

FILE_NAME: Final = "monitors.sqlite"
MOST_KEPT: Final = 10_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS alerts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    document BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS alerts_key ON alerts (key);
CREATE TABLE IF NOT EXISTS looked (chain TEXT PRIMARY KEY, block INTEGER NOT NULL) WITHOUT ROWID;
"""


class AlertBook:
    """The file; close it, or use it as a context manager.

    Parameters
    ----------
    folder : Path
    desk : AlertDesk
        Where people are told.
    most : int
        How many alerts are kept, the newest.
    """

    def __init__(self, folder: Path, desk: AlertDesk, *, most: int = MOST_KEPT) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._desk, self._most, self._lock = desk, most, threading.Lock()
        self._base = sqlite3.connect(
            folder / FILE_NAME, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.executescript(_SCHEMA)

    def looked_through(self, chain: str) -> int:
        """The last block whose alerts are kept; -1 before the first."""
        with self._lock:
            row = self._base.execute("SELECT block FROM looked WHERE chain = ?", (chain,)).fetchone()
        return -1 if row is None else int(row[0])

    def keep(self, alerts: Sequence[Sighting], chain: str, through: int) -> int:
        """Keep and tell the alerts of a chain up to a block; how many were new.

        Those of blocks that were looked at before are left out: after a restart monitors read the history
        again to know what they knew.
        """
        known = self.looked_through(chain)
        new = [each for each in alerts if each.block_number > known]
        # told before it is marked: a kill in between tells once more, never less
        self._desk.raise_all((each.key, f"{each.why} ({LEVELS[each.level]})", each.level) for each in new)
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                self._base.executemany(
                    "INSERT INTO alerts (key, document) VALUES (?, ?)",
                    [(each.key, orjson.dumps({"chain": chain, **each.document()})) for each in new],
                )
                self._base.execute(
                    "INSERT INTO looked VALUES (?, ?) ON CONFLICT DO UPDATE SET block = max(block, ?)",
                    (chain, through, through),
                )
                self._base.execute(
                    "DELETE FROM alerts WHERE number <= (SELECT max(number) FROM alerts) - ?", (self._most,)
                )
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")
        return len(new)

    def take_back(self, chain: str, block: int) -> int:
        """A reorganisation took back a chain's blocks from one on that were looked at: their alerts leave the
        book, people are told so, and the blocks in their place are looked at anew. How many alerts left."""
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                gone = self._base.execute(
                    "DELETE FROM alerts WHERE json_extract(CAST(document AS TEXT), '$.chain') = ? "
                    "AND json_extract(CAST(document AS TEXT), '$.block_number') >= ?",
                    (chain, block),
                ).rowcount
                self._base.execute(
                    "UPDATE looked SET block = min(block, ?) WHERE chain = ?", (block - 1, chain)
                )
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")
        if gone:
            text = f"Blocks from {block} on were replaced, and {gone} alerts of them do not hold any more."
            self._desk.raise_(f"reorganisation {chain}", text, level=2)
        return gone

    def newest(self, count: int, key: str | None = None) -> list[dict[str, Any]]:
        """The newest alerts, or those of one key, the newest first."""
        where, parameters = ("", []) if key is None else (" WHERE key = ?", [key])
        with self._lock:
            rows = self._base.execute(
                f"SELECT document FROM alerts{where} ORDER BY number DESC LIMIT ?",  # noqa: S608
                (*parameters, count),
            ).fetchall()
        return [orjson.loads(document) for (document,) in rows]

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
