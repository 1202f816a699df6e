# SPDX-License-Identifier: Apache-2.0
"""The line with its baseline, never a lone line; and who shares in a Work, as one bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from koinon.web.formatting import SHARE_WHOLE, percent
from koinon.web.language import gettext as _
from koinon.web.pictures.svg import cut, element, number, text_width

_CHART: Final = (1120.0, 320.0)
_CHART_NARROW: Final = (360.0, 260.0)


def plain(value: float) -> str:
    """A measured value with three digits after the point."""
    return f"{value:.3f}"


@dataclass(frozen=True)
class Line:
    """A measured series beside what it must beat.

    Parameters
    ----------
    name, baseline_name, x_name : str
        What is measured, what the baseline is, what the steps are.
    points : sequence of (x, y)
        In order of x; finite.
    baseline : float
    interval : sequence of (low, high)
        One a point, or empty.
    shown : callable
        A value as text.
    """

    name: str
    points: Sequence[tuple[float, float]]
    baseline: float
    baseline_name: str
    x_name: str
    interval: Sequence[tuple[float, float]] = ()
    shown: Callable[[float], str] = plain

    def sentence(self) -> str:
        """The newest value beside the baseline, in words."""
        if not self.points:
            return _(
                "%(name)s: nothing measured yet; the baseline is %(baseline)s (%(baseline_name)s).",
                name=self.name,
                baseline=self.shown(self.baseline),
                baseline_name=self.baseline_name,
            )
        return _(
            "%(name)s is %(value)s; the baseline is %(baseline)s (%(baseline_name)s).",
            name=self.name,
            value=self.shown(self.points[-1][1]),
            baseline=self.shown(self.baseline),
            baseline_name=self.baseline_name,
        )


def draw_line(line: Line, identity: str = "line") -> Markup:
    """The chart for wide pages and for phones."""
    drawings = []
    for form, (width, height) in (("wide", _CHART), ("narrow", _CHART_NARROW)):
        drawings.append(
            element(
                "svg",
                {
                    "class": form,
                    "viewBox": f"0 0 {number(width)} {number(height)}",
                    "width": width,
                    "height": height,
                    "role": "img",
                    "aria_label": line.sentence(),
                    "xmlns": "http://www.w3.org/2000/svg",
                },
                plot(line, 8, 8, width - 16, height - 16),
            )
        )
    return element("div", {"class": "picture line", "id": identity}, *drawings)


def plot(line: Line, left: float, top: float, width: float, height: float) -> Markup:
    """The chart inside a rectangle: name above, line with interval, baseline dashed with its own name."""
    values = [line.baseline, *(y for _x, y in line.points), *(y for pair in line.interval for y in pair)]
    low, high = min(values), max(values)
    margin = (high - low) * 0.12 or 0.5
    low, high = low - margin, high + margin
    first = line.points[0][0] if line.points else 0.0
    span = (line.points[-1][0] - first) if len(line.points) > 1 else 0.0
    marks = [line.shown(value) for value in (low + margin, high - margin)]
    side = min(width / 3, max(text_width(mark, 12.5) for mark in marks) + 12)
    x0, x1, y0, y1 = left + side, left + width - 14, top + 44, top + height - 28

    def x_of(x: float) -> float:
        return x0 + (x1 - x0) * ((x - first) / span if span else 0.5)

    def y_of(y: float) -> float:
        return y1 - (y1 - y0) * (y - low) / (high - low)

    def text(words: str, x: float, y: float, kind: str = "note", anchor: str = "start") -> Markup:
        return element("text", {"class": kind, "x": x, "y": y, "text_anchor": anchor}, words)

    parts = [
        text(line.name, left, top + 14, "name"),
        element("path", {"class": "axis", "d": f"M{number(x0)} {number(y0)}V{number(y1)}H{number(x1)}"}),
    ]
    for value in (low + margin, high - margin):
        parts.append(text(cut(line.shown(value), 12.5, side - 8), x0 - 8, y_of(value) + 4, "note", "end"))
    if line.points:
        parts.append(text(f"{line.points[0][0]:g}", x_of(line.points[0][0]), y1 + 18, "note", "middle"))
        if span:
            words = f"{line.points[-1][0]:g}"
            inside = left + width - text_width(words, 12.5) / 2
            parts.append(text(words, min(x_of(line.points[-1][0]), inside), y1 + 18, "note", "middle"))
    parts.append(text(line.x_name, (x0 + x1) / 2, y1 + 18, "note", "middle"))
    if line.interval and len(line.interval) == len(line.points):
        upper = [(x, pair[1]) for (x, _y), pair in zip(line.points, line.interval, strict=True)]
        under = [(x, pair[0]) for (x, _y), pair in zip(line.points, line.interval, strict=True)][::-1]
        parts.append(element("path", {"class": "interval", "d": _through(upper + under, x_of, y_of) + "Z"}))
    base = y_of(line.baseline)
    parts.append(element("path", {"class": "baseline", "d": f"M{number(x0)} {number(base)}H{number(x1)}"}))
    parts.append(text(line.baseline_name, left, top + 32, "note"))
    mark = left + text_width(line.baseline_name, 12.5) + 8
    if mark < x1 - 30:
        parts.append(element("path", {"class": "baseline", "d": f"M{number(mark)} {number(top + 28)}h24"}))
    if line.points:
        parts.append(element("path", {"class": "series", "d": _through(line.points, x_of, y_of)}))
        for x, y in line.points if len(line.points) <= 60 else line.points[-1:]:
            title = element("title", {}, f"{line.x_name} {x:g}: {line.shown(y)}")
            parts.append(element("circle", {"class": "point", "cx": x_of(x), "cy": y_of(y), "r": 3.5}, title))
    return element("g", {"class": "plot"}, *parts)


def _through(
    points: Sequence[tuple[float, float]], x_of: Callable[[float], float], y_of: Callable[[float], float]
) -> str:
    return "M" + "L".join(f"{number(x_of(x))} {number(y_of(y))}" for x, y in points)


def draw_shares(shares: Sequence[tuple[str, int]], identity: str = "shares") -> Markup:
    """One bar for all of a Work's income; shares in 1e-9 by name, largest first in the drawing.

    Parts are told apart by gaps and by their words; those too narrow for words have them in the title.
    """
    width, height = 1000.0, 44.0
    x, parts = 0.0, []
    for position, (name, share) in enumerate(sorted(shares, key=lambda one: (-one[1], one[0]))):
        wide = width * share / SHARE_WHOLE
        said = f"{name}: {percent(share / SHARE_WHOLE, 2)}"
        words = percent(share / SHARE_WHOLE)
        inside = (
            element("text", {"class": "note", "x": x + wide / 2, "y": 27, "text_anchor": "middle"}, words)
            if wide > text_width(words, 12.5) + 12
            else None
        )
        shape = {"x": min(x, width - 0.5), "y": 6, "width": max(0.5, wide - 2), "height": 32, "rx": 2}
        parts.append(
            element(
                "g",
                {},
                element("title", {}, said),
                element("rect", {"class": f"part part-{position % 2}", **shape}),
                inside,
            )
        )
        x += wide
    said = _(
        "Who shares: %(parts)s", parts=", ".join(f"{n} {percent(s / SHARE_WHOLE, 2)}" for n, s in shares)
    )
    svg = element(
        "svg",
        {
            "class": "both",
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "role": "img",
            "aria_label": said,
            "xmlns": "http://www.w3.org/2000/svg",
        },
        *parts,
    )
    return element("div", {"class": "picture shares", "id": identity}, svg)
