# SPDX-License-Identifier: Apache-2.0
"""Known answers: planted wrong answers, paid to who finds them, paid for by who misses them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from koinon.chain import codec
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.services.verification.record import AnswerTree, SignedAnswer, verification_domain
from tests.contracts_support import NOBODY, account, deploy, deploy_mock, fresh_chain, key
from tests.services.contracts.verification_support import (
    NEVER,
    SALT,
    SELLER,
    SINK,
    STAKE,
    WINDOW_S,
    Town,
    now,
    wait,
)

SPONSOR = account("sponsor of plants")
AUDITORS = [account(f"auditor {number}") for number in range(2)]
STRANGER = account("stranger")
PAYER = key("fresh payer")
PENALTY, REWARD, FINDERS = 40, 25, 2
QUARTER = WINDOW_S // 4
SECRET = keccak256(b"secret")
PLANT = TypedStruct("Plant(uint256 plantId,address sponsor)")
COUNT, PLANTED = 4, 2


class Market(Town):
    """The town with known answers: a batch of four, of which number 2 is going to be a plant."""

    def __init__(self) -> None:
        super().__init__()
        self.known = deploy(
            "services",
            "KnownAnswers",
            self.verification.address,
            self.bonds.address,
            self.token.address,
            PENALTY,
        )
        for holder in (SPONSOR, *AUDITORS):
            self.token.mint(holder, 10_000)
            for spender in (self.bonds, self.known):
                self.token.approve(spender, NEVER, sender=holder)
        self.bond_id = self.promised()
        payers = [account(f"payer {number}") for number in range(COUNT)]
        payers[PLANTED] = PAYER.address
        self.answers = [
            SignedAnswer(self.work_id, self.bond_id, payer, SALT, SALT, SALT, number + 1, 1_000)
            for number, payer in enumerate(payers)
        ]
        domain = verification_domain(self.chain_id, self.verification.address)
        self.tree = AnswerTree([answer.digest(domain) for answer in self.answers])
        self.audit_bonds = {auditor: self.audit_bond(auditor) for auditor in AUDITORS}

    @property
    def chain_id(self) -> int:
        return int(boa.env.evm.patch.chain_id)

    def audit_bond(self, auditor: str, **changes: Any) -> int:
        fields = {
            "token": self.token.address,
            "amount": 100,
            "judge": self.known.address,
            "subject": self.known.subject(),
            "ends_at": 0,
            "notice_s": 2 * WINDOW_S,
            "counter_stake": 0,
            "ruling_s": 100,
        } | changes
        return int(self.bonds.post(*fields.values(), sender=auditor))

    def seal(self, payer: str = PAYER.address, sponsor: str = SPONSOR) -> bytes:
        kinds = ("uint256", "address", "address", "address", "bytes32")
        return keccak256(codec.encode(kinds, (self.chain_id, self.known.address, sponsor, payer, SALT)))

    def planted(self, until_s: int = 2 * WINDOW_S) -> int:
        return int(self.known.plant(self.seal(), REWARD, FINDERS, now() + until_s, sender=SPONSOR))

    def batch(self) -> bytes:
        return self.submitted(self.bond_id, self.tree.root, COUNT)

    def drawing(self, request: bytes, number: int) -> tuple[bytes, int]:
        """A secret whose first draw is this answer."""
        for attempt in range(1_000):
            secret = keccak256(attempt.to_bytes(4, "big"))
            if (
                int.from_bytes(
                    keccak256(codec.encode(("bytes32", "bytes32", "uint256"), (secret, request, 0))), "big"
                )
                % COUNT
                == number
            ):
                return secret, 0
        raise AssertionError("no such secret")

    def attested(
        self, request: bytes, auditor: str, found: list[int], secret: bytes = SECRET, draws: int = 1
    ) -> None:
        seal = self.known.seal_of(request, auditor, secret, draws, found)
        self.known.attest(request, seal, self.audit_bonds[auditor], SPONSOR, sender=auditor)

    def consent(self, plant: int, sponsor: str = SPONSOR, signer: Any = PAYER) -> bytes:
        domain = Domain("Koinon Known Answers", "1", self.chain_id, self.known.address)
        return bytes(signer.sign(digest(domain, PLANT.hash(plant, sponsor))))

    def exposing(self, plant: int, request: bytes, number: int = PLANTED, **changes: Any) -> tuple[Any, ...]:
        fields = {
            "plant": plant,
            "request": request,
            "number": number,
            "answer": self.answers[number].values,
            "proof": self.tree.proof(number),
            "salt": SALT,
            "signature": self.consent(plant),
        }
        return tuple((fields | changes).values())


@pytest.fixture(scope="module")
def fresh_market():
    with fresh_chain():
        yield Market()


@pytest.fixture
def market(fresh_market):
    with fresh_chain():
        yield fresh_market


@pytest.mark.parametrize("place", [0, 1, 2])
def test_all_contracts_are_needed(market, place):
    arguments = [market.verification.address, market.bonds.address, market.token.address]
    arguments[place] = NOBODY
    with boa.reverts("contract missing"):
        deploy("services", "KnownAnswers", *arguments, PENALTY)


@pytest.mark.parametrize("penalty", [0, 2**96])
def test_penalties_that_are_none_are_refused(market, penalty):
    arguments = (market.verification.address, market.bonds.address, market.token.address)
    with boa.reverts("penalty out of range"):
        deploy("services", "KnownAnswers", *arguments, penalty)


def test_who_finds_a_plant_is_paid_and_who_missed_it_pays(market):
    plant = market.planted()
    wait(1)
    request = market.batch()
    finder, sleeper = AUDITORS
    market.attested(request, finder, [PLANTED])
    secret, draw = market.drawing(request, PLANTED)
    market.attested(request, sleeper, [], secret)
    wait(QUARTER)
    market.known.disclose(request, SECRET, 1, [PLANTED], sender=finder)
    market.known.disclose(request, secret, 1, [], sender=sleeper)
    wait(QUARTER)
    market.known.expose(*market.exposing(plant, request), sender=SPONSOR)
    assert market.known.plant_at(request, PLANTED) == plant
    before = market.token.balanceOf(finder)
    market.known.reward(plant, finder, sender=STRANGER)
    assert market.token.balanceOf(finder) == before + REWARD
    market.known.fine(request, sleeper, plant, draw, sender=STRANGER)
    assert market.bonds.bond_of(market.audit_bonds[sleeper])[3] == 100 - PENALTY
    assert market.bonds.credit(market.token, SINK) == PENALTY
    for call, reason in (
        (lambda: market.known.reward(plant, finder), "already paid"),
        (lambda: market.known.reward(plant, sleeper), "not found"),
        (lambda: market.known.reward(plant, STRANGER), "attested for another"),
        (lambda: market.known.fine(request, sleeper, plant, draw), "already fined"),
        (lambda: market.known.fine(request, finder, plant, draw), "found"),
        (lambda: market.known.fine(request, STRANGER, plant, draw), "nothing attested"),
        (lambda: market.known.reclaim(plant), "plant is not over"),
    ):
        with boa.reverts(reason):
            call()
    wait(2 * WINDOW_S)
    with boa.reverts("plant is over"):
        market.known.reward(plant, finder)
    before = market.token.balanceOf(SPONSOR)
    market.known.reclaim(plant, sender=STRANGER)
    assert market.token.balanceOf(SPONSOR) == before + REWARD
    with boa.reverts("nothing left"):
        market.known.reclaim(plant)
    with boa.reverts("no such plant"):
        market.known.reclaim(99)


def test_only_so_many_finders_are_paid_as_money_was_put_in_for(market):
    plant = int(market.known.plant(market.seal(), REWARD, 1, now() + 2 * WINDOW_S, sender=SPONSOR))
    wait(1)
    request = market.batch()
    for auditor in AUDITORS:
        market.attested(request, auditor, [PLANTED])
    wait(QUARTER)
    for auditor in AUDITORS:
        market.known.disclose(request, SECRET, 1, [PLANTED], sender=auditor)
    wait(QUARTER)
    with boa.reverts("not exposed"):
        market.known.reward(plant, AUDITORS[0])
    market.known.expose(*market.exposing(plant, request), sender=SPONSOR)
    market.known.reward(plant, AUDITORS[1])
    with boa.reverts("all finders are paid"):
        market.known.reward(plant, AUDITORS[0])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((bytes(32), REWARD, FINDERS, 10), "seal missing"),
        ((SALT, 0, FINDERS, 10), "reward out of range"),
        ((SALT, PENALTY + 1, FINDERS, 10), "reward out of range"),
        ((SALT, REWARD, 0, 10), "finders out of range"),
        ((SALT, REWARD, 17, 10), "finders out of range"),
        ((SALT, REWARD, FINDERS, 0), "already over"),
    ],
)
def test_bad_plants_are_refused(market, arguments, reason):
    *rest, lasts = arguments
    with boa.reverts(reason):
        market.known.plant(*rest, now() + lasts, sender=SPONSOR)


def test_what_is_exposed_is_what_was_sealed_paid_signed_and_in_the_batch(market):
    plant, short = market.planted(), market.planted(WINDOW_S // 2)
    wait(1)
    request = market.batch()
    late = market.planted()
    with boa.reverts("too early"):
        market.known.expose(*market.exposing(plant, request), sender=SPONSOR)
    wait(2 * QUARTER)
    other = market.answers[1].values
    for changed, sender, reason in (
        (market.exposing(plant, request), STRANGER, "only its sponsor"),
        (market.exposing(short, request), SPONSOR, "no time to pay finders"),
        (market.exposing(late, request), SPONSOR, "planted after the batch"),
        (market.exposing(plant, request, answer=other), SPONSOR, "another seal"),
        (market.exposing(plant, request, salt=SECRET), SPONSOR, "another seal"),
        (market.exposing(plant, request, proof=[]), SPONSOR, "not in the batch"),
        (market.exposing(plant, request, number=PLANTED, signature=b""), SPONSOR, "who paid did not sign"),
        (market.exposing(plant, request, signature=market.consent(late)), SPONSOR, "who paid did not sign"),
        (
            market.exposing(plant, request, signature=market.consent(plant, signer=key("seller of answers"))),
            SPONSOR,
            "who paid did not sign",
        ),
    ):
        with boa.reverts(reason):
            market.known.expose(*changed, sender=sender)
    wrong_number = (plant, request, COUNT, *market.exposing(plant, request)[3:])
    with boa.reverts("no such answer"):
        market.known.expose(*wrong_number, sender=SPONSOR)
    market.known.expose(*market.exposing(plant, request), sender=SPONSOR)
    with boa.reverts("already exposed"):
        market.known.expose(*market.exposing(plant, request), sender=SPONSOR)


def test_two_plants_never_share_a_place_and_none_is_exposed_late(market):
    first, second, third = (market.planted() for _ in range(3))
    wait(1)
    request = market.batch()
    wait(2 * QUARTER)
    market.known.expose(*market.exposing(first, request), sender=SPONSOR)
    with boa.reverts("another plant is there"):
        market.known.expose(*market.exposing(second, request), sender=SPONSOR)
    wait(QUARTER)
    with boa.reverts("too late"):
        market.known.expose(*market.exposing(third, request), sender=SPONSOR)


def test_attestations_need_a_bond_that_can_pay(market):
    request = market.batch()
    auditor, other = AUDITORS
    wrong_token = deploy_mock("StakeToken")
    wrong_token.mint(auditor, 1_000)
    wrong_token.approve(market.bonds, NEVER, sender=auditor)
    for bond, reason in (
        (market.audit_bonds[other], "another's bond"),
        (market.audit_bond(auditor, judge=STRANGER), "bond on something else"),
        (market.audit_bond(auditor, subject=SALT), "bond on something else"),
        (market.audit_bond(auditor, token=wrong_token.address), "another token"),
        (market.audit_bond(auditor, amount=PENALTY - 1), "stake too small"),
        (market.audit_bond(auditor, notice_s=5 * QUARTER - 10), "bond ends before fines do"),
        (
            market.audit_bond(auditor, notice_s=0, ends_at=now() + 5 * QUARTER - 10),
            "bond ends before fines do",
        ),
    ):
        with boa.reverts(reason):
            market.known.attest(request, SALT, bond, SPONSOR, sender=auditor)
    with boa.reverts("seal missing"):
        market.known.attest(request, bytes(32), market.audit_bonds[auditor], SPONSOR, sender=auditor)
    market.attested(request, auditor, [])
    with boa.reverts("already attested"):
        market.attested(request, auditor, [])
    wait(QUARTER)
    with boa.reverts("too late"):
        market.attested(request, other, [])


def test_only_what_was_attested_is_disclosed_in_its_time(market):
    request = market.batch()
    auditor, other = AUDITORS
    market.attested(request, auditor, [1, 2])
    with boa.reverts("too early"):
        market.known.disclose(request, SECRET, 1, [1, 2], sender=auditor)
    wait(QUARTER)
    with boa.reverts("nothing attested"):
        market.known.disclose(request, SECRET, 1, [1, 2], sender=other)
    for changed in ((SALT, 1, [1, 2]), (SECRET, 2, [1, 2]), (SECRET, 1, [1])):
        with boa.reverts("not what was attested"):
            market.known.disclose(request, *changed, sender=auditor)
    market.known.disclose(request, SECRET, 1, [1, 2], sender=auditor)
    with boa.reverts("already disclosed"):
        market.known.disclose(request, SECRET, 1, [1, 2], sender=auditor)
    assert market.known.attestation_of(request, auditor)[4] == 1


def test_who_attests_and_discloses_nothing_pays_and_nobody_pays_for_what_it_did_not_draw(market):
    plant = market.planted()
    wait(1)
    request = market.batch()
    silent, awake = AUDITORS
    market.attested(request, silent, [])
    secret, _ = market.drawing(request, PLANTED + 1)
    market.attested(request, awake, [], secret)
    wait(QUARTER)
    with boa.reverts("still time to disclose"):
        market.known.fine(request, silent, 0, 0)
    market.known.disclose(request, secret, 1, [], sender=awake)
    wait(QUARTER)
    market.known.fine(request, silent, 0, 0)
    with boa.reverts("no plant there"):
        market.known.fine(request, awake, plant, 0)
    market.known.expose(*market.exposing(plant, request), sender=SPONSOR)
    for draw in (0, 1):
        with boa.reverts("not in the sample"):
            market.known.fine(request, awake, plant, draw)
    wait(2 * QUARTER)
    with boa.reverts("window over"):
        market.known.fine(request, awake, plant, 0)


def test_an_auditor_answers_only_to_the_sponsor_it_named(market):
    plant = market.planted()
    wait(1)
    request = market.batch()
    auditor = AUDITORS[0]
    secret, draw = market.drawing(request, PLANTED)
    seal = market.known.seal_of(request, auditor, secret, 1, [])
    market.known.attest(request, seal, market.audit_bonds[auditor], STRANGER, sender=auditor)
    wait(QUARTER)
    market.known.disclose(request, secret, 1, [], sender=auditor)
    wait(QUARTER)
    market.known.expose(*market.exposing(plant, request), sender=SPONSOR)
    with boa.reverts("attested for another"):
        market.known.fine(request, auditor, plant, draw)


def test_numbers_and_times_can_be_read(market):
    assert market.known.penalty() == PENALTY
    request = market.batch()
    begun = now()
    assert market.known.times(request) == tuple(begun + QUARTER * part for part in (1, 2, 3, 4, 5))
    plant = market.planted()
    assert market.known.plant_of(plant)[:4] == (SPONSOR, market.seal(), REWARD, FINDERS)
    with boa.reverts("no such plant"):
        market.known.plant_of(99)


def another_batch(market: Market, salt: bytes) -> bytes:
    """The same answers in a batch of their own."""
    request = market.ask(market.verification.batch_request(market.bond_id, market.tree.root, COUNT, salt))
    market.verification.submit(market.bond_id, market.tree.root, COUNT, salt, sender=SELLER)
    return bytes(request)


def disclosed(market: Market, auditor: str, found: list[int]) -> bytes:
    """A batch in which an auditor named these, at the end of the second quarter."""
    wait(1)
    request = market.batch()
    market.attested(request, auditor, found, draws=0)
    wait(QUARTER)
    market.known.disclose(request, SECRET, 0, found, sender=auditor)
    wait(QUARTER)
    return request


def test_every_open_attestation_holds_a_penalty_of_its_own(market):
    """A stake of 100 is good for two at 40 each, and for a third once one is over."""
    auditor, bond = AUDITORS[0], market.audit_bonds[AUDITORS[0]]
    requests = [another_batch(market, keccak256(bytes([number]))) for number in range(3)]
    for request in requests[:2]:
        market.attested(request, auditor, [])
    assert market.known.held(bond) == 2 * PENALTY
    with boa.reverts("stake too small"):
        market.attested(requests[2], auditor, [])
    market.bonds.top_up(bond, 3 * PENALTY - 100, sender=auditor)
    market.attested(requests[2], auditor, [])
    wait(2 * QUARTER)
    for request in requests:
        market.known.fine(request, auditor, 0, 0)
    assert market.bonds.bond_of(bond)[3] == 0
    assert market.bonds.credit(market.token, SINK) == 3 * PENALTY
    assert market.known.held(bond) == 0


def test_what_an_attestation_holds_is_released_when_it_can_no_longer_be_fined(market):
    auditor, bond = AUDITORS[0], market.audit_bonds[AUDITORS[0]]
    request = disclosed(market, auditor, [])
    with boa.reverts("nothing attested"):
        market.known.release(request, STRANGER)
    wait(3 * QUARTER - 10)
    with boa.reverts("too early"):
        market.known.release(request, auditor, sender=auditor)
    wait(10)
    market.known.release(request, auditor, sender=STRANGER)
    assert market.known.held(bond) == 0
    assert market.known.attestation_of(request, auditor)[8]
    with boa.reverts("already released"):
        market.known.release(request, auditor)


def test_a_fined_attestation_releases_nothing(market):
    auditor, bond = AUDITORS[0], market.audit_bonds[AUDITORS[0]]
    request = disclosed(market, auditor, [1])
    wait(2 * QUARTER)
    market.known.fine_guess(request, auditor, 1)
    with boa.reverts("already fined"):
        market.known.fine_guess(request, auditor, 1)
    wait(QUARTER)
    with boa.reverts("already fined"):
        market.known.release(request, auditor)
    assert (market.known.held(bond), market.bonds.bond_of(bond)[3]) == (0, 100 - PENALTY)


def test_who_names_all_there_is_loses_at_least_what_it_wins(market):
    """It finds both plants, and is paid for one: more than the penalty nobody wins in a batch."""
    guesser, bond = AUDITORS[0], market.audit_bonds[AUDITORS[0]]
    plants = [market.planted(), market.planted()]
    request = disclosed(market, guesser, list(range(COUNT)))
    market.known.expose(*market.exposing(plants[0], request), sender=SPONSOR)
    before = market.token.balanceOf(guesser)
    market.known.reward(plants[0], guesser)
    with boa.reverts("too early"):
        market.known.fine_guess(request, guesser, 1)
    wait(2 * QUARTER)
    for number, reason in ((PLANTED, "a plant"), (COUNT, "not named")):
        with boa.reverts(reason):
            market.known.fine_guess(request, guesser, number)
    market.known.fine_guess(request, guesser, 1, sender=STRANGER)
    won, lost = market.token.balanceOf(guesser) - before, 100 - market.bonds.bond_of(bond)[3]
    assert (won, lost) == (REWARD, PENALTY)
    wait(QUARTER)
    with boa.reverts("already fined"):
        market.known.fine_guess(request, guesser, 1)


def test_an_attestation_wins_no_more_than_it_risks(market):
    """Two plants of 25 in one batch, of payers of their own: the second would make 50 of a penalty of 40."""
    finder, other = AUDITORS[0], key("another fresh payer")
    market.answers[1] = replace(market.answers[1], payer=other.address)
    domain = verification_domain(market.chain_id, market.verification.address)
    market.tree = AnswerTree([answer.digest(domain) for answer in market.answers])
    first = market.planted()
    seal = market.seal(other.address)
    second = int(market.known.plant(seal, REWARD, 1, now() + 2 * WINDOW_S, sender=SPONSOR))
    request = disclosed(market, finder, [1, PLANTED])
    market.known.expose(*market.exposing(first, request), sender=SPONSOR)
    consent = market.consent(second, signer=other)
    market.known.expose(*market.exposing(second, request, 1, signature=consent), sender=SPONSOR)
    market.known.reward(first, finder)
    assert market.known.attestation_of(request, finder)[9] == REWARD
    with boa.reverts("won as much as it risks"):
        market.known.reward(second, finder)


def test_guesses_are_fined_in_their_time_only(market):
    auditor = AUDITORS[0]
    request = disclosed(market, auditor, [1])
    wait(3 * QUARTER)
    with boa.reverts("too late"):
        market.known.fine_guess(request, auditor, 1)


def test_who_named_what_somebody_disputed_is_not_fined(market):
    auditor = AUDITORS[0]
    request = disclosed(market, auditor, [1])
    assert not market.verification.disputed(request)
    market.disputed(market.bond_id, request)
    assert market.verification.disputed(request)
    wait(2 * QUARTER)
    with boa.reverts("disputed"):
        market.known.fine_guess(request, auditor, 1)


def test_nobody_must_dispute_where_the_stake_is_lost_already(market):
    market.jurors_staked()
    earlier = another_batch(market, keccak256(b"an earlier batch"))
    challenge = market.disputed(market.bond_id, earlier)
    auditor = AUDITORS[0]
    request = disclosed(market, auditor, [1])
    wait(2 * QUARTER)
    with boa.env.anchor():
        market.known.fine_guess(request, auditor, 1)
    with boa.env.anchor():
        market.bonds.slash(market.bond_id, [(SINK, STAKE)], sender=market.committee.address)
        with boa.reverts("nothing to dispute for"):
            market.known.fine_guess(request, auditor, 1)
    assert challenge


class KnownAnswersMachine(RuleBasedStateMachine):
    """Plants come and go while batches are audited; what is in escrow is always what is still owed."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = fresh_chain()
        self.anchor.__enter__()
        self.market = Market()
        self.plants: dict[int, tuple[int, int]] = {}
        self.request: bytes | None = None
        self.attested: set[str] = set()
        self.exposed: set[int] = set()
        self.paid: set[tuple[int, str]] = set()
        self.fined: set[str] = set()
        self.released: set[str] = set()

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    @rule(until_s=st.sampled_from([QUARTER, WINDOW_S, 2 * WINDOW_S]))
    def plant(self, until_s) -> None:
        self.plants[self.market.planted(until_s)] = (FINDERS, now() + until_s)

    @rule()
    def submit(self) -> None:
        if self.request is None:
            wait(1)
            self.request = self.market.batch()

    @rule(auditor=st.sampled_from(AUDITORS), finds=st.booleans())
    def attest(self, auditor, finds) -> None:
        if self.request is None or auditor in self.attested:
            return
        if now() < self.market.known.times(self.request)[0]:
            self.market.attested(self.request, auditor, [PLANTED] if finds else [])
            self.attested.add(auditor)

    @rule(auditor=st.sampled_from(AUDITORS), finds=st.booleans())
    def disclose(self, auditor, finds) -> None:
        if self.request is not None:
            try:
                found = [PLANTED] if finds else []
                self.market.known.disclose(self.request, SECRET, 1, found, sender=auditor)
            except boa.BoaError:
                return

    @rule(data=st.data())
    def expose(self, data) -> None:
        if self.request is None or not self.plants:
            return
        plant = data.draw(st.sampled_from(sorted(self.plants)))
        try:
            self.market.known.expose(*self.market.exposing(plant, self.request), sender=SPONSOR)
        except boa.BoaError:
            return
        self.exposed.add(plant)

    @rule(data=st.data(), auditor=st.sampled_from(AUDITORS))
    def reward(self, data, auditor) -> None:
        if not self.plants:
            return
        plant = data.draw(st.sampled_from(sorted(self.plants)))
        try:
            self.market.known.reward(plant, auditor)
        except boa.BoaError:
            return
        assert plant in self.exposed
        assert (plant, auditor) not in self.paid
        self.paid.add((plant, auditor))
        finders, until = self.plants[plant]
        self.plants[plant] = (finders - 1, until)

    @rule(auditor=st.sampled_from(AUDITORS), number=st.sampled_from([1, PLANTED]))
    def fine_guess(self, auditor, number) -> None:
        if self.request is None:
            return
        try:
            self.market.known.fine_guess(self.request, auditor, number)
        except boa.BoaError:
            return
        assert not (self.exposed and number == PLANTED)
        self.fined.add(auditor)

    @rule(auditor=st.sampled_from(AUDITORS))
    def fine_silence(self, auditor) -> None:
        if self.request is None:
            return
        try:
            self.market.known.fine(self.request, auditor, 0, 0)
        except boa.BoaError:
            return
        assert auditor in self.attested
        self.fined.add(auditor)

    @rule(auditor=st.sampled_from(AUDITORS))
    def release(self, auditor) -> None:
        if self.request is None:
            return
        try:
            self.market.known.release(self.request, auditor)
        except boa.BoaError:
            return
        assert auditor in self.attested - self.fined - self.released
        assert now() >= self.market.known.times(self.request)[4]
        self.released.add(auditor)

    @rule(data=st.data())
    def reclaim(self, data) -> None:
        if not self.plants:
            return
        plant = data.draw(st.sampled_from(sorted(self.plants)))
        finders, until = self.plants[plant]
        try:
            self.market.known.reclaim(plant)
        except boa.BoaError:
            assert finders == 0 or now() < until
        else:
            self.plants[plant] = (0, until)

    @rule(parts=st.integers(1, 3))
    def wait(self, parts) -> None:
        wait(parts * QUARTER // 2)

    @invariant()
    def what_is_in_escrow_is_what_is_owed(self) -> None:
        owed = sum(REWARD * finders for finders, _ in self.plants.values())
        assert self.market.token.balanceOf(self.market.known.address) == owed

    @invariant()
    def each_open_attestation_holds_one_penalty_and_each_fine_took_one(self) -> None:
        for auditor in AUDITORS:
            bond = self.market.audit_bonds[auditor]
            open_ = auditor in self.attested - self.fined - self.released
            assert self.market.known.held(bond) == (PENALTY if open_ else 0)
            assert self.market.bonds.bond_of(bond)[3] == 100 - (PENALTY if auditor in self.fined else 0)

    @invariant()
    def no_attestation_wins_more_than_it_risks(self) -> None:
        for auditor in AUDITORS:
            assert REWARD * sum(who == auditor for _, who in self.paid) <= PENALTY

    @invariant()
    def no_place_holds_two_plants(self) -> None:
        assert len(self.exposed) <= 1


KnownAnswersMachine.TestCase.settings = settings(max_examples=5, stateful_step_count=25, deadline=None)
TestKnownAnswers = KnownAnswersMachine.TestCase
