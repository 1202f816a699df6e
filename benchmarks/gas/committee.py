# SPDX-License-Identifier: Apache-2.0
"""A committee drawn by stake: seeds, a case, its votes, its verdict, and a case that is given up."""

from __future__ import annotations

from benchmarks.gas.stage import CHAIN_ID, DOLLAR, LARGEST, Stage, digest, key
from koinon.chain.contract import Contract
from koinon.works.bonds import commitment_digest

PHASE_S = 3_600
SEATS = 3
RULES = (SEATS, 10 * DOLLAR, 2_000, DOLLAR, 5 * DOLLAR, 2, PHASE_S)
RULING_S = 40 * PHASE_S
UPHOLD = 2
SALT = digest("salt")
JURORS = tuple(f"juror {number}" for number in range(4))


def ruling(stage: Stage) -> None:
    """Four jurors, of whom three reveal their seeds; a challenge upheld; another nobody came to judge."""
    bonds, coin = stage.contracts["Bonds"], stage.contracts["Coin"]
    committee = stage.create("Committee", bonds.address, coin.address, RULES, noted=True)
    begin = stage.now()
    _gather(stage, committee)
    _promise(stage, committee)
    stage.measure(committee, "open_case", 1, 10 * DOLLAR, key("lender").address, DOLLAR, sender="buyer")
    stage.send(committee, "open_case", 2, 10 * DOLLAR, key("lender").address, DOLLAR, sender="buyer")

    stage.wait_until(begin + PHASE_S)
    for number, note in enumerate(("first", "second", "third", "")):
        sealed = _sealed(committee, committee.call("seed_topic", 1), JURORS[number], digest(f"seed {number}"))
        _as(stage, note, committee, "commit_seed", sealed, sender=JURORS[number])
    stage.wait_until(begin + 2 * PHASE_S)
    for number, note in enumerate(("first", "second", "third")):
        part = digest(f"seed {number}")
        _as(stage, note, committee, "reveal_seed", part, SALT, sender=JURORS[number])
    stage.wait_until(begin + 3 * PHASE_S)
    stage.measure(committee, "draw", 1, sender="stranger", note="three seats")

    seated = [role for role in JURORS if committee.call("seats_of", 1, key(role).address)]
    topic, vote = committee.call("vote_topic", 1), UPHOLD.to_bytes(32, "big")
    for number, role in enumerate(seated):
        _as(
            stage,
            "" if number else "first",
            committee,
            "commit_vote",
            1,
            _sealed(committee, topic, role, vote),
            sender=role,
        )
    stage.wait_until(begin + 5 * PHASE_S)
    for number, role in enumerate(seated):
        _as(stage, "" if number else "first", committee, "reveal_vote", 1, UPHOLD, SALT, sender=role)
    sealed = _sealed(committee, committee.call("seed_topic", 2), JURORS[3], digest("seed"))
    stage.send(committee, "commit_seed", sealed, sender=JURORS[3])
    stage.wait_until(begin + 6 * PHASE_S)
    stage.measure(committee, "conclude", 1, sender="stranger", note="upheld")
    stage.measure(committee, "take_forfeits", 1, sender=JURORS[0])
    stage.measure(committee, "collect", key(JURORS[0]).address, sender="stranger")
    stage.wait_until(begin + RULING_S)
    stage.measure(committee, "give_up", 2, sender="stranger")
    stage.measure(committee, "carry_forfeits", 2, sender="stranger")


def _gather(stage: Stage, committee: Contract) -> None:
    """Jurors stake, in the phase in which stakes may change."""
    coin = stage.contracts["Coin"]
    for role in (*JURORS, "publisher", "buyer"):
        stage.fund(role)
        stage.send(coin, "mint", key(role).address, 1_000 * DOLLAR)
        stage.send(coin, "approve", committee.address, LARGEST, sender=role)
    for number, role in enumerate(JURORS):
        _as(stage, "" if number else "first", committee, "stake", 100 * DOLLAR, sender=role)
    stage.measure(committee, "stake", 20 * DOLLAR, sender=JURORS[0], note="again")
    stage.measure(committee, "unstake", 10 * DOLLAR, sender=JURORS[0])
    stage.measure(committee, "update_weight", key(JURORS[0]).address, sender="stranger")


def _promise(stage: Stage, committee: Contract) -> None:
    """A bond that names the committee its judge, challenged twice."""
    bonds, coin = stage.contracts["Bonds"], stage.contracts["Coin"]
    for role in ("publisher", "buyer"):
        stage.send(coin, "approve", bonds.address, LARGEST, sender=role)
    terms = (100 * DOLLAR, committee.address, digest("promise"), 0, RULING_S, DOLLAR, RULING_S)
    stage.send(bonds, "post", coin.address, *terms)
    for _challenge in range(2):
        stage.send(bonds, "challenge", 1, digest("evidence"), sender="buyer")


def _sealed(committee: Contract, topic: bytes, role: str, value: bytes) -> bytes:
    return commitment_digest(CHAIN_ID, committee.address, topic, key(role).address, value=value, salt=SALT)


def _as(
    stage: Stage, note: str, committee: Contract, function: str, *arguments: bytes | int, sender: str
) -> None:
    """Measure what has a note, send what has none."""
    if note:
        stage.measure(committee, function, *arguments, sender=sender, note=note)
    else:
        stage.send(committee, function, *arguments, sender=sender)
