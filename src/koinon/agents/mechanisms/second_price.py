# SPDX-License-Identifier: Apache-2.0
"""Sealed bids for one thing, at the second price (Vickrey 1961)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Award:
    """Who wins (a place among the bids), and the price in the smallest unit."""

    winner: int
    price: int


def award_to_highest(bids: Sequence[int], reserve: int = 0) -> Award | None:
    """A thing is sold: the highest bid wins and pays the second highest, or the reserve if that is more.

    Of equal bids the first wins. None where no bid reaches the reserve.
    """
    eligible = [place for place, bid in enumerate(bids) if bid >= reserve]
    if not eligible:
        return None
    winner = max(eligible, key=lambda place: (bids[place], -place))
    others = [bids[place] for place in eligible if place != winner]
    return Award(winner, max([reserve, *others]))


def award_to_lowest(asks: Sequence[int], ceiling: int) -> Award | None:
    """A task is given away: the lowest ask wins and gets the second lowest, or the ceiling if that is less.

    Of equal asks the first wins. None where every ask is above the ceiling.
    """
    found = award_to_highest([-ask for ask in asks], -ceiling)
    return None if found is None else Award(found.winner, -found.price)
