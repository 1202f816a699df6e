# SPDX-License-Identifier: Apache-2.0
"""How fast and how reliably services answered this node: its own calls, measured here, nobody's claim."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from koinon.errors import NotFound, PeerError
from koinon.services.buying.offers import work_id_in
from koinon.services.buying.transport import Http, Response

FILE_NAME: Final = "measured.sqlite"
KEPT: Final = 1_000
"""Calls of a service that are kept, the newest."""

PAYMENT_HEADER: Final = "payment-signature"
"""x402's header of a request that is paid for."""

_ANSWERED: Final = 200
_FAILED: Final = 500
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS call (work_id INTEGER NOT NULL, at INTEGER NOT NULL, milliseconds REAL NOT NULL,
    answered INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS call_of ON call (work_id, at);
"""


@dataclass(frozen=True)
class Measured:
    """A service as this node found it: calls, how many were answered, and how long those took (the half, and
    all but a twentieth, at most so many milliseconds)."""

    calls: int
    answered: int
    p50_ms: float
    p95_ms: float

    @property
    def success(self) -> float:
        """Answered of all, 0 to 1."""
        return self.answered / self.calls


class Measurements:
    """Calls of this node, in a file of its data directory; several processes may write it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self._clock = folder / FILE_NAME, clock
        self._read: tuple[tuple[int, int], dict[int, Measured]] = ((0, 0), {})

    def note(self, work_id: int, milliseconds: float, *, answered: bool) -> None:
        """Keep one call."""
        with self._open() as file:
            file.execute(
                "INSERT INTO call VALUES (?, ?, ?, ?)",
                (work_id, int(self._clock()), milliseconds, int(answered)),
            )
            file.execute(
                "DELETE FROM call WHERE work_id = ? AND rowid NOT IN"
                " (SELECT rowid FROM call WHERE work_id = ? ORDER BY rowid DESC LIMIT ?)",
                (work_id, work_id, KEPT),
            )

    def all(self) -> dict[int, Measured]:
        """Every service that was called from here, by its Work's id."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return {}
        mark = (status.st_mtime_ns, status.st_size)
        if mark != self._read[0]:
            self._read = mark, self._summed()
        return self._read[1]

    def _summed(self) -> dict[int, Measured]:
        with self._open() as file:
            rows = file.execute(
                "SELECT work_id, milliseconds, answered FROM call ORDER BY work_id, milliseconds"
            ).fetchall()
        times: dict[int, list[float]] = {}
        calls: dict[int, int] = {}
        for work_id, milliseconds, answered in rows:
            calls[work_id] = calls.get(work_id, 0) + 1
            if answered:
                times.setdefault(work_id, []).append(milliseconds)
        return {
            work_id: Measured(
                count,
                len(times.get(work_id, ())),
                _at(times.get(work_id, []), 0.5),
                _at(times.get(work_id, []), 0.95),
            )
            for work_id, count in calls.items()
        }

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=10.0)) as file:
            file.executescript(_TABLES)
            with file:
                yield file


def _at(ordered: list[float], part: float) -> float:
    """The nearest-rank percentile of ordered times; 0 of none."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


class TimedHttp(Http):
    """Connections whose paid calls are timed, from the request to the whole answer.

    An answer counts, and so does a gateway's or network's failure; what a gateway refuses says nothing of how
    it answers. Other arguments as in `Http`.
    """

    def __init__(self, measurements: Measurements, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._measurements = measurements

    def request(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        if method != "POST" or PAYMENT_HEADER not in {name.lower() for name in headers or ()}:
            return super().request(method, url, body, headers)
        begin = time.perf_counter()
        try:
            response = super().request(method, url, body, headers)
        except PeerError:
            self._note(url, begin, answered=False)
            raise
        if response.status == _ANSWERED or response.status >= _FAILED:
            self._note(url, begin, answered=response.status == _ANSWERED)
        return response

    def _note(self, url: str, begin: float, *, answered: bool) -> None:
        with suppress(NotFound):  # an address that names no Work is nobody's to measure
            self._measurements.note(work_id_in(url), (time.perf_counter() - begin) * 1_000, answered=answered)
