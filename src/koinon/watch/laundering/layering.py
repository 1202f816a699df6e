# SPDX-License-Identifier: Apache-2.0
"""Layers: money that goes from one to one over many at once, and money that is peeled off step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.watch.graph.edges import Edges
from koinon.watch.laundering.grouping import Groups, Rows
from koinon.watch.laundering.rules import Rules

MOST_PATHS = 20_000_000


@dataclass(frozen=True)
class Layers:
    """Paths payer → middle → payee, sorted by payer, payee and moment.

    ``first``, ``second``: their two rows. ``width``: over how many middles money had gone from that payer to
    that payee within the window when the second row happened. ``rows_width``: the largest such for each row
    of the table, 0 where a row ends no path.
    """

    first: Rows
    second: Rows
    width: Rows
    rows_width: NDArray[np.int32]


def find_layers(edges: Edges, rules: Rules) -> Layers:
    """Everything that went over one middle; BadInput (``watch.too_much``) where that is beyond memory."""
    from koinon.watch.laundering import kernels  # noqa: PLC0415  (numba, an extra)

    widths = np.zeros(len(edges), dtype=np.int32)
    incoming = Groups.by(edges.target, edges.accounts).pair
    ends, room = (edges.source, edges.target), np.empty((max(1_024, len(edges)), 2), dtype=np.int64)
    arguments = (ends, edges.timestamp, incoming, rules.window_s, rules.busiest_middle)
    count = kernels.middles(*arguments, room)
    if count > MOST_PATHS:
        raise BadInput(
            f"{count:,} paths go over one middle within the window.",
            hint="Shorten window_s or lower busiest_middle.",
            code="watch.too_much",
        )
    if count > room.shape[0]:
        room = np.empty((count, 2), dtype=np.int64)
        kernels.middles(*arguments, room)
    first, second = room[:count, 0], room[:count, 1]
    order = np.lexsort((first, second, edges.target[second], edges.source[first]))
    first, second = first[order], second[order]
    width = _widths(edges, first, second, rules.window_s)
    np.maximum.at(widths, second, width.astype(np.int32))
    return Layers(first, second, width, widths)


def _widths(edges: Edges, first: Rows, second: Rows, window_s: int) -> Rows:
    """Distinct middles of the same payer and payee within the window up to each path."""
    payer, payee = edges.source[first], edges.target[second]
    middle, begun = edges.target[first], edges.timestamp[first]
    width = np.zeros(first.shape, dtype=np.int64)
    if not width.size:
        return width
    starts = np.flatnonzero(np.diff(payer, prepend=-1) | np.diff(payee, prepend=-1))
    ends = np.append(starts[1:], first.shape[0])
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start == 1:
            width[start] = 1
            continue
        for at in range(start, end):
            inside = begun[start : at + 1] > edges.timestamp[second[at]] - window_s
            width[at] = np.unique(middle[start : at + 1][inside]).size
    return width


def scatter_gathers(edges: Edges, layers: Layers, rules: Rules) -> list[tuple[int, int, int, Rows]]:
    """(payer, payee, middles, rows) of everything that went over ``rules.middles`` or more; what one payer
    and payee did within overlapping windows is one."""
    wide = np.flatnonzero(layers.width >= rules.middles)
    found: list[tuple[int, int, int, Rows]] = []
    payer, payee = edges.source[layers.first], edges.target[layers.second]
    begun = edges.timestamp[layers.first]
    at = 0
    while at < wide.shape[0]:
        begin = end = wide[at]
        while at + 1 < wide.shape[0] and _joined(
            edges, layers, payer, payee, end, wide[at + 1], rules.window_s
        ):
            at += 1
            end = wide[at]
        first = begin
        oldest = edges.timestamp[layers.second[begin]] - rules.window_s
        while first > 0 and payer[first - 1] == payer[begin] and payee[first - 1] == payee[begin]:
            first -= 1
        part = np.arange(first, end + 1)
        part = part[begun[part] > oldest]
        rows = np.unique(np.concatenate([layers.first[part], layers.second[part]]))
        width = int(layers.width[begin : end + 1].max())
        found.append((int(payer[begin]), int(payee[begin]), width, rows))
        at += 1
    return found


def _joined(
    edges: Edges, layers: Layers, payer: NDArray[np.int32], payee: NDArray[np.int32], *span: int
) -> bool:
    before, after, window_s = span
    if payer[before] != payer[after] or payee[before] != payee[after]:
        return False
    moments = edges.timestamp[layers.second[[before, after]]]
    return bool(moments[1] - window_s < moments[0])


@dataclass(frozen=True)
class Chains:
    """Peel chains, for each row: ``depth`` steps lead to it, ``before`` the row it carries on (-1: none),
    ``peel`` the row peeled off in that step, ``known`` the row at which the step could be seen."""

    depth: NDArray[np.int32]
    before: Rows
    peel: Rows
    known: Rows

    def rows(self, end: int) -> Rows:
        """Every row of the chain that ends with this one, what was peeled off included."""
        found = [end]
        row = end
        while self.before[row] >= 0:
            found += [int(self.peel[row]), int(self.before[row])]
            row = int(self.before[row])
        return np.unique(np.array(found, dtype=np.int64))


def find_chains(edges: Edges, rules: Rules) -> Chains:
    """Which transfers carry on the rest of another after a small part was peeled off."""
    from koinon.watch.laundering import kernels  # noqa: PLC0415  (numba, an extra)

    count = len(edges)
    marks = (
        np.zeros(count, dtype=np.int32),
        np.full(count, -1, dtype=np.int64),
        np.full(count, -1, dtype=np.int64),
        np.full(count, -1, dtype=np.int64),
    )
    outgoing = Groups.by(edges.source, edges.accounts).pair
    kernels.peels(
        (edges.source, edges.target),
        (edges.timestamp, edges.amount),
        outgoing,
        rules.peel_window_s,
        rules.peel_share,
        marks,
    )
    return Chains(*marks)


def chain_ends(chains: Chains, rules: Rules) -> Rows:
    """The last rows of chains of ``rules.peels`` steps or more."""
    carried = np.zeros(chains.depth.shape, dtype=np.bool_)
    carried[chains.before[chains.before >= 0]] = True
    return np.flatnonzero((chains.depth >= rules.peels) & ~carried)
