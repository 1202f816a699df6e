# SPDX-License-Identifier: Apache-2.0
"""The round: owners on a ring, updates as strokes to the round's leader, contributions as arcs."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

from markupsafe import Markup

from koinon.web.formatting import percent
from koinon.web.language import gettext as _
from koinon.web.pictures.chart import Line, plot
from koinon.web.pictures.svg import cut, element, number, text_width

State = Literal["waiting", "sent", "missing", "done"]
_MOST_LABELS: Final = 14
_MOST_LISTED: Final = 40


@dataclass(frozen=True)
class Teacher:
    """An owner in the round: still waiting, its update sent, missing, or done with the whole run.

    ``contribution`` is its part of what all taught together, 0 to 1; None before it is measured.
    """

    label: str
    state: State
    contribution: float | None = None
    href: str = ""


@dataclass(frozen=True)
class RoundPicture:
    """A run at one moment; ``number`` 0 before the first round."""

    name: str
    leader: str
    number: int
    rounds: int
    teachers: tuple[Teacher, ...]
    metric: Line | None = None

    def sentence(self) -> str:
        """The picture in words."""
        count = Counter(teacher.state for teacher in self.teachers)
        said = _(
            "Round %(number)s of %(rounds)s of %(name)s: %(sent)s of %(all)s owners have sent their update.",
            number=self.number,
            rounds=self.rounds,
            name=self.name,
            sent=count["sent"] + count["done"],
            all=len(self.teachers),
        )
        if count["missing"]:
            said += " " + _("Missing: %(missing)s.", missing=count["missing"])
        return said if self.metric is None else f"{said} {self.metric.sentence()}"


def state_words(state: State) -> str:
    """What a state is called."""
    return {
        "waiting": _("waiting"),
        "sent": _("update sent"),
        "missing": _("missing"),
        "done": _("done"),
    }[state]


def draw_round(picture: RoundPicture, identity: str = "round") -> Markup:
    """The ring for wide pages, and for phones with a list beneath it."""
    return element(
        "div",
        {"class": "picture round", "id": identity},
        _wide(picture, f"{identity}-wide"),
        _narrow(picture, f"{identity}-narrow"),
    )


def _wide(picture: RoundPicture, identity: str) -> Markup:
    named = len(picture.teachers) <= _MOST_LABELS
    centre = 560.0 if picture.metric is None else 370.0
    ring = _ring(picture, centre, 250.0, 160.0 if named else 196.0, named=named)
    chart = None if picture.metric is None else plot(picture.metric, 770, 110, 330, 270)
    return _frame(picture, identity, "wide", 1120, 540, ring, chart, _legend(picture, centre - 150, 524))


def _narrow(picture: RoundPicture, identity: str) -> Markup:
    ring = _ring(picture, 180.0, 176.0, 122.0, named=False)
    y = 380.0
    legend = _legend(picture, 12, 352)
    rows = []
    for position, teacher in enumerate(picture.teachers[:_MOST_LISTED], 1):
        words = _teacher_words(teacher)
        rows.append(
            element("text", {"class": "note", "x": 12, "y": y}, cut(f"{position}  {words}", 12.5, 336))
        )
        y += 20
    chart = None
    if picture.metric is not None:
        chart = plot(picture.metric, 8, y, 344, 220)
        y += 230
    return _frame(picture, identity, "narrow", 360, y + 4, ring, legend, *rows, chart)


def _frame(
    picture: RoundPicture, identity: str, form: str, width: float, height: float, *content: Markup | None
) -> Markup:
    return element(
        "svg",
        {
            "class": form,
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "width": width,
            "height": height,
            "role": "graphics-document",
            "aria_labelledby": f"{identity}-title",
            "aria_describedby": f"{identity}-words",
            "xmlns": "http://www.w3.org/2000/svg",
        },
        element("title", {"id": f"{identity}-title"}, _("The round of %(name)s", name=picture.name)),
        element("desc", {"id": f"{identity}-words"}, picture.sentence()),
        *content,
    )


def _teacher_words(teacher: Teacher) -> str:
    words = f"{teacher.label}: {state_words(teacher.state)}"
    if teacher.contribution is None:
        return words
    return f"{words}, {_('contributed %(part)s', part=percent(max(0.0, teacher.contribution)))}"


def _ring(picture: RoundPicture, x: float, y: float, radius: float, *, named: bool) -> Markup:
    count = len(picture.teachers)
    most = max((teacher.contribution or 0.0 for teacher in picture.teachers), default=0.0)
    dot = max(2.2, min(9.0, radius * math.pi / max(1, count) * 0.55))
    hub = min(62.0, radius * 0.42)
    room = 165.0 if picture.metric is not None else 270.0
    parts = [element("circle", {"class": "orbit", "cx": x, "cy": y, "r": radius})]
    nodes = []
    for position, teacher in enumerate(picture.teachers):
        angle = -math.pi / 2 + 2 * math.pi * position / count
        cos, sin = math.cos(angle), math.sin(angle)
        at = x + radius * cos, y + radius * sin
        if teacher.state != "waiting":
            near, far = hub + 3, radius - dot - 3
            path = (
                f"M{number(x + far * cos)} {number(y + far * sin)}"
                f"L{number(x + near * cos)} {number(y + near * sin)}"
            )
            parts.append(
                element(
                    "path", {"class": f"update {teacher.state}", "d": path, "stroke_width": dot / 3 + 0.6}
                )
            )
        nodes.append(_node(teacher, position, at, dot, named=named, room=room, side=cos, lift=sin))
        if teacher.contribution is not None and teacher.contribution > 0 and most > 0:
            thick = 2.0 + 12.0 * teacher.contribution / most
            reach = min(math.pi / 3, math.pi / count) * 0.86
            parts.append(_arc((x, y), radius + dot + 5 + thick / 2, (angle - reach, angle + reach), thick))
    number_words = _("Round %(number)s of %(rounds)s", number=picture.number, rounds=picture.rounds)
    parts += [
        element("circle", {"class": "hub", "cx": x, "cy": y, "r": hub}),
        element("text", {"class": "name", "x": x, "y": y - 2, "text_anchor": "middle"}, number_words),
        element(
            "text",
            {"class": "note", "x": x, "y": y + 16, "text_anchor": "middle"},
            cut(picture.leader, 12.5, 2 * hub - 12),
        ),
    ]
    return element("g", {}, *parts, *nodes)


def _node(
    teacher: Teacher,
    position: int,
    at: tuple[float, float],
    dot: float,
    *,
    named: bool,
    room: float,
    side: float,
    lift: float,
) -> Markup:
    said = _teacher_words(teacher)
    x, y = at
    content = [
        element("title", {}, said),
        element("circle", {"class": f"dot {teacher.state}", "cx": x, "cy": y, "r": dot}),
    ]
    if teacher.state == "missing":
        half = dot * 0.55
        content.append(_stroke("cross", [(x - half, y - half), (x + half, y + half)]))
        content.append(_stroke("cross", [(x + half, y - half), (x - half, y + half)]))
    elif teacher.state == "done" and dot > 4:
        corners = [(x - dot * 0.45, y), (x - dot * 0.1, y + dot * 0.4), (x + dot * 0.5, y - dot * 0.4)]
        content.append(_stroke("tick", corners))
    if named:
        gap = dot + 28
        anchor = "middle" if abs(side) < 0.2 else ("start" if side > 0 else "end")
        lx, ly = x + gap * side, y + gap * lift + (4 if abs(side) >= 0.2 else (14 if lift > 0 else -14))
        content.append(
            element(
                "text",
                {"class": "name", "x": lx, "y": ly, "text_anchor": anchor},
                cut(teacher.label, 14, room),
            )
        )
        content.append(
            element(
                "text",
                {"class": "note", "x": lx, "y": ly + 16, "text_anchor": anchor},
                cut(_teacher_note(teacher), 12.5, room),
            )
        )
    elif dot >= 7:
        content.append(
            element(
                "text",
                {"class": "index", "x": x, "y": y + dot + 14, "text_anchor": "middle"},
                str(position + 1),
            )
        )
    if teacher.href:
        return element("a", {"class": "place", "href": teacher.href}, *content)
    return element(
        "g", {"class": "place", "tabindex": "0", "role": "graphics-symbol", "aria_label": said}, *content
    )


def _teacher_note(teacher: Teacher) -> str:
    if teacher.contribution is None:
        return state_words(teacher.state)
    return _("contributed %(part)s", part=percent(max(0.0, teacher.contribution)))


def _stroke(kind: str, points: list[tuple[float, float]]) -> Markup:
    path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return element("path", {"class": kind, "d": path})


def _arc(centre: tuple[float, float], radius: float, angles: tuple[float, float], thick: float) -> Markup:
    (x, y), (start, end) = centre, angles
    large = int(end - start > math.pi)
    path = (
        f"M{number(x + radius * math.cos(start))} {number(y + radius * math.sin(start))}"
        f"A{number(radius)} {number(radius)} 0 {large} 1"
        f" {number(x + radius * math.cos(end))} {number(y + radius * math.sin(end))}"
    )
    return element("path", {"class": "contribution", "d": path, "stroke_width": thick})


def _legend(picture: RoundPicture, x: float, y: float) -> Markup:
    parts = []
    present = {teacher.state for teacher in picture.teachers}
    states: tuple[State, ...] = ("waiting", "sent", "missing", "done")
    for state in (one for one in states if one in present):
        parts.append(element("circle", {"class": f"dot {state}", "cx": x + 5, "cy": y - 4, "r": 5}))
        if state == "missing":
            parts.append(_stroke("cross", [(x + 2, y - 7), (x + 8, y - 1)]))
            parts.append(_stroke("cross", [(x + 8, y - 7), (x + 2, y - 1)]))
        parts.append(element("text", {"class": "note", "x": x + 15, "y": y}, state_words(state)))
        x += 15 + text_width(state_words(state), 12.5) + 12
    return element("g", {"class": "legend", "aria_hidden": "true"}, *parts)
