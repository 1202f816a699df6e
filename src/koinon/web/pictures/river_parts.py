# SPDX-License-Identifier: Apache-2.0
"""What both drawings of a river share: frame, ribbons, bars, and the words for each place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from koinon.web.language import gettext as _
from koinon.web.pictures.river_layout import NODE_WIDTH
from koinon.web.pictures.streams import River, Stream
from koinon.web.pictures.svg import Point, element, number, text_width

NAME_SIZE: Final = 14.0
NOTE_SIZE: Final = 12.5


def frame(river: River, identity: str, form: str, width: float, height: float, *content: Markup) -> Markup:
    """The drawing itself: its title, the whole in words, and the hatching that means "waiting"."""
    title = element("title", {"id": f"{identity}-title"}, _("The river of %(name)s", name=river.name))
    words = element("desc", {"id": f"{identity}-words"}, river.sentence())
    hatching = element(
        "pattern",
        {
            "id": f"{identity}-waiting",
            "width": 6,
            "height": 6,
            "patternUnits": "userSpaceOnUse",
            "patternTransform": "rotate(45)",
        },
        element("rect", {"class": "hatch-ground", "width": 6, "height": 6}),
        element("rect", {"class": "hatch-stroke", "width": 2.4, "height": 6}),
    )
    return element(
        "svg",
        {
            "class": f"{form}{'' if river.earned else ' dry'}",
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "width": number(width),
            "height": number(height),
            "role": "graphics-document",
            "aria_labelledby": f"{identity}-title",
            "aria_describedby": f"{identity}-words",
            "xmlns": "http://www.w3.org/2000/svg",
        },
        title,
        words,
        element("defs", {}, hatching),
        *content,
    )


def stream_words(river: River, stream: Stream) -> str:
    """A ribbon in words."""
    ends = {"source": river.places[stream.source].label, "target": river.places[stream.target].label}
    if not stream.amount:
        return _("%(source)s → %(target)s: nothing yet", **ends)
    if not stream.waiting:
        return _("%(source)s → %(target)s: %(done)s paid", **ends, done=river.money(stream.done))
    return _(
        "%(source)s → %(target)s: %(done)s paid out, %(waiting)s waiting",
        **ends,
        done=river.money(stream.done),
        waiting=river.money(stream.waiting),
    )


@dataclass(frozen=True)
class Shape:
    """A ribbon's outlines: of what arrived and of what waits (empty where there is none), and its middle."""

    done: str
    waiting: str
    middle: str
    width: float


def currents(identity: str, river: River, stream: Stream, shape: Shape) -> Markup:
    """A ribbon: what arrived is full, what waits is hatched, what just moved shimmers once in gold."""
    kind = "dry" if not stream.amount else ("in" if stream.target == river.till else "out")
    return element(
        "g",
        {"class": f"stream {kind}{' fresh' if stream.fresh else ''}"},
        element("title", {}, stream_words(river, stream)),
        element("path", {"class": "done", "d": shape.done}) if shape.done else None,
        element("path", {"class": "waiting", "d": shape.waiting, "fill": f"url(#{identity}-waiting)"})
        if shape.waiting and stream.amount
        else None,
        element("path", {"class": "bed", "d": shape.waiting})
        if shape.waiting and not stream.amount
        else None,
        element("path", {"class": "motion", "d": shape.middle, "stroke_width": max(1.5, shape.width * 0.55)})
        if stream.fresh
        else None,
    )


def bar(river: River, key: str, identity: str, corner: Point, height: float, *, lying: float = 0.0) -> Markup:
    """A place's bar, upright or (with its width in ``lying``) across. At an account the part still to be
    withdrawn is hatched; a till is drawn as a vessel, with an outline."""
    kind = river.places[key].kind
    width = lying or NODE_WIDTH
    came = river.into(key)
    waits, total = sum(one.waiting for one in came), sum(one.amount for one in came)
    hatched = height * waits / total if total and kind != "till" and not lying else 0.0
    shape = {"x": corner.x, "y": corner.y, "width": width, "height": height, "rx": 2.0}
    return Markup("").join(
        (
            element("rect", {"class": f"bar {kind}", **shape}),
            element(
                "rect",
                {
                    "class": "bar-waiting",
                    **shape,
                    "y": corner.y + height - hatched,
                    "height": hatched,
                    "fill": f"url(#{identity}-waiting)",
                },
            )
            if hatched > 0.5
            else Markup(""),
        )
    )


def node_words(river: River, key: str, shape: Markup, words: Markup) -> Markup:
    """A place as a reader and a keyboard find it: a link to its page where it has one."""
    place = river.places[key]
    said = place.label if not river.earned else ", ".join((place.label, *river.amounts(key)))
    content = (element("title", {}, said), shape, words)
    if place.href:
        return element("a", {"class": "place", "href": place.href}, *content)
    return element(
        "g", {"class": "place", "tabindex": "0", "role": "graphics-symbol", "aria_label": said}, *content
    )


def legend(river: River, identity: str, at: Point) -> Markup:
    """What full and hatched mean; for a dry river, the sentence instead."""
    if not river.earned:
        return element("text", {"class": "note", "x": at.x, "y": at.y}, _("No money has come here yet."))
    paid, waiting = _("paid out"), _("waiting in a till")
    second = at.x + 26 + text_width(paid, NOTE_SIZE) + 24
    return element(
        "g",
        {"class": "legend", "aria_hidden": "true"},
        element("rect", {"class": "key-done", "x": at.x, "y": at.y - 9, "width": 20, "height": 10}),
        element("text", {"class": "note", "x": at.x + 26, "y": at.y}, paid),
        element(
            "rect",
            {
                "class": "key-waiting",
                "x": second,
                "y": at.y - 9,
                "width": 20,
                "height": 10,
                "fill": f"url(#{identity}-waiting)",
            },
        ),
        element("text", {"class": "note", "x": second + 26, "y": at.y}, waiting),
    )
