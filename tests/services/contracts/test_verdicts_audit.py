# SPDX-License-Identifier: Apache-2.0
"""What a dishonest promiser, provider or sponsor would try against the contracts that tell verdicts."""

from __future__ import annotations

import boa
import pytest

from tests.contracts_support import deploy_mock, events, fresh_chain
from tests.services.contracts import verification_support as support
from tests.services.contracts.test_known_answers import PLANTED, QUARTER, SPONSOR, Market
from tests.services.contracts.test_other_verdicts import HOUR, PENALTY, PROVIDERS, RIGHT, WRONG, Chorus
from tests.services.contracts.verification_support import (
    ANSWER,
    CHALLENGER,
    FEE,
    NEVER,
    SALT,
    SELLER,
    SINK,
    STAKE,
    STRANGER,
    UPHOLD,
    URI,
    WINDOW_S,
    Town,
    now,
    wait,
)
from tests.services.contracts.verification_support import WRONG as IS_WRONG

ALL_THERE_IS = 2**128 - 1


@pytest.fixture(scope="module")
def fresh_market():
    with fresh_chain():
        yield Market()


@pytest.fixture(scope="module")
def fresh_chorus():
    with fresh_chain():
        yield Chorus()


@pytest.fixture(scope="module")
def fresh_town():
    with fresh_chain():
        yield Town()


@pytest.fixture
def town(fresh_town):
    with fresh_chain():
        yield fresh_town


@pytest.fixture
def market(fresh_market):
    with fresh_chain():
        yield fresh_market


@pytest.fixture
def chorus(fresh_chorus):
    with fresh_chain():
        yield fresh_chorus


# --- promises --------------------------------------------------------------------------------------------


def test_whoever_disputes_itself_does_not_save_its_stake_by_asking_for_more_than_there_is(town):
    bond = town.promised()
    request = town.submitted(bond)
    challenge = town.challenged(bond, request)
    town.brought(challenge, amount=ALL_THERE_IS, bounty=STAKE // 2 + 1)
    with boa.reverts("bounty too large"):
        town.verification.dispute(challenge, request, IS_WRONG, 3, ANSWER, URI, sender=CHALLENGER)


def test_topping_up_in_between_stops_no_dispute_that_asks_for_all_there_is(town):
    town.jurors_staked()
    bond = town.promised()
    request = town.submitted(bond)
    challenge = town.challenged(bond, request)
    town.brought(challenge, amount=ALL_THERE_IS)
    town.bonds.top_up(bond, 1, sender=SELLER)
    town.verification.dispute(challenge, request, IS_WRONG, 3, ANSWER, URI, sender=CHALLENGER)
    town.rule(challenge, UPHOLD)
    assert town.bonds.bond_of(bond)[3] == 0
    assert town.bonds.credit(town.token, SINK) == STAKE // 2 + 1


def test_a_bond_whose_challenges_never_lapse_is_refused(town):
    """Without a majority of jurors the dispute would stay open, the challenger's stake inside, for ever."""
    terms = town.terms()
    for ruling_s, refused in ((94_608_000, False), (94_608_001, True), (2**64 - 1, True)):
        bond = town.bond(terms, ruling_s=ruling_s)
        town.ask(town.verification.promise_request(bond, terms, SALT))
        if refused:
            with boa.reverts("challenges would never lapse"):
                town.verification.promise(bond, terms, SALT, sender=SELLER)
        else:
            town.verification.promise(bond, terms, SALT, sender=SELLER)


@pytest.mark.parametrize(
    "changes",
    [
        {"audit_ppm": 1_000_000},
        {"window_s": 31_536_000},
        {"window_s": 1},
        {"bounty_bps": 9_900},
        {"bounty_bps": 1},
    ],
)
def test_terms_at_the_very_edge_of_what_is_allowed_are_taken(town, changes):
    terms = town.terms(**changes)
    bond = town.bond(terms, amount=100_000, counter_stake=0)
    town.ask(town.verification.promise_request(bond, terms, SALT))
    town.verification.promise(bond, terms, SALT, sender=SELLER)


@pytest.mark.parametrize(
    ("short_of", "counter", "reason"),
    [(0, 0, ""), (1, 0, "stake too small"), (0, 1, "challenging is too dear")],
)
def test_a_bond_is_taken_exactly_from_the_least_stake_on(town, short_of, counter, reason):
    """The counter-stake is as large, and the time to rule as short, as they may be."""
    terms = town.terms()
    least = town.verification.least_stake(FEE, support.AUDIT_PPM, support.BOUNTY_BPS, 0) - short_of
    bond = town.bond(terms, amount=least, counter_stake=least // 2 + counter, ruling_s=11 * support.PHASE_S)
    town.ask(town.verification.promise_request(bond, terms, SALT))
    if reason:
        with boa.reverts(reason):
            town.verification.promise(bond, terms, SALT, sender=SELLER)
    else:
        town.verification.promise(bond, terms, SALT, sender=SELLER)


# --- several providers -----------------------------------------------------------------------------------


def test_a_bad_verdict_is_not_talked_over_in_another_round_with_the_same_request(chorus):
    request = chorus.filed(0)
    first, second = chorus.asked(), chorus.asked()
    bond, work = chorus.stakes[0], chorus.works[0]
    sealed = chorus.sealed_output(first, bond, 0, WRONG)
    chorus.redundancy.commit(first, bond, work, request, sealed, sender=PROVIDERS[0])
    with boa.reverts("request already used"):
        chorus.redundancy.commit(second, bond, work, request, SALT, sender=PROVIDERS[0])


def test_one_stake_does_not_pay_for_two_lies(chorus):
    bond = chorus.staked(0, amount=2 * PENALTY - 1)
    named = [chorus.stakes[1], chorus.stakes[2], bond]
    first, second = chorus.asked(named), chorus.asked(named)
    chorus.commit(first, 0, WRONG, bond)
    with boa.reverts("stake too small"):
        chorus.commit(second, 0, WRONG, bond)
    wait(2 * HOUR)
    chorus.redundancy.conclude(first)
    chorus.commit(chorus.asked(named), 0, RIGHT, bond)


def test_a_provider_cannot_leave_with_its_stake_before_the_round_can_be_concluded(chorus):
    """The end may be announced at once after committing: without time in between, who lies withdraws in the
    block in which others could first conclude."""
    bond = chorus.staked(0, notice_s=3 * HOUR)
    round_id = chorus.asked([bond, *chorus.stakes[1:]])
    with boa.reverts("bond ends before the round"):
        chorus.commit(round_id, 0, WRONG, bond)
    bond = chorus.staked(0, notice_s=3 * HOUR + 1)
    round_id = chorus.asked([bond, *chorus.stakes[1:]])
    chorus.commit(round_id, 0, WRONG, bond)
    chorus.bonds.announce_end(bond, sender=PROVIDERS[0])
    wait(3 * HOUR)
    with boa.reverts("bond still stands"):
        chorus.bonds.withdraw(bond, sender=PROVIDERS[0])


def test_one_provider_agrees_with_nobody(chorus):
    round_id = chorus.asked()
    request = chorus.commit(round_id, 0, WRONG)
    wait(HOUR)
    chorus.reveal(round_id, 0, WRONG)
    wait(HOUR)
    chorus.redundancy.conclude(round_id)
    assert chorus.status(request) == (0, "")


def test_who_reveals_nothing_agrees_with_nobody(chorus):
    """An output whose digest is zero is not what others did not reveal."""
    round_id = chorus.asked()
    requests = [chorus.commit(round_id, number, bytes(32)) for number in range(3)]
    wait(HOUR)
    chorus.reveal(round_id, 0, bytes(32))
    wait(HOUR)
    chorus.redundancy.conclude(round_id)
    assert [chorus.status(request) for request in requests] == [(0, "")] * 3


def test_half_of_the_stake_decides_nothing(chorus):
    named = chorus.stakes[:2]
    round_id = chorus.asked(named)
    requests = [chorus.commit(round_id, number, output) for number, output in enumerate((RIGHT, WRONG))]
    wait(HOUR)
    for number, output in enumerate((RIGHT, WRONG)):
        chorus.reveal(round_id, number, output)
    wait(HOUR)
    chorus.redundancy.conclude(round_id)
    (told,) = events(chorus.redundancy, "Concluded")
    assert (told["output_digest"], told["agreed"], told["stake"]) == (bytes(32), 100, 200)
    assert [chorus.status(request) for request in requests] == [(0, "")] * 2
    assert [chorus.bonds.bond_of(bond)[3] for bond in named] == [100, 100]


def test_what_is_staked_elsewhere_or_in_another_token_does_not_count(chorus):
    """Else whoever is asked by bonds of no worth outweighs those who answer."""
    token = deploy_mock("StakeToken")
    token.mint(PROVIDERS[0], NEVER)
    token.approve(chorus.bonds, NEVER, sender=PROVIDERS[0])
    worthless = [
        chorus.staked(0, 2**100, token=token.address),
        chorus.staked(0, 10_000 - 100, judge=STRANGER),
    ]
    round_id = chorus.asked([chorus.stakes[1], *worthless])
    assert [chorus.redundancy.entry_of(round_id, bond)[1] for bond in worthless] == [0, 0]
    assert chorus.redundancy.entry_of(round_id, chorus.stakes[1])[1] == 100


def test_what_is_staked_when_committing_counts(chorus):
    round_id = chorus.asked()
    bond = chorus.stakes[0]
    chorus.bonds.top_up(bond, 50, sender=STRANGER)
    assert chorus.redundancy.entry_of(round_id, bond)[1] == 100
    chorus.commit(round_id, 0, RIGHT)
    assert chorus.redundancy.entry_of(round_id, bond)[1] == 150


def test_the_smallest_stake_that_ends_soonest_is_enough(chorus):
    end = now() + 3 * HOUR
    early = chorus.staked(0, PENALTY, notice_s=0, ends_at=end)
    bond = chorus.staked(0, PENALTY, notice_s=0, ends_at=end + 1)
    round_id = chorus.asked([early, bond])
    with boa.reverts("bond ends before the round"):
        chorus.commit(round_id, 0, RIGHT, early)
    chorus.commit(round_id, 0, RIGHT, bond)


# --- known answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("short_of", [1, QUARTER])
def test_a_sponsor_cannot_take_its_reward_back_before_finders_had_time(market, short_of):
    """Exposing is what finders wait for: a plant that ends right after it would fine and never pay."""
    plant = int(market.known.plant(market.seal(), 1, 1, now() + 1 + WINDOW_S - short_of, sender=SPONSOR))
    wait(1)
    request = market.batch()
    wait(2 * QUARTER)
    with boa.reverts("no time to pay finders"):
        market.known.expose(*market.exposing(plant, request), sender=SPONSOR)


def test_a_plant_that_ends_with_the_window_is_exposed(market):
    plant = int(market.known.plant(market.seal(), 1, 1, now() + 1 + WINDOW_S, sender=SPONSOR))
    wait(1)
    request = market.batch()
    wait(2 * QUARTER)
    market.known.expose(*market.exposing(plant, request), sender=SPONSOR)
    assert market.known.plant_at(request, PLANTED) == plant
