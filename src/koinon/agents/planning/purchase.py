# SPDX-License-Identifier: Apache-2.0
"""Finding and buying for a planner: the network's market, and a buyer within its owner's allowance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from koinon.agents.planning.capability import Capability, read_capability
from koinon.agents.planning.fulfilment import Buy, Find
from koinon.errors import KoinonError
from koinon.services.buying.client import Buyer
from koinon.services.buying.replies import Answer
from koinon.services.finding.market import Market
from koinon.services.finding.trust import Trust

AT_MOST: Final = 12
"""Services that one search brings."""


def finder(
    market: Market, trust: Trust, describe: Callable[[str], dict[str, Any]], place: Callable[[int], str]
) -> Find:
    """Services for words as a reader's market ranks them; those that do not describe themselves are left out.

    Parameters
    ----------
    describe : callable
        What the gateway at an address says, as `Buyer.describe`.
    place : callable
        Where a Work is called; raises KoinonError where it is not.
    """

    def find(words: str) -> list[Capability]:
        found = []
        for each in market.find(words, trust=trust, limit=AT_MOST).results:
            try:
                url = place(each.work_id)
                found.append(read_capability(each.work_id, url, describe(url), each.quality))
            except KoinonError:
                continue
        return found

    return find


def paying(open_buyer: Callable[[int], Buyer]) -> Buy:
    """Call by voucher, at no more than the price that was planned with.

    Parameters
    ----------
    open_buyer : callable
        Opens a buyer that pays at most so much a call (`Buyer`'s ``highest_price``), within the allowance.
    """
    buyers: dict[int, Buyer] = {}

    def buy(capability: Capability, arguments: dict[str, Any]) -> Answer:
        if capability.price not in buyers:
            buyers[capability.price] = open_buyer(capability.price)
        return buyers[capability.price].call(capability.url, arguments)

    return buy
