# SPDX-License-Identifier: Apache-2.0
"""What a sponsor must not forget when it is killed: whose answers are plants. One SQLite file."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from koinon.chain.keys import Key

PLANNED, ANSWERED, EXPOSED, OVER = range(4)
FILE_NAME: Final = "plants.sqlite"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS plants (
    number INTEGER PRIMARY KEY,
    payer BLOB NOT NULL,
    salt BLOB NOT NULL,
    planted_at INTEGER NOT NULL,
    plant_id INTEGER,
    digest BLOB,
    state INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class KeptPlant:
    """A plant: the account that is said to pay, which owns nothing; ``digest`` of the wrong answer;
    ``planted_at`` in Unix seconds."""

    number: int
    payer: Key
    salt: bytes
    planted_at: int
    plant_id: int | None
    digest: bytes | None
    state: int


class PlantBook:
    """The file; every change is on disk when its method returns. For one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        self._base = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.executescript(_SCHEMA)

    def close(self) -> None:
        self._base.close()

    def plan(self, *, planted_at: int) -> KeptPlant:
        """Keep a plant before it is paid for."""
        secret, salt = secrets.token_bytes(32), secrets.token_bytes(32)
        payer = Key.from_bytes(secret)
        sql = "INSERT INTO plants (payer, salt, planted_at, state) VALUES (?, ?, ?, ?)"
        number = self._base.execute(sql, (secret, salt, planted_at, PLANNED)).lastrowid
        assert number is not None  # noqa: S101  (of an INSERT)
        return KeptPlant(number, payer, salt, planted_at, None, None, PLANNED)

    def planted(self, number: int, plant_id: int) -> None:
        """Note its number on chain."""
        self._run("UPDATE plants SET plant_id = ? WHERE number = ?", (plant_id, number))

    def answered(self, number: int, digest: bytes) -> None:
        """Note which answer it is, before that is kept among the others."""
        sql = "UPDATE plants SET digest = ?, state = ? WHERE number = ?"
        self._run(sql, (digest, ANSWERED, number))

    def is_at(self, number: int, state: int) -> None:
        self._run("UPDATE plants SET state = ? WHERE number = ?", (state, number))

    def plants(self, *states: int) -> list[KeptPlant]:
        """Plants in these states, the oldest first."""
        marks = ",".join("?" * len(states))
        sql = f"""
            SELECT number, payer, salt, planted_at, plant_id, digest, state FROM plants
            WHERE state IN ({marks}) ORDER BY number
        """  # noqa: S608  (marks only)
        rows = self._base.execute(sql, states).fetchall()
        return [KeptPlant(number, Key.from_bytes(payer), *rest) for number, payer, *rest in rows]

    def last_planted(self) -> int:
        """When the latest was planted, in Unix seconds; 0 before the first."""
        return int(self._base.execute("SELECT coalesce(max(planted_at), 0) FROM plants").fetchone()[0])

    def _run(self, sql: str, values: tuple[Any, ...]) -> None:
        self._base.execute(sql, values)
