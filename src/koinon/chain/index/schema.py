# SPDX-License-Identifier: Apache-2.0
"""The index's tables, in SQL that both engines understand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from koinon.chain.events import Column
from koinon.chain.index.sources import Source, Table

VERSION: Final = 2
"""Of the tables below; an index of another version is made anew from the chain."""

PLACE: Final = ("block_number", "log_index")
HEAD_COLUMNS: Final = (*PLACE, "transaction_hash", "address")

FIXED: Final = (
    "CREATE TABLE IF NOT EXISTS identity (name TEXT PRIMARY KEY, content TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY CHECK (id = 1), number BIGINT NOT NULL, "
    "hash TEXT NOT NULL, timestamp BIGINT NOT NULL)",
    # Every block that has rows, and every block after finality: the journal that undoing walks back.
    "CREATE TABLE IF NOT EXISTS block (number BIGINT PRIMARY KEY, hash TEXT NOT NULL, "
    "parent_hash TEXT NOT NULL, timestamp BIGINT NOT NULL, finalized BOOLEAN NOT NULL, "
    "events BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS block_open ON block (number) WHERE NOT finalized",
    # through: the last block whose events of this source are in; NULL before the first.
    "CREATE TABLE IF NOT EXISTS source (name TEXT PRIMARY KEY, address TEXT, parent_table TEXT, "
    "parent_column TEXT, abi TEXT NOT NULL, from_block BIGINT NOT NULL, through BIGINT)",
    # Blocks that a reorganisation took out, so that a feed can say so later; below: the block under each that
    # was kept, which is not always its parent (final blocks without events are not kept).
    "CREATE TABLE IF NOT EXISTS undone (hash TEXT PRIMARY KEY, number BIGINT NOT NULL, "
    "below_number BIGINT NOT NULL, below_hash TEXT NOT NULL, log_indexes TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS undecoded (block_number BIGINT NOT NULL, log_index BIGINT NOT NULL, "
    "transaction_hash TEXT NOT NULL, address TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, "
    "topics TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (block_number, log_index))",
)

FIXED_TABLES: Final = ("identity", "head", "block", "source", "undone", "undecoded")


def quoted(name: str) -> str:
    """An identifier in quotes, so that ``from`` and ``to`` can be columns."""
    return '"' + name.replace('"', '""') + '"'


def source_statements(source: Source, types: Mapping[str, str], suffix: str) -> Iterator[str]:
    """What makes a source's tables.

    ``types`` the engine's type for each kind of column, ``suffix`` what it wants after a table's columns.
    """
    for table in source.tables:
        yield from _event(table, source, types, suffix)


def _event(table: Table, source: Source, types: Mapping[str, str], suffix: str) -> Iterator[str]:
    key = "PRIMARY KEY (block_number, log_index)"
    head = (
        "block_number BIGINT NOT NULL, log_index BIGINT NOT NULL, "
        "transaction_hash TEXT NOT NULL, address TEXT NOT NULL"
    )
    fields = "".join(_declared(column, types) for column in table.columns)
    yield f"CREATE TABLE IF NOT EXISTS {quoted(table.name)} ({head}{fields}, {key}){suffix}"
    looked_up = [column.name for column in table.columns if column.indexed]
    if source.parent is not None:
        looked_up.append("address")
    for name in looked_up:
        index = quoted(f"{table.name[:40]}_by_{name[:18]}")
        # Newest first for one value of the field is this index read backwards.
        yield (
            f"CREATE INDEX IF NOT EXISTS {index} ON {quoted(table.name)} "
            f"({quoted(name)}, block_number, log_index)"
        )
    for child_name, child in table.children:
        fields = "".join(_declared(column, types) for column in child.columns)
        yield (
            f"CREATE TABLE IF NOT EXISTS {quoted(child_name)} (block_number BIGINT NOT NULL, "
            f"log_index BIGINT NOT NULL, position BIGINT NOT NULL{fields}, "
            f"PRIMARY KEY (block_number, log_index, position)){suffix}"
        )


def _declared(column: Column, types: Mapping[str, str]) -> str:
    return f", {quoted(column.name)} {types[column.kind]} NOT NULL"
