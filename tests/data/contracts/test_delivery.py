# SPDX-License-Identifier: Apache-2.0
"""Money back when keepers do not deliver: for whom, how much, and who cannot get it."""

from __future__ import annotations

import boa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koinon.chain.hashing import keccak256
from koinon.chain.keys import ORDER
from koinon.data.hidden_share import ComplaintKeys, HiddenShare, hide_share
from koinon.data.sealed import share_commitment
from koinon.shamir import Share
from tests.contracts_support import ETH, NOBODY, account, deploy, deploy_mock, events, fresh_chain
from tests.data.contracts.delivery_support import (
    AFTER,
    ANSWER,
    COMPLAINT,
    CONTENT,
    DAY,
    MOST,
    NO_POINT,
    PERIOD,
    PRICE,
    SHARES,
    STAKE,
    TEXT,
    Shop,
)

MONTH = 30 * DAY


@pytest.fixture(scope="module")
def deployed():
    with fresh_chain():
        yield Shop()


@pytest.fixture
def shop(deployed):
    with fresh_chain():
        yield deployed


def test_a_promise_says_who_keeps_what_and_for_how_much(shop):
    promise = shop.promise()
    (told,) = events(shop.contract, "Promised")
    assert told["promise_id"] == promise == shop.contract.promise_count() == 1
    assert list(told["keepers"]) == shop.keepers
    assert list(told["commitments"]) == [share_commitment(share) for share in SHARES]
    found = shop.contract.promise_of(promise)
    assert (found.work_id, found.content_id, found.threshold, found.max_refund) == (
        shop.work_id,
        CONTENT,
        2,
        MOST,
    )
    assert (found.promiser, found.since, found.until) == (shop.seller, shop.now(), 0)
    assert shop.contract.cover_left(promise) == MOST


def test_whoever_gets_nothing_gets_the_money_back_and_gives_the_grant_up(shop):
    _, grant = shop.complained()
    (told,) = events(shop.contract, "Complained")
    assert told["cover"] == MOST
    shop.answer(grant, 2)
    shop.wait(ANSWER + 1)
    with boa.reverts("grant not given up"):
        shop.resolve(grant)
    shop.give_up()
    shop.resolve(grant)
    assert events(shop.contract, "Resolved") == [{"grant_id": grant, "answers": 1, "refunded": MOST}]
    assert shop.credit() == MOST
    assert shop.contract.reserved(1) == 0
    shop.bonds.collect(shop.token, shop.buyer)
    assert shop.token.balanceOf(shop.buyer) == 10**6 - PRICE + MOST
    assert not shop.terms.holds(grant)


def test_the_payer_is_paid_back_and_not_the_grantee(shop):
    promise = shop.promise()
    grant = shop.buy(payer=shop.stranger)
    with boa.reverts("only the grantee"):
        shop.complain(promise, grant, sender=shop.stranger)
    shop.complain(promise, grant)
    shop.wait(ANSWER + 1)
    shop.give_up()
    shop.resolve(grant)
    assert (shop.credit(), shop.credit(shop.stranger)) == (0, MOST)


def test_no_more_is_paid_back_than_was_paid(shop):
    shop.offer(price=40)
    promise = shop.promise()
    grant = shop.buy()
    shop.complain(promise, grant)
    assert events(shop.contract, "Complained")[0]["cover"] == 40


def test_a_buyer_who_was_served_and_complains_is_served_again_and_paid_nothing(shop):
    _, grant = shop.complained()
    given = {number: shop.answer(grant, number) for number in (0, 2)}
    for number, answered in given.items():
        assert shop.keys(grant).open(grant, number, answered) == SHARES[number].value
        with boa.reverts("the share is as promised"):
            shop.refute(grant, number, answered)
    with boa.reverts("answers may still be refuted"):
        shop.resolve(grant)
    shop.give_up()
    shop.wait(ANSWER + DAY + 1)
    shop.resolve(grant)
    assert events(shop.contract, "Resolved") == [{"grant_id": grant, "answers": 2, "refunded": 0}]
    assert shop.credit() == 0
    assert shop.bonds.bond_of(1).amount == STAKE


def test_a_grantee_who_is_content_closes_the_complaint_at_once(shop):
    _, grant = shop.complained()
    shop.answer(grant, 0)
    shop.answer(grant, 1)
    shop.resolve(grant, sender=shop.buyer)
    assert shop.contract.reserved(1) == 0
    with boa.reverts("no open complaint"):
        shop.resolve(grant, sender=shop.buyer)


def test_rubbish_is_refuted_by_one_secret_key_and_its_keeper_answers_no_more(shop):
    _, grant = shop.complained()
    shop.answer(grant, 0)
    rubbish = HiddenShare(5, False, bytes(32))
    shop.answer(grant, 1, rubbish)
    shop.wait(ANSWER)
    shop.refute(grant, 1, rubbish)
    assert events(shop.contract, "Refuted") == [{"grant_id": grant, "keeper": shop.keepers[1], "number": 1}]
    assert shop.contract.complaint_of(grant).answered == 1
    with boa.reverts("answered already"):
        shop.answer(grant, 1)
    with boa.reverts("no answer to refute"):
        shop.refute(grant, 1, rubbish)
    shop.wait(1)
    shop.give_up()
    shop.resolve(grant)
    assert shop.credit() == MOST


@pytest.mark.parametrize("x", [0, ORDER, 2**256 - 1, 5, 7])
def test_a_point_that_is_none_is_rubbish_to_the_chain_and_to_the_grantee(shop, x):
    _, grant = shop.complained()
    answered = shop.answer(grant, 0, HiddenShare(x, True, bytes(32)))
    assert shop.keys(grant).open(grant, 0, answered) != SHARES[0].value
    shop.refute(grant, 0, answered)


@given(value=st.binary(min_size=32, max_size=32), secret=st.binary(min_size=32, max_size=32))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_contract_opens_exactly_what_python_hides(shop, value, secret):
    """Whatever the share, a right answer stands and one with any bit changed falls."""
    with boa.env.anchor():
        keys = ComplaintKeys(secret, 3)
        promise = shop.promise(commitments=[share_commitment(Share(place, value)) for place in (1, 2, 3)])
        grant = shop.buy()
        shop.complain(promise, grant, keys=keys.points)
        right = hide_share(value, keys.points[1], grant, 1)
        assert keys.open(grant, 1, right) == value
        shop.answer(grant, 1, right)
        with boa.reverts("the share is as promised"):
            shop.refute(grant, 1, right, keys=keys.points, secret=keys.secret_of(1))
        changed = bytes([right.hidden[0] ^ 1]) + right.hidden[1:]
        false = HiddenShare(right.x, right.odd, changed)
        shop.answer(grant, 2, false)
        shop.refute(grant, 2, false, keys=keys.points, secret=keys.secret_of(2))


def test_another_keepers_share_or_one_for_another_grant_is_not_the_share(shop):
    _, grant = shop.complained()
    keys = shop.keys(grant)
    for number, (value, where) in enumerate(((SHARES[1].value, grant), (SHARES[1].value, grant + 1))):
        false = hide_share(value, keys.points[number], where, number)
        shop.answer(grant, number, false)
        shop.refute(grant, number, false)
    assert shop.contract.complaint_of(grant).answered == 0


def test_who_refutes_shows_the_very_answer_key_and_secret_in_time(shop):
    _, grant = shop.complained()
    rubbish = shop.answer(grant, 0, HiddenShare(5, False, bytes(32)))
    keys = shop.keys(grant)

    def refused(reason, number=0, answered=rubbish, **changes):
        with boa.reverts(reason):
            shop.refute(grant, number, answered, **({"secret": keys.secret_of(0)} | changes))

    refused("other keys", keys=keys.points[::-1])
    refused("no such keeper", number=3)
    refused("no answer to refute", number=1)
    refused("not what was answered", answered=HiddenShare(5, True, bytes(32)))
    for secret in (0, 1, keys.secret_of(1), ORDER, ORDER + 1):
        refused("not the secret of this key", secret=secret)
    with boa.reverts("no open complaint"):
        shop.refute(grant + 1, 0, rubbish)
    shop.wait(ANSWER + DAY + 1)
    refused("too late to refute")


def test_who_answers_is_the_keeper_in_time_and_once(shop):
    _, grant = shop.complained()
    with boa.reverts("no open complaint"):
        shop.answer(grant + 1, 0)
    right = shop.right(grant, 0).values()
    with boa.reverts("no such keeper"):
        shop.contract.answer(grant, 3, right, sender=shop.keepers[0])
    for other in (shop.keepers[1], shop.seller):
        with boa.reverts("only that keeper"):
            shop.contract.answer(grant, 0, right, sender=other)
    shop.wait(ANSWER)
    shop.answer(grant, 0)
    with boa.reverts("answered already"):
        shop.answer(grant, 0)
    with boa.reverts("keepers still have time"):
        shop.resolve(grant)
    shop.wait(1)
    with boa.reverts("too late to answer"):
        shop.answer(grant, 1)


def test_a_grant_is_complained_about_once_whatever_came_of_it(shop):
    promise, grant = shop.complained()
    second = shop.promise(shop.bond())
    for again in (promise, second):
        with boa.reverts("complained already"):
            shop.complain(again, grant)
    shop.wait(ANSWER + 1)
    shop.give_up()
    shop.resolve(grant)
    for again in (promise, second):
        with boa.reverts("complained already"):
            shop.complain(again, grant)


def test_nothing_is_owed_for_what_was_given_or_bought_otherwise(shop):
    promise = shop.promise()

    def refused(reason, grant, **options):
        with boa.reverts(reason):
            shop.complain(promise, grant, **options)

    gift = shop.terms.give(shop.work_id, 0, shop.buyer, PERIOD, TEXT, sender=shop.seller)
    refused("nothing was paid", gift)
    shop.offer(price=0)
    refused("nothing was paid", shop.buy())
    shop.offer(use=1)
    refused("grant of another Work or use", shop.buy(use=1))
    shop.offer(token=ETH)
    ether = shop.terms.buy(
        shop.work_id, 0, shop.stranger, ETH, PRICE, PERIOD, TEXT, value=PRICE, sender=shop.stranger
    )
    refused("paid in another token", ether, sender=shop.stranger)
    other = shop.hall.publish(shop.seller)
    shop.terms.offer(other, 0, (shop.token, PRICE, PERIOD, 1, 0, TEXT), sender=shop.seller)
    elsewhere = shop.terms.buy(other, 0, shop.buyer, shop.token, PRICE, PERIOD, TEXT, sender=shop.buyer)
    refused("grant of another Work or use", elsewhere)
    refused("no such grant", 99)
    with boa.reverts("no such promise"):
        shop.complain(promise + 1, elsewhere)


def test_what_was_bought_in_a_fair_exchange_was_handed_over_first(shop):
    promise = shop.promise()
    shop.token.mint(shop.exchange, PRICE)
    shop.token.approve(shop.terms, PRICE, sender=shop.exchange.address)
    grant = shop.buy(payer=shop.exchange.address)
    with boa.reverts("handed over in a fair exchange"):
        shop.complain(promise, grant)


def test_who_complains_brings_a_key_on_the_curve_for_each_keeper(shop):
    promise = shop.promise()
    grant = shop.buy()
    points = shop.keys(grant).points
    for count in (0, 2, 4):
        with boa.reverts("every keeper needs a key"):
            shop.complain(promise, grant, keys=[*points, points[0]][:count])
    prime = 2**256 - 2**32 - 977
    x, y = points[0]
    for wrong in (NO_POINT, (0, 0), (x, y + 1), (x, 0), (y, x), (prime, prime), (2**256 - 1, y)):
        with boa.reverts("not a public key"):
            shop.complain(promise, grant, keys=[*points[:2], wrong])
    shop.complain(promise, grant)


def test_a_complaint_comes_while_the_grant_runs_and_in_time(shop):
    promise = shop.promise()
    grant = shop.buy()
    later = shop.buy()
    with boa.reverts("grant is not running"):
        shop.complain(promise, later)
    shop.wait(COMPLAINT)
    with boa.env.anchor():
        shop.complain(promise, grant)
    with boa.env.anchor():
        shop.give_up()
        with boa.reverts("grant is not running"):
            shop.complain(promise, grant)
    shop.wait(1)
    with boa.reverts("too late to complain"):
        shop.complain(promise, grant)
    shop.wait(PERIOD)
    with boa.reverts("grant is not running"):
        shop.complain(promise, grant)


def test_a_grant_that_ends_before_the_answers_is_paid_back_without_giving_it_up(shop):
    shop.offer(period=DAY)
    promise = shop.promise()
    grant = shop.terms.buy(shop.work_id, 0, shop.buyer, shop.token, PRICE, DAY, TEXT, sender=shop.buyer)
    shop.complain(promise, grant)
    shop.wait(ANSWER + 1)
    shop.resolve(grant)
    assert shop.credit() == MOST


def test_who_keeps_the_grant_to_the_end_keeps_it_and_gets_nothing_back(shop):
    _, grant = shop.complained()
    shop.wait(ANSWER + AFTER)
    with boa.reverts("grant not given up"):
        shop.resolve(grant)
    shop.wait(1)
    shop.resolve(grant)
    assert (shop.credit(), shop.contract.reserved(1)) == (0, 0)
    assert shop.terms.holds(grant)


def test_grants_sold_before_the_promise_or_after_its_end_are_not_covered(shop):
    before = shop.buy(grantee=shop.stranger)
    shop.wait(1)
    promise = shop.promise()
    with boa.reverts("sold before the promise"):
        shop.complain(promise, before, sender=shop.stranger)
    with boa.reverts("only who promised"):
        shop.contract.end_promise(promise, sender=shop.stranger)
    with boa.reverts("only who promised"):
        shop.contract.end_promise(promise + 1, sender=shop.seller)
    shop.contract.end_promise(promise, sender=shop.seller)
    assert events(shop.contract, "PromiseEnded")[0]["until"] == shop.now() + DAY
    with boa.reverts("promise already ended"):
        shop.contract.end_promise(promise, sender=shop.seller)
    shop.wait(DAY - 1)
    last = shop.buy()
    assert shop.contract.cover_left(promise) == MOST
    shop.wait(1)
    assert shop.contract.cover_left(promise) == 0
    late = shop.buy(grantee=shop.keepers[0])
    with boa.reverts("sold after the promise"):
        shop.complain(promise, late, sender=shop.keepers[0])
    shop.complain(promise, last)


def test_whoever_bought_before_the_end_of_the_bond_was_announced_has_every_day_that_was_promised(shop):
    promise = shop.promise()
    grant = shop.buy()
    shop.bonds.announce_end(1, sender=shop.seller)
    assert shop.contract.cover_left(promise) == MOST
    shop.wait(1)
    assert shop.contract.cover_left(promise) == 0
    shop.wait(COMPLAINT - 1)
    shop.complain(promise, grant)
    shop.wait(ANSWER + AFTER - 1)
    with boa.reverts("bond still stands"):
        shop.bonds.withdraw(1, sender=shop.seller)
    shop.give_up()
    shop.resolve(grant)
    assert shop.credit() == MOST


def test_a_bond_about_to_end_takes_no_more_complaints(shop):
    promise = shop.promise()
    shop.bonds.announce_end(1, sender=shop.seller)
    shop.wait(10)
    grant = shop.buy()
    shop.wait(COMPLAINT)
    with boa.reverts("bond ends too soon"):
        shop.complain(promise, grant)


def test_a_bond_that_was_withdrawn_before_anyone_resolved_pays_nothing_and_stops_nothing(shop):
    _, grant = shop.complained()
    shop.bonds.announce_end(1, sender=shop.seller)
    shop.wait(COMPLAINT + ANSWER + AFTER)
    shop.bonds.withdraw(1, sender=shop.seller)
    shop.give_up()
    shop.resolve(grant)
    assert events(shop.contract, "Resolved") == [{"grant_id": grant, "answers": 0, "refunded": 0}]
    assert (shop.credit(), shop.contract.reserved(1)) == (0, 0)


def test_what_one_complaint_has_reserved_no_other_takes(shop):
    bond = shop.bond(stake=MOST + 100)
    promise = shop.promise(bond)
    buyers = [account(f"buyer {number}") for number in range(3)]
    grants = [shop.buy(grantee=buyer) for buyer in buyers]
    covers = []
    for buyer, grant in zip(buyers[:2], grants, strict=False):
        shop.complain(promise, grant, sender=buyer)
        covers.append(events(shop.contract, "Complained")[0]["cover"])
    assert covers == [MOST, 100]
    assert shop.contract.cover_left(promise) == 0
    with boa.reverts("nothing left of the bond"):
        shop.complain(promise, grants[2], sender=buyers[2])
    with boa.reverts("nothing left of the bond"):
        shop.promise(bond)
    shop.bonds.top_up(bond, 30, sender=shop.stranger)
    shop.complain(promise, grants[2], sender=buyers[2])
    shop.wait(ANSWER + 1)
    for buyer, grant in zip(buyers, grants, strict=True):
        shop.terms.surrender(shop.work_id, 0, sender=buyer)
        shop.resolve(grant)
    assert shop.credit() == MOST + 100 + 30
    assert shop.bonds.bond_of(bond).amount == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"content_id": bytes(32)}, "content missing"),
        ({"commitments": [bytes(32)] * 2}, "every keeper needs one commitment"),
        ({"threshold": 0}, "threshold out of range"),
        ({"threshold": 4}, "threshold out of range"),
        ({"max_refund": 0}, "refund missing"),
        ({"complaint_s": 0}, "time to complain out of range"),
        ({"complaint_s": MONTH + 1}, "time to complain out of range"),
        ({"answer_s": 0}, "time to answer out of range"),
        ({"answer_s": 2**64 - 1}, "time to answer out of range"),
        ({"sender": account("stranger")}, "only the owner or an operator"),
        ({"keepers": [account("a"), NOBODY, account("c")]}, "keeper missing"),
        ({"keepers": [account("a"), account("c"), account("a")]}, "keeper named twice"),
        ({"complaint_s": COMPLAINT + 1}, "bond ends too soon"),
        ({"answer_s": ANSWER + 1}, "bond ends too soon"),
        ({"bond_id": 99}, "no such bond"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_not_made(shop, changes, reason):
    bond = shop.bond()
    with boa.reverts(reason):
        shop.promise(bond, **changes)


def test_a_bond_is_ones_own_for_this_judge_and_outlasts_every_deadline(shop):
    with boa.reverts("bond has another judge"):
        shop.promise(shop.bond(judge=shop.stranger))
    with boa.reverts("bond is another's"):
        shop.promise(shop.bond(poster=shop.stranger))
    long = COMPLAINT + ANSWER + AFTER
    with boa.reverts("bond ends too soon"):
        shop.promise(shop.bond(notice=long - 1))
    with boa.reverts("bond ends too soon"):
        shop.promise(shop.bond(ends_at=shop.now() + long - 1))
    fixed = shop.promise(shop.bond(ends_at=shop.now() + long))
    assert shop.contract.cover_left(fixed) == MOST
    shop.wait(1)
    assert shop.contract.cover_left(fixed) == 0


def test_whoever_bonds_a_hostile_token_hurts_only_who_took_it(shop):
    hostile = deploy_mock("StakeToken")
    hostile.mint(shop.seller, STAKE)
    hostile.approve(shop.bonds, STAKE, sender=shop.seller)
    promise = shop.promise(shop.bond(token=hostile))
    with boa.reverts("paid in another token"):
        shop.complain(promise, shop.buy())


def test_reading_says_what_is_there(shop):
    assert shop.contract.cover_left(1) == 0
    for number in (0, 1):
        with boa.reverts("no such promise"):
            shop.contract.promise_of(number)
    assert shop.contract.complaint_of(1).promise_id == 0
    assert shop.contract.TERMS() == shop.terms.address
    assert shop.contract.WORKS() == shop.hall.works.address
    assert shop.contract.BONDS() == shop.bonds.address
    assert shop.contract.FAIR_EXCHANGE() == shop.exchange.address
    assert shop.contract.NOTICE_S() == DAY
    assert shop.contract.CHECK_S() + shop.contract.RESOLVE_S() == AFTER


def test_the_judge_needs_terms_and_bonds(shop):
    with boa.reverts("no terms"):
        deploy("data", "Delivery", account("nobody"), shop.bonds.address, NOBODY)
    with boa.reverts("no bonds"):
        deploy("data", "Delivery", shop.terms.address, account("nobody"), NOBODY)


def test_keys_of_one_complaint_do_not_give_each_other_away():
    keys = ComplaintKeys(keccak256(b"one"), 3)
    assert len(set(keys.points)) == 3
    assert keys.points == ComplaintKeys(keccak256(b"one"), 3).points
    assert keys.points != ComplaintKeys(keccak256(b"two"), 3).points
