# SPDX-License-Identifier: Apache-2.0
"""Who paid whom in one case, as few places and arrows as a picture holds, and where each place stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.watch.cases.record import Case
from koinon.watch.desk.words import short
from koinon.watch.laundering.lists import ADDRESS

MOST: Final = 18
"""Accounts that are drawn one by one."""

MOST_LAYERS: Final = 7
MOST_IN_A_LAYER: Final = 12


@dataclass(frozen=True)
class Place:
    """An account: ``about`` where a finding is about it, ``listed`` where it is on a list; ``others`` how
    many it stands for where they are too many to draw, 1 otherwise. ``paid`` and ``received`` in all."""

    name: str
    about: bool
    listed: bool
    paid: float
    received: float
    others: int = 1

    @property
    def label(self) -> str:
        """Its name in few letters; empty for others."""
        return short(self.name)

    @property
    def on_chain(self) -> bool:
        """Whether its name is an address."""
        return ADDRESS.fullmatch(self.name) is not None


@dataclass(frozen=True)
class Flow:
    """All transfers from one place to another, by their numbers: so many, so much, from when to when (Unix
    seconds). ``later`` where none of them was yet at the time that is looked at."""

    source: int
    target: int
    amount: float
    count: int
    first: int
    last: int
    later: bool


@dataclass(frozen=True)
class Graph:
    """Places and flows; ``layers`` the places of each step of the way, from whoever paid first on, or one
    layer where the way is too long or too broad for that."""

    places: Sequence[Place]
    flows: Sequence[Flow]
    layers: Sequence[Sequence[int]]

    @property
    def ring(self) -> bool:
        """Whether places are drawn on a ring."""
        return len(self.layers) == 1 and len(self.places) > 1


def graph_of(case: Case, until: int | None = None, most: int = MOST) -> Graph:
    """The graph of a case's transfers.

    Parameters
    ----------
    until : int, optional
        Unix seconds; what comes after it is ``later``.
    most : int
        Accounts that are drawn one by one: those that findings are about first, then those that moved most;
        the rest are one place.
    """
    edges = case.edges
    moved: dict[str, float] = defaultdict(float)
    for edge in edges:
        for end in ("source", "target"):
            moved[str(edge[end])] += float(edge["amount"])
    about = {each.accounts[0] for each in case.findings if each.kind != "model"}
    about = about or {each.accounts[0] for each in case.findings}
    listed = {each.accounts[0] for each in case.findings if each.kind == "listed"}
    known = sorted(moved, key=lambda name: (name not in listed, name not in about, -moved[name], name))
    for name in case.accounts:
        if name not in moved and not moved:
            known.append(name)  # a listed address that paid nobody yet
    single = known if len(known) <= most else known[: most - 1]
    number = {name: at for at, name in enumerate(single)}
    rest = len(known) - len(single)
    flows = _flows(edges, number, len(single), until)
    paid, received = _sums(flows)
    places = [
        Place(name, name in about, name in listed, paid[at], received[at]) for name, at in number.items()
    ]
    if rest:
        places.append(Place("", False, False, paid[len(single)], received[len(single)], rest))
    return Graph(places, flows, _layers(len(places), flows))


def _flows(
    edges: Iterable[Mapping[str, Any]], number: Mapping[str, int], rest: int, until: int | None
) -> list[Flow]:
    found: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for edge in edges:
        ends = number.get(str(edge["source"]), rest), number.get(str(edge["target"]), rest)
        found.setdefault(ends, []).append(edge)
    return [
        Flow(
            source,
            target,
            sum(float(each["amount"]) for each in own),
            len(own),
            int(own[0]["timestamp"]),
            int(own[-1]["timestamp"]),
            until is not None and int(own[0]["timestamp"]) > until,
        )
        for (source, target), own in found.items()
    ]


def _sums(flows: Iterable[Flow]) -> tuple[dict[int, float], dict[int, float]]:
    paid: dict[int, float] = defaultdict(float)
    received: dict[int, float] = defaultdict(float)
    for flow in flows:
        paid[flow.source] += flow.amount
        received[flow.target] += flow.amount
    return paid, received


def _layers(count: int, flows: Sequence[Flow]) -> list[list[int]]:
    """Each place one step behind the last that pays it; in a layer near whom it deals with."""
    rank = {at: place for place, at in enumerate(_order(count, flows))}
    depth = dict.fromkeys(range(count), 0)
    forward = [each for each in flows if rank[each.source] < rank[each.target]]
    for flow in sorted(forward, key=lambda each: rank[each.source]):
        depth[flow.target] = max(depth[flow.target], depth[flow.source] + 1)
    layers: list[list[int]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for at, step in sorted(depth.items()):
        layers[step].append(at)
    if len(layers) > MOST_LAYERS or max(map(len, layers)) > MOST_IN_A_LAYER:
        return [list(range(count))]
    height = {at: place - (len(layers[0]) - 1) / 2 for place, at in enumerate(layers[0])}
    for layer in layers[1:]:
        near = {at: _middle(at, flows, height) for at in layer}
        layer.sort(key=lambda at: (near[at], at))
        height |= {at: place - (len(layer) - 1) / 2 for place, at in enumerate(layer)}
    return layers


def _order(count: int, flows: Sequence[Flow]) -> list[int]:
    """Places so that most money goes forwards (Eades, Lin and Smyth, 1993, weighted): who only pays first,
    who only receives last, and of the rest whoever pays most beyond what it receives; the earliest of equals.
    """
    paid: list[dict[int, float]] = [{} for _ in range(count)]
    received: list[dict[int, float]] = [{} for _ in range(count)]
    first = dict.fromkeys(range(count), 2**62)
    for flow in flows:
        first[flow.source] = min(first[flow.source], flow.first)
        if flow.source != flow.target:
            paid[flow.source][flow.target] = received[flow.target][flow.source] = flow.amount
    left = set(range(count))
    front: list[int] = []
    back: list[int] = []

    def take(at: int, to: list[int]) -> None:
        left.discard(at)
        to.append(at)
        for other in paid[at]:
            received[other].pop(at, None)
        for other in received[at]:
            paid[other].pop(at, None)

    while left:
        for ends, to in ((paid, back), (received, front)):
            while found := sorted((at for at in left if not ends[at]), key=lambda at: (first[at], at)):
                for at in found:
                    take(at, to)
        if left:
            beyond = {at: sum(paid[at].values()) - sum(received[at].values()) for at in left}
            take(min(left, key=lambda at: (-round(beyond[at], 6), first[at], at)), front)
    return [*front, *reversed(back)]


def _middle(at: int, flows: Iterable[Flow], height: Mapping[int, float]) -> float:
    """The mean height of those that are placed already and deal with it."""
    near = [height[each.source] for each in flows if each.target == at and each.source in height]
    near += [height[each.target] for each in flows if each.source == at and each.target in height]
    return sum(near) / len(near) if near else 0.0
