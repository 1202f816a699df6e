# SPDX-License-Identifier: Apache-2.0
"""The cases of one node, in one SQLite file that survives whatever kills the process.

A finding that `CaseStore.add` returned for is on disk. A finding seen again is counted, not added. The audit
trail cannot be changed: the file itself refuses it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from koinon.errors import BadInput, NotFound
from koinon.watch.cases.forming import GAP_S, keys, priority
from koinon.watch.cases.record import DECIDED, OPEN, STATUSES, WATCH, Case, Decision
from koinon.watch.findings import Finding

FILE_NAME: Final = "cases.sqlite"
_COLUMNS: Final = "id, status, priority, opened_at, changed_at, first, last"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS cases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    status TEXT NOT NULL,
    priority REAL NOT NULL,
    opened_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    joined_to INTEGER
);
CREATE INDEX IF NOT EXISTS cases_queue ON cases (joined_to, status, priority DESC);
CREATE TABLE IF NOT EXISTS findings (
    digest TEXT PRIMARY KEY,
    case_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    strength REAL NOT NULL,
    seen INTEGER NOT NULL DEFAULT 1,
    document BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS findings_case ON findings (case_id);
CREATE TABLE IF NOT EXISTS case_keys (
    key TEXT NOT NULL,
    case_id INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (key, case_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_case ON case_keys (case_id);
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    case_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    before TEXT NOT NULL,
    status TEXT NOT NULL,
    why TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS decisions_case ON decisions (case_id);
CREATE TRIGGER IF NOT EXISTS decisions_stay BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'the audit trail is not changed'); END;
CREATE TRIGGER IF NOT EXISTS decisions_remain BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'the audit trail is not changed'); END;
"""


class CaseStore:
    """The file. Safe between threads and processes; close it, or use it as a context manager.

    Parameters
    ----------
    folder : Path
    clock : callable, optional
        Unix seconds now.
    kinds : dict, optional
        How often each kind of finding is right, for the order of the queue.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        kinds: Mapping[str, float] | None = None,
        gap_s: int = GAP_S,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clock, self._kinds, self._gap_s = clock, kinds, gap_s
        self._lock = threading.RLock()
        self._base = sqlite3.connect(
            folder / FILE_NAME, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ what is found

    def add(self, findings: Iterable[Finding], services: Collection[str] = ()) -> list[int]:
        """Put findings into cases; the cases they are in, in their order. All of them or none.

        One that shares a transfer with a case, or is about the same account at about the same time, joins
        it, but not by way of ``services`` that everybody uses; where it connects two cases they become one.
        A cleared case with a new finding is new again.
        """
        with self._transaction():
            touched: dict[int, None] = {}
            found = [self._add(each, touched, services) for each in findings]
            for case_id in touched:
                self._rank(case_id)
            return [self._now(case_id) for case_id in found]

    def _add(self, finding: Finding, touched: dict[int, None], services: Collection[str]) -> int:
        digest = finding.digest
        row = self._base.execute("SELECT case_id FROM findings WHERE digest = ?", (digest,)).fetchone()
        if row is not None:
            self._base.execute("UPDATE findings SET seen = seen + 1 WHERE digest = ?", (digest,))
            return int(row[0])
        own = keys(finding, services)
        near = self._near(own, finding)
        case_id = near[0] if near else self._open(finding)
        for other in near[1:]:
            self._join(other, case_id)
            touched.pop(other, None)
        self._base.execute(
            "INSERT INTO findings (digest, case_id, kind, strength, document) VALUES (?, ?, ?, ?, ?)",
            (digest, case_id, finding.kind, finding.strength, orjson.dumps(finding.document())),
        )
        self._base.executemany(
            "INSERT INTO case_keys VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET last = max(last, excluded.last)",
            [(key, case_id, finding.end) for key in own],
        )
        self._base.execute(
            "UPDATE cases SET first = min(first, ?), last = max(last, ?), changed_at = ? WHERE id = ?",
            (finding.start, finding.end, self._time(), case_id),
        )
        if self._status(case_id) == "cleared":
            self._write(case_id, WATCH, "new", f"There is a new finding ({finding.kind}).")
        touched[case_id] = None
        return case_id

    def _near(self, own: Sequence[str], finding: Finding) -> list[int]:
        """Cases a finding belongs to, the oldest first."""
        found: set[int] = set()
        for at in range(0, len(own), 500):
            part = own[at : at + 500]
            rows = self._base.execute(
                f"SELECT key, case_id, last FROM case_keys WHERE key IN ({','.join('?' * len(part))})",  # noqa: S608
                part,
            )
            for key, case_id, last in rows:
                if not key.startswith("about:") or finding.start - last <= self._gap_s:
                    found.add(case_id)
        return sorted(found)

    def _open(self, finding: Finding) -> int:
        now = self._time()
        cursor = self._base.execute(
            "INSERT INTO cases (status, priority, opened_at, changed_at, first, last) "
            "VALUES ('new', 0, ?, ?, ?, ?)",
            (now, now, finding.start, finding.end),
        )
        return int(cursor.lastrowid or 0)

    def _join(self, other: int, case_id: int) -> None:
        here, there = self._status(case_id), self._status(other)
        first, last = self._base.execute("SELECT first, last FROM cases WHERE id = ?", (other,)).fetchone()
        self._base.execute("UPDATE findings SET case_id = ? WHERE case_id = ?", (case_id, other))
        self._base.execute(
            "INSERT INTO case_keys SELECT key, ?, last FROM case_keys WHERE case_id = ? "
            "ON CONFLICT DO UPDATE SET last = max(last, excluded.last)",
            (case_id, other),
        )
        self._base.execute("DELETE FROM case_keys WHERE case_id = ?", (other,))
        self._base.execute(
            "UPDATE cases SET joined_to = ? WHERE id = ? OR joined_to = ?", (case_id, other, other)
        )
        self._base.execute(
            "UPDATE cases SET first = min(first, ?), last = max(last, ?) WHERE id = ?", (first, last, case_id)
        )
        open_first = ("escalated", "in review", "confirmed", "new", "cleared")
        self._write(other, WATCH, there, f"It is part of case {case_id} now.", move=False)
        self._write(
            case_id, WATCH, min(here, there, key=open_first.index), f"Case {other} is part of it now."
        )

    def _rank(self, case_id: int) -> None:
        rows = self._base.execute(
            "SELECT kind, max(strength) FROM findings WHERE case_id = ? GROUP BY kind", (case_id,)
        )
        best = [Finding(kind, "", float(level), ("",), (), 0, 0) for kind, level in rows]
        self._base.execute(
            "UPDATE cases SET priority = ? WHERE id = ?", (priority(best, self._kinds), case_id)
        )

    # ------------------------------------------------------------ what is decided

    def decide(self, case_id: int, status: str, *, who: str, why: str) -> Decision:
        """Write down what somebody decided.

        Raises
        ------
        NotFound
            There is no such case (``watch.no_case``).
        BadInput
            Another status, or nobody or no reason is named (``watch.decision``).
        """
        if status not in STATUSES:
            raise BadInput(f"A case is {', '.join(STATUSES)}, not {status!r}.", code="watch.decision")
        if not who.strip() or not why.strip() or who == WATCH:
            raise BadInput("A decision says who made it and why.", code="watch.decision")
        with self._transaction():
            self._status(case_id)
            return self._write(self._now(case_id), who.strip(), status, why.strip())

    def _write(self, case_id: int, who: str, status: str, why: str, *, move: bool = True) -> Decision:
        before, now = self._status(case_id), self._time()
        number = self._base.execute(
            "INSERT INTO decisions (case_id, at, who, before, status, why) VALUES (?, ?, ?, ?, ?, ?)",
            (case_id, now, who, before, status, why),
        ).lastrowid
        if move:
            self._base.execute(
                "UPDATE cases SET status = ?, changed_at = ? WHERE id = ?", (status, now, case_id)
            )
        return Decision(int(number or 0), case_id, now, who, before, status, why)

    # ------------------------------------------------------------ what is shown

    def case(self, case_id: int) -> Case:
        """One case, whole; the one it was joined to, where it was. NotFound (``watch.no_case``)."""
        with self._lock:
            self._status(case_id)
            now = self._now(case_id)
            row = self._base.execute(f"SELECT {_COLUMNS} FROM cases WHERE id = ?", (now,)).fetchone()  # noqa: S608
            rows = self._base.execute(
                "SELECT document FROM findings WHERE case_id = ? ORDER BY strength DESC, digest", (now,)
            )
            findings = tuple(Finding.from_document(orjson.loads(each)) for (each,) in rows)
            rows = self._base.execute(
                "SELECT number, case_id, at, who, before, status, why FROM decisions WHERE case_id IN "
                "(SELECT id FROM cases WHERE id = ? OR joined_to = ?) ORDER BY number",
                (now, now),
            )
            decisions = tuple(Decision(*each) for each in rows)
            return replace(Case(*row), findings=findings, decisions=decisions)

    def queue(self, budget: int = 20, statuses: Sequence[str] = OPEN) -> list[Case]:
        """The cases to look at first, as many as can be looked at; without their findings."""
        marks = ",".join("?" * len(statuses))
        sql = (
            f"SELECT {_COLUMNS} FROM cases WHERE joined_to IS NULL AND status IN ({marks}) "  # noqa: S608
            "ORDER BY status = 'escalated' DESC, priority DESC, id LIMIT ?"
        )
        with self._lock:
            return [Case(*row) for row in self._base.execute(sql, (*statuses, budget))]

    def counts(self) -> dict[str, int]:
        """How many cases there are of each status."""
        sql = "SELECT status, count(*) FROM cases WHERE joined_to IS NULL GROUP BY status"
        with self._lock:
            found = dict(self._base.execute(sql).fetchall())
        return {status: int(found.get(status, 0)) for status in STATUSES}

    def kinds(self, statuses: Sequence[str] = OPEN) -> dict[str, int]:
        """In how many cases of some statuses each kind of finding is, the most frequent first."""
        marks = ",".join("?" * len(statuses))
        sql = (
            "SELECT f.kind, count(DISTINCT f.case_id) AS cases FROM findings f JOIN cases c "  # noqa: S608
            f"ON c.id = f.case_id WHERE c.joined_to IS NULL AND c.status IN ({marks}) "
            "GROUP BY f.kind ORDER BY cases DESC, f.kind"
        )
        with self._lock:
            return {str(kind): int(number) for kind, number in self._base.execute(sql, tuple(statuses))}

    def decisions(self, most: int = 20) -> list[Decision]:
        """What people decided, the newest first."""
        sql = (
            "SELECT number, case_id, at, who, before, status, why FROM decisions WHERE who != ? "
            "ORDER BY number DESC LIMIT ?"
        )
        with self._lock:
            return [Decision(*each) for each in self._base.execute(sql, (WATCH, most))]

    def decided(self) -> Iterator[tuple[Mapping[str, Any], bool, str]]:
        """Each transfer of decided cases, whether it was confirmed, and by whom: labels to learn from."""
        with self._lock:
            sql = "SELECT id FROM cases WHERE joined_to IS NULL AND status IN (?, ?) ORDER BY id"
            numbers = [number for (number,) in self._base.execute(sql, DECIDED)]
        for number in numbers:
            case = self.case(number)
            last = [each for each in case.decisions if each.status == case.status and each.who != WATCH]
            if last:
                for edge in case.edges:
                    yield edge, case.status == "confirmed", last[-1].who

    # ------------------------------------------------------------ the file

    def _status(self, case_id: int) -> str:
        row = None
        if 0 < case_id < 2**63:  # what SQLite counts to
            row = self._base.execute("SELECT status FROM cases WHERE id = ?", (case_id,)).fetchone()
        if row is None:
            raise NotFound(f"There is no case {case_id}.", code="watch.no_case")
        return str(row[0])

    def _now(self, case_id: int) -> int:
        (joined,) = self._base.execute("SELECT joined_to FROM cases WHERE id = ?", (case_id,)).fetchone()
        return case_id if joined is None else int(joined)

    def _time(self) -> int:
        return int(self._clock())

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
