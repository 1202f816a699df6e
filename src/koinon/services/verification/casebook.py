# SPDX-License-Identifier: Apache-2.0
"""What challengers and jurors must not forget when they are killed: secrets, votes, attestations, and claims
under way."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.services.verification.contract import Claim, Reason
from koinon.services.verification.known import Finding, draw

KEPT, ATTESTED, DISCLOSED, OVER = range(4)
"""How far an attestation is."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS seeds (epoch INTEGER PRIMARY KEY, secret BLOB, salt BLOB, state INTEGER);
CREATE TABLE IF NOT EXISTS votes (
    case_id INTEGER PRIMARY KEY, vote INTEGER, why TEXT, salt BLOB, state INTEGER
);
CREATE TABLE IF NOT EXISTS looked (request BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attestations (
    request BLOB PRIMARY KEY, sponsor TEXT, secret BLOB, draws INTEGER, found TEXT, state INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    number INTEGER PRIMARY KEY,
    bond_id INTEGER NOT NULL,
    request BLOB NOT NULL,
    reason INTEGER NOT NULL,
    position INTEGER NOT NULL,
    answer BLOB NOT NULL,
    uri TEXT NOT NULL,
    shown BLOB NOT NULL,
    challenge_id INTEGER,
    state TEXT NOT NULL,
    UNIQUE (request, reason, position, answer)
);
"""


@dataclass(frozen=True, slots=True)
class KeptClaim:
    """A claim under way: ``state`` is found, disputed, or over."""

    number: int
    bond_id: int
    claim: Claim
    challenge_id: int | None
    state: str


@dataclass(frozen=True, slots=True)
class KeptAttestation:
    """What an auditor attests of a batch; ``found`` is None until the whole sample was run again."""

    sponsor: str
    secret: bytes
    draws: int
    found: tuple[int, ...] | None
    state: int

    @property
    def finding(self) -> Finding:
        """As it is attested."""
        return Finding(self.secret, self.draws, self.found or ())

    @property
    def checked(self) -> bool:
        """Whether it can be attested."""
        return self.found is not None

    def drawn(self, request: bytes, count: int) -> list[int]:
        """The sample: a number of the batch for each draw."""
        return draw(self.secret, request, self.draws, count)


class Casebook:
    """One SQLite file; every change is on disk when its method returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._base = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._base.close()

    # --- a juror's ---------------------------------------------------------------------------------------

    def keep_seed(self, epoch: int, secret: bytes, salt: bytes) -> None:
        """Keep a seed before it is committed."""
        self._run("INSERT OR REPLACE INTO seeds VALUES (?, ?, ?, 0)", (epoch, secret, salt))

    def seed(self, epoch: int) -> tuple[bytes, bytes, int] | None:
        """Secret, salt, and 0 kept, 1 committed, 2 revealed."""
        found: tuple[bytes, bytes, int] | None
        found = self._one("SELECT secret, salt, state FROM seeds WHERE epoch = ?", (epoch,))
        return found

    def seed_is(self, epoch: int, state: int) -> None:
        self._run("UPDATE seeds SET state = ? WHERE epoch = ?", (state, epoch))

    def keep_vote(self, case_id: int, vote: int, why: str, salt: bytes) -> None:
        """Keep a vote before it is committed."""
        self._run("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?, 0)", (case_id, vote, why, salt))

    def vote(self, case_id: int) -> tuple[int, str, bytes, int] | None:
        """Vote, why, salt, and 0 kept, 1 committed, 2 revealed."""
        found: tuple[int, str, bytes, int] | None
        found = self._one("SELECT vote, why, salt, state FROM votes WHERE case_id = ?", (case_id,))
        return found

    def vote_is(self, case_id: int, state: int) -> None:
        self._run("UPDATE votes SET state = ? WHERE case_id = ?", (state, case_id))

    # --- an auditor's ------------------------------------------------------------------------------------

    def keep_attestation(self, request: bytes, sponsor: str, secret: bytes, draws: int) -> None:
        """Keep what the sample of a batch follows from, before anything is checked."""
        sql = "INSERT OR IGNORE INTO attestations VALUES (?, ?, ?, ?, NULL, ?)"
        self._run(sql, (request, sponsor, secret, draws, KEPT))

    def found_wrong(self, request: bytes, numbers: Sequence[int]) -> None:
        """Keep what was found in the whole sample, before it is attested."""
        found = orjson.dumps(sorted(numbers)).decode()
        self._run("UPDATE attestations SET found = ? WHERE request = ?", (found, request))

    def attestation(self, request: bytes) -> KeptAttestation | None:
        """What is kept of a batch."""
        sql = "SELECT sponsor, secret, draws, found, state FROM attestations WHERE request = ?"
        row = self._one(sql, (request,))
        if row is None:
            return None
        sponsor, secret, draws, found, state = row
        return KeptAttestation(
            sponsor, secret, draws, None if found is None else tuple(orjson.loads(found)), state
        )

    def attestations(self, *states: int) -> list[bytes]:
        """Batches in these states."""
        marks = ",".join("?" * len(states))
        sql = f"SELECT request FROM attestations WHERE state IN ({marks})"  # noqa: S608  (marks only)
        with self._lock:
            return [request for (request,) in self._base.execute(sql, states)]

    def attestation_is(self, request: bytes, state: int) -> None:
        self._run("UPDATE attestations SET state = ? WHERE request = ?", (state, request))

    # --- a challenger's ----------------------------------------------------------------------------------

    def looked_at(self, request: bytes) -> bool:
        """Whether a batch was audited."""
        return self._one("SELECT 1 FROM looked WHERE request = ?", (request,)) is not None

    def look(self, request: bytes) -> None:
        self._run("INSERT OR IGNORE INTO looked VALUES (?)", (request,))

    def find(self, bond_id: int, claim: Claim, shown: bytes) -> None:
        """Keep a claim, once, and what is shown for it."""
        sql = """
            INSERT OR IGNORE INTO claims (bond_id, request, reason, position, answer, uri, shown, state)
            VALUES (?, ?, ?, ?, ?, ?, ?, 'found')
        """
        request, reason, position, answer, uri = claim
        self._run(sql, (bond_id, request, int(reason), position, answer, uri, shown))

    def claims(self, *states: str) -> list[KeptClaim]:
        """Claims in these states, the oldest first."""
        marks = ",".join("?" * len(states))
        sql = f"""
            SELECT number, bond_id, request, reason, position, answer, uri, challenge_id, state FROM claims
            WHERE state IN ({marks}) ORDER BY number
        """  # noqa: S608  (marks only)
        with self._lock:
            rows = self._base.execute(sql, states).fetchall()
        return [
            KeptClaim(
                number, bond_id, Claim(request, Reason(reason), position, answer, uri), challenge, state
            )
            for number, bond_id, request, reason, position, answer, uri, challenge, state in rows
        ]

    def shown(self, name: str) -> bytes | None:
        """What is shown for the claim whose URI ends in this name."""
        row = self._one("SELECT shown FROM claims WHERE uri LIKE '%/' || ?", (name,))
        return None if row is None else bytes(row[0])

    def challenged(self, number: int, challenge_id: int) -> None:
        self._run("UPDATE claims SET challenge_id = ? WHERE number = ?", (challenge_id, number))

    def claim_is(self, number: int, state: str) -> None:
        self._run("UPDATE claims SET state = ? WHERE number = ?", (state, number))

    def _one(self, sql: str, values: tuple[Any, ...]) -> Any:
        with self._lock:
            return self._base.execute(sql, values).fetchone()

    def _run(self, sql: str, values: tuple[Any, ...]) -> None:
        with self._lock:
            self._base.execute(sql, values)
