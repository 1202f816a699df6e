# SPDX-License-Identifier: Apache-2.0
"""Verdicts that need no rerun: several providers that agree, and proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc.bn128.bn128_curve import G1, curve_order, multiply

from koinon.chain import codec
from koinon.chain.hashing import keccak256
from koinon.works.bonds import commitment_digest
from tests.contracts_support import NOBODY, account, compiled, deploy, deploy_mock, fresh_chain
from tests.services.contracts.verification_support import (
    NEVER,
    SALT,
    SELLER,
    SINK,
    STRANGER,
    URI,
    Town,
    now,
    wait,
)

PROVIDERS = [account(f"provider {number}") for number in range(3)]
PENALTY = 40
INPUT, RIGHT, WRONG = (keccak256(word) for word in (b"input", b"right", b"wrong"))
HOUR = 3_600


class Chorus(Town):
    """Three providers with a Work and a stake each."""

    def __init__(self) -> None:
        super().__init__()
        self.redundancy = deploy(
            "services",
            "Redundancy",
            self.bonds.address,
            self.validation.address,
            self.token.address,
            PENALTY,
        )
        self.works = [self.hall.publish(provider) for provider in PROVIDERS]
        for provider in PROVIDERS:
            self.token.mint(provider, 10_000)
            self.token.approve(self.bonds, NEVER, sender=provider)
        self.stakes = [self.staked(number) for number in range(3)]
        self.requests = 0

    def staked(self, number: int, amount: int = 100, **changes: Any) -> int:
        fields = {
            "token": self.token.address,
            "amount": amount,
            "judge": self.redundancy.address,
            "subject": self.redundancy.subject(self.works[number]),
            "ends_at": 0,
            "notice_s": 10 * HOUR,
            "counter_stake": 0,
            "ruling_s": HOUR,
        } | changes
        return int(self.bonds.post(*fields.values(), sender=PROVIDERS[number]))

    def asked(self, bonds: list[int] | None = None) -> int:
        chosen = sorted(self.stakes if bonds is None else bonds)
        return int(self.redundancy.ask(INPUT, chosen, now() + HOUR, now() + 2 * HOUR, sender=STRANGER))

    def filed(self, number: int, validator: str = "", work: int = 0) -> bytes:
        self.requests += 1
        request = keccak256(self.requests.to_bytes(4, "big") + b"request")
        self.validation.validationRequest(
            validator or self.redundancy.address,
            work or self.works[number],
            URI,
            request,
            sender=PROVIDERS[number],
        )
        return request

    def sealed_output(self, round_id: int, bond: int, number: int, output: bytes) -> bytes:
        topic = bytes(self.redundancy.topic(round_id, bond))
        chain_id = boa.env.evm.patch.chain_id
        return commitment_digest(
            chain_id, self.redundancy.address, topic, PROVIDERS[number], value=output, salt=SALT
        )

    def commit(self, round_id: int, number: int, output: bytes, bond: int = 0) -> bytes:
        bond, request = bond or self.stakes[number], self.filed(number)
        sealed = self.sealed_output(round_id, bond, number, output)
        self.redundancy.commit(round_id, bond, self.works[number], request, sealed, sender=PROVIDERS[number])
        return request

    def reveal(self, round_id: int, number: int, output: bytes, bond: int = 0) -> None:
        bond = bond or self.stakes[number]
        self.redundancy.reveal(round_id, bond, output, SALT, sender=PROVIDERS[number])


@pytest.fixture(scope="module")
def fresh_chorus():
    with fresh_chain():
        yield Chorus()


@pytest.fixture
def chorus(fresh_chorus):
    with fresh_chain():
        yield fresh_chorus


@pytest.mark.parametrize("place", [0, 1, 2])
def test_all_contracts_and_a_penalty_are_needed(chorus, place):
    arguments = [chorus.bonds.address, chorus.validation.address, chorus.token.address]
    for penalty in (0, 2**96):
        with boa.reverts("penalty out of range"):
            deploy("services", "Redundancy", *arguments, penalty)
    arguments[place] = NOBODY
    with boa.reverts("contract missing"):
        deploy("services", "Redundancy", *arguments, PENALTY)


def test_most_of_the_stake_is_right_and_who_disagrees_pays(chorus):
    round_id = chorus.asked()
    outputs = [RIGHT, RIGHT, WRONG]
    requests = [chorus.commit(round_id, number, output) for number, output in enumerate(outputs)]
    wait(HOUR)
    for number, output in enumerate(outputs):
        chorus.reveal(round_id, number, output)
    wait(HOUR)
    chorus.redundancy.conclude(round_id, sender=STRANGER)
    assert [chorus.status(request) for request in requests] == [
        (100, "redundancy"),
        (100, "redundancy"),
        (0, "redundancy"),
    ]
    assert [chorus.bonds.bond_of(bond)[3] for bond in chorus.stakes] == [100, 100, 60]
    assert chorus.bonds.credit(chorus.token, SINK) == PENALTY
    with boa.reverts("already concluded"):
        chorus.redundancy.conclude(round_id)


def test_who_commits_and_reveals_nothing_disagrees(chorus):
    round_id = chorus.asked()
    requests = [chorus.commit(round_id, number, RIGHT) for number in range(3)]
    wait(HOUR)
    chorus.reveal(round_id, 0, RIGHT)
    chorus.reveal(round_id, 1, RIGHT)
    wait(HOUR)
    chorus.redundancy.conclude(round_id)
    assert chorus.status(requests[2]) == (0, "redundancy")


@given(
    stakes=st.lists(st.integers(PENALTY, 200), min_size=3, max_size=3),
    votes=st.lists(st.integers(0, 2), min_size=3, max_size=3),
)
@settings(max_examples=8, deadline=None)
def test_only_more_than_half_of_the_stake_decides(stakes, votes):
    """Vote 0 reveals nothing, 1 and 2 are outputs."""
    with fresh_chain():
        chorus = Chorus()
        bonds = [chorus.staked(number, stake) for number, stake in enumerate(stakes)]
        round_id = chorus.asked(bonds)
        outputs = [WRONG if vote == 2 else RIGHT for vote in votes]
        requests = [chorus.commit(round_id, n, outputs[n], bonds[n]) for n in range(3)]
        wait(HOUR)
        for number, vote in enumerate(votes):
            if vote:
                chorus.reveal(round_id, number, outputs[number], bonds[number])
        wait(HOUR)
        chorus.redundancy.conclude(round_id)
        weight = {v: sum(s for s, vote in zip(stakes, votes, strict=True) if vote == v) for v in (1, 2)}
        winner = next((vote for vote in (1, 2) if 2 * weight[vote] > sum(stakes)), None)
        for number, vote in enumerate(votes):
            left = chorus.bonds.bond_of(bonds[number])[3]
            if winner is None:
                assert (chorus.status(requests[number]), left) == ((0, ""), stakes[number])
            elif vote == winner:
                assert (chorus.status(requests[number]), left) == ((100, "redundancy"), stakes[number])
            else:
                assert chorus.status(requests[number]) == (0, "redundancy")
                assert left == stakes[number] - PENALTY


def test_rounds_that_make_no_sense_are_refused(chorus):
    one, other, _ = chorus.stakes
    for bonds, commit, reveal, reason in (
        ([one], HOUR, 2 * HOUR, "one provider agrees with itself"),
        ([one, one], HOUR, 2 * HOUR, "bonds not in order"),
        ([other, one], HOUR, 2 * HOUR, "bonds not in order"),
        ([one, other], 0, 2 * HOUR, "no time to commit"),
        ([one, other], HOUR, HOUR, "no time to reveal"),
    ):
        with boa.reverts(reason):
            chorus.redundancy.ask(INPUT, bonds, now() + commit, now() + reveal)
    with boa.reverts("no such round"):
        chorus.redundancy.conclude(9)
    with boa.reverts("no such round"):
        chorus.redundancy.round_of(9)


def test_commitments_need_a_request_and_a_stake(chorus):
    round_id = chorus.asked()
    bond, work = chorus.stakes[0], chorus.works[0]
    commit = chorus.redundancy.commit
    provider = PROVIDERS[0]
    with boa.reverts("unknown"):
        commit(round_id, bond, work, SALT, SALT, sender=provider)
    with boa.reverts("another validator"):
        commit(round_id, bond, work, chorus.filed(0, validator=STRANGER), SALT, sender=provider)
    with boa.reverts("request on another Work"):
        commit(round_id, bond, work, chorus.filed(1), SALT, sender=provider)
    request = chorus.filed(0)
    with boa.reverts("another's bond"):
        commit(round_id, bond, work, request, SALT, sender=STRANGER)
    with boa.reverts("bond on something else"):
        commit(round_id, bond, chorus.works[1], request, SALT, sender=provider)
    with boa.reverts("not asked"):
        commit(round_id, chorus.staked(0), work, request, SALT, sender=provider)
    commit(round_id, bond, work, request, SALT, sender=provider)
    with boa.reverts("already committed"):
        commit(round_id, bond, work, request, SALT, sender=provider)
    wait(HOUR)
    with boa.reverts("too late to commit"):
        commit(round_id, chorus.stakes[1], chorus.works[1], chorus.filed(1), SALT, sender=PROVIDERS[1])
    assert chorus.redundancy.entry_of(round_id, bond)[0] == request
    assert chorus.redundancy.round_of(round_id)[1] == INPUT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"judge": STRANGER}, "bond on something else"),
        ({"amount": PENALTY - 1}, "stake too small"),
        ({"notice_s": HOUR}, "bond ends before the round"),
        ({"notice_s": 0, "ends_at": 2 * HOUR}, "bond ends before the round"),
    ],
)
def test_stakes_that_could_not_pay_are_refused(chorus, changes, reason):
    if "ends_at" in changes:
        changes = changes | {"ends_at": now() + changes["ends_at"]}
    bond = chorus.staked(0, **changes)
    round_id = chorus.asked([bond, chorus.stakes[1]])
    with boa.reverts(reason):
        chorus.redundancy.commit(round_id, bond, chorus.works[0], chorus.filed(0), SALT, sender=PROVIDERS[0])


def test_other_tokens_and_works_of_others_are_refused(chorus):
    token = deploy_mock("StakeToken")
    token.mint(PROVIDERS[0], 1_000)
    token.approve(chorus.bonds, NEVER, sender=PROVIDERS[0])
    bond = chorus.staked(0, token=token.address)
    theirs = chorus.staked(0, subject=chorus.redundancy.subject(chorus.works[1]))
    round_id = chorus.asked([bond, theirs])
    with boa.reverts("another token"):
        chorus.redundancy.commit(round_id, bond, chorus.works[0], chorus.filed(0), SALT, sender=PROVIDERS[0])
    with boa.reverts("only owner or operator"):
        chorus.redundancy.commit(
            round_id, theirs, chorus.works[1], chorus.filed(1), SALT, sender=PROVIDERS[0]
        )


def test_outputs_are_revealed_in_their_time_and_as_committed(chorus):
    round_id = chorus.asked()
    request = chorus.commit(round_id, 0, RIGHT)
    with boa.reverts("too early to reveal"):
        chorus.reveal(round_id, 0, RIGHT)
    wait(HOUR)
    with boa.reverts("not what was committed"):
        chorus.reveal(round_id, 0, WRONG)
    with boa.reverts("nothing committed"):
        chorus.reveal(round_id, 1, RIGHT)
    with boa.reverts("outputs still come in"):
        chorus.redundancy.conclude(round_id)
    wait(HOUR)
    with boa.reverts("too late to reveal"):
        chorus.reveal(round_id, 0, RIGHT)
    chorus.redundancy.conclude(round_id)
    assert chorus.status(request) == (0, "")
    sealed = chorus.redundancy.commitment(round_id, chorus.stakes[0], PROVIDERS[0], RIGHT, SALT)
    assert sealed == chorus.sealed_output(round_id, chorus.stakes[0], 0, RIGHT)


def test_a_request_is_used_once(chorus):
    round_id = chorus.asked()
    requests = [chorus.commit(round_id, number, RIGHT) for number in range(3)]
    wait(HOUR)
    for number in range(3):
        chorus.reveal(round_id, number, RIGHT)
    wait(HOUR)
    chorus.redundancy.conclude(round_id)
    again = chorus.asked()
    with boa.reverts("request already used"):
        chorus.redundancy.commit(
            again, chorus.stakes[0], chorus.works[0], requests[0], SALT, sender=PROVIDERS[0]
        )


# --- proofs ----------------------------------------------------------------------------------------------

SECRET_KEY = 7_919
MODEL = keccak256(b"model")


def point_of(scalar: int) -> tuple[int, int]:
    """So many times the generator."""
    found = multiply(G1, scalar)
    assert found is not None
    return int(found[0]), int(found[1])


def prove(statement: bytes, secret: int = SECRET_KEY) -> bytes:
    """Schnorr's proof on alt_bn128, made for this statement."""
    nonce = int.from_bytes(keccak256(statement + b"nonce"), "big") % curve_order
    values = (*point_of(nonce), *point_of(secret))
    kinds = ("uint256",) * 4
    challenge = int.from_bytes(keccak256(codec.encode((*kinds, "bytes32"), (*values, statement))), "big")
    s = (nonce + challenge * secret) % curve_order
    return codec.encode(("uint256",) * 3, (values[0], values[1], s))


class Proofs(Town):
    def __init__(self) -> None:
        super().__init__()
        self.proofs = deploy("services", "ProofVerdicts", self.validation.address)
        mock = Path(__file__).parent / "mocks" / "SchnorrVerifier.vy"
        self.verifier = compiled(mock).deploy(*point_of(SECRET_KEY))
        self.proofs.name_verifier(self.work_id, MODEL, self.verifier.address, sender=SELLER)

    def arguments(self, proof: bytes | None = None, salt: bytes = SALT) -> tuple[Any, ...]:
        facts = (self.work_id, MODEL, INPUT, RIGHT)
        request = self.proofs.request_of(*facts, salt)
        made = prove(self.proofs.statement_of(*facts[1:])) if proof is None else proof
        return (request, *facts, salt, made)


@pytest.fixture(scope="module")
def fresh_proofs():
    with fresh_chain():
        yield Proofs()


@pytest.fixture
def town(fresh_proofs):
    with fresh_chain():
        yield fresh_proofs


def test_a_proof_that_verifies_is_told_to_the_registry(town):
    arguments = town.arguments()
    town.ask(arguments[0], validator=town.proofs.address)
    town.proofs.prove(*arguments, sender=STRANGER)
    assert town.status(arguments[0]) == (100, "zkml")


def test_a_proof_without_a_request_to_this_contract_is_refused(town):
    arguments = town.arguments()
    with boa.reverts("unknown"):
        town.proofs.prove(*arguments)
    town.ask(arguments[0])
    with boa.reverts("another validator"):
        town.proofs.prove(*arguments)
    other = town.arguments(salt=MODEL)
    town.ask(other[0], validator=town.proofs.address, work_id=town.hall.publish(SELLER))
    with boa.reverts("request on another Work"):
        town.proofs.prove(*other)


def test_proofs_of_something_else_are_refused(town):
    arguments = town.arguments()
    town.ask(arguments[0], validator=town.proofs.address)
    statement = bytes(town.proofs.statement_of(MODEL, INPUT, WRONG))
    for proof in (prove(statement), prove(bytes(town.proofs.statement_of(MODEL, INPUT, RIGHT)), 5)):
        with boa.reverts("proof refused"):
            town.proofs.prove(*town.arguments(proof))
    with boa.reverts():
        town.proofs.prove(*town.arguments(b"junk"))
    with boa.reverts("another request"):
        town.proofs.prove(arguments[0], town.work_id, MODEL, INPUT, WRONG, SALT, prove(statement))
    assert town.status(arguments[0]) == (0, "")


def test_verifiers_are_named_once_by_who_may(town):
    with boa.reverts("only owner or operator"):
        town.proofs.name_verifier(town.work_id, INPUT, town.verifier.address, sender=STRANGER)
    with boa.reverts("already named"):
        town.proofs.name_verifier(town.work_id, MODEL, town.verifier.address, sender=SELLER)
    with boa.reverts("no contract there"):
        town.proofs.name_verifier(town.work_id, INPUT, STRANGER, sender=SELLER)
    with boa.reverts("no verifier named"):
        town.proofs.prove(SALT, town.work_id, INPUT, INPUT, RIGHT, SALT, b"")
    with boa.reverts("validation missing"):
        deploy("services", "ProofVerdicts", NOBODY)
    assert town.proofs.verifier_of(town.work_id, MODEL) == town.verifier.address
