# SPDX-License-Identifier: Apache-2.0
"""Rounds: whose turn it is, what a missed slot costs, what a majority overturns, and what is settled."""

from __future__ import annotations

import boa
import pytest

from koinon.chain.hashing import keccak256
from tests.contracts_support import account, events, fresh_chain
from tests.learning.contracts.federation_support import MODEL, UPDATES
from tests.learning.contracts.swarm_support import (
    EMPTY,
    OTHER_MODEL,
    PENALTY,
    SLOT_S,
    STAKE,
    WINDOW_S,
    Stage,
)

PEERS = ("bank", "shop", "club")
DIGEST = b"\x0d" * 32


@pytest.fixture(scope="module")
def built():
    with fresh_chain():
        stage = Stage()
        yield stage, stage.started(*PEERS, rounds=3, minimum_stake=STAKE - PENALTY)


@pytest.fixture
def begun(built):
    stage, run_id = built
    with stage.undone():
        yield stage, run_id


@pytest.fixture
def stage(begun):
    return begun[0]


@pytest.fixture
def run_id(begun):
    return begun[1]


def others(stage, run_id):
    """The peers whose slot it is not."""
    leader = stage.leader(run_id)
    return [role for role in PEERS if role != leader]


# whose turn it is


def test_a_round_says_who_led_it_and_what_was_staked(stage, run_id):
    role = stage.propose(run_id)
    proposed = events(stage.swarm, "Proposed")[0]
    found = stage.swarm.round_of(run_id, 1)
    assert (found.updates, found.model, found.participants) == (UPDATES, MODEL, 0b111)
    assert (found.leader, found.draw, found.stake) == (account(role), 1, 3 * STAKE)
    assert found.proposed_at == stage.now == stage.swarm.swarm(run_id).t0
    assert stage.swarm.peers_of(run_id)[PEERS.index(role)].tip == proposed["preimage"]
    assert stage.swarm.swarm(run_id).seed == proposed["seed"]
    for number in (0, 2):
        with boa.reverts("no such round"):
            stage.swarm.round_of(run_id, number)


def test_the_seed_of_the_next_draw_hangs_on_the_leaders_preimage(stage, run_id):
    before = stage.swarm.swarm(run_id).seed
    role = stage.leader(run_id)
    preimage = stage.preimage(run_id, role)
    stage.propose(run_id)
    assert stage.swarm.swarm(run_id).seed == keccak256(before + preimage)


def test_each_slot_has_one_candidate_and_all_have_their_turn(stage, run_id):
    found = [stage.role_of(run_id, slot) for slot in range(6)]
    assert sorted(found[:3]) == sorted(PEERS)
    assert found[3:] == found[:3]


def test_more_stake_is_drawn_first_more_often(built):
    stage, _ = built
    with stage.undone():
        run_id = stage.open(60)
        stage.join(run_id, "rich", stake=9 * STAKE)
        stage.join(run_id, "poor")
        stage.ready(run_id, "rich", "poor")
        stage.swarm.start(run_id, sender=stage.initiator)
        leaders = [stage.propose(run_id) for _ in range(60)]
        assert 42 <= leaders.count("rich") < 60


def test_only_the_candidate_proposes_and_only_in_its_slot(stage, run_id):
    for role in others(stage, run_id):
        with boa.reverts("another's slot"):
            stage.propose(run_id, role)
    with boa.reverts("not a peer"):
        stage.propose(run_id, "stranger", preimage=DIGEST)
    late = stage.leader(run_id)
    stage.wait(SLOT_S)
    with boa.reverts("another's slot"):
        stage.propose(run_id, late)
    stage.wait(2 * SLOT_S)
    assert stage.propose(run_id) == late


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"round": 0}, "rounds go in order"),
        ({"round": 2}, "rounds go in order"),
        ({"participants": 0}, "nobody took part"),
        ({"participants": 0b1000}, "participant did not join"),
        ({"participants": 2**255}, "participant did not join"),
        ({"model": EMPTY}, "no model"),
        ({"preimage": DIGEST}, "not the tip's preimage"),
    ],
)
def test_a_proposal_that_makes_no_sense_is_refused(stage, run_id, changes, reason):
    with boa.reverts(reason):
        stage.propose(run_id, **changes)


def test_there_are_as_many_rounds_as_planned_and_none_before_the_start(stage, run_id):
    for _ in range(3):
        stage.propose(run_id)
    with boa.reverts("more rounds than planned"):
        stage.propose(run_id)
    fresh = stage.open()
    stage.join(fresh, "bank", "shop")
    stage.ready(fresh, "bank")
    with boa.reverts("not started"):
        stage.propose(fresh, "bank")
    with boa.reverts("no such run"):
        stage.swarm.propose(99, 1, UPDATES, MODEL, 1, DIGEST, sender=account("bank"))


# what a missed slot costs


def test_who_misses_a_slot_pays_the_one_that_proposes(stage, run_id):
    missed = [stage.role_of(run_id, slot) for slot in range(2)]
    stage.wait(2 * SLOT_S)
    role = stage.propose(run_id)
    assert stage.credit(role) == 2 * PENALTY
    assert [stage.staked(each) for each in missed] == [STAKE - PENALTY] * 2
    assert [entry["peer"] for entry in events(stage.swarm, "Missed")] == [account(each) for each in missed]
    assert [peer.active for peer in stage.swarm.peers_of(run_id)] == [True] * 3


def test_nobody_pays_twice_in_a_draw_and_the_proposer_not_itself(stage, run_id):
    stage.wait(7 * SLOT_S)
    role = stage.propose(run_id)
    assert stage.credit(role) == 2 * PENALTY
    assert stage.staked(role) == STAKE


def test_withholding_a_preimage_costs_the_slot(stage, run_id):
    silent = stage.leader(run_id)
    with boa.reverts("not the tip's preimage"):
        stage.propose(run_id, silent, preimage=DIGEST)
    stage.wait(SLOT_S)
    stage.propose(run_id)
    assert stage.staked(silent) == STAKE - PENALTY


def test_whose_stake_falls_below_the_minimum_is_out(stage, run_id):
    silent = stage.leader(run_id)
    for _ in range(2):
        while stage.leader(run_id) == silent:
            stage.wait(SLOT_S)
        while silent not in {stage.role_of(run_id, slot) for slot in range(stage.slot(run_id))}:
            stage.wait(SLOT_S)
            if stage.leader(run_id) == silent:
                stage.wait(SLOT_S)
        stage.propose(run_id)
    assert stage.staked(silent) == STAKE - 2 * PENALTY
    assert not stage.swarm.peers_of(run_id)[PEERS.index(silent)].active
    assert silent not in {stage.role_of(run_id, slot) for slot in range(2)}
    with boa.reverts("stake too small"):
        stage.ready(run_id, silent)


# coming and going


def test_who_comes_late_is_drawn_from_the_draw_after_the_next(stage, run_id):
    stage.join(run_id, "late")
    stage.ready(run_id, "late")
    assert events(stage.swarm, "PeerReady")[0]["since"] == 3
    for draw in (1, 2, 3):
        drawn = {stage.role_of(run_id, slot) for slot in range(4)}
        assert ("late" in drawn) == (draw == 3)
        if draw < 3:
            stage.propose(run_id)
    assert stage.swarm.round_of(run_id, 2).stake == 3 * STAKE


def test_who_leaves_owes_its_slots_until_the_next_draw_is_over(stage, run_id):
    leaving = others(stage, run_id)[0]
    stage.swarm.leave(run_id, sender=account(leaving))
    assert events(stage.swarm, "PeerLeft")[0]["until"] == 2
    with boa.reverts("not active"):
        stage.swarm.leave(run_id, sender=account(leaving))
    with boa.reverts("not a peer"):
        stage.swarm.leave(run_id, sender=account("stranger"))
    for draw in (1, 2, 3):
        assert (leaving in {stage.role_of(run_id, slot) for slot in range(3)}) == (draw < 3)
        if draw < 3:
            while stage.leader(run_id) == leaving:
                stage.wait(SLOT_S)
            stage.propose(run_id)


def test_nobody_leaves_and_returns_to_escape_a_slot_or_to_shuffle_a_draw(stage, run_id):
    """Leaving and being ready again in one draw once took a peer out of its order."""
    order = [stage.role_of(run_id, slot) for slot in range(3)]
    missed = order[0]
    stage.wait(SLOT_S)
    stage.swarm.leave(run_id, sender=account(missed))
    with boa.reverts("still in this draw"):
        stage.ready(run_id, missed)
    assert [stage.role_of(run_id, slot) for slot in range(3)] == order
    stage.propose(run_id)
    assert stage.staked(missed) == STAKE - PENALTY


def test_who_left_takes_part_again_when_ready(stage, run_id):
    leaving = others(stage, run_id)[0]
    stage.swarm.leave(run_id, sender=account(leaving))
    for _ in range(2):
        while stage.leader(run_id) == leaving:
            stage.wait(SLOT_S)
        stage.propose(run_id)
    stage.ready(run_id, leaving)
    assert stage.swarm.peers_of(run_id)[PEERS.index(leaving)].active


def test_leaving_before_the_start_is_at_once_and_not_for_ever(stage):
    run_id = stage.open()
    stage.join(run_id, *PEERS)
    stage.ready(run_id, *PEERS)
    stage.swarm.leave(run_id, sender=account("club"))
    stage.swarm.start(run_id, sender=stage.initiator)
    assert {stage.role_of(run_id, slot) for slot in range(4)} == {"bank", "shop"}
    stage.ready(run_id, "club")


def test_anyone_takes_out_a_peer_whose_bond_ends(stage, run_id):
    ending = others(stage, run_id)[0]
    with boa.reverts("its bond stays"):
        stage.swarm.retire(run_id, account(ending))
    with boa.reverts("not a peer"):
        stage.swarm.retire(run_id, account("stranger"))
    stage.bonds.announce_end(stage.bonds_of[ending], sender=account(ending))
    stage.swarm.retire(run_id, account(ending), sender=account("stranger"))
    with boa.reverts("not active"):
        stage.swarm.retire(run_id, account(ending))
    assert ending in {stage.role_of(run_id, slot) for slot in range(3)}
    while stage.leader(run_id) == ending:
        stage.wait(SLOT_S)
    stage.propose(run_id)
    assert {stage.role_of(run_id, slot) for slot in range(4)} == set(PEERS) - {ending}


def test_a_bond_that_ends_within_the_window_cannot_stand_behind_a_proposal(stage, run_id):
    order = [stage.role_of(run_id, slot) for slot in range(3)]
    stage.wait(1)
    stage.bonds.announce_end(stage.bonds_of[order[0]], sender=account(order[0]))
    stage.wait(1)
    assert [stage.role_of(run_id, slot) for slot in range(3)] == order
    with boa.reverts("bond ends too soon"):
        stage.propose(run_id, order[0])
    stage.wait(SLOT_S)
    stage.propose(run_id)
    assert stage.staked(order[0]) == STAKE - PENALTY
    assert order[0] not in {stage.role_of(run_id, slot) for slot in range(3)}


def test_a_run_that_lost_everyone_goes_on_with_those_who_come(stage):
    run_id = stage.open()
    stage.join(run_id, "bank", "shop")
    stage.ready(run_id, "bank", "shop")
    for role in ("bank", "shop"):
        stage.bonds.announce_end(stage.bonds_of[role], sender=account(role))
    stage.wait(1)
    stage.swarm.start(run_id, sender=stage.initiator)
    with boa.reverts("nobody to draw"):
        stage.propose(run_id, "bank")
    stage.join(run_id, "club", "museum")
    stage.ready(run_id, "club", "museum")
    for _ in range(2):
        stage.swarm.start(run_id, sender=account("stranger"))
    with boa.reverts("started already"):
        stage.swarm.start(run_id, sender=account("stranger"))
    assert stage.propose(run_id, participants=0b100) in {"club", "museum"}


# what a majority overturns


def test_a_majority_of_the_stake_overturns_and_shares_the_leaders_bond(stage, run_id):
    liar = stage.propose(run_id)
    first, second = [role for role in PEERS if role != liar]
    stage.propose(run_id)
    stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(first))
    assert stage.swarm.swarm(run_id).round == 2
    stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(second))
    overturned = events(stage.swarm, "Overturned")[0]
    assert (overturned["leader"], overturned["amount"], overturned["round"]) == (account(liar), STAKE, 1)
    assert stage.staked(liar) == 0
    assert stage.credit(first) + stage.credit(second) == STAKE
    assert stage.credit(first) == STAKE // 2
    assert stage.swarm.swarm(run_id).round == 0
    assert not stage.swarm.peers_of(run_id)[PEERS.index(liar)].active
    assert liar not in {stage.role_of(run_id, slot) for slot in range(3)}
    with boa.reverts("not proposed, or settled"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(first))
    stage.propose(run_id)
    assert stage.swarm.swarm(run_id).round == 1


def test_half_of_the_stake_overturns_nothing(stage):
    run_id = stage.open()
    stage.join(run_id, "bank", stake=2 * STAKE)
    stage.join(run_id, "shop", "club")
    stage.ready(run_id, *PEERS)
    stage.swarm.start(run_id, sender=stage.initiator)
    while stage.leader(run_id) != "bank":
        stage.wait(SLOT_S)
    stage.propose(run_id)
    for role in ("shop", "club"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(role))
    assert stage.swarm.swarm(run_id).round == 1


def test_objections_that_disagree_overturn_nothing_until_a_majority_agrees(stage, run_id):
    liar = stage.propose(run_id)
    first, second = [role for role in PEERS if role != liar]
    stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(first))
    stage.swarm.object(run_id, 1, EMPTY, sender=account(second))
    assert stage.staked(liar) == STAKE
    stage.swarm.object(run_id, 1, EMPTY, sender=account(first))
    assert stage.staked(liar) == 0


def test_who_may_object_to_what(stage, run_id):
    with boa.reverts("not proposed, or settled"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account("bank"))
    with boa.reverts("no such run"):
        stage.swarm.object(99, 1, OTHER_MODEL, sender=account("bank"))
    with boa.reverts("not a round"):
        stage.swarm.object(run_id, 4, OTHER_MODEL, sender=account("bank"))
    leader = stage.propose(run_id)
    first, second = [role for role in PEERS if role != leader]
    with boa.reverts("the leader's own"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(leader))
    with boa.reverts("that is what was proposed"):
        stage.swarm.object(run_id, 1, MODEL, sender=account(first))
    with boa.reverts("not a peer"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account("stranger"))
    stage.join(run_id, "late")
    stage.ready(run_id, "late")
    with boa.reverts("not active"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account("late"))
    stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(first))
    with boa.reverts("objected already"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(first))
    stage.wait(WINDOW_S)
    with boa.reverts("window is over"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(second))
    stage.swarm.settle(run_id, 1)
    with boa.reverts("not proposed, or settled"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(second))


def test_a_bond_that_is_over_objects_to_nothing(stage, run_id):
    ending = others(stage, run_id)[0]
    stage.wait(1)
    stage.bonds.announce_end(stage.bonds_of[ending], sender=account(ending))
    stage.wait(WINDOW_S)
    while stage.leader(run_id) == ending:
        stage.wait(SLOT_S)
    stage.bonds.withdraw(stage.bonds_of[ending], sender=account(ending))
    stage.propose(run_id)
    with boa.reverts("bond is over"):
        stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(ending))
    assert stage.credit(ending) == STAKE


def test_a_leader_that_proposes_and_runs_loses_its_bond_all_the_same(stage, run_id):
    liar = stage.propose(run_id)
    stage.swarm.leave(run_id, sender=account(liar))
    stage.bonds.announce_end(stage.bonds_of[liar], sender=account(liar))
    stage.wait(WINDOW_S - 1)
    with boa.reverts("bond still stands"):
        stage.bonds.withdraw(stage.bonds_of[liar], sender=account(liar))
    for role in PEERS:
        if role != liar:
            stage.swarm.object(run_id, 1, OTHER_MODEL, sender=account(role))
    assert stage.staked(liar) == 0
    stage.wait(WINDOW_S)
    with boa.reverts("nothing left"):
        stage.bonds.withdraw(stage.bonds_of[liar], sender=account(liar))


def test_a_forfeited_bond_is_shared_by_stake_to_the_unit(stage):
    run_id = stage.open()
    stakes = {"bank": STAKE, "shop": STAKE + 1, "club": 3 * STAKE + 7}
    for role, stake in stakes.items():
        stage.join(run_id, role, stake=stake)
    stage.ready(run_id, *PEERS)
    stage.swarm.start(run_id, sender=stage.initiator)
    while stage.leader(run_id) != "bank":
        stage.wait(SLOT_S)
    before = {role: stage.staked(role) for role in PEERS}
    stage.propose(run_id)
    paid = stage.credit("bank")
    stage.swarm.object(run_id, 1, EMPTY, sender=account("shop"))
    stage.swarm.object(run_id, 1, EMPTY, sender=account("club"))
    assert stage.credit("shop") + stage.credit("club") + stage.credit("bank") - paid == STAKE
    assert sum(before.values()) == sum(stage.staked(role) for role in PEERS) + STAKE + paid


def test_thirty_two_peers_share_a_bond_in_two_goes(built):
    stage, _ = built
    with stage.undone():
        roles = [f"peer {number}" for number in range(32)]
        run_id = stage.open()
        stage.join(run_id, roles[0])
        stage.join(run_id, *roles[1:], data=False)
        stage.ready(run_id, *roles)
        stage.swarm.start(run_id, sender=stage.initiator)
        stage.wait(31 * SLOT_S)
        liar = stage.propose(run_id)
        assert stage.swarm._computation.get_gas_used() < 400_000 + 32 * 150_000
        honest = [role for role in roles if role != liar]
        gained, taken = sum(map(stage.credit, roles)), 0
        for role in honest:
            stage.swarm.object(run_id, 1, EMPTY, sender=account(role))
            taken = max(taken, stage.swarm._computation.get_gas_used())
            if stage.staked(liar) == 0:
                break
        assert taken < 400_000 + 32 * 80_000
        assert sum(map(stage.credit, roles)) - gained == STAKE
        assert stage.staked(liar) == 0


# everyone submits


@pytest.fixture
def each(stage):
    """A run in which every participant submits its digest itself."""
    run_id = stage.open(per_node=True)
    stage.join(run_id, *PEERS)
    stage.join(run_id, "gpu", data=False)
    stage.ready(run_id, *PEERS, "gpu")
    stage.swarm.start(run_id, sender=stage.initiator)
    return run_id


def test_only_those_who_submitted_took_part(stage, each):
    for role in ("bank", "club"):
        stage.swarm.submit(each, 1, DIGEST, sender=account(role))
    submitted = events(stage.swarm, "Submitted")[0]
    assert (submitted["member"], submitted["digest"], submitted["round"]) == (2, DIGEST, 1)
    assert stage.swarm.submitted(each) == 0b101
    with boa.reverts("participant did not submit"):
        stage.propose(each)
    stage.propose(each, participants=0b101)
    assert stage.swarm.submitted(each) == 0
    stage.swarm.submit(each, 2, DIGEST, sender=account("shop"))


def test_what_cannot_be_submitted(stage, each, run_id):
    for changes, sender, reason in (
        ((each, 2, DIGEST), "bank", "rounds go in order"),
        ((each, 1, EMPTY), "bank", "no digest"),
        ((each, 1, DIGEST), "gpu", "not a member"),
        ((each, 1, DIGEST), "stranger", "not a member"),
        ((run_id, 1, DIGEST), "bank", "one root a round"),
        ((99, 1, DIGEST), "bank", "no such run"),
    ):
        with boa.reverts(reason):
            stage.swarm.submit(*changes, sender=account(sender))
    stage.swarm.submit(each, 1, DIGEST, sender=account("bank"))
    with boa.reverts("submitted already"):
        stage.swarm.submit(each, 1, DIGEST, sender=account("bank"))
    stage.join(each, "late")
    with boa.reverts("not active"):
        stage.swarm.submit(each, 1, DIGEST, sender=account("late"))
    stage.ready(each, "late")
    stage.swarm.submit(each, 1, DIGEST, sender=account("late"))
    fresh = stage.open(per_node=True)
    stage.join(fresh, "museum")
    with boa.reverts("not started"):
        stage.swarm.submit(fresh, 1, DIGEST, sender=account("museum"))
    for _ in range(2):
        for role in PEERS:
            if not stage.swarm.submitted(each) >> PEERS.index(role) & 1:
                stage.swarm.submit(each, stage.swarm.swarm(each).round + 1, DIGEST, sender=account(role))
        stage.propose(each, participants=0b111)
    with boa.reverts("more rounds than planned"):
        stage.swarm.submit(each, 3, DIGEST, sender=account("bank"))


def test_what_was_submitted_stays_when_a_round_is_done_again(stage, each):
    for role in PEERS:
        stage.swarm.submit(each, 1, DIGEST, sender=account(role))
    while stage.leader(each) == "gpu":
        stage.wait(SLOT_S)
    liar = stage.propose(each)
    for role in (*PEERS, "gpu"):
        if role != liar and stage.staked(liar):
            stage.swarm.object(each, 1, EMPTY, sender=account(role))
    assert stage.swarm.swarm(each).round == 0
    assert stage.swarm.submitted(each) == 0b111
    stage.propose(each, participants=0b111)


# what is settled


def test_a_round_is_settled_after_its_window_and_only_then(stage, run_id):
    stage.propose(run_id)
    stage.wait(10)
    leader = stage.propose(run_id)
    with boa.reverts("not proposed"):
        stage.swarm.settle(run_id, 3)
    stage.wait(WINDOW_S - 11)
    with boa.reverts("window still open"):
        stage.swarm.settle(run_id, 1)
    stage.wait(1)
    with boa.reverts("window still open"):
        stage.swarm.settle(run_id, 2)
    stage.swarm.settle(run_id, 1, sender=account("stranger"))
    assert stage.record.contract.run(run_id).round == 1
    with boa.reverts("settled already"):
        stage.swarm.settle(run_id, 1)
    with boa.reverts("no such run"):
        stage.swarm.settle(99, 1)
    stage.wait(10)
    stage.swarm.settle(run_id, 2)
    assert events(stage.swarm, "Settled")[0]["leader"] == account(leader)
    assert stage.record.contract.run(run_id).round == 2
    assert sum(stage.swarm.work_of(run_id, account(role))[0] for role in PEERS) == 2


def test_at_most_sixteen_rounds_are_settled_at_once(stage):
    run_id = stage.started("bank", "shop", rounds=17)
    for _ in range(17):
        stage.propose(run_id)
    stage.wait(WINDOW_S)
    with boa.reverts("at most 16 at once"):
        stage.swarm.settle(run_id, 17)
    stage.swarm.settle(run_id, 16)
    stage.swarm.settle(run_id, 17)
    assert stage.record.contract.run(run_id).round == 17


def test_nobody_joins_when_the_rounds_are_over(stage):
    run_id = stage.settled("bank", "shop")
    stage.bonds_of["late"] = stage.post(run_id, "late")
    with boa.reverts("rounds are over"):
        stage.join_with(run_id, "late")
