# SPDX-License-Identifier: Apache-2.0
"""The index in PostgreSQL: a schema for each network, NUMERIC(78, 0) for integers of any size."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql as statements

from koinon.chain.events import Column
from koinon.chain.index.engine import Answer
from koinon.chain.index.schema import quoted
from koinon.errors import BadInput, SetupError

_CHANNEL: Final = "koinon_index"
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtext(?))"
_BEGIN_READ: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_SUM: Final = (
    "DO $$ BEGIN CREATE AGGREGATE sum_uint(numeric) (sfunc = numeric_add, stype = numeric); "
    "EXCEPTION WHEN duplicate_function THEN NULL; END $$"
)


_PLAIN_TEXT: Final = (
    """DO $$ BEGIN CREATE DOMAIN plain_text AS TEXT COLLATE "C"; """
    "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
)
"""Text that sorts by its characters' numbers, as in SQLite, whatever language the database is for."""


class PostgresEngine:
    """The schema ``schema`` of the database at ``url``, made where there is none."""

    types: ClassVar[Mapping[str, str]] = {
        "integer": "NUMERIC(78, 0)",
        "boolean": "BOOLEAN",
        "text": "PLAIN_TEXT",
    }
    suffix: ClassVar[str] = ""
    missing: ClassVar[type[Exception]] = psycopg.errors.UndefinedTable

    def __init__(self, url: str, schema: str) -> None:
        parts = urlsplit(url)
        self.place = f"postgresql://{parts.hostname or ''}{parts.path} (schema {schema})"
        self._url, self._schema = url, schema
        self._here = threading.local()
        self._opened: list[psycopg.Connection[tuple[Any, ...]]] = []
        self._lock = threading.Lock()
        try:
            with self._connect() as connection, connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"{schema} setup",))
                connection.execute(
                    statements.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(statements.Identifier(schema))
                )
                connection.execute(_SUM)
                connection.execute(_PLAIN_TEXT)
        except psycopg.Error as fault:
            raise self._unusable(fault) from None

    @contextmanager
    def read(self) -> Iterator[_Connection]:
        connection = self._reading()
        with connection.transaction():
            connection.execute(_BEGIN_READ)
            yield _Connection(connection)

    @contextmanager
    def write(self) -> Iterator[_Connection]:
        with self._connect() as connection, connection.transaction():
            yield _Connection(connection)
            connection.execute(f"NOTIFY {_CHANNEL}")

    def query(
        self, sql: str, parameters: Sequence[Any], *, limit: int | None, timeout_s: float | None
    ) -> Answer:
        connection = self._reading()
        try:
            with connection.transaction():
                connection.execute(_BEGIN_READ)
                timeout_ms = 0 if timeout_s is None else max(1, int(timeout_s * 1000))
                connection.execute(f"SET LOCAL statement_timeout = {timeout_ms}".encode())
                return _stream(connection, sql, parameters, limit)
        except psycopg.errors.QueryCanceled:
            raise BadInput(
                f"The query took longer than {timeout_s:g} seconds.",
                hint="Ask for less: a range of blocks, or one account.",
                code="index.sql_time",
            ) from None
        except psycopg.errors.ReadOnlySqlTransaction:
            raise _read_only() from None
        except psycopg.OperationalError as fault:
            raise self._unusable(fault) from None
        except psycopg.Error as fault:
            if "didn't produce a result" in str(fault) or "cannot insert multiple commands" in str(fault):
                raise _read_only() from None
            raise BadInput(
                f"The database does not understand the query: {str(fault).splitlines()[0]}.",
                hint="`koinon index status` lists the tables and their columns.",
                code="index.sql",
            ) from None

    @contextmanager
    def follower(self) -> Iterator[bool]:
        with self._connect() as connection:
            connection.autocommit = True
            row = connection.execute(_marks(_LOCK), (f"{self._schema} follower",)).fetchone()
            yield bool(row and row[0])

    def wait(self, timeout_s: float) -> None:
        connection: psycopg.Connection[tuple[Any, ...]] | None = getattr(self._here, "listening", None)
        if connection is None or connection.closed:
            connection = self._connect()
            connection.autocommit = True
            connection.execute(f"LISTEN {_CHANNEL}")
            self._here.listening = connection
            with self._lock:
                self._opened.append(connection)
            return  # something may have changed before we listened
        for _ in connection.notifies(timeout=timeout_s, stop_after=1):
            pass

    def close(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, []
        for connection in opened:
            connection.close()
        self._here = threading.local()

    def _reading(self) -> psycopg.Connection[tuple[Any, ...]]:
        """This thread's connection."""
        connection: psycopg.Connection[tuple[Any, ...]] | None = getattr(self._here, "connection", None)
        if connection is None or connection.closed or connection.broken:
            connection = self._connect()
            connection.autocommit = True
            self._here.connection = connection
            with self._lock:
                self._opened = [each for each in self._opened if not each.closed]
                self._opened.append(connection)
        return connection

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            return psycopg.connect(
                self._url,
                connect_timeout=10,
                options=f"-c search_path={self._schema} -c client_min_messages=warning",
            )
        except psycopg.Error as fault:
            raise self._unusable(fault) from None

    def _unusable(self, fault: Exception) -> SetupError:
        reason = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        return SetupError(
            f"The index at {self.place} cannot be used ({reason}).",
            hint="Start that database, or correct the setting index_url.",
            code="index.unusable",
        )


class _Connection:
    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def select(self, sql: str, parameters: Sequence[Any] = ()) -> Answer:
        cursor = self._connection.execute(_marks(sql), parameters)
        columns = tuple(column.name for column in cursor.description or ())
        return Answer(columns, [_read(row) for row in cursor.fetchall()])

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(_marks(sql), parameters).rowcount

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        names = ", ".join(quoted(column.name) for column in columns)
        with self._connection.cursor() as cursor:
            command = f"COPY {quoted(table)} ({names}) FROM STDIN".encode()
            with cursor.copy(command) as copy:
                for row in rows:
                    copy.write_row(row)


def _stream(
    connection: psycopg.Connection[tuple[Any, ...]], sql: str, parameters: Sequence[Any], limit: int | None
) -> Answer:
    """One statement (several cannot be streamed), read only as far as the limit."""
    found: list[tuple[Any, ...]] = []
    more = False
    with connection.cursor() as cursor:
        stream = cursor.stream(_marks(sql), parameters)
        for row in stream:
            if limit is not None and len(found) == limit:
                more = True
                connection.cancel_safe()
                break
            found.append(_read(row))
        columns = tuple(column.name for column in cursor.description or ())
        with suppress(psycopg.errors.QueryCanceled):
            for _ in stream:
                pass
    return Answer(columns, found, more)


def _marks(sql: str) -> bytes:
    """``?`` outside quotes as psycopg writes parameters, with its own ``%`` escaped."""
    written, quote = [], ""
    for character in sql:
        if quote:
            quote = "" if character == quote else quote
        elif character in ("'", '"'):
            quote = character
        elif character == "?":
            written.append("%s")
            continue
        written.append("%%" if character == "%" else character)
    return "".join(written).encode()


def _read(row: tuple[Any, ...]) -> tuple[Any, ...]:
    if Decimal not in map(type, row):
        return row
    return tuple(
        int(value) if type(value) is Decimal and value == value.to_integral_value() else value
        for value in row
    )


def _read_only() -> BadInput:
    return BadInput(
        "The index is read only: one SELECT at a time.",
        hint="It follows the chain; to change something, send a transaction.",
        code="index.sql_write",
    )
