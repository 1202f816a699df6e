# SPDX-License-Identifier: Apache-2.0
"""A bent arrow from one round place to another, as wide as what it carries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from koinon.web.pictures.svg import Point, element, number

_HEAD: Final = 10.0


@dataclass(frozen=True)
class Arrow:
    """``curve`` is the path of its line and ``head`` that of its point; ``label`` is where words on it go."""

    curve: str
    head: str
    label: Point

    def drawn(self, thick: float, kind: str = "") -> list[Markup]:
        """Line and point; ``kind`` is added to their classes."""
        return [
            element("path", {"class": f"way {kind}".strip(), "d": self.curve, "stroke_width": thick}),
            element("path", {"class": f"way-head {kind}".strip(), "d": self.head}),
        ]


def arrow(start: Point, end: Point, thick: float, *, gap: float, bend: float) -> Arrow:
    """From one place to another.

    Parameters
    ----------
    thick : float
        How wide its line is, in pixels.
    gap : float
        How far from both places' middles it stays.
    bend : float
        How far it swings out to one side, as a share of its length; 0 is straight.
    """
    dx, dy = end.x - start.x, end.y - start.y
    length = math.hypot(dx, dy) or 1.0
    turn = Point((start.x + end.x) / 2 - bend * dy, (start.y + end.y) / 2 + bend * dx)
    begin = towards(start, turn, gap)
    point = towards(end, turn, gap)
    tail = towards(end, turn, gap + _HEAD)
    across = Point(-(tail.y - point.y), tail.x - point.x)
    span = (3 + thick / 2) / _HEAD
    corners = [
        point,
        Point(tail.x + span * across.x, tail.y + span * across.y),
        Point(tail.x - span * across.x, tail.y - span * across.y),
    ]
    out = Point(-dy / length, dx / length)
    middle = Point(turn.x / 2 + (start.x + end.x) / 4, turn.y / 2 + (start.y + end.y) / 4)
    return Arrow(
        f"M{_at(begin)}Q{_at(turn)} {_at(tail)}",
        "M" + "L".join(map(_at, corners)) + "Z",
        Point(middle.x + 14 * out.x, middle.y + 14 * out.y + 4),
    )


def towards(start: Point, end: Point, distance: float) -> Point:
    """The place so far from one on the way to another."""
    length = math.hypot(end.x - start.x, end.y - start.y) or 1.0
    part = distance / length
    return Point(start.x + part * (end.x - start.x), start.y + part * (end.y - start.y))


def _at(point: Point) -> str:
    return f"{number(point.x)} {number(point.y)}"
