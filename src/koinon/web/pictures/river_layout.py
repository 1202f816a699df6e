# SPDX-License-Identifier: Apache-2.0
"""Where everything in a river lies: layers from payers to accounts, ordered so that few ribbons cross.

A layered drawing (Sugiyama, Tagawa, Toda 1981): long streams pass each layer through a gate of their own, so
that no ribbon runs over a node; barycentres order the layers; heights are relaxed as in a Sankey diagram.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from koinon.web.pictures.streams import OTHER_PAYEES, OTHER_PAYERS, River, Stream
from koinon.web.pictures.svg import Point

NODE_WIDTH: Final = 10.0
LEAST_WIDTH: Final = 2.0
"""Of a ribbon, in pixels: what is less would not be seen."""
_GAP: Final = 12.0
_SWEEPS: Final = 6


@dataclass
class Node:
    """A place, or a gate where ``key`` is a stream's number. ``y`` is the top of its bar; above it ``head``
    pixels belong to its label, and all of it takes at least ``slot`` pixels."""

    key: str
    layer: int
    gate: bool = False
    height: float = 0.0
    head: float = 0.0
    slot: float = 0.0
    y: float = 0.0
    before: list[Node] = field(default_factory=list)
    after: list[Node] = field(default_factory=list)

    @property
    def space(self) -> float:
        return max(self.slot, self.head + self.height)

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def top(self) -> float:
        """The upper end of the space it takes; the bar is centred where the slot is higher than it."""
        return self.y - self.head - (self.space - self.head - self.height) / 2

    def place(self, top: float) -> None:
        self.y = top + self.head + (self.space - self.head - self.height) / 2


@dataclass(frozen=True)
class Course:
    """A stream's ribbon: stations (upper edge, from and to) and width in pixels."""

    stream: Stream
    stations: tuple[tuple[Point, Point], ...]
    width: float


@dataclass(frozen=True)
class Layout:
    """All nodes with their x, all courses, and the height that is needed."""

    nodes: tuple[tuple[Node, float], ...]
    courses: tuple[Course, ...]
    layers: int
    height: float


def lay_out(
    river: River,
    *,
    left: float,
    right: float,
    full: float,
    room: Callable[[str, int], tuple[float, float]],
) -> Layout:
    """Lay a river out.

    Parameters
    ----------
    left, right : float
        x of the first layer's and the last layer's bars.
    full : float
        Height of everything the Work earned, in pixels.
    room : callable
        (head, slot) of a place in pixels, by its key and how many layers there are.
    """
    layer = _layers(river)
    last = max(layer.values())
    scale = full / river.earned if river.earned else 0.0
    nodes = {key: Node(key, number) for key, number in layer.items()}
    for node in nodes.values():
        node.head, node.slot = room(node.key, last + 1)
    widths = {
        index: max(LEAST_WIDTH, stream.amount * scale) if river.earned else 9.0
        for index, stream in enumerate(river.streams)
    }
    chains = {
        index: _chain(index, stream, nodes, widths[index]) for index, stream in enumerate(river.streams)
    }
    all_nodes = list(nodes.values()) + [node for chain in chains.values() for node in chain[1:-1]]
    for key, node in nodes.items():
        came = sum(widths[index] for index, stream in enumerate(river.streams) if stream.target == key)
        gone = sum(widths[index] for index, stream in enumerate(river.streams) if stream.source == key)
        node.height = max(came, gone, 8.0)
    rows = [[node for node in all_nodes if node.layer == number] for number in range(last + 1)]
    _order(rows)
    height = _stack(rows)
    step = (right - left) / last if last else 0.0
    courses = _courses(river, chains, widths, lambda node: left + step * node.layer)
    placed = tuple((node, left + step * node.layer) for node in nodes.values())
    return Layout(placed, courses, last + 1, height)


def _layers(river: River) -> dict[str, int]:
    """Payers first, accounts last, tills as early as everything that feeds them allows."""
    layer = {key: 0 for key, place in river.places.items() if not river.into(key) and place.kind != "till"}
    layer[river.till] = 1
    waiting = [river.till]
    while waiting:
        source = waiting.pop()
        for stream in river.out_of(source):
            deeper = layer[source] + 1
            if river.places[stream.target].kind == "till" and layer.get(stream.target, 0) < deeper:
                layer[stream.target] = deeper
                waiting.append(stream.target)
    last = max(layer.values()) + 1
    for key, place in river.places.items():
        if key not in layer and place.kind != "till":
            layer[key] = last
    return layer


def _chain(index: int, stream: Stream, nodes: dict[str, Node], width: float) -> list[Node]:
    first, final = nodes[stream.source], nodes[stream.target]
    gates = [
        Node(f"{index}", number, gate=True, height=width) for number in range(first.layer + 1, final.layer)
    ]
    chain = [first, *gates, final]
    for one, other in pairwise(chain):
        one.after.append(other)
        other.before.append(one)
    return chain


def _order(rows: list[list[Node]]) -> None:
    """Sort layers by the mean place of their neighbours, forth and back."""
    place: dict[int, float] = {}

    def note(row: list[Node]) -> None:
        for position, node in enumerate(row):
            place[id(node)] = position / max(1, len(row) - 1) if len(row) > 1 else 0.5

    def by_neighbours(node: Node, neighbours: list[Node]) -> float:
        if not neighbours:
            return place[id(node)]
        return sum(place[id(one)] for one in neighbours) / len(neighbours)

    for row in rows:
        row.sort(key=lambda node: (node.key in (OTHER_PAYERS, OTHER_PAYEES), -node.height, node.key))
        note(row)
    for _ in range(_SWEEPS):
        for row in rows[1:]:
            row.sort(key=lambda node: by_neighbours(node, node.before))
            note(row)
        for row in rows[-2::-1]:
            row.sort(key=lambda node: by_neighbours(node, node.after))
            note(row)


def _stack(rows: list[list[Node]]) -> float:
    """Give every node its height on the page, near its neighbours and clear of others; the whole height."""
    needed = [sum(node.space for node in row) + _GAP * (len(row) - 1) for row in rows]
    height = max(needed)
    for row, need in zip(rows, needed, strict=True):
        top = (height - need) / 2
        for node in row:
            node.place(top)
            top += node.space + _GAP
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        for row in rows if forth else rows[::-1]:
            for node in row:
                neighbours = node.before if forth else node.after
                if neighbours:
                    weight = sum(one.height for one in neighbours)
                    wanted = sum(one.middle * one.height for one in neighbours) / weight
                    node.y = wanted - node.height / 2
            _clear(row, height)
    return height


def _clear(row: list[Node], height: float) -> None:
    """Push nodes apart, down and then up, so that none overlaps and none leaves the page."""
    top = 0.0
    for node in row:
        node.place(max(node.top, top))
        top = node.top + node.space + _GAP
    bottom = height
    for node in reversed(row):
        node.place(min(node.top, bottom - node.space))
        bottom = node.top - _GAP


def _courses(
    river: River, chains: dict[int, list[Node]], widths: dict[int, float], x_of: Callable[[Node], float]
) -> tuple[Course, ...]:
    """Where each ribbon leaves and enters: at every bar in the order of the other ends."""
    leaves, enters = _ports(chains, widths, out=True), _ports(chains, widths, out=False)
    courses = []
    for index, chain in chains.items():
        stations = []
        for node in chain:
            x = x_of(node)
            if node.gate:
                stations.append((Point(x, node.y), Point(x + NODE_WIDTH, node.y)))
            elif node is chain[0]:
                point = Point(x + NODE_WIDTH, leaves[index])
                stations.append((point, point))
            else:
                point = Point(x, enters[index])
                stations.append((point, point))
        courses.append(Course(river.streams[index], tuple(stations), widths[index]))
    return tuple(courses)


def _ports(chains: dict[int, list[Node]], widths: dict[int, float], *, out: bool) -> dict[int, float]:
    by_node: dict[int, list[int]] = defaultdict(list)
    for index, chain in chains.items():
        by_node[id(chain[0] if out else chain[-1])].append(index)
    found: dict[int, float] = {}
    for indexes in by_node.values():
        node = chains[indexes[0]][0 if out else -1]
        indexes.sort(key=lambda index: (chains[index][1 if out else -2].middle, index))
        y = node.y + (node.height - sum(widths[index] for index in indexes)) / 2
        for index in indexes:
            found[index] = y
            y += widths[index]
    return found
