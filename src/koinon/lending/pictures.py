# SPDX-License-Identifier: Apache-2.0
"""Lending's own pictures: points on their scale with the tiers' bounds, and who bears a loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from koinon.lending.grades import letter
from koinon.lending.pool_state import LOSSES_BPS, Borne, PoolState
from koinon.lending.pool_terms import WHOLE_BPS
from koinon.web import Unit, amount_text, percent
from koinon.web import gettext as _
from koinon.web.pictures import Line, draw_line
from koinon.web.pictures.svg import cut, element, number, text_width

_WIDE, _NARROW = 1120.0, 360.0
_SIZE: Final = 12.5
A_WHILE_S: Final = 21_600
"""A life that is shorter has no history to draw."""


@dataclass(frozen=True)
class Scale:
    """Points from ``least`` to ``most``, tiers by falling ``thresholds`` (the first is the best tier's)."""

    points: int
    least: int
    most: int
    thresholds: Sequence[int]

    @property
    def tier(self) -> int:
        """Whose points these are; 0 is the best."""
        return sum(self.points < threshold for threshold in self.thresholds)

    def sentence(self) -> str:
        """The picture in words."""
        bounds = ", ".join(
            _("%(tier)s from %(points)d", tier=letter(tier), points=threshold)
            for tier, threshold in enumerate(self.thresholds)
        )
        said = _(
            "%(points)d points on a scale from %(least)d to %(most)d: tier %(tier)s.",
            points=self.points,
            least=self.least,
            most=self.most,
            tier=letter(self.tier),
        )
        return f"{said} {_('Tiers: %(bounds)s.', bounds=bounds)}" if bounds else said


def draw_scale(scale: Scale) -> Markup:
    """The scale for wide pages and for phones."""
    drawings = [_scale(scale, form, width) for form, width in (("wide", _WIDE), ("narrow", _NARROW))]
    return element("div", {"class": "picture scale", "id": "scale"}, *drawings)


def _scale(scale: Scale, form: str, width: float) -> Markup:
    left, right, top, bottom = 10.0, width - 10.0, 54.0, 84.0
    low, high = min(scale.least, scale.points), max(scale.most, scale.points, scale.least + 1)

    def x_of(points: float) -> float:
        return left + (right - left) * (min(max(points, low), high) - low) / (high - low)

    edges = [low, *(each for each in sorted(scale.thresholds) if low < each < high), high]
    parts: list[Markup] = [element("title", {}, scale.sentence())]
    for start, end in pairwise(edges):
        tier = sum((start + end) / 2 < threshold for threshold in scale.thresholds)
        at, wide = x_of(start), x_of(end) - x_of(start)
        chosen = " chosen" if tier == scale.tier else ""
        shape = {"x": at, "y": top, "width": max(wide - 2, 0.5), "height": bottom - top, "rx": 2.0}
        parts.append(element("rect", {"class": f"band{chosen}", **shape}))
        middle = at + wide / 2 - 1
        if abs(middle - x_of(scale.points)) < 12:  # the pin would stand on it
            middle = x_of(scale.points) + 14 if scale.points < (start + end) / 2 else x_of(scale.points) - 14
        if wide > 16:
            parts.append(_text(letter(tier), middle, (top + bottom) / 2 + 5, "name", "middle"))
    taken = -1e9
    for edge in edges:
        words = f"{edge:d}"
        half = text_width(words, _SIZE) / 2
        at = min(max(x_of(edge), half), width - half)
        if at - half > taken + 6:
            parts.append(_text(words, at, bottom + 18, "note", "middle"))
            taken = at + half
    at = x_of(scale.points)
    said = _("%(points)d points", points=scale.points)
    half = text_width(said, 14) / 2
    parts += [
        element("path", {"class": "pin", "d": f"M{number(at)} {number(top - 4)}l-7 -11h14z"}),
        element("path", {"class": "pin-line", "d": f"M{number(at)} {number(top - 4)}V{number(bottom + 2)}"}),
        _text(said, min(max(at, half), width - half), 28, "name", "middle"),
    ]
    return _svg(form, width, bottom + 26, scale.sentence(), parts)


def draw_past(looks: Sequence[tuple[int, int]], next_tier: tuple[int, int] | None) -> Markup | None:
    """Points in time, beside where the next better tier begins ((tier, points); None: where it stood first).
    None where there is no past to speak of."""
    now = looks[-1][0] if looks else 0
    if len(looks) < 2 or now - looks[0][0] < A_WHILE_S:
        return None
    points = [(round((at - now) / 86_400, 1), float(each)) for at, each in looks]
    if next_tier is None:
        baseline, name = float(looks[0][1]), _("where it began")
    else:
        baseline, name = float(next_tier[1]), _("tier %(tier)s begins here", tier=letter(next_tier[0]))
    line = Line(
        _("Points in time"), points, baseline, name, _("days from now"), shown=lambda value: f"{value:.0f}"
    )
    return draw_line(line, "past")


def draw_rates(state: PoolState) -> Markup:
    """The pool's rate by how much is lent out, beside what it is now."""
    terms = state.terms
    corners = (
        (0, terms.base_rate_bps),
        (terms.kink_bps, terms.kink_rate_bps),
        (WHOLE_BPS, terms.full_rate_bps),
    )
    line = Line(
        _("The pool's rate a year, before a tier's spread"),
        [(part / 100, rate / WHOLE_BPS) for part, rate in corners],
        state.base_rate,
        _("now, with %(part)s lent out", part=percent(state.books.utilisation)),
        _("% lent out"),
        shown=lambda value: percent(value, 2),
    )
    return draw_line(line, "rates")


def draw_waterfall(state: PoolState) -> Markup:
    """What bears losses, what has been lost, and who would bear more: all on one scale of the loan token."""
    unit = Unit(state.loan.symbol, state.loan.decimals)
    books, lost = state.books, state.lost
    rows = [(_("What bears losses"), Borne(0, books.junior, books.senior, books.fees), "")]
    rows.append((_("Lost so far"), lost, "" if lost.loss else _("nothing so far")))
    rows += [
        (_("If %(part)s of the debt were lost", part=percent(part / WHOLE_BPS, 0)), borne, "")
        for part, borne in zip(LOSSES_BPS, state.waterfall(), strict=True)
        if borne.loss
    ]
    drawings = [_waterfall(rows, unit, form, width) for form, width in (("wide", _WIDE), ("narrow", _NARROW))]
    return element("div", {"class": "picture waterfall", "id": "waterfall"}, *drawings)


def _waterfall(rows: Sequence[tuple[str, Borne, str]], unit: Unit, form: str, width: float) -> Markup:
    most = max(1, *(each.junior + each.senior + each.fees for _name, each, _said in rows))
    narrow = form == "narrow"
    labels = 0.0 if narrow else min(330.0, max(text_width(name, _SIZE) for name, _b, _s in rows) + 20)
    step, top = (50.0, 40.0) if narrow else (34.0, 40.0)
    sums = [said or f"{amount_text(sum(_parts(each)), unit)} {unit.symbol}" for _n, each, said in rows]
    right = width if narrow else width - max(text_width(each, _SIZE) for each in sums) - 16
    parts = [element("title", {}, _told(rows, unit)), *_key(width)]
    for place, ((name, borne, _said), total) in enumerate(zip(rows, sums, strict=True)):
        y = top + step * place
        if narrow:
            room = width - text_width(total, _SIZE) - 10
            parts += [_text(cut(name, _SIZE, room), 0, y, "row"), _text(total, width, y, "note", "end")]
            y += 8
        else:
            parts += [
                _text(cut(name, _SIZE, labels - 8), 0, y + 15, "row"),
                _text(total, width, y + 15, "note", "end"),
            ]
        x = labels
        for kind, amount in zip(("junior", "senior", "model"), _parts(borne), strict=True):
            wide = (right - labels) * amount / most
            if amount:
                shape = {"x": x, "y": y, "width": max(wide - 1, 1.0), "height": 22, "rx": 2}
                parts.append(element("rect", {"class": f"bears {kind}", **shape}))
            x += wide
    return _svg(form, width, top + step * len(rows), _told(rows, unit), parts)


def _key(width: float) -> list[Markup]:
    """What the colours are, in words."""
    parts, x = [], 0.0
    for kind, words in (
        ("junior", _("junior, first")),
        ("senior", _("senior, after it")),
        ("model", _("the model's fees, last")),
    ):
        wide = text_width(words, _SIZE) + 34
        if x + wide > width + 14:
            break
        parts.append(
            element("rect", {"class": f"bears {kind}", "x": x, "y": 4, "width": 14, "height": 14, "rx": 2})
        )
        parts.append(_text(words, x + 20, 16, "note"))
        x += wide
    return parts


def _parts(borne: Borne) -> tuple[int, int, int]:
    return borne.junior, borne.senior, borne.fees


def _told(rows: Sequence[tuple[str, Borne, str]], unit: Unit) -> str:
    def said(borne: Borne) -> str:
        junior, senior, fees = (amount_text(each, unit) for each in _parts(borne))
        return _(
            "junior %(junior)s, senior %(senior)s, the model's fees %(fees)s %(symbol)s",
            junior=junior,
            senior=senior,
            fees=fees,
            symbol=unit.symbol,
        )

    return "; ".join(f"{name}: {words or said(borne)}" for name, borne, words in rows) + "."


def _text(words: str, x: float, y: float, kind: str, anchor: str = "start") -> Markup:
    return element("text", {"class": kind, "x": x, "y": y, "text_anchor": anchor}, words)


def _svg(form: str, width: float, height: float, title: str, parts: Sequence[Markup]) -> Markup:
    shape: dict[str, str | float | None] = {
        "class": form,
        "viewBox": f"0 0 {number(width)} {number(height)}",
        "width": width,
        "height": height,
        "role": "img",
        "aria_label": title,
        "xmlns": "http://www.w3.org/2000/svg",
    }
    return element("svg", shape, *parts)
