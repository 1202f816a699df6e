# SPDX-License-Identifier: Apache-2.0
"""What a dataset's node must never forget: every job it accepted, and how far it is.

A job goes from ``waiting`` over ``running`` and ``decided`` to ``ended``. Whatever a step did to the world is
done again harmlessly when it was cut off: a run is repeated, for nothing of it has left; a decision with its
noise is written here before anything of it is told; telling it is idempotent on chain. One SQLite file; every
commit is on the disk before it counts.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from koinon.chain.wal import use_wal
from koinon.data.escrow import JobState
from koinon.errors import SetupError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY,
    work_id TEXT NOT NULL,
    buyer TEXT NOT NULL,
    request BLOB NOT NULL,
    schema TEXT NOT NULL,
    program BLOB NOT NULL,
    epsilon_micro INTEGER NOT NULL,
    stage TEXT NOT NULL,
    accepted_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    started_at REAL NOT NULL DEFAULT 0,
    tell_at REAL NOT NULL DEFAULT 0,
    outcome INTEGER NOT NULL DEFAULT 0,
    seconds INTEGER NOT NULL DEFAULT 0,
    sealed BLOB NOT NULL DEFAULT x'',
    why TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jobs_by_stage ON jobs (stage, accepted_at);
CREATE INDEX IF NOT EXISTS jobs_of_buyer ON jobs (work_id, buyer);
"""
_FIELDS: Final = (
    "job_id, work_id, buyer, request, schema, program, epsilon_micro, stage, accepted_at, attempts, "
    "started_at, tell_at, outcome, seconds, sealed, why, note"
)


@dataclass(frozen=True)
class JournaledJob:
    """One job as the journal has it.

    Attributes
    ----------
    request, program : bytes
        As JSON, as the buyer sent them; the program is dropped when the job has ended.
    epsilon_micro : int
        What it spends of the budget, in millionths.
    started_at, tell_at, accepted_at : float
        Unix seconds.
    why : str
        Why it was refused before it ran: for everyone.
    note : str
        What happened inside: for the owner's eyes alone.
    """

    job_id: int
    work_id: int
    buyer: str
    request: bytes = field(repr=False)
    schema: str = field(repr=False)
    program: bytes = field(repr=False)
    epsilon_micro: int
    stage: str
    accepted_at: float
    attempts: int
    started_at: float
    tell_at: float
    outcome: JobState
    seconds: int
    sealed: bytes = field(repr=False)
    why: str
    note: str = field(repr=False)


class JobJournal:
    """The file of one node. Safe to share between threads."""

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
                f"The journal of jobs {path} cannot be opened ({error}).",
                hint="Give its folder to this user, or restore it from your backup.",
                code="data.job_journal",
            ) from error

    def accept(  # noqa: PLR0917  (a row)
        self,
        job_id: int,
        work_id: int,
        buyer: str,
        request: bytes,
        schema: str,
        program: bytes,
        epsilon_micro: int,
        *,
        now: float,
    ) -> bool:
        """Take a job to run; False when it is known already."""
        row = (str(job_id), str(work_id), buyer, request, schema, program, epsilon_micro, "waiting", now)
        return self._insert(row)

    def refuse(self, job_id: int, work_id: int, buyer: str, request: bytes, why: str, *, now: float) -> bool:
        """Note that a job is refused before it runs; False when it is known already."""
        row = (str(job_id), str(work_id), buyer, request, "", b"", 0, "decided", now)
        return self._insert(row, outcome=JobState.REFUSED, why=why)

    def begin(self, job_id: int, *, now: float) -> None:
        """A run starts."""
        self._change(
            "UPDATE jobs SET stage = 'running', attempts = attempts + 1, started_at = ? WHERE job_id = ?",
            now,
            str(job_id),
        )

    def decide(
        self,
        job_id: int,
        outcome: JobState,
        *,
        epsilon_micro: int,
        tell_at: float,
        seconds: int = 0,
        sealed: bytes = b"",
        note: str = "",
    ) -> None:
        """How it ended, what it spends, and when that is told."""
        self._change(
            "UPDATE jobs SET stage = 'decided', outcome = ?, epsilon_micro = ?, tell_at = ?, seconds = ?, "
            "sealed = ?, note = ? WHERE job_id = ?",
            int(outcome),
            epsilon_micro,
            tell_at,
            seconds,
            sealed,
            note,
            str(job_id),
        )

    def end(self, job_id: int, outcome: JobState) -> None:
        """Everything was told; the program is not needed any more, nor a result that did not count."""
        self._change(
            "UPDATE jobs SET stage = 'ended', outcome = ?, program = x'', "
            "sealed = CASE WHEN ? THEN sealed ELSE x'' END WHERE job_id = ?",
            int(outcome),
            outcome is JobState.RELEASED,
            str(job_id),
        )

    def find(self, job_id: int) -> JournaledJob | None:
        """A job, or None."""
        found = self._rows("WHERE job_id = ?", str(job_id))
        return found[0] if found else None

    def next(self) -> JournaledJob | None:
        """The job to run: one whose run was cut off, else the one that waits longest."""
        found = self._rows(
            "WHERE stage IN ('running', 'waiting') "
            "ORDER BY stage, accepted_at, length(job_id), job_id LIMIT 1"
        )
        return found[0] if found else None

    def due(self, now: float) -> list[JournaledJob]:
        """Jobs to tell the end of, in order."""
        return self._rows("WHERE stage = 'decided' AND tell_at <= ? ORDER BY tell_at", now)

    def of(self, work_id: int) -> list[JournaledJob]:
        """All jobs on a dataset, newest first."""
        return self._rows("WHERE work_id = ? ORDER BY accepted_at DESC", str(work_id))

    def waiting(self) -> int:
        """How many wait, run, or ran and are not told: which of these is nobody's business."""
        return int(self._value("SELECT count(*) FROM jobs WHERE stage != 'ended' AND why = ''"))

    def reserved(self, work_id: int) -> int:
        """Epsilon, in millionths, of jobs that were accepted and have not spent it yet."""
        sql = "SELECT coalesce(sum(epsilon_micro), 0) FROM jobs WHERE work_id = ? AND stage != 'ended'"
        return int(self._value(sql, str(work_id)))

    def failures(self, work_id: int, buyer: str) -> int:
        """How many of a buyer's jobs saw the rows and gave nothing, as far as they were told."""
        sql = (
            "SELECT count(*) FROM jobs WHERE work_id = ? AND buyer = ? AND attempts > 0 "
            "AND stage = 'ended' AND outcome IN (?, ?)"
        )
        return int(self._value(sql, str(work_id), buyer, int(JobState.FAILED), int(JobState.REFUSED)))

    def last_told(self) -> float:
        """The latest moment that the end of a job that ran is told at (Unix seconds)."""
        return float(self._value("SELECT coalesce(max(tell_at), 0) FROM jobs WHERE attempts > 0"))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _insert(self, row: tuple[Any, ...], *, outcome: JobState = JobState.OPEN, why: str = "") -> bool:
        with self._lock, self._connection as transaction:
            added = transaction.execute(
                "INSERT OR IGNORE INTO jobs (job_id, work_id, buyer, request, schema, program, "
                "epsilon_micro, stage, accepted_at, outcome, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, int(outcome), why),
            )
            return added.rowcount == 1

    def _change(self, sql: str, *parameters: Any) -> None:
        with self._lock, self._connection as transaction:
            transaction.execute(sql, parameters)

    def _value(self, sql: str, *parameters: Any) -> Any:
        with self._lock:
            return self._connection.execute(sql, parameters).fetchone()[0]

    def _rows(self, where: str, *parameters: Any) -> list[JournaledJob]:
        with self._lock:
            found = self._connection.execute(f"SELECT {_FIELDS} FROM jobs {where}", parameters).fetchall()  # noqa: S608  (our words)
        return [_job(row) for row in found]


def _job(row: Sequence[Any]) -> JournaledJob:
    told: dict[str, Any] = dict(zip(_FIELDS.split(", "), row, strict=True))
    numbers = {"job_id": int(told["job_id"]), "work_id": int(told["work_id"])}
    return JournaledJob(**told | numbers | {"outcome": JobState(told["outcome"])})
