# SPDX-License-Identifier: Apache-2.0
"""Feeders sign, somebody collects and posts, everyone reads or is told why not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest

from koinon.errors import BadInput, IntegrityError, NotFound, TransactionFailed
from koinon.markets.api import Markets
from koinon.markets.feeds import Collector, Feed, Feeder, SignedPrice, Terms, scaled
from tests.markets.test_pairs import DOLLAR, ETHER, new_token

WINDOW_S = 800


@pytest.fixture
def stage(own_chain, own_account):
    """A feed over a new pair, its maker and its feeders; the chain's clock may be moved."""
    maker, *feeders = (own_account() for _ in range(4))
    markets = Markets(own_chain)
    ether, dollars = new_token(own_chain, maker, "tETH", 18), new_token(own_chain, maker, "tUSD", 6)
    pair, _ = markets.provide(maker, ether, 100 * ETHER, dollars, 200_000 * DOLLAR)
    terms = Terms(
        pair.address,
        ether.address,
        8,
        "tETH / tUSD",
        tuple(feeder.address for feeder in feeders),
        2,
        3_600,
        WINDOW_S,
        300,
    )
    return markets.create_feed(maker, terms), terms, maker, feeders


def wait(chain, seconds):
    chain.rpc.call("evm_increaseTime", seconds)
    chain.rpc.call("evm_mine")


def test_from_signatures_to_a_price(stage):
    feed, terms, maker, feeders = stage
    assert feed.terms() == terms
    for read in (feed.latest, feed.latest_from_feeders, feed.average):
        with pytest.raises(NotFound) as fault:
            read()
        assert fault.value.code == "markets.no_price"
    wait(feed.chain, WINDOW_S)
    collector = Collector(feed)
    for feeder, text in zip(feeders[:2], ("2000.5", "1999.5"), strict=True):
        word = Feeder(feed, feeder, partial(str, text)).report()
        collector.add(SignedPrice.from_json(word.to_json()))
    assert collector.missing == 0
    posted = collector.post(maker)
    assert posted.whole == Decimal(2_000)
    assert feed.latest() == posted
    assert feed.latest_from_feeders() == posted
    assert feed.average().whole == pytest.approx(Decimal(2_000), abs=Decimal("0.00000002"))
    assert collector.round_id == 2
    assert Markets(feed.chain).price(feed.address) == posted
    wait(feed.chain, WINDOW_S // 8)
    feed.observe(maker)
    for feeder in feeders:
        collector.add(feed.sign(feeder, scaled("2500", 8)))
    collector.post(maker)
    with pytest.raises(NotFound, match="differ by more than the bound"):
        feed.latest()
    assert feed.latest_from_feeders().whole == 2_500


def test_an_observation_has_gas_to_be_the_first_of_the_next_eighth(stage):
    """Tried out where one is kept already, it may be mined a second later, where it is kept itself."""
    feed, _, maker, _ = stage
    feed.observe(maker)  # the feed's creation has observed already

    def newest():
        return feed.chain.rpc.call("eth_getBlockByNumber", "latest", True)

    allowed = int(newest()["transactions"][0]["gas"], 16)
    wait(feed.chain, WINDOW_S // 8)
    feed.observe(maker)
    assert int(newest()["gasUsed"], 16) < allowed


def test_a_collector_takes_only_what_can_be_posted(stage, own_account):
    feed, terms, maker, feeders = stage
    collector = Collector(feed)
    good = feed.sign(feeders[0], scaled("2000", 8))
    for word, kind, code in (
        (replace(good, round_id=2), BadInput, "markets.other_round"),
        (replace(good, feed=terms.pair), BadInput, "markets.other_round"),
        (feed.sign(own_account(), 1), BadInput, "markets.not_a_feeder"),
        (feed.sign(feeders[0], 1, observed_at=1), BadInput, "markets.old_price"),
        (replace(good, price=0), BadInput, "markets.old_price"),
        (replace(good, price=1), IntegrityError, "markets.forged_price"),
    ):
        with pytest.raises(kind) as fault:
            collector.add(word)
        assert fault.value.code == code
    with pytest.raises(BadInput) as fault:
        Feeder(feed, maker, lambda: "1")
    assert fault.value.code == "markets.not_a_feeder"
    collector.add(good)
    with pytest.raises(BadInput) as fault:
        collector.post(maker)
    assert fault.value.code == "markets.few_feeders"
    with pytest.raises(BadInput) as fault:
        feed.post(maker, [feed.sign(own_account(), 1)])
    assert fault.value.code == "markets.not_a_feeder"
    with pytest.raises(TransactionFailed):
        feed.post(maker, [good])


@pytest.mark.parametrize("fields", [None, {}, {"feed": "x"}])
def test_what_is_no_signed_price(fields):
    with pytest.raises(BadInput) as fault:
        SignedPrice.from_json(fields)
    assert fault.value.code == "markets.signed_price"


@pytest.mark.parametrize("text", ["0", "-1", "x", "NaN", "0.000000001"])
def test_what_is_no_price(text):
    with pytest.raises(BadInput) as fault:
        scaled(text, 8)
    assert fault.value.code == "markets.price"


def test_terms_that_a_feed_refuses(stage):
    feed, terms, maker, _ = stage
    with pytest.raises(TransactionFailed):
        Feed.create(feed.chain, maker, replace(terms, threshold=1))
