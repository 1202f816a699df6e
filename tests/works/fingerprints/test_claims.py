# SPDX-License-Identifier: Apache-2.0
"""A copied model under another till is found, disputed before the committee, and its stake taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.errors import BadInput, NotFound, TransactionFailed
from koinon.store import BlockStore
from koinon.works.api import Parent, ParentMode, Published, Works
from koinon.works.bonds import Outcome
from koinon.works.committee import Committee, Phase, Vote
from koinon.works.fingerprints.behaviour import Answers, Probes, make_probes
from koinon.works.fingerprints.claims import LineageClaim, LineageClaims
from koinon.works.fingerprints.record import TOPIC, WEIGHTS_KEY, Fingerprints
from koinon.works.fingerprints.registering import media_fingerprints, register
from koinon.works.fingerprints.verdict import lineage_verified
from koinon.works.fingerprints.weights import weights_digests
from koinon.works.registration import Card, Registration
from tests.works.fingerprints.taught import answers, noisy, renumbered, taught

COIN = 10**6
STAKE = 100 * COIN
SALT, SECRET = b"\x07" * 32, b"\x09" * 32


def prints_of(model: Any, seed: bytes) -> tuple[Fingerprints, Probes]:
    probes = make_probes(answers(model), np.zeros(13), np.ones(13), seed)
    weights = weights_digests([*model.coefs_, *model.intercepts_])
    return Fingerprints(weights, probes.digest), probes


@dataclass
class Town:
    """An original, whoever copies it, and jurors, on a chain whose clock the test moves."""

    chain: Chain
    store: BlockStore
    account: Callable[..., Key]

    def rich(self, coins: int = 2_000) -> Key:
        key, coin = self.account(), self.chain.coin
        limit = int(coin.call("mintLimit"))
        parts = [limit] * (coins * COIN // limit) + [coins * COIN % limit]
        self.chain.sender(key).send_all(
            [coin.transaction("mint", key.address, part) for part in parts if part]
        )
        return key

    def publish(self, owner: Key, prints: Fingerprints, **more: Any) -> Published:
        card = Card("model", "A test.", "Wine.", ("A test.",), "Write to it.", unmeasured="A test.")
        registration = Registration(
            "Model", "A model.", card, about={TOPIC: prints.to_json()} if prints else {}
        )
        return Works(self.chain, self.store, owner).publish(registration, metadata=prints.metadata(), **more)

    @property
    def works(self) -> Works:
        return Works(self.chain, self.store)

    @property
    def claims(self) -> LineageClaims:
        return LineageClaims(self.works)

    def wait_until(self, moment: int) -> None:
        self.chain.rpc.call("evm_setNextBlockTimestamp", hex(max(moment, self.chain.timestamp() + 1)))
        self.chain.rpc.call("evm_mine")

    def go_to(self, phase: Phase) -> int:
        committee = Committee(self.chain)
        while True:
            epoch, now, ends = committee.moment()
            if now is phase:
                return epoch
            self.wait_until(ends)

    def judge(self, jurors: list[Key], case: int, vote: Vote) -> None:
        """Draw, vote and conclude; every juror as told."""
        committee = Committee(self.chain)
        epoch = self.go_to(Phase.COMMIT_SEEDS)
        for juror in jurors:
            committee.commit_seed(juror, epoch, SECRET, SALT)
        self.go_to(Phase.REVEAL_SEEDS)
        for juror in jurors:
            committee.reveal_seed(juror, SECRET, SALT)
        self.go_to(Phase.DRAW)
        committee.draw(jurors[0], case)
        seated = [juror for juror in jurors if committee.seats(case, juror.address)]
        for juror in seated:
            committee.commit_vote(juror, case, vote, SALT)
        commits, reveals = committee.vote_times(case)
        self.wait_until(commits)
        for juror in seated:
            committee.reveal_vote(juror, case, vote, SALT)
        self.wait_until(reveals)
        committee.conclude(jurors[0], case)


@pytest.fixture
def town(own_chain: Chain, own_account: Callable[..., Key], tmp_path: Path) -> Town:
    return Town(own_chain, BlockStore(tmp_path / "blocks"), own_account)


@pytest.fixture(scope="module")
def bench() -> list[Key]:
    return []


@pytest.fixture
def jurors(town: Town, bench: list[Key]) -> list[Key]:
    committee = Committee(town.chain)
    while len(bench) < 4:
        juror = town.rich()
        town.go_to(Phase.STAKES)
        committee.stake(juror, 4 * committee.rules().minimum_stake)
        bench.append(juror)
    return bench


@pytest.fixture(scope="module")
def model() -> Any:
    return taught("wine", 0)


def juror_sees(town: Town, claim: LineageClaim, original: Answers | None, accused: Answers | None) -> Vote:
    """A juror's vote, from the documents in the store and the two models alone."""
    finding = town.claims.examine(claim, original=original, accused=accused)
    return Vote.UPHOLD if finding.uphold else Vote.DISMISS


def test_a_copy_that_was_made_noisy_is_found_by_behaviour_and_loses_its_stake(
    town: Town, jurors: list[Key], model: Any
) -> None:
    owner, thief = town.rich(), town.rich()
    mine, probes = prints_of(model, b"\x01" * 32)
    original = town.publish(owner, mine)
    stolen = renumbered(noisy(model, 0.02, 3), 4)
    theirs, _probes = prints_of(stolen, b"\x02" * 32)
    copy = town.publish(thief, theirs)
    bond = town.claims.stake(thief, copy.work_id, STAKE)
    assert lineage_verified(town.works, copy.work_id, least_stake=STAKE).verified, "nobody noticed yet"
    challenge, case = town.claims.claim(
        owner, original.work_id, copy.work_id, kinds=["behaviour"], probes=probes
    )
    verdict = lineage_verified(town.works, copy.work_id)
    assert not verdict.verified
    assert "open" in verdict.reason
    claim = town.claims.read(challenge)
    vote = juror_sees(town, claim, answers(model), answers(stolen))
    assert vote is Vote.UPHOLD
    town.judge(jurors, case, vote)
    bonds = town.claims.bonds
    assert bonds.outcome(challenge) is Outcome.UPHELD
    assert bonds.bond(bond).amount == 0
    assert bonds.credit(original.till) == STAKE - STAKE // 5
    assert bonds.credit(owner.address) == STAKE // 5
    bonds.collect(owner, original.till)
    assert int(town.chain.coin.call("balanceOf", original.till)) == STAKE - STAKE // 5
    assert "upheld" in lineage_verified(town.works, copy.work_id).reason


def test_a_claim_on_an_honest_model_is_dismissed_and_pays_its_owner(
    town: Town, jurors: list[Key], model: Any
) -> None:
    owner, honest = town.rich(), town.rich()
    mine, probes = prints_of(model, b"\x03" * 32)
    original = town.publish(owner, mine)
    own_model = taught("wine", 5)
    other = town.publish(honest, prints_of(own_model, b"\x04" * 32)[0])
    bond = town.claims.stake(honest, other.work_id, STAKE, counter_stake=10 * COIN)
    challenge, case = town.claims.claim(
        owner, original.work_id, other.work_id, kinds=["behaviour"], probes=probes
    )
    vote = juror_sees(town, town.claims.read(challenge), answers(model), answers(own_model))
    assert vote is Vote.DISMISS
    town.judge(jurors, case, vote)
    bonds = town.claims.bonds
    assert bonds.outcome(challenge) is Outcome.DISMISSED
    assert bonds.bond(bond).amount == STAKE
    assert bonds.credit(honest.address) == 10 * COIN
    assert lineage_verified(town.works, other.work_id).verified


def test_an_exact_copy_is_found_without_asking_anyone(town: Town, model: Any) -> None:
    owner, thief, heir = town.rich(), town.rich(), town.rich()
    prints, probes = prints_of(model, b"\x05" * 32)
    original = town.publish(owner, prints)
    Works(town.chain, town.store, owner).set_parent_rule(original.work_id, ParentMode.OPEN, 1)
    copied = Fingerprints(prints_of(renumbered(model, 2), b"\x06" * 32)[0].weights)
    copy = town.publish(thief, copied)
    child = town.publish(heir, copied, parents=[Parent(original.work_id, 100_000_000)])
    before = [each.work_id for each in town.claims.fingerprints.earlier(copy.work_id)]
    assert original.work_id in before
    assert not lineage_verified(town.works, copy.work_id).verified
    heirs = [each.work_id for each in town.claims.fingerprints.earlier(child.work_id)]
    assert original.work_id not in heirs, "it names the original as its parent"
    mine = [each.work_id for each in town.claims.fingerprints.earlier(original.work_id)]
    assert copy.work_id not in mine, "the copy came later"
    claim = LineageClaim(original.work_id, copy.work_id, 1, ("weights",))
    assert town.claims.examine(claim).uphold
    assert not town.claims.examine(replace(claim, accused=child.work_id)).uphold
    with pytest.raises(NotFound):
        town.claims.claim(owner, original.work_id, copy.work_id, kinds=["weights"])
    town.claims.stake(heir, child.work_id, STAKE)
    with pytest.raises(BadInput):
        town.claims.claim(owner, original.work_id, child.work_id, kinds=["weights"], probes=probes)


def test_nobody_is_first_by_writing_a_fingerprint_into_an_old_work(town: Town) -> None:
    liar, owner = town.rich(), town.rich()
    old = town.publish(liar, Fingerprints())
    model = taught("wine", 8)
    prints, _probes = prints_of(model, b"\x08" * 32)
    mine = town.publish(owner, prints)
    works = town.chain.contract("Works")
    for key, value in ((WEIGHTS_KEY, prints.weights["float32"]), (TOPIC, prints.digest)):
        town.chain.sender(liar).send(works.transaction("setMetadata", old.work_id, key, value))
    assert town.claims.fingerprints.earlier(mine.work_id) == []
    town.claims.stake(owner, mine.work_id, STAKE)
    assert lineage_verified(town.works, mine.work_id, least_stake=STAKE).verified
    assert not lineage_verified(town.works, mine.work_id, least_stake=STAKE + 1).verified
    with pytest.raises(BadInput):
        town.claims.claim(liar, old.work_id, mine.work_id, kinds=["weights"])


def test_fingerprints_that_the_chain_does_not_hold_count_for_nothing(town: Town, model: Any) -> None:
    owner = town.rich()
    published = town.publish(owner, prints_of(model, b"\x0a" * 32)[0])
    works = town.chain.contract("Works")
    town.chain.sender(owner).send(works.transaction("setMetadata", published.work_id, TOPIC, b"\x00" * 32))
    assert not town.claims.fingerprints.registered(published.work_id)
    assert "no fingerprints" in lineage_verified(town.works, published.work_id).reason


def test_a_copied_picture_is_found_where_both_registered_it(town: Town) -> None:
    owner, thief = town.rich(), town.rich()
    original, copy = town.publish(owner, Fingerprints()), town.publish(thief, Fingerprints())
    picture = Fingerprints(pictures=(b"\x5a\x96\x33\x0f\xf0\xcc\x69\xa5",))
    near = Fingerprints(pictures=(b"\x5a\x96\x33\x0f\xf0\xcc\x69\xa7",))
    assert register(Works(town.chain, town.store, owner), original.work_id, picture) == picture
    register(Works(town.chain, town.store, thief), copy.work_id, near)
    late = town.publish(thief, near)
    found = town.claims.fingerprints.earlier(late.work_id)
    assert [(each.work_id, each.likenesses[0].kind) for each in found] == [(original.work_id, "picture")]
    assert town.claims.fingerprints.earlier(copy.work_id) == [], (
        "it was there before the picture was registered"
    )
    with pytest.raises(TransactionFailed):
        register(Works(town.chain, town.store, thief), original.work_id, near)


def test_probes_of_another_model_are_no_evidence(town: Town, model: Any) -> None:
    owner, other = town.rich(), town.rich()
    original = town.publish(owner, prints_of(model, b"\x0b" * 32)[0])
    accused_model = taught("wine", 6)
    accused = town.publish(other, prints_of(accused_model, b"\x0c" * 32)[0])
    made_up = prints_of(accused_model, b"\x0d" * 32)[1]
    claim = LineageClaim(
        original.work_id, accused.work_id, 1, ("behaviour",), town.store.put(made_up.to_bytes())
    )
    finding = town.claims.examine(claim, original=answers(model), accused=answers(accused_model))
    assert not finding.uphold
    assert "registered" in finding.reason


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"type": 1}', b"x" * 20_000])
def test_a_document_that_is_no_claim_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        LineageClaim.from_bytes(content)


def test_what_is_no_medium_has_no_fingerprint() -> None:
    for files in ({}, {"a.wav": b"x"}, {"a.png": b"x"}):
        with pytest.raises(BadInput):
            media_fingerprints(files)
