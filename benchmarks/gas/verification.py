# SPDX-License-Identifier: Apache-2.0
"""Answers somebody stakes on: a promise, its batches, and a dispute that is dismissed."""

from __future__ import annotations

from benchmarks.gas.committee import RULES
from benchmarks.gas.stage import CHAIN_ID, DOLLAR, LARGEST, Stage, digest, key
from koinon.chain.contract import Contract
from koinon.works.bonds import commitment_digest

PHASE_S = RULES[-1]
RULING_S = 40 * PHASE_S
WINDOW_S = 4 * PHASE_S
STAKE = 100 * DOLLAR
DISMISS = 1
WORK_ID = 1
"""The first of a fresh stage."""

SALT = digest("salt")
URI = "https://seller.example/evidence"
SINK = "0x000000000000000000000000000000000000dEaD"
JURORS = tuple(f"juror {number}" for number in range(4))


def verifying(stage: Stage) -> None:
    """A Work's answers: three batches, of which one is disputed."""
    bonds, coin, validation = (stage.contracts[name] for name in ("Bonds", "Coin", "Validation"))
    committee = stage.create("Committee", bonds.address, coin.address, RULES)
    begin = stage.now()
    verification = stage.create("Verification", committee.address, validation.address, noted=True)
    for role in ("publisher", "buyer", *JURORS):
        stage.fund(role)
        stage.send(coin, "mint", key(role).address, 1_000 * DOLLAR)
        for spender in (bonds, committee):
            stage.send(coin, "approve", spender.address, LARGEST, sender=role)
    for role in JURORS:
        stage.send(committee, "stake", 100 * DOLLAR, sender=role)
    bond_id = _promised(stage, verification, committee)
    batches = [_submitted(stage, verification, bond_id, number) for number in range(3)]
    arguments = (batches[0], 1, 3, digest("answer"), URI)
    stage.send(bonds, "challenge", bond_id, verification.call("evidence_of", *arguments), sender="buyer")
    challenge_id = int(bonds.call("challenge_count"))
    stage.send(committee, "open_case", challenge_id, STAKE, SINK, STAKE // 2, sender="buyer")
    stage.measure(verification, "dispute", challenge_id, *arguments, sender="buyer")
    _dismissed(stage, committee, int(committee.call("case_on", challenge_id)), begin)
    stage.measure(verification, "settle", challenge_id, sender="stranger")
    stage.measure(verification, "pass_softly", batches[1], sender="stranger", note="the first")
    stage.measure(verification, "pass_softly", batches[2], sender="stranger", note="another")
    stage.measure(verification, "pass_over", bond_id, 64, sender="stranger", note="three batches")


def _promised(stage: Stage, verification: Contract, committee: Contract) -> int:
    bonds, coin, validation = (stage.contracts[name] for name in ("Bonds", "Coin", "Validation"))
    stage.send(stage.contracts["Works"], "register()")
    terms = (WORK_ID, key("publisher").address, 1_000, 50_000, WINDOW_S, 5_000, digest("details"))
    subject = verification.call("subject_of", terms)
    stage.send(bonds, "post", coin.address, STAKE, committee.address, subject, 0, RULING_S, DOLLAR, RULING_S)
    bond_id = int(bonds.call("bond_count"))
    request = verification.call("promise_request", bond_id, terms, SALT)
    stage.send(validation, "validationRequest", verification.address, WORK_ID, URI, request)
    stage.measure(verification, "promise", bond_id, terms, SALT)
    return bond_id


def _submitted(stage: Stage, verification: Contract, bond_id: int, number: int) -> bytes:
    root = digest(f"root {number}")
    request: bytes = verification.call("batch_request", bond_id, root, 100, SALT)
    stage.send(
        stage.contracts["Validation"], "validationRequest", verification.address, WORK_ID, URI, request
    )
    note = ("a promise's first batch", "another", "")[number]
    if note:
        stage.measure(verification, "submit", bond_id, root, 100, SALT, note=note)
    else:
        stage.send(verification, "submit", bond_id, root, 100, SALT)
    return request


def _dismissed(stage: Stage, committee: Contract, case_id: int, begin: int) -> None:
    """Seeds, a draw, votes, a ruling: what `committee.ruling` measures."""
    stage.wait_until(begin + PHASE_S)
    topic = committee.call("seed_topic", 1)
    for number, role in enumerate(JURORS):
        stage.send(
            committee, "commit_seed", _sealed(committee, topic, role, digest(f"{number}")), sender=role
        )
    stage.wait_until(begin + 2 * PHASE_S)
    for number, role in enumerate(JURORS):
        stage.send(committee, "reveal_seed", digest(f"{number}"), SALT, sender=role)
    stage.wait_until(begin + 3 * PHASE_S)
    stage.send(committee, "draw", case_id, sender="stranger")
    seated = [role for role in JURORS if committee.call("seats_of", case_id, key(role).address)]
    topic, vote = committee.call("vote_topic", case_id), DISMISS.to_bytes(32, "big")
    for role in seated:
        stage.send(committee, "commit_vote", case_id, _sealed(committee, topic, role, vote), sender=role)
    stage.wait_until(begin + 5 * PHASE_S)
    for role in seated:
        stage.send(committee, "reveal_vote", case_id, DISMISS, SALT, sender=role)
    stage.wait_until(begin + 6 * PHASE_S)
    stage.send(committee, "conclude", case_id, sender="stranger")


def _sealed(committee: Contract, topic: bytes, role: str, value: bytes) -> bytes:
    return commitment_digest(CHAIN_ID, committee.address, topic, key(role).address, value=value, salt=SALT)
