# SPDX-License-Identifier: Apache-2.0
"""The same columns while transfers arrive: equal to the last bit to those of the whole table at once.

A stream remembers what is inside its longest window and nothing else. An account that has left every window
gives its place to the next, so memory follows the window and not the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from koinon.errors import BadInput
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.windows import WINDOWS_S, Features, State

_LEAST_ROWS: Final = 1_024


class Stream:
    """Point-in-time columns of transfers in the order of time.

    Parameters
    ----------
    windows_s : sequence of int
        Ascending lengths in seconds.
    """

    def __init__(self, windows_s: Sequence[int] = WINDOWS_S) -> None:
        self._state = State(windows_s, _LEAST_ROWS)
        self._slots: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._free = list(range(_LEAST_ROWS - 1, -1, -1))
        self._end = 0
        self._source = np.zeros(_LEAST_ROWS, dtype=np.int32)
        self._target = np.zeros(_LEAST_ROWS, dtype=np.int32)
        self._timestamp = np.zeros(_LEAST_ROWS, dtype=np.int64)
        self._amount = np.zeros(_LEAST_ROWS)

    @property
    def inside(self) -> int:
        """How many transfers are inside the longest window."""
        return self._end - int(self._state.heads[-1])

    @property
    def known(self) -> int:
        """How many accounts have a place."""
        return len(self._slots)

    @property
    def nbytes(self) -> int:
        """Bytes of memory of the columns and the state."""
        columns = (self._source, self._target, self._timestamp, self._amount)
        return self._state.nbytes + sum(column.nbytes for column in columns)

    def append(self, edges: Edges) -> Features:
        """The columns of transfers that come after all before them, float32[n, 12 x windows].

        Raises
        ------
        BadInput
            They begin before the last that was taken (``watch.order``); nothing was taken then.
        """
        if not len(edges):
            return np.empty((0, 12 * len(self._state.windows_s)), dtype=np.float32)
        if self._end and int(edges.timestamp[0]) < int(self._timestamp[self._end - 1]):
            raise BadInput(
                "A transfer is older than one that was taken already.",
                hint="Give a stream its transfers in the order of time.",
                code="watch.order",
            )
        self._make_room(len(edges))
        begin, end = self._end, self._end + len(edges)
        self._source[begin:end] = self._placed(edges, edges.source)
        self._target[begin:end] = self._placed(edges, edges.target)
        self._timestamp[begin:end] = edges.timestamp
        self._amount[begin:end] = edges.amount
        gone_from = int(self._state.heads[-1])
        columns = (self._source, self._target, self._timestamp, self._amount)
        found = self._state.take(columns, begin, end)
        self._end = end
        self._forget(gone_from)
        return found

    def append_rows(self, rows: Sequence[Mapping[str, Any]], *, decimals: int = 0) -> Features:
        """The same of rows as `Edges.of_rows` takes them."""
        return self.append(Edges.of_rows(rows, decimals=decimals))

    def _placed(self, edges: Edges, accounts: Any) -> Any:
        """Each account's slot, a new one where it has none."""
        distinct, where = np.unique(accounts, return_inverse=True)
        slots = np.empty(distinct.shape[0], dtype=np.int32)
        for number, account in enumerate(distinct.tolist()):
            name = edges.name(account)
            slot = self._slots.get(name)
            if slot is None:
                if not self._free:
                    before = self._state.slots
                    self._state.reserve(before + 1)
                    self._free.extend(range(self._state.slots - 1, before - 1, -1))
                slot = self._slots[name] = self._free.pop()
                self._names[slot] = name
            slots[number] = slot
        return slots[where]

    def _forget(self, gone_from: int) -> None:
        """Free the slots of accounts whose last edge left the longest window just now."""
        gone = slice(gone_from, int(self._state.heads[-1]))
        left = np.unique(np.concatenate([self._source[gone], self._target[gone]]))
        for slot in left.tolist():
            if slot in self._names and self._state.idle(slot):
                del self._slots[self._names.pop(slot)]
                self._free.append(slot)

    def _make_room(self, rows: int) -> None:
        """Drop what left the longest window once it is half of the columns; lengthen them if that is not
        enough."""
        size = self._source.shape[0]
        if self._end + rows <= size:
            return
        head = int(self._state.heads[-1])
        kept = self._end - head
        wanted = size if 2 * (kept + rows) <= size else 1 << (2 * (kept + rows) - 1).bit_length()
        for name in ("_source", "_target", "_timestamp", "_amount"):
            old = getattr(self, name)
            new = np.zeros(wanted, dtype=old.dtype)
            new[:kept] = old[head : self._end]
            setattr(self, name, new)
        self._state.heads -= head
        self._end = kept
