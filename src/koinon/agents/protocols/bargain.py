# SPDX-License-Identifier: Apache-2.0
"""Two agents and a price: alternating offers, with concessions over time and a deadline.

Only whoever's turn it is may offer or accept, so two acceptances never cross. An acceptance binds once the
other side has confirmed that the offer still stood; from then on that side is bound, even if its confirmation
gets lost.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from typing import Any, Final

from koinon.agents.address import Address
from koinon.agents.behaviour import Protocol, on
from koinon.agents.context import Context
from koinon.agents.mechanisms import Concession, accepts
from koinon.agents.message import message
from koinon.agents.protocols.terms import Amount, Moment, Reason, Text, has_room, lifetime
from koinon.errors import BadInput


@message
class Offer:
    """``price`` for ``good``; whoever offers it ``buys`` or sells. Nothing is taken after the deadline."""

    good: Text
    price: Amount
    buys: bool
    deadline: Moment


@message
class Accepted:
    """The last offer is taken, at its price."""

    price: Amount


@message
class Confirmed:
    """The offer that was taken still stood: from here on both are bound."""

    price: Amount


@message
class BrokenOff:
    reason: Reason


@message
class NextOffer:
    """To oneself: it is time to offer again."""


@message
class TimeOver:
    """To oneself: the deadline, or the end of the wait for a confirmation."""


class Bargain(Protocol):
    name = "bargain"
    messages = (Offer, Accepted, Confirmed, BrokenOff, NextOffer, TimeOver)


_STATE: Final = "bargain"
_STEPS: Final = 40
"""The time to the deadline in steps: each side thinks for one before it offers again."""
_CONFIRM_S: Final = 600.0
"""How long whoever has accepted waits beyond the deadline to hear that it was in time."""


class Bargainer(Bargain):
    """Buys or sells by offers.

    Parameters
    ----------
    agreed : callable
        ``agreed(context, partner, buys, good, price)``, once on each side.
    limits : callable
        ``limits(context, offer)``: what the agent wants of an offer that a stranger makes, as a `Concession`
        of its own, or None to refuse. Nothing is negotiated beyond its deadline.
    failed : callable
        ``failed(context, reason)``.
    """

    def __init__(
        self,
        agreed: Callable[[Context, Address, bool, str, int], None],
        limits: Callable[[Context, Offer], Concession | None] = lambda _context, _offer: None,
        failed: Callable[[Context, str], None] = lambda _context, _reason: None,
    ) -> None:
        self._agreed, self._limits, self._failed = agreed, limits, failed

    def offer(self, context: Context, partner: Address, good: str, mine: Concession) -> uuid.UUID:
        """Begin with an offer; the session's name. BadInput where the deadline has passed."""
        own = context.of(self).in_session(context.new_session())
        if mine.deadline <= own.now:
            raise BadInput("The deadline of this negotiation has passed.", code="agents.negotiation")
        self._offer(own, self._begin(own, partner, good, mine, math.ceil(mine.deadline)))
        return own.session

    @on(Offer)
    def offered(self, offer: Offer, context: Context) -> Accepted | BrokenOff | None:
        state = self._state(context)
        if state is None:
            free = _STATE not in context.session_memory and has_room(context)
            mine = self._limits(context, offer) if free else None
            if (
                mine is None
                or mine.buys == offer.buys
                or not context.now <= offer.deadline <= math.ceil(mine.deadline)
            ):
                return BrokenOff("That is not traded here, or the time is over.")
            state = self._begin(context, context.sender, offer.good, mine, offer.deadline)
        if state["turn"] != "theirs":
            return None
        same = (offer.good, offer.deadline, offer.buys) == (
            state["good"],
            state["deadline"],
            not state["buys"],
        )
        if not same or context.now > state["deadline"]:
            self._end(context, "The other side changed what is at stake, or came too late.")
            return BrokenOff("The time is over, or that is another matter.")
        if accepts(self._mine(state), offer.price, self._moment(state, context)):
            context.session_memory[_STATE] = state | {"turn": "confirmed", "price": offer.price}
            return Accepted(offer.price)
        context.session_memory[_STATE] = state | {"turn": "mine"}
        context.later(self._step(state), NextOffer())
        return None

    @on(NextOffer)
    def next_offer(self, message: NextOffer, context: Context) -> None:
        del message
        state = context.session_memory.get(_STATE)
        if state is not None and context.sender == context.me and state["turn"] == "mine":
            self._offer(context, state)

    @on(Accepted)
    def accepted(self, accepted: Accepted, context: Context) -> Confirmed | BrokenOff:
        state = self._state(context)
        stands = state is not None and state["turn"] == "theirs" and context.now <= state["deadline"]
        if state is None or not stands or accepted.price != state["price"]:
            return BrokenOff("That offer does not stand.")
        self._agree(context, state)
        return Confirmed(accepted.price)

    @on(Confirmed)
    def confirmed(self, confirmed: Confirmed, context: Context) -> None:
        state = self._state(context)
        if state is not None and (state["turn"], state["price"]) == ("confirmed", confirmed.price):
            self._agree(context, state)

    @on(BrokenOff)
    def broken_off(self, message: BrokenOff, context: Context) -> None:
        if self._state(context) is not None:
            self._end(context, message.reason)

    @on(TimeOver)
    def time_over(self, message: TimeOver, context: Context) -> None:
        state = context.session_memory.get(_STATE)
        if state is None or context.sender != context.me:
            return
        if state["turn"] == "confirmed" and context.now < state["deadline"] + _CONFIRM_S:
            context.later(_CONFIRM_S, message)
        else:
            self._end(context, "The time is over.")

    def _begin(
        self, context: Context, partner: Address, good: str, mine: Concession, deadline: int
    ) -> dict[str, Any]:
        """Remember the negotiation; the other side's turn. The deadline is the one that was offered first."""
        state = {
            "partner": str(partner),
            "good": good,
            "buys": mine.buys,
            "wish": mine.wish,
            "limit": mine.limit,
            "begun": context.now,
            "deadline": deadline,
            "patience": mine.patience,
            "turn": "theirs",
            "price": None,
        }
        context.session_memory[_STATE] = state
        context.later(max(0.0, deadline - context.now), TimeOver())
        return state

    def _offer(self, context: Context, state: dict[str, Any]) -> None:
        if context.now > state["deadline"]:
            return  # `TimeOver` is on its way
        price = self._mine(state).offer(self._moment(state, context))
        context.session_memory[_STATE] = state | {"turn": "theirs", "price": price}
        offer = Offer(state["good"], price, state["buys"], state["deadline"])
        left = lifetime(state["deadline"] - context.now)
        context.send(Address.parse(state["partner"]), offer, lifetime_s=left)

    def _state(self, context: Context) -> dict[str, Any] | None:
        """The negotiation, if the sender is the other side of it."""
        state: dict[str, Any] | None = context.session_memory.get(_STATE)
        return state if state is not None and state["partner"] == str(context.sender) else None

    @staticmethod
    def _mine(state: dict[str, Any]) -> Concession:
        begun = min(state["begun"], state["deadline"] - 1e-3)
        limits = (state["buys"], state["wish"], state["limit"])
        return Concession(*limits, begun, state["deadline"], state["patience"])

    @staticmethod
    def _step(state: dict[str, Any]) -> float:
        return max(0.0, float(state["deadline"] - state["begun"]) / _STEPS)

    def _moment(self, state: dict[str, Any], context: Context) -> float:
        """Now, or in the last steps the deadline: then it is the limit that counts."""
        deadline = float(state["deadline"])
        return deadline if context.now + 3 * self._step(state) >= deadline else context.now

    def _agree(self, context: Context, state: dict[str, Any]) -> None:
        context.end_session()
        self._agreed(context, Address.parse(state["partner"]), state["buys"], state["good"], state["price"])

    def _end(self, context: Context, reason: str) -> None:
        context.end_session()
        self._failed(context, reason)
