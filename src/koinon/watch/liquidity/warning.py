# SPDX-License-Identifier: Apache-2.0
"""Early warning: signals of each day from what was known at its end, and how often they were right.

An alarm is right where the event comes within ``lead`` days after it. Hit rate: of the events, the share
with an alarm in the ``lead`` days before. False alarms: alarms (days in a row are one, and after one there is
quiet for a week) after which no event came. Chance: the hit rate of the same alarms moved in time, which an
alarm that rings always has too. A warning is only as good as all of these together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from koinon.estimates import wilson
from koinon.watch.liquidity.coverage import HORIZON_DAYS, spans
from koinon.watch.liquidity.flows import Flows
from koinon.watch.liquidity.forecast import FIRST_DAYS, rolled
from koinon.watch.liquidity.tail import DECAY, WINDOW_DAYS, foretell

Floats = NDArray[np.float64]
Days = NDArray[np.bool_]

LEAD_DAYS: Final = 14
QUIET_DAYS: Final = 7
SHIFTS: Final = 100
YEAR_DAYS: Final = 365


@dataclass(frozen=True)
class Score:
    """How one signal did: ``hits`` of ``events`` with the 95 % interval of the rate (Wilson); ``chance`` the
    hit rate of alarms moved in time; ``false_alarms`` in ``years``; ``ringing`` the share of days it rang;
    ``lead`` median days between first alarm and event (nan without hits)."""

    name: str
    events: int
    hits: int
    low: float
    high: float
    chance: float
    ringing: float
    false_alarms: int
    right_alarms: int
    years: float
    lead: float

    @property
    def hit_rate(self) -> float:
        """Of the events; nan without any."""
        return self.hits / self.events if self.events else float("nan")

    @property
    def false_a_year(self) -> float:
        """False alarms a year of watching."""
        return self.false_alarms / self.years if self.years else float("nan")

    def document(self) -> dict[str, Any]:
        """As JSON; what there is none of is null."""
        told = {**asdict(self), "hit_rate": self.hit_rate, "false_a_year": self.false_a_year}
        return {name: None if value != value else value for name, value in told.items()}  # noqa: PLR0124


def signals(flows: Flows, liquid: Floats, top_share: Floats, *, first: int = FIRST_DAYS) -> dict[str, Days]:
    """(days,) of each signal and of ``combined``, each from days up to its own; none before ``first``.

    ``coverage``: liquid money below the 95th percentile of what 30 days took so far. ``run``: the three
    largest together could ask for more than is liquid. ``surge``: of the last five days, two took more than
    the 95 % forecast made the day before. ``combined``: coverage is red in a surge (chosen on
    another seed than the one that reports show). ``yesterday``: what simple watching would do, the day's
    outflow among the highest twentieth so far.
    """
    days = len(flows)
    rate = flows.rate
    found = {name: np.zeros(days, dtype=np.bool_) for name in ("coverage", "run", "surge", "yesterday")}
    taken = spans(rate)
    for day in range(first, days):
        stress = float(np.quantile(taken[: day - HORIZON_DAYS + 2], 0.95))
        found["coverage"][day] = liquid[day] < stress * flows.balance[day]
        found["run"][day] = liquid[day] < top_share[day] * flows.balance[day]
        found["yesterday"][day] = rate[day] > np.quantile(rate[:day], 0.95)
    told = rolled(flows, first=first, quantiles=(0.95,))
    over = np.zeros(days)
    over[told.rows + 1] = told.came > told.trees[0]
    recent = np.convolve(over, np.ones(5))[:days]
    found["surge"] = recent >= 2
    combined = found["coverage"] & found["surge"]
    return {**found, "combined": np.asarray(combined, dtype=np.bool_)}


def market_signals(returns: Floats, *, level: float = 0.99, window: int = WINDOW_DAYS) -> dict[str, Days]:
    """(days,) of returns: ``value_at_risk``: the figure for the next day is among the highest twentieth of
    its own past year or more; ``yesterday``: the day's loss is among the highest twentieth so far."""
    told = foretell(np.append(returns, 0.0), level, window=window, decay=DECAY)
    days = returns.size
    found = {name: np.zeros(days, dtype=np.bool_) for name in ("value_at_risk", "yesterday")}
    losses = -returns
    known = told.value_at_risk[1:]  # of the day after each day from ``window`` on
    for at in range(250, known.size):
        day = window + at
        found["value_at_risk"][day] = known[at] > np.quantile(known[:at], 0.95)
        found["yesterday"][day] = losses[day] > np.quantile(losses[:day], 0.95)
    return found


def falls(returns: Floats, *, share: float = 0.1, days: int = 10) -> list[int]:
    """The days on which a fall of ``share`` within ``days`` days was reached, one for each month at most."""
    prices = np.concatenate([[0.0], np.cumsum(returns)])
    found: list[int] = []
    for day in range(days, prices.size):
        high = prices[day - days : day].max()
        if prices[day] < high + np.log1p(-share) and (not found or day - 1 - found[-1] > 30):
            found.append(day - 1)
    return found


def score(
    name: str,
    alarms: Sequence[Days],
    events: Sequence[Sequence[int]],
    *,
    first: int,
    lead: int = LEAD_DAYS,
    a_year: int = YEAR_DAYS,
) -> Score:
    """How alarms (one array for each pool or series) did against events (days of each), from ``first`` on.

    Days from an event to ``lead`` days after it count neither for nor against; the event's own day is too
    late to warn.
    """
    false, right, watched, rang = 0, 0, 0, 0
    for days, own in zip(alarms, events, strict=True):
        after = np.zeros(days.size, dtype=np.bool_)
        for event in own:
            after[event : event + lead + 1] = True
        watched += int((~after[first:]).sum())
        rang += int((days & ~after)[first:].sum())
        for day in _episodes(np.where(after, False, days), first):
            if any(day < event <= day + lead for event in own):
                right += 1
            elif day + lead < days.size:  # later ones are not over
                false += 1
    leads, number = _hits(alarms, events, first, lead)
    generator = np.random.default_rng(0)
    moved = [
        len(_hits([_moved(each, first, generator) for each in alarms], events, first, lead)[0])
        for _ in range(SHIFTS if number else 0)
    ]
    chance = float(np.mean(moved)) / number if number else float("nan")
    rate = wilson(len(leads), number)
    middle = float(np.median(leads)) if leads else float("nan")
    ringing = rang / max(watched, 1)
    low, high = rate.low, rate.high
    return Score(name, number, len(leads), low, high, chance, ringing, false, right, watched / a_year, middle)


def scores(
    found: Sequence[Mapping[str, Days]],
    events: Sequence[Sequence[int]],
    *,
    first: int,
    a_year: int = YEAR_DAYS,
) -> list[Score]:
    """`score` of every signal."""
    return [
        score(name, [each[name] for each in found], events, first=first, a_year=a_year) for name in found[0]
    ]


def _hits(
    alarms: Sequence[Days], events: Sequence[Sequence[int]], first: int, lead: int
) -> tuple[list[int], int]:
    """Days from the first alarm within ``lead`` days to the event, of those with one; how many events."""
    found, number = [], 0
    for days, own in zip(alarms, events, strict=True):
        for event in own:
            if event >= first + lead:
                number += 1
                before = np.flatnonzero(days[event - lead : event])
                if before.size:
                    found.append(lead - int(before[0]))
    return found, number


def _moved(days: Days, first: int, generator: np.random.Generator) -> Days:
    """The same alarms, moved round by a random number of days."""
    own = days[first:]
    return np.concatenate([days[:first], np.roll(own, int(generator.integers(0, own.size)))])


def _episodes(days: Days, first: int) -> list[int]:
    """The days that begin an alarm: those not within a quiet week after another alarm's day."""
    found: list[int] = []
    last = -QUIET_DAYS - 1
    for day in np.flatnonzero(days):
        if day >= first:
            if day - last > QUIET_DAYS:
                found.append(int(day))
            last = int(day)
    return found
