# SPDX-License-Identifier: Apache-2.0
"""What mechanisms promise: honesty pays, nobody loses by taking part, budgets are covered, little is lost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from koinon.agents.mechanisms import (
    Concession,
    OrderBook,
    accepts,
    award_to_highest,
    award_to_lowest,
    mcafee,
    most_welfare,
)
from koinon.errors import BadInput, NotFound

LARGEST = 6
few = st.lists(st.integers(0, LARGEST), min_size=1, max_size=5)
reports = range(LARGEST + 2)


def changed(values, place, report):
    return [report if index == place else value for index, value in enumerate(values)]


# ------------------------------------------------------------ second price


def gain_of_bidder(values, bids, place, reserve):
    award = award_to_highest(bids, reserve)
    return values[place] - award.price if award is not None and award.winner == place else 0


@settings(max_examples=80)
@given(few, st.integers(0, LARGEST))
def test_no_bid_for_one_thing_does_better_than_the_honest_one(values, reserve):
    for place, report in itertools.product(range(len(values)), reports):
        honest = gain_of_bidder(values, values, place, reserve)
        assert honest >= 0
        assert gain_of_bidder(values, changed(values, place, report), place, reserve) <= honest


def gain_of_worker(costs, asks, place, ceiling):
    award = award_to_lowest(asks, ceiling)
    return award.price - costs[place] if award is not None and award.winner == place else 0


@settings(max_examples=80)
@given(few, st.integers(0, LARGEST))
def test_no_ask_for_a_task_does_better_than_the_honest_one(costs, ceiling):
    for place, report in itertools.product(range(len(costs)), reports):
        honest = gain_of_worker(costs, costs, place, ceiling)
        assert honest >= 0
        assert gain_of_worker(costs, changed(costs, place, report), place, ceiling) <= honest


@given(few, st.integers(0, LARGEST))
def test_the_thing_goes_to_whoever_values_it_most(values, reserve):
    award = award_to_highest(values, reserve)
    if max(values) < reserve:
        assert award is None
    else:
        assert award is not None
        assert values[award.winner] == max(values)
        assert reserve <= award.price <= max(values)


# ------------------------------------------------------------ McAfee


def gains(values, costs, bids, asks):
    """What each buyer and seller has of a clearing, by what things are worth to them."""
    clearing = mcafee(bids, asks)
    buyers, sellers = [0] * len(values), [0] * len(costs)
    for buyer, seller in zip(clearing.buyers, clearing.sellers, strict=True):
        buyers[buyer] = values[buyer] - clearing.paid
        sellers[seller] = clearing.received - costs[seller]
    return buyers, sellers


@settings(max_examples=150)
@given(few, few)
def test_no_bid_or_ask_does_better_than_the_honest_one(values, costs):
    buyers, sellers = gains(values, costs, values, costs)
    assert min(buyers + sellers) >= 0
    for report in reports:
        for place in range(len(values)):
            assert gains(values, costs, changed(values, place, report), costs)[0][place] <= buyers[place]
        for place in range(len(costs)):
            assert gains(values, costs, values, changed(costs, place, report))[1][place] <= sellers[place]


def test_the_first_price_does_reward_lies_so_the_search_finds_some():
    """The same search on a rule that is not truthful: buyers pay what they bid."""
    values = [5, 4]

    def gain(bids, place):
        winner = max(range(2), key=lambda index: (bids[index], -index))
        return values[place] - bids[place] if winner == place else 0

    assert any(gain(changed(values, 0, report), 0) > gain(values, 0) for report in reports)


many = st.lists(st.integers(0, 10**6), min_size=1, max_size=60)


@given(many, many)
def test_budgets_are_covered_and_at_most_one_trade_is_lost(values, costs):
    clearing = mcafee(values, costs)
    assert clearing.kept >= 0
    assert len(set(clearing.buyers.tolist())) == len(set(clearing.sellers.tolist())) == clearing.trades
    made = sum(values[buyer] for buyer in clearing.buyers) - sum(costs[seller] for seller in clearing.sellers)
    best = most_welfare(values, costs)
    possible = sum(a >= b for a, b in zip(sorted(values, reverse=True), sorted(costs), strict=False))
    assert possible - 1 <= clearing.trades <= possible
    assert made <= best
    if possible > 1:  # the lost trade is the least valuable one
        assert made * possible >= best * (possible - 1)


def test_mcafee_s_own_two_cases():
    at_the_mean = mcafee([9, 7, 5, 3], [2, 3, 6, 8])
    assert (at_the_mean.trades, at_the_mean.paid, at_the_mean.received, at_the_mean.kept) == (2, 5, 5, 0)
    reduced = mcafee([9, 8, 1], [2, 7, 20])
    assert (reduced.trades, reduced.paid, reduced.received, reduced.kept) == (1, 8, 7, 1)
    assert mcafee([], [1]).trades == mcafee([1], [2]).trades == 0


@pytest.mark.parametrize("bids", [[-1], [1 << 62], [1.5], ["1"], [[1]], [None]])
def test_bids_that_are_no_amounts_are_refused(bids):
    with pytest.raises(BadInput):
        mcafee(bids, [1])


# ------------------------------------------------------------ order book


class Book(RuleBasedStateMachine):
    """Random orders of three owners against a list that is searched in the plainest way."""

    def __init__(self):
        super().__init__()
        self.book = OrderBook()
        self.plain = []
        self.placed = self.traded = self.cancelled = self.refused = 0

    @rule(
        side=st.sampled_from(["buy", "sell"]),
        owner=st.sampled_from("abc"),
        price=st.integers(0, 8),
        quantity=st.integers(1, 5),
        rest=st.booleans(),
    )
    def place(self, side, owner, price, quantity, rest):
        found = self.book.place(side, owner, price, quantity, rest=rest)
        self.placed += quantity
        left, expected = quantity, []
        better = (lambda order: order[2] <= price) if side == "buy" else (lambda order: order[2] >= price)
        sign = 1 if side == "buy" else -1
        while left:
            others = [order for order in self.plain if order[0] != side and better(order)]
            if not others:
                break
            best = min(others, key=lambda order: (sign * order[2], order[4]))
            self.plain.remove(best)
            if best[1] == owner:
                self.cancelled += best[3]
                continue
            traded = min(left, best[3])
            expected.append((best[2], traded))
            self.traded += 2 * traded
            left -= traded
            if best[3] > traded:
                self.plain.append((*best[:3], best[3] - traded, best[4]))
        if left and rest:
            self.plain.append((side, owner, price, left, found.number))
        else:
            self.refused += left
        assert [(fill.price, fill.quantity) for fill in found.fills] == expected
        assert all(fill.buyer != fill.seller for fill in found.fills)
        assert found.resting == (left if rest else 0)

    @rule(owner=st.sampled_from("abc"), number=st.integers(1, 30))
    def cancel(self, owner, number):
        mine = [order for order in self.plain if order[4] == number and order[1] == owner]
        if not mine:
            with pytest.raises(NotFound):
                self.book.cancel(number, owner)
            return
        assert self.book.cancel(number, owner) == mine[0][3]
        self.cancelled += mine[0][3]
        self.plain.remove(mine[0])

    @invariant()
    def no_unit_is_lost_or_made(self):
        resting = sum(quantity for side in ("buy", "sell") for _, quantity in self.book.depth(side))
        assert self.placed == resting + self.traded + self.cancelled + self.refused

    @invariant()
    def nothing_that_could_trade_rests(self):
        for bid, ask in itertools.product(self.plain, self.plain):
            assert not (bid[0] == "buy" and ask[0] == "sell" and bid[2] >= ask[2] and bid[1] != ask[1])

    @invariant()
    def the_levels_are_those_of_the_orders(self):
        for side in ("buy", "sell"):
            levels: dict[int, int] = {}
            for order in self.plain:
                if order[0] == side:
                    levels[order[2]] = levels.get(order[2], 0) + order[3]
            assert self.book.depth(side) == sorted(levels.items(), reverse=side == "buy")
            assert self.book.best(side) == (self.book.depth(side)[0][0] if levels else None)


TestBook = Book.TestCase
TestBook.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_an_order_that_has_expired_does_not_trade():
    book = OrderBook()
    book.place("sell", "a", 3, 1, now=0, expires=10)
    assert book.best("sell", now=9) == 3
    assert book.place("buy", "b", 5, 1, now=10).fills == ()
    assert book.depth("sell", now=10) == []


@pytest.mark.parametrize("order", [("hold", "a", 1, 1), ("buy", "a", -1, 1), ("sell", "a", 1, 0)])
def test_what_is_no_order_is_refused(order):
    with pytest.raises(BadInput):
        OrderBook().place(*order)
    with pytest.raises(BadInput):
        OrderBook().place("buy", "a", 1, 1, now=5, expires=5)


# ------------------------------------------------------------ bargaining


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0.1, 8), st.floats(-1, 3), st.floats(0, 1))
def test_offers_stay_between_wish_and_limit_and_never_go_back(wish, limit, patience, now, more):
    mine = Concession(wish <= limit, wish, limit, 0.0, 1.0, patience)
    assert min(wish, limit) <= mine.offer(now) <= max(wish, limit)
    assert abs(mine.offer(now + more) - wish) >= abs(mine.offer(now) - wish)
    assert (mine.offer(0.0), mine.offer(1.0)) == (wish, limit)


@given(st.integers(0, 100), st.integers(0, 100), st.floats(0.2, 5), st.floats(0.2, 5), st.integers(0, 50))
def test_two_that_could_agree_do_so_in_time_and_others_never(buyer_limit, seller_limit, hers, his, room):
    buyer = Concession(True, max(0, buyer_limit - room), buyer_limit, 0.0, 1.0, hers)
    seller = Concession(False, seller_limit + room, seller_limit, 0.0, 1.0, his)
    price = None
    for step in range(101):
        now = step / 100
        asked, told = seller.offer(now), buyer.offer(now)
        if accepts(buyer, asked, now):
            price = asked
        elif accepts(seller, told, now):
            price = told
        if price is not None:
            break
    if buyer_limit >= seller_limit:
        assert price is not None
        assert seller_limit <= price <= buyer_limit
    else:
        assert price is None


def test_nothing_is_accepted_after_the_deadline():
    assert not accepts(Concession(True, 1, 5, 0.0, 1.0), 1, 1.1)


@pytest.mark.parametrize(
    "terms",
    [
        (True, 1, 2, 1.0, 1.0, 1.0),
        (True, 1, 2, 0.0, 1.0, 0.0),
        (True, -1, 2, 0.0, 1.0, 1.0),
        (True, 2, 1, 0.0, 1.0, 1.0),
        (False, 1, 2, 0.0, 1.0, 1.0),
    ],
)
def test_negotiations_without_sense_are_refused(terms):
    with pytest.raises(BadInput):
        Concession(*terms)


def test_large_markets_lose_next_to_nothing():
    source = np.random.default_rng(5)
    values, costs = source.integers(0, 10**6, 2000), source.integers(0, 10**6, 2000)
    clearing = mcafee(values, costs)
    made = int(values[clearing.buyers].sum() - costs[clearing.sellers].sum())
    assert made > 0.999 * most_welfare(values, costs)
