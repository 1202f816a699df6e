# SPDX-License-Identifier: Apache-2.0
"""Trades that add up, cut into cycles that each end where they began and paths that lead somewhere.

Every pool that is traded with is an edge of the graph of tokens, from the coin paid to the coin received,
that multiplies what runs through it. Where no token is short each edge's coin is brought by another, so going
back along edges always closes a cycle; what is left without cycles carries gains, or an order, forward.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from koinon.markets.routing.tables import Floats, Ints

DUST: Final = 1e-9
"""Trades smaller than this share of the largest, by value, are left out."""
MOST_HOPS: Final = 8
"""Longest cycle or path, in swaps: what ``Router.vy`` takes."""


@dataclass(frozen=True)
class Hop:
    """One swap: which pool, and which of its coins (0 or 1) is paid in."""

    pool: int
    coin_in: int


@dataclass(frozen=True)
class Stream:
    """Swaps one after another, each paying in what the one before gave out.

    ``amount`` of token ``start`` goes in (smallest units, still a fraction), ``end`` comes out; a cycle ends
    where it starts.
    """

    start: int
    end: int
    hops: tuple[Hop, ...]
    amount: float

    @property
    def cycle(self) -> bool:
        """Whether it ends where it starts."""
        return self.start == self.end


@dataclass
class _Edge:
    hop: Hop
    source: int
    target: int
    left: float
    rate: float
    value: float

    @property
    def worth(self) -> float:
        return float(self.left * self.value)


class _Graph:
    """Edges with something left on them."""

    def __init__(self, coins: Ints, net: Floats, prices: Floats, most_hops: int) -> None:
        self.most_hops = most_hops
        paid = np.where(net[:, 0] < 0, 0, 1)
        rows = np.arange(len(net))
        given, taken = -net[rows, paid], net[rows, 1 - paid]
        value = given * prices[coins[rows, paid]]
        least = DUST * value.max(initial=0.0)
        self.into: dict[int, list[_Edge]] = defaultdict(list)
        self.out_of: dict[int, list[_Edge]] = defaultdict(list)
        self.edges: list[_Edge] = []
        for row in np.argsort(-value, kind="stable"):
            if not (value[row] > least and taken[row] > 0):
                continue
            side = int(paid[row])
            source, target = int(coins[row, side]), int(coins[row, 1 - side])
            edge = _Edge(
                Hop(int(row), side),
                source,
                target,
                float(given[row]),
                float(taken[row] / given[row]),
                float(prices[source]),
            )
            self.edges.append(edge)
            self.into[target].append(edge)
            self.out_of[source].append(edge)
        self.least = least

    def there(self, edge: _Edge) -> bool:
        return bool(edge.worth > self.least)

    def way_round(self, edge: _Edge) -> list[_Edge] | None:
        """The shortest cycle through an edge, beginning with it."""
        came: dict[int, _Edge] = {}
        waiting = deque([(edge.source, 1)])
        seen = {edge.source}
        while waiting:
            token, length = waiting.popleft()
            if token == edge.target:
                break
            if length >= self.most_hops:
                continue
            for before in self.into[token]:
                if before.source not in seen and self.there(before):
                    seen.add(before.source)
                    came[before.source] = before
                    waiting.append((before.source, length + 1))
        if edge.target not in seen:
            return None
        found, token = [edge], edge.target
        while token != edge.source:
            found.append(came[token])
            token = came[token].target
        return found

    def way_on(self, start: int, ends: frozenset[int]) -> list[_Edge] | None:
        """The shortest path from a token to one of ``ends``."""
        came: dict[int, _Edge] = {}
        waiting, seen = deque([(start, 0)]), {start}
        while waiting:
            token, length = waiting.popleft()
            if token in ends and token != start:
                found = []
                while token != start:
                    found.append(came[token])
                    token = came[token].source
                return found[::-1]
            if length >= self.most_hops:
                continue
            for edge in self.out_of[token]:
                if edge.target not in seen and self.there(edge):
                    seen.add(edge.target)
                    came[edge.target] = edge
                    waiting.append((edge.target, length + 1))
        return None


def cycles_and_paths(
    coins: Ints,
    net: Floats,
    prices: Floats,
    worth: Floats,
    held: Mapping[int, float] | None = None,
    *,
    most_hops: int = MOST_HOPS,
) -> list[Stream]:
    """The streams of an `Optimum` (its ``net`` and ``prices``), cycles first, the largest first.

    ``worth`` (tokens,) says what the trader values; ``held`` (token → amount) what there was to sell. Gains
    that a cycle leaves in a token that is worth more elsewhere are carried on by paths.
    """
    graph = _Graph(coins, net, prices, most_hops)
    wanted = frozenset(np.flatnonzero((worth > 0) & (worth >= prices * (1 - 1e-9))).tolist())
    surplus: dict[int, float] = defaultdict(float, held or {})
    cycles = list(_cycles(graph, wanted, surplus))
    return cycles + list(_paths(graph, wanted, surplus))


def _cycles(graph: _Graph, wanted: frozenset[int], surplus: dict[int, float]) -> Iterator[Stream]:
    for edge in graph.edges:
        while graph.there(edge):
            ring = graph.way_round(edge)
            if ring is None:
                break
            first = next((at for at, each in enumerate(ring) if each.source in wanted), 0)
            ring = ring[first:] + ring[:first]
            amount, gain = _take(ring, float("inf"))
            surplus[ring[0].source] += amount * (gain - 1)
            yield Stream(ring[0].source, ring[0].source, tuple(each.hop for each in ring), amount)


def _paths(graph: _Graph, wanted: frozenset[int], surplus: dict[int, float]) -> Iterator[Stream]:
    for start in list(surplus):
        if start in wanted:
            continue
        while surplus[start] > 0:
            way = graph.way_on(start, wanted)
            if way is None:
                break
            amount, _ = _take(way, surplus[start])
            surplus[start] = max(surplus[start] - amount, 0.0)
            yield Stream(start, way[-1].target, tuple(each.hop for each in way), amount)


def _take(way: list[_Edge], most: float) -> tuple[float, float]:
    """Takes as much from every edge of a way as its narrowest allows: the amount, and what one becomes."""
    gain, amount, narrowest = 1.0, most, None
    for edge in way:
        if edge.left / gain < amount:
            amount, narrowest = edge.left / gain, edge
        gain *= edge.rate
    gain = 1.0
    for edge in way:
        edge.left = 0.0 if edge is narrowest else max(edge.left - amount * gain, 0.0)
        gain *= edge.rate
    return amount, gain
