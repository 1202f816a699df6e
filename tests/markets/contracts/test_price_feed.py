# SPDX-License-Identifier: Apache-2.0
"""A price is believed only while enough feeders and the market say the same, and lately; attacks on each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import boa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.keys import Key
from tests.contracts_support import NOBODY, account, deploy, fresh_chain, key
from tests.markets.contracts.support import (
    WHOLE,
    amount_out,
    create_pair,
    deploy_factory,
    deploy_tokens,
    fund_pair,
    market_mock,
)

PRICE = TypedStruct("Price(address feed,int256 price,uint64 observedAt,uint80 round)")
FEEDERS = ("first feeder", "second feeder", "third feeder", "fourth feeder", "fifth feeder")
THRESHOLD = 3
MAX_AGE_S = 3_600
WINDOW_S = 1_800
DEVIATION_BPS = 300
DECIMALS = 8
PRICE_NOW = 2_000 * 10**DECIMALS
"""Quote tokens for one base token, as everyone agrees at first."""


@dataclass
class Stage:
    """A pair of ether and dollars at 2,000, and its feed."""

    feed: Any
    pair: Any
    ether: Any
    dollars: Any

    @property
    def ether_is_token0(self) -> bool:
        return bool(self.pair.token0() == self.ether.address)

    def signed(
        self,
        index: int,
        price: int,
        *,
        at: int | None = None,
        round_id: int | None = None,
        by: Key | None = None,
    ) -> tuple[int, int, int, bytes]:
        """What a feeder signs."""
        at = boa.env.timestamp if at is None else at
        round_id = self.feed.latest_round() + 1 if round_id is None else round_id
        address = self.feed.address
        domain = Domain("Koinon PriceFeed", "1", boa.env.evm.patch.chain_id, address)
        message = PRICE.hash(address, price, at, round_id)
        return index, price, at, (by or key(FEEDERS[index])).sign(digest(domain, message))

    def post(self, *prices: int, **options: Any) -> int:
        """A round by the first feeders."""
        reports = [self.signed(index, price, **options) for index, price in enumerate(prices)]
        return int(self.feed.post(self.feed.latest_round() + 1, reports))

    def trade(self, amount: int, *, sell_ether: bool) -> int:
        """Swap, and return what came out."""
        token = self.ether if sell_ether else self.dollars
        first = self.ether_is_token0 == sell_ether
        reserves = self.pair.getReserves()[:2]
        out = amount_out(amount, *(reserves if first else reserves[::-1]))
        token.mint(self.pair, amount)
        self.pair.swap(*((0, out) if first else (out, 0)), account("manipulator"), b"")
        return out

    def live(self, seconds: int) -> None:
        """Time passes, with somebody observing at every eighth of the window."""
        for _ in range(-(-seconds * 8 // WINDOW_S)):
            boa.env.time_travel(seconds=WINDOW_S // 8)
            self.feed.observe()


@pytest.fixture(autouse=True)
def chain():
    with fresh_chain():
        yield


def make_stage(ether_amount: int = 1_000 * WHOLE, *, decimals: int = 6) -> Stage:
    ether, dollars = market_mock("MarketToken", 18), market_mock("MarketToken", decimals)
    pair = create_pair(deploy_factory(), ether, dollars)
    ether.mint(pair, ether_amount)
    dollars.mint(pair, 2_000 * ether_amount // 10 ** (18 - decimals))
    pair.mint(account("provider"))
    return Stage(make_feed(pair, ether), pair, ether, dollars)


def make_feed(pair, base, **changes):
    chosen = {
        "decimals": DECIMALS,
        "description": "ether / dollars",
        "feeders": [key(role).address for role in FEEDERS],
        "threshold": THRESHOLD,
        "max_age_s": MAX_AGE_S,
        "window_s": WINDOW_S,
        "max_deviation_bps": DEVIATION_BPS,
    } | changes
    return deploy("markets", "PriceFeed", pair, base, *chosen.values())


@pytest.fixture
def stage():
    return make_stage()


@pytest.fixture
def live(stage):
    """A feed that answers: a window has passed and a round is fresh."""
    stage.live(WINDOW_S)
    stage.post(*(3 * [PRICE_NOW]))
    return stage


# ------------------------------------------------------------------------------------------- answers


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


# ------------------------------------------------------------------------------------------- attacks


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
    from koinon.chain import artifacts  # noqa: PLC0415

    wanted = json.loads(
        '{"decimals": ["uint8"], "description": ["string"], "version": ["uint256"],'
        ' "latestRoundData": ["uint80", "int256", "uint256", "uint256", "uint80"],'
        ' "getRoundData": ["uint80", "int256", "uint256", "uint256", "uint80"]}'
    )
    found = {
        entry["name"]: [field["type"] for field in entry["outputs"]]
        for entry in artifacts.load("PriceFeed").abi
        if entry.get("name") in wanted
    }
    assert found == wanted
