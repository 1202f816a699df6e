# SPDX-License-Identifier: Apache-2.0
"""Edges from elsewhere: Parquet and CSV files, DuckDB databases, and this node's index of events.

DuckDB reads files and sorts them on disk where memory ends; what comes out is read a piece at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required
from koinon.markets.history.history import History
from koinon.watch.graph.edges import Edges

READERS: Final = {".parquet": "read_parquet", ".csv": "read_csv", ".gz": "read_csv"}
DATABASES: Final = (".duckdb", ".db")
MEMORY: Final = "1GB"
PIECE_ROWS: Final = 2**18
NOBODY: Final = "0x" + "00" * 20


@dataclass(frozen=True)
class Columns:
    """What the columns of a table of transfers are called."""

    source: str = "source"
    target: str = "target"
    timestamp: str = "timestamp"
    amount: str = "amount"


class EventRows(Protocol):
    """What is read of the index of events."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...


def read_edges(path: Path, columns: Columns | None = None, *, table: str = "edges") -> Edges:
    """The transfers of a Parquet or CSV file, or of a table of a DuckDB database.

    Raises
    ------
    BadInput
        The file is not there, of another kind, or lacks a column (``watch.file``).
    """
    with sorted_on_disk(path, columns, table=table) as opened:
        return opened.edges(0, opened.count)


def read_labelled(
    path: Path, label: str, columns: Columns | None = None, *, table: str = "edges", known_at: str = ""
) -> tuple[Edges, NDArray[np.bool_], NDArray[np.int64] | None]:
    """The same, with a column that says of each transfer whether it is illicit (0 or 1, false or true), and
    (``known_at``) one that says when that was known, as a time; None without it.

    BadInput (``watch.file``), too, where a label or the time it was known at is missing.
    """
    with sorted_on_disk(path, columns, table=table, label=label, known_at=known_at) as opened:
        found = opened.connection.execute("SELECT label, known_at FROM sorted ORDER BY row").fetchnumpy()
        if known_at and np.ma.getmaskarray(found["known_at"]).any():
            raise BadInput(f"{path.name}: a row does not say when its label was known.", code="watch.file")
        known = np.ma.getdata(found["known_at"]).astype(np.int64) if known_at else None
        return opened.edges(0, opened.count), np.ma.getdata(found["label"]).astype(np.bool_), known


@dataclass(frozen=True)
class OnDisk:
    """Transfers sorted on disk, read a piece at a time."""

    connection: Any
    count: int
    names: Sequence[str]

    def edges(self, start: int, end: int) -> Edges:
        """The rows from ``start`` up to ``end``."""
        found = self.connection.execute(
            "SELECT source, target, timestamp, amount FROM sorted WHERE row >= ? AND row < ? ORDER BY row",
            (start, end),
        ).fetchnumpy()
        columns = (np.ascontiguousarray(np.ma.getdata(found[field.name])) for field in fields(Columns))
        source, target, timestamp, amount = columns
        return Edges(
            source.astype(np.int32),
            target.astype(np.int32),
            timestamp.astype(np.int64),
            amount.astype(np.float64),
            self.names,
        )

    def pieces(self, rows: int = PIECE_ROWS) -> Iterator[tuple[int, Edges]]:
        """All of them, each piece with its first row."""
        for start in range(0, self.count, rows):
            yield start, self.edges(start, min(start + rows, self.count))


@contextmanager
def sorted_on_disk(
    path: Path,
    columns: Columns | None = None,
    *,
    table: str = "edges",
    memory: str = MEMORY,
    label: str = "",
    known_at: str = "",
) -> Iterator[OnDisk]:
    """A file's transfers, accounts numbered, in the order of time; errors as `read_edges`.

    Parameters
    ----------
    memory : str
        The most DuckDB may use, such as ``1GB``; beyond that it uses the disk.
    label : str
        A column of true and false to keep beside them, if any.
    known_at : str
        A column of times to keep beside them, if any.
    """
    duckdb = required("duckdb", extra="watch")
    named = columns or Columns()
    with tempfile.TemporaryDirectory(prefix="koinon-edges-") as folder:
        connection = duckdb.connect(str(Path(folder) / "edges.duckdb"))
        try:
            connection.execute(f"SET memory_limit = '{memory}'")
            connection.execute("SET threads = 2")
            connection.execute("SET preserve_insertion_order = true")
            try:
                _load(connection, _relation(connection, path, table), named, label, known_at)
            except duckdb.Error as fault:
                raise BadInput(
                    f"{path.name} cannot be read as transfers ({str(fault).splitlines()[0]}).",
                    hint=f"It needs the columns {', '.join(_listed(named))}.",
                    code="watch.file",
                ) from fault
            names = [
                str(name) for (name,) in connection.execute("SELECT name FROM names ORDER BY id").fetchall()
            ]
            holes = "SELECT count(*) FROM sorted WHERE timestamp IS NULL OR amount IS NULL"
            if connection.execute(holes).fetchone()[0]:
                raise BadInput(f"{path.name}: a row lacks its time or amount.", code="watch.file")
            count = int(connection.execute("SELECT count(*) FROM sorted").fetchone()[0])
            yield OnDisk(connection, count, names)
        finally:
            connection.close()


def from_index(
    index: EventRows,
    table: str = "coin_transfer",
    *,
    source: str = "from",
    target: str = "to",
    amount: str = "value",
    decimals: int = 6,
    through_block: int | None = None,
    after: tuple[int, int] | None = None,
    venues: Collection[str] = (),
) -> Edges:
    """The transfers of an event's table of the index, in the order of block and log; what is minted or burnt
    is no payment, and neither is what goes to or comes from one of ``venues``.

    Parameters
    ----------
    through_block : int, optional
        The last block to read, such as the last final one.
    after : (int, int), optional
        Block and log index of the last event that was read already.
    """
    if not all(name.replace("_", "").isalnum() for name in (table, source, target, amount)):
        raise BadInput("A table's or column's name has letters, digits and _ only.", code="watch.file")
    first, log = (-1, -1) if after is None else after
    rows = index.rows(
        f'SELECT e."{source}" AS source, e."{target}" AS target, b.timestamp AS timestamp, '  # noqa: S608
        f'e."{amount}" AS amount FROM {table} e JOIN block b ON b.number = e.block_number '
        "WHERE (e.block_number > ? OR (e.block_number = ? AND e.log_index > ?)) AND e.block_number <= ? "
        "ORDER BY e.block_number, e.log_index",
        (first, first, log, 2**62 if through_block is None else through_block),
    )
    no_payer = {NOBODY, *venues}
    paid = [row for row in rows if row["source"] not in no_payer and row["target"] not in no_payer]
    return Edges.of_rows(paid, decimals=decimals)


def from_history(history: History, asset: str) -> Edges:
    """The payments in one asset of a chain's history (amounts of two assets have no sum); what is minted or
    burnt is no payment."""
    paid = [
        row
        for row in history.rows
        if row.kind == "transfer" and row.asset == asset and NOBODY not in (row.account, row.counterparty)
    ]
    scale = 10 ** history.facts.decimals.get(asset, 0)
    return Edges.of(
        [row.account for row in paid],
        [row.counterparty for row in paid],
        [row.timestamp for row in paid],
        [row.amount / scale for row in paid],
    )


def _relation(connection: Any, path: Path, table: str) -> str:
    if not path.exists():
        raise BadInput(f"There is no file {path.name}.", code="watch.file")
    text = str(path).replace("'", "''")
    if path.suffix in DATABASES:
        connection.execute(f"ATTACH '{text}' AS given (READ_ONLY)")
        return f'given."{table}"'
    if path.is_dir():
        return f"read_parquet('{text}/*.parquet')"
    if path.suffix not in READERS:
        raise BadInput(f"{path.name} is neither Parquet, CSV nor a DuckDB database.", code="watch.file")
    # as text: a reader that guesses takes 0x… for a number
    options = ", all_varchar = true" if READERS[path.suffix] == "read_csv" else ""
    return f"{READERS[path.suffix]}('{text}'{options})"


def _load(connection: Any, relation: str, named: Columns, label: str, known_at: str) -> None:
    source, target, timestamp, amount = (f'"{name}"' for name in _listed(named))
    moment = _moment(timestamp)
    known = _moment('"' + known_at.replace('"', "") + '"') if known_at else "NULL"
    judged = '"' + label.replace('"', "") + '"::BOOLEAN' if label else "NULL"
    connection.execute(
        f"CREATE TABLE given_rows AS SELECT {source}::VARCHAR AS source, {target}::VARCHAR AS target, "  # noqa: S608
        f"({moment})::BIGINT AS timestamp, TRY_CAST({amount} AS DOUBLE) AS amount, {judged} AS label, "
        f"({known})::BIGINT AS known_at "
        f"FROM {relation}"
    )
    connection.execute(
        "CREATE TABLE names AS SELECT name, (row_number() OVER (ORDER BY name) - 1)::INTEGER AS id "
        "FROM (SELECT source AS name FROM given_rows UNION SELECT target FROM given_rows)"
    )
    connection.execute(
        "CREATE TABLE sorted AS SELECT row_number() OVER (ORDER BY e.timestamp, e.rowid) - 1 AS row, "
        "s.id AS source, t.id AS target, e.timestamp, e.amount, e.label, e.known_at FROM given_rows e "
        "JOIN names s ON s.name = e.source JOIN names t ON t.name = e.target ORDER BY row"
    )
    connection.execute("DROP TABLE given_rows")


def _moment(column: str) -> str:
    """A column of Unix seconds or of dates, as Unix seconds."""
    text = f"CAST({column} AS VARCHAR)"
    return f"coalesce(TRY_CAST({text} AS BIGINT), epoch(TRY_CAST({text} AS TIMESTAMP)))"


def _listed(named: Columns) -> tuple[str, ...]:
    return tuple(str(getattr(named, field.name)).replace('"', "") for field in fields(Columns))
