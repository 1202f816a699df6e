# SPDX-License-Identifier: Apache-2.0
"""Which illicit transfers belong together where nobody says so: they are learned from, measured and drawn
together, never one by one."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from koinon.watch.graph.edges import Edges
from koinon.watch.graph.windows import DAY_S

HUB: Final = 100
"""An account with more illicit transfers than this joins nothing: everybody pays the same exchange."""


def clusters(edges: Edges, illicit: NDArray[np.bool_], window_s: int = DAY_S) -> NDArray[np.int32]:
    """int32[n]: illicit transfers that share an account within the window are one cluster; -1 for others."""
    rows = np.flatnonzero(illicit)
    parent = list(range(rows.size))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    ends = np.concatenate([edges.source[rows], edges.target[rows]])
    busy = np.bincount(ends, minlength=edges.accounts) > HUB
    last: dict[int, int] = {}
    times = edges.timestamp[rows].tolist()
    for at, pair in enumerate(zip(edges.source[rows].tolist(), edges.target[rows].tolist(), strict=True)):
        for account in pair:
            before = last.get(account)
            if before is not None and not busy[account] and times[at] - times[before] <= window_s:
                one, other = root(before), root(at)
                parent[max(one, other)] = min(one, other)
            last[account] = at
    found = np.full(len(edges), -1, dtype=np.int32)
    if rows.size:
        _, numbers = np.unique([root(at) for at in range(rows.size)], return_inverse=True)
        found[rows] = numbers
    return found
