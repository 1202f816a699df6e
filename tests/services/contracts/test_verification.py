# SPDX-License-Identifier: Apache-2.0
"""Verification: promises about answers, batches, disputes, and verdicts in the ERC-8004 registry."""

from __future__ import annotations

import contextlib
from typing import Any

import boa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from koinon.chain.hashing import keccak256
from tests.contracts_support import NOBODY, account, deploy, deploy_mock, events, fresh_chain
from tests.services.contracts import verification_support as support
from tests.services.contracts.verification_support import (
    ANSWER,
    BROKEN,
    CHALLENGER,
    DISMISS,
    FEE,
    KEPT,
    LEFT_OUT,
    NEVER,
    ROOT,
    SALT,
    SELLER,
    SINK,
    SOFT,
    STAKE,
    STRANGER,
    UPHOLD,
    URI,
    WINDOW_S,
    WITHHELD,
    WRONG,
    Town,
    now,
    wait,
)


@pytest.fixture(scope="module")
def fresh_town():
    with fresh_chain():
        yield Town()


@pytest.fixture
def town(fresh_town):
    with fresh_chain():
        yield fresh_town


# --- promises --------------------------------------------------------------------------------------------


def test_committee_and_validation_are_needed(town):
    for one, other in ((NOBODY, town.validation.address), (town.committee.address, NOBODY)):
        with boa.reverts("committee or validation missing"):
            deploy("services", "Verification", one, other)


def test_who_judges_and_where_verdicts_land_can_be_read(town):
    assert town.verification.committee() == town.committee.address
    assert town.verification.validation() == town.validation.address


def test_a_promise_is_told_and_kept(town):
    bond = town.promised()
    (told,) = events(town.verification, "Promised")
    assert (told["bond_id"], told["work_id"], told["fee"]) == (bond, town.work_id, FEE)
    assert town.verification.promise_of(bond)[0] == SELLER


def test_a_promise_without_a_validation_request_is_refused(town):
    terms = town.terms()
    bond = town.bond(terms)
    with boa.reverts("unknown"):
        town.verification.promise(bond, terms, SALT, sender=SELLER)


def test_a_request_to_another_validator_or_on_another_work_does_not_count(town):
    terms = town.terms()
    bond = town.bond(terms)
    town.ask(town.verification.promise_request(bond, terms, SALT), validator=STRANGER)
    with boa.reverts("another validator"):
        town.verification.promise(bond, terms, SALT, sender=SELLER)
    other_salt = keccak256(b"other salt")
    other_work = town.hall.publish(SELLER)
    town.ask(town.verification.promise_request(bond, terms, other_salt), work_id=other_work)
    with boa.reverts("request on another Work"):
        town.verification.promise(bond, terms, other_salt, sender=SELLER)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signer": NOBODY}, "signer missing"),
        ({"fee": 0}, "fee out of range"),
        ({"fee": 2**96}, "fee out of range"),
        ({"audit_ppm": 0}, "audit rate out of range"),
        ({"audit_ppm": 1_000_001}, "audit rate out of range"),
        ({"window_s": 0}, "window out of range"),
        ({"window_s": 31_536_001}, "window out of range"),
        ({"bounty_bps": 0}, "bounty out of range"),
        ({"bounty_bps": 10_000}, "bounty out of range"),
    ],
)
def test_terms_that_make_no_sense_are_refused(town, changes, reason):
    terms = town.terms(**changes)
    bond = town.bond(terms)
    with boa.reverts(reason):
        town.verification.promise(bond, terms, SALT, sender=SELLER)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"judge": STRANGER}, "another judge"),
        ({"subject": SALT}, "bond on something else"),
        ({"ruling_s": 11 * support.PHASE_S - 1}, "no time for a verdict"),
        ({"counter_stake": STAKE}, "challenging is too dear"),
        ({"amount": 100, "counter_stake": 1}, "stake too small"),
    ],
)
def test_bonds_that_do_not_stand_behind_the_promise_are_refused(town, changes, reason):
    terms = town.terms()
    bond = town.bond(terms, **changes)
    with boa.reverts(reason):
        town.verification.promise(bond, terms, SALT, sender=SELLER)


def test_only_who_may_speak_for_the_work_and_posted_the_bond_promises(town):
    terms = town.terms()
    bond = town.bond(terms)
    with boa.reverts("only owner or operator"):
        town.verification.promise(bond, terms, SALT, sender=STRANGER)
    theirs = town.bond(terms, sender=STRANGER)
    with boa.reverts("another's bond"):
        town.verification.promise(theirs, terms, SALT, sender=SELLER)


def test_another_token_is_refused(town):
    other = deploy_other_token(town)
    terms = town.terms()
    bond = town.bond(terms, token=other.address)
    with boa.reverts("another token"):
        town.verification.promise(bond, terms, SALT, sender=SELLER)


def deploy_other_token(town: Town) -> Any:
    token = deploy_mock("StakeToken")
    token.mint(SELLER, 100_000)
    token.approve(town.bonds, NEVER, sender=SELLER)
    return token


def test_a_bond_that_is_over_is_refused(town):
    terms = town.terms()
    bond = town.bond(terms, ends_at=now() + 100, notice_s=0)
    wait(100)
    with boa.reverts("bond is over"):
        town.verification.promise(bond, terms, SALT, sender=SELLER)


def test_a_bond_promises_once(town):
    bond = town.promised()
    with boa.reverts("already promised"):
        town.verification.promise(bond, town.terms(), SALT, sender=SELLER)


def test_the_least_stake_is_the_smallest_of_which_more_than_the_gain_is_left(town):
    for fee, audit_ppm, bounty_bps, fees in (
        (10, 50_000, 5_000, 0),
        (7, 1_000, 1, 1_000),
        (1, 10**6, 9_999, 5),
    ):
        least = town.verification.least_stake(fee, audit_ppm, bounty_bps, fees)
        gain = fee * (10**6 - audit_ppm) // audit_ppm + fees
        assert least * (10_000 - bounty_bps) > gain * 10_000
        assert (least - 2) * (10_000 - bounty_bps) <= (gain + 1) * 10_000
    with boa.reverts("audit rate out of range"):
        town.verification.least_stake(1, 0, 0, 0)
    with boa.reverts("bounty out of range"):
        town.verification.least_stake(1, 1, 10_000, 0)


# --- batches ---------------------------------------------------------------------------------------------


def test_a_batch_without_a_validation_request_is_refused(town):
    bond = town.promised()
    with boa.reverts("unknown"):
        town.verification.submit(bond, ROOT, 8, SALT, sender=SELLER)


def test_a_batch_is_known_by_its_request(town):
    bond = town.promised()
    request = town.submitted(bond)
    assert town.verification.batch_of(request)[:3] == (bond, ROOT, 8)
    assert town.verification.batch_at(bond, 0) == request
    assert town.status(request) == (0, "")
    with boa.reverts("already submitted"):
        town.verification.submit(bond, ROOT, 8, SALT, sender=SELLER)


@pytest.mark.parametrize(
    ("arguments", "sender", "reason"),
    [
        ((ROOT, 8), STRANGER, "only the promiser"),
        ((bytes(32), 8), SELLER, "root missing"),
        ((ROOT, 0), SELLER, "answers missing"),
        ((ROOT, 2**96), SELLER, "answers missing"),
    ],
)
def test_bad_batches_are_refused(town, arguments, sender, reason):
    bond = town.promised()
    with boa.reverts(reason):
        town.verification.submit(bond, *arguments, SALT, sender=sender)


def test_more_answers_than_the_stake_covers_are_refused_until_others_are_over(town):
    bond = town.promised()
    covered = (STAKE // 2 - FEE * 19) // FEE - 1
    town.submitted(bond, count=covered)
    request = town.ask(town.verification.batch_request(bond, keccak256(b"more"), 2, SALT))
    with boa.reverts("stake too small"):
        town.verification.submit(bond, keccak256(b"more"), 2, SALT, sender=SELLER)
    wait(WINDOW_S)
    town.verification.submit(bond, keccak256(b"more"), 2, SALT, sender=SELLER)
    assert town.verification.promise_of(bond)[3] == 2 * FEE
    assert town.verification.batch_of(request)[2] == 2


def test_fees_are_counted_out_by_anyone(town):
    bond = town.promised()
    town.submitted(bond)
    town.verification.pass_over(bond, 5, sender=STRANGER)
    assert town.verification.promise_of(bond)[3] == 8 * FEE
    wait(WINDOW_S)
    town.verification.pass_over(bond, 2**255, sender=STRANGER)
    assert town.verification.promise_of(bond)[3] == 0
    with boa.reverts("no such promise"):
        town.verification.pass_over(bond + 1, 1)


def test_a_bond_that_ends_before_the_window_takes_no_batch(town):
    bond = town.promised(notice_s=WINDOW_S)
    town.ask(town.verification.batch_request(bond, ROOT, 8, SALT))
    with boa.reverts("bond ends before the window"):
        town.verification.submit(bond, ROOT, 8, SALT, sender=SELLER)


def test_undisputed_batches_pass_softly_once_their_window_is_over(town):
    bond = town.promised()
    request = town.submitted(bond)
    with boa.reverts("window still open"):
        town.verification.pass_softly(request)
    wait(WINDOW_S)
    town.verification.pass_softly(request, sender=STRANGER)
    assert town.status(request) == (100, "reexec:soft")
    assert town.verification.batch_of(request)[5] == SOFT
    with boa.reverts("verdict already told"):
        town.verification.pass_softly(request)
    with boa.reverts("no such batch"):
        town.verification.pass_softly(SALT)


# --- disputes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reason", "answer"), [(WRONG, ANSWER), (WITHHELD, bytes(32))])
def test_a_broken_promise_costs_the_stake_and_lands_in_the_registry(town, reason, answer):
    town.jurors_staked()
    bond = town.promised()
    request = town.submitted(bond)
    challenge = town.disputed(bond, request, reason, answer=answer)
    with boa.reverts("not decided"):
        town.verification.settle(challenge)
    wait(WINDOW_S)
    with boa.reverts("disputed"):
        town.verification.pass_softly(request)
    town.rule(challenge, UPHOLD)
    town.verification.settle(challenge, sender=STRANGER)
    assert town.status(request) == (0, "reexec:hard")
    assert town.verification.batch_of(request)[5] == BROKEN
    assert town.bonds.bond_of(bond)[3] == 0
    assert town.bonds.credit(town.token, CHALLENGER) == support.COUNTER_STAKE + STAKE // 2
    assert town.bonds.credit(town.token, SINK) == STAKE // 2
    with boa.reverts("no such dispute"):
        town.verification.settle(challenge)
    with boa.reverts("verdict already told"):
        town.verification.pass_softly(request)


def test_a_challenger_who_lies_loses_its_stake_and_the_batch_is_kept_for_hard(town):
    town.jurors_staked()
    bond = town.promised()
    request = town.submitted(bond)
    challenge = town.disputed(bond, request)
    town.rule(challenge, DISMISS)
    town.verification.settle(challenge)
    assert town.status(request) == (100, "reexec:hard")
    assert town.verification.batch_of(request)[5] == KEPT
    assert town.bonds.bond_of(bond)[3] == STAKE
    assert town.bonds.credit(town.token, SELLER) == support.COUNTER_STAKE
    assert town.bonds.credit(town.token, CHALLENGER) == 0


def test_a_dispute_that_lapses_decides_nothing(town):
    bond = town.promised()
    request = town.submitted(bond)
    challenge = town.disputed(bond, request)
    wait(support.RULING_S + 1)
    town.bonds.lapse(challenge)
    town.verification.settle(challenge)
    assert town.status(request) == (0, "")
    town.verification.pass_softly(request)
    assert town.status(request) == (100, "reexec:soft")


def test_a_broken_batch_stays_broken(town):
    town.jurors_staked()
    bond = town.promised()
    request = town.submitted(bond)
    first = town.disputed(bond, request)
    second = town.disputed(bond, request, number=4)
    town.rule(first, UPHOLD)
    town.rule(second, DISMISS)
    town.verification.settle(first)
    town.verification.settle(second)
    assert town.status(request) == (0, "reexec:hard")


@pytest.mark.parametrize("reason", [WRONG, LEFT_OUT])
def test_a_signed_answer_outside_every_batch_is_disputed_on_the_promise(town, reason):
    town.jurors_staked()
    bond = town.promised()
    standing = bytes(town.verification.promise_of(bond)[2])
    challenge = town.disputed(bond, standing, reason, number=0)
    town.rule(challenge, UPHOLD)
    town.verification.settle(challenge)
    assert town.status(standing) == (0, "reexec:hard")


@pytest.mark.parametrize(
    ("standing", "reason", "number", "answer", "message"),
    [
        (False, LEFT_OUT, 3, ANSWER, "no such reason"),
        (False, 0, 3, ANSWER, "no such reason"),
        (False, WRONG, 8, ANSWER, "no such answer"),
        (True, WITHHELD, 0, ANSWER, "no such reason"),
        (True, WRONG, 0, bytes(32), "answer missing"),
    ],
)
def test_disputes_about_nothing_are_refused(town, standing, reason, number, answer, message):
    bond = town.promised()
    batch = town.submitted(bond)
    request = bytes(town.verification.promise_of(bond)[2]) if standing else batch
    challenge = town.challenged(bond, request, reason, number, answer)
    town.brought(challenge)
    with boa.reverts(message):
        town.verification.dispute(challenge, request, reason, number, answer, URI, sender=CHALLENGER)


def test_a_dispute_must_be_what_was_challenged_by_the_challenger_once(town):
    bond = town.promised()
    request = town.submitted(bond)
    challenge = town.challenged(bond, request)
    arguments = (challenge, request, WRONG, 3, ANSWER, URI)
    with boa.reverts("not before the committee"):
        town.verification.dispute(*arguments, sender=CHALLENGER)
    town.brought(challenge)
    with boa.reverts("only the challenger"):
        town.verification.dispute(*arguments, sender=STRANGER)
    with boa.reverts("challenged for something else"):
        town.verification.dispute(challenge, request, WRONG, 4, ANSWER, URI, sender=CHALLENGER)
    with boa.reverts("challenged for something else"):
        town.verification.dispute(*arguments[:-1], "https://other.example", sender=CHALLENGER)
    town.verification.dispute(*arguments, sender=CHALLENGER)
    with boa.reverts("already disputed"):
        town.verification.dispute(*arguments, sender=CHALLENGER)


def test_batches_of_others_and_bonds_without_a_promise_are_not_disputed(town):
    bond, other = town.promised(), town.promised()
    request = town.submitted(bond)
    challenge = town.challenged(other, request)
    town.brought(challenge)
    with boa.reverts("no such batch"):
        town.verification.dispute(challenge, request, WRONG, 3, ANSWER, URI, sender=CHALLENGER)
    plain = town.bond(town.terms())
    challenge = town.challenged(plain, request)
    with boa.reverts("no such promise"):
        town.verification.dispute(challenge, request, WRONG, 3, ANSWER, URI, sender=CHALLENGER)


def test_after_the_window_or_the_ruling_time_nothing_is_disputed(town):
    bond = town.promised()
    request = town.submitted(bond)
    challenge = town.challenged(bond, request)
    town.brought(challenge)
    wait(WINDOW_S)
    with boa.reverts("window over"):
        town.verification.dispute(challenge, request, WRONG, 3, ANSWER, URI, sender=CHALLENGER)
    wait(support.RULING_S)
    with boa.reverts("challenge not open"):
        town.verification.dispute(challenge, request, WRONG, 3, ANSWER, URI, sender=CHALLENGER)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": STAKE - 1}, "not for the whole stake"),
        ({"bounty": STAKE // 2 + 1}, "bounty too large"),
        ({"beneficiary": account("friend of the seller")}, "the rest belongs to nobody"),
    ],
)
def test_a_case_that_would_spare_the_promiser_is_not_the_promises(town, changes, reason):
    bond = town.promised()
    request = town.submitted(bond)
    challenge = town.challenged(bond, request)
    town.brought(challenge, **changes)
    with boa.reverts(reason):
        town.verification.dispute(challenge, request, WRONG, 3, ANSWER, URI, sender=CHALLENGER)


@pytest.mark.parametrize("view", ["promise_of", "batch_of"])
def test_what_is_not_there_cannot_be_read(town, view):
    with boa.reverts(f"no such {view.removesuffix('_of')}"):
        getattr(town.verification, view)(99 if view == "promise_of" else SALT)


# --- everything in any order -----------------------------------------------------------------------------


class VerificationMachine(RuleBasedStateMachine):
    """Batches, disputes about them, rulings and time in any order. The committee stands aside: its account
    rules at once, which leaves every order of rulings possible."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = fresh_chain()
        self.anchor.__enter__()
        self.town = Town()
        self.bond = self.town.promised()
        self.batches: dict[bytes, tuple[int, int]] = {}
        self.disputes: dict[int, bytes] = {}
        self.decided: dict[int, str] = {}
        self.told: dict[bytes, set[int]] = {}
        self.slashed = False

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    def standing(self) -> int:
        """Fees of batches that can still be disputed."""
        return sum(FEE * count for count, until in self.batches.values() if now() < until)

    @rule(count=st.integers(1, 150))
    def submit(self, count) -> None:
        root = keccak256(len(self.batches).to_bytes(4, "big"))
        verification = self.town.verification
        request = bytes(verification.batch_request(self.bond, root, count, SALT))
        with contextlib.suppress(boa.BoaError):  # asked for before, and refused then
            self.town.ask(request)
        enough = FEE * 19 + self.standing() + FEE * count + 1 < STAKE // 2
        try:
            verification.submit(self.bond, root, count, SALT, sender=SELLER)
        except boa.BoaError:
            assert self.slashed or not enough
        else:
            assert enough
            assert not self.slashed
            self.batches[request] = (count, now() + WINDOW_S)

    @rule(data=st.data())
    def dispute(self, data) -> None:
        open_ones = [request for request, (_, until) in self.batches.items() if now() < until]
        if open_ones and not self.slashed:
            request = data.draw(st.sampled_from(open_ones))
            self.disputes[self.town.disputed(self.bond, request, number=0)] = request

    @rule(data=st.data(), upheld=st.booleans())
    def decide(self, data, upheld) -> None:
        waiting = sorted(self.disputes.keys() - self.decided.keys())
        if not waiting:
            return
        challenge = data.draw(st.sampled_from(waiting))
        bonds, judge = self.town.bonds, self.town.committee.address
        boa.env.set_balance(judge, 10**18)
        if not bonds.can_rule(challenge):
            bonds.lapse(challenge)
            self.decided[challenge] = "lapsed"
        elif upheld:
            left = bonds.bond_of(self.bond)[3]
            bonds.uphold(challenge, left // 2, [(SINK, left - left // 2)], sender=judge)
            self.decided[challenge], self.slashed = "upheld", True
        else:
            bonds.dismiss(challenge, sender=judge)
            self.decided[challenge] = "dismissed"

    @rule(data=st.data())
    def settle(self, data) -> None:
        if not self.disputes:
            return
        challenge = data.draw(st.sampled_from(sorted(self.disputes)))
        try:
            self.town.verification.settle(challenge)
        except boa.BoaError:
            assert challenge not in self.decided
        else:
            request, outcome = self.disputes.pop(challenge), self.decided[challenge]
            if outcome != "lapsed":
                self.told.setdefault(request, set()).add(BROKEN if outcome == "upheld" else KEPT)

    @rule(data=st.data())
    def pass_softly(self, data) -> None:
        if not self.batches:
            return
        request = data.draw(st.sampled_from(sorted(self.batches)))
        over = now() >= self.batches[request][1]
        quiet = request not in self.disputes.values() and request not in self.told
        try:
            self.town.verification.pass_softly(request)
        except boa.BoaError:
            assert not (over and quiet)
        else:
            assert over
            assert quiet
            self.told[request] = {SOFT}

    @rule(steps=st.integers(0, 3))
    def pass_over(self, steps) -> None:
        self.town.verification.pass_over(self.bond, steps)

    @rule(part=st.integers(1, 4))
    def wait(self, part) -> None:
        wait(part * WINDOW_S // 3)

    @invariant()
    def the_registry_says_exactly_what_was_decided_and_the_worst_of_it_stays(self) -> None:
        for request in self.batches:
            told = self.told.get(request, set())
            expected = (0, "")
            if BROKEN in told:
                expected = (0, "reexec:hard")
            elif KEPT in told:
                expected = (100, "reexec:hard")
            elif SOFT in told:
                expected = (100, "reexec:soft")
            assert self.town.status(request) == expected

    @invariant()
    def fees_that_can_still_be_lost_are_never_counted_out(self) -> None:
        assert self.town.verification.promise_of(self.bond)[3] >= self.standing()

    @invariant()
    def the_contract_holds_no_tokens(self) -> None:
        assert self.town.token.balanceOf(self.town.verification.address) == 0


VerificationMachine.TestCase.settings = settings(max_examples=6, stateful_step_count=20, deadline=None)
TestVerification = VerificationMachine.TestCase
