# SPDX-License-Identifier: Apache-2.0
"""The marketplace's pictures: prices side by side, whom one call pays, income by day, what channels hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from koinon.services.finding.found import Found
from koinon.web import Unit, gettext
from koinon.web.pictures import Mark, Marks, draw_marks
from koinon.works.family import Family
from koinon.works.purse import OpenChannel
from koinon.works.shares import OWNER

MOST_PRICES = 8
MOST_DAYS = 14
MOST_CHANNELS = 12


def prices(found: Found, unit: Unit) -> Markup | None:
    """What a call of each costs, the cheapest of them as the line; none where fewer than two are known."""
    told = [
        (each.row.name, each.listed.price)
        for each in found.results[:MOST_PRICES]
        if each.listed is not None and each.listed.price is not None
    ]
    if len(told) < 2:
        return None
    cheapest = _coins(min(price for _, price in told), unit)
    return draw_marks(
        Marks(
            gettext("Price of a call, %(symbol)s", symbol=unit.symbol),
            _marks(told, unit),
            cheapest,
            gettext("the cheapest"),
            shown=_figure,
        )
    )


def parts_of_a_call(
    family: Family, work_id: int, names: Mapping[int, str], named: Callable[[str], str | None]
) -> list[tuple[str, int]]:
    """Of one call's price, who gets which share in 1e-9, the largest first; empty where that is not known."""
    table = family.sharing(work_id).table
    if table is None:
        return []
    tills = family.works_of(payee for payee in table if payee != OWNER)
    parts = []
    for payee, share in table.items():
        if payee == OWNER:
            name = gettext("its owner")
        elif payee in tills:
            name = names.get(tills[payee]) or gettext("Work %(id)s", id=tills[payee])
        else:
            name = named(payee) or f"{payee[:6]}…{payee[-4:]}"
        parts.append((name, share))
    return sorted(parts, key=lambda part: (-part[1], part[0]))


def by_day(days: Iterable[tuple[int, int]], unit: Unit) -> Markup | None:
    """(beginning of the day in Unix seconds, amount) as bars, in the order given."""
    told = [(date_of(day), amount) for day, amount in days][:MOST_DAYS]
    return _bars(gettext("Earned a day, %(symbol)s", symbol=unit.symbol), told, unit)


def left_in(
    channels: Sequence[OpenChannel], name_of: Callable[[OpenChannel], str], unit: Unit
) -> Markup | None:
    """What is left in each channel, as bars."""
    told = [(name_of(each), each.left) for each in channels][:MOST_CHANNELS]
    return _bars(gettext("Left in the channel, %(symbol)s", symbol=unit.symbol), told, unit)


def date_of(timestamp: int) -> str:
    """A day as 2026-11-30, in UTC."""
    return datetime.fromtimestamp(timestamp, UTC).date().isoformat()


def _bars(name: str, told: Sequence[tuple[str, int]], unit: Unit) -> Markup | None:
    if not told:
        return None
    return draw_marks(Marks(name, _marks(told, unit), 0.0, "0", bars=True, shown=_figure))


def _marks(told: Iterable[tuple[str, int]], unit: Unit) -> list[Mark]:
    return [
        Mark(label, value, value, value) for label, value in ((each, _coins(n, unit)) for each, n in told)
    ]


def _coins(units: int, unit: Unit) -> float:
    return float(units / 10**unit.decimals)


def _figure(value: float) -> str:
    return f"{value:,.6g}"
