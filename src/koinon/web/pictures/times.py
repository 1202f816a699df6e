# SPDX-License-Identifier: Apache-2.0
"""Several values in time, one beneath the other's name: what is looked at, and what it is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

from koinon.web.language import gettext as _
from koinon.web.pictures.chart import plain
from koinon.web.pictures.svg import cut, element, number, text_width

_WIDE: Final = (1120.0, 340.0)
_NARROW: Final = (360.0, 280.0)
_SIZE: Final = 12.5
_SAMPLE: Final = 26.0
_KINDS: Final = ("series", "series second", "series third", "series fourth")
MOST_LINES: Final = 5
"""Lines that can be told apart: four, and what they are held against."""
_LONG_S: Final = 4 * 86_400


@dataclass(frozen=True)
class Track:
    """A value in time: (Unix seconds, value) in order, finite. ``held_against`` draws it dashed."""

    name: str
    points: Sequence[tuple[float, float]]
    held_against: bool = False


@dataclass(frozen=True)
class Times:
    """Values over one time.

    Parameters
    ----------
    name : str
        What is measured.
    tracks : sequence of Track
        At least one with a point; those after `MOST_LINES` are left out.
    shown : callable
        A value as text.
    moments : sequence of (Unix seconds, str)
        What happened meanwhile: a tick on the axis, with its words.
    """

    name: str
    tracks: Sequence[Track]
    shown: Callable[[float], str] = plain
    moments: Sequence[tuple[float, str]] = ()

    def sentence(self) -> str:
        """From where to where each went, in words."""
        told = "; ".join(
            _(
                "%(name)s: from %(first)s to %(last)s",
                name=track.name,
                first=self.shown(track.points[0][1]),
                last=self.shown(track.points[-1][1]),
            )
            for track in self.drawn
        )
        return f"{self.name}. {told}."

    @property
    def drawn(self) -> list[Track]:
        """The tracks that are drawn."""
        return [track for track in self.tracks if track.points][:MOST_LINES]


def draw_times(times: Times, identity: str = "times") -> Markup:
    """The chart for wide pages and for phones."""
    drawings = [_drawn(times, "wide", *_WIDE), _drawn(times, "narrow", *_NARROW)]
    return element("div", {"class": "picture times", "id": identity}, *drawings)


def _drawn(times: Times, form: str, width: float, height: float) -> Markup:
    tracks = times.drawn
    kinds = _kinds(tracks)
    values = [value for track in tracks for _at, value in track.points]
    ats = [at for track in tracks for at, _value in track.points]
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or abs(high) * 0.01 or 0.5
    first, last = min(ats), max(ats)
    legend, top = _legend(times, tracks, kinds, width)
    marks = [times.shown(value) for value in (low, high)]
    side = min(width / 3, max(text_width(mark, _SIZE) for mark in marks) + 12)
    x0, x1, y0, y1 = side, width - 12, top, height - 28

    def x_of(at: float) -> float:
        return x0 + (x1 - x0) * ((at - first) / (last - first) if last > first else 0.5)

    def y_of(value: float) -> float:
        return y1 - (y1 - y0) * (value - low + margin) / (high - low + 2 * margin)

    parts = [
        _text(cut(times.name, 14, width), 0, 14, "name"),
        *legend,
        element("path", {"class": "axis", "d": f"M{number(x0)} {number(y0)}V{number(y1)}H{number(x1)}"}),
    ]
    for value in dict.fromkeys((low, high)):
        parts.append(_text(cut(times.shown(value), _SIZE, side - 8), x0 - 8, y_of(value) + 4, "note", "end"))
    for at, anchor in ((first, "start"), (last, "end"))[: 2 if last > first else 1]:
        parts.append(_text(_day(at, last - first), x_of(at), y1 + 20, "note", anchor))
    for at, words in times.moments:
        if first <= at <= last:
            tick = element("path", {"class": "axis", "d": f"M{number(x_of(at))} {number(y1 - 8)}v14"})
            parts.append(element("g", {}, element("title", {}, f"{_day(at, 0)}: {words}"), tick))
    for track, kind in zip(tracks, kinds, strict=True):
        path = "M" + "L".join(f"{number(x_of(at))} {number(y_of(value))}" for at, value in track.points)
        if len(track.points) == 1:
            path += "h0.1"
        parts.append(element("path", {"class": kind, "d": path}, element("title", {}, track.name)))
    return element(
        "svg",
        {
            "class": form,
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "width": width,
            "height": height,
            "role": "img",
            "aria_label": times.sentence(),
            "xmlns": "http://www.w3.org/2000/svg",
        },
        *parts,
    )


def _kinds(tracks: Sequence[Track]) -> list[str]:
    """A class for each line, so that no two look alike."""
    free = iter(_KINDS)
    return ["baseline" if track.held_against else next(free, _KINDS[-1]) for track in tracks]


def _legend(
    times: Times, tracks: Sequence[Track], kinds: Sequence[str], width: float
) -> tuple[list[Markup], float]:
    """Each line's name and last value beside a piece of it; and where the chart may begin."""
    parts, x, y = [], 0.0, 36.0
    for track, kind in zip(tracks, kinds, strict=True):
        words = cut(f"{track.name} {times.shown(track.points[-1][1])}", _SIZE, width - _SAMPLE - 8)
        wide = _SAMPLE + 8 + text_width(words, _SIZE) + 20
        if x > 0 and x + wide > width + 20:
            x, y = 0.0, y + 20
        parts.append(element("path", {"class": kind, "d": f"M{number(x)} {number(y - 4)}h{number(_SAMPLE)}"}))
        parts.append(_text(words, x + _SAMPLE + 8, y, "note"))
        x += wide
    return parts, y + 16


def _day(at: float, span_s: float) -> str:
    form = "%Y-%m-%d" if span_s > _LONG_S else "%m-%d %H:%M"
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _text(words: str, x: float, y: float, kind: str, anchor: str = "start") -> Markup:
    return element("text", {"class": kind, "x": x, "y": y, "text_anchor": anchor}, words)
