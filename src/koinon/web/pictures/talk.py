# SPDX-License-Identifier: Apache-2.0
"""Who speaks to whom: speakers on a ring, an arrow for each way with the number of messages on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from koinon.web.language import gettext as _
from koinon.web.language import ngettext
from koinon.web.pictures.arrows import arrow
from koinon.web.pictures.svg import Point, cut, element, number

_DOT: Final = 9.0
_BEND: Final = 0.16
_MOST_WIDTH: Final = 7.0


@dataclass(frozen=True)
class Speaker:
    """Somebody who sends or receives; ``own`` where they run here."""

    label: str
    own: bool = False
    href: str = ""


@dataclass(frozen=True)
class Way:
    """So many messages from one speaker to another, by their places in the list."""

    start: int
    end: int
    count: int


def draw_talk(speakers: Sequence[Speaker], ways: Sequence[Way], identity: str = "talk") -> Markup:
    """The ring for wide pages with names, and for phones with a list beneath it."""
    said = _said(speakers, ways)
    wide = _ring(speakers, ways, Point(560, 180), 140, named=True)
    narrow = _ring(speakers, ways, Point(180, 140), 104, named=False)
    below = _lowest(speakers, 140, 104) + 40
    listed = [
        element(
            "text",
            {"class": "note", "x": 12, "y": below + 20 * place},
            cut(f"{place + 1}  {each.label}", 12.5, 336),
        )
        for place, each in enumerate(speakers)
    ]
    return element(
        "div",
        {"class": "picture talk", "id": identity},
        _frame(said, f"{identity}-wide", "wide", (1120, _lowest(speakers, 180, 140) + 40), wide),
        _frame(said, f"{identity}-narrow", "narrow", (360, below + 20 * len(speakers)), [*narrow, *listed]),
    )


def _said(speakers: Sequence[Speaker], ways: Sequence[Way]) -> str:
    parts = [
        ngettext(
            "%(sender)s has sent %(receiver)s %(num)s message.",
            "%(sender)s has sent %(receiver)s %(num)s messages.",
            way.count,
            sender=speakers[way.start].label,
            receiver=speakers[way.end].label,
        )
        for way in ways
    ]
    return " ".join(parts) or _("No message yet.")


def _frame(
    said: str, identity: str, form: str, size: tuple[float, float], content: Sequence[Markup]
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
        element("title", {"id": title}, _("Who speaks to whom")),
        element("desc", {"id": description}, said),
        *content,
    )


def _ring(
    speakers: Sequence[Speaker], ways: Sequence[Way], centre: Point, radius: float, *, named: bool
) -> list[Markup]:
    angles = _angles(len(speakers))
    places = [Point(centre.x + radius * math.cos(a), centre.y + radius * math.sin(a)) for a in angles]
    most = max((way.count for way in ways), default=1)
    parts = [_way(places[way.start], places[way.end], way.count, most) for way in ways]
    for place, (speaker, at, angle) in enumerate(zip(speakers, places, angles, strict=True)):
        parts.append(_node(speaker, place, at, angle, named=named))
    return parts


def _angles(count: int) -> list[float]:
    first = math.pi if count == 2 else -math.pi / 2
    return [first + 2 * math.pi * place / max(1, count) for place in range(count)]


def _lowest(speakers: Sequence[Speaker], centre: float, radius: float) -> float:
    return max((centre + radius * math.sin(angle) for angle in _angles(len(speakers))), default=centre)


def _way(start: Point, end: Point, count: int, most: int) -> Markup:
    thick = 1.5 + (_MOST_WIDTH - 1.5) * count / most
    way = arrow(start, end, thick, gap=_DOT + 3, bend=_BEND)
    label = element(
        "text",
        {"class": "note", "x": way.label.x, "y": way.label.y, "text_anchor": "middle"},
        str(count),
    )
    return element("g", {}, *way.drawn(thick), label)


def _node(speaker: Speaker, place: int, at: Point, angle: float, *, named: bool) -> Markup:
    side, lift = math.cos(angle), math.sin(angle)
    anchor = "middle" if abs(side) < 0.2 else ("start" if side > 0 else "end")
    content = [
        element("title", {}, speaker.label),
        element("circle", {"class": "dot own" if speaker.own else "dot", "cx": at.x, "cy": at.y, "r": _DOT}),
    ]
    gap = _DOT + 10
    label = {"x": at.x + gap * side, "y": at.y + gap * lift + (4 if anchor != "middle" else 6 * lift + 4)}
    if named:
        name = cut(speaker.label, 14, 360)
        content.append(element("text", {"class": "name", "text_anchor": anchor, **label}, name))
    else:
        content.append(element("text", {"class": "index", "text_anchor": anchor, **label}, str(place + 1)))
    if speaker.href:
        return element("a", {"class": "place", "href": speaker.href}, *content)
    return element(
        "g",
        {"class": "place", "tabindex": "0", "role": "graphics-symbol", "aria_label": speaker.label},
        *content,
    )
