# SPDX-License-Identifier: Apache-2.0
"""A market that gathers orders of one unit each until it closes, and clears them at once by McAfee's rule.

Everybody is shown all bids and asks, without names, and computes prices and its own trade again. An
auctioneer could still slip in orders of its own once it has seen the others'.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field

from koinon.agents.address import Address
from koinon.agents.behaviour import Protocol, on
from koinon.agents.context import Context
from koinon.agents.mechanisms import Clearing, mcafee
from koinon.agents.message import message
from koinon.agents.protocols.terms import (
    GRACE_S,
    LONGEST_S,
    MOST_PARTIES,
    Amount,
    Moment,
    Text,
    different,
    has_room,
    lifetime,
)
from koinon.errors import BadInput

Book = Annotated[list[Amount], Field(max_length=MOST_PARTIES)]


@message
class Opening:
    good: Text
    closes: Moment


@message
class Order:
    """One unit, bought for at most, or sold for at least, ``price``."""

    buys: bool
    price: Amount


@message
class Cleared:
    """All orders; the receiver's is at ``place`` of its side. ``partner``: with whom it trades, or empty."""

    bids: Book
    asks: Book
    place: Annotated[int, Field(ge=0, lt=MOST_PARTIES)]
    paid: Amount
    received: Amount
    partner: str


@message
class Closing:
    """The auctioneer to itself."""


@message
class ClearingDue:
    """A participant to itself: ``auctioneer`` has had its time."""

    auctioneer: str


class DoubleAuction(Protocol):
    name = "double-auction"
    messages = (Opening, Order, Cleared, Closing, ClearingDue)


_STATE: Final = "market"


class Auctioneer(DoubleAuction):
    """Holds markets.

    Parameters
    ----------
    cleared : callable
        ``cleared(context, trades, kept)``: who trades, as (buyer, seller, paid, received), and what is left.
    """

    def __init__(
        self, cleared: Callable[[Context, list[tuple[Address, Address, int, int]], int], None]
    ) -> None:
        self._cleared = cleared

    def open(self, context: Context, good: str, participants: list[Address], *, seconds: float) -> uuid.UUID:
        """Invite orders for so many seconds; the session's name."""
        invited = different(participants)
        own = context.of(self).in_session(context.new_session())
        closes = math.ceil(own.now + seconds)
        own.session_memory[_STATE] = {
            "invited": [str(each) for each in invited],
            "closes": closes,
            "orders": {},
        }
        for each in invited:
            own.send(each, Opening(good, closes), lifetime_s=lifetime(seconds))
        own.later(seconds, Closing())
        return own.session

    @on(Order)
    def ordered(self, order: Order, context: Context) -> None:
        state, sender = context.session_memory.get(_STATE), str(context.sender)
        if state is None or sender not in state["invited"] or sender in state["orders"]:
            return
        state["orders"][sender] = [order.buys, order.price]
        context.session_memory[_STATE] = state
        if len(state["orders"]) == len(state["invited"]):
            self._clear(state, context)

    @on(Closing)
    def closing(self, message: Closing, context: Context) -> None:
        del message
        state = context.session_memory.get(_STATE)
        if state is not None and context.sender == context.me:
            self._clear(state, context)

    def _clear(self, state: dict[str, Any], context: Context) -> None:
        sides: dict[bool, list[str]] = {True: [], False: []}
        for participant in sorted(state["orders"]):
            sides[state["orders"][participant][0]].append(participant)
        prices = {side: [state["orders"][each][1] for each in names] for side, names in sides.items()}
        clearing = mcafee(prices[True], prices[False])
        partners = _partners(clearing, sides[True], sides[False])
        context.end_session()
        for names in sides.values():
            for place, name in enumerate(names):
                told = Cleared(
                    prices[True],
                    prices[False],
                    place,
                    clearing.paid,
                    clearing.received,
                    partners.get(name, ""),
                )
                context.send(Address.parse(name), told)
        trades = [
            (Address.parse(buyer), Address.parse(partners[buyer]), clearing.paid, clearing.received)
            for buyer in sides[True]
            if buyer in partners
        ]
        self._cleared(context, trades, clearing.kept)


class Participant(DoubleAuction):
    """Sends orders.

    Parameters
    ----------
    order : callable
        ``order(context, good)``: whether it buys, and what a unit is worth to it; or None to stay out.
    traded : callable
        ``traded(context, partner, price)``: it trades, and pays or gets the price.
    missed : callable
        ``missed(context)``: it does not trade, or was told nothing in time.
    cheated : callable
        ``cheated(context, why)``: what it is told does not follow from the orders shown.
    """

    def __init__(
        self,
        order: Callable[[Context, str], tuple[bool, int] | None],
        traded: Callable[[Context, Address, int], None],
        missed: Callable[[Context], None] = lambda _context: None,
        cheated: Callable[[Context, str], None] = lambda _context, _why: None,
    ) -> None:
        self._order, self._traded, self._missed, self._cheated = order, traded, missed, cheated

    @on(Opening)
    def opened(self, opening: Opening, context: Context) -> Order | None:
        place, now = str(context.sender), context.now  # all participants know the conversation's name
        if place in context.session_memory or not has_room(context):
            return None
        if not now <= opening.closes <= now + LONGEST_S:
            return None
        mine = self._order(context, opening.good)
        if mine is None:
            return None
        (buys, price), until = mine, opening.closes + GRACE_S
        context.later(until - now, ClearingDue(place))
        context.session_memory[place] = {"buys": buys, "price": price, "until": until}
        return Order(buys, price)

    @on(Cleared)
    def cleared(self, cleared: Cleared, context: Context) -> None:
        mine = context.session_memory.pop(str(context.sender), None)
        if mine is None:
            return
        clearing = mcafee(cleared.bids, cleared.asks)
        side = cleared.bids if mine["buys"] else cleared.asks
        traders = clearing.buyers if mine["buys"] else clearing.sellers
        if cleared.place >= len(side) or side[cleared.place] != mine["price"]:
            self._cheated(context, "The order that was sent is not among those shown.")
        elif (cleared.paid, cleared.received) != (clearing.paid, clearing.received):
            self._cheated(context, "The prices are not those of the orders shown.")
        elif bool(cleared.partner) != (cleared.place in traders.tolist()):
            self._cheated(context, "Who trades does not follow from the orders shown.")
        elif cleared.partner:
            price = clearing.paid if mine["buys"] else clearing.received
            try:
                partner = Address.parse(cleared.partner)
            except BadInput:
                self._cheated(context, "The partner that is named is nobody.")
                return
            self._traded(context, partner, price)
        else:
            self._missed(context)

    @on(ClearingDue)
    def clearing_due(self, message: ClearingDue, context: Context) -> None:
        mine = context.session_memory.get(message.auctioneer)
        if context.sender == context.me and mine is not None and context.now >= mine["until"]:
            del context.session_memory[message.auctioneer]
            self._missed(context)


def _partners(clearing: Clearing, buyers: list[str], sellers: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for buyer, seller in zip(clearing.buyers.tolist(), clearing.sellers.tolist(), strict=True):
        found[buyers[buyer]], found[sellers[seller]] = sellers[seller], buyers[buyer]
    return found
