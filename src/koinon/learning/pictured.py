# SPDX-License-Identifier: Apache-2.0
"""A run as pictures: its owners' ring, its metric's line, what each one is worth and gains, its errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from koinon.learning.groups import GroupReport
from koinon.learning.round_view import RunView
from koinon.web import gettext, percent, url
from koinon.web.pictures import Curve, Line, Mark, Marks, RoundPicture, Teacher, Tone

TONES: Final[Mapping[str, Tone]] = {"gains": "gain", "loses": "loss", "unclear": ""}


def picture(run: RunView, name: str, names: Mapping[int, str], leader: str = "") -> RoundPicture:
    """The round of a run.

    Parameters
    ----------
    name : str
        What is taught.
    names : mapping of int to str
        What the owners' dataset Works are called.
    """
    teachers = tuple(
        Teacher(
            label(owner.work_id, owner.address, names),
            owner.state,
            owner.contribution,
            url(f"/works/{owner.work_id}") if owner.work_id else "",
        )
        for owner in run.owners
    )
    return RoundPicture(name, leader or gettext("the leader"), run.number, run.rounds, teachers)


def label(work_id: int, address: str, names: Mapping[int, str]) -> str:
    """An owner by its dataset, or its account's short form."""
    return names.get(work_id) or f"{address[:6]}…{address[-4:]}"


def line(run: RunView, baseline_name: str) -> Line | None:
    """The metric round by round beside its baseline; None before anything was measured."""
    if run.baseline is None or not run.scores:
        return None
    points = [(float(number), value) for number, value in run.scores]
    name = gettext("%(metric)s on rows that nobody taught with", metric=run.metric)
    return Line(name, points, run.baseline, baseline_name, gettext("Round"), run.intervals)


def spending(run: RunView) -> Line | None:
    """Epsilon by round beside that of all rounds; None where no noise is added, or no round is over."""
    told = run.privacy
    if told is None or told.whole is None or not told.epsilons:
        return None
    points = [(float(number), epsilon) for number, epsilon in told.epsilons]
    name = gettext("ε spent, at δ %(delta)s", delta=f"{told.delta:g}")
    return Line(name, points, told.whole, gettext("all rounds"), gettext("Round"))


def worth(run: RunView, names: Mapping[int, str]) -> Marks | None:
    """What each owner's updates were found to add; None before it is measured."""
    rows = [
        Mark(
            label(owner.work_id, owner.address, names),
            *owner.worth,
            "" if owner.contribution is None else f"→ {percent(owner.contribution)}",
            "loss" if owner.worth[0] < 0 else "",
        )
        for owner in run.owners
        if owner.worth is not None
    ]
    if not rows:
        return None
    if run.swarm is not None:
        name = gettext("What each one's updates added, where the most that anybody added is 1")
    else:
        name = gettext("Points of %(metric)s that each one's updates added", metric=run.metric)
    return Marks(name, rows, 0.0, gettext("nothing added"), bars=True, shown=signed)


def gains(run: RunView, names: Mapping[int, str]) -> Marks | None:
    """Who gains by joining, on rows of its own; None where nobody tells."""
    words = {"gains": gettext("gains"), "loses": gettext("loses"), "unclear": gettext("may be chance")}
    rows = [
        Mark(
            label(owner.work_id, owner.address, names),
            owner.gain.difference.value,
            owner.gain.difference.low,
            owner.gain.difference.high,
            words[owner.gain.verdict],
            TONES[owner.gain.verdict],
        )
        for owner in run.owners
        if owner.gain is not None
    ]
    if not rows:
        return None
    name = gettext("%(metric)s gained by joining, on own rows", metric=run.metric)
    return Marks(name, rows, 0.0, gettext("as good alone"), shown=signed)


def gaps(report: GroupReport | None, metric: str) -> Marks | None:
    """The largest gap between groups in each figure; None where groups are not compared."""
    if report is None or not report.gaps:
        return None
    words = figure_words(report, metric)
    rows = [
        Mark(
            words[gap.figure],
            gap.difference.value,
            gap.difference.low,
            gap.difference.high,
            gettext("%(most)s above %(least)s", most=gap.most, least=gap.least)
            if gap.certain
            else gettext("may be chance"),
            "loss" if gap.certain else "",
        )
        for gap in report.gaps
        if gap.figure in words
    ]
    name = gettext("The largest gap between two groups by %(column)s", column=report.column)
    return Marks(name, rows, 0.0, gettext("alike"), shown=signed) if rows else None


def figure_words(report: GroupReport, metric: str) -> dict[str, str]:
    """What the figures of groups are called."""
    return {
        "selected": gettext("Given “%(name)s”", name=report.favourable),
        "opportunity": gettext("Given “%(name)s” where it is right", name=report.favourable),
        "score": metric,
    }


def curve(run: RunView) -> Curve | None:
    """The ROC curve of a finished model for two classes."""
    found = run.findings
    if len(found.curve) < 2 or len(found.classes) != 2:
        return None
    first, second = found.classes
    return Curve(
        gettext("“%(name)s” found on rows that nobody taught with", name=second),
        found.curve,
        gettext("“%(first)s” taken for “%(second)s”", first=first, second=second),
        gettext("“%(second)s” found", second=second),
    )


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.3f}"
