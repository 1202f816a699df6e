# SPDX-License-Identifier: Apache-2.0
"""A flow of messages as a picture of who speaks to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from markupsafe import Markup

from koinon.agents.address import Address
from koinon.agents.exchange import GUEST
from koinon.agents.flow import Flow
from koinon.web import gettext, ngettext
from koinon.web.pictures import Speaker, Way, draw_talk

MOST: Final = 10
"""Speakers in the picture; the rest are one."""


def name_of(address: Address, names: Mapping[Address, str]) -> str:
    """What a page calls a speaker."""
    if address in names:
        return names[address]
    if address == GUEST:
        return gettext("Guests")
    short = f"{address.account[:6]}…{address.account[-4:]}"
    return gettext("Work %(id)s", id=address.work_id) if address.work_id else short


def picture_of(flow: Flow, names: Mapping[Address, str], link: Callable[[Address], str]) -> Markup | None:
    """The picture; None where nobody has spoken to anybody. ``names`` are the agents that run here."""
    ways = flow.ways
    if not ways:
        return None
    busy: Counter[Address] = Counter()
    for (sender, target), count in ways.items():
        busy[sender] += count
        busy[target] += count
    shown = [address for address, _count in busy.most_common(MOST if len(busy) > MOST + 1 else MOST + 1)]
    places = {address: place for place, address in enumerate(shown)}
    speakers = [Speaker(name_of(each, names), each in names, link(each)) for each in shown]
    rest = len(busy) - len(shown)
    if rest:
        speakers.append(Speaker(ngettext("%(num)s other", "%(num)s others", rest)))
    arrows: Counter[tuple[int, int]] = Counter()
    for (sender, target), count in ways.items():
        start, end = places.get(sender, len(shown)), places.get(target, len(shown))
        if start != end:
            arrows[start, end] += count
    return draw_talk(speakers, [Way(start, end, count) for (start, end), count in sorted(arrows.items())])
