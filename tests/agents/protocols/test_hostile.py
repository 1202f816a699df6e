# SPDX-License-Identifier: Apache-2.0
"""What rivals, strangers and those who fall silent can do to a negotiation: handlers called one by one."""

from __future__ import annotations

import asyncio
import inspect
import json
import uuid
from dataclasses import dataclass

import pytest

from koinon.agents import Address, Agent, Context
from koinon.agents.context import Effects
from koinon.agents.limits import Limits
from koinon.agents.mechanisms import Concession
from koinon.agents.memory import take_over
from koinon.agents.message import schema_of
from koinon.agents.post import Post
from koinon.agents.protocols import (
    Bargainer,
    Bidder,
    Collector,
    Contractor,
    Manager,
    Market,
    Offerer,
    Participant,
    Payer,
    contract_net,
    terms,
)
from koinon.agents.protocols.bargain import BrokenOff, Offer
from koinon.agents.protocols.contract_net import Award, CallForProposals, Failure, Proposal, Refusal, Result
from koinon.agents.protocols.double_auction import Cleared, ClearingDue, Opening, Order
from koinon.agents.protocols.exchange import OrderRefused, PlaceOrder
from koinon.agents.protocols.sealed_bid import (
    Commitment,
    Invitation,
    Outcome,
    OutcomeDue,
    Reveal,
    RevealsDue,
    Sealed,
    commitment,
)
from koinon.agents.protocols.settlement import (
    EXPECT_S,
    PAY_S,
    NotPaid,
    Payment,
    PaymentDue,
    SignPayment,
    Trade,
)
from koinon.chain.keys import Key
from koinon.errors import NodeUnavailable
from koinon.services.gateway.x402 import TransferPayment

NOW = 1_800_000_000
MOST_WORK = 10**10


def somebody(work_id=MOST_WORK):
    return Address(work_id, Key.generate().address)


class Desk:
    """One agent's handlers of one protocol, its memory, and a clock."""

    def __init__(self, protocol):
        self.protocol, self.me, self.table, self.now = protocol, somebody(), {}, NOW
        self.sent, self.later = [], []

    def context(self, sender, session, effects):
        return Context(
            self.me,
            sender,
            session,
            table=self.table,
            effects=effects,
            clock=lambda: self.now,
            protocol=self.protocol,
        )

    def do(self, action, session=None, sender=None):
        """Call something with a context, and let it have happened."""
        effects = Effects()
        result = action(self.context(sender or self.me, session or uuid.uuid4(), effects))
        if inspect.isawaitable(result):

            async def waiting():
                return await result

            result = asyncio.run(waiting())
        take_over(self.table, effects.writes)
        self.sent, self.later = effects.sends, effects.later
        return result

    def hear(self, message, session, sender=None):
        handler = self.protocol.handlers[schema_of(type(message)).digest]
        return self.do(lambda context: handler.call(message, context), session, sender)


SESSION = uuid.UUID(int=7)
HONEST, RIVAL = somebody(), somebody()


# ------------------------------------------------------------ rivals who know the conversation's name


@pytest.mark.parametrize("first", [HONEST, RIVAL])
def test_a_rival_cannot_take_a_contractor_s_proposal_over(first):
    desk = Desk(Contractor(lambda *_: 5, lambda *_: "done"))
    for manager in (first, HONEST, RIVAL):
        desk.hear(CallForProposals("carry", 10, NOW + 5), SESSION, manager)
    assert desk.hear(Award(5, NOW + 60), SESSION, RIVAL) == Result("done")
    assert desk.hear(Award(5, NOW + 60), SESSION, HONEST) == Result("done")


@pytest.mark.parametrize("order", [(HONEST, RIVAL), (RIVAL, HONEST)])
def test_a_rival_cannot_keep_a_bidder_or_a_participant_out(order):
    decided = []
    bidder = Desk(Bidder(lambda *_: 9, lambda _context, won, price: decided.append((won, price))))
    told = [bidder.hear(Invitation("it", True, 0, NOW + 5, NOW + 9), SESSION, offerer) for offerer in order]
    assert all(isinstance(each, Commitment) for each in told)
    bidder.hear(Outcome([], "", 0), SESSION, RIVAL)
    digest = told[order.index(HONEST)].digest
    shown = bidder.hear(Sealed([(str(bidder.me), digest)]), SESSION, HONEST)
    bidder.hear(Outcome([(str(bidder.me), 9, shown.salt)], str(bidder.me), 0), SESSION, HONEST)
    assert decided == [(False, 0), (True, 0)]

    traded: list[tuple] = []
    missed: list[Context] = []
    participant = Desk(
        Participant(lambda *_: (True, 9), lambda _context, *told: traded.append(told), missed.append)
    )
    for auctioneer in order:
        assert participant.hear(Opening("it", NOW + 5), SESSION, auctioneer) == Order(True, 9)
    participant.hear(Cleared([9], [], 0, 0, 0, ""), SESSION, RIVAL)
    assert (len(missed), traded) == (1, [])
    bids, asks = [9, 8], [1, 2]
    participant.hear(Cleared(bids, asks, 0, 8, 2, str(HONEST)), SESSION, HONEST)
    assert traded == [(HONEST, 8)] or len(missed) == 2


def test_an_auctioneer_that_names_nobody_as_partner_cheats():
    cheated = []
    desk = Desk(
        Participant(lambda *_: (True, 9), lambda *_: None, cheated=lambda _context, why: cheated.append(why))
    )
    desk.hear(Opening("it", NOW + 5), SESSION, HONEST)
    desk.hear(Cleared([9, 8], [1, 2], 0, 8, 2, "nobody@all"), SESSION, HONEST)
    assert len(cheated) == 1


# ------------------------------------------------------------ those who fall silent


def test_a_bidder_whose_offerer_fell_silent_hears_that_it_has_not_won():
    decided = []
    desk = Desk(Bidder(lambda *_: 9, lambda _context, *told: decided.append(told)))
    desk.hear(Invitation("it", True, 0, NOW + 5, NOW + 9), SESSION, HONEST)
    (due,) = desk.later
    desk.hear(OutcomeDue(str(HONEST)), SESSION)
    assert decided == []
    desk.now += due.due_in_s
    desk.hear(OutcomeDue(str(HONEST)), SESSION, RIVAL)
    assert decided == []
    for _ in range(2):
        desk.hear(OutcomeDue(str(HONEST)), SESSION)
    assert (decided, desk.table) == ([(False, 0)], {})


def test_a_participant_whose_auctioneer_fell_silent_has_missed():
    missed: list[Context] = []
    desk = Desk(Participant(lambda *_: (True, 9), lambda *_: None, missed.append))
    desk.hear(Opening("it", NOW + 5), SESSION, HONEST)
    desk.now += desk.later[0].due_in_s
    for _ in range(2):
        desk.hear(ClearingDue(str(HONEST)), SESSION)
    assert (len(missed), desk.table) == (1, {})


@pytest.mark.parametrize("ahead", [86_500, 2**39 - NOW])
def test_nothing_is_begun_that_would_not_end(ahead):
    bidder = Desk(Bidder(lambda *_: 9, lambda *_: None))
    assert bidder.hear(Invitation("it", True, 0, NOW + 5, NOW + ahead), SESSION, HONEST) is None
    participant = Desk(Participant(lambda *_: (True, 9), lambda *_: None))
    assert participant.hear(Opening("it", NOW + ahead), SESSION, HONEST) is None
    mine = Concession(False, 100, 50, NOW, NOW + 60)
    bargainer = Desk(Bargainer(lambda *_: None, lambda *_: mine))
    told = bargainer.hear(Offer("it", 10, True, NOW + ahead), SESSION, HONEST)
    assert isinstance(told, BrokenOff)
    assert [desk.table for desk in (bidder, participant, bargainer)] == [{}, {}, {}]


def test_a_contractor_tells_at_once_what_it_will_not_do(monkeypatch):
    desk = Desk(Contractor(lambda *_: 5, lambda *_: "x" * 4_001))
    assert isinstance(desk.hear(Award(5, NOW + 60), SESSION, HONEST), Failure)
    desk.hear(CallForProposals("carry", 10, NOW + 5), SESSION, HONEST)
    assert isinstance(desk.hear(Award(5, NOW + 60), SESSION, HONEST), Failure)
    monkeypatch.setattr(contract_net, "PERFORM_S", 0.05)

    async def endless(*_):
        await asyncio.Event().wait()

    slow = Desk(Contractor(lambda *_: 5, endless))
    slow.hear(CallForProposals("carry", 10, NOW + 5), SESSION, HONEST)
    assert isinstance(slow.hear(Award(5, NOW + 60), SESSION, HONEST), Failure)


def test_deadlines_beyond_a_day_are_no_trap():
    manager = Desk(Manager(lambda *_: None))
    others = [somebody(), somebody()]
    session = manager.do(
        lambda context: manager.protocol.call(context, "carry", others, ceiling=9, finish_s=200_000)
    )
    for each in others:
        manager.hear(Proposal(5), session, each)
    assert [sent.name for sent in manager.sent] == ["Award", "Rejection"]


# ------------------------------------------------------------ strangers without number


def test_strangers_cannot_begin_more_than_an_agent_remembers(monkeypatch):
    monkeypatch.setattr(terms, "MOST_OPEN", 3)
    monkeypatch.setattr(contract_net, "MOST_OPEN", 3)
    mine = Concession(False, 100, 50, NOW, NOW + 60)
    bargainer = Desk(Bargainer(lambda *_: None, lambda *_: mine))
    contractor = Desk(Contractor(lambda *_: 5, lambda *_: "done"))
    for _ in range(3):
        assert bargainer.hear(Offer("it", 10, True, NOW + 50), uuid.uuid4(), somebody()) is None
        made = contractor.hear(CallForProposals("carry", 10, NOW + 5), uuid.uuid4(), somebody())
        assert made == Proposal(5)
    told = bargainer.hear(Offer("it", 10, True, NOW + 50), uuid.uuid4(), somebody())
    assert isinstance(told, BrokenOff)
    again = CallForProposals("carry", 10, NOW + 90_000)
    assert isinstance(contractor.hear(again, uuid.uuid4(), somebody()), Refusal)
    contractor.now += 2 * contract_net.STANDS_S
    assert contractor.hear(again, uuid.uuid4(), somebody()) == Proposal(5)
    assert len(contractor.table) == 1


def test_an_agent_s_own_deadlines_shut_nobody_out():
    post = Post(Agent(), Key.generate(), somebody())
    for _ in range(50):
        post.reserve(post.address)
    limits = Limits(mailbox=10, mailbox_share=10)
    assert post.has_room(somebody(), limits)
    for _ in range(10):
        post.reserve(somebody())
    assert not post.has_room(somebody(), limits)


def test_the_largest_negotiation_fits_into_memory_and_messages():
    bidders = [somebody() for _ in range(terms.MOST_PARTIES)]
    decided, failed = [], []
    desk = Desk(Offerer(lambda _context, winner, price: decided.append((winner, price))))
    session = desk.do(lambda context: desk.protocol.invite(context, "it", bidders, sells=True, limit=0))
    price, salt = 2**62 - 1, "ab" * 32
    for each in bidders:
        desk.hear(Commitment(commitment(session, str(each), price, salt)), session, each)
    for each in bidders[1:]:
        desk.hear(Reveal(price, salt), session, each)
    desk.hear(RevealsDue(), session)
    assert [(winner is not None, paid) for winner, paid in decided] == [(True, price)]
    manager = Desk(Manager(lambda *_: None, lambda _context, why: failed.append(why)))
    session = manager.do(
        lambda context: manager.protocol.call(context, "x" * 4_000, bidders, ceiling=2**62 - 1)
    )
    for each in bidders:
        manager.hear(Proposal(2**62 - 1), session, each)
    for _ in bidders:
        winner = next(iter(manager.table.values()))
        name = Address.parse(json.loads(winner["call"])["winner"])
        manager.hear(Failure("no"), session, name)
    assert len(failed) == 1


def test_an_order_that_meets_too_many_is_refused_and_the_book_has_an_end(monkeypatch):
    monkeypatch.setattr("koinon.agents.protocols.exchange.MOST_FILLS", 3)
    monkeypatch.setattr("koinon.agents.protocols.exchange.MOST_ORDERS", 4)
    desk = Desk(Market())
    for _ in range(4):
        desk.hear(PlaceOrder(False, 5, 1), SESSION, somebody())
    assert isinstance(desk.hear(PlaceOrder(False, 5, 1), SESSION, somebody()), OrderRefused)
    desk.hear(PlaceOrder(True, 5, 4), SESSION, somebody())
    monkeypatch.setattr("koinon.agents.protocols.exchange.MOST_ORDERS", 9)
    assert isinstance(desk.hear(PlaceOrder(True, 5, 4), SESSION, somebody()), OrderRefused)
    assert len([key for key in desk.table["continuous-auction"] if key.isdigit()]) == 4
    assert len(desk.sent) == 0


# ------------------------------------------------------------ settling


@dataclass
class Coins:
    """A purse whose chain can be away."""

    account: str
    away: bool = False
    taken: bool = False

    def sign(self, work_id, amount, nonce, until):
        if self.away:
            raise NodeUnavailable("No node answers.")
        return TransferPayment(self.account, somebody().account, amount, 0, until, nonce, bytes(65))

    def made(self, nonce):
        return self.used(self.account, nonce)

    def used(self, payer, nonce):
        if self.away:
            raise NodeUnavailable("No node answers.")
        return self.taken


def payer(**state):
    told: list[object] = []
    coins = Coins("0x" + "11" * 20, **state)
    desk = Desk(
        Payer(
            coins,  # type: ignore[arg-type]
            lambda _context, *paid: told.append(paid),
            lambda _context, why: told.append(why),
        )
    )
    return desk, coins, told


def sign(desk, good, price=5, by=NOW + PAY_S):
    desk.hear(SignPayment(str(HONEST), good, price, by), SESSION)
    return Trade(SESSION, str(desk.me), str(HONEST), good, price).nonce.hex()


def test_every_trade_of_a_conversation_is_paid():
    desk, coins, told = payer()
    nonces = []
    for good in ("one", "two"):
        nonces.append(sign(desk, good))
        assert [sent.name for sent in desk.sent] == ["Payment"]
    sign(desk, "two")
    assert desk.sent == []
    coins.taken = True
    for nonce in (*nonces, *nonces):
        desk.hear(PaymentDue(nonce), SESSION)
    assert told == [(HONEST, "one", 5), (HONEST, "two", 5)]
    sign(desk, "two")
    assert (desk.sent, len(told)) == ([], 2)


def test_a_chain_that_is_away_ends_no_payment_and_makes_none_twice():
    desk, coins, told = payer(away=True)
    sign(desk, "one")
    (again,) = desk.later
    assert (again.name, told) == ("SignPayment", [])
    coins.away = False
    nonce = sign(desk, "one")
    assert [sent.name for sent in desk.sent] == ["Payment"]
    coins.away = True
    desk.hear(PaymentDue(nonce), SESSION)
    assert ([later.name for later in desk.later], told) == (["PaymentDue"], [])
    coins.away = False
    desk.hear(PaymentDue(nonce), SESSION)
    assert told == ["The seller did not take the payment in its time."]


def test_what_cannot_be_signed_in_time_has_failed():
    desk, _coins, told = payer(away=True)
    desk.now += PAY_S + 1
    sign(desk, "one", by=NOW + PAY_S)
    assert (len(told), desk.later) == (1, [])


def test_a_seller_who_denies_a_thousand_times_is_sent_it_once_at_a_time():
    desk, _coins, _told = payer()
    nonce = sign(desk, "one")
    planned = 0
    for _ in range(100):
        desk.hear(NotPaid(nonce, "no"), SESSION, HONEST)
        planned += len(desk.later)
    desk.hear(NotPaid(nonce, "no"), SESSION, RIVAL)
    assert planned == 1


def test_a_seller_whose_buyer_never_pays_hears_of_it_and_takes_nothing_after():
    unpaid = []
    coins = Coins("0x" + "11" * 20)
    desk = Desk(
        Collector(coins, lambda *_: None, lambda _context, *trade: unpaid.append(trade))  # type: ignore[arg-type]
    )
    for good in ("one", "two"):
        desk.do(lambda context, good=good: desk.protocol.expect(context, RIVAL, good, 5), SESSION)
    nonce = Trade(SESSION, str(RIVAL), str(desk.me), "one", 5).nonce.hex()
    desk.now += EXPECT_S
    coins.away = True
    desk.hear(PaymentDue(nonce), SESSION)
    assert ([later.name for later in desk.later], unpaid) == (["PaymentDue"], [])
    coins.away = False
    for _ in range(2):
        desk.hear(PaymentDue(nonce), SESSION)
    assert unpaid == [(RIVAL, "one", 5)]
    late = Payment("one", 5, RIVAL.account, NOW + 9_999, nonce, "00" * 65)
    assert isinstance(desk.hear(late, SESSION, RIVAL), NotPaid)
    assert len(desk.table) == 1
