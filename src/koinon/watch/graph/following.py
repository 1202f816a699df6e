# SPDX-License-Identifier: Apache-2.0
"""The columns of a chain's transfers as the index of events goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from koinon.watch.graph.edges import Edges
from koinon.watch.graph.importing import EventRows, from_index
from koinon.watch.graph.stream import Stream
from koinon.watch.graph.windows import WINDOWS_S, Features

CONFIRMATIONS: Final = 12


class IndexStream:
    """Transfers of one token, each once, with what was known when they happened.

    Blocks are read once they have so many confirmations. Where a block that was read is another one now, the
    stream begins again with what is inside its longest window, and gives what comes after it.

    Parameters
    ----------
    index : EventRows
    table : str
        A table of transfers, such as ``coin_transfer``.
    confirmations : int
        How many blocks stand on a block before it is read.
    """

    def __init__(
        self,
        index: EventRows,
        table: str = "coin_transfer",
        *,
        decimals: int = 6,
        confirmations: int = CONFIRMATIONS,
        windows_s: Sequence[int] = WINDOWS_S,
    ) -> None:
        self._index, self._table, self._decimals = index, table, decimals
        self._confirmations, self._windows_s = confirmations, tuple(windows_s)
        self._stream = Stream(self._windows_s)
        self._last: tuple[int, str] | None = None

    @property
    def through(self) -> int:
        """The last block that was read; -1 before any was."""
        return -1 if self._last is None else self._last[0]

    def advance(self) -> tuple[Edges, Features]:
        """The transfers that were confirmed since the last call, and their columns."""
        head = self._index.rows("SELECT max(number) AS number FROM block")[0]["number"]
        wanted = -1 if head is None else int(head) - self._confirmations
        if self._last is not None and self._hash(self._last[0]) != self._last[1]:
            self._begin_again(wanted)
        before = self.through
        if wanted <= before:
            nothing = Edges.of([], [], [], [])
            return nothing, self._stream.append(nothing)
        edges = self._read(before, wanted)
        found = self._stream.append(edges)
        self._mark(wanted)
        return edges, found

    def _read(self, after: int, through: int) -> Edges:
        place = None if after < 0 else (after, 2**62)
        return from_index(
            self._index, self._table, decimals=self._decimals, through_block=through, after=place
        )

    def _mark(self, through: int) -> None:
        """Remember the last block up to there that the index holds."""
        row = self._index.rows("SELECT max(number) AS number FROM block WHERE number <= ?", (through,))[0]
        if row["number"] is not None:
            self._last = int(row["number"]), self._hash(int(row["number"]))

    def _hash(self, number: int) -> str:
        rows = self._index.rows("SELECT hash FROM block WHERE number = ?", (number,))
        return str(rows[0]["hash"]) if rows else ""

    def _begin_again(self, wanted: int) -> None:
        """Fill a new stream with what is confirmed and inside the longest window, up to where both chains can
        agree: the block before the one that changed."""
        again = min(self.through - 1, wanted)
        edges = self._read(-1, again)
        self._stream, self._last = Stream(self._windows_s), None
        if len(edges):
            oldest = edges.timestamp[-1] - self._windows_s[-1]
            first = int(np.searchsorted(edges.timestamp, oldest, side="right"))
            self._stream.append(edges.between(first, len(edges)))
        self._mark(again)
