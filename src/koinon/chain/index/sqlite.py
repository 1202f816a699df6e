# SPDX-License-Identifier: Apache-2.0
"""The index in one SQLite file (WAL): many processes read while one writes.

Integers beyond 63 bits do not fit SQLite's own. They are kept as 33 bytes (a sign, then 256 bits), which sort
after every smaller number and cannot be mistaken for a text that somebody put into an event.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final

from koinon.chain.events import Column
from koinon.chain.index.engine import Answer
from koinon.chain.index.schema import quoted
from koinon.chain.wal import use_wal
from koinon.errors import BadInput, SetupError

_SMALL: Final = 1 << 63
_WORD: Final = 1 << 256
_POLL_S: Final = 0.05
_STEPS: Final = 20_000  # of SQLite's machine between two looks at the clock
_LONGEST_VALUE: Final = 16 << 20
_READS: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_REFUSED_FUNCTIONS: Final = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})


class SqliteEngine:
    """An index at ``path``, which is made, with its folder, where there is none."""

    types: ClassVar[Mapping[str, str]] = {"integer": "INTEGER", "boolean": "BOOLEAN", "text": "TEXT"}
    suffix: ClassVar[str] = " WITHOUT ROWID"
    missing: ClassVar[type[Exception]] = sqlite3.OperationalError

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)
        self._here = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        sqlite3.register_converter("BOOLEAN", lambda given: given == b"1")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._writing() as connection:
                use_wal(connection, each_commit=False)
        except (OSError, sqlite3.Error) as fault:
            raise SetupError(
                f"The index at {path} cannot be used ({fault}).",
                hint="Give the file to this user, or move it away: it is made again from the chain.",
                code="index.unusable",
            ) from fault

    @contextmanager
    def read(self) -> Iterator[_Connection]:
        connection = self._reading()
        connection.execute("BEGIN")
        try:
            yield _Connection(connection)
        finally:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[_Connection]:
        with self._writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield _Connection(connection)
                connection.execute("COMMIT")
            except BaseException as fault:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                if isinstance(fault, sqlite3.OperationalError) and "disk" in str(fault):
                    raise SetupError(
                        f"The index at {self.path} cannot be written ({fault}).",
                        hint="Make room on the disk; it goes on where it stopped.",
                        code="index.disk",
                    ) from fault
                raise

    def query(
        self, sql: str, parameters: Sequence[Any], *, limit: int | None, timeout_s: float | None
    ) -> Answer:
        connection = self._reading()
        end = None if timeout_s is None else time.monotonic() + timeout_s
        connection.set_authorizer(_authorize)
        if end is not None:
            connection.set_progress_handler(lambda: int(time.monotonic() > end), _STEPS)
        try:
            answer = _Connection(connection).select(sql, parameters, limit)
        except sqlite3.OperationalError as fault:
            if str(fault) == "interrupted":
                raise BadInput(
                    f"The query took longer than {timeout_s:g} seconds.",
                    hint="Ask for less: a range of blocks, or one account.",
                    code="index.sql_time",
                ) from None
            raise _wrong(fault) from None
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as fault:
            raise _wrong(fault) from None
        finally:
            connection.set_authorizer(None)
            connection.set_progress_handler(None, 0)
        if not answer.columns:
            raise _wrong(sqlite3.ProgrammingError("there is no SELECT in it"))
        return answer

    @contextmanager
    def follower(self) -> Iterator[bool]:
        with Path(f"{self.path}.lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def wait(self, timeout_s: float) -> None:
        connection = self._reading()
        end = time.monotonic() + timeout_s
        seen = getattr(self._here, "version", None)
        while True:
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            if version != seen or time.monotonic() >= end:
                self._here.version = version
                return
            time.sleep(min(_POLL_S, timeout_s))

    def close(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, []
        for connection in opened:
            connection.close()
        self._here = threading.local()

    def _reading(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._here, "connection", None)
        if connection is None:
            connection = self._connect(f"file:{_escaped(self.path)}?mode=ro")
            connection.execute("PRAGMA query_only = ON")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
            self._here.connection = connection
            with self._lock:
                self._opened.append(connection)
        return connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        connection = self._connect(f"file:{_escaped(self.path)}?mode=rwc")
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection
        finally:
            connection.close()

    def _connect(self, address: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            address,
            uri=True,
            timeout=60,
            isolation_level=None,
            check_same_thread=False,
            detect_types=sqlite3.PARSE_DECLTYPES,
        )
        connection.create_aggregate("sum_uint", 1, _Sum)  # type: ignore[arg-type]  # bytes are a result too
        return connection


class _Connection:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def select(self, sql: str, parameters: Sequence[Any] = (), limit: int | None = None) -> Answer:
        cursor = self._connection.execute(sql, [stored(value) for value in parameters])
        try:
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
            columns = tuple(column[0] for column in cursor.description or ())
        finally:
            cursor.close()
        more = limit is not None and len(rows) > limit
        return Answer(columns, [_read(row) for row in rows[:limit]], more)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, [stored(value) for value in parameters]).rowcount

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        for position, column in enumerate(columns):
            if column.kind == "integer":
                numbers = [row[position] for row in rows]
                if max(numbers) >= _SMALL or min(numbers) < -_SMALL:
                    rows = [(*row[:position], stored(row[position]), *row[position + 1 :]) for row in rows]
        names = ", ".join(quoted(column.name) for column in columns)
        marks = ", ".join("?" * len(columns))
        self._connection.executemany(f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})", rows)  # noqa: S608  (quoted)


class _Sum:
    """``sum_uint(x)``: the exact sum of integers of any size; NULL where there are none."""

    def __init__(self) -> None:
        self.total = 0

    def step(self, value: Any) -> None:
        if value is not None:
            number = loaded(value)
            if not isinstance(number, int):
                raise TypeError("sum_uint adds whole numbers")
            self.total += number

    def finalize(self) -> int | bytes:
        return stored(self.total)  # type: ignore[no-any-return]


def stored(value: Any) -> Any:
    """A value as SQLite keeps it."""
    if type(value) is int and not -_SMALL <= value < _SMALL:
        if not -_WORD <= value < _WORD:
            raise OverflowError("a number has more than 256 bits")
        return b"\1" + value.to_bytes(32, "big") if value > 0 else b"\0" + (value + _WORD).to_bytes(32, "big")
    return value


def loaded(value: Any) -> Any:
    """The inverse of `stored`."""
    if type(value) is bytes and len(value) == 33:
        number = int.from_bytes(value[1:], "big")
        return number if value[0] else number - _WORD
    return value


def _read(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(loaded, row)) if bytes in map(type, row) else row


def _authorize(action: int, _first: str | None, second: str | None, *_where: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY


def _wrong(fault: Exception) -> BadInput:
    if str(fault) in ("not authorized", "attempt to write a readonly database"):
        return BadInput(
            "The index is read only: one SELECT at a time.",
            hint="It follows the chain; to change something, send a transaction.",
            code="index.sql_write",
        )
    return BadInput(
        f"The database does not understand the query: {fault}.",
        hint="`koinon index status` lists the tables and their columns.",
        code="index.sql",
    )


def _escaped(path: Path) -> str:
    return path.absolute().as_uri().removeprefix("file://")
