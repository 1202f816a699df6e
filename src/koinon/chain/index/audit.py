# SPDX-License-Identifier: Apache-2.0
"""Checking an index afterwards: every block proven again, every row compared with what was proven."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from koinon.chain.address import checksum
from koinon.chain.index import ledger
from koinon.chain.index.engine import Engine
from koinon.chain.index.schema import quoted
from koinon.chain.index.sources import Source
from koinon.chain.index.verified import VerifiedWindow
from koinon.chain.index.window import Filter
from koinon.chain.rpc import Rpc
from koinon.errors import IntegrityError, NotFound

_SPAN: Final = 200


def audit(engine: Engine, rpc: Rpc, first_block: int) -> int:
    """The last block checked.

    Raises
    ------
    IntegrityError
        The node lies now, or the index holds an event too many, too few or another one.
    NotFound
        There is nothing to check yet.
    """
    with engine.read() as reader:
        head = ledger.read_head(reader)
        sources = [each.source for each in ledger.read_sources(reader, {})]
    if head is None:
        raise NotFound("The index is empty.", hint="Fill it with: koinon index sync", code="index.empty")
    parent_hash: str | None = None
    for start in range(first_block, head.number + 1, _SPAN):
        end = min(start + _SPAN - 1, head.number)
        window = VerifiedWindow(rpc, start, end, parent_hash=parent_hash)
        parent_hash = window.seal()[end].hash
        for source in sources:
            _compare(engine, window, source)
    if parent_hash != head.hash:
        raise IntegrityError(
            f"The index ends with another block {head.number} than the chain has.",
            hint="Catch up first with: koinon index sync",
            code="index.differs",
        )
    return head.number


def _compare(engine: Engine, window: VerifiedWindow, source: Source) -> None:
    with engine.read() as reader:
        if source.address is not None:
            addresses = {source.address.lower()}
        else:
            addresses = ledger.read_clones(reader, source)
        additions = ledger.Additions()
        topics = frozenset(key[0] for key in source.by_key)
        additions.add(source, window.logs(Filter(frozenset(addresses), topics)))
        for table in source.tables:
            names = "".join(f", {quoted(column.name)}" for column in table.columns)
            rows = reader.select(
                f"SELECT block_number, log_index, address{names} "  # noqa: S608  (quoted)
                f"FROM {quoted(table.name)} WHERE block_number BETWEEN ? AND ? "
                "ORDER BY block_number, log_index",
                (max(window.start, source.from_block), window.end),
            ).rows
            logs = [
                log
                for log in additions.logs.get(table.name, ())
                if int(log["blockNumber"], 16) >= source.from_block
            ]
            decoded = table.layout.decode(logs)
            proven: list[tuple[Any, ...]] = [
                (
                    int(logs[place]["blockNumber"], 16),
                    int(logs[place]["logIndex"], 16),
                    checksum(logs[place]["address"]),
                    *row,
                )
                for place, row in zip(decoded.places, decoded.rows, strict=True)
            ]
            _must_equal(rows, proven, table.name, window.start)
            for (name, child), elements in zip(table.children, decoded.children, strict=False):
                names = "".join(f", {quoted(column.name)}" for column in child.columns)
                rows = reader.select(
                    f"SELECT block_number, log_index, position{names} "  # noqa: S608  (quoted)
                    f"FROM {quoted(name)} WHERE block_number BETWEEN ? AND ? "
                    "ORDER BY block_number, log_index, position",
                    (max(window.start, source.from_block), window.end),
                ).rows
                proven = [
                    (
                        int(logs[place]["blockNumber"], 16),
                        int(logs[place]["logIndex"], 16),
                        position,
                        *element,
                    )
                    for place, position, element in elements
                ]
                _must_equal(rows, proven, name, window.start)


def _must_equal(
    rows: Sequence[tuple[Any, ...]], proven: Sequence[tuple[Any, ...]], table: str, start: int
) -> None:
    if list(rows) == list(proven):
        return
    number = min((row[0] for row in set(rows) ^ set(proven)), default=start)
    raise IntegrityError(
        f"The rows of {table} in block {number} are not what the chain proves.",
        hint="The node that was followed lied, or the file was changed. Move the index away: "
        "it is made again, from a node you trust or with --verified.",
        code="index.differs",
    )
