# SPDX-License-Identifier: Apache-2.0
"""Agents that come to an agreement: honest ones, silent ones, and ones that cheat."""

from __future__ import annotations

import time

import pytest

from koinon.agents import Address, Agent, Context, message, on
from koinon.agents.mechanisms import Concession
from koinon.agents.protocols import (
    Auctioneer,
    Bargainer,
    Bidder,
    Contractor,
    Manager,
    Market,
    Offerer,
    Participant,
    Trader,
)
from koinon.agents.protocols.bargain import Accepted, Offer
from koinon.agents.protocols.contract_net import Award, CallForProposals, Proposal, Result
from koinon.agents.protocols.double_auction import Cleared
from koinon.agents.protocols.exchange import OrderGone, OrderPlaced, OrderRefused, Trade
from koinon.agents.protocols.sealed_bid import Outcome, Reveal, Sealed
from koinon.agents.protocols.terms import MOST_PARTIES, different
from koinon.agents.runtime import Runtime
from koinon.chain.keys import Key
from koinon.errors import BadInput
from tests.agents.support import DOMAIN, run, until

SOON_S, LATE_S = 2.5, 60.0


class Player(Agent):
    """An agent that notes what it is told, and may begin something at its start."""

    address: Address

    def __init__(self, begin=None):
        super().__init__()
        self.told: list[tuple] = []
        self.begin = begin
        self.key = Key.generate()

    def note(self, *told):
        self.told.append(tuple(each for each in told if not isinstance(each, Context)))

    def startup(self, context):
        if self.begin is not None:
            self.begin(context)


def play(*players, enough):
    """Run them in one process until ``enough()`` is true; then nothing may be undeliverable."""

    async def scenario():
        runtime = Runtime(DOMAIN)
        for player in players:
            player.address = runtime.add(player, player.key, 0)
        async with runtime:
            await until(enough)
            assert runtime.dead() == []

    run(scenario())


def addresses(players):
    return [player.address for player in players]


# ------------------------------------------------------------ contract net


def contractor(price, result="done", kind=Contractor):
    player = Player()

    def perform(context, task, paid):
        player.note(task, paid)
        if isinstance(result, Exception):
            raise result
        return result

    player.include(kind(lambda context, task, ceiling: price, perform))
    return player


class SilentContractor(Contractor):
    @on(CallForProposals)
    def consider(self, call: CallForProposals, context: Context) -> None:  # type: ignore[override]
        pass


class StallingContractor(Contractor):
    @on(Award)
    async def awarded(self, award: Award, context: Context) -> None:  # type: ignore[override]
        pass


class DearContractor(Contractor):
    """Proposes more than the ceiling, and sends a result nobody asked it for."""

    @on(CallForProposals)
    def consider(self, call: CallForProposals, context: Context) -> Proposal:
        context.reply(Result("not mine to give"))
        return Proposal(call.ceiling + 1)


def managed(players, ceiling=100, propose_s=LATE_S, finish_s=LATE_S):
    player = Player()
    manager = Manager(lambda *told: player.note("done", *told), lambda *told: player.note("failed", *told))
    player.include(manager)
    times = {"propose_s": propose_s, "finish_s": finish_s}
    player.begin = lambda context: manager.call(
        context, "carry", addresses(players), ceiling=ceiling, **times
    )
    play(*players, player, enough=lambda: player.told)
    (told,) = player.told
    return told


def test_the_cheapest_gets_the_task_and_the_second_price():
    players = [contractor(70), contractor(30, "carried"), contractor(None), contractor(50)]
    assert managed(players) == ("done", players[1].address, 50, "carried")
    assert [player.told for player in players] == [[], [("carry", 50)], [], []]


def test_when_the_cheapest_fails_the_next_gets_the_task():
    players = [contractor(10, RuntimeError("flat tyre")), contractor(30, "carried"), contractor(60)]
    assert managed(players) == ("done", players[1].address, 60, "carried")


def test_whoever_says_nothing_is_not_waited_for():
    players = [contractor(40, "carried"), contractor(1, kind=SilentContractor)]
    assert managed(players, propose_s=SOON_S) == ("done", players[0].address, 100, "carried")


def test_whoever_takes_the_task_and_stalls_loses_it():
    players = [contractor(40, "carried"), contractor(1, kind=StallingContractor)]
    assert managed(players, finish_s=SOON_S) == ("done", players[0].address, 100, "carried")


def test_proposals_above_the_ceiling_and_results_nobody_asked_for_count_nothing():
    told = managed([contractor(1, kind=DearContractor), contractor(None)], propose_s=SOON_S)
    assert told == ("failed", "Nobody has proposed.")
    assert managed([contractor(5, ValueError()), contractor(6, ValueError())]) == (
        "failed",
        "Nobody does the task.",
    )


def test_a_negotiation_has_others_in_it():
    someone = Address(0, Key.generate().address)
    assert different([someone, someone]) == [someone]
    for parties in ([], [Address(number, someone.account) for number in range(MOST_PARTIES + 1)]):
        with pytest.raises(BadInput):
            different(parties)


# ------------------------------------------------------------ sealed bids


def bidder(value, kind=Bidder):
    player = Player()
    player.include(
        kind(
            lambda context, invitation: value,
            lambda *told: player.note("decided", *told),
            lambda *told: player.note("cheated", *told),
        )
    )
    return player


def auctioned(players, *, sells=True, limit=0, commit_s=LATE_S, reveal_s=LATE_S, kind=Offerer, heard=None):
    player = Player()
    offerer = kind(player.note)
    player.include(offerer)
    times = {"commit_s": commit_s, "reveal_s": reveal_s}
    player.begin = lambda context: offerer.invite(
        context, "a painting", addresses(players), sells=sells, limit=limit, **times
    )
    hearing = players if heard is None else heard
    play(*players, player, enough=lambda: player.told and all(each.told for each in hearing))
    return player.told[0]


def test_the_highest_bid_pays_the_second_and_everybody_can_check_it():
    players = [bidder(value) for value in (40, 90, 70)]
    assert auctioned(players) == (players[1].address, 70)
    assert [player.told for player in players] == [
        [("decided", False, 70)],
        [("decided", True, 70)],
        [("decided", False, 70)],
    ]


def test_a_task_goes_to_the_lowest_at_the_second_lowest():
    players = [bidder(value) for value in (40, 90, 70)]
    assert auctioned(players, sells=False, limit=100) == (players[0].address, 70)


def test_a_reserve_that_nobody_reaches_sells_nothing():
    assert auctioned([bidder(3), bidder(4)], limit=5) == (None, 0)


class BidderWhoHides(Bidder):
    @on(Sealed)
    def sealed(self, sealed: Sealed, context: Context) -> None:
        super().sealed(sealed, context)


class BidderWhoThinksAgain(Bidder):
    """Reveals another bid than it committed to."""

    @on(Sealed)
    def sealed(self, sealed: Sealed, context: Context) -> Reveal | None:
        honest = super().sealed(sealed, context)
        return None if honest is None else Reveal(honest.price - 30, honest.salt)


@pytest.mark.parametrize("kind", [BidderWhoHides, BidderWhoThinksAgain])
def test_bids_that_are_not_revealed_as_committed_are_out(kind):
    players = [bidder(40), bidder(90, kind), bidder(70)]
    assert auctioned(players, reveal_s=SOON_S, heard=(players[0], players[2])) == (players[2].address, 40)


def test_whoever_stays_out_is_not_waited_for():
    players = [bidder(None), bidder(90)]
    assert auctioned(players, commit_s=SOON_S, limit=7, heard=players[1:]) == (players[1].address, 7)


class DearOfferer(Offerer):
    """Raises the price by a bid that nobody committed to."""

    def _decide(self, state, context):
        bidder, price, salt = next((each, *state["reveals"][each]) for each in state["reveals"])
        shill = (str(Address(9, Key.generate().address)), price - 1, salt)
        reveals = [(each, *state["reveals"][each]) for each in sorted(state["reveals"])] + [shill]
        for each in state["commitments"]:
            context.send(Address.parse(each), Outcome(reveals, bidder, price - 1))
        context.end_session()
        self._decided(context, None, 0)


class ForgetfulOfferer(Offerer):
    """Leaves a bid out of the list of commitments."""

    def _seal(self, state, context):
        for each in state["commitments"]:
            listed = [(other, digest) for other, digest in state["commitments"].items() if other != each]
            context.send(Address.parse(each), Sealed(listed))
        self._decided(context, None, 0)


class UnjustOfferer(Offerer):
    """Names another winner than the rule."""

    def _decide(self, state, context):
        reveals = [(each, *state["reveals"][each]) for each in sorted(state["reveals"])]
        worst = min(reveals, key=lambda shown: shown[1])
        for each in state["commitments"]:
            context.send(Address.parse(each), Outcome(reveals, worst[0], 0))
        self._decided(context, None, 0)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (DearOfferer, "did not commit"),
        (ForgetfulOfferer, "does not hold"),
        (UnjustOfferer, "not what the rule"),
    ],
)
def test_an_offerer_that_cheats_is_found_out_by_every_bidder(kind, why):
    players = [bidder(40), bidder(90)]
    auctioned(players, kind=kind)
    for player in players:
        ((what, told),) = player.told
        assert what == "cheated"
        assert why in told


# ------------------------------------------------------------ double auction


def participant(buys, price):
    player = Player()
    player.include(
        Participant(
            lambda context, good: None if price is None else (buys, price),
            lambda *told: player.note("traded", *told),
            lambda *told: player.note("missed", *told),
            lambda *told: player.note("cheated", *told),
        )
    )
    return player


def cleared(players, kind=Auctioneer, seconds=LATE_S, heard=None):
    player = Player()
    auctioneer = kind(player.note)
    player.include(auctioneer)
    player.begin = lambda context: auctioneer.open(context, "1 kWh", addresses(players), seconds=seconds)
    hearing = players if heard is None else heard
    play(*players, player, enough=lambda: player.told and all(each.told for each in hearing))
    return player.told[0]


def test_a_market_clears_by_mcafee_s_rule_and_all_can_check_it():
    buyers = [participant(True, price) for price in (9, 7, 3)]
    sellers = [participant(False, price) for price in (2, 3, 6, 8)]
    trades, kept = cleared([*buyers, *sellers])
    assert kept == sum(paid - received for _buyer, _seller, paid, received in trades)
    assert {buyer for buyer, _seller, _paid, _received in trades} == {each.address for each in buyers[:2]}
    prices = {paid for _buyer, _seller, paid, _received in trades}
    for player in buyers[:2]:
        ((what, partner, price),) = player.told
        assert (what, price) == ("traded", *prices)
        assert partner in addresses(sellers[:2])
    assert [player.told for player in (buyers[2], *sellers[2:])] == [[("missed",)]] * 3


def test_a_market_closes_without_those_who_say_nothing():
    players = [participant(True, 9), participant(False, 2), participant(True, None)]
    assert cleared(players, seconds=SOON_S, heard=players[:2]) == ([], 0)


class GreedyAuctioneer(Auctioneer):
    """Has buyers pay one more than the orders say."""

    def _clear(self, state, context):
        bids = [price for buys, price in state["orders"].values() if buys]
        asks = [price for buys, price in state["orders"].values() if not buys]
        places = {True: 0, False: 0}
        for name, (buys, _price) in state["orders"].items():
            context.send(Address.parse(name), Cleared(bids, asks, places[buys], 6, 5, ""))
            places[buys] += 1
        self._cleared(context, [], 0)


def test_an_auctioneer_that_takes_more_is_found_out():
    players = [participant(True, 9), participant(False, 2)]
    cleared(players, kind=GreedyAuctioneer)
    assert [player.told[0][0] for player in players] == ["cheated", "cheated"]


# ------------------------------------------------------------ continuous auction


@message
class Go:
    """Begin."""


class TradingPlayer(Player):
    """Places orders, each once the one before was answered; cancels where the order is a number."""

    def __init__(self, market, *orders, then=None):
        super().__init__()
        self.orders, self.then = list(orders), then
        self.trading = Trader(market, self.traded, self.heard)
        self.include(self.trading)

    @on(Go)
    def go(self, message: Go, context: Context) -> None:
        self.next(context)

    def traded(self, context, trade):
        self.note(trade)

    def heard(self, context, told):
        self.note(told)
        self.next(context)

    def next(self, context):
        if not self.orders:
            if self.then is not None:
                context.of(None).send(self.then.address, Go())
            return
        order = self.orders.pop(0)
        if isinstance(order, int):
            self.trading.cancel(context, order)
        else:
            buys, price, quantity = order
            self.trading.place(context, buys=buys, price=price, quantity=quantity)


def test_an_open_market_trades_at_once_and_tells_both_sides():
    keeper = Player()
    keeper.include(Market(keeper.note))
    market = Address(0, keeper.key.address)
    buyer = TradingPlayer(market, (True, 5, 2), 2, 9)
    seller = TradingPlayer(market, (False, 5, 3), (False, 4, 1), then=buyer)
    seller.begin = seller.next
    play(keeper, buyer, seller, enough=lambda: len(buyer.told) == 5 and len(seller.told) == 4)
    assert keeper.told == [(buyer.address, seller.address, 4, 1), (buyer.address, seller.address, 5, 1)]
    assert {told for (told,) in seller.told} == {
        OrderPlaced(1, 3),
        OrderPlaced(2, 1),
        Trade(2, False, 4, 1, str(buyer.address)),
        Trade(1, False, 5, 1, str(buyer.address)),
    }
    assert {told for (told,) in buyer.told if not isinstance(told, OrderRefused)} == {
        OrderPlaced(3, 0),
        Trade(3, True, 4, 1, str(seller.address)),
        Trade(3, True, 5, 1, str(seller.address)),
    }
    refused = [told.reason for (told,) in buyer.told if isinstance(told, OrderRefused)]
    assert len(refused) == 2  # an order that is gone, and one of somebody else's


def test_an_owner_takes_its_own_order_out_of_the_book():
    keeper = Player()
    keeper.include(Market())
    seller = TradingPlayer(Address(0, keeper.key.address), (False, 5, 3), 1, (True, 5, 1))
    seller.begin = seller.next
    play(keeper, seller, enough=lambda: len(seller.told) == 3)
    assert [told for (told,) in seller.told] == [OrderPlaced(1, 3), OrderGone(1, 3), OrderPlaced(2, 1)]


# ------------------------------------------------------------ bargaining


def bargaining(buyer_limit, seller_limit, seconds=3.0, kind=Bargainer):
    """A buyer who begins at nothing and a seller who begins at 100; what both are told."""
    deadline = time.time() + seconds
    buyer, seller = Player(), Player()

    def side(player, kind, limits):
        return kind(
            lambda *told: player.note("agreed", *told), limits, lambda *told: player.note("failed", *told)
        )

    starting = side(buyer, Bargainer, lambda *_: None)
    buyer.include(starting)
    seller.include(
        side(seller, kind, lambda context, offer: Concession(False, 100, seller_limit, context.now, deadline))
    )
    buyer.begin = lambda context: starting.offer(
        context, seller.address, "a painting", Concession(True, 0, buyer_limit, context.now, deadline)
    )
    play(seller, buyer, enough=lambda: buyer.told and seller.told)
    return buyer, seller


def test_two_that_can_agree_do_so_at_one_price():
    buyer, seller = bargaining(70, 40)
    ((what, partner, buys, good, price),) = buyer.told
    assert (what, partner, buys, good) == ("agreed", seller.address, True, "a painting")
    assert 40 <= price <= 70
    assert seller.told == [("agreed", buyer.address, False, "a painting", price)]


def test_two_that_cannot_agree_end_at_the_deadline():
    buyer, seller = bargaining(30, 80, seconds=1.5)
    assert [told[0] for told in (*buyer.told, *seller.told)] == ["failed", "failed"]


class SlySeller(Bargainer):
    """Accepts at a price that nobody offered."""

    @on(Offer)
    def offered(self, offer: Offer, context: Context) -> Accepted | None:
        self._failed(context, "sly")
        return Accepted(offer.price + 50)


def test_an_acceptance_of_what_was_not_offered_binds_nobody():
    buyer, _seller = bargaining(70, 40, seconds=1.5, kind=SlySeller)
    assert [told[0] for told in buyer.told] == ["failed"]


class ShiftySeller(Bargainer):
    """Answers an offer for one thing with an offer of another."""

    @on(Offer)
    def offered(self, offer: Offer, context: Context) -> Offer:  # type: ignore[override]
        self._failed(context, "shifty")
        return Offer("a copy", 1, False, offer.deadline)


def test_an_offer_of_another_thing_ends_the_negotiation():
    buyer, _seller = bargaining(70, 40, kind=ShiftySeller)
    ((what, reason),) = buyer.told
    assert (what, "what is at stake" in reason) == ("failed", True)


def test_a_negotiation_does_not_begin_after_its_deadline():
    refused = []
    player = Player()
    bargainer = Bargainer(lambda *_: None)
    player.include(bargainer)

    def begin(context):
        with pytest.raises(BadInput):
            bargainer.offer(context, player.address, "x", Concession(True, 1, 2, 0.0, 1.0))
        refused.append(True)

    player.begin = begin
    play(player, enough=lambda: refused)
