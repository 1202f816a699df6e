# SPDX-License-Identifier: Apache-2.0
"""Feeders on different machines keep one feed alive: k of n, through restarts, liars and failing sources."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from koinon.errors import BadInput, KoinonError, PeerError
from koinon.markets.api import Markets
from koinon.markets.cli import group
from koinon.markets.feeding.loop import Feeding
from koinon.markets.feeding.words import Words
from koinon.markets.feeds import Terms
from koinon.settings import Settings
from koinon.terminal import Session, Terminal
from tests.markets.test_feeds import WINDOW_S, wait
from tests.markets.test_pairs import DOLLAR, ETHER, new_token

MAX_AGE_S = 3_600


class Source:
    """Says what it is told."""

    def __init__(self, price: str = "2000") -> None:
        self.price: str | None = price

    def __call__(self) -> Decimal:
        if self.price is None:
            raise PeerError("The source does not answer.")
        return Decimal(self.price)


@pytest.fixture
def feed(own_chain, own_account):
    """A feed of three feeders, two of whom must sign; with it their keys."""
    keys = [own_account() for _ in range(3)]
    markets = Markets(own_chain)
    ether, dollars = new_token(own_chain, keys[0], "tETH", 18), new_token(own_chain, keys[0], "tUSD", 6)
    pair, _ = markets.provide(keys[0], ether, 100 * ETHER, dollars, 200_000 * DOLLAR)
    signers = tuple(each.address for each in keys)
    terms = Terms(pair.address, ether.address, 8, "tETH / tUSD", signers, 2, MAX_AGE_S, WINDOW_S, 300)
    made = markets.create_feed(keys[0], terms)
    setattr(made, "keys", keys)  # noqa: B010  (only this test's feed has them)
    return made


@pytest.fixture
def start(feed, tmp_path):
    """A feeder's loop, as it is after each start of its machine."""

    def begin(number: int, source: Source | None = None, **options) -> Feeding:
        key = feed.keys[number]
        return Feeding(
            feed,
            [key],
            key,
            source or Source(),
            Words(tmp_path / f"machine-{number}", feed.address),
            shared=Words(tmp_path / "shared", feed.address),
            **options,
        )

    return begin


def test_a_round_is_posted_once_enough_have_signed(feed, start):
    first, second = start(0, Source("2000.5")), start(1, Source("1999.5"))
    turn = first.look()
    assert (turn.round_id, turn.missing, turn.posted) == (1, 1, None)
    assert turn.signed == (feed.keys[0].address,)
    turn = second.look()
    assert turn.posted is not None
    assert turn.posted.whole == 2_000
    assert feed.latest_from_feeders() == turn.posted
    # Nobody has anything to do while the price holds.
    for each in (first, second):
        turn = each.look()
        assert (turn.round_id, turn.signed, turn.posted, turn.faults) == (2, (), None, ())


def test_a_price_that_moved_or_grew_old_is_due(feed, start):
    source, other = Source(), Source()
    first, second = start(0, source), start(1, other)
    first.look()
    assert second.look().posted
    wait(feed.chain, 60)
    source.price = other.price = "2009"  # 45 in 10,000
    assert first.look().signed == ()
    source.price = other.price = "2010"
    assert first.look().signed
    assert second.look().posted
    wait(feed.chain, MAX_AGE_S // 2 + 1)
    assert first.look().signed
    assert second.look().posted
    assert feed.next_round() == 4


def test_a_killed_loop_keeps_to_the_word_it_gave(feed, start, tmp_path):
    start(0).look()
    (kept,) = Words(tmp_path / "machine-0", feed.address).of_round(1)
    wait(feed.chain, 10)
    turn = start(0, Source("2005")).look()  # started again; the price has not moved enough
    assert turn.signed == ()
    assert turn.missing == 1
    assert list(Words(tmp_path / "shared", feed.address).of_round(1)) == [kept]
    turn = start(1).look()
    assert turn.posted is not None
    assert start(0).look().round_id == 2
    assert feed.next_round() == 2


def test_a_word_that_nobody_completed_is_given_anew(feed, start):
    first = start(0)
    first.look()
    wait(feed.chain, MAX_AGE_S // 2 + 1)
    assert first.look().signed
    source = Source()
    moved = start(0, source)
    source.price = "3000"
    assert moved.look().signed


def test_words_that_do_not_count_stop_nobody(feed, start, tmp_path):
    shared = Words(tmp_path / "shared", feed.address)
    stranger, third = feed.sign(feed.keys[2], 1), feed.keys[2].address
    start(0).look()
    (good,) = shared.of_round(1)
    shared.keep(replace(stranger, price=5))  # forged
    turn = start(0).look()
    assert turn.posted is None
    assert any("did not sign" in fault for fault in turn.faults)
    shared.keep(replace(good, signature=b"x" * 65, feeder=third))
    (tmp_path / "shared" / f"{feed.address}-junk.json").write_bytes(b"{")
    shared.keep(replace(stranger, observed_at=good.observed_at + 10_000))  # from the future
    assert start(0).look().posted is None
    # What stands in the shared folder under one's own name is not taken for one's word.
    shared.keep(replace(good, signature=b"y" * 65))
    start(0).look()
    assert good in list(shared.of_round(1))
    assert start(1).look().posted


def test_a_source_that_fails_is_told_and_asked_again(feed, start):
    source = Source()
    source.price = None
    first = start(0, source)
    turn = first.look()
    assert (turn.price, turn.faults) == (None, ("The source does not answer.",))
    source.price = "0.000000001"  # nothing in the feed's decimals
    assert "not a price above 0" in first.look().faults[0]
    source.price = "2000"
    assert first.look().signed


def test_it_keeps_the_average_covered(feed, start):
    lone = start(0)
    lone.look()
    for _ in range(9):
        wait(feed.chain, WINDOW_S // 8)
        assert lone.look().observed
        assert not lone.look().observed
    assert feed.average().whole == pytest.approx(Decimal(2_000), abs=Decimal("0.01"))
    wait(feed.chain, WINDOW_S // 8)
    assert not start(0, observes=False).look().observed


def test_who_may_not_and_what_cannot_be(feed, start, own_account, tmp_path):
    for keys in ([], [own_account()]):
        with pytest.raises(BadInput, match="not a feeder"):
            Feeding(feed, keys, feed.keys[0], Source(), Words(tmp_path, feed.address))
    for heartbeat_s in (0, MAX_AGE_S):
        with pytest.raises(BadInput, match="heartbeat must be shorter"):
            start(0, heartbeat_s=heartbeat_s)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        Words(blocked / "in", feed.address).keep(feed.sign(feed.keys[0], 1))


def test_the_commands_make_a_feed_and_keep_it_alive(feed, own_chain, tmp_path, capsys):
    class House:
        chain = own_chain
        operator = feed.keys[0]

    @contextmanager
    def opener(_settings):
        yield House

    session = Session(Settings.load({}, home=tmp_path), Terminal(json_output=True), opener=opener)

    def run(*arguments: str):
        group.main(["feed", *arguments], standalone_mode=False, obj=session)
        return json.loads(capsys.readouterr().out)

    terms = feed.terms()
    made = run("create", terms.pair, terms.base_token, "--window-s", str(WINDOW_S))
    assert (made["threshold"], made["feeders"]) == (1, [House.operator.address])
    file = tmp_path / "price.json"
    file.write_bytes(orjson.dumps({"last": "2000.25"}))
    told = run("run", made["feed"], "--file", str(file), "--field", "last", "--once")
    assert (told["round"], Decimal(told["posted"])) == (1, Decimal("2000.25"))
    assert run("run", made["feed"], "--file", str(file), "--field", "last", "--once")["posted"] is None
    for arguments, code in (
        ((), "markets.price_source"),
        (("--file", "a", "--url", "http://b"), "markets.price_source"),
        (("--service", "http://b", "--ask", "[]"), "markets.no_buyer"),
        (("--file", str(file), "--simulated", "7"), "markets.not_a_feeder"),
    ):
        with pytest.raises(KoinonError) as fault:
            run("run", made["feed"], "--once", *arguments)
        assert fault.value.code == code
    with pytest.raises(BadInput) as fault:
        run("create", terms.pair, House.operator.address)
    assert fault.value.code == "markets.not_in_pair"
