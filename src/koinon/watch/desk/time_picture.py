# SPDX-License-Identifier: Apache-2.0
"""Money in time: a lane for each account, and each transfer an arrow from lane to lane when it happened."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from koinon.watch.desk.graph import Graph
from koinon.watch.desk.graph_picture import figure
from koinon.watch.desk.words import short
from koinon.web import gettext as _
from koinon.web import moment, ngettext
from koinon.web.pictures.svg import cut, element, number, text_width

MOST_LANES: Final = 14
MOST_TRANSFERS: Final = 120
_LANE: Final = 28.0
_THIN: Final = 1.5
_THICK: Final = 7.0
_SIZES: Final = {"wide": (1120.0, 150.0), "narrow": (360.0, 30.0)}
"""Of each form, its width and the room for names on the left."""


def draw_in_time(
    edges: Sequence[Mapping[str, Any]], graph: Graph, until: int | None = None, identity: str = "in-time"
) -> Markup | None:
    """The picture; None where there is no transfer. Lanes stand in the order of the graph's steps; the
    largest transfers between them are drawn, the rest is counted in the picture's words."""
    order = [graph.places[at].name for layer in graph.layers for at in layer if graph.places[at].name]
    lanes = {name: at for at, name in enumerate(order[:MOST_LANES])}
    inside = [each for each in edges if each["source"] in lanes and each["target"] in lanes]
    drawn = sorted(inside, key=lambda each: -float(each["amount"]))[:MOST_TRANSFERS]
    if not drawn:
        return None
    left_out = len(edges) - len(drawn)
    span = min(each["timestamp"] for each in edges), max(each["timestamp"] for each in edges)
    said = ngettext(
        "One transfer from %(first)s to %(last)s",
        "%(num)s transfers from %(first)s to %(last)s",
        len(edges),
        first=moment(span[0]),
        last=moment(span[1]),
    )
    if left_out:
        said += ngettext("; %(num)s is not drawn", "; %(num)s are not drawn", left_out)
    numbers = {place.name: at + 1 for at, place in enumerate(graph.places)}
    return element(
        "div",
        {"class": "picture in-time", "id": identity},
        *(_form(form, drawn, lanes, numbers, span, until, said) for form in _SIZES),
    )


def _form(  # noqa: PLR0917
    form: str,
    drawn: Sequence[Mapping[str, Any]],
    lanes: Mapping[str, int],
    numbers: Mapping[str, int],
    span: tuple[int, int],
    until: int | None,
    said: str,
) -> Markup:
    width, left = _SIZES[form]
    right, top = width - 16, 20.0
    bottom = top + _LANE * (len(lanes) - 1)
    first, last = span
    length = max(1, last - first)

    def x_of(moment_s: int) -> float:
        if last == first:
            return (left + right) / 2
        return left + 8 + (right - left - 8) * (moment_s - first) / length

    parts: list[Markup] = []
    for name, at in lanes.items():
        y = top + _LANE * at
        label = cut(short(name), 12.5, left - 12) if form == "wide" else str(numbers[name])
        parts += [
            element("path", {"class": "orbit", "d": f"M{number(left)} {number(y)}H{number(right)}"}),
            _text(label, left - 10, y + 4, "end", "row"),
        ]
    most = max(float(each["amount"]) for each in drawn) or 1.0
    for each in sorted(drawn, key=lambda one: -float(one["amount"])):
        parts.append(_transfer(each, lanes, x_of(int(each["timestamp"])), top, most, until))
    if until is not None and first <= until < last:
        line = f"M{number(x_of(until))} {number(top - 12)}V{number(bottom + 12)}"
        parts.append(element("path", {"class": "baseline", "d": line}))
    parts.append(_text(_day(first), left, bottom + 32, "start"))
    below = bottom + 32
    if last > first:
        # beneath each other where both do not fit beside each other
        if text_width(_day(first), 12.5) + text_width(_day(last), 12.5) + 16 > right - left:
            below += 18
        parts.append(_text(_day(last), right, below, "end"))
    return element(
        "svg",
        {
            "class": form,
            "viewBox": f"0 0 {number(width)} {number(below + 10)}",
            "role": "img",
            "aria_label": said,
            "xmlns": "http://www.w3.org/2000/svg",
        },
        *parts,
    )


def _transfer(  # noqa: PLR0917
    edge: Mapping[str, Any], lanes: Mapping[str, int], x: float, top: float, most: float, until: int | None
) -> Markup:
    start, end = (top + _LANE * lanes[edge[name]] for name in ("source", "target"))
    thick = _THIN + (_THICK - _THIN) * math.sqrt(max(0.0, float(edge["amount"])) / most)
    kind = "later" if until is not None and edge["timestamp"] > until else ""
    words = _(
        "%(when)s: %(payer)s paid %(payee)s %(amount)s",
        when=moment(edge["timestamp"]),
        payer=short(edge["source"]),
        payee=short(edge["target"]),
        amount=figure(float(edge["amount"])),
    )
    way = 1 if end >= start else -1
    half, tip = 3 + thick / 2, end - way * 2
    tail = tip - way * 8
    head = f"M{number(x)} {number(tip)}L{number(x - half)} {number(tail)}H{number(x + half)}Z"
    return element(
        "g",
        {},
        element("title", {}, words),
        element("circle", {"class": f"way-head {kind}".strip(), "cx": x, "cy": start, "r": 2.5}),
        element(
            "path",
            {
                "class": f"way {kind}".strip(),
                "d": f"M{number(x)} {number(start)}V{number(tail)}",
                "stroke_width": thick,
            },
        ),
        element("path", {"class": f"way-head {kind}".strip(), "d": head}),
    )


def _day(timestamp: int) -> str:
    return moment(timestamp).removesuffix(" UTC")


def _text(words: str, x: float, y: float, anchor: str, kind: str = "note") -> Markup:
    return element("text", {"class": kind, "x": x, "y": y, "text_anchor": anchor}, words)
