# SPDX-License-Identifier: Apache-2.0
"""Rows from tables of an event index, whosever contracts they are of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from koinon.chain.index.api import EventIndex
from koinon.chain.index.schema import quoted
from koinon.chain.index.sources import Source
from koinon.markets.history.decoding import Decoder
from koinon.markets.history.facts import Facts
from koinon.markets.history.history import History
from koinon.markets.history.protocols import Rule, bound
from koinon.markets.history.saying import Fields


def read_history(
    index: EventIndex, sources: Iterable[tuple[str, Source]], facts: Facts, *, since: int, last: int
) -> History:
    """What (protocol, source) said in the blocks ``since`` to ``last``, with the hashes of these blocks.

    An event's fields are taken by their places: whoever wrote a contract may have named them otherwise.
    """
    blocks = {
        row["number"]: (row["hash"], row["timestamp"])
        for row in index.rows(
            "SELECT number, hash, timestamp FROM block WHERE number BETWEEN ? AND ?", (since, last)
        )
    }
    events: list[tuple[Rule, str, Fields]] = []
    for protocol, source in sources:
        for key, table in source.by_key.items():
            if key not in bound(protocol):
                continue
            rule, layout = bound(protocol)[key]
            names = {
                theirs.name: ours.name
                for theirs, ours in zip(table.columns, layout.columns, strict=True)
                if theirs.name != ours.name
            }
            found = index.rows(
                f"SELECT * FROM {quoted(table.name)} WHERE block_number BETWEEN ? AND ?",  # noqa: S608  (quoted)
                (since, last),
            )
            events += [(rule, protocol, _with_block(row, names, blocks)) for row in found]
    rows = Decoder({}, facts).rows(events)
    return History.of(rows, facts, {number: each[0] for number, each in blocks.items()})


def _with_block(
    row: Mapping[str, Any], names: Mapping[str, str], blocks: Mapping[int, tuple[str, int]]
) -> Fields:
    block_hash, timestamp = blocks[row["block_number"]]
    told = {names.get(name, name): value for name, value in row.items()}
    return {**told, "block_hash": block_hash, "timestamp": timestamp}
