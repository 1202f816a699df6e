# SPDX-License-Identifier: Apache-2.0
"""Noised counts of a column as a picture: bars, their whiskers of noise, and the mean."""

from __future__ import annotations

import math
from typing import Final

from markupsafe import Markup

from koinon.data.noise_bounds import ONE_IN
from koinon.data.statistics import ColumnStatistics, Statistics
from koinon.web import gettext as _
from koinon.web import number as grouped
from koinon.web.pictures.svg import cut, element, number, text_width

_WIDTH: Final = 360.0
_HEIGHT: Final = 200.0
_TOP: Final = 44.0
_FOOT: Final = 28.0
_SIZE: Final = 12.5


def count_noise(statistics: Statistics) -> float:
    """What the noise of a count stays within, 19 times in 20: the counts' part of epsilon is public."""
    each = statistics.epsilon / (1 + 2 * len(statistics.columns))
    return math.log(ONE_IN) / each


def draw_histogram(column: ColumnStatistics, noise: float, identity: str) -> Markup:
    """One column. Bars whose whisker reaches the ground may be nothing but noise."""
    low, high = column.edges[0], column.edges[-1]
    most = max(max(column.counts, default=0) + noise, 1.0)
    base, room = _HEIGHT - _FOOT, _HEIGHT - _FOOT - _TOP
    sentence = _sentence(column)
    parts: list[Markup] = [
        element("title", {}, sentence),
        _text(cut(column.name, 14, _WIDTH), 0, 14, "name"),
        _text(_("mean %(mean)s", mean=f"{column.mean:.4g}"), 0, 32, "note"),
    ]
    for place, count in enumerate(column.counts):
        left = _x(column.edges[place], low, high)
        wide = max(1.0, _x(column.edges[place + 1], low, high) - left - 2)
        tall = room * count / most
        said = _(
            "%(low)s to %(high)s: about %(count)s rows",
            low=f"{column.edges[place]:.4g}",
            high=f"{column.edges[place + 1]:.4g}",
            count=grouped(count),
        )
        bar: dict[str, str | float | None] = {
            "class": "value-bar",
            "x": left + 1,
            "y": base - tall,
            "width": wide,
            "height": tall,
        }
        middle, top = left + 1 + wide / 2, base - room * (count + noise) / most
        foot = base - room * max(0.0, count - noise) / most
        whisker = f"M{number(middle)} {number(top)}V{number(foot)}M{number(middle - 4)} {number(top)}h8"
        parts.append(
            element(
                "g",
                {"class": "mark"},
                element("title", {}, said),
                element("rect", bar),
                element("path", {"class": "whisker", "d": whisker}),
            )
        )
    at = _x(column.mean, low, high)
    parts += [
        element("path", {"class": "axis", "d": f"M0 {number(base)}H{number(_WIDTH)}"}),
        element("path", {"class": "baseline", "d": f"M{number(at)} {number(_TOP - 6)}V{number(base)}"}),
        _text(f"{low:.4g}", 0, _HEIGHT - 8, "note"),
        _text(f"{high:.4g}", _WIDTH - text_width(f"{high:.4g}", _SIZE), _HEIGHT - 8, "note"),
    ]
    svg = element(
        "svg",
        {
            "class": "both",
            "viewBox": f"0 0 {number(_WIDTH)} {number(_HEIGHT)}",
            "role": "img",
            "aria_label": sentence,
            "xmlns": "http://www.w3.org/2000/svg",
        },
        *parts,
    )
    return element("div", {"class": "picture marks", "id": identity}, svg)


def _sentence(column: ColumnStatistics) -> str:
    place = max(range(len(column.counts)), key=lambda each: column.counts[each])
    return _(
        "%(name)s from %(low)s to %(high)s: its mean is about %(mean)s; most rows lie from %(first)s to "
        "%(last)s.",
        name=column.name,
        low=f"{column.edges[0]:.4g}",
        high=f"{column.edges[-1]:.4g}",
        mean=f"{column.mean:.4g}",
        first=f"{column.edges[place]:.4g}",
        last=f"{column.edges[place + 1]:.4g}",
    )


def _x(value: float, low: float, high: float) -> float:
    return _WIDTH * min(1.0, max(0.0, (value - low) / (high - low)))


def _text(words: str, x: float, y: float, kind: str) -> Markup:
    return element("text", {"class": kind, "x": x, "y": y}, words)
