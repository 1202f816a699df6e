# SPDX-License-Identifier: Apache-2.0
"""A price is believed only while enough feeders and the market say the same, and lately."""

from __future__ import annotations

import boa
import pytest

from tests.contracts_support import fresh_chain
from tests.markets.contracts.feed_stage import (
    DEVIATION_BPS,
    MAX_AGE_S,
    PRICE_NOW,
    WINDOW_S,
    make_feed,
    make_stage,
)
from tests.markets.contracts.support import WHOLE


@pytest.fixture(autouse=True)
def chain():
    with fresh_chain():
        yield


@pytest.fixture
def stage():
    return make_stage()


@pytest.fixture
def live(stage):
    """A feed that answers: a window has passed and a round is fresh."""
    stage.live(WINDOW_S)
    stage.post(*(3 * [PRICE_NOW]))
    return stage


def test_a_stale_price_stops_everything(live):
    live.live(MAX_AGE_S)
    live.feed.latestRoundData()
    boa.env.time_travel(seconds=1)
    for read in (live.feed.latestRoundData, live.feed.latestFeederData):
        with boa.reverts("feeders' price is stale"):
            read()
    live.post(*(3 * [PRICE_NOW]))
    live.feed.latestRoundData()


def test_a_market_that_nobody_observed_stops_all_but_the_feeders_price(live):
    boa.env.time_travel(seconds=2 * WINDOW_S + WINDOW_S // 8)
    live.post(*(3 * [PRICE_NOW]))
    with boa.reverts("no observation of the market's window"):
        live.feed.latestRoundData()
    assert live.feed.latestFeederData()[1] == PRICE_NOW


def test_no_swap_within_a_block_moves_the_average_at_all(live):
    boa.env.time_travel(seconds=10)
    before = live.feed.latestRoundData()
    live.trade(100_000 * WHOLE, sell_ether=True)
    assert live.feed.spot() < PRICE_NOW // 5_000
    assert tuple(live.feed.latestRoundData()) == tuple(before)


@pytest.mark.parametrize("depth", [1, 100])
def test_whoever_moves_a_thin_pool_stops_the_feed_and_pays_for_it(depth, record_property):
    """The price is held at twice the true one until feeders and average disagree: only feeders go on.

    What it costs is both trades' fee and grows with the pool; arbitrage by others makes it far dearer."""
    stage = make_stage(depth * WHOLE)
    stage.live(WINDOW_S)
    stage.post(*(3 * [PRICE_NOW]))
    spent = 2_000 * depth * 10**6 * 42 // 100  # of dollars: the price doubles
    bought = stage.trade(spent, sell_ether=False)
    assert stage.feed.spot() == pytest.approx(2 * PRICE_NOW, rel=0.01)
    held_s = 0
    while True:
        boa.env.time_travel(seconds=10)
        held_s += 10
        try:
            answer = stage.feed.latestRoundData()[1]
        except boa.BoaError:
            break
        assert answer == PRICE_NOW  # while it answers, it answers the truth
    with boa.reverts("feeders and market disagree"):
        stage.feed.latestRoundData()
    assert stage.feed.latestFeederData()[1] == PRICE_NOW
    assert 30 <= held_s <= 120
    cost = spent - stage.trade(bought, sell_ether=True)
    record_property("cost_dollars", cost / 10**6)
    # The fees of both trades and nothing else: 3.55 dollars for each ether in the pool.
    assert cost / 10**6 == pytest.approx(3.55 * depth, rel=0.001)


def test_a_minority_of_feeders_cannot_leave_the_honest_range(live):
    boa.env.time_travel(seconds=60)
    honest = [PRICE_NOW + 5, PRICE_NOW - 5, PRICE_NOW]
    for lie in (1, 10**30):
        with boa.env.anchor():
            answer = live.post(*honest, lie, lie)
            assert min(honest) <= answer <= max(honest)
        with boa.env.anchor():
            assert min(honest) <= live.post(lie, *honest[:2]) <= max(honest)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_minority_of_feeders_can_neither_age_a_round_nor_make_it_younger(live, count):
    boa.env.time_travel(seconds=MAX_AGE_S)
    now = boa.env.timestamp
    liars = (count - 1) // 2
    for lie in (now - MAX_AGE_S + 1, now):
        with boa.env.anchor():
            times = [lie] * liars + [now - 60 + index for index in range(count - liars)]
            reports = [live.signed(index, PRICE_NOW, at=at) for index, at in enumerate(times)]
            live.feed.post(2, reports)
            assert live.feed.latestFeederData()[3] == sorted(times)[(count - 1) // 2]
            assert now - 60 <= live.feed.latestFeederData()[3] <= now - 60 + count
            boa.env.time_travel(seconds=MAX_AGE_S - 60)
            live.feed.latestFeederData()


def test_a_majority_that_lies_is_stopped_by_the_market(live):
    boa.env.time_travel(seconds=60)
    live.post(*(5 * [PRICE_NOW * 2]))
    with boa.reverts("feeders and market disagree"):
        live.feed.latestRoundData()


def test_the_bound_is_met_exactly(live):
    boa.env.time_travel(seconds=60)
    market = live.feed.twap()
    edge = -(-market * 10_000 // (10_000 + DEVIATION_BPS))
    for price, agrees in ((edge, True), (edge - 1, False)):
        with boa.env.anchor():
            live.post(*(3 * [price]))
            if agrees:
                assert live.feed.latestRoundData()[1] == price
            else:
                with boa.reverts("feeders and market disagree"):
                    live.feed.latestRoundData()
    live.post(1, 1, 1)
    with boa.reverts("feeders and market disagree"):
        live.feed.latestRoundData()


def test_a_signed_price_counts_for_one_round_of_one_feed(live):
    boa.env.time_travel(seconds=60)
    reports = [live.signed(index, PRICE_NOW) for index in range(3)]
    live.feed.post(2, reports)
    with boa.reverts("not the next round"):
        live.feed.post(2, reports)
    with boa.reverts("report is older than the last round"):
        live.feed.post(3, reports)
    boa.env.time_travel(seconds=60)
    renumbered = [(index, price, boa.env.timestamp, signature) for index, price, _, signature in reports]
    with boa.reverts("invalid signature"):
        live.feed.post(3, renumbered)
    other = make_feed(live.pair, live.ether)
    with boa.reverts("invalid signature"):
        other.post(1, [live.signed(index, PRICE_NOW, round_id=1) for index in range(3)])


def test_an_emptied_market_stops_the_average_and_not_the_feeders(live):
    for token in (live.ether, live.dollars):
        token.set_balance(live.pair, 0)
    live.pair.sync()
    for read in (live.feed.twap, live.feed.spot, live.feed.latestRoundData):
        with boa.reverts("pair is empty"):
            read()
    boa.env.time_travel(seconds=WINDOW_S)
    live.post(*(3 * [PRICE_NOW]))
    assert not live.feed.observe()
    assert live.feed.latestFeederData()[1] == PRICE_NOW
