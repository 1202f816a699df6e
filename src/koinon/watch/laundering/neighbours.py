# SPDX-License-Identifier: Apache-2.0
"""An extra: whether a graph neural network sees more than its own inputs without the graph.

GraphSAGE with means (Hamilton et al. 2017) in torch's own sparse products. Inductive and without leakage: the
graph a transfer is judged on ends before its day begins, in learning and in measuring alike. Beside it stand
the same network without neighbours and with shuffled ones, because published gains of such networks have come
from seeing the later graph, and shuffled edges have beaten real ones (arXiv 2604.19514). Nothing in the watch
depends on this; `compare` says what it is worth on some transfers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.estimates import Estimate
from koinon.extras import required
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.windows import DAY_S, WEEK_S
from koinon.watch.laundering.measuring import Labels, average_precision, bootstrapped
from koinon.watch.laundering.table import split_by_time

HIDDEN: Final = 24
KINDS: Final = ("neighbours", "none", "shuffled")
_INPUTS: Final = 6
_EDGE: Final = 3


@dataclass(frozen=True)
class Day:
    """One day's transfers and the graph as it was when the day began.

    ``rows``: the day's rows; ``inputs`` float32[accounts, 6], what each account did in the week before;
    ``pairs`` int64[2, n], who dealt with whom in that week, both ways.
    """

    rows: slice
    inputs: NDArray[np.float32]
    pairs: NDArray[np.int64]


def days(edges: Edges) -> list[Day]:
    """Each day with what was known before it began."""
    if not len(edges):
        return []
    first = int(edges.timestamp[0]) // DAY_S
    found = []
    for day in range(first, int(edges.timestamp[-1]) // DAY_S + 1):
        moments = [day * DAY_S - WEEK_S, day * DAY_S, (day + 1) * DAY_S]
        old, begin, end = np.searchsorted(edges.timestamp, moments, side="left").tolist()
        if begin < end:
            found.append(Day(slice(begin, end), _inputs(edges, old, begin), _pairs(edges, old, begin)))
    return found


def compare(
    edges: Edges, illicit: Labels, clusters: NDArray[np.int32], *, seed: int = 0
) -> dict[str, Estimate]:
    """Average precision on the later transfers, for each of `KINDS`, with intervals.

    Raises
    ------
    SetupError
        torch is not installed.
    BadInput
        As `table.split_by_time` and `measuring.average_precision`.
    """
    split = split_by_time(edges, patterns=clusters)
    every = days(edges)
    later = split.measure
    found = {}
    for kind in KINDS:
        before = [day for day in every if day.rows.stop <= split.choose.start]
        weights = learn(before, edges, illicit, kind, seed, left_out=split.purged)
        scores = np.zeros(len(edges))
        for day in every:
            if day.rows.stop > later.start:
                scores[day.rows] = score(weights, day, edges, kind, seed)
        found[kind] = bootstrapped(
            average_precision, illicit[later], scores[later], clusters[later], draws=100, seed=seed
        )
    return found


def learn(
    every: list[Day],
    edges: Edges,
    illicit: Labels,
    kind: str,
    seed: int = 0,
    *,
    left_out: NDArray[np.int64] | None = None,
    epochs: int = 30,
) -> dict[str, Any]:
    """The network's weights after some rounds over these days. Rows that are ``left_out`` are part of the
    graph, as they were, and their labels are not learned from."""
    torch = required("torch", extra="torch")
    random = torch.Generator().manual_seed(seed)
    shapes = {
        "own": (_INPUTS, HIDDEN),
        "near": (_INPUTS, HIDDEN),
        "own2": (HIDDEN, HIDDEN),
        "near2": (HIDDEN, HIDDEN),
        "head": (2 * HIDDEN + _EDGE, HIDDEN),
        "out": (HIDDEN, 1),
    }
    weights = {
        name: (torch.randn(shape, generator=random) / shape[0] ** 0.5).requires_grad_()
        for name, shape in shapes.items()
    }
    optimizer = torch.optim.Adam(weights.values(), lr=0.01)
    used = np.ones(len(edges), dtype=np.bool_)
    if left_out is not None:
        used[left_out] = False
    rate = float(np.mean(np.concatenate([illicit[day.rows][used[day.rows]] for day in every])))
    balance = torch.tensor(min(50.0, (1 - rate) / max(rate, 1e-6)))
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits
    prepared = [
        (_graph(day, kind, seed), *_ends(day, edges), illicit[day.rows], torch.from_numpy(used[day.rows]))
        for day in every
        if used[day.rows].any()
    ]
    for _ in range(epochs):
        for graph, source, target, about, truth, kept in prepared:
            optimizer.zero_grad()
            logits = _forward(weights, graph, source, target, about)
            wanted = torch.from_numpy(truth.astype(np.float32))
            loss_of(logits[kept], wanted[kept], pos_weight=balance).backward()
            optimizer.step()
    return weights


def score(weights: dict[str, Any], day: Day, edges: Edges, kind: str, seed: int = 0) -> NDArray[np.float64]:
    """From 0 to 1 for each of the day's transfers."""
    torch = required("torch", extra="torch")
    with torch.no_grad():
        logits = _forward(weights, _graph(day, kind, seed), *_ends(day, edges))
        return np.asarray(torch.sigmoid(logits).numpy(), dtype=np.float64)


def _forward(weights: dict[str, Any], graph: tuple[Any, Any], source: Any, target: Any, about: Any) -> Any:
    torch = required("torch", extra="torch")
    inputs, mean = graph

    def layer(state: Any, own: str, near: str) -> Any:
        found = state @ weights[own]
        return torch.relu(found if mean is None else found + torch.sparse.mm(mean, state) @ weights[near])

    state = layer(layer(inputs, "own", "near"), "own2", "near2")
    both = torch.cat([state[source], state[target], about], dim=1)
    return (torch.relu(both @ weights["head"]) @ weights["out"])[:, 0]


def _graph(day: Day, kind: str, seed: int) -> tuple[Any, Any]:
    """The inputs, and the matrix that takes the mean over an account's neighbours."""
    torch = required("torch", extra="torch")
    inputs = torch.from_numpy(day.inputs)
    if kind == "none":
        return inputs, None
    one, other = day.pairs
    if kind == "shuffled":
        other = np.random.default_rng(seed).permutation(other)
    count = day.inputs.shape[0]
    degree = np.maximum(np.bincount(one, minlength=count), 1)
    values = torch.from_numpy((1.0 / degree[one]).astype(np.float32))
    places = torch.from_numpy(np.stack([one, other]))
    mean = torch.sparse_coo_tensor(places, values, (count, count), check_invariants=False)
    return inputs, mean.coalesce()


def _ends(day: Day, edges: Edges) -> tuple[Any, Any, Any]:
    torch = required("torch", extra="torch")
    rows = day.rows
    amount = np.log1p(edges.amount[rows])
    hour = edges.timestamp[rows] % DAY_S / DAY_S * 2 * np.pi
    about = np.stack([amount / 10, np.sin(hour), np.cos(hour)], axis=1).astype(np.float32)
    source = torch.from_numpy(edges.source[rows].astype(np.int64))
    target = torch.from_numpy(edges.target[rows].astype(np.int64))
    return source, target, torch.from_numpy(about)


def _inputs(edges: Edges, old: int, begin: int) -> NDArray[np.float32]:
    rows, count = slice(old, begin), edges.accounts
    columns = []
    for own, other in ((edges.source, edges.target), (edges.target, edges.source)):
        number = np.bincount(own[rows], minlength=count)
        total = np.bincount(own[rows], weights=edges.amount[rows], minlength=count)
        pairs = np.unique(own[rows].astype(np.int64) << 32 | other[rows])
        columns += [number, total, np.bincount(pairs >> 32, minlength=count)]
    return (np.log1p(np.stack(columns, axis=1)) / 5).astype(np.float32)


def _pairs(edges: Edges, old: int, begin: int) -> NDArray[np.int64]:
    rows = slice(old, begin)
    keys = np.unique(edges.source[rows].astype(np.int64) << 32 | edges.target[rows])
    one, other = keys >> 32, keys & 0xFFFFFFFF
    return np.stack([np.concatenate([one, other]), np.concatenate([other, one])])
