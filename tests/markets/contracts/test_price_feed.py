# SPDX-License-Identifier: Apache-2.0
"""What a feed answers, and what it refuses to be made of and told."""

from __future__ import annotations

import boa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from koinon.chain import artifacts
from tests.contracts_support import NOBODY, account, fresh_chain, key
from tests.markets.contracts.feed_stage import FEEDERS, MAX_AGE_S, PRICE_NOW, WINDOW_S, make_feed, make_stage
from tests.markets.contracts.support import (
    WHOLE,
    create_pair,
    deploy_factory,
    deploy_tokens,
    fund_pair,
    market_mock,
)


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


def test_feeders_and_market_agree_and_everyone_reads_chainlinks_answer(live):
    observed = boa.env.timestamp
    boa.env.time_travel(seconds=60)
    assert tuple(live.feed.latestRoundData()) == (1, PRICE_NOW, observed, observed, 1)
    assert tuple(live.feed.latestFeederData()) == (1, PRICE_NOW, observed, observed, 1)
    assert tuple(live.feed.getRoundData(1)) == (1, PRICE_NOW, observed, observed, 1)
    assert (live.feed.decimals(), live.feed.description(), live.feed.version()) == (8, "ether / dollars", 1)
    assert live.feed.twap() == pytest.approx(PRICE_NOW, abs=1)
    assert live.feed.spot() == pytest.approx(PRICE_NOW, abs=1)
    assert live.feed.feeders() == [key(role).address for role in FEEDERS]
    assert live.feed.quote_token() == live.dollars.address


@pytest.mark.parametrize("decimals", [0, 6, 18])
def test_the_average_is_in_whole_coins_whichever_the_decimals_and_the_side(decimals):
    stage = make_stage(decimals=decimals)
    other = make_feed(stage.pair, stage.dollars, decimals=18)
    boa.env.time_travel(seconds=WINDOW_S)
    assert stage.feed.twap() == pytest.approx(PRICE_NOW, abs=1)
    assert other.twap() == pytest.approx(10**18 // 2_000, abs=1)


@given(prices=st.lists(st.integers(1, 2**191 - 1) | st.integers(1, 50), min_size=3, max_size=5))
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_the_answer_is_the_median(stage, prices):
    with boa.env.anchor():
        ordered = sorted(prices)
        middle = len(prices) // 2
        lower = ordered[middle - 1] if len(prices) % 2 == 0 else ordered[middle]
        assert stage.post(*prices) == (lower + ordered[middle]) // 2


def test_an_average_needs_observations_of_its_window_and_not_of_long_ago(stage):
    with boa.reverts("no observation of the market's window"):
        stage.feed.twap()
    boa.env.time_travel(seconds=WINDOW_S - 1)
    with boa.reverts("no observation of the market's window"):
        stage.feed.twap()
    boa.env.time_travel(seconds=WINDOW_S // 8 + 1)
    stage.feed.twap()
    boa.env.time_travel(seconds=WINDOW_S)
    with boa.reverts("no observation of the market's window"):
        stage.feed.twap()


def test_of_two_observations_in_one_eighth_the_first_stays(stage):
    start = boa.env.timestamp
    slot = start // (WINDOW_S // 8) % 16
    assert stage.feed.observation(slot).at == start
    boa.env.time_travel(seconds=(WINDOW_S // 8) - start % (WINDOW_S // 8))
    assert stage.feed.observe()
    boa.env.time_travel(seconds=1)
    assert not stage.feed.observe()


def test_the_average_weighs_prices_by_the_seconds_they_stood(stage):
    stage.trade(100 * WHOLE, sell_ether=True)  # the price falls by about 17 %
    low = stage.feed.spot()
    stage.live(WINDOW_S)
    assert stage.feed.twap() == pytest.approx(low, abs=1)
    stage.trade(stage.dollars.balanceOf(account("manipulator")), sell_ether=False)
    high = stage.feed.spot()
    boa.env.time_travel(seconds=WINDOW_S // 2)
    stage.feed.observe()
    covered = [stage.feed.observation(slot).at for slot in range(16)]
    oldest = max(at for at in covered if at and boa.env.timestamp - at >= WINDOW_S)
    weight = (WINDOW_S // 2) / (boa.env.timestamp - oldest)
    assert stage.feed.twap() == pytest.approx(high * weight + low * (1 - weight), rel=1e-6)


def test_posts_that_do_not_count(live):
    boa.env.time_travel(seconds=60)
    good = [live.signed(index, PRICE_NOW) for index in range(3)]
    for reports, reason in (
        (good[:2], "too few reports"),
        ([good[0], good[0], good[1]], "feeders not ascending"),
        ([good[1], good[0], good[2]], "feeders not ascending"),
        ([*good[:2], (5, *good[2][1:])], "no such feeder"),
        ([*good[:2], live.signed(2, PRICE_NOW, by=key("stranger"))], "invalid signature"),
        ([*good[:2], (2, PRICE_NOW + 1, *good[2][2:])], "invalid signature"),
        ([*good[:2], live.signed(2, 0)], "price out of range"),
        ([*good[:2], live.signed(2, -PRICE_NOW)], "price out of range"),
        ([*good[:2], live.signed(2, 2**191)], "price out of range"),
        ([*good[:2], live.signed(2, PRICE_NOW, at=boa.env.timestamp + 1)], "observed in the future"),
        (
            [*good[:2], live.signed(2, PRICE_NOW, at=boa.env.timestamp - 60)],
            "report is older than the last round",
        ),
    ):
        with boa.reverts(reason):
            live.feed.post(2, reports)
    boa.env.time_travel(seconds=MAX_AGE_S + 1)
    with boa.reverts("report is stale"):
        live.feed.post(2, good)
    with boa.reverts("no such round"):
        live.feed.getRoundData(2)


def test_before_the_first_round_there_is_no_price(stage):
    for read in (stage.feed.latestRoundData, stage.feed.latestFeederData):
        with boa.reverts("no round yet"):
            read()


def test_a_feed_cannot_be_made_of_nonsense(stage):
    feeders = [key(role).address for role in FEEDERS]
    for changes, reason in (
        ({"feeders": []}, "no feeders"),
        ({"feeders": [feeders[0], feeders[0], feeders[1]]}, "feeder twice"),
        ({"feeders": [feeders[0], NOBODY, feeders[1]]}, "feeder missing"),
        ({"threshold": 2}, "threshold out of range"),
        ({"threshold": 6}, "threshold out of range"),
        ({"decimals": 19}, "more than 18 decimals"),
        ({"max_age_s": 0}, "age missing"),
        ({"window_s": 7}, "window too short"),
        ({"max_deviation_bps": 0}, "deviation out of range"),
        ({"max_deviation_bps": 10_000}, "deviation out of range"),
    ):
        with boa.reverts(reason):
            make_feed(stage.pair, stage.ether, **changes)
    with boa.reverts("base is not in the pair"):
        make_feed(stage.pair, market_mock("MarketToken", 18))
    tokens = deploy_tokens(19, 18)
    pair = create_pair(deploy_factory(), *tokens)
    fund_pair(pair, *tokens, WHOLE, WHOLE)
    for base in tokens:
        with boa.reverts("token with more than 18 decimals"):
            make_feed(pair, base)


def test_what_chainlinks_readers_call_is_there():
    """AggregatorV3Interface, as its ABI says."""
    wanted = {
        "decimals": ["uint8"],
        "description": ["string"],
        "version": ["uint256"],
        "latestRoundData": ["uint80", "int256", "uint256", "uint256", "uint80"],
        "getRoundData": ["uint80", "int256", "uint256", "uint256", "uint80"],
    }
    found = {
        entry["name"]: [field["type"] for field in entry["outputs"]]
        for entry in artifacts.load("PriceFeed").abi
        if entry.get("name") in wanted
    }
    assert found == wanted
