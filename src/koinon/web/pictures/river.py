# SPDX-License-Identifier: Apache-2.0
"""The river: money drawn from payer through a Work's till to everyone upstream, ribbons by amount."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from koinon.web.pictures.river_layout import NODE_WIDTH, Course, Node, lay_out
from koinon.web.pictures.river_narrow import draw_narrow
from koinon.web.pictures.river_parts import (
    NAME_SIZE,
    NOTE_SIZE,
    Shape,
    bar,
    currents,
    frame,
    legend,
    node_words,
)
from koinon.web.pictures.streams import River
from koinon.web.pictures.svg import Point, element, label, midline, ribbon, wrapped

WIDTH: Final = 1120.0
MOST: Final = 12
MOST_NARROW: Final = 7
_LEFT: Final = 176.0
_RIGHT: Final = 884.0
_TOP: Final = 14.0
_EARNED_HEIGHT: Final = 250.0


def draw_river(river: River, identity: str = "river", *, most: int = MOST) -> Markup:
    """The river as two drawings, of which the stylesheet shows the one that fits the page.

    Parameters
    ----------
    river : River
    identity : str
        Begins every id in the drawings; other pictures on the page have others.
    most : int
        How many payers, and how many accounts, stand by themselves; the smallest are told together.
    """
    wide = _draw_wide(river.simplified(most).flowing(), f"{identity}-wide")
    narrow = draw_narrow(river.simplified(min(most, MOST_NARROW)).flowing(), f"{identity}-narrow")
    return element("div", {"class": "picture river", "id": identity}, wide, narrow)


def _draw_wide(river: River, identity: str) -> Markup:
    words: dict[str, list[tuple[str, str]]] = {}
    step = 0.0

    def room(key: str, layers: int) -> tuple[float, float]:
        nonlocal step
        step = (_RIGHT - _LEFT) / (layers - 1)
        till = river.places[key].kind == "till"
        side = (
            step - 16 if till else (_LEFT - 14 if not river.into(key) else WIDTH - _RIGHT - NODE_WIDTH - 14)
        )
        words[key] = [("name", line) for line in wrapped(river.places[key].label, NAME_SIZE, side)]
        dry = not river.earned
        for phrase in () if dry else river.amounts(key):
            words[key] += [("note", line) for line in wrapped(phrase, NOTE_SIZE, side, 3)]
        lines = 16.0 * len(words[key])
        return (lines + 6, 0.0) if till else (0.0, lines + 4)

    layout = lay_out(river, left=_LEFT, right=_RIGHT, full=_EARNED_HEIGHT, room=room)
    streams = [currents(identity, river, course.stream, _shape(course)) for course in layout.courses]
    nodes = []
    for node, x in layout.nodes:
        lines = words[node.key]
        nodes.append(
            node_words(
                river,
                node.key,
                bar(river, node.key, identity, Point(x, node.y + _TOP), node.height),
                _label(river, node, x, lines),
            )
        )
    height = layout.height + _TOP + 44
    return frame(
        river,
        identity,
        "wide",
        WIDTH,
        height,
        element("g", {"class": "streams"}, *streams),
        *nodes,
        legend(river, identity, Point(_LEFT, height - 12)),
    )


def _label(river: River, node: Node, x: float, lines: list[tuple[str, str]]) -> Markup:
    if river.places[node.key].kind == "till":
        return label(lines, x, node.y + _TOP - 16 * len(lines) + 6)
    first = node.middle + _TOP - 8 * len(lines) + 12
    if not river.into(node.key):
        return label(lines, x - 8, first, anchor="end")
    return label(lines, x + NODE_WIDTH + 8, first)


def _shape(course: Course) -> Shape:
    """A course cut lengthwise into what has arrived and what waits."""
    stream, width = course.stream, course.width
    stations = tuple((Point(a.x, a.y + _TOP), Point(b.x, b.y + _TOP)) for a, b in course.stations)
    done = width * stream.done / stream.amount if stream.amount else 0.0
    below = tuple((Point(a.x, a.y + done), Point(b.x, b.y + done)) for a, b in stations)
    return Shape(
        ribbon(stations, done) if done else "",
        ribbon(below, width - done) if width - done > 1e-9 else "",
        midline(stations, width),
        width,
    )
