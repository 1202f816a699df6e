# SPDX-License-Identifier: Apache-2.0
"""What was known about both ends of a transfer when it happened: counts, sums and partners within windows.

The window of length w of an edge at time t holds the edges of the half-open interval (t - w, t], itself
included, that come no later than it in the table: never a later row, not even of the same second. Adding
later edges therefore changes nothing that was told before.

Columns, for each end (``source``, ``target``), window and direction (``out``, ``in``): the number of edges,
the sum of their amounts, and the number of distinct partners.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.watch.graph.edges import Accounts, Amounts, Edges, Times

Features = NDArray[np.float32]
Columns = tuple[Accounts, Accounts, Times, Amounts]

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
WINDOWS_S: Final = (HOUR_S, DAY_S, WEEK_S)
CHUNK_ROWS: Final = 2**17
_SMALLEST_TABLE: Final = 2**10


def column_names(windows_s: Sequence[int] = WINDOWS_S) -> tuple[str, ...]:
    """Names of the columns, such as ``source_out_sum_1d``."""
    return tuple(
        f"{end}_{side}_{what}_{label(window)}"
        for end in ("source", "target")
        for window in windows_s
        for side in ("out", "in")
        for what in ("count", "sum", "partners")
    )


def label(window_s: int) -> str:
    """A window's length in words: 1h, 1d, 7d, 90s."""
    for unit, name in ((DAY_S, "d"), (HOUR_S, "h")):
        if window_s % unit == 0:
            return f"{window_s // unit}{name}"
    return f"{window_s}s"


def window_features(edges: Edges, windows_s: Sequence[int] = WINDOWS_S) -> Features:
    """The columns of `column_names` for every edge, float32[n, 12 x windows]."""
    found = np.empty((len(edges), 12 * len(windows_s)), dtype=np.float32)
    for start, part in feature_chunks(edges, windows_s):
        found[start : start + part.shape[0]] = part
    return found


def feature_chunks(
    edges: Edges, windows_s: Sequence[int] = WINDOWS_S, *, chunk_rows: int = CHUNK_ROWS
) -> Iterator[tuple[int, Features]]:
    """The same, a piece at a time with its first row: no more memory than the edges and one piece."""
    state = State(windows_s, edges.accounts)
    columns = (edges.source, edges.target, edges.timestamp, edges.amount)
    for start in range(0, len(edges), chunk_rows):
        end = min(start + chunk_rows, len(edges))
        yield start, state.take(columns, start, end)


@dataclass
class State:
    """Everything inside the windows now: as large as the longest window's edges, whatever came before.

    Parameters
    ----------
    windows_s : sequence of int
        Ascending lengths in seconds.
    slots : int
        Accounts there is room for; `reserve` makes more.
    """

    windows_s: Sequence[int]
    slots: int
    heads: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        lengths = list(self.windows_s)
        if not lengths or lengths[0] <= 0 or lengths != sorted(set(lengths)):
            raise BadInput("Windows are lengths in seconds, each longer than the last.", code="watch.windows")
        count = len(lengths)
        self._lengths = np.array(lengths, dtype=np.int64)
        self.heads = np.zeros(count, dtype=np.int64)
        self._counts = np.zeros((self.slots, count, 4), dtype=np.int32)
        self._sums = np.zeros((self.slots, count, 4))
        self._keys = np.full(_SMALLEST_TABLE, -1, dtype=np.int64)
        self._pairs = np.zeros((_SMALLEST_TABLE, count), dtype=np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes of memory the state takes."""
        return sum(part.nbytes for part in (self._counts, self._sums, self._keys, self._pairs))

    def reserve(self, slots: int) -> None:
        """Room for at least so many accounts."""
        if slots <= self.slots:
            return
        more = max(slots, 2 * self.slots) - self.slots
        self._counts = np.concatenate([self._counts, np.zeros((more, *self._counts.shape[1:]), np.int32)])
        self._sums = np.concatenate([self._sums, np.zeros((more, *self._sums.shape[1:]))])
        self.slots += more

    def idle(self, slot: int) -> bool:
        """Whether an account has no edge inside any window."""
        return not self._counts[slot].any()

    def take(self, columns: Columns, begin: int, end: int) -> Features:
        """Take rows ``begin`` to ``end`` in; the rows before, as far as they are in the longest window,
        were taken before."""
        from koinon.watch.graph import kernels  # noqa: PLC0415  (numba, an extra)

        self._grow(end - int(self.heads[-1]))
        found = np.empty((end - begin, 12 * len(self.windows_s)), dtype=np.float32)
        state = (self._counts, self._sums, self._keys, self._pairs)
        kernels.sweep(columns, (begin, end), (self.heads, self._lengths), state, found)
        return found

    def _grow(self, rows: int) -> None:
        size = self._keys.shape[0]
        if 2 * rows <= size:
            return
        from koinon.watch.graph import kernels  # noqa: PLC0415

        size = 1 << (2 * rows - 1).bit_length()
        keys = np.full(size, -1, dtype=np.int64)
        pairs = np.zeros((size, self._pairs.shape[1]), dtype=np.int32)
        kernels.rehash(self._keys, self._pairs, keys, pairs)
        self._keys, self._pairs = keys, pairs
