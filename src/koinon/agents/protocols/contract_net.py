# SPDX-License-Identifier: Apache-2.0
"""Contract net: a manager calls for proposals, gives the task to the cheapest, and to the next if that fails.

After the FIPA Contract Net Interaction Protocol (SC00029H; Smith 1980). The price is the second lowest
proposal, at most the ceiling, so contractors do best by proposing what the task costs them; they see that
they get no less than they proposed, not that the manager tells the truth about the others
(`koinon.agents.protocols.sealed_bid` shows that too).
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from koinon.agents.address import Address
from koinon.agents.behaviour import Protocol, on
from koinon.agents.context import Context
from koinon.agents.handling import HANDLER_S
from koinon.agents.mechanisms import award_to_lowest
from koinon.agents.message import message
from koinon.agents.protocols.terms import (
    LONGEST_TEXT,
    MOST_OPEN,
    Amount,
    Moment,
    Reason,
    Text,
    different,
    lifetime,
)


@message
class CallForProposals:
    task: Text
    ceiling: Amount
    propose_by: Moment


@message
class Proposal:
    """``price``: the least for which the contractor does it."""

    price: Amount


@message
class Refusal:
    reason: Reason


@message
class Award:
    """``price``: what the contractor gets, at least its proposal."""

    price: Amount
    finish_by: Moment


@message
class Rejection:
    reason: Reason


@message
class Result:
    content: Text


@message
class Failure:
    reason: Reason


@message
class ProposalsDue:
    """The manager to itself: whoever has not proposed is not waited for."""


@message
class ResultDue:
    """The manager to itself: ``contractor`` has had its time."""

    contractor: str


class ContractNet(Protocol):
    name = "contract-net"
    messages = (
        CallForProposals,
        Proposal,
        Refusal,
        Award,
        Rejection,
        Result,
        Failure,
        ProposalsDue,
        ResultDue,
    )


_STATE: Final = "call"

STANDS_S: Final = 3_600
"""How long a proposal stands after the last moment to propose, in seconds."""

PERFORM_S: Final = HANDLER_S - 10
"""The most a task may take, in seconds: a handler's time."""

_LOOKED_THROUGH: Final = 500


class Manager(ContractNet):
    """Gives tasks away.

    Parameters
    ----------
    done : callable
        ``done(context, contractor, price, content)``, once for a call that succeeded, in its session.
    failed : callable
        ``failed(context, reason)``, once for one that did not.
    """

    def __init__(
        self,
        done: Callable[[Context, Address, int, str], None],
        failed: Callable[[Context, str], None] = lambda _context, _reason: None,
    ) -> None:
        self._done, self._failed = done, failed

    def call(
        self,
        context: Context,
        task: str,
        contractors: list[Address],
        *,
        ceiling: int,
        propose_s: float = 30.0,
        finish_s: float = 300.0,
    ) -> uuid.UUID:
        """Call for proposals; the session's name. Seconds to propose, and to finish the task."""
        asked = different(contractors)
        own = context.of(self).in_session(context.new_session())
        due = math.ceil(own.now + propose_s)
        own.session_memory[_STATE] = {
            "asked": [str(each) for each in asked],
            "ceiling": ceiling,
            "due": due,
            "finish_s": finish_s,
            "prices": {},
            "refused": [],
            "tried": [],
            "winner": None,
            "price": 0,
        }
        for each in asked:
            own.send(each, CallForProposals(task, ceiling, due), lifetime_s=lifetime(propose_s))
        own.later(propose_s, ProposalsDue())
        return own.session

    @on(Proposal)
    def proposed(self, proposal: Proposal, context: Context) -> None:
        state = self._open(context)
        sender = str(context.sender)
        if state is None or sender not in state["asked"] or sender in state["prices"]:
            return
        if context.now > state["due"] or proposal.price > state["ceiling"] or sender in state["refused"]:
            context.reply(Rejection("Too late, or more than the ceiling."))
            return
        state["prices"][sender] = proposal.price
        self._heard(state, context)

    @on(Refusal)
    def refused(self, refusal: Refusal, context: Context) -> None:
        del refusal
        state = self._open(context)
        sender = str(context.sender)
        if state is not None and sender in state["asked"] and sender not in state["prices"]:
            state["refused"] = sorted({*state["refused"], sender})
            self._heard(state, context)

    @on(ProposalsDue)
    def due(self, message: ProposalsDue, context: Context) -> None:
        del message
        state = self._open(context)
        if context.sender == context.me and state is not None:
            self._award(state, context)

    @on(Result)
    def finished(self, result: Result, context: Context) -> None:
        state = context.session_memory.get(_STATE)
        if state is not None and str(context.sender) == state["winner"]:
            context.end_session()
            self._done(context, context.sender, state["price"], result.content)

    @on(Failure)
    def gave_up(self, failure: Failure, context: Context) -> None:
        del failure
        self._next(context, str(context.sender))

    @on(ResultDue)
    def overdue(self, message: ResultDue, context: Context) -> None:
        if context.sender == context.me:
            self._next(context, message.contractor)

    def _open(self, context: Context) -> dict[str, Any] | None:
        """The call's state while proposals are still taken."""
        state: dict[str, Any] | None = context.session_memory.get(_STATE)
        return None if state is None or state["winner"] is not None else state

    def _heard(self, state: dict[str, Any], context: Context) -> None:
        context.session_memory[_STATE] = state
        if len(state["prices"]) + len(state["refused"]) == len(state["asked"]):
            self._award(state, context)

    def _next(self, context: Context, contractor: str) -> None:
        state = context.session_memory.get(_STATE)
        if state is None or state["winner"] != contractor:
            return
        context.send(Address.parse(contractor), Rejection("The task is taken back."))
        self._award(state, context)

    def _award(self, state: dict[str, Any], context: Context) -> None:
        """Give the task to the cheapest who has not had it."""
        left = [each for each in state["asked"] if each in state["prices"] and each not in state["tried"]]
        award = award_to_lowest([state["prices"][each] for each in left], state["ceiling"])
        if award is None:
            context.end_session()
            self._failed(context, "Nobody does the task." if state["tried"] else "Nobody has proposed.")
            return
        winner = left[award.winner]
        first = not state["tried"]
        state |= {"winner": winner, "price": award.price, "tried": [*state["tried"], winner]}
        context.session_memory[_STATE] = state
        finish_s = state["finish_s"]
        told = Award(award.price, math.ceil(context.now + finish_s))
        context.send(Address.parse(winner), told, lifetime_s=lifetime(finish_s))
        context.later(finish_s, ResultDue(winner))
        if first:
            for each in state["prices"]:
                if each != winner:
                    context.send(
                        Address.parse(each), Rejection("Another was cheaper; you may be asked again.")
                    )


class Contractor(ContractNet):
    """Takes tasks.

    Parameters
    ----------
    estimate : callable
        ``estimate(context, task, ceiling)``: the least for which it does the task, or None to refuse.
    perform : callable
        ``perform(context, task, price)``: the result (4,000 characters at most), now or as an awaitable that
        ends within `PERFORM_S`; an exception is told as a failure.
    """

    def __init__(
        self,
        estimate: Callable[[Context, str, int], int | None],
        perform: Callable[[Context, str, int], str | Awaitable[str]],
    ) -> None:
        self._estimate, self._perform = estimate, perform

    @on(CallForProposals)
    def consider(self, call: CallForProposals, context: Context) -> Proposal | Refusal:
        if context.now > call.propose_by or not self._room(context):
            return Refusal("It is too late, or too much is proposed here already.")
        price = self._estimate(context, call.task, call.ceiling)
        if price is None or price > call.ceiling:
            return Refusal("Not at this price.")
        stands = min(call.propose_by, context.now + STANDS_S) + STANDS_S
        kept = {"task": call.task, "price": price, "stands": stands}
        context.session_memory[str(context.sender)] = kept  # all who are asked know the conversation's name
        return Proposal(price)

    @on(Award)
    async def awarded(self, award: Award, context: Context) -> Result | Failure:
        mine = context.session_memory.pop(str(context.sender), None)
        if mine is None or context.now > min(mine["stands"], award.finish_by):
            return Failure("Nothing is proposed here, or it is too late.")
        if award.price < mine["price"]:
            return Failure("That is less than was proposed.")
        try:
            async with asyncio.timeout(min(PERFORM_S, award.finish_by - context.now)):
                made = self._perform(context, mine["task"], award.price)
                result = made if isinstance(made, str) else await made
            return Result(result) if len(result) <= LONGEST_TEXT else Failure("The result is too long.")
        except Exception as error:  # whatever it is, the manager must not wait for it
            return Failure(f"It could not be done: {type(error).__name__}."[:400])

    @on(Rejection)
    def rejected(self, rejection: Rejection, context: Context) -> None:
        """Kept in mind: if the cheapest fails, the task may come after all."""

    @staticmethod
    def _room(context: Context) -> bool:
        """Whether one more proposal can be remembered. Of the oldest, those that lapsed are forgotten."""
        sessions = context.sessions()
        if len(sessions) < MOST_OPEN:
            return True
        ended = 0
        for session in sessions[:_LOOKED_THROUGH]:
            own = context.in_session(session)
            kept = own.session_memory.values()
            if all("stands" in each and each["stands"] < own.now for each in kept):
                own.end_session()
                ended += 1
        return ended > 0
