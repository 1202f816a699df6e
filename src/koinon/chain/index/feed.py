# SPDX-License-Identifier: Apache-2.0
"""Events in the chain's order from a cursor on, and word of what a reorganisation took back."""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from koinon.chain.index.engine import Reader
from koinon.chain.index.schema import quoted
from koinon.errors import BadInput

_PAGE: Final = 500
_CURSOR: Final = re.compile(r"(\d{1,18}):(\d{1,10}):(0x[0-9a-fA-F]{64})", re.ASCII)
_WHOLE_BLOCK: Final = 2**31 - 1


@dataclass(frozen=True)
class Cursor:
    """A place in the chain. ``text`` is ``<number>:<log index>:<block hash>``; a head, which names a whole
    block, has the largest log index."""

    number: int
    hash: str
    timestamp: int = 0
    log_index: int = _WHOLE_BLOCK

    @property
    def text(self) -> str:
        return f"{self.number}:{self.log_index}:{self.hash}"

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """`BadInput` for what no feed ever gave."""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise BadInput(
                f"{text[:100]!r} is not a cursor of the index.",
                hint="Give the cursor of an event that the feed gave, or none to begin at the beginning.",
                code="index.cursor",
            )
        return cls(int(match[1]), match[3].lower(), log_index=int(match[2]))


@dataclass(frozen=True)
class FeedEvent:
    """One step of a feed.

    ``kind`` is ``"event"``: ``table`` and ``row`` say what happened; or ``"undone"``: the events whose
    cursors are in ``undone``, newest first, are not part of the chain any more. ``cursor`` is where to go on
    after it.
    """

    kind: str
    cursor: str
    table: str = ""
    row: Mapping[str, Any] = field(default_factory=dict)
    undone: tuple[str, ...] = ()


def read_page(reader: Reader, tables: Sequence[str], after: Cursor | None) -> list[FeedEvent]:
    """What comes next; empty at the head. All of it is of one state of the index.

    Raises
    ------
    BadInput
        The cursor is of a chain that the index never saw.
    """
    if after is not None:
        undone = _undone(reader, after)
        if undone is not None:
            return [undone]
    number, log_index = (-1, 0) if after is None else (after.number, after.log_index)
    pages, horizon = [], (1 << 62, 0)
    for table in tables:
        answer = reader.select(
            f"SELECT * FROM {quoted(table)} WHERE (block_number, log_index) > (?, ?) "  # noqa: S608  (quoted)
            "ORDER BY block_number, log_index LIMIT ?",
            (number, log_index, _PAGE),
        )
        if len(answer.rows) == _PAGE:
            horizon = min(horizon, (answer.rows[-1][0], answer.rows[-1][1]))
        pages.append([((row["block_number"], row["log_index"]), table, row) for row in answer.mappings()])
    hashes: dict[int, str] = {}
    events = []
    for place, table, row in heapq.merge(*pages, key=lambda item: item[0]):
        if place > horizon:
            break
        if place[0] not in hashes:
            hashes[place[0]] = _hash_at(reader, place[0]) or ""
        cursor = Cursor(place[0], hashes[place[0]], log_index=place[1])
        events.append(FeedEvent("event", cursor.text, table, row))
    return events


def _undone(reader: Reader, after: Cursor) -> FeedEvent | None:
    """None where the cursor's block still stands."""
    if _stands(reader, after.number, after.hash):
        return None
    number, block_hash, last = after.number, after.hash, after.log_index
    cursors: list[str] = []
    while True:
        rows = reader.select(
            "SELECT below_number, below_hash, log_indexes FROM undone WHERE hash = ? AND number = ?",
            (block_hash, number),
        ).rows
        if not rows:
            raise BadInput(
                f"The cursor {after.text} is of a chain that this index does not know.",
                hint="Begin again without a cursor.",
                code="index.cursor_unknown",
            )
        below_number, below_hash, indexes = rows[0]
        cursors += [
            Cursor(number, block_hash, log_index=index).text
            for index in reversed(orjson.loads(indexes))
            if index <= last
        ]
        number, block_hash, last = below_number, below_hash, _WHOLE_BLOCK
        if number < 0 or _stands(reader, number, block_hash):
            return FeedEvent("undone", Cursor(number, block_hash).text, undone=tuple(cursors))


def _stands(reader: Reader, number: int, block_hash: str) -> bool:
    """Whether the index still has this block; final blocks without events are not kept, and stand."""
    found = _hash_at(reader, number)
    if found is not None:
        return found == block_hash
    undone = reader.select("SELECT 1 FROM undone WHERE hash = ?", (block_hash,)).rows
    final = reader.select("SELECT MAX(number) FROM block WHERE finalized").rows[0][0]
    first = reader.select("SELECT MIN(number) FROM block").rows[0][0]
    return not undone and ((final is not None and number <= final) or (first is not None and number < first))


def _hash_at(reader: Reader, number: int) -> str | None:
    rows = reader.select("SELECT hash FROM block WHERE number = ?", (number,)).rows
    return str(rows[0][0]) if rows else None
