# SPDX-License-Identifier: Apache-2.0
"""A vault's pictures: weights beside their bounds and target, and its share's worth beside equal parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from koinon.treasury.past import Past
from koinon.treasury.vault import VaultState
from koinon.web import gettext as _
from koinon.web import percent
from koinon.web.pictures import Mark, Marks, Times, Track, draw_marks, draw_times
from koinon.web.pictures.svg import cut, element, number, text_width

_SIZE: Final = 12.5
_SAMPLE: Final = 26.0


@dataclass(frozen=True)
class Weight:
    """A place's part of what is held, its bounds, and the target of the last rebalancing; parts of one.
    ``target`` None where nobody named one."""

    name: str
    now: float
    least: float
    most: float
    target: float | None = None

    @property
    def inside(self) -> bool:
        """Whether it is within its bounds, as far as rounding to a basis point says."""
        return self.least - 5e-5 <= self.now <= self.most + 5e-5

    def told(self) -> str:
        """In words."""
        parts = [
            _(
                "%(name)s: %(now)s now, from %(least)s to %(most)s allowed",
                name=self.name,
                now=percent(self.now),
                least=percent(self.least),
                most=percent(self.most),
            )
        ]
        if self.target is not None:
            parts.append(_("last target %(target)s", target=percent(self.target)))
        if not self.inside:
            parts.append(_("outside its bounds"))
        return ", ".join(parts)


def draw_weights(weights: Sequence[Weight], identity: str = "weights") -> Markup:
    """A row a place, wide and for phones."""
    return element("div", {"class": "picture marks", "id": identity}, _wide(weights), _narrow(weights))


def _wide(weights: Sequence[Weight]) -> Markup:
    width, labels, told = 1120.0, 160.0, 150.0
    x_of = _scale(labels, width - told)
    rows = []
    for place, weight in enumerate(weights):
        y = 78.0 + 34 * place
        rows.append(_text(cut(weight.name, _SIZE, labels - 16), 0, y + 4, "row"))
        rows.append(_bar(weight, x_of, y))
        rows.append(_text(_short(weight), width, y + 4, _kind(weight), "end"))
    return _frame("wide", width, 78 + 34 * len(weights), weights, x_of, rows)


def _narrow(weights: Sequence[Weight]) -> Markup:
    width = 360.0
    x_of = _scale(8, width - 8)
    rows = []
    for place, weight in enumerate(weights):
        y = 96.0 + 52 * place
        words = _short(weight)
        room = width - text_width(words, _SIZE) - 16
        rows.append(_text(cut(weight.name, _SIZE, room), 0, y, "row"))
        rows.append(_text(words, width, y, _kind(weight), "end"))
        rows.append(_bar(weight, x_of, y + 16))
    return _frame("narrow", width, 88 + 52 * len(weights), weights, x_of, rows)


def _short(weight: Weight) -> str:
    shown = percent(weight.now)
    return shown if weight.inside else f"{shown} {_('outside')}"


def _kind(weight: Weight) -> str:
    return "note" if weight.inside else "note loss"


def _bar(weight: Weight, x_of: Callable[[float], float], y: float) -> Markup:
    low, high = x_of(weight.least), x_of(weight.most)
    left, right = x_of(0.0), x_of(1.0)
    axis = f"M{number(left)} {number(y)}H{number(right)}"
    ends = "".join(f"M{number(end)} {number(y - 9)}V{number(y + 9)}" for end in (low, high))
    parts = [
        element("title", {}, weight.told()),
        element("path", {"class": "orbit", "d": axis}),
        element(
            "rect",
            {"class": "value-bar", "x": low, "y": y - 7, "width": max(high - low, 0.5), "height": 14},
        ),
        element("path", {"class": "whisker", "d": ends}),
    ]
    if weight.target is not None:
        at = x_of(weight.target)
        parts.append(element("path", {"class": "baseline", "d": f"M{number(at)} {number(y - 11)}v22"}))
    parts.append(element("circle", {"class": "value", "cx": x_of(weight.now), "cy": y, "r": 5.5}))
    return element("g", {"class": "measured" if weight.inside else "measured loss"}, *parts)


def _frame(  # noqa: PLR0917
    form: str,
    width: float,
    height: float,
    weights: Sequence[Weight],
    x_of: Callable[[float], float],
    rows: Sequence[Markup],
) -> Markup:
    said = ". ".join([_("Weights and their bounds"), *(weight.told() for weight in weights)])
    legend, y = _legend(any(weight.target is not None for weight in weights), width)
    ticks = [
        _text(percent(part, 0), x_of(part), y + 18, "note", anchor)
        for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    ]
    return element(
        "svg",
        {
            "class": form,
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "width": width,
            "height": height,
            "role": "img",
            "aria_label": said,
            "xmlns": "http://www.w3.org/2000/svg",
        },
        _text(_("Weights and their bounds"), 0, 14, "name"),
        *legend,
        *ticks,
        *rows,
    )


def _legend(targeted: bool, width: float) -> tuple[list[Markup], float]:
    """What dot, band and dashes are; and the last line's baseline."""
    entries = [(_("now"), "dot"), (_("allowed"), "band")]
    if targeted:
        entries.append((_("last target"), "dashes"))
    parts, x, y = [], 0.0, 36.0
    for words, shape in entries:
        wide = _SAMPLE + 8 + text_width(words, _SIZE) + 20
        if x > 0 and x + wide > width:
            x, y = 0.0, y + 20
        if shape == "dot":
            parts.append(element("circle", {"class": "value", "cx": x + 13, "cy": y - 4, "r": 5.5}))
        elif shape == "band":
            box = {"x": x, "y": y - 10, "width": _SAMPLE, "height": 12}
            parts.append(element("rect", {"class": "value-bar", **box}))
        else:
            parts.append(
                element("path", {"class": "baseline", "d": f"M{number(x + 13)} {number(y - 14)}v20"})
            )
        parts.append(_text(words, x + _SAMPLE + 8, y, "note"))
        x += wide
    return parts, y


def _scale(left: float, right: float) -> Callable[[float], float]:
    return lambda part: left + (right - left) * min(1.0, max(0.0, part))


def _text(words: str, x: float, y: float, kind: str, anchor: str = "start") -> Markup:
    return element("text", {"class": kind, "x": x, "y": y, "text_anchor": anchor}, words)


def draw_worth(vaults: Sequence[tuple[str, VaultState]]) -> Markup | None:
    """What each vault holds, as bars; none where there is no vault."""
    if not vaults:
        return None
    marks = []
    for name, state in vaults:
        value = state.gross / 10**state.asset_decimals
        marks.append(Mark(name, value, value, value))
    title = _("What vaults hold, %(asset)s", asset=vaults[0][1].asset_symbol)
    return draw_marks(Marks(title, marks, 0.0, "0", bars=True, shown=_amount), "worth")


def _amount(value: float) -> str:
    return f"{value:,.2f}"


def draw_share(past: Past, asset: str, places: int) -> Markup | None:
    """A share's worth in time beside equal parts; none before it was worth anything."""
    if not past.share:
        return None
    equal = past.equal or [(past.share[0][0], past.share[0][1]), (past.share[-1][0], past.share[0][1])]
    name = _("equal parts of its %(places)s places", places=places) if past.equal else _("as at first")
    tracks = [Track(_("one share"), past.share), Track(name, equal, held_against=True)]
    moments = [(at, _("rebalanced")) for at in past.moves]
    title = _("What one share is worth, %(asset)s", asset=asset)
    return draw_times(Times(title, tracks, shown=_figure, moments=moments), "share")


def draw_report(report: Mapping[str, Any]) -> Markup | None:
    """Sharpe ratios of a walk-forward report with their intervals, beside equal weight's; none where the
    report is no such."""
    try:
        marks = [_ratio_mark(row) for row in report["rows"]]
    except (KeyError, TypeError, ValueError):
        return None
    if not marks:
        return None
    title = _("Sharpe ratio a year, 95 % interval")
    return draw_marks(Marks(title, marks, marks[0].value, _("equal weight"), shown=_ratio), "report")


def _ratio_mark(row: Mapping[str, Any]) -> Mark:
    value = float(row["sharpe"])
    low, high = (float(end) for end in row["sharpe_interval"])
    better = bool(row["better"])
    return Mark(
        str(row["method"]),
        value,
        min(low, value),
        max(high, value),
        _("beyond chance") if better else "",
        "gain" if better else "",
    )


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _figure(value: float) -> str:
    return f"{value:,.4f}"
