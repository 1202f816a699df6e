# SPDX-License-Identifier: Apache-2.0
"""The river for a phone: it runs down the left edge, and everyone has a line of text beside it.

Payers join from above, each to the right of the one before; payees leave to the right, the rightmost first;
a parent's till gets a bed of its own further right. Nothing crosses, whatever the numbers.
"""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from koinon.web.pictures.river_layout import LEAST_WIDTH
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
from koinon.web.pictures.streams import River, Stream
from koinon.web.pictures.svg import Point, label, number, wrapped

WIDTH: Final = 360.0
_EDGE: Final = 10.0
_BEDS: Final = 132.0
_STEP: Final = 12.0
_BEND: Final = 8.0
_BAR: Final = 8.0


def draw_narrow(river: River, identity: str) -> Markup:
    """A river 360 pixels wide."""
    drawing = _Narrow(river, identity)
    drawing.draw()
    drawing.y += 26
    return frame(
        river,
        identity,
        "narrow",
        WIDTH,
        drawing.y + 10,
        *drawing.streams,
        *drawing.places,
        legend(river, identity, Point(_EDGE, drawing.y)),
    )


class _Narrow:
    def __init__(self, river: River, identity: str) -> None:
        self.river, self.identity = river, identity
        self.streams: list[Markup] = []
        self.places: list[Markup] = []
        self.y = 4.0
        self.seen = {river.till}
        levels = _depth(river, river.till)
        bed = max(8.0, (_BEDS - _STEP * levels) / levels)
        self.scale = min(44.0, bed) / river.earned if river.earned else 0.0
        self.text_x = max(self._right_edge(river.till, _EDGE, {river.till}) + 16, 66.0)

    def width(self, stream: Stream) -> float:
        return max(LEAST_WIDTH, stream.amount * self.scale) if self.river.earned else 6.0

    def bed(self, key: str) -> float:
        """How wide a till's bed is: what comes or what goes."""
        came = sum(self.width(one) for one in self.river.into(key))
        gone = sum(self.width(one) for one in self.river.out_of(key))
        return max(came, gone)

    def draw(self) -> None:
        river, till = self.river, self.river.till
        width = self.bed(till)
        payers = sorted(river.into(till), key=lambda one: (-one.amount, one.source))
        left = _EDGE + (width - sum(self.width(one) for one in payers)) / 2
        rows = []
        for stream in payers:
            rows.append((stream, left, *self._row(stream.source, self.width(stream))))
            left += self.width(stream)
        bottom = self.y + 16
        for stream, x, top, height in rows:
            thick = self.width(stream)
            y = top + height / 2 - thick / 2
            path = _join(x, x + thick, y, bottom, self.text_x - 8)
            middle = _curve_in(x + thick / 2, y + thick / 2, bottom, self.text_x - 8, _BEND + thick / 2)
            empty = not stream.amount
            shape = Shape("" if empty else path, path if empty else "", middle, thick)
            self.streams.append(currents(self.identity, river, stream, shape))
        self._till(till, _EDGE, width, bottom)

    def _till(self, key: str, x: float, width: float, top: float) -> None:
        """A till's bar across its bed, and everything that leaves it."""
        lines = self._words(key)
        shape = bar(self.river, key, self.identity, Point(x, top), _BAR, lying=width)
        self.places.append(
            node_words(self.river, key, shape, label(lines, self.text_x, top + 12 - 4 * (len(lines) > 1)))
        )
        self.y = top + max(_BAR, 16.0 * len(lines)) + 10
        gone = self.river.out_of(key)
        total = sum(self.width(one) for one in gone)
        right = x + (width + total) / 2
        start = top + _BAR
        for stream in sorted(gone, key=lambda one: (self._goes_on(one), -one.amount, one.target)):
            thick = self.width(stream)
            if self._goes_on(stream):
                self.seen.add(stream.target)
                self._tributary(stream, right - thick, start, x + width + _STEP)
            else:
                row_top, height = self._row(stream.target, thick)
                self._leave(stream, right - thick, thick, start, row_top + height / 2)
            right -= thick

    def _goes_on(self, stream: Stream) -> bool:
        return self.river.places[stream.target].kind == "till" and stream.target not in self.seen

    def _tributary(self, stream: Stream, a: float, start: float, x: float) -> None:
        width, thick = self.bed(stream.target), self.width(stream)
        turn, top = self.y + 2, self.y + 34
        inner = x + (width - thick) / 2
        done = thick * stream.done / stream.amount if stream.amount else 0.0
        levels = (start, turn, top)
        shape = Shape(
            _shift((a, a + done), (inner, inner + done), levels) if done else "",
            _shift((a + done, a + thick), (inner + done, inner + thick), levels)
            if thick - done > 1e-9
            else "",
            _shift_line(a + thick / 2, inner + thick / 2, levels),
            thick,
        )
        self.streams.append(currents(self.identity, self.river, stream, shape))
        self._till(stream.target, x, width, top)

    def _leave(self, stream: Stream, a: float, thick: float, start: float, middle: float) -> None:
        done = thick * stream.done / stream.amount if stream.amount else 0.0
        low, end = middle + thick / 2, self.text_x - 8

        def part(first: float, last: float) -> str:
            bend = _BEND + thick - last
            return _leaving((a + first, a + last), (low - last, low - first), start, end, bend)

        shape = Shape(
            part(0, done) if done else "",
            part(done, thick) if thick - done > 1e-9 else "",
            _curve_out(a + thick / 2, start, middle, end, _BEND + thick / 2),
            thick,
        )
        self.streams.append(currents(self.identity, self.river, stream, shape))

    def _row(self, key: str, thick: float) -> tuple[float, float]:
        """A line of text with room for its ribbon; its top and height."""
        lines = self._words(key)
        height = max(16.0 * len(lines) + 10, thick + 2 * _BEND)
        top, self.y = self.y, self.y + height
        first = top + height / 2 - 8 * len(lines) + 12
        self.places.append(node_words(self.river, key, Markup(""), label(lines, self.text_x, first)))
        return top, height

    def _words(self, key: str) -> list[tuple[str, str]]:
        side = WIDTH - self.text_x - 6
        lines = [("name", line) for line in wrapped(self.river.places[key].label, NAME_SIZE, side)]
        if self.river.earned:
            for phrase in self.river.amounts(key):
                lines += [("note", line) for line in wrapped(phrase, NOTE_SIZE, side)]
        return lines

    def _right_edge(self, key: str, x: float, seen: set[str]) -> float:
        edge = x + self.bed(key)
        furthest = edge
        for stream in self.river.out_of(key):
            if self.river.places[stream.target].kind == "till" and stream.target not in seen:
                seen.add(stream.target)
                furthest = max(furthest, self._right_edge(stream.target, edge + _STEP, seen))
        return furthest


def _depth(river: River, key: str) -> int:
    """How many tills lie one behind the other from here on."""
    tills = {one.target for one in river.out_of(key) if river.places[one.target].kind == "till"}
    return 1 + max((_depth(river, till) for till in tills), default=0)


def _path(*parts: str | float) -> str:
    return " ".join(part if isinstance(part, str) else number(part) for part in parts)


def _join(a: float, b: float, top: float, bottom: float, end: float) -> str:
    """From the right at ``end``, ``b - a`` thick below ``top``, round a bend and down between a and b."""
    low, bend = top + b - a, _BEND + b - a
    return _path(
        *("M", end, top, "H", a + bend, "Q", a, top, a, top + bend, "V", bottom),
        *("H", b, "V", low + _BEND, "Q", b, low, b + _BEND, low, "H", end, "Z"),
    )


def _curve_in(x: float, y: float, bottom: float, end: float, bend: float) -> str:
    return _path("M", end, y, "H", x + bend, "Q", x, y, x, y + bend, "V", bottom)


def _leaving(
    across: tuple[float, float], along: tuple[float, float], start: float, end: float, inner: float
) -> str:
    """Down between two x, round a bend and off to the right between two y."""
    (a, b), (top, low) = across, along
    outer = inner + b - a
    return _path(
        *("M", a, start, "V", max(start, low - outer), "Q", a, low, a + outer, low, "H", end, "V", top),
        *("H", b + inner, "Q", b, top, b, max(start, top - inner), "V", start, "Z"),
    )


def _curve_out(x: float, start: float, y: float, end: float, bend: float) -> str:
    return _path("M", x, start, "V", max(start, y - bend), "Q", x, y, x + bend, y, "H", end)


def _shift(
    before: tuple[float, float], after: tuple[float, float], levels: tuple[float, float, float]
) -> str:
    """Down between two x, then over to between two others; levels: from, where it turns, to."""
    (a, b), (inner_a, inner_b), (start, turn, top) = before, after, levels
    middle = (turn + top) / 2
    return _path(
        *("M", a, start, "V", turn, "C", a, middle, inner_a, middle, inner_a, top),
        *("H", inner_b, "C", inner_b, middle, b, middle, b, turn, "V", start, "Z"),
    )


def _shift_line(x: float, inner: float, levels: tuple[float, float, float]) -> str:
    start, turn, top = levels
    middle = (turn + top) / 2
    return _path("M", x, start, "V", turn, "C", x, middle, inner, middle, inner, top)
