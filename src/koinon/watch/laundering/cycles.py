# SPDX-License-Identifier: Apache-2.0
"""Cycles: money that comes back. Every one of at most six transfers inside the window is found.

A cycle can be seen only when its last transfer happens: that one closes it, and the finding names all of its
transfers. For each transfer, the latest moments at which money could have left others and still reach the
payer in time are found backwards; what the payee sends is followed forwards within them. Nothing is
sampled and nothing skipped, so recall inside the window is 1. Where one transfer closes more cycles than are
written out, `union` gives every transfer of all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from koinon.watch.graph.edges import Edges
from koinon.watch.laundering.grouping import Groups, Rows
from koinon.watch.laundering.rules import Rules

_ROOM = 4_096


def find_cycles(edges: Edges, rules: Rules) -> tuple[list[Rows], NDArray[np.bool_]]:
    """Every cycle as its rows in the order of time, the closing one last; and which closing rows have more
    than ``rules.cycles_each``, of which that many are given."""
    from koinon.watch.laundering import kernels  # noqa: PLC0415  (numba, an extra)

    crowded = np.zeros(len(edges), dtype=np.bool_)
    if not len(edges):
        return [], crowded
    count = edges.accounts
    groups = (
        Groups.by(edges.source, count).pair,
        Groups.by(edges.target, count).pair,
        np.full((rules.longest_cycle - 1, count), -1, dtype=np.int64),
        np.empty(count, dtype=np.int64),
        np.full(count, -1, dtype=np.int64),
        crowded,
    )
    found: list[Rows] = []
    row, lengths = 0, (rules.shortest_cycle, rules.longest_cycle)
    while row < len(edges):
        room = np.full((max(_ROOM, 2 * rules.cycles_each), rules.longest_cycle), -1, dtype=np.int64)
        row, written = kernels.cycles(
            (edges.source, edges.target),
            edges.timestamp,
            groups,
            row,
            rules.window_s,
            lengths,
            room,
            rules.cycles_each,
        )
        found += [each[each >= 0] for each in room[:written]]
    return found, crowded


def union(edges: Edges, closing: int, rules: Rules) -> Rows:
    """Every row on some way on which money that the closing row's payee got comes back to its payer in time:
    the transfers of all cycles that row closes, itself last."""
    oldest = edges.timestamp[closing] - rules.window_s
    low = int(np.searchsorted(edges.timestamp, oldest, side="right"))
    rows = np.arange(low, closing)
    source, target = edges.source[rows], edges.target[rows]
    hops = rules.longest_cycle - 1
    never = np.iinfo(np.int64).max
    early = np.full((hops, edges.accounts), never)
    late = np.full((hops, edges.accounts), -1)
    early[0, edges.target[closing]] = low - 1
    late[0, edges.source[closing]] = closing
    for hop in range(1, hops):
        early[hop], late[hop] = early[hop - 1], late[hop - 1]
        goes = early[hop - 1, source] < rows
        np.minimum.at(early[hop], target[goes], rows[goes])
        comes = late[hop - 1, target] > rows
        np.maximum.at(late[hop], source[comes], rows[comes])
    chosen = np.zeros(rows.shape, dtype=np.bool_)
    for hop in range(hops):
        chosen |= (early[hop, source] < rows) & (late[hops - 1 - hop, target] > rows)
    return np.append(rows[chosen], closing)
