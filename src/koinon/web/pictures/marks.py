# SPDX-License-Identifier: Apache-2.0
"""Values beneath each other with their intervals, beside what they are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from markupsafe import Markup

from koinon.web.language import gettext as _
from koinon.web.pictures.chart import plain
from koinon.web.pictures.svg import cut, element, number, text_width

_WIDE: Final = 1120.0
_NARROW: Final = 360.0
_SIZE: Final = 12.5

Tone = Literal["", "gain", "loss"]


@dataclass(frozen=True)
class Mark:
    """A row. ``low`` and ``high`` may be the value itself; ``tone`` colours what ``words`` say."""

    label: str
    value: float
    low: float
    high: float
    words: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class Marks:
    """A row a value.

    Parameters
    ----------
    name, reference_name : str
        What is measured, and what the dashed line is.
    marks : sequence of Mark
        At least one; finite.
    reference : float
        Where the line is.
    bars : bool
        Whether values are drawn as bars from the line, for parts of a whole; else as points.
    shown : callable
        A value as text.
    """

    name: str
    marks: Sequence[Mark]
    reference: float
    reference_name: str
    bars: bool = False
    shown: Callable[[float], str] = plain

    def sentence(self) -> str:
        """All rows, in words."""
        rows = "; ".join(f"{mark.label}: {self.told(mark)}" for mark in self.marks)
        return _(
            "%(name)s. %(rows)s. The line is %(reference)s (%(reference_name)s).",
            name=self.name,
            rows=rows,
            reference=self.shown(self.reference),
            reference_name=self.reference_name,
        )

    def told(self, mark: Mark) -> str:
        """A row's value, its interval and its words."""
        said = self.shown(mark.value)
        if mark.low < mark.high:
            said += f" [{self.shown(mark.low)}, {self.shown(mark.high)}]"
        return f"{said} {mark.words}".rstrip()


def draw_marks(marks: Marks, identity: str = "marks") -> Markup:
    """The chart for wide pages and for phones."""
    return element("div", {"class": "picture marks", "id": identity}, _wide(marks), _narrow(marks))


def _wide(marks: Marks) -> Markup:
    labels = min(280.0, max(text_width(mark.label, _SIZE) for mark in marks.marks) + 16)
    told = min(420.0, max(text_width(marks.told(mark), _SIZE) for mark in marks.marks) + 16)
    x_of = _scale(marks, labels + 12, _WIDE - told - 12)
    rows = []
    for place, mark in enumerate(marks.marks):
        y = 62.0 + 30 * place
        rows.append(_text(cut(mark.label, _SIZE, labels), 0, y + 4, "row"))
        rows.append(_row(marks, mark, x_of, y))
        words = cut(marks.told(mark), _SIZE, told)
        rows.append(_text(words, _WIDE, y + 4, f"note {mark.tone}".strip(), "end"))
    height = 62.0 + 30 * len(marks.marks)
    return _frame(marks, "wide", (_WIDE, height), x_of, rows, [(40, height)])


def _narrow(marks: Marks) -> Markup:
    x_of = _scale(marks, 12, _NARROW - 12)
    rows = []
    for place, mark in enumerate(marks.marks):
        y = 62.0 + 48 * place
        told = cut(f"{marks.shown(mark.value)} {mark.words}".rstrip(), _SIZE, 220)
        rows.append(_text(cut(mark.label, _SIZE, _NARROW - text_width(told, _SIZE) - 12), 0, y, "row"))
        rows.append(_text(told, _NARROW, y, f"note {mark.tone}".strip(), "end"))
        rows.append(_row(marks, mark, x_of, y + 16))
    lines = [(68.0 + 48 * place, 90.0 + 48 * place) for place in range(len(marks.marks))]
    return _frame(marks, "narrow", (_NARROW, 58 + 48 * len(marks.marks)), x_of, rows, [(40, 46), *lines])


def _frame(  # noqa: PLR0917
    marks: Marks,
    form: str,
    size: tuple[float, float],
    x_of: Callable[[float], float],
    rows: list[Markup],
    lines: Sequence[tuple[float, float]],
) -> Markup:
    """The picture; ``lines`` are the stretches of the reference's line, so that it crosses no word."""
    width, height = size
    at = x_of(marks.reference)
    words = marks.reference_name
    half = text_width(words, _SIZE) / 2
    return element(
        "svg",
        {
            "class": form,
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "width": width,
            "height": height,
            "role": "img",
            "aria_label": marks.sentence(),
            "xmlns": "http://www.w3.org/2000/svg",
        },
        _text(cut(marks.name, 14, width), 0, 14, "name"),
        _text(cut(words, _SIZE, width), min(max(at, half), max(half, width - half)), 34, "note", "middle"),
        element(
            "path",
            {
                "class": "baseline",
                "d": "".join(f"M{number(at)} {number(top)}V{number(end)}" for top, end in lines),
            },
        ),
        *rows,
    )


def _row(marks: Marks, mark: Mark, x_of: Callable[[float], float], y: float) -> Markup:
    at, low, high = x_of(mark.value), x_of(mark.low), x_of(mark.high)
    line = x_of(marks.reference)
    parts: list[Markup | None] = [element("title", {}, f"{mark.label}: {marks.told(mark)}")]
    if marks.bars:
        shape = {"x": min(at, line), "y": y - 7, "width": abs(at - line), "height": 14}
        parts.append(element("rect", {"class": "value-bar", **shape}))
    if mark.low < mark.high:
        path = f"M{number(low)} {number(y)}H{number(high)}"
        for end in (low, high):
            path += f"M{number(end)} {number(y - 4)}V{number(y + 4)}"
        parts.append(element("path", {"class": "whisker", "d": path}))
    if not marks.bars:
        parts.append(element("circle", {"class": "value", "cx": at, "cy": y, "r": 5}))
    return element("g", {"class": f"measured {mark.tone}".strip()}, *parts)


def _scale(marks: Marks, left: float, right: float) -> Callable[[float], float]:
    values = [marks.reference, *(end for mark in marks.marks for end in (mark.low, mark.value, mark.high))]
    low, high = min(values), max(values)
    span = high - low
    if not 0 < span < math.inf:
        return lambda _value: (left + right) / 2
    return lambda value: left + (right - left) * (value - low) / span


def _text(words: str, x: float, y: float, kind: str, anchor: str = "start") -> Markup:
    return element("text", {"class": kind, "x": x, "y": y, "text_anchor": anchor}, words)
