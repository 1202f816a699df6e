# SPDX-License-Identifier: Apache-2.0
"""The picture of a case: accounts as places, what they paid as arrows whose width tells the sum.

Where the way is short and narrow, places stand in steps from whoever paid first on; else on a ring. It needs
no script: each account can be reached by keyboard and says in words what it paid and received.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from koinon.watch.desk.graph import Flow, Graph, Place
from koinon.web import gettext as _
from koinon.web import moment, ngettext, url
from koinon.web.pictures.arrows import arrow
from koinon.web.pictures.svg import Point, cut, element, number

_DOT: Final = 9.0
_THIN: Final = 1.5
_THICK: Final = 9.0
_WIDE: Final = 1120.0
_NARROW: Final = 360.0
_ROW: Final = 66.0
_SIDE: Final = 132.0
"""Room for names beside the first and the last step."""
_MOST_WORDS: Final = 14
"""Flows up to which sums stand beside the arrows."""


def draw_graph(graph: Graph, identity: str = "graph") -> Markup:
    """The picture for wide pages, and for phones with its accounts as a list beneath."""
    wide, high = _steps_across(graph) if not graph.ring else _on_a_ring(graph, _WIDE / 2, 200.0)
    slim, low = _steps_down(graph) if not graph.ring else _on_a_ring(graph, _NARROW / 2, 130.0)
    listed = [
        element(
            "text",
            {"class": "note", "x": 12, "y": low + 16 + 20 * at},
            cut(f"{at + 1}  {_name(each)}", 12.5, _NARROW - 24),
        )
        for at, each in enumerate(graph.places)
    ]
    below = low + 16 + 20 * len(graph.places)
    return element(
        "div",
        {"class": "picture graph", "id": identity},
        _frame(graph, f"{identity}-wide", "wide", (_WIDE, high), _drawn(graph, wide, named=True)),
        _frame(
            graph,
            f"{identity}-narrow",
            "narrow",
            (_NARROW, below),
            [*_drawn(graph, slim, named=False), *listed],
        ),
    )


def flow_said(graph: Graph, flow: Flow) -> str:
    """One arrow in words."""
    said = ngettext(
        "%(payer)s paid %(payee)s %(amount)s once",
        "%(payer)s paid %(payee)s %(amount)s in %(num)s transfers",
        flow.count,
        payer=_name(graph.places[flow.source]),
        payee=_name(graph.places[flow.target]),
        amount=figure(flow.amount),
    )
    return _("%(said)s, from %(when)s on", said=said, when=moment(flow.first))


def figure(amount: float) -> str:
    """A sum in few digits."""
    return f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.4g}"


def _name(place: Place) -> str:
    if place.others > 1 or not place.name:
        return ngettext("%(num)s other", "%(num)s others", place.others)
    return place.label


def _place_said(place: Place) -> str:
    said = _(
        "%(name)s paid %(paid)s and received %(received)s",
        name=place.name or _name(place),
        paid=figure(place.paid),
        received=figure(place.received),
    )
    if place.listed:
        return _("%(said)s; on a list", said=said)
    return _("%(said)s; the case is about it", said=said) if place.about else said


def _steps_across(graph: Graph) -> tuple[list[Point], float]:
    """Layers from left to right; the height."""
    high = _ROW * max(map(len, graph.layers)) + 24
    step = (_WIDE - 2 * _SIDE) / max(1, len(graph.layers) - 1)
    found = [Point(0, 0)] * len(graph.places)
    for across, layer in enumerate(graph.layers):
        for down, at in enumerate(layer):
            # every other step stands a little lower, so that arrows past it do not run through its places
            shift = 7.0 * (across % 2)
            y = high / 2 + (down - (len(layer) - 1) / 2) * _ROW - 10 + shift
            found[at] = Point(_SIDE + step * across, y)
    return found, high


def _steps_down(graph: Graph) -> tuple[list[Point], float]:
    """Layers from top to bottom, for phones; the height."""
    found = [Point(0, 0)] * len(graph.places)
    for down, layer in enumerate(graph.layers):
        room = (_NARROW - 48) / max(1, len(layer))
        for across, at in enumerate(layer):
            found[at] = Point(24 + room * (across + 0.5) + 8 * (down % 2), 28 + 84.0 * down)
    return found, 84.0 * len(graph.layers)


def _on_a_ring(graph: Graph, middle: float, radius: float) -> tuple[list[Point], float]:
    count = len(graph.places)
    angles = [2 * math.pi * at / count - math.pi / 2 for at in range(count)]
    high = 2 * radius + 72
    return [
        Point(middle + radius * math.cos(each), high / 2 + radius * math.sin(each)) for each in angles
    ], high


def _drawn(graph: Graph, places: Sequence[Point], *, named: bool) -> list[Markup]:
    most = max((flow.amount for flow in graph.flows), default=1.0) or 1.0
    words = named and len(graph.flows) <= _MOST_WORDS
    parts = [_flow(graph, flow, places, most, words=words) for flow in graph.flows]
    middle = sum(point.x for point in places) / max(1, len(places))
    ends = set(graph.layers[0]) | set(graph.layers[-1]) if named else set()
    for at, (place, point) in enumerate(zip(graph.places, places, strict=True)):
        outwards = at in ends and len(graph.places) > 1
        parts.append(_place(place, at, point, named=named, outwards=outwards, middle=middle))
    return parts


def _flow(graph: Graph, flow: Flow, places: Sequence[Point], most: float, *, words: bool) -> Markup:
    start, end = places[flow.source], places[flow.target]
    thick = _THIN + (_THICK - _THIN) * math.sqrt(max(0.0, flow.amount) / most)
    kind = "later" if flow.later else ""
    said = element("title", {}, flow_said(graph, flow))
    if flow.source == flow.target:
        # paid to itself, or among those that are drawn as one
        loop = f"M{number(start.x - 6)} {number(start.y - 10)}c-16 -26 28 -26 12 0"
        return element(
            "g",
            {},
            said,
            element("path", {"class": f"way {kind}".strip(), "d": loop, "stroke_width": thick}),
        )
    bend = 0.14 if graph.ring or start.x >= end.x else 0.07
    way = arrow(start, end, thick, gap=_DOT + 3, bend=bend)
    label = element(
        "text",
        {"class": "note", "x": way.label.x, "y": way.label.y, "text_anchor": "middle"},
        figure(flow.amount),
    )
    return element("g", {}, said, *way.drawn(thick, kind), label if words and not flow.later else None)


def _place(place: Place, at: int, point: Point, *, named: bool, outwards: bool, middle: float) -> Markup:
    kind = "dot listed" if place.listed else "dot about" if place.about else "dot"
    content: list[Markup] = [
        element("title", {}, _place_said(place)),
        element("circle", {"class": kind, "cx": point.x, "cy": point.y, "r": _DOT}),
    ]
    if place.listed:
        cross = f"M{number(point.x - 4)} {number(point.y - 4)}l8 8m-8 0l8 -8"
        content.append(element("path", {"class": "cross", "d": cross}))
    words = _name(place) if named else str(at + 1)
    if not named:
        spot, anchor = {"x": point.x + _DOT + 5, "y": point.y + 5}, "start"
    elif outwards:
        right = point.x >= middle
        spot = {"x": point.x + (16 if right else -16), "y": point.y + 5}
        anchor = "start" if right else "end"
    else:
        spot, anchor = {"x": point.x, "y": point.y + _DOT + 15}, "middle"
    content.append(element("text", {"class": "name small", "text_anchor": anchor, **spot}, words))
    said = _place_said(place)
    if place.on_chain:
        where = url(f"/chain/address/{place.name}")
        return element("a", {"class": "place", "href": where}, *content)
    return element(
        "g", {"class": "place", "tabindex": "0", "role": "graphics-symbol", "aria_label": said}, *content
    )


def _frame(
    graph: Graph, identity: str, form: str, size: tuple[float, float], content: Sequence[Markup]
) -> Markup:
    title, description = f"{identity}-title", f"{identity}-said"
    said = "; ".join(flow_said(graph, flow) for flow in graph.flows[:40])
    return element(
        "svg",
        {
            "class": form,
            "viewBox": f"0 0 {number(size[0])} {number(size[1])}",
            "role": "graphics-document",
            "aria_labelledby": f"{title} {description}",
        },
        element("title", {"id": title}, _("Who paid whom")),
        element("desc", {"id": description}, said or _("Nobody paid anybody.")),
        *content,
    )
