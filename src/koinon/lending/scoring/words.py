# SPDX-License-Identifier: Apache-2.0
"""Reasons and ways up as sentences in the reader's language (see `koinon.web.language`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from koinon.lending.scorecard_table import MISSING
from koinon.lending.scoring.reader import Reader
from koinon.lending.scoring.reasons import Change, Explanation, Reason, Way
from koinon.lending.scoring.scorecard import Scorecard
from koinon.web.language import gettext as _

Titles = Mapping[str, str]
"""What columns are called to people, where not by their own names."""


def notice(scorecard: Scorecard, found: Explanation, titles: Titles | None = None) -> list[str]:
    """The adverse-action notice: one sentence a reason, most points lost first."""
    return [_begun(_reason(scorecard, reason, titles or {}), titles) for reason in found.reasons]


def ways_up(
    scorecard: Scorecard,
    found: Explanation,
    titles: Titles | None = None,
    tier_name: Callable[[int], str] = str,
) -> list[str]:
    """What would lift the row a tier, the smallest change first; says so where nothing would."""
    if found.tier == 0:
        return [_("This is the best tier.")]
    ways = (*found.one, *found.two)
    said = [_begun(_way(scorecard, way, titles or {}, tier_name), titles) for way in ways]
    return said or [_("No change of one or two things would be enough for the next tier.")]


def _begun(sentence: str, titles: Titles | None) -> str:
    """With a capital, where columns have titles: a column's own name is written as it is."""
    return sentence[:1].upper() + sentence[1:] if titles else sentence


def _reason(scorecard: Scorecard, reason: Reason, titles: Titles) -> str:
    column = titles.get(reason.column, reason.column)
    if reason.value == MISSING:
        return _("%(column)s is not known: %(lost)d points below the best.", column=column, lost=reason.lost)
    return _(
        "%(column)s is %(value)s: %(lost)d points below the best.",
        column=column,
        value=_reader(scorecard, reason.column).words(reason.value),
        lost=reason.lost,
    )


def _way(scorecard: Scorecard, way: Way, titles: Titles, tier_name: Callable[[int], str]) -> str:
    steps = [_change(scorecard, change, titles) for change in way.changes]
    reached = min(way.tier, sum(way.points < least for least in scorecard.table.thresholds))
    end = _("%(points)d points, enough for tier %(tier)s.", points=way.points, tier=tier_name(reached))
    if len(steps) == 1:
        return _("%(change)s: %(end)s", change=steps[0], end=end)
    return _("%(change)s, and %(other)s: %(end)s", change=steps[0], other=steps[1], end=end)


def _change(scorecard: Scorecard, change: Change, titles: Titles) -> str:
    column = titles.get(change.column, change.column)
    reader = _reader(scorecard, change.column)
    target = reader.words(change.target)
    if change.value == MISSING:
        if change.direction > 0:
            return _("show %(column)s of at least %(target)s", column=column, target=target)
        if change.direction < 0:
            return _("show %(column)s of at most %(target)s", column=column, target=target)
        return _("show %(column)s of %(target)s", column=column, target=target)
    now = reader.words(change.value)
    if change.direction > 0:
        return _(
            "raise %(column)s from %(now)s to at least %(target)s", column=column, now=now, target=target
        )
    if change.direction < 0:
        return _("lower %(column)s from %(now)s to at most %(target)s", column=column, now=now, target=target)
    return _("change %(column)s from %(now)s to %(target)s", column=column, now=now, target=target)


def _reader(scorecard: Scorecard, column: str) -> Reader:
    return scorecard.readers[scorecard.columns.index(column)]
