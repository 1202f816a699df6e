# SPDX-License-Identifier: Apache-2.0
"""Auditors kept awake by known answers; providers that answer the same; a proof."""

from __future__ import annotations

from benchmarks.gas.committee import RULES
from benchmarks.gas.stage import CHAIN_ID, DOLLAR, LARGEST, Stage, digest, key
from benchmarks.gas.verification import RULING_S, STAKE, URI, WINDOW_S, WORK_ID
from koinon.chain import codec
from koinon.chain.contract import Call, Contract
from koinon.chain.eip712 import Domain, TypedStruct
from koinon.chain.hashing import keccak256
from koinon.services.verification.record import AnswerTree, SignedAnswer, verification_domain
from koinon.works.bonds import commitment_digest

PENALTY = 20 * DOLLAR
QUARTER = WINDOW_S // 4
SALT = digest("salt")
PLANT = TypedStruct("Plant(uint256 plantId,address sponsor)")
SAYS_YES = bytes.fromhex("600a600c600039600a6000f3600160005260206000f3")
"""Creates a contract that answers 1 to every call: what is measured is everything but the verifier."""


def auditing(stage: Stage) -> None:
    """A plant in a batch of four, one auditor that finds it, one that sleeps and one that guesses."""
    bonds, coin, validation = (stage.contracts[name] for name in ("Bonds", "Coin", "Validation"))
    committee = stage.create("Committee", bonds.address, coin.address, RULES)
    verification = stage.create("Verification", committee.address, validation.address)
    known = stage.create(
        "KnownAnswers", verification.address, bonds.address, coin.address, PENALTY, noted=True
    )
    for role in ("publisher", "buyer", "lender", "gateway", "stranger"):
        stage.send(coin, "mint", key(role).address, 1_000 * DOLLAR)
        for spender in (bonds, known):
            stage.send(coin, "approve", spender.address, LARGEST, sender=role)
    stage.send(stage.contracts["Works"], "register()")
    terms = (WORK_ID, key("publisher").address, 1_000, 50_000, WINDOW_S, 5_000, digest("details"))
    subject = verification.call("subject_of", terms)
    stage.send(bonds, "post", coin.address, STAKE, committee.address, subject, 0, RULING_S, DOLLAR, RULING_S)
    request = verification.call("promise_request", 1, terms, SALT)
    stage.send(validation, "validationRequest", verification.address, WORK_ID, URI, request)
    stage.send(verification, "promise", 1, terms, SALT)
    payer, sponsor = key("buyer"), key("lender")
    seal = keccak256(
        codec.encode(
            ("uint256", "address", "address", "address", "bytes32"),
            (CHAIN_ID, known.address, sponsor.address, payer.address, SALT),
        )
    )
    stage.measure(known, "plant", seal, DOLLAR, 1, stage.now() + 2 * WINDOW_S, sender="lender")
    stage.send(known, "plant", seal, DOLLAR, 1, stage.now() + 10, sender="lender")
    answers = [SignedAnswer(WORK_ID, 1, payer.address, SALT, SALT, SALT, number, 0) for number in range(4)]
    domain = verification_domain(CHAIN_ID, verification.address)
    tree = AnswerTree([answer.digest(domain) for answer in answers])
    request = verification.call("batch_request", 1, tree.root, 4, SALT)
    stage.send(validation, "validationRequest", verification.address, WORK_ID, URI, request)
    stage.send(verification, "submit", 1, tree.root, 4, SALT)
    begin = stage.now()
    for role, found in (("gateway", [2]), ("buyer", []), ("stranger", [1])):
        stage.send(
            bonds,
            "post",
            coin.address,
            STAKE,
            known.address,
            known.call("subject"),
            0,
            RULING_S,
            0,
            1,
            sender=role,
        )
        seal = known.call("seal_of", request, key(role).address, SALT, 1, found)
        bond_id = int(bonds.call("bond_count"))
        arguments = (request, seal, bond_id, sponsor.address)
        if role == "gateway":
            stage.measure(known, "attest", *arguments, sender=role)
        else:
            stage.send(known, "attest", *arguments, sender=role)
    stage.wait_until(begin + QUARTER)
    stage.measure(known, "disclose", request, SALT, 1, [2], sender="gateway", note="one found")
    stage.send(known, "disclose", request, SALT, 1, [1], sender="stranger")
    stage.wait_until(begin + 2 * QUARTER)
    consent = payer.sign_typed(
        Domain("Koinon Known Answers", "1", CHAIN_ID, known.address), PLANT, 1, sponsor.address
    )
    stage.measure(
        known,
        "expose",
        1,
        request,
        2,
        answers[2].values,
        tree.proof(2),
        SALT,
        consent,
        sender="lender",
        note="one of four",
    )
    stage.measure(known, "reward", 1, key("gateway").address, sender="stranger")
    stage.measure(known, "fine", request, key("buyer").address, 0, 0, sender="stranger", note="not disclosed")
    stage.measure(known, "reclaim", 2, sender="stranger")
    stage.wait_until(begin + 4 * QUARTER)
    stage.measure(known, "fine_guess", request, key("stranger").address, 1, sender="buyer")
    stage.wait_until(begin + 5 * QUARTER)
    stage.measure(known, "release", request, key("gateway").address, sender="buyer")


def agreeing(stage: Stage) -> None:
    """Three providers, of whom one disagrees; and a proof."""
    bonds, coin, validation = (stage.contracts[name] for name in ("Bonds", "Coin", "Validation"))
    redundancy = stage.create(
        "Redundancy", bonds.address, validation.address, coin.address, PENALTY, noted=True
    )
    roles = ("publisher", "buyer", "lender")
    for number, role in enumerate(roles, 1):
        stage.send(coin, "mint", key(role).address, 1_000 * DOLLAR)
        stage.send(coin, "approve", bonds.address, LARGEST, sender=role)
        stage.send(stage.contracts["Works"], "register()", sender=role)
        subject = redundancy.call("subject", number)
        stage.send(
            bonds, "post", coin.address, STAKE, redundancy.address, subject, 0, 10**6, 0, 1, sender=role
        )
    begin = stage.now()
    stage.measure(
        redundancy,
        "ask",
        SALT,
        [1, 2, 3],
        begin + 100,
        begin + 200,
        sender="stranger",
        note="three providers",
    )
    for number, role in enumerate(roles, 1):
        request = digest(f"request {number}")
        stage.send(validation, "validationRequest", redundancy.address, number, URI, request, sender=role)
        sealed = _sealed(redundancy, number, role)
        arguments = (1, number, number, request, sealed)
        if number == 1:
            stage.measure(redundancy, "commit", *arguments, sender=role)
        else:
            stage.send(redundancy, "commit", *arguments, sender=role)
    stage.wait_until(begin + 100)
    for number, role in enumerate(roles, 1):
        revealed = (1, number, _output(number), SALT)
        if number == 1:
            stage.measure(redundancy, "reveal", *revealed, sender=role)
        else:
            stage.send(redundancy, "reveal", *revealed, sender=role)
    stage.wait_until(begin + 200)
    stage.measure(redundancy, "conclude", 1, sender="stranger", note="three providers, one disagrees")

    proofs = stage.create("ProofVerdicts", validation.address, noted=True)
    verifier = stage.put(Call(None, SAYS_YES))
    stage.measure(proofs, "name_verifier", WORK_ID, SALT, verifier)
    facts = (WORK_ID, SALT, digest("input"), digest("output"), SALT)
    request = proofs.call("request_of", *facts)
    stage.send(validation, "validationRequest", proofs.address, WORK_ID, URI, request)
    stage.measure(proofs, "prove", request, *facts, b"proof", sender="stranger", note="but for the verifier")


def _output(number: int) -> bytes:
    return digest("output" if number < 3 else "another")


def _sealed(redundancy: Contract, number: int, role: str) -> bytes:
    topic = redundancy.call("topic", 1, number)
    account = key(role).address
    return commitment_digest(CHAIN_ID, redundancy.address, topic, account, value=_output(number), salt=SALT)
