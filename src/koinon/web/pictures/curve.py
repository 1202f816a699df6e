# SPDX-License-Identifier: Apache-2.0
"""A curve in the unit square beside the diagonal of a guess: how many are caught at what price in errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from koinon.web.formatting import percent
from koinon.web.language import gettext as _
from koinon.web.pictures.svg import cut, element, number

_SIDE: Final = 480.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 56.0, 32.0, 456.0, 432.0


@dataclass(frozen=True)
class Curve:
    """A receiver operating characteristic.

    Parameters
    ----------
    name, x_name, y_name : str
        What the curve is of, and what its two parts are parts of.
    points : sequence of (x, y)
        From (0, 0) to (1, 1), both rising.
    """

    name: str
    points: Sequence[tuple[float, float]]
    x_name: str
    y_name: str

    def at(self, x: float) -> float:
        """The curve's height, between points in a straight line."""
        before = (0.0, 0.0)
        for point in self.points:
            if point[0] >= x:
                span = point[0] - before[0]
                return point[1] if span <= 0 else before[1] + (point[1] - before[1]) * (x - before[0]) / span
            before = point
        return 1.0

    def sentence(self) -> str:
        """Three points of it, in words."""
        told = ", ".join(
            _("%(y)s at %(x)s", y=percent(self.at(x), 0), x=percent(x, 0)) for x in (0.05, 0.1, 0.2)
        )
        return _(
            "%(name)s. %(y_name)s against %(x_name)s: %(told)s.",
            name=self.name,
            y_name=self.y_name,
            x_name=self.x_name,
            told=told,
        )


def draw_curve(curve: Curve, identity: str = "curve") -> Markup:
    """One square drawing for all pages."""
    points = [(_x(0.0), _y(0.0)), *((_x(x), _y(y)) for x, y in curve.points), (_x(1.0), _y(1.0))]
    path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
    ticks = []
    for tick in (0.0, 0.5, 1.0):
        ticks.append(_text(percent(tick, 0), _x(tick), _BOTTOM + 18, "middle"))
        ticks.append(_text(percent(tick, 0), _LEFT - 8, _y(tick) + 4, "end"))
    svg = element(
        "svg",
        {
            "class": "square",
            "viewBox": f"0 0 {number(_SIDE)} {number(_SIDE)}",
            "width": _SIDE,
            "height": _SIDE,
            "role": "img",
            "aria_label": curve.sentence(),
            "xmlns": "http://www.w3.org/2000/svg",
        },
        element("path", {"class": "interval", "d": f"{path}L{number(_x(1.0))} {number(_y(0.0))}Z"}),
        element(
            "path",
            {"class": "axis", "d": f"M{number(_LEFT)} {number(_TOP)}V{number(_BOTTOM)}H{number(_RIGHT)}"},
        ),
        element(
            "path",
            {"class": "baseline", "d": f"M{number(_LEFT)} {number(_BOTTOM)}L{number(_RIGHT)} {number(_TOP)}"},
        ),
        element("path", {"class": "series", "d": path}),
        _text(cut(curve.y_name, 12.5, _RIGHT), 4, 16, "start"),
        _text(cut(curve.x_name, 12.5, _RIGHT), _RIGHT, _BOTTOM + 36, "end"),
        *ticks,
    )
    return element("div", {"class": "picture curve", "id": identity}, svg)


def _x(part: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * min(1.0, max(0.0, part))


def _y(part: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * min(1.0, max(0.0, part))


def _text(words: str, x: float, y: float, anchor: str) -> Markup:
    return element("text", {"class": "note", "x": x, "y": y, "text_anchor": anchor}, words)
