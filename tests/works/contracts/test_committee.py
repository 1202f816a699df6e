# SPDX-License-Identifier: Apache-2.0
"""The committee: jurors drawn by stake from a seed nobody could know, voting sealed, ruling on challenges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import boa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from koinon.chain.hashing import keccak256
from koinon.works.bonds import commitment_digest
from tests.contracts_support import NOBODY, account, deploy, deploy_mock, events, fresh_chain

POSTER = account("bonded party")
CHALLENGER = account("challenger")
VICTIM = account("victim")
STRANGER = account("stranger")
JURORS = [account(f"juror {number}") for number in range(6)]
HOLDERS = (POSTER, CHALLENGER, STRANGER, *JURORS)
HOUR = 3600
CHANGE, COMMIT, REVEAL, DRAW = range(4)
DISMISS, UPHOLD = 1, 2
SALT = keccak256(b"salt")
SEATS, SEAT_STAKE, SLASH_BPS, FEE, DEPOSIT, SEEDS = 5, 100, 2_000, 10, 20, 2
RULES = (SEATS, SEAT_STAKE, SLASH_BPS, FEE, DEPOSIT, SEEDS, HOUR)
LONG = 1000 * HOUR


class Court:
    """A committee, the bonds it judges, and a token everybody has 100,000 of."""

    def __init__(self) -> None:
        self.bonds = deploy("works", "Bonds")
        self.token = deploy_mock("StakeToken")
        self.committee = deploy("works", "Committee", self.bonds.address, self.token.address, RULES)
        for holder in HOLDERS:
            self.token.mint(holder, 100_000)
            for spender in (self.bonds, self.committee):
                self.token.approve(spender, 2**256 - 1, sender=holder)

    def at(self) -> tuple[int, int]:
        """Epoch and phase."""
        epoch, phase, _ = self.committee.now_at()
        return int(epoch), int(phase)

    def go_to(self, phase: int) -> int:
        """Wait for the next moment in this phase; returns the epoch."""
        while True:
            epoch, now, ends = self.committee.now_at()
            if now == phase:
                return int(epoch)
            boa.env.time_travel(seconds=int(ends) - timestamp())

    def pass_phase(self) -> None:
        _, _, ends = self.committee.now_at()
        boa.env.time_travel(seconds=int(ends) - timestamp())

    def staked(self, *stakes: int) -> Court:
        """Jurors 0, 1, … with these stakes."""
        self.go_to(CHANGE)
        for juror, amount in zip(JURORS, stakes, strict=False):
            self.committee.stake(amount, sender=juror)
        return self

    def challenged(self, **changes: Any) -> int:
        """A bond of 1,000 that names this committee, challenged; returns the challenge."""
        terms = {"judge": self.committee.address, "ruling_s": LONG} | changes
        bond = self.bonds.post(
            self.token,
            1000,
            terms["judge"],
            SALT,
            timestamp() + LONG,
            0,
            50,
            terms["ruling_s"],
            sender=POSTER,
        )
        return int(self.bonds.challenge(bond, SALT, sender=CHALLENGER))

    def case(self, amount: int = 600, bounty: int = 100, **changes: Any) -> int:
        dispute = self.challenged(**changes)
        return int(self.committee.open_case(dispute, amount, VICTIM, bounty, sender=CHALLENGER))

    def sealed(self, topic: bytes, juror: str, value: bytes) -> bytes:
        chain_id = boa.env.evm.patch.chain_id
        return commitment_digest(chain_id, self.committee.address, topic, juror, value=value, salt=SALT)

    def commit_seed(self, juror: str) -> None:
        epoch, _ = self.at()
        topic = bytes(self.committee.seed_topic(epoch))
        self.committee.commit_seed(self.sealed(topic, juror, secret(epoch, juror)), sender=juror)

    def reveal_seed(self, juror: str) -> None:
        self.committee.reveal_seed(secret(self.at()[0], juror), SALT, sender=juror)

    def seeded(self, committing: Iterable[str], revealing: Iterable[str] | None = None) -> int:
        """Commit and reveal seeds; ends in the phase of the draw. Returns the epoch."""
        committing = list(committing)
        self.go_to(COMMIT)
        for juror in committing:
            self.commit_seed(juror)
        self.pass_phase()
        for juror in committing if revealing is None else revealing:
            self.reveal_seed(juror)
        return self.go_to(DRAW)

    def drawn(self, case: int, seeds: int = 2) -> list[str]:
        self.seeded(JURORS[:seeds])
        self.committee.draw(case)
        return list(self.committee.jurors_of(case))

    def commit_vote(self, case: int, juror: str, vote: int) -> None:
        topic = bytes(self.committee.vote_topic(case))
        sealed = self.sealed(topic, juror, vote.to_bytes(32, "big"))
        self.committee.commit_vote(case, sealed, sender=juror)

    def reveal_vote(self, case: int, juror: str, vote: int) -> None:
        self.committee.reveal_vote(case, vote, SALT, sender=juror)

    def vote(self, case: int, votes: dict[str, int]) -> None:
        """Commit and reveal (vote 0 commits to uphold and does not reveal), then wait to the end."""
        commits, reveals = self.committee.vote_times(case)
        for juror, vote in votes.items():
            self.commit_vote(case, juror, vote or UPHOLD)
        boa.env.time_travel(seconds=int(commits) - timestamp())
        for juror, vote in votes.items():
            if vote:
                self.reveal_vote(case, juror, vote)
        boa.env.time_travel(seconds=int(reveals) - timestamp())

    def stake_of(self, juror: str) -> int:
        return int(self.committee.juror_of(juror)[0])

    def seats(self, case: int, juror: str) -> int:
        return int(self.committee.seats_of(case, juror))


def timestamp() -> int:
    return int(boa.env.evm.patch.timestamp)


def secret(epoch: int, juror: str) -> bytes:
    return keccak256(f"{epoch} {juror}".encode())


@pytest.fixture(scope="module")
def fresh_court():
    with fresh_chain():
        yield Court()


@pytest.fixture
def court(fresh_court):
    with fresh_chain():
        yield fresh_court


@pytest.fixture
def full(court):
    return court.staked(1000, 1000, 1000, 1000)


# --- the rules and the clock -----------------------------------------------------------------------------


def test_the_rules_are_fixed_at_the_start(court):
    assert tuple(court.committee.rules()) == RULES
    assert court.committee.token() == court.token.address
    assert court.committee.bonds() == court.bonds.address


@pytest.mark.parametrize(
    ("place", "number", "reason"),
    [
        (0, 4, "seats must be odd, at most 15"),
        (0, 17, "seats must be odd, at most 15"),
        (1, 0, "stakes missing"),
        (2, 10_001, "more than all slashed"),
        (4, 0, "stakes missing"),
        (5, 0, "seeds missing"),
        (6, 0, "phase missing"),
    ],
)
def test_rules_that_make_no_sense_are_refused(court, place, number, reason):
    rules = (*RULES[:place], number, *RULES[place + 1 :])
    with boa.reverts(reason):
        deploy("works", "Committee", court.bonds.address, court.token.address, rules)


def test_bonds_and_token_are_needed(court):
    for bonds, token in ((NOBODY, court.token.address), (court.bonds.address, NOBODY)):
        with boa.reverts("bonds or token missing"):
            deploy("works", "Committee", bonds, token, RULES)


def test_the_clock_alone_moves_the_phases(court):
    seen = []
    for _ in range(6):
        seen.append(court.at())
        court.pass_phase()
    assert seen == [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1)]


# --- stakes ----------------------------------------------------------------------------------------------


def test_a_stake_counts_at_once_in_phase_0_and_later_otherwise(court):
    court.committee.stake(500, sender=JURORS[0])
    assert events(court.committee, "Staked") == [{"juror": JURORS[0], "amount": 500, "stake": 500}]
    assert court.committee.total_weight() == 500
    court.pass_phase()
    court.committee.stake(700, sender=JURORS[1])
    court.committee.stake(1, sender=JURORS[0])
    assert court.committee.total_weight() == 500
    with boa.reverts("stakes stand still"):
        court.committee.update_weight(JURORS[1])
    with boa.reverts("stakes stand still"):
        court.committee.unstake(1, sender=JURORS[0])
    court.go_to(CHANGE)
    for juror in JURORS[:2]:
        court.committee.update_weight(juror, sender=STRANGER)
    assert court.committee.total_weight() == 1201
    with boa.reverts("amount missing"):
        court.committee.stake(0, sender=JURORS[0])


def test_less_than_one_seat_and_one_seed_has_no_weight(court):
    court.committee.stake(SEAT_STAKE + DEPOSIT - 1, sender=JURORS[0])
    assert court.committee.total_weight() == 0
    court.committee.stake(1, sender=JURORS[0])
    assert court.committee.total_weight() == SEAT_STAKE + DEPOSIT


def test_what_is_free_is_taken_back(court):
    court.staked(500)
    for amount in (0, 501):
        with boa.reverts("not free"):
            court.committee.unstake(amount, sender=JURORS[0])
    with boa.reverts("leave nothing or the minimum"):
        court.committee.unstake(400, sender=JURORS[0])
    court.committee.unstake(300, sender=JURORS[0])
    assert court.committee.total_weight() == 200
    court.committee.unstake(200, sender=JURORS[0])
    assert court.committee.total_weight() == 0
    assert court.token.balanceOf(JURORS[0]) == 100_000


def test_a_token_that_takes_fees_or_refuses_is_refused(court):
    court.staked(500)
    court.token.set_fee(100)
    with boa.reverts("token did not deliver exactly"):
        court.committee.stake(500, sender=JURORS[1])
    court.token.set_refusing(True)
    with boa.reverts("transfer refused"):
        court.committee.unstake(500, sender=JURORS[0])


# --- seeds -----------------------------------------------------------------------------------------------


def test_the_seed_depends_on_everything_revealed_and_not_on_the_order(full):
    def seed_after(order: list[str]) -> bytes:
        with fresh_chain():
            epoch = full.seeded(JURORS[:3], order)
            return bytes(full.committee.seed(epoch))

    assert seed_after(JURORS[:3]) == seed_after(JURORS[2::-1])
    assert seed_after(JURORS[:3]) != seed_after(JURORS[:2])


def test_withholding_a_seed_costs_the_deposit_and_others_share_it(full):
    epoch = full.seeded(JURORS[:4], JURORS[:3])
    assert full.stake_of(JURORS[3]) == 1000 - DEPOSIT
    assert full.committee.forfeits(epoch) == DEPOSIT
    with boa.reverts("epoch not over"):
        full.committee.take_forfeits(epoch, sender=JURORS[0])
    full.go_to(CHANGE)
    with boa.reverts("revealed nothing"):
        full.committee.take_forfeits(epoch, sender=JURORS[3])
    with boa.reverts("they belong to those who revealed"):
        full.committee.carry_forfeits(epoch)
    for juror in JURORS[:3]:
        full.committee.take_forfeits(epoch, sender=juror)
        with boa.reverts("already taken"):
            full.committee.take_forfeits(epoch, sender=juror)
    assert [full.committee.credit(juror) for juror in JURORS[:3]] == [6, 7, 7]
    assert full.committee.forfeits(epoch) == 0
    full.committee.collect(JURORS[1], sender=STRANGER)
    assert events(full.committee, "Collected") == [{"account": JURORS[1], "amount": 7}]
    with boa.reverts("nothing to collect"):
        full.committee.collect(JURORS[1])


def test_when_nobody_reveals_the_deposits_go_to_a_later_epoch(full):
    epoch = full.seeded(JURORS[:2], [])
    with boa.reverts("epoch not over"):
        full.committee.carry_forfeits(epoch)
    later = full.go_to(CHANGE)
    full.committee.carry_forfeits(epoch, sender=STRANGER)
    assert (full.committee.forfeits(epoch), full.committee.forfeits(later)) == (0, 2 * DEPOSIT)


def test_seeds_have_their_time_and_need_a_juror(full):
    with boa.reverts("not the time for seeds"):
        full.commit_seed(JURORS[0])
    with boa.reverts("not the time to reveal seeds"):
        full.reveal_seed(JURORS[0])
    full.go_to(COMMIT)
    with boa.reverts("not a juror"):
        full.commit_seed(STRANGER)
    full.commit_seed(JURORS[0])
    with boa.reverts("seed already committed"):
        full.commit_seed(JURORS[0])
    with boa.reverts("empty commitment"):
        full.committee.commit_seed(b"\x00" * 32, sender=JURORS[1])
    full.pass_phase()
    with boa.reverts("not what was committed"):
        full.committee.reveal_seed(SALT, SALT, sender=JURORS[0])
    with boa.reverts("nothing committed"):
        full.reveal_seed(JURORS[1])
    full.reveal_seed(JURORS[0])
    with boa.reverts("already revealed"):
        full.reveal_seed(JURORS[0])


# --- cases and draws -------------------------------------------------------------------------------------


def test_only_the_challenger_brings_a_challenge_that_can_still_be_judged(full):
    dispute = full.challenged()

    def bring(which: int = dispute, by: str = CHALLENGER, to: str = VICTIM, bounty: int = 1) -> int:
        return int(full.committee.open_case(which, 10, to, bounty, sender=by))

    with boa.reverts("only the challenger"):
        bring(by=POSTER)
    with boa.reverts("beneficiary missing"):
        bring(to=NOBODY)
    with boa.reverts("bounty above the amount"):
        bring(bounty=11)
    with boa.reverts("another judge"):
        bring(full.challenged(judge=STRANGER))
    with boa.reverts("no such challenge"):
        bring(99)
    with boa.reverts("no time left for a verdict"):
        bring(full.challenged(ruling_s=5 * HOUR))
    late = full.challenged(ruling_s=HOUR)
    case = bring()
    assert full.committee.case_on(dispute) == case
    assert full.token.balanceOf(full.committee) == 4000 + SEATS * FEE
    with boa.reverts("case already open"):
        bring()
    boa.env.time_travel(seconds=2 * HOUR)
    with boa.reverts("challenge not open"):
        bring(late)
    for unknown in (0, 9):
        with boa.reverts("no such case"):
            full.committee.case_of(unknown)
        with boa.reverts("no such case"):
            full.committee.give_up(unknown)


def test_all_seats_are_drawn_and_lock_their_stake(full):
    case = full.case()
    full.seeded(JURORS[:2])
    full.committee.draw(case)
    assert len(events(full.committee, "Seated")) == SEATS
    jurors = list(full.committee.jurors_of(case))
    assert sum(full.seats(case, juror) for juror in jurors) == SEATS
    for juror in jurors:
        assert full.committee.juror_of(juror)[1] == full.seats(case, juror) * SEAT_STAKE
    with boa.reverts("already drawn"):
        full.committee.draw(case)
    with boa.reverts("already drawn"):
        full.committee.give_up(case)


def test_a_case_opened_after_seeds_were_committed_waits_for_the_next_epoch(full):
    full.go_to(COMMIT)
    case = full.case()
    full.seeded(JURORS[:2])
    with boa.reverts("opened after the seed"):
        full.committee.draw(case)
    full.drawn(case)


def test_draws_have_their_time_and_enough_seeds(full):
    case = full.case()
    with boa.reverts("not the time to draw"):
        full.committee.draw(case)
    full.seeded(JURORS[:1])
    with boa.reverts("too few seeds"):
        full.committee.draw(case)
    with boa.reverts("no such case"):
        full.committee.draw(9)
    with boa.reverts("not drawn"):
        full.committee.conclude(case)
    with boa.reverts("not drawn"):
        full.committee.vote_times(case)


def test_parties_are_never_their_own_jurors_and_cannot_stall_by_staking(court):
    for party in (POSTER, CHALLENGER):
        court.committee.stake(50_000, sender=party)
    court.staked(3000, 3000)
    for _ in range(2):
        assert set(court.drawn(court.case())) <= set(JURORS)
        assert court.committee.total_weight() == 106_000
        court.go_to(CHANGE)


def test_a_juror_whose_stake_is_locked_does_not_stall_the_draw(court):
    court.staked(50_000, 1000)
    court.committee.stake(SEAT_STAKE + DEPOSIT, sender=JURORS[2])
    first = court.case()
    court.drawn(first)
    court.go_to(CHANGE)
    court.committee.unstake(50_000 - court.seats(first, JURORS[0]) * SEAT_STAKE - DEPOSIT, sender=JURORS[0])
    assert court.drawn(court.case())


def test_too_few_free_stakes_leave_the_case_waiting(court):
    court.staked(SEAT_STAKE + DEPOSIT, SEAT_STAKE + DEPOSIT)
    case = court.case()
    court.seeded(JURORS[:2])
    with boa.reverts("too few jurors can serve"):
        court.committee.draw(case)
    court.go_to(CHANGE)
    court.committee.stake(1000, sender=JURORS[2])
    assert len(court.drawn(case)) >= 2


def test_a_case_that_was_never_drawn_gives_its_fee_back(full):
    case = full.case(ruling_s=8 * HOUR)
    with boa.reverts("can still be drawn"):
        full.committee.give_up(case)
    full.go_to(DRAW)
    full.go_to(CHANGE)
    full.seeded(JURORS[:2])
    with boa.reverts("no time left for a verdict"):
        full.committee.draw(case)
    full.committee.give_up(case, sender=STRANGER)
    assert full.committee.credit(CHALLENGER) == SEATS * FEE
    with boa.reverts("already drawn"):
        full.committee.give_up(case)


# --- votes and verdicts ----------------------------------------------------------------------------------


def test_upheld_the_bond_pays_and_everyone_of_one_mind_shares_the_fee(full):
    case = full.case()
    jurors = full.drawn(case)
    full.vote(case, dict.fromkeys(jurors, UPHOLD))
    full.committee.conclude(case, sender=STRANGER)
    (event,) = events(full.committee, "Concluded")
    assert (event["ruling"], event["uphold"], event["dismiss"], event["ruled"]) == (UPHOLD, SEATS, 0, True)
    assert full.bonds.credit(full.token, VICTIM) == 500
    assert full.bonds.credit(full.token, CHALLENGER) == 100 + 50
    assert full.bonds.bond_of(1)[3] == 400
    for juror in jurors:
        assert full.committee.credit(juror) == full.seats(case, juror) * FEE
        assert full.committee.juror_of(juror)[1] == 0
        assert full.committee.vote_of(case, juror) == UPHOLD
    with boa.reverts("already concluded"):
        full.committee.conclude(case)


def test_dismissed_the_bonded_party_gets_the_counter_stake(full):
    case = full.case()
    full.vote(case, dict.fromkeys(full.drawn(case), DISMISS))
    full.committee.conclude(case)
    assert full.bonds.credit(full.token, POSTER) == 50
    assert full.bonds.bond_of(1)[3] == 1000


def test_the_minority_and_the_absent_pay_the_majority(court):
    court.staked(10_000, 10_000, 10_000, 10_000, 10_000, 10_000)
    case = court.case()
    jurors = court.drawn(case)
    seats = {juror: court.seats(case, juror) for juror in jurors}
    absent, dissenting, *upholding = sorted(jurors, key=seats.__getitem__)
    votes = {absent: 0, dissenting: DISMISS} | dict.fromkeys(upholding, UPHOLD)
    majority = sum(seats[juror] for juror in upholding)
    assert majority > seats[dissenting]
    court.vote(case, votes)
    court.committee.conclude(case)
    pot = SEATS * FEE + (SEATS - majority) * SEAT_STAKE * SLASH_BPS // 10_000
    shares = {juror: pot * seats[juror] // majority for juror in upholding}
    for juror in jurors:
        lost = 0 if juror in upholding else seats[juror] * SEAT_STAKE * SLASH_BPS // 10_000
        assert court.stake_of(juror) == 10_000 - lost
        assert 0 <= court.committee.credit(juror) - shares.get(juror, 0) < len(jurors)
    assert sum(court.committee.credit(juror) for juror in jurors) == pot


def test_without_a_majority_nobody_rules_and_the_challenger_is_paid_for_the_wait(full):
    case = full.case()
    jurors = full.drawn(case)
    before = sum(full.stake_of(juror) for juror in jurors)
    full.vote(case, dict.fromkeys(jurors, 0))
    full.committee.conclude(case)
    (event,) = events(full.committee, "Concluded")
    assert (event["ruling"], event["ruled"]) == (0, False)
    lost = before - sum(full.stake_of(juror) for juror in jurors)
    assert lost == SEATS * SEAT_STAKE * SLASH_BPS // 10_000
    assert full.committee.credit(CHALLENGER) == SEATS * FEE + lost
    boa.env.time_travel(seconds=LONG)
    full.bonds.lapse(1)
    full.bonds.withdraw(1, sender=POSTER)
    assert full.bonds.credit(full.token, CHALLENGER) == 50


def test_a_verdict_after_the_deadline_still_frees_the_jurors(full):
    case = full.case(ruling_s=7 * HOUR)
    full.vote(case, dict.fromkeys(full.drawn(case), UPHOLD))
    boa.env.time_travel(seconds=2 * HOUR)
    full.committee.conclude(case)
    (event,) = events(full.committee, "Concluded")
    assert (event["ruling"], event["ruled"]) == (UPHOLD, False)
    assert full.bonds.bond_of(1)[3] == 1000


def test_no_more_is_taken_than_the_bond_still_has(full):
    disputes = [full.challenged()]
    disputes.append(int(full.bonds.challenge(1, SALT, sender=CHALLENGER)))
    cases = [full.committee.open_case(each, 700, VICTIM, 100, sender=CHALLENGER) for each in disputes]
    full.seeded(JURORS[:2])
    for case in cases:
        full.committee.draw(case)
    commits, reveals = full.committee.vote_times(cases[0])
    for act, until in ((full.commit_vote, commits), (full.reveal_vote, reveals)):
        for case in cases:
            for juror in full.committee.jurors_of(case):
                act(case, juror, UPHOLD)
        boa.env.time_travel(seconds=int(until) - timestamp())
    for case in cases:
        full.committee.conclude(case)
    assert full.bonds.bond_of(1)[3] == 0
    assert full.bonds.credit(full.token, VICTIM) == 600 + 200
    assert full.bonds.credit(full.token, CHALLENGER) == 2 * (100 + 50)


def test_votes_have_their_time_and_need_a_seat(full):
    case = full.case()
    jurors = full.drawn(case)
    with boa.reverts("no seat in this case"):
        full.commit_vote(case, STRANGER, UPHOLD)
    with boa.reverts("no seat in this case"):
        full.reveal_vote(case, STRANGER, UPHOLD)
    with boa.reverts("too early to reveal"):
        full.reveal_vote(case, jurors[0], UPHOLD)
    full.commit_vote(case, jurors[0], UPHOLD)
    full.commit_vote(case, jurors[0], DISMISS)
    with boa.reverts("votes still come in"):
        full.committee.conclude(case)
    commits, reveals = full.committee.vote_times(case)
    boa.env.time_travel(seconds=int(commits) - timestamp())
    with boa.reverts("too late to commit"):
        full.commit_vote(case, jurors[0], UPHOLD)
    with boa.reverts("no such vote"):
        full.reveal_vote(case, jurors[0], 3)
    with boa.reverts("not what was committed"):
        full.reveal_vote(case, jurors[0], UPHOLD)
    full.reveal_vote(case, jurors[0], DISMISS)
    with boa.reverts("already revealed"):
        full.reveal_vote(case, jurors[0], DISMISS)
    boa.env.time_travel(seconds=int(reveals) - timestamp())
    with boa.reverts("too late to reveal"):
        full.reveal_vote(case, jurors[-1], UPHOLD)


def test_a_vote_cannot_be_copied(full):
    case = full.case()
    jurors = full.drawn(case)
    topic = bytes(full.committee.vote_topic(case))
    copied = full.sealed(topic, jurors[0], UPHOLD.to_bytes(32, "big"))
    assert copied == full.committee.commitment(topic, jurors[0], UPHOLD.to_bytes(32, "big"), SALT)
    full.committee.commit_vote(case, copied, sender=jurors[1])
    commits, _ = full.committee.vote_times(case)
    boa.env.time_travel(seconds=int(commits) - timestamp())
    with boa.reverts("not what was committed"):
        full.reveal_vote(case, jurors[1], UPHOLD)


def test_locked_stakes_cannot_leave_before_the_verdict(full):
    case = full.case()
    jurors = full.drawn(case)
    full.go_to(CHANGE)
    with boa.reverts("not free"):
        full.committee.unstake(1000, sender=jurors[0])


# --- the tree of weights ---------------------------------------------------------------------------------


class TreeMachine(RuleBasedStateMachine):
    """Members come and change in any order, against a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = fresh_chain()
        self.anchor.__enter__()
        self.tree = deploy_mock("WeightedDraw")
        self.weights: list[int] = []

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    @rule(weight=st.integers(0, 2**100))
    def append(self, weight) -> None:
        self.weights.append(weight)
        assert self.tree.append(weight) == len(self.weights)

    @rule(data=st.data(), weight=st.integers(0, 50))
    def change(self, data, weight) -> None:
        if self.weights:
            at = data.draw(st.integers(0, len(self.weights) - 1))
            self.tree.change(at + 1, self.weights[at], weight)
            self.weights[at] = weight

    @invariant()
    def every_point_falls_on_the_member_whose_part_it_is_in(self) -> None:
        assert self.tree.total() == sum(self.weights)
        begin = 0
        for position, weight in enumerate(self.weights, start=1):
            if weight:
                assert self.tree.find(begin) == position
                assert self.tree.find(begin + weight - 1) == position
            begin += weight


TreeMachine.TestCase.settings = settings(max_examples=5, stateful_step_count=10, deadline=None)
TestTree = TreeMachine.TestCase


def test_a_crowd_of_jurors_cost_the_newcomer_no_more_than_a_few_levels(court):
    newcomer = JURORS[5]
    court.committee.stake(500, sender=JURORS[0])

    def cost() -> int:
        with fresh_chain():
            court.committee.stake(500, sender=newcomer)
            return int(court.committee._computation.get_gas_used())

    before = cost()
    for number in range(63):
        juror = account(f"crowd {number}")
        court.token.mint(juror, 500)
        court.token.approve(court.committee, 500, sender=juror)
        court.committee.stake(500, sender=juror)
    assert cost() - before < 30_000


# --- a life of its own -----------------------------------------------------------------------------------


class CommitteeMachine(RuleBasedStateMachine):
    """Jurors who stake, seed, vote, forget and leave; cases that are drawn, decided or given up."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = fresh_chain()
        self.anchor.__enter__()
        self.court = Court()
        self.committee = self.court.committee
        self.court.staked(900, 800, 700)
        self.cases: dict[int, bool] = {}
        self.votes: dict[tuple[int, str], int] = {}

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    @rule(juror=st.sampled_from(JURORS), amount=st.integers(1, 600))
    def stake(self, juror, amount) -> None:
        self.committee.stake(amount, sender=juror)

    @rule(juror=st.sampled_from(JURORS), amount=st.integers(1, 600))
    def unstake(self, juror, amount) -> None:
        stake, locked, _, _ = self.committee.juror_of(juror)
        possible = amount <= stake - locked and (stake == amount or stake - amount >= SEAT_STAKE + DEPOSIT)
        if possible and self.court.at()[1] == CHANGE:
            self.committee.unstake(amount, sender=juror)
        else:
            with boa.reverts():
                self.committee.unstake(amount, sender=juror)

    @rule(amount=st.integers(0, 1500), hours=st.sampled_from([7, 12, 100]))
    def open_case(self, amount, hours) -> None:
        try:
            case = self.court.case(amount, amount // 3, ruling_s=hours * HOUR)
        except boa.BoaError:
            assert hours < 10
        else:
            self.cases[case] = True

    @rule(withheld=st.sets(st.sampled_from(JURORS)))
    def seed_and_draw(self, withheld) -> None:
        """A whole epoch's seeds; some are withheld; whatever can be drawn is."""
        epoch = self.court.go_to(COMMIT)
        ready = [
            juror
            for juror in JURORS
            if self.committee.juror_of(juror)[2] > 0
            and self.committee.juror_of(juror)[0] - self.committee.juror_of(juror)[1] >= DEPOSIT
        ]
        self.court.seeded(ready, [juror for juror in ready if juror not in withheld])
        for case, open_ in self.cases.items():
            found = self.committee.case_of(case)
            if open_ and found[9] == 0 and found[8] <= epoch:
                try:
                    self.committee.draw(case)
                except boa.BoaError:
                    continue

    @rule(data=st.data())
    def vote_and_conclude(self, data) -> None:
        drawn = [case for case, open_ in self.cases.items() if open_ and self.committee.case_of(case)[9]]
        for case in drawn:
            commits, reveals = self.committee.vote_times(case)
            jurors = list(self.committee.jurors_of(case))
            votes = {juror: data.draw(st.sampled_from([0, DISMISS, UPHOLD])) for juror in jurors}
            if timestamp() < int(commits):
                self.court.vote(case, votes)
            elif timestamp() < int(reveals):
                boa.env.time_travel(seconds=int(reveals) - timestamp())
            self.committee.conclude(case)
            self.cases[case] = False

    @rule()
    def give_up_what_cannot_be_drawn(self) -> None:
        for case, open_ in self.cases.items():
            if open_ and self.committee.case_of(case)[9] == 0:
                try:
                    self.committee.give_up(case)
                except boa.BoaError:
                    continue
                self.cases[case] = False

    @rule(juror=st.sampled_from(JURORS))
    def update(self, juror) -> None:
        if self.court.at()[1] == CHANGE:
            self.committee.update_weight(juror)

    @rule(juror=st.sampled_from(JURORS))
    def take(self, juror) -> None:
        for epoch in range(1, self.court.at()[0]):
            try:
                self.committee.take_forfeits(epoch, sender=juror)
            except boa.BoaError:
                continue

    @rule()
    def carry(self) -> None:
        for epoch in range(1, self.court.at()[0]):
            if self.committee.seeds_revealed(epoch) == 0:
                self.committee.carry_forfeits(epoch)

    @rule(who=st.sampled_from(HOLDERS))
    def collect(self, who) -> None:
        if self.committee.credit(who):
            self.committee.collect(who)

    @rule()
    def wait(self) -> None:
        self.court.pass_phase()

    @invariant()
    def every_token_in_the_committee_is_somebodys(self) -> None:
        staked = sum(self.court.stake_of(juror) for juror in JURORS)
        credited = sum(self.committee.credit(who) for who in HOLDERS)
        lost = sum(self.committee.forfeits(epoch) for epoch in range(1, self.court.at()[0] + 1))
        fees = SEATS * FEE * sum(self.cases.values())
        assert self.court.token.balanceOf(self.committee) == staked + credited + lost + fees

    @invariant()
    def what_is_locked_are_the_seats_of_open_cases(self) -> None:
        for juror in JURORS:
            stake, locked, _, _ = self.committee.juror_of(juror)
            seats = sum(self.court.seats(case, juror) for case, open_ in self.cases.items() if open_)
            assert locked == seats * SEAT_STAKE <= stake

    @invariant()
    def the_tree_holds_the_jurors_weights(self) -> None:
        assert self.committee.total_weight() == sum(self.committee.juror_of(juror)[2] for juror in JURORS)


CommitteeMachine.TestCase.settings = settings(max_examples=5, stateful_step_count=15, deadline=None)
TestCommittee = CommitteeMachine.TestCase
