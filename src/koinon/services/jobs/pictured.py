# SPDX-License-Identifier: Apache-2.0
"""How far a job is, as a line with its stations: what was, what is waited for, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from markupsafe import Markup

from koinon.services.jobs.contract import Job, JobStatus
from koinon.services.jobs.listing import Happened
from koinon.web import gettext as _
from koinon.web import marked, moment
from koinon.web.formatting import ago_text
from koinon.web.pictures.svg import cut, element, number

Mark = Literal["done", "missing", "sent", ""]

WORDS: Final = {
    "created": marked("Commissioned"),
    "funded": marked("Paid into escrow"),
    "submitted": marked("Handed in"),
    "completed": marked("Accepted: its provider is paid"),
    "rejected": marked("Rejected: the money goes back"),
    "expired": marked("Expired: the money went back"),
    "called off": marked("Called off"),
    "judged": marked("Accepted or rejected"),
}

_WIDE, _WIDE_HEIGHT, _NARROW, _STEP, _RADIUS = 760.0, 92.0, 360.0, 58.0, 10.0


@dataclass(frozen=True)
class Station:
    """A place on the line: ``mark`` done, missing (ended badly), sent (waited for now) or nothing yet; ``at``
    in Unix seconds, 0 where nothing happened yet."""

    what: str
    mark: Mark
    at: int = 0

    @property
    def when(self) -> str:
        """How long ago; empty where it did not happen."""
        return ago_text(self.at) if self.at else ""


def stations(job: Job, happened: Sequence[Happened]) -> list[Station]:
    """What was, then what may still come."""
    found = []
    for each in happened:
        bad = each.what in ("rejected", "expired")
        unpaid = each.what == "rejected" and not any(one.what == "funded" for one in happened)
        found.append(Station("called off" if unpaid else each.what, "missing" if bad else "done", each.at))
    if job.status.over:
        return found
    ahead = {
        JobStatus.OPEN: ("funded", "submitted", "judged"),
        JobStatus.FUNDED: ("submitted", "judged"),
    }.get(job.status, ("judged",))
    return found + [Station(what, "sent" if place == 0 else "") for place, what in enumerate(ahead)]


def draw_line_of(job: Job, line: Sequence[Station]) -> Markup:
    """The picture, wide and narrow."""
    sentence = "; ".join(_said(each) for each in line)
    title = _("Job %(id)s: %(stations)s", id=job.job_id, stations=sentence)
    return element("div", {"class": "picture", "id": "line"}, _wide(title, line), _narrow(title, line))


def _wide(title: str, line: Sequence[Station]) -> Markup:
    step = _WIDE / max(len(line), 1)
    middle = 26.0
    last = step * (len(line) - 0.5)
    parts = [
        element("title", {}, title),
        element("path", {"class": "axis", "d": f"M{number(step / 2)} {number(middle)}H{number(last)}"}),
    ]
    for place, each in enumerate(line):
        x = step * (place + 0.5)
        parts += [
            _dot(each, x, middle),
            _text(cut(_(WORDS[each.what]), 14, step - 8), x, middle + 34, "name", "middle"),
            _text(each.when, x, middle + 54, "note", "middle"),
        ]
    return _svg("wide", _WIDE, _WIDE_HEIGHT, title, parts)


def _narrow(title: str, line: Sequence[Station]) -> Markup:
    height = _STEP * len(line)
    end = height - _STEP / 2
    parts = [
        element("title", {}, title),
        element("path", {"class": "axis", "d": f"M16 {number(_STEP / 2)}V{number(end)}"}),
    ]
    for place, each in enumerate(line):
        y = _STEP * (place + 0.5)
        parts += [
            _dot(each, 16, y),
            _text(
                cut(_(WORDS[each.what]), 14, _NARROW - 50), 40, y + (0 if each.when else 5), "name", "start"
            ),
            _text(each.when, 40, y + 19, "note", "start"),
        ]
    return _svg("narrow", _NARROW, height, title, parts)


def _dot(station: Station, x: float, y: float) -> Markup:
    parts = [element("circle", {"class": f"dot {station.mark}".strip(), "cx": x, "cy": y, "r": _RADIUS})]
    if station.mark == "done":
        parts.append(element("path", {"class": "tick", "d": f"M{number(x - 4)} {number(y)}l3 4l5 -8"}))
    elif station.mark == "missing":
        cross = f"M{number(x - 4)} {number(y - 4)}l8 8M{number(x + 4)} {number(y - 4)}l-8 8"
        parts.append(element("path", {"class": "cross", "d": cross}))
    return element("g", {}, element("title", {}, _said(station)), *parts)


def _said(station: Station) -> str:
    words = _(WORDS[station.what])
    if station.at:
        return f"{words}, {moment(station.at)}"
    return _("%(station)s: waited for now", station=words) if station.mark == "sent" else words


def _text(words: str, x: float, y: float, kind: str, anchor: str) -> Markup:
    return element("text", {"class": kind, "x": x, "y": y, "text_anchor": anchor}, words)


def _svg(kind: str, width: float, height: float, title: str, parts: Sequence[Markup]) -> Markup:
    return element(
        "svg",
        {
            "class": kind,
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "role": "img",
            "aria_label": title,
            "xmlns": "http://www.w3.org/2000/svg",
        },
        *parts,
    )
