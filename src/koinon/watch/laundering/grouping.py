# SPDX-License-Identifier: Apache-2.0
"""Each account's transfers in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.watch.graph.edges import Accounts, Edges

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Rows by account: those of account a are ``rows[starts[a]:starts[a + 1]]``, ascending."""

    starts: Rows
    rows: Rows

    @classmethod
    def by(cls, accounts: Accounts, count: int) -> Groups:
        """Group by one end of the edges."""
        rows = np.argsort(accounts, kind="stable").astype(np.int64)
        starts = np.zeros(count + 1, dtype=np.int64)
        np.cumsum(np.bincount(accounts, minlength=count), out=starts[1:])
        return cls(starts, rows)

    @property
    def pair(self) -> tuple[Rows, Rows]:
        """As the compiled loops take it."""
        return self.starts, self.rows

    def of(self, account: int) -> Rows:
        """An account's rows."""
        return self.rows[self.starts[account] : self.starts[account + 1]]

    def between(self, account: int, first: int, last: int) -> Rows:
        """An account's rows from ``first`` to ``last``, both included."""
        rows = self.of(account)
        return rows[np.searchsorted(rows, first) : np.searchsorted(rows, last, side="right")]


def bursts(
    edges: Edges, marked: NDArray[np.bool_], accounts: Accounts, window_s: int
) -> Iterator[tuple[int, int, int, int]]:
    """Moments that belong together: (account, first row of the window, last marked row, the strongest's row).

    ``marked`` rows say that something holds of ``accounts[row]`` in the window that ends there; of one
    account, windows that overlap are one burst.
    """
    rows = np.flatnonzero(marked)
    order = rows[np.lexsort((rows, accounts[rows]))]
    begin = 0
    while begin < order.shape[0]:
        account = int(accounts[order[begin]])
        end = begin
        while (
            end + 1 < order.shape[0]
            and accounts[order[end + 1]] == account
            and edges.timestamp[order[end + 1]] - window_s < edges.timestamp[order[end]]
        ):
            end += 1
        first = int(np.searchsorted(edges.timestamp, edges.timestamp[order[begin]] - window_s, side="right"))
        yield account, first, int(order[end]), int(order[begin])
        begin = end + 1
