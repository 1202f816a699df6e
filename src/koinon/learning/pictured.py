# SPDX-License-Identifier: Apache-2.0
"""A run as pictures: the ring of its owners, and the line of its metric."""

from __future__ import annotations

from collections.abc import Mapping

from koinon.learning.round_view import RunView
from koinon.web import gettext, url
from koinon.web.pictures import Line, RoundPicture, Teacher


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
