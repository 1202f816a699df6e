# SPDX-License-Identifier: Apache-2.0
"""What feedback weighs: rings that pay themselves, gifts, returned money, and people the reader believes."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.chain import artifacts
from koinon.chain.address import checksum
from koinon.chain.network import Network
from koinon.services.finding.evidence import evidence_of
from koinon.services.finding.returning import Returning
from koinon.services.finding.sinks import BURNT, sinks_of
from koinon.services.finding.trust import TRUST, trust_of
from koinon.works.shares import WHOLE
from tests.services.made_up_market import MadeUp, account

READER, FRIEND, FARMER, MAKER, BUYER = map(account, ("reader", "friend", "farmer", "maker", "buyer"))
COIN = 10**6
NETWORK = Network(
    "made up",
    31337,
    "http://127.0.0.1:1",
    True,
    {name: checksum(f"0x{number + 1:040x}") for number, name in enumerate(artifacts.names())},
    {},
    0,
)


@pytest.fixture
def made(tmp_path):
    made = MadeUp(tmp_path, NETWORK)
    yield made
    made.index.close()


def heard(made, work_id, *, reader=(), named=()):
    made.write()
    trust = trust_of(made.index, reader, named)
    returning = Returning(made.index, made.coin, NETWORK.address("Channels"))
    return evidence_of(made.family, work_id, made.income, trust, returning)


def honest(made, *, share=WHOLE * 6 // 10):
    """A service of the maker's that passes part of its income on to a farmer's dataset, used and praised."""
    dataset = made.work(FARMER, name="Rain", kind="dataset")
    service = made.work(MAKER, {made.till(dataset): share})
    made.pay(BUYER, service, 10 * COIN)
    made.say(BUYER, service, 90)
    return dataset, service


# ------------------------------------------------------------ what counts


def test_a_payment_counts_by_what_of_it_was_owed_to_somebody_the_reader_believes(made):
    _, service = honest(made)
    found = heard(made, service, named=[FARMER])
    assert found.words[0].weight == 6 * COIN
    assert found.words[0].reason == "third parties"
    assert found.words[0].reached == {FARMER: 6 * COIN}
    assert found.mean == 90


def test_of_an_account_the_reader_believes_everything_it_paid_counts(made):
    _, service = honest(made)
    found = heard(made, service, named=[BUYER])
    assert (found.words[0].weight, found.words[0].reason) == (10 * COIN, "believed")
    assert heard(made, service, reader=[BUYER]).weight == 10 * COIN


def test_a_reader_who_believes_nobody_gives_nobody_weight_and_is_told_why(made):
    _, service = honest(made)
    found = heard(made, service)
    assert (found.weight, found.mean, found.words[0].reason) == (0, None, "nobody known")


def test_what_the_owner_keeps_counts_nothing_even_of_an_owner_the_reader_believes(made):
    service = made.work(MAKER)
    made.pay(BUYER, service, 10 * COIN)
    made.say(BUYER, service, 90)
    found = heard(made, service, named=[MAKER])
    assert (found.weight, found.words[0].reason) == (0, "owner only")


def test_an_owner_named_among_its_own_payees_counts_nothing(made):
    service = made.work(MAKER, {MAKER: WHOLE // 2})
    made.pay(BUYER, service, 10 * COIN)
    made.say(BUYER, service, 90)
    assert heard(made, service, named=[MAKER]).weight == 0


def test_burnt_money_counts_for_everybody(made):
    service = made.work(MAKER, {BURNT: WHOLE // 4})
    made.pay(BUYER, service, 8 * COIN)
    made.say(BUYER, service, 70)
    found = heard(made, service)
    assert (found.weight, found.mean) == (2 * COIN, 70)


def test_an_unpaid_word_weighs_nothing_whoever_says_it(made):
    service = made.work(MAKER, {FARMER: WHOLE // 2})
    made.say(FRIEND, service, 0)
    found = heard(made, service, named=[FRIEND, FARMER])
    assert (found.weight, found.words[0].reason) == (0, "unpaid")


def test_money_that_comes_after_the_word_does_not_count(made):
    service = made.work(MAKER, {FARMER: WHOLE // 2})
    made.say(BUYER, service, 90)
    made.pay(BUYER, service, 10 * COIN)
    assert heard(made, service, named=[FARMER]).weight == 0


def test_only_the_latest_word_of_an_account_counts_and_none_that_was_taken_back(made):
    _, service = honest(made)
    for mark in (10, 20, 30):
        index = made.say(BUYER, service, mark)
    found = heard(made, service, named=[FARMER])
    assert (len(found.words), found.weight, found.mean) == (1, 6 * COIN, 30)
    made.take_back(BUYER, service, index)
    assert heard(made, service, named=[FARMER]).mean == 20


def test_marks_beyond_the_scale_count_as_its_ends(made):
    _, service = honest(made)
    made.say(BUYER, service, 10**9)
    assert heard(made, service, named=[FARMER]).mean == 100
    made.say(BUYER, service, -5)
    assert heard(made, service, named=[FARMER]).mean == 0


# ------------------------------------------------------------ what could have come back


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_payee_who_pays_the_client_back_within_three_transfers_counts_nothing(made, steps):
    _, service = honest(made)
    way = [FARMER, *(account(f"between {step}") for step in range(steps)), BUYER]
    for payer, receiver in pairwise(way):
        made.send(payer, receiver, COIN)
    found = heard(made, service, named=[FARMER])
    assert (found.weight, found.words[0].reason) == (0, "came back")


def test_money_can_come_back_through_another_till_or_channel(made):
    _, service = honest(made)
    shop = made.work(BUYER)
    made.pay(FARMER, shop, COIN)
    made.send(made.till(shop), BUYER, COIN)
    assert heard(made, service, named=[FARMER]).weight == 0


def test_a_payee_whom_the_client_funds_directly_counts_nothing(made):
    _, service = honest(made)
    made.send(BUYER, FARMER, COIN)
    assert heard(made, service, named=[FARMER]).weight == 0


def test_an_account_with_more_neighbours_than_are_looked_at_is_connected_with_everybody(made, monkeypatch):
    monkeypatch.setattr("koinon.services.finding.returning.MOST", 3)
    _, service = honest(made)
    for number in range(5):
        made.send(account(f"crowd {number}"), BUYER, 1)
    assert heard(made, service, named=[FARMER]).weight == 0


def test_a_work_given_to_somebody_believed_counts_only_what_is_paid_from_then_on(made):
    dataset, service = honest(made)
    made.give_away(dataset, FARMER, FRIEND)
    assert heard(made, service, named=[FRIEND]).weight == 0
    made.pay(BUYER, service, 5 * COIN)
    made.say(BUYER, service, 90)
    assert heard(made, service, named=[FRIEND]).weight == 3 * COIN
    made.give_away(dataset, FRIEND, BUYER)
    assert heard(made, service, named=[FRIEND]).weight == 0


def test_shares_that_are_not_fixed_on_the_chain_promise_nothing(made):
    service = made.work(MAKER, {FARMER: WHOLE // 2}, fixed=False)
    made.pay(BUYER, service, 10 * COIN)
    made.say(BUYER, service, 90)
    assert heard(made, service, named=[FARMER]).weight == 0
    assert sinks_of(made.family, service) == ()


def test_money_is_followed_along_several_tills(made):
    rain = made.work(FARMER, name="Rain", kind="dataset")
    model = made.work(MAKER, {made.till(rain): WHOLE // 2}, kind="model")
    service = made.work(account("seller"), {made.till(model): WHOLE // 2})
    made.pay(BUYER, service, 8 * COIN)
    made.say(BUYER, service, 90)
    found = heard(made, service, named=[FARMER])
    assert found.words[0].reached == {FARMER: 2 * COIN}
    assert {sink.account: sink.share for sink in found.sinks} == {
        MAKER: Fraction(1, 4),
        FARMER: Fraction(1, 4),
    }


# ------------------------------------------------------------ whom the reader believes


def test_trust_reaches_two_steps_by_words_on_the_chain_and_half_as_far_on_the_second(made):
    of_friend = made.work(FRIEND, kind="agent")
    of_farmer = made.work(FARMER, kind="agent")
    made.say(READER, of_friend, 1, TRUST)
    made.say(FRIEND, of_farmer, 1, TRUST)
    made.say(FARMER, made.work(MAKER), 1, TRUST)
    _, service = honest(made)
    found = heard(made, service, reader=[READER])
    assert found.weight == 3 * COIN
    trust = trust_of(made.index, [READER])
    assert trust.steps == {READER: 0, FRIEND: 1, FARMER: 2}


def test_trust_ends_when_it_is_taken_back_set_to_nothing_or_the_work_changes_hands(made):
    work = made.work(FRIEND, kind="agent")
    index = made.say(READER, work, 1, TRUST)
    made.write()
    assert trust_of(made.index, [READER]).of(FRIEND) == 1
    made.take_back(READER, work, index)
    made.write()
    assert trust_of(made.index, [READER]).of(FRIEND) == 0
    made.say(READER, work, 1, TRUST)
    made.say(READER, work, 0, TRUST)
    made.write()
    assert trust_of(made.index, [READER]).of(FRIEND) == 0
    made.say(READER, work, 1, TRUST)
    made.give_away(work, FRIEND, BUYER)
    made.write()
    assert trust_of(made.index, [READER]).named == 0


# ------------------------------------------------------------ rings

RING = [account(f"ring {number}") for number in range(6)]
ring_member = st.integers(0, len(RING) - 1)
ring_steps = st.lists(
    st.one_of(
        st.tuples(st.just("work"), ring_member, st.lists(ring_member, max_size=3), st.booleans()),
        st.tuples(st.just("pay"), ring_member, st.integers(0, 5), st.integers(1, 10**12)),
        st.tuples(st.just("send"), ring_member, ring_member, st.integers(1, 10**12)),
        st.tuples(st.just("give"), ring_member, st.integers(0, 5), ring_member),
        st.tuples(st.just("say"), ring_member, st.integers(0, 5), st.integers(0, 100)),
        st.tuples(st.just("trust"), ring_member, st.integers(0, 5), st.just(1)),
    ),
    max_size=25,
)


def play(made, steps, outside=()):
    """What a ring does: each step by its members, among its members and ``outside``; ids of its Works."""
    members = [*RING, *outside]
    works = [made.work(RING[0])]
    for step, who, what, more in steps:
        member, work = RING[who], works[what % len(works)] if isinstance(what, int) else 0
        match step:
            case "work":
                payees = [members[each % len(members)] for each in what]
                if more:
                    payees.append(made.till(works[-1]))
                works.append(made.work(member, dict.fromkeys(payees, WHOLE // 5)))
            case "pay":
                made.pay(member, work, more)
            case "send":
                made.send(member, RING[what], more)
            case "give":
                owner = made_owner(made, work)
                made.give_away(work, owner, RING[more])
            case "say":
                made.say(member, work, more)
            case "trust":
                made.say(member, work, more, TRUST)
    return works


def made_owner(made, work_id):
    made.write()
    return made.family.owner_of(work_id)


@settings(max_examples=20)
@given(ring_steps)
def test_accounts_that_only_pay_themselves_weigh_nothing(steps):
    with tempfile.TemporaryDirectory() as folder:
        made = MadeUp(Path(folder), NETWORK)
        works = play(made, steps)
        of_friend = made.work(FRIEND, kind="agent")
        made.say(READER, of_friend, 1, TRUST)
        for work in works:
            found = heard(made, work, reader=[READER], named=[FARMER])
            assert (found.weight, found.mean) == (0, None)
        made.index.close()


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(ring_member, st.integers(1, 10**9), st.integers(0, WHOLE // 2), st.integers(0, 100)),
        min_size=1,
        max_size=6,
    )
)
def test_weight_is_never_more_than_what_was_given_away_to_people_the_reader_believes(payments):
    with tempfile.TemporaryDirectory() as folder:
        made = MadeUp(Path(folder), NETWORK)
        total, given_away = Fraction(0), Fraction(0)
        for member, amount, share, mark in payments:
            work = made.work(RING[0], {FARMER: share} if share else {})
            made.pay(RING[member], work, amount)
            made.say(RING[member], work, mark)
            total += heard(made, work, named=[FARMER]).weight
            given_away += Fraction(amount * share, WHOLE)
        assert total <= given_away
        made.index.close()
