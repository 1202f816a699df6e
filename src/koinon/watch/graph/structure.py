# SPDX-License-Identifier: Apache-2.0
"""The shape of the whole graph: who hangs together, who is paid by the paid, who stands in the core.

These look at all edges they are given: give them `Edges.until` a moment to stay within what was known then.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.extras import required
from koinon.watch.graph.edges import Edges

DAMPING: Final = 0.85
TOLERANCE: Final = 1e-10
MOST_STEPS: Final = 200


def adjacency(edges: Edges, *, by_amount: bool = False) -> Any:
    """scipy.sparse CSR of (accounts, accounts): how often (``by_amount``: how much) row paid column."""
    sparse = required("scipy.sparse", extra="watch")
    weights = edges.amount if by_amount else np.ones(len(edges))
    shape = (edges.accounts, edges.accounts)
    return sparse.csr_array((weights, (edges.source, edges.target)), shape=shape)


def components(edges: Edges) -> NDArray[np.int32]:
    """The number of each account's component, directions ignored; int32[accounts]."""
    csgraph = required("scipy.sparse.csgraph", extra="watch")
    _, labels = csgraph.connected_components(adjacency(edges), directed=True, connection="weak")
    return np.asarray(labels, dtype=np.int32)


def circles(edges: Edges) -> NDArray[np.int32]:
    """The number of each account's strongly connected component: two accounts share one where money can go
    from either to the other, whatever the times."""
    csgraph = required("scipy.sparse.csgraph", extra="watch")
    _, labels = csgraph.connected_components(adjacency(edges), directed=True, connection="strong")
    return np.asarray(labels, dtype=np.int32)


def pagerank(edges: Edges, *, by_amount: bool = False, damping: float = DAMPING) -> NDArray[np.float64]:
    """Each account's PageRank (Page et al. 1999), weighted by the number or amount of transfers; sums to 1.
    Who pays nobody gives to all alike."""
    count = edges.accounts
    if not count:
        return np.empty(0)
    paid = adjacency(edges, by_amount=by_amount)
    out = np.asarray(paid.sum(axis=1)).ravel()
    scale = np.divide(1.0, out, out=np.zeros(count), where=out > 0)
    received = paid.T.tocsr()
    silent = out <= 0
    rank = np.full(count, 1.0 / count)
    for _step in range(MOST_STEPS):
        flow = received @ (rank * scale) + rank[silent].sum() / count
        new = damping * flow + (1.0 - damping) / count
        moved = float(np.abs(new - rank).sum())
        rank = new
        if moved < TOLERANCE:
            break
    return rank


def core_numbers(edges: Edges) -> NDArray[np.int32]:
    """Each account's core number in the graph of who dealt with whom (Seidman 1983); int32[accounts]."""
    rustworkx = required("rustworkx", extra="watch")
    low, high = np.minimum(edges.source, edges.target), np.maximum(edges.source, edges.target)
    apart = low != high
    pairs = np.unique((low[apart].astype(np.int64) << 32) | high[apart])
    graph = rustworkx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(edges.accounts))
    graph.add_edges_from_no_data(
        list(zip((pairs >> 32).tolist(), (pairs & 0xFFFFFFFF).tolist(), strict=True))
    )
    found = rustworkx.core_number(graph)
    return np.array([found[account] for account in range(edges.accounts)], dtype=np.int32)
