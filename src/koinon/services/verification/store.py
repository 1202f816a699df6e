# SPDX-License-Identifier: Apache-2.0
"""The answers a provider signed, kept until nobody can dispute them any more: one SQLite file.

The gateway writes an answer before it leaves; the clerk gathers answers into batches. Both may be killed at
any moment: an answer that left is kept, and a batch is written down before it is sent.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.errors import NotFound
from koinon.services.verification.evidence import Evidence, Place
from koinon.services.verification.record import AnswerTree, SignedAnswer

FILE_NAME: Final = "answers.sqlite"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    bond_id INTEGER NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    issued_at INTEGER NOT NULL,
    answer BLOB NOT NULL,
    body BLOB NOT NULL,
    result BLOB NOT NULL,
    request BLOB,
    position INTEGER
);
CREATE INDEX IF NOT EXISTS by_place ON answers (request, position);
CREATE TABLE IF NOT EXISTS batches (
    request BLOB PRIMARY KEY,
    bond_id INTEGER NOT NULL,
    root BLOB NOT NULL,
    count INTEGER NOT NULL,
    salt BLOB NOT NULL,
    open_until INTEGER,
    told INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """A batch as it was written down; ``open_until`` is None until it is on chain."""

    request: bytes
    bond_id: int
    root: bytes
    count: int
    salt: bytes
    open_until: int | None


class AnswerStore:
    """The file. Safe between threads and processes."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._shown: tuple[bytes, AnswerTree] | None = None
        self._base = sqlite3.connect(
            data_dir / FILE_NAME, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=NORMAL")
        self._base.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._base.close()

    # --- the gateway's side ------------------------------------------------------------------------------

    def last_number(self) -> int:
        """The number of the latest answer; 0 before the first."""
        return int(self._one("SELECT coalesce(max(number), 0) FROM answers", ())[0])

    def keep(self, answer: SignedAnswer, digest: bytes, body: bytes, result: bytes) -> bool:
        """Keep a signed answer; when this returns, a killed process does not lose it. False where another
        process has taken its number meanwhile."""
        row = (
            answer.number,
            answer.bond_id,
            digest,
            answer.issued_at,
            orjson.dumps(answer.to_json()),
            body,
            result,
        )
        sql = """
            INSERT OR IGNORE INTO answers (number, bond_id, digest, issued_at, answer, body, result)
            VALUES (?, ?, ?, ?, ?, ?, ?)
        """
        with self._lock:
            return self._base.execute(sql, row).rowcount == 1

    def standing(self, bond_id: int, now: int) -> int:
        """How many answers can still be disputed, or are in no batch yet."""
        sql = """
            SELECT count(*) FROM answers LEFT JOIN batches USING (request)
            WHERE answers.bond_id = ? AND (open_until IS NULL OR open_until > ?)
        """
        return int(self._one(sql, (bond_id, now))[0])

    def recent(self, bond_id: int, most: int) -> list[tuple[bytes, bytes]]:
        """Inputs and outputs of the latest answers."""
        sql = "SELECT body, result FROM answers WHERE bond_id = ? ORDER BY number DESC LIMIT ?"
        with self._lock:
            return list(self._base.execute(sql, (bond_id, most)))

    # --- the clerk's side --------------------------------------------------------------------------------

    def waiting(self, bond_id: int) -> tuple[int, int]:
        """How many signed answers are in no batch, and when the oldest was issued (0 for none)."""
        sql = """
            SELECT count(*), coalesce(min(issued_at), 0) FROM answers
            WHERE bond_id = ? AND request IS NULL
        """
        count, oldest = self._one(sql, (bond_id,))
        return int(count), int(oldest)

    def waiting_digests(self, bond_id: int, most: int) -> list[tuple[int, bytes]]:
        """Number and digest of the oldest answers that are in no batch."""
        sql = """
            SELECT number, digest FROM answers WHERE bond_id = ? AND request IS NULL
            ORDER BY number LIMIT ?
        """
        with self._lock:
            return [(int(number), digest) for number, digest in self._base.execute(sql, (bond_id, most))]

    def gather(self, batch: KeptBatch, numbers: list[int]) -> None:
        """Write a batch down with its answers in order."""
        with self._transaction():
            sql = "INSERT INTO batches (request, bond_id, root, count, salt) VALUES (?, ?, ?, ?, ?)"
            self._base.execute(sql, (batch.request, batch.bond_id, batch.root, batch.count, batch.salt))
            self._base.executemany(
                "UPDATE answers SET request = ?, position = ? WHERE number = ?",
                ((batch.request, position, number) for position, number in enumerate(numbers)),
            )

    def unsent(self, bond_id: int) -> list[KeptBatch]:
        """Batches not known to be on chain."""
        return self._batches("bond_id = ? AND open_until IS NULL", (bond_id,))

    def sent(self, request: bytes, open_until: int) -> None:
        """Remember that a batch is on chain."""
        self._run("UPDATE batches SET open_until = ? WHERE request = ?", (open_until, request))

    def over(self, bond_id: int, now: int) -> list[KeptBatch]:
        """Batches whose window is over and of which no verdict was told yet."""
        return self._batches("bond_id = ? AND open_until <= ? AND told = 0", (bond_id, now))

    def told(self, request: bytes) -> None:
        """Remember that a verdict was told."""
        self._run("UPDATE batches SET told = 1 WHERE request = ?", (request,))

    def forget(self, before: int) -> None:
        """Forget inputs and outputs of batches that had a verdict and ended before that moment."""
        with self._transaction():
            gone = "SELECT request FROM batches WHERE told = 1 AND open_until < ?"
            self._base.execute(f"DELETE FROM answers WHERE request IN ({gone})", (before,))  # noqa: S608
            self._base.execute("DELETE FROM batches WHERE told = 1 AND open_until < ?", (before,))

    # --- showing -----------------------------------------------------------------------------------------

    def evidence(self, request: bytes, position: int) -> Evidence:
        """An answer of a batch; NotFound (``verification.no_answer``)."""
        sql = "SELECT answer, body, result FROM answers WHERE request = ? AND position = ?"
        answer, body, result = self._one(sql, (request, position))
        return Evidence(
            SignedAnswer.from_json(orjson.loads(answer)), body, result, self._place(request, position)
        )

    def place(self, digest: bytes) -> Place:
        """Where the answer with this digest is; NotFound (``verification.no_answer``)."""
        request, position = self._one(
            "SELECT request, position FROM answers WHERE digest = ? AND request IS NOT NULL", (digest,)
        )
        return self._place(request, position)

    def _place(self, request: bytes, position: int) -> Place:
        if self._shown is None or self._shown[0] != request:
            sql = "SELECT digest FROM answers WHERE request = ? ORDER BY position"
            with self._lock:
                digests = [digest for (digest,) in self._base.execute(sql, (request,))]
            self._shown = request, AnswerTree(digests)
        return Place(request, position, tuple(self._shown[1].proof(position)))

    def _batches(self, where: str, values: tuple[Any, ...]) -> list[KeptBatch]:
        sql = f"SELECT request, bond_id, root, count, salt, open_until FROM batches WHERE {where}"  # noqa: S608
        with self._lock:
            return [KeptBatch(*row) for row in self._base.execute(sql, values)]

    def _one(self, sql: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
        with self._lock:
            row: tuple[Any, ...] | None = self._base.execute(sql, values).fetchone()
        if row is None:
            raise NotFound("There is no such answer here.", code="verification.no_answer")
        return row

    def _run(self, sql: str, values: tuple[Any, ...]) -> None:
        with self._lock:
            self._base.execute(sql, values)

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
