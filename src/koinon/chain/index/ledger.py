# SPDX-License-Identifier: Apache-2.0
"""What is in the index and how it changes: each change is one transaction, the head moving with the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from koinon.chain.address import checksum
from koinon.chain.events import Column
from koinon.chain.index import schema
from koinon.chain.index.engine import Engine, Reader, Writer
from koinon.chain.index.schema import quoted
from koinon.chain.index.sources import Source, Table, table_names
from koinon.chain.index.window import Header, Log

_PLACE: Final = (Column("block_number", "integer"), Column("log_index", "integer"))
_HEAD: Final = (*_PLACE, Column("transaction_hash", "text"), Column("address", "text"))
_POSITION: Final = Column("position", "integer")
_BLOCK: Final = (
    "INSERT INTO block (number, hash, parent_hash, timestamp, finalized, events) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (number) DO UPDATE SET events = block.events + excluded.events"
)


@dataclass(frozen=True)
class Tracked:
    """A source and the last block whose events of it are in (None: none yet)."""

    source: Source
    through: int | None


@dataclass
class Additions:
    """Logs of one range, sorted into tables, ready to be written."""

    logs: dict[str, list[Log]] = field(default_factory=dict)
    tables: dict[str, tuple[Source, Table]] = field(default_factory=dict)

    def add(self, source: Source, logs: Sequence[Log]) -> None:
        for log in logs:
            table = source.by_key.get((log["topics"][0].lower(), len(log["topics"])))
            if table is not None:
                self.tables[table.name] = (source, table)
                self.logs.setdefault(table.name, []).append(log)

    def count(self) -> dict[int, int]:
        """Block → how many events."""
        found: dict[int, int] = {}
        for logs in self.logs.values():
            for log in logs:
                number = int(log["blockNumber"], 16)
                found[number] = found.get(number, 0) + 1
        return found


def read_head(reader: Reader) -> Header | None:
    """The last block that is in."""
    rows = reader.select(
        "SELECT head.number, head.hash, block.parent_hash, head.timestamp FROM head "
        "JOIN block ON block.number = head.number"
    ).rows
    return Header(*rows[0]) if rows else None


def read_state(reader: Reader) -> tuple[object, ...]:
    """Another one whenever events came or went."""
    return reader.select(
        "SELECT (SELECT hash FROM head) AS hash, COUNT(*) AS sources, SUM(COALESCE(through, -1)) AS through "
        "FROM source"
    ).rows[0]


def read_sources(reader: Reader, known: Mapping[str, Source]) -> list[Tracked]:
    """Every source, clones after their parents. ``known`` saves reading ABIs again."""
    rows = reader.select(
        "SELECT name, address, parent_table, parent_column, from_block, through FROM source ORDER BY name"
    ).rows
    found = []
    for name, address, table, column, from_block, through in rows:
        source = known.get(name)
        if source is None or source.address != address:
            abi = orjson.loads(reader.select("SELECT abi FROM source WHERE name = ?", (name,)).rows[0][0])
            source = Source(name, abi, address, from_block, (table, column) if table else None)
        found.append(Tracked(source, through))
    return sorted(found, key=lambda tracked: tracked.source.parent is not None)


def read_clones(reader: Reader, source: Source) -> set[str]:
    """Addresses, in lower case, of a source's clones, as its parent's events name them."""
    table, column = source.parent or ("", "")
    rows = reader.select(f"SELECT {quoted(column)} FROM {quoted(table)}").rows  # noqa: S608  (quoted)
    return {str(row[0]).lower() for row in rows}


def create(writer: Writer, engine: Engine, source: Source, through: int | None) -> None:
    """A source's tables and its entry."""
    for statement in schema.source_statements(source, engine.types, engine.suffix):
        writer.execute(statement)
    table, column = source.parent or (None, None)
    writer.execute(
        "INSERT INTO source (name, address, parent_table, parent_column, abi, from_block, through) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(source.name, source.address, table, column),
            *(orjson.dumps(list(source.abi)).decode(), source.from_block, through),
        ),
    )


def drop(writer: Writer, source: Source) -> None:
    """Take a source out, with its tables."""
    for name in table_names(source):
        writer.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
    writer.execute("DELETE FROM source WHERE name = ?", (source.name,))


def write_events(writer: Writer, additions: Additions) -> None:
    """The rows of every log, and of its arrays."""
    for name, logs in additions.logs.items():
        source, table = additions.tables[name]
        decoded = table.layout.decode(logs)
        heads = [
            (
                int(log["blockNumber"], 16),
                int(log["logIndex"], 16),
                log["transactionHash"],
                checksum(log["address"]),
            )
            for log in logs
        ]
        rows = [heads[place] + row for place, row in zip(decoded.places, decoded.rows, strict=True)]
        writer.insert(name, (*_HEAD, *table.columns), rows)
        for (child_name, child), elements in zip(table.children, decoded.children, strict=False):
            writer.insert(
                child_name,
                (*_PLACE, _POSITION, *child.columns),
                [(*heads[place][:2], position, *element) for place, position, element in elements],
            )
        for place, reason in decoded.refused.items():
            topics, data = orjson.dumps(list(logs[place]["topics"])).decode(), str(logs[place]["data"])
            writer.execute(
                "INSERT INTO undecoded (block_number, log_index, transaction_hash, address, source, reason, "
                "topics, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*heads[place], source.name, reason, topics, data),
            )


def write_blocks(
    writer: Writer, headers: Mapping[int, Header], counts: Mapping[int, int], final: int
) -> None:
    """Blocks with what they hold; known ones get the new events on top."""
    for number, header in sorted(headers.items()):
        writer.execute(
            _BLOCK,
            (
                *(number, header.hash, header.parent_hash, header.timestamp),
                *(number <= final, counts.get(number, 0)),
            ),
        )


def move_head(writer: Writer, header: Header | None) -> None:
    """Where the index stands now."""
    writer.execute("DELETE FROM head")
    if header is not None:
        writer.execute(
            "INSERT INTO head (id, number, hash, timestamp) VALUES (1, ?, ?, ?)",
            (header.number, header.hash, header.timestamp),
        )


def finalize(writer: Writer, final: int, head: int) -> None:
    """Blocks up to ``final`` stay: those without events need not be kept any more."""
    writer.execute("UPDATE block SET finalized = TRUE WHERE NOT finalized AND number <= ?", (final,))
    writer.execute(
        "DELETE FROM block WHERE finalized AND events = 0 AND number <> ? AND number <= ?", (head, final)
    )


def undo(writer: Writer, sources: Sequence[Source], ancestor: Header | None) -> None:
    """Take out every block after ``ancestor`` with its rows, and remember which cursors that undoes."""
    last = -1 if ancestor is None else ancestor.number
    places: dict[int, list[int]] = {}
    for source in sources:
        for table in source.tables:
            later = f"FROM {quoted(table.name)} WHERE block_number > ?"
            for number, index in writer.select(f"SELECT block_number, log_index {later}", (last,)).rows:
                places.setdefault(number, []).append(index)
        for name in table_names(source):
            writer.execute(f"DELETE FROM {quoted(name)} WHERE block_number > ?", (last,))  # noqa: S608  (quoted)
    gone = writer.select("SELECT number, hash FROM block WHERE number > ? ORDER BY number", (last,)).rows
    below = (-1, "") if ancestor is None else (ancestor.number, ancestor.hash)
    for number, block_hash in gone:
        indexes = orjson.dumps(sorted(set(places.get(number, ())))).decode()
        writer.execute("DELETE FROM undone WHERE hash = ?", (block_hash,))
        writer.execute(
            "INSERT INTO undone (hash, number, below_number, below_hash, log_indexes) VALUES (?, ?, ?, ?, ?)",
            (block_hash, number, *below, indexes),
        )
        below = (number, block_hash)
    writer.execute("DELETE FROM undecoded WHERE block_number > ?", (last,))
    writer.execute("DELETE FROM block WHERE number > ?", (last,))
    through = None if ancestor is None else ancestor.number
    writer.execute("UPDATE source SET through = ? WHERE through > ?", (through, last))
    move_head(writer, ancestor)
