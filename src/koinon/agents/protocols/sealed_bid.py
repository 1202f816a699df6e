# SPDX-License-Identifier: Apache-2.0
"""One thing for sale, or one task, by sealed bids at the second price, so that every bidder can check it.

Bids are first committed to (SHA-256 of session, bidder, price and salt), then the list of commitments is
shown to all, then bids are revealed, then all reveals are shown to all. Nobody, the offerer included, sees a
bid before its own is fixed, and each bidder computes winner and price again. Whoever does not reveal is out.

What it does not prevent: an offerer that bids itself under other names to raise the price, which works
against its own sale as often as for it, and a bidder that commits under several names and reveals only one.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field

from koinon.agents.address import Address
from koinon.agents.behaviour import Protocol, on
from koinon.agents.context import Context
from koinon.agents.mechanisms import Award, award_to_highest, award_to_lowest
from koinon.agents.message import message
from koinon.agents.protocols.terms import (
    GRACE_S,
    LONGEST_S,
    MOST_PARTIES,
    Amount,
    Hex32,
    Moment,
    Reason,
    Text,
    different,
    has_room,
    lifetime,
)

Bidders = Annotated[list[tuple[str, Hex32]], Field(max_length=MOST_PARTIES)]
Opened = Annotated[list[tuple[str, Amount, Hex32]], Field(max_length=MOST_PARTIES)]


@message
class Invitation:
    """``sells``: whether the thing goes to the highest bid; otherwise the task goes to the lowest.
    ``limit``: the reserve of a sale, the ceiling of a task."""

    thing: Text
    sells: bool
    limit: Amount
    commit_by: Moment
    reveal_by: Moment


@message
class Commitment:
    digest: Hex32


@message
class Sealed:
    """Who has committed to what; nothing more is taken."""

    commitments: Bidders


@message
class Reveal:
    price: Amount
    salt: Hex32


@message
class Outcome:
    """Every valid reveal; winner and price follow from them. ``winner`` empty where there is none."""

    reveals: Opened
    winner: str
    price: Amount


@message
class CommitmentsDue:
    """The offerer to itself."""


@message
class RevealsDue:
    """The offerer to itself."""


@message
class OutcomeDue:
    """The bidder to itself: ``offerer`` has had its time."""

    offerer: str


@message
class Withdrawn:
    reason: Reason


class SealedBid(Protocol):
    name = "sealed-bid"
    messages = (
        Invitation,
        Commitment,
        Sealed,
        Reveal,
        Outcome,
        CommitmentsDue,
        RevealsDue,
        OutcomeDue,
        Withdrawn,
    )


_STATE: Final = "auction"


def commitment(session: uuid.UUID, bidder: str, price: int, salt: str) -> str:
    """SHA-256 of session (16 bytes), bidder's address as text, price (8 bytes, big-endian) and salt (32)."""
    parts = session.bytes + bidder.encode() + price.to_bytes(8, "big") + bytes.fromhex(salt)
    return hashlib.sha256(parts).hexdigest()


def decide(sells: bool, limit: int, prices: list[int]) -> Award | None:
    """Winner and price by the rule of the second price."""
    return award_to_highest(prices, limit) if sells else award_to_lowest(prices, limit)


class Offerer(SealedBid):
    """Sells things, or gives tasks away; ``decided(context, winner, price)`` is called once, in its session,
    with None and 0 where nobody wins."""

    def __init__(self, decided: Callable[[Context, Address | None, int], None]) -> None:
        self._decided = decided

    def invite(
        self,
        context: Context,
        thing: str,
        bidders: list[Address],
        *,
        sells: bool,
        limit: int,
        commit_s: float = 30.0,
        reveal_s: float = 30.0,
    ) -> uuid.UUID:
        """Invite bids; the session's name. Bidders have ``commit_s`` seconds, then ``reveal_s``."""
        invited = different(bidders)
        own = context.of(self).in_session(context.new_session())
        commit_by = math.ceil(own.now + commit_s)
        reveal_by = math.ceil(own.now + commit_s + reveal_s)
        own.session_memory[_STATE] = {
            "invited": [str(each) for each in invited],
            "sells": sells,
            "limit": limit,
            "reveal_s": reveal_s,
            "stage": "commit",
            "commitments": {},
            "reveals": {},
        }
        for each in invited:
            own.send(
                each, Invitation(thing, sells, limit, commit_by, reveal_by), lifetime_s=lifetime(commit_s)
            )
        own.later(commit_s, CommitmentsDue())
        return own.session

    @on(Commitment)
    def committed(self, committed: Commitment, context: Context) -> None:
        state, sender = self._at("commit", context), str(context.sender)
        if state is None or sender not in state["invited"] or sender in state["commitments"]:
            return
        state["commitments"][sender] = committed.digest
        context.session_memory[_STATE] = state
        if len(state["commitments"]) == len(state["invited"]):
            self._seal(state, context)

    @on(CommitmentsDue)
    def commitments_due(self, message: CommitmentsDue, context: Context) -> None:
        del message
        state = self._at("commit", context)
        if state is not None and context.sender == context.me:
            self._seal(state, context)

    @on(Reveal)
    def revealed(self, reveal: Reveal, context: Context) -> None:
        state, sender = self._at("reveal", context), str(context.sender)
        if state is None or sender not in state["commitments"]:
            return
        if state["commitments"][sender] != commitment(context.session, sender, reveal.price, reveal.salt):
            context.reply(Withdrawn("That is not the bid that was committed to."))
            return
        state["reveals"][sender] = [reveal.price, reveal.salt]
        context.session_memory[_STATE] = state
        if len(state["reveals"]) == len(state["commitments"]):
            self._decide(state, context)

    @on(RevealsDue)
    def reveals_due(self, message: RevealsDue, context: Context) -> None:
        del message
        state = self._at("reveal", context)
        if state is not None and context.sender == context.me:
            self._decide(state, context)

    def _at(self, stage: str, context: Context) -> dict[str, Any] | None:
        state: dict[str, Any] | None = context.session_memory.get(_STATE)
        return state if state is not None and state["stage"] == stage else None

    def _seal(self, state: dict[str, Any], context: Context) -> None:
        if not state["commitments"]:
            self._decide(state, context)
            return
        state["stage"] = "reveal"
        context.session_memory[_STATE] = state
        listed = [(bidder, state["commitments"][bidder]) for bidder in sorted(state["commitments"])]
        for bidder, _digest in listed:
            context.send(Address.parse(bidder), Sealed(listed), lifetime_s=lifetime(state["reveal_s"]))
        context.later(state["reveal_s"], RevealsDue())

    def _decide(self, state: dict[str, Any], context: Context) -> None:
        reveals = [(bidder, *state["reveals"][bidder]) for bidder in sorted(state["reveals"])]
        award = decide(state["sells"], state["limit"], [price for _bidder, price, _salt in reveals])
        winner, price = ("", 0) if award is None else (reveals[award.winner][0], award.price)
        context.end_session()
        for bidder in state["commitments"]:
            context.send(Address.parse(bidder), Outcome(reveals, winner, price))
        self._decided(context, Address.parse(winner) if winner else None, price)


class Bidder(SealedBid):
    """Bids.

    Parameters
    ----------
    value : callable
        ``value(context, invitation)``: what the thing is worth to it, or the task costs it; None to stay out.
    decided : callable
        ``decided(context, won, price)``, once, after the outcome was computed again; with false and 0 where
        none came in its time.
    cheated : callable
        ``cheated(context, why)``: the outcome does not follow from the rule and what was shown.
    """

    def __init__(
        self,
        value: Callable[[Context, Invitation], int | None],
        decided: Callable[[Context, bool, int], None],
        cheated: Callable[[Context, str], None] = lambda _context, _why: None,
    ) -> None:
        self._value, self._decided, self._cheated = value, decided, cheated

    @on(Invitation)
    def invited(self, invitation: Invitation, context: Context) -> Commitment | None:
        place, now = str(context.sender), context.now  # all bidders know the conversation's name
        last = max(invitation.commit_by, invitation.reveal_by)
        if place in context.session_memory or not has_room(context):
            return None
        if now > invitation.commit_by or last > now + LONGEST_S:
            return None
        price = self._value(context, invitation)
        if price is None:
            return None
        salt, until = secrets.token_hex(32), last + GRACE_S
        context.later(until - now, OutcomeDue(place))
        context.session_memory[place] = {
            "until": until,
            "sells": invitation.sells,
            "limit": invitation.limit,
            "price": price,
            "salt": salt,
            "sealed": None,
        }
        return Commitment(commitment(context.session, str(context.me), price, salt))

    @on(Sealed)
    def sealed(self, sealed: Sealed, context: Context) -> Reveal | None:
        mine = self._mine(context)
        if mine is None or mine["sealed"] is not None:
            return None
        own = commitment(context.session, str(context.me), mine["price"], mine["salt"])
        listed = dict(sealed.commitments)
        if listed.get(str(context.me)) != own or len(listed) != len(sealed.commitments):
            del context.session_memory[str(context.sender)]
            self._cheated(context, "The list of commitments does not hold the one that was sent.")
            return None
        context.session_memory[str(context.sender)] = mine | {"sealed": listed}
        return Reveal(mine["price"], mine["salt"])

    @on(Outcome)
    def outcome(self, outcome: Outcome, context: Context) -> None:
        mine = self._mine(context)
        if mine is None:
            return
        del context.session_memory[str(context.sender)]
        if mine["sealed"] is None:  # the list of commitments never came: this bid was out
            self._decided(context, False, outcome.price)
            return
        why = self._fault(outcome, mine, context)
        if why:
            self._cheated(context, why)
        else:
            self._decided(context, outcome.winner == str(context.me), outcome.price)

    @on(OutcomeDue)
    def outcome_due(self, message: OutcomeDue, context: Context) -> None:
        mine = context.session_memory.get(message.offerer)
        if context.sender == context.me and mine is not None and context.now >= mine["until"]:
            del context.session_memory[message.offerer]
            self._decided(context, False, 0)

    @on(Withdrawn)
    def withdrawn(self, withdrawn: Withdrawn, context: Context) -> None:
        """The offerer says that the bid is not the one committed to; the outcome will show."""

    def _mine(self, context: Context) -> dict[str, Any] | None:
        mine: dict[str, Any] | None = context.session_memory.get(str(context.sender))
        return mine

    def _fault(self, outcome: Outcome, mine: dict[str, Any], context: Context) -> str:
        """What is wrong with an outcome; empty where it is right."""
        shown = {bidder: (price, salt) for bidder, price, salt in outcome.reveals}
        if shown.get(str(context.me)) != (mine["price"], mine["salt"]) or len(shown) != len(outcome.reveals):
            return "The bid that was revealed is missing."
        for bidder, (price, salt) in shown.items():
            if mine["sealed"].get(bidder) != commitment(context.session, bidder, price, salt):
                return f"{bidder} did not commit to the bid that is shown."
        award = decide(mine["sells"], mine["limit"], [price for _bidder, price, _salt in outcome.reveals])
        expected = ("", 0) if award is None else (outcome.reveals[award.winner][0], award.price)
        return (
            ""
            if (outcome.winner, outcome.price) == expected
            else "Winner or price is not what the rule says."
        )
