# SPDX-License-Identifier: Apache-2.0
"""The markets' pictures: tokens and pools as a graph with what flows through them, and prices in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from markupsafe import Markup

from koinon.markets.past import Points
from koinon.web import gettext as _
from koinon.web import ngettext
from koinon.web.pictures import Times, Track, draw_times
from koinon.web.pictures.arrows import arrow
from koinon.web.pictures.svg import Point, cut, element, number

MOST_TOKENS: Final = 12
"""Tokens on the ring; those with most pools and those that something flows through come first."""
MOST_POOLS: Final = 60
MOST_LINES: Final = 4
_DOT: Final = 9.0
_SPREAD: Final = 0.16
_WIDTHS: Final = (2.0, 7.0)


@dataclass(frozen=True)
class Edge:
    """A pool between two tokens, by their places; ``words`` what it is and holds, ``href`` its page."""

    first: int
    second: int
    words: str
    href: str


@dataclass(frozen=True)
class Flow:
    """What goes through a pool: the edge's place, whether from its first token, how wide, and in words."""

    edge: int
    from_first: bool
    part: float
    label: str
    words: str


@dataclass(frozen=True)
class Graph:
    """Tokens by name, pools between them, and flows through pools."""

    tokens: Sequence[str]
    edges: Sequence[Edge]
    flows: Sequence[Flow]

    def sentence(self) -> str:
        """What is connected, and what flows."""
        told = _(
            "%(tokens)s and %(pools)s.",
            tokens=ngettext("One token", "%(num)s tokens", len(self.tokens)),
            pools=ngettext("one pool", "%(num)s pools", len(self.edges)),
        )
        return " ".join([told, *(flow.words for flow in self.flows)])


def draw_graph(graph: Graph, identity: str = "graph") -> Markup:
    """The ring, wide and for phones."""
    drawings = []
    for form, width, middle, radius in (("wide", 1120.0, 210.0, 158.0), ("narrow", 360.0, 156.0, 112.0)):
        centre = Point(width / 2, middle)
        lowest = max((middle + radius * math.sin(angle) for angle in _angles(graph)), default=middle)
        content = _ring(graph, centre, radius)
        drawings.append(_frame(graph, f"{identity}-{form}", form, (width, lowest + 46), content))
    return element("div", {"class": "picture talk", "id": identity}, *drawings)


def _frame(
    graph: Graph, identity: str, form: str, size: tuple[float, float], content: Sequence[Markup]
) -> Markup:
    title, description = f"{identity}-title", f"{identity}-said"
    return element(
        "svg",
        {
            "class": form,
            "viewBox": f"0 0 {number(size[0])} {number(size[1])}",
            "role": "graphics-document",
            "aria_labelledby": f"{title} {description}",
        },
        element("title", {"id": title}, _("Pools, and what a cycle moves through them")),
        element("desc", {"id": description}, graph.sentence()),
        *content,
    )


def _ring(graph: Graph, centre: Point, radius: float) -> list[Markup]:
    angles = _angles(graph)
    places = [Point(centre.x + radius * math.cos(a), centre.y + radius * math.sin(a)) for a in angles]
    bends = _bends(graph.edges)
    used = {flow.edge for flow in graph.flows}
    parts = [_pool(edge, places, bends[place], place in used) for place, edge in enumerate(graph.edges)]
    parts += [_flow(flow, graph.edges[flow.edge], places, bends[flow.edge], centre) for flow in graph.flows]
    for name, at, angle in zip(graph.tokens, places, angles, strict=True):
        parts.append(_token(name, at, angle, radius))
    return parts


def _angles(graph: Graph) -> list[float]:
    count = len(graph.tokens)
    first = math.pi if count == 2 else -math.pi / 2
    return [first + 2 * math.pi * place / max(1, count) for place in range(count)]


def _bends(edges: Sequence[Edge]) -> list[float]:
    """How far each pool's line swings out, so that pools of the same tokens lie beside each other."""
    found = [0.0] * len(edges)
    order = sorted(range(len(edges)), key=lambda place: _ends(edges[place]))
    for ends, group in groupby(order, key=lambda place: _ends(edges[place])):
        together = list(group)
        for position, place in enumerate(together):
            bend = _SPREAD * (position - (len(together) - 1) / 2) * 2
            found[place] = bend if edges[place].first == ends[0] else -bend
    return found


def _ends(edge: Edge) -> tuple[int, int]:
    return min(edge.first, edge.second), max(edge.first, edge.second)


def _turn(start: Point, end: Point, bend: float) -> Point:
    dx, dy = end.x - start.x, end.y - start.y
    return Point((start.x + end.x) / 2 - bend * dy, (start.y + end.y) / 2 + bend * dx)


def _pool(edge: Edge, places: Sequence[Point], bend: float, used: bool) -> Markup:
    start, end = places[edge.first], places[edge.second]
    turn = _turn(start, end, bend)
    middle = Point(turn.x / 2 + (start.x + end.x) / 4, turn.y / 2 + (start.y + end.y) / 4)
    parts = [element("title", {}, edge.words)]
    if not used:
        curve = f"M{_at(start)}Q{_at(turn)} {_at(end)}"
        parts.append(element("path", {"class": "kin", "d": curve}))
    parts.append(element("circle", {"class": "dot", "cx": middle.x, "cy": middle.y, "r": 5}))
    parts.append(element("circle", {"class": "reach", "cx": middle.x, "cy": middle.y, "r": 13}))
    return element("a", {"class": "place", "href": edge.href, "aria_label": edge.words}, *parts)


def _flow(flow: Flow, edge: Edge, places: Sequence[Point], bend: float, centre: Point) -> Markup:
    start, end = places[edge.first], places[edge.second]
    if not flow.from_first:
        start, end, bend = end, start, -bend
    thick = _WIDTHS[0] + (_WIDTHS[1] - _WIDTHS[0]) * flow.part
    way = arrow(start, end, thick, gap=_DOT + 4, bend=bend)
    turn = _turn(start, end, bend)
    middle = Point(turn.x / 2 + (start.x + end.x) / 4, turn.y / 2 + (start.y + end.y) / 4)
    side = 1 if middle.x >= centre.x else -1
    if abs(middle.x - centre.x) < 24:
        down = 26 if middle.y >= centre.y else -16
        words: dict[str, str | float | None] = {
            "x": middle.x,
            "y": middle.y + down,
            "text_anchor": "middle",
        }
    else:
        words = {"x": middle.x + 16 * side, "y": middle.y + 5, "text_anchor": "start" if side > 0 else "end"}
    return element(
        "g",
        {"class": "place", "tabindex": "0", "role": "graphics-symbol", "aria_label": flow.words},
        element("title", {}, flow.words),
        *way.drawn(thick),
        element("text", {"class": "note", **words}, flow.label),
    )


def _token(name: str, at: Point, angle: float, radius: float) -> Markup:
    side, lift = math.cos(angle), math.sin(angle)
    anchor = "middle" if abs(side) < 0.2 else ("start" if side > 0 else "end")
    gap = _DOT + 8
    room = 180 if radius > 140 else 60
    text: dict[str, str | float | None] = {
        "class": "name",
        "text_anchor": anchor,
        "x": at.x + gap * side,
        "y": at.y + gap * lift + (5 if anchor != "middle" else 8 * lift + 4),
    }
    return element(
        "g",
        {},
        element("title", {}, name),
        element("circle", {"class": "dot own", "cx": at.x, "cy": at.y, "r": _DOT}),
        element("text", text, cut(name, 14, room)),
    )


def _at(point: Point) -> str:
    return f"{number(point.x)} {number(point.y)}"


def draw_price(base: str, quote: str, pool: Points, feed: Points) -> Markup | None:
    """One pool's price in time beside what its feed's feeders said; none before it had a price."""
    if not pool:
        return None
    tracks = [Track(_("in the pool"), pool)]
    if feed:
        tracks.append(Track(_("by its feed"), _joined(feed, pool), held_against=True))
    name = _("What one %(base)s costs, %(quote)s", base=base, quote=quote)
    return draw_times(Times(name, tracks, shown=_figure), "price")


def draw_prices(found: Sequence[tuple[str, Points]]) -> Markup | None:
    """Prices of several pools in time, by name, each as a part of what it was at first."""
    tracks = [
        Track(name, [(at, value / points[0][1] * 100) for at, value in points])
        for name, points in found
        if points
    ][:MOST_LINES]
    if not tracks:
        return None
    ends = [at for track in tracks for at, _value in track.points]
    even = Track(_("unchanged"), [(min(ends), 100.0), (max(ends), 100.0)], held_against=True)
    return draw_times(Times(_("Prices, 100 at first"), [even, *tracks], shown=_index), "prices")


def _joined(feed: Points, pool: Points) -> Points:
    """The feed's rounds in the pool's time, its last word holding until the end."""
    first, last = pool[0][0], pool[-1][0]
    inside = [point for point in feed if first <= point[0] <= last]
    return [*inside, (last, inside[-1][1])] if inside else feed[-1:]


def _index(value: float) -> str:
    return f"{value:,.1f}"


def _figure(value: float) -> str:
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:,.4g}"


__all__ = ["Edge", "Flow", "Graph", "draw_graph", "draw_price", "draw_prices"]
