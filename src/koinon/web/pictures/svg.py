# SPDX-License-Identifier: Apache-2.0
"""SVG by hand: elements, numbers, how wide a text is, and ribbons."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from markupsafe import Markup, escape

_NARROW: Final = frozenset("iljtfrI.,:;'|!()[] ")
_UNPRINTABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for (production 2, Char); strangers name their Works as they like."""
_BROAD: Final = frozenset("mwMW@%—…")


class Point(NamedTuple):
    """Pixels from the upper left corner."""

    x: float
    y: float


def number(value: float) -> str:
    """A coordinate with at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(name: str, attributes: dict[str, str | float | None], *children: str | Markup | None) -> Markup:
    """An element; attributes that are None are left out, ``_`` in their names stands for ``-``.

    Text children are escaped, Markup is not.
    """
    parts = []
    for key, value in attributes.items():
        if value is not None:
            shown = value if isinstance(value, str) else number(value)
            parts.append(f' {key.rstrip("_").replace("_", "-")}="{escape(_UNPRINTABLE.sub("", shown))}"')
    body = Markup("").join(
        child if isinstance(child, Markup) else _UNPRINTABLE.sub("", child)
        for child in children
        if child is not None
    )
    start = f"<{name}{''.join(parts)}"
    return Markup(f"{start}>{body}</{name}>") if body else Markup(f"{start}/>")  # noqa: S704  escaped above


def text_width(text: str, size: float) -> float:
    """About how wide a text in Inter is, rather more than less; Han characters are as wide as high."""
    width = 0.0
    for character in text:
        if unicodedata.east_asian_width(character) in "WF":
            width += 1.02
        elif character in _NARROW:
            width += 0.36
        elif character in _BROAD:
            width += 0.92
        elif character.isupper():
            width += 0.7
        else:
            width += 0.6
    return width * size


def cut(text: str, size: float, width: float) -> str:
    """A text that fits, with an ellipsis where it had to be shortened."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(text: str, size: float, width: float, most: int = 2) -> list[str]:
    """A text in lines that fit; at spaces where there are any, and the last one cut."""
    lines: list[str] = []
    rest = " ".join(text.split())
    while rest and len(lines) < most - 1 and text_width(rest, size) > width:
        end = len(rest)
        while end > 1 and text_width(rest[:end], size) > width:
            end -= 1
        space = rest.rfind(" ", 0, end + 1)
        if space > 0:
            end = space
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*lines, cut(rest, size, width)] if rest else lines


def ribbon(stations: Sequence[tuple[Point, Point]], width: float) -> str:
    """The outline of a ribbon that runs level through stations (from, to: its upper edge) and bends between
    them as softly as the distance allows. ``width`` in pixels."""
    upper = _edge([point for station in stations for point in station])
    back = [Point(point.x, point.y + width) for station in stations for point in station][::-1]
    lower = _edge(back).replace("M", "L", 1)
    return f"{upper}{lower}Z"


def midline(stations: Sequence[tuple[Point, Point]], width: float) -> str:
    """The middle of the same ribbon, as an open path."""
    return _edge([Point(point.x, point.y + width / 2) for station in stations for point in station])


def _edge(points: Sequence[Point]) -> str:
    path = [f"M{number(points[0].x)} {number(points[0].y)}"]
    for before, after in pairwise(points):
        if before.y == after.y:
            path.append(f"H{number(after.x)}")
            continue
        middle = number((before.x + after.x) / 2)
        path.append(
            f"C{middle} {number(before.y)} {middle} {number(after.y)} {number(after.x)} {number(after.y)}"
        )
    return "".join(path)


def label(lines: Iterable[tuple[str, str]], x: float, y: float, *, anchor: str = "start") -> Markup:
    """Lines of text beneath each other, (class, words) each; ``y`` is the first one's baseline."""
    return Markup("").join(
        element("text", {"class": kind, "x": x, "y": y + 16 * step, "text_anchor": anchor}, words)
        for step, (kind, words) in enumerate(lines)
    )
