# SPDX-License-Identifier: Apache-2.0
"""What a peer must not forget: its secrets, what it signed, and the rounds it has accepted.

One SQLite file; what a call wrote is on the disk when it returns, but for `Journal.accept`. One process at a
time.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from koinon.chain.wal import use_wal
from koinon.errors import IntegrityError, SetupError
from koinon.learning.messages import payload_digest

FILE_NAME: Final = "journal.sqlite"
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS signed (
    round INTEGER, base BLOB, frame BLOB NOT NULL, memory BLOB NOT NULL, PRIMARY KEY (round, base));
CREATE TABLE IF NOT EXISTS rounds (
    round INTEGER PRIMARY KEY, model BLOB NOT NULL, listing BLOB NOT NULL, snapshot BLOB);
CREATE TABLE IF NOT EXISTS frames (digest BLOB PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS listings (place BLOB PRIMARY KEY, listing BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Signed:
    """An update this peer signed: its frame, and what its learner remembered afterwards."""

    frame: bytes
    memory: bytes


@dataclass(frozen=True)
class Accepted:
    """A round this peer computed and found right; ``snapshot`` is empty once it is not needed any more."""

    number: int
    model: bytes
    listing: bytes
    snapshot: bytes


class Journal:
    """Opened by one process; others are refused.

    Raises
    ------
    SetupError
        Another process has it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._guard = (folder / "journal.lock").open("ab")
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._guard.close()
            raise SetupError(
                f"Another process is the peer of {folder}.",
                hint="Stop it first: two at once could sign different updates.",
                code="swarm.journal",
            ) from None
        self._lock = threading.Lock()
        self._database = sqlite3.connect(folder / FILE_NAME, check_same_thread=False, isolation_level=None)
        (folder / FILE_NAME).chmod(0o600)
        use_wal(self._database)
        self._database.executescript(_TABLES)

    def fact(self, name: str) -> bytes | None:
        """What was noted under a name."""
        row = self._one("SELECT value FROM facts WHERE name = ?", name)
        return None if row is None else bytes(row[0])

    def note(self, name: str, value: bytes) -> bytes:
        """Note something once; what is noted under the name from now on, the first stays."""
        self._write(("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, value)))
        found = self.fact(name)
        return value if found is None else found

    def signed(self, number: int, base: bytes) -> Signed | None:
        """What this peer signed for a round that begins with this model."""
        row = self._one("SELECT frame, memory FROM signed WHERE round = ? AND base = ?", number, base)
        return None if row is None else Signed(bytes(row[0]), bytes(row[1]))

    def sign(self, number: int, base: bytes, frame: bytes, memory: bytes) -> None:
        """Keep an update before anyone sees it.

        Raises
        ------
        IntegrityError
            Another was signed for the same round and model.
        """
        known = self.signed(number, base)
        if known is not None and known.frame != frame:
            raise IntegrityError(
                f"Another update of round {number} was signed before.",
                hint="The journal says which; it is the one that counts.",
                code="swarm.signed_twice",
            )
        self._write(("INSERT OR IGNORE INTO signed VALUES (?, ?, ?, ?)", (number, base, frame, memory)))

    def accept(self, accepted: Accepted, place: bytes, frames: Iterable[bytes]) -> None:
        """Keep a round with the frames of its updates; its list is found by ``place``.

        It outlasts the process. It is on the disk with what is written next, at the latest the update that
        builds on it; who loses power before asks the others for it once more.
        """
        self._write(
            ("INSERT OR IGNORE INTO listings VALUES (?, ?)", (place, accepted.listing)),
            *(("INSERT OR IGNORE INTO frames VALUES (?, ?)", (payload_digest(one), one)) for one in frames),
            (
                "INSERT OR REPLACE INTO rounds VALUES (?, ?, ?, ?)",
                (accepted.number, accepted.model, accepted.listing, accepted.snapshot),
            ),
            at_once=False,
        )

    def list_updates(self, place: bytes, listing: bytes, frames: Iterable[bytes] = ()) -> None:
        """Keep which frames a round is made of, for others to ask; see `place_of`."""
        self._write(
            ("INSERT OR IGNORE INTO listings VALUES (?, ?)", (place, listing)),
            *(("INSERT OR IGNORE INTO frames VALUES (?, ?)", (payload_digest(one), one)) for one in frames),
        )

    def listing(self, place: bytes) -> bytes | None:
        """What was kept so."""
        row = self._one("SELECT listing FROM listings WHERE place = ?", place)
        return None if row is None else bytes(row[0])

    def roll_back(self, to_round: int) -> None:
        """Forget the rounds after one, because they were overturned; what was signed stays."""
        self._write(("DELETE FROM rounds WHERE round > ?", (to_round,)))

    def settle(self, number: int) -> None:
        """Rounds before this one cannot be overturned any more: their snapshots may go."""
        self._write(("UPDATE rounds SET snapshot = NULL WHERE round < ?", (number,)))

    def accepted(self, number: int) -> Accepted | None:
        """A round that was accepted."""
        row = self._one("SELECT round, model, listing, snapshot FROM rounds WHERE round = ?", number)
        return None if row is None else Accepted(row[0], bytes(row[1]), bytes(row[2]), bytes(row[3] or b""))

    def last(self) -> int:
        """The last round that was accepted; 0 for none."""
        row = self._one("SELECT max(round) FROM rounds")
        return 0 if row is None or row[0] is None else int(row[0])

    def frame(self, digest: bytes) -> bytes | None:
        """A frame by its sha256."""
        row = self._one("SELECT content FROM frames WHERE digest = ?", digest)
        return None if row is None else bytes(row[0])

    def models(self) -> Mapping[int, bytes]:
        """Digest of the model after each accepted round."""
        with self._lock:
            rows = self._database.execute("SELECT round, model FROM rounds ORDER BY round").fetchall()
        return {int(number): bytes(model) for number, model in rows}

    def close(self) -> None:
        """Let another process have it."""
        with self._lock:
            self._database.close()
        self._guard.close()

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with self._lock:
            try:
                row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
            except sqlite3.Error as error:
                raise SetupError(
                    f"The journal cannot be read ({error}).", hint="Is its disk well?", code="swarm.journal"
                ) from error
        return row

    def _write(self, *statements: tuple[str, tuple[object, ...]], at_once: bool = True) -> None:
        with self._lock:
            try:
                self._database.execute(f"PRAGMA synchronous = {'FULL' if at_once else 'NORMAL'}")
                self._database.execute("BEGIN IMMEDIATE")
                for statement, values in statements:
                    self._database.execute(statement, values)
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise SetupError(
                    f"The journal cannot be written ({error}).", hint="Free some space.", code="swarm.journal"
                ) from error
