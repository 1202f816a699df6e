# SPDX-License-Identifier: Apache-2.0
"""The end of a run: scores that nobody copies, a publication that a majority can stop, and one Work."""

from __future__ import annotations

import boa
import pytest

from koinon.chain.hashing import keccak256
from koinon.learning.swarm.onion import packed_scores
from tests.contracts_support import account, events, fresh_chain
from tests.learning.contracts.swarm_support import (
    EMPTY,
    OTHER_MODEL,
    SALT,
    SLOT_S,
    STAKE,
    WINDOW_S,
    Stage,
)

PEERS = ("bank", "shop", "club")
SCORES = packed_scores([1, 2, 4])


@pytest.fixture(scope="module")
def built():
    with fresh_chain():
        stage = Stage()
        yield stage, stage.settled(*PEERS)


@pytest.fixture
def over(built):
    stage, run_id = built
    with stage.undone():
        yield stage, run_id


@pytest.fixture
def stage(over):
    return over[0]


@pytest.fixture
def run_id(over):
    return over[1]


def score(stage, run_id, given):
    """Everyone's scores, committed and revealed in time."""
    for role, scores in given.items():
        stage.commit(run_id, role, scores)
    stage.wait(SLOT_S)
    for role, scores in given.items():
        stage.reveal(run_id, role, scores)
    stage.wait(SLOT_S)


# scores


def test_scores_are_the_median_of_what_was_revealed(stage, run_id):
    assert list(stage.swarm.scores(run_id)) == [0, 0, 0]
    given = {
        "bank": packed_scores([65_535, 1, 7]),
        "shop": packed_scores([65_535, 65_535, 0]),
        "club": packed_scores([0, 3, 65_535]),
    }
    score(stage, run_id, given)
    words = [[int.from_bytes(each[2 * at : 2 * at + 2], "big") for each in given.values()] for at in range(3)]
    assert list(stage.swarm.scores(run_id)) == [sorted(values)[1] for values in words]
    assert [stage.swarm.work_of(run_id, account(role))[1] for role in PEERS] == [1, 1, 1]


def test_of_two_the_lower_counts_and_who_does_not_reveal_has_no_say(stage, run_id):
    stage.commit(run_id, "bank", packed_scores([1, 9]))
    stage.commit(run_id, "shop", packed_scores([9, 1]))
    stage.commit(run_id, "club", packed_scores([9, 9]))
    stage.wait(SLOT_S)
    stage.reveal(run_id, "bank", packed_scores([1, 9]))
    stage.reveal(run_id, "shop", packed_scores([9, 1]))
    assert list(stage.swarm.scores(run_id)) == [7_282, 7_282, 0]
    assert stage.swarm.work_of(run_id, account("club"))[1] == 0


def test_many_small_peers_have_no_more_say_than_one_with_more_stake(built):
    stage, _ = built
    with stage.undone():
        run_id = stage.open()
        stage.join(run_id, "bank", stake=4 * STAKE)
        stage.join(run_id, "shop", "club", "museum")
        stage.ready(run_id, "bank", "shop", "club", "museum")
        stage.swarm.start(run_id, sender=stage.initiator)
        for _ in range(2):
            stage.propose(run_id)
        stage.wait(WINDOW_S)
        stage.swarm.settle(run_id, 2)
        high, low = packed_scores([1]), packed_scores([0, 1])
        score(stage, run_id, {"bank": high, "shop": low, "club": low, "museum": low})
        assert list(stage.swarm.scores(run_id)) == [65_535, 0, 0, 0]


def test_scores_come_in_their_time_and_only_from_the_active(stage, run_id):
    with boa.reverts("too early to reveal"):
        stage.reveal(run_id, "bank", SCORES)
    with boa.reverts("not a peer"):
        stage.commit(run_id, "stranger", SCORES)
    with boa.reverts("empty commitment"):
        stage.swarm.commit_scores(run_id, EMPTY, sender=account("bank"))
    with boa.reverts("no such run"):
        stage.commit(99, "bank", SCORES)
    stage.commit(run_id, "bank", SCORES)
    stage.commit(run_id, "shop", SCORES)
    stage.wait(SLOT_S)
    with boa.reverts("too late to commit"):
        stage.commit(run_id, "club", SCORES)
    with boa.reverts("nothing committed"):
        stage.reveal(run_id, "club", SCORES)
    with boa.reverts("not what was committed"):
        stage.reveal(run_id, "bank", packed_scores([2, 1]))
    with boa.reverts("not what was committed"):
        stage.swarm.reveal_scores(run_id, SCORES, OTHER_MODEL, sender=account("bank"))
    stage.reveal(run_id, "bank", SCORES)
    with boa.reverts("already revealed"):
        stage.reveal(run_id, "bank", SCORES)
    stage.wait(SLOT_S)
    with boa.reverts("too late to reveal"):
        stage.reveal(run_id, "shop", SCORES)


def test_nobody_reveals_with_anothers_commitment(stage, run_id):

    stage.commit(run_id, "bank", SCORES)
    digest = events(stage.swarm, "ScoresCommitted")[0]["commitment"]
    stage.swarm.commit_scores(run_id, digest, sender=account("shop"))
    stage.wait(SLOT_S)
    with boa.reverts("not what was committed"):
        stage.reveal(run_id, "shop", SCORES)


def test_nothing_is_scored_or_finished_before_the_rounds_are_settled(built):
    stage, _ = built
    with stage.undone():
        run_id = stage.started("bank", "shop")
        for call in (
            lambda: stage.commit(run_id, "bank", SCORES),
            lambda: stage.swarm.reveal_scores(run_id, SCORES, SALT, sender=account("bank")),
            lambda: stage.swarm.propose_finish(run_id, OTHER_MODEL, sender=account("bank")),
        ):
            with boa.reverts("rounds are not settled"):
                call()


def test_who_left_does_not_score(built):
    stage, _ = built
    with stage.undone():
        run_id = stage.started(*PEERS)
        stage.swarm.leave(run_id, sender=account("club"))
        for _ in range(2):
            while stage.leader(run_id) == "club":
                stage.wait(SLOT_S)
            stage.propose(run_id)
        stage.wait(WINDOW_S)
        stage.swarm.settle(run_id, 2)
        with boa.reverts("not active"):
            stage.commit(run_id, "club", SCORES)


# the finish


def test_the_finish_waits_for_scores_and_its_slot(stage, run_id):
    with boa.reverts("scores are not in yet"):
        stage.swarm.propose_finish(run_id, OTHER_MODEL, sender=account("bank"))
    stage.wait(2 * SLOT_S)
    leader = stage.leader(run_id)
    with boa.reverts("no digest"):
        stage.swarm.propose_finish(run_id, EMPTY, sender=account(leader))
    for role in PEERS:
        if role != leader:
            with boa.reverts("another's slot"):
                stage.swarm.propose_finish(run_id, OTHER_MODEL, sender=account(role))
    with boa.reverts("no such run"):
        stage.swarm.propose_finish(99, OTHER_MODEL, sender=account(leader))


def test_one_work_is_published_and_it_is_the_initiators(stage, run_id):
    stage.wait(2 * SLOT_S)
    arguments = stage.arguments(run_id, *PEERS)
    with boa.reverts("finish not proposed"):
        stage.swarm.finish(run_id, arguments)
    leader = stage.propose_finish(run_id, arguments)
    assert events(stage.swarm, "FinishProposed")[0]["digest"] == keccak256(arguments)
    assert stage.swarm.round_of(run_id, 3).leader == account(leader)
    with boa.reverts("window still open"):
        stage.swarm.finish(run_id, arguments)
    with boa.reverts("finish already proposed"):
        stage.propose_finish(run_id, arguments)
    stage.wait(WINDOW_S)
    with boa.reverts("not what was proposed"):
        stage.swarm.finish(run_id, stage.arguments(run_id, "shop", "bank", "club"))
    work_id = stage.swarm.finish(run_id, arguments, sender=account("stranger"))
    works = stage.record.hall.works
    assert works.ownerOf(work_id) == stage.initiator
    assert [parent[0] for parent in works.parents_of(work_id)] == [
        stage.record.dataset(role) for role in PEERS
    ]
    assert int.from_bytes(stage.swarm.round_of(run_id, 3).updates, "big") == work_id
    with boa.reverts("run is finished"):
        stage.swarm.finish(run_id, arguments)
    stage.wait(2 * WINDOW_S)
    with boa.reverts("finished already"):
        stage.propose_finish(run_id, arguments)
    assert stage.record.contract.run(run_id).work_id == work_id


def test_a_majority_stops_a_publication_and_another_is_proposed(stage, run_id):
    stage.wait(2 * SLOT_S)
    arguments = stage.arguments(run_id, *PEERS)
    with boa.reverts("not proposed, or settled"):
        stage.swarm.object_finish(run_id, keccak256(arguments), sender=account("bank"))
    liar = stage.propose_finish(run_id, stage.arguments(run_id, "bank"))
    for role in PEERS:
        if role != liar:
            stage.swarm.object_finish(run_id, keccak256(arguments), sender=account(role))
    assert stage.staked(liar) == 0
    with boa.reverts("no such run"):
        stage.swarm.object_finish(99, keccak256(arguments), sender=account("bank"))
    with boa.reverts("too late to commit"):
        stage.commit(run_id, next(role for role in PEERS if role != liar), SCORES)
    assert stage.propose_finish(run_id, arguments) != liar
    stage.wait(WINDOW_S)
    stage.swarm.finish(run_id, arguments)


def test_what_cannot_be_published_is_proposed_anew(stage, run_id):
    """An owner who closed its dataset, or arguments that nobody was given, once stopped a run for ever."""
    stage.wait(2 * SLOT_S)
    stage.propose_finish(run_id, b"arguments that are kept secret")
    stage.wait(2 * WINDOW_S - 1)
    arguments = stage.arguments(run_id, *PEERS)
    with boa.reverts("finish already proposed"):
        stage.propose_finish(run_id, arguments)
    stage.wait(1)
    assert stage.swarm.candidate(run_id, stage.slot(run_id)) == account(stage.leader(run_id))
    stage.propose_finish(run_id, arguments)
    stage.wait(WINDOW_S)
    stage.swarm.finish(run_id, arguments)


def test_what_federation_refuses_is_not_published(stage, run_id):
    stage.wait(2 * SLOT_S)
    arguments = stage.arguments(run_id, "bank", "shop")
    stage.propose_finish(run_id, arguments)
    stage.wait(WINDOW_S)
    with boa.reverts("one entry a parent"):
        stage.swarm.finish(run_id, arguments)


def test_arguments_of_another_run_publish_nothing(stage, run_id):
    other = stage.settled("bank", "shop")
    stage.wait(2 * SLOT_S)
    arguments = stage.arguments(other, "bank", "shop")
    stage.propose_finish(run_id, arguments)
    stage.wait(WINDOW_S)
    with boa.reverts("another run's"):
        stage.swarm.finish(run_id, arguments)
    assert stage.record.contract.run(other).work_id == 0


def test_it_takes_no_tokens(stage):
    works, work_id = stage.record.hall.works, stage.record.dataset("bank")
    with boa.reverts():
        works.safeTransferFrom(account("bank"), stage.swarm.address, work_id, sender=account("bank"))
