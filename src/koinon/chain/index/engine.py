# SPDX-License-Identifier: Apache-2.0
"""What the index asks of a database; `SqliteEngine` and `PostgresEngine` answer it.

SQL is written once, with ``?`` for parameters. Numbers read as int on both, however large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from koinon.chain.events import Column


@dataclass(frozen=True)
class Answer:
    """What a query found; ``more``: there were more rows than were asked for."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool = False

    def mappings(self) -> list[dict[str, Any]]:
        """Each row as column → value."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Reader(Protocol):
    """Reads one state of the database, whatever is written meanwhile."""

    def select(self, sql: str, parameters: Sequence[Any] = ()) -> Answer: ...


class Writer(Reader, Protocol):
    """One transaction: all of it is kept, or nothing."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it touched."""
        ...

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> None:
        """Add many rows at once."""
        ...


class Engine(Protocol):
    """A database that holds one network's index. Safe to share between threads."""

    place: str
    """Where it is, fit for messages."""

    types: ClassVar[Mapping[str, str]]
    """Kind of a column → the engine's type."""

    suffix: ClassVar[str]
    """What follows a table's columns."""

    missing: ClassVar[type[Exception]]
    """What it raises where a table is missing."""

    def read(self) -> AbstractContextManager[Reader]:
        """A consistent view, read only."""
        ...

    def write(self) -> AbstractContextManager[Writer]:
        """A transaction; it is kept where the block ends without an error."""
        ...

    def query(
        self, sql: str, parameters: Sequence[Any], *, limit: int | None, timeout_s: float | None
    ) -> Answer:
        """Somebody's own query: it changes nothing and ends at the limits. `BadInput` where it is wrong."""
        ...

    def follower(self) -> AbstractContextManager[bool]:
        """The right to write blocks, which one process has at a time; False where another one has it."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Return when another connection may have changed something, or after the time at the latest."""
        ...

    def close(self) -> None: ...
