# SPDX-License-Identifier: Apache-2.0
"""Bonds: stake that only the judge named at posting can move, and values sealed until they are revealed."""

from __future__ import annotations

from typing import Any

import boa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from koinon.chain.hashing import keccak256
from koinon.works.bonds import commitment_digest, topic_id
from tests.contracts_support import NOBODY, account, deploy, deploy_mock, events, fresh_chain

POSTER = account("bonded party")
JUDGE = account("judge")
CHALLENGER = account("challenger")
VICTIM = account("victim")
STRANGER = account("stranger")
PROMISE = keccak256(b"I compute honestly")
EVIDENCE = keccak256(b"look here")
HOUR = 3600
NEVER = 2**256 - 1


@pytest.fixture(scope="module")
def bonds():
    with fresh_chain():
        yield deploy("works", "Bonds")


@pytest.fixture(scope="module")
def token(bonds):
    return funded(bonds)


@pytest.fixture(autouse=True)
def _undo(token):
    with fresh_chain():
        yield


def funded(bonds: Any) -> Any:
    """A token that everybody has 10,000 of and has approved to the bonds."""
    token = deploy_mock("StakeToken")
    for holder in (POSTER, CHALLENGER, STRANGER):
        token.mint(holder, 10_000)
        token.approve(bonds, NEVER, sender=holder)
    return token


def now() -> int:
    return int(boa.env.evm.patch.timestamp)


def post(bonds: Any, coin: Any, /, **changes: Any) -> int:
    terms = {
        "token": coin,
        "amount": 1000,
        "judge": JUDGE,
        "subject": PROMISE,
        "ends_at": now() + 10 * HOUR,
        "notice_s": 0,
        "counter_stake": 50,
        "ruling_s": 2 * HOUR,
    } | changes
    return int(bonds.post(*terms.values(), sender=POSTER))


def challenge(bonds: Any, bond: int, by: str = CHALLENGER) -> int:
    return int(bonds.challenge(bond, EVIDENCE, sender=by))


# --- posting and withdrawing -----------------------------------------------------------------------------


def test_a_bond_holds_the_stake_and_names_its_judge(bonds, token):
    bond = post(bonds, token)
    (event,) = events(bonds, "Posted")
    assert (event["bond_id"], event["poster"], event["judge"], event["amount"]) == (bond, POSTER, JUDGE, 1000)
    assert tuple(bonds.bond_of(bond)) == (
        POSTER,
        JUDGE,
        token.address,
        1000,
        PROMISE,
        50,
        now() + 10 * HOUR,
        0,
        2 * HOUR,
        0,
    )
    assert token.balanceOf(bonds) == 1000
    assert bonds.stands(bond)


def test_the_stake_comes_back_when_the_time_is_over(bonds, token):
    bond = post(bonds, token)
    with boa.reverts("bond still stands"):
        bonds.withdraw(bond, sender=POSTER)
    boa.env.time_travel(seconds=10 * HOUR)
    with boa.reverts("only the bonded party"):
        bonds.withdraw(bond, sender=JUDGE)
    bonds.withdraw(bond, sender=POSTER)
    assert bonds.credit(token, POSTER) == 1000
    with boa.reverts("nothing left"):
        bonds.withdraw(bond, sender=POSTER)
    bonds.collect(token, POSTER, sender=STRANGER)
    assert events(bonds, "Collected") == [{"token": token.address, "account": POSTER, "amount": 1000}]
    assert token.balanceOf(POSTER) == 10_000
    with boa.reverts("nothing to collect"):
        bonds.collect(token, POSTER)


def test_an_open_ended_bond_ends_after_its_notice(bonds, token):
    bond = post(bonds, token, ends_at=0, notice_s=HOUR)
    boa.env.time_travel(seconds=1000 * HOUR)
    with boa.reverts("bond still stands"):
        bonds.withdraw(bond, sender=POSTER)
    with boa.reverts("only the bonded party"):
        bonds.announce_end(bond, sender=STRANGER)
    bonds.announce_end(bond, sender=POSTER)
    assert events(bonds, "Ending") == [{"bond_id": bond, "ends_at": now() + HOUR}]
    with boa.reverts("the end is fixed"):
        bonds.announce_end(bond, sender=POSTER)
    challenge(bonds, bond)
    boa.env.time_travel(seconds=HOUR)
    with boa.reverts("bond does not stand"):
        challenge(bonds, bond)
    bonds.dismiss(1, sender=JUDGE)
    bonds.withdraw(bond, sender=POSTER)


def test_a_notice_beyond_the_end_of_time_does_not_overflow(bonds, token):
    bond = post(bonds, token, ends_at=0, notice_s=2**64 - 1, ruling_s=2**64 - 1)
    bonds.announce_end(bond, sender=POSTER)
    assert bonds.bond_of(bond)[6] == 2**64 - 1
    assert bonds.challenge_of(challenge(bonds, bond))[4] == 2**64 - 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token": NOBODY}, "token missing"),
        ({"amount": 0}, "amount missing"),
        ({"judge": NOBODY}, "judge missing"),
        ({"ruling_s": 0}, "time to rule missing"),
        ({"ends_at": 0}, "end or notice missing"),
        ({"notice_s": 1}, "either an end or a notice"),
        ({"ends_at": 1}, "end already past"),
    ],
)
def test_a_bond_that_makes_no_sense_is_refused(bonds, token, changes, reason):
    with boa.reverts(reason):
        post(bonds, token, **changes)


def test_anyone_may_add_to_a_bond_that_stands(bonds, token):
    bond = post(bonds, token)
    bonds.top_up(bond, 500, sender=STRANGER)
    assert events(bonds, "ToppedUp") == [{"bond_id": bond, "amount": 500}]
    assert bonds.bond_of(bond)[3] == 1500
    with boa.reverts("amount missing"):
        bonds.top_up(bond, 0, sender=STRANGER)
    boa.env.time_travel(seconds=10 * HOUR)
    with boa.reverts("bond does not stand"):
        bonds.top_up(bond, 1, sender=STRANGER)


def test_tokens_that_take_fees_or_refuse_are_refused(bonds, token):
    bond = post(bonds, token)
    token.set_fee(1_00)
    for act in (lambda: post(bonds, token), lambda: bonds.top_up(bond, 100, sender=STRANGER)):
        with boa.reverts("token did not deliver exactly"):
            act()
    token.set_fee(10_000)
    with boa.reverts("token did not deliver exactly"):
        challenge(bonds, bond)
    token.set_refusing(True)
    with boa.reverts("transfer refused"):
        post(bonds, token)


def test_what_nobody_posted_is_not_there(bonds, token):
    for read, what in ((bonds.bond_of, "bond"), (bonds.challenge_of, "challenge")):
        for unknown in (0, 1):
            with boa.reverts(f"no such {what}"):
                read(unknown)
    with boa.reverts("bond does not stand"):
        challenge(bonds, 7)
    with boa.reverts("only the bonded party"):
        bonds.withdraw(7, sender=STRANGER)
    with boa.reverts("only the judge"):
        bonds.slash(7, [], sender=STRANGER)
    for act in (lambda: bonds.dismiss(7), lambda: bonds.uphold(7, 0, []), lambda: bonds.lapse(7)):
        with boa.reverts("challenge not open"):
            act()


# --- challenges ------------------------------------------------------------------------------------------


def test_an_upheld_challenge_pays_challenger_and_victims_and_leaves_the_rest(bonds, token):
    bond = post(bonds, token)
    dispute = challenge(bonds, bond)
    assert events(bonds, "Challenged") == [
        {
            "challenge_id": dispute,
            "bond_id": bond,
            "challenger": CHALLENGER,
            "evidence": EVIDENCE,
            "deadline": now() + 2 * HOUR,
        }
    ]
    bonds.uphold(dispute, 100, [(VICTIM, 300), (STRANGER, 200)], sender=JUDGE)
    assert events(bonds, "Upheld") == [{"challenge_id": dispute, "bounty": 100, "slashed": 600}]
    assert [event["amount"] for event in events(bonds, "Slashed")] == [300, 200, 100]
    assert bonds.credit(token, CHALLENGER) == 50 + 100
    assert bonds.credit(token, VICTIM) == 300
    assert bonds.credit(token, STRANGER) == 200
    assert bonds.bond_of(bond)[3] == 400
    assert not bonds.can_rule(dispute)


def test_a_dismissed_challenge_costs_the_challenger_the_counter_stake(bonds, token):
    bond = post(bonds, token)
    bonds.dismiss(challenge(bonds, bond), sender=JUDGE)
    assert bonds.credit(token, POSTER) == 50
    assert bonds.credit(token, CHALLENGER) == 0
    assert bonds.bond_of(bond)[3] == 1000


def test_an_open_challenge_holds_the_stake_until_it_is_decided(bonds, token):
    bond = post(bonds, token)
    boa.env.time_travel(seconds=10 * HOUR - 1)
    dispute = challenge(bonds, bond)
    boa.env.time_travel(seconds=HOUR)
    with boa.reverts("challenge still open"):
        bonds.withdraw(bond, sender=POSTER)
    bonds.uphold(dispute, 1000, [], sender=JUDGE)
    with boa.reverts("nothing left"):
        bonds.withdraw(bond, sender=POSTER)


def test_a_judge_that_never_rules_locks_nothing_for_ever(bonds, token):
    bond = post(bonds, token)
    boa.env.time_travel(seconds=10 * HOUR - 1)
    dispute = challenge(bonds, bond)
    assert bonds.can_rule(dispute)
    boa.env.time_travel(seconds=2 * HOUR)
    with boa.reverts("judge still has time"):
        bonds.lapse(dispute)
    boa.env.time_travel(seconds=1)
    assert not bonds.can_rule(dispute)
    for act in (
        lambda: bonds.uphold(dispute, 1, [], sender=JUDGE),
        lambda: bonds.dismiss(dispute, sender=JUDGE),
    ):
        with boa.reverts("too late to rule"):
            act()
    bonds.lapse(dispute, sender=STRANGER)
    assert bonds.credit(token, CHALLENGER) == 50
    bonds.withdraw(bond, sender=POSTER)
    assert bonds.credit(token, POSTER) == 1000
    with boa.reverts("challenge not open"):
        bonds.lapse(dispute)


def test_only_the_judge_named_moves_the_stake(bonds, token):
    bond = post(bonds, token)
    dispute = challenge(bonds, bond)
    for other in (POSTER, CHALLENGER, STRANGER):
        for act in (
            lambda other=other: bonds.slash(bond, [(other, 1)], sender=other),
            lambda other=other: bonds.uphold(dispute, 1, [], sender=other),
            lambda other=other: bonds.dismiss(dispute, sender=other),
        ):
            with boa.reverts("only the judge"):
                act()


def test_a_judge_cannot_take_more_than_is_staked_nor_rule_twice(bonds, token):
    bond, other = post(bonds, token), post(bonds, token)
    dispute = challenge(bonds, bond)
    for bounty, parts in ((1001, []), (1, [(VICTIM, 1000)]), (0, [(VICTIM, 1000), (VICTIM, 1)])):
        with boa.reverts("more than is staked"):
            bonds.uphold(dispute, bounty, parts, sender=JUDGE)
    with boa.reverts("more than is staked"):
        bonds.slash(bond, [(VICTIM, NEVER)], sender=JUDGE)
    with boa.reverts("beneficiary missing"):
        bonds.slash(bond, [(NOBODY, 1)], sender=JUDGE)
    bonds.dismiss(dispute, sender=JUDGE)
    for act in (
        lambda: bonds.uphold(dispute, 1, [], sender=JUDGE),
        lambda: bonds.dismiss(dispute, sender=JUDGE),
    ):
        with boa.reverts("challenge not open"):
            act()
    assert bonds.bond_of(other)[3] == 1000


def test_the_judge_may_slash_without_a_challenge(bonds, token):
    bond = post(bonds, token)
    bonds.slash(bond, [(VICTIM, 10)], sender=JUDGE)
    assert bonds.credit(token, VICTIM) == 10


def test_the_bonded_partys_own_challenge_does_not_shut_out_anothers(bonds, token):
    bond = post(bonds, token)
    pretence = challenge(bonds, bond, POSTER)
    real = challenge(bonds, bond)
    bonds.dismiss(pretence, sender=JUDGE)
    bonds.uphold(real, 0, [(VICTIM, 1000)], sender=JUDGE)
    assert bonds.credit(token, VICTIM) == 1000


def test_a_blacklisted_beneficiary_does_not_stop_a_ruling(bonds, token):
    bond = post(bonds, token)
    dispute = challenge(bonds, bond)
    token.set_block(VICTIM, True)
    bonds.uphold(dispute, 10, [(VICTIM, 20)], sender=JUDGE)
    bonds.collect(token, CHALLENGER)
    with boa.reverts("blacklisted"):
        bonds.collect(token, VICTIM)


def test_a_token_that_calls_back_cannot_collect_twice(bonds, token):
    bond = post(bonds, token)
    bonds.slash(bond, [(VICTIM, 400)], sender=JUDGE)
    token.set_hook(bonds.address, bonds.collect.prepare_calldata(token.address, VICTIM))
    with boa.reverts():
        bonds.collect(token, VICTIM)
    token.set_hook(NOBODY, b"")
    bonds.collect(token, VICTIM)
    assert token.balanceOf(VICTIM) == 400
    assert token.balanceOf(bonds) == 600


def test_how_a_challenge_ended_can_be_read_by_other_contracts(bonds, token):
    bond = post(bonds, token)
    dismissed, upheld, lapsed = (challenge(bonds, bond) for _ in range(3))
    assert bonds.outcome(dismissed) == 0
    bonds.dismiss(dismissed, sender=JUDGE)
    bonds.uphold(upheld, 0, [], sender=JUDGE)
    boa.env.time_travel(seconds=2 * HOUR + 1)
    bonds.lapse(lapsed)
    assert bonds.outcome(dismissed) == bonds.DISMISSED()
    assert bonds.outcome(upheld) == bonds.UPHELD()
    assert bonds.outcome(lapsed) == bonds.LAPSED()


# --- commitments -----------------------------------------------------------------------------------------

KEY = keccak256(b"round 1")
VALUE = (42).to_bytes(32, "big")
SALT = keccak256(b"my salt")


def open_topic(bonds: Any) -> bytes:
    return bytes(bonds.open_topic(KEY, now() + HOUR, now() + 2 * HOUR, sender=STRANGER))


def sealed(bonds: Any, topic: bytes, who: str, value: bytes = VALUE, **changes: Any) -> bytes:
    where = {"chain_id": boa.env.evm.patch.chain_id, "contract": bonds.address} | changes
    return commitment_digest(where["chain_id"], where["contract"], topic, who, value=value, salt=SALT)


def test_a_value_is_sealed_and_then_revealed(bonds):
    topic = open_topic(bonds)
    assert topic == topic_id(STRANGER, KEY)
    assert tuple(bonds.topic_of(topic)) == (now() + HOUR, now() + 2 * HOUR)
    assert sealed(bonds, topic, POSTER) == bonds.commitment(topic, POSTER, VALUE, SALT)
    bonds.commit(topic, sealed(bonds, topic, POSTER, b"\x00" * 32), sender=POSTER)
    bonds.commit(topic, sealed(bonds, topic, POSTER), sender=POSTER)
    with boa.reverts("too early to reveal"):
        bonds.reveal(topic, VALUE, SALT, sender=POSTER)
    boa.env.time_travel(seconds=HOUR)
    with boa.reverts("too late to commit"):
        bonds.commit(topic, SALT, sender=POSTER)
    with boa.reverts("not what was committed"):
        bonds.reveal(topic, b"\x00" * 32, SALT, sender=POSTER)
    with boa.reverts("nothing committed"):
        bonds.reveal(topic, VALUE, SALT, sender=JUDGE)
    bonds.reveal(topic, VALUE, SALT, sender=POSTER)
    assert events(bonds, "Revealed") == [{"topic": topic, "account": POSTER, "value": VALUE}]
    assert bonds.revealed(topic, POSTER) == (True, VALUE)
    assert bonds.revealed(topic, JUDGE) == (False, b"\x00" * 32)
    with boa.reverts("already revealed"):
        bonds.reveal(topic, VALUE, SALT, sender=POSTER)


def test_another_accounts_chains_or_contracts_commitment_is_worth_nothing(bonds):
    topic = open_topic(bonds)
    copies = {
        POSTER: sealed(bonds, topic, JUDGE),
        JUDGE: sealed(bonds, topic, JUDGE, chain_id=boa.env.evm.patch.chain_id + 1),
        CHALLENGER: sealed(bonds, topic, CHALLENGER, contract=STRANGER),
        VICTIM: sealed(bonds, KEY, VICTIM),
    }
    for who, copy in copies.items():
        bonds.commit(topic, copy, sender=who)
    boa.env.time_travel(seconds=HOUR)
    for who in copies:
        with boa.reverts("not what was committed"):
            bonds.reveal(topic, VALUE, SALT, sender=who)


def test_topics_have_their_times_and_belong_to_their_openers(bonds):
    with boa.reverts("no time to commit"):
        bonds.open_topic(KEY, now(), now() + 1)
    with boa.reverts("no time to reveal"):
        bonds.open_topic(KEY, now() + 1, now() + 1)
    topic = open_topic(bonds)
    with boa.reverts("topic already open"):
        open_topic(bonds)
    assert bytes(bonds.open_topic(KEY, now() + 1, now() + 2, sender=JUDGE)) != topic
    with boa.reverts("no such topic"):
        bonds.commit(KEY, SALT)
    with boa.reverts("empty commitment"):
        bonds.commit(topic, b"\x00" * 32)
    bonds.commit(topic, SALT)
    boa.env.time_travel(seconds=2 * HOUR)
    for closed in (topic, KEY):
        with boa.reverts("too late to reveal"):
            bonds.reveal(closed, VALUE, SALT)


# --- a life of its own -----------------------------------------------------------------------------------

PEOPLE = (POSTER, CHALLENGER, STRANGER, JUDGE, VICTIM)


class BondsMachine(RuleBasedStateMachine):
    """Bonds in two tokens, challenges, rulings and time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = fresh_chain()
        self.anchor.__enter__()
        self.bonds = deploy("works", "Bonds")
        self.tokens = [funded(self.bonds), funded(self.bonds)]
        self.staked: dict[int, int] = {}
        self.token_of: dict[int, int] = {}
        self.open: dict[int, tuple[int, int, int]] = {}  # challenge: bond, counter-stake, deadline

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    @rule(
        at=st.integers(0, 1), amount=st.integers(1, 300), counter=st.integers(0, 20), hours=st.integers(0, 4)
    )
    def post(self, at, amount, counter, hours) -> None:
        ending = {"ends_at": now() + hours * HOUR} if hours else {"ends_at": 0, "notice_s": HOUR}
        bond = post(self.bonds, self.tokens[at], amount=amount, counter_stake=counter, **ending)
        self.staked[bond], self.token_of[bond] = amount, at

    @rule(data=st.data())
    def challenge(self, data) -> None:
        standing = [bond for bond in self.staked if self.bonds.stands(bond)]
        if standing:
            bond = data.draw(st.sampled_from(standing))
            dispute = challenge(self.bonds, bond, data.draw(st.sampled_from([CHALLENGER, STRANGER, POSTER])))
            _, _, counter, _, deadline, _ = self.bonds.challenge_of(dispute)
            self.open[dispute] = (bond, counter, deadline)

    @rule(data=st.data(), sender=st.sampled_from(PEOPLE), upheld=st.booleans())
    def decide(self, data, sender, upheld) -> None:
        if not self.open:
            return
        dispute = data.draw(st.sampled_from(sorted(self.open)))
        bond, _, deadline = self.open[dispute]
        bounty = data.draw(st.integers(0, self.staked[bond]))
        part = data.draw(st.integers(0, self.staked[bond] - bounty))
        allowed = sender == JUDGE and now() <= deadline
        try:
            if upheld:
                self.bonds.uphold(dispute, bounty, [(VICTIM, part)], sender=sender)
            else:
                self.bonds.dismiss(dispute, sender=sender)
        except boa.BoaError:
            assert not allowed
        else:
            assert allowed
            del self.open[dispute]
            self.staked[bond] -= bounty + part if upheld else 0

    @rule(data=st.data(), sender=st.sampled_from(PEOPLE))
    def slash(self, data, sender) -> None:
        if not self.staked:
            return
        bond = data.draw(st.sampled_from(sorted(self.staked)))
        part = data.draw(st.integers(0, self.staked[bond]))
        try:
            self.bonds.slash(bond, [(VICTIM, part)], sender=sender)
        except boa.BoaError:
            assert sender != JUDGE
        else:
            assert sender == JUDGE
            self.staked[bond] -= part

    @rule(data=st.data())
    def lapse(self, data) -> None:
        late = [dispute for dispute, (_, _, deadline) in self.open.items() if now() > deadline]
        if late:
            dispute = data.draw(st.sampled_from(late))
            self.bonds.lapse(dispute)
            del self.open[dispute]

    @rule(data=st.data())
    def end(self, data) -> None:
        endless = [bond for bond in self.staked if self.bonds.bond_of(bond)[6] == 0]
        if endless:
            self.bonds.announce_end(data.draw(st.sampled_from(endless)), sender=POSTER)

    @rule()
    def withdraw_what_can_be_withdrawn(self) -> None:
        for bond, amount in self.staked.items():
            found = self.bonds.bond_of(bond)
            held = any(of == bond for of, _, _ in self.open.values())
            if amount and 0 < found[6] <= now() and not held:
                self.bonds.withdraw(bond, sender=POSTER)
                self.staked[bond] = 0

    @rule(hours=st.integers(1, 3))
    def wait(self, hours) -> None:
        boa.env.time_travel(seconds=hours * HOUR)

    @rule(who=st.sampled_from(PEOPLE), at=st.integers(0, 1))
    def collect(self, who, at) -> None:
        if self.bonds.credit(self.tokens[at], who):
            self.bonds.collect(self.tokens[at], who)

    @invariant()
    def only_the_named_judge_or_the_owner_after_its_end_moved_a_bond(self) -> None:
        for bond, amount in self.staked.items():
            assert self.bonds.bond_of(bond)[3] == amount

    @invariant()
    def stakes_are_conserved_per_token(self) -> None:
        for at, token in enumerate(self.tokens):
            staked = sum(amount for bond, amount in self.staked.items() if self.token_of[bond] == at)
            countered = sum(stake for bond, stake, _ in self.open.values() if self.token_of[bond] == at)
            credited = sum(self.bonds.credit(token, who) for who in PEOPLE)
            assert token.balanceOf(self.bonds) == staked + countered + credited
            assert sum(token.balanceOf(who) for who in (*PEOPLE, self.bonds.address)) == 30_000

    @invariant()
    def every_challenge_that_is_open_is_counted(self) -> None:
        for bond in self.staked:
            assert self.bonds.bond_of(bond)[9] == sum(of == bond for of, _, _ in self.open.values())


BondsMachine.TestCase.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)
TestBonds = BondsMachine.TestCase
