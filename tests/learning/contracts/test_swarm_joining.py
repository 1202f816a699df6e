# SPDX-License-Identifier: Apache-2.0
"""Coming together: who may join with which bond, when a peer takes part, and who begins."""

from __future__ import annotations

import boa
import pytest

from koinon.chain.hashing import keccak256
from tests.contracts_support import NOBODY, account, deploy, deploy_mock, events, fresh_chain
from tests.learning.contracts.federation_support import JUDGE, LATER, RECIPE, TEST
from tests.learning.contracts.swarm_support import EMPTY, NOTHING, PENALTY, STAKE, WINDOW_S, Stage


@pytest.fixture(scope="module")
def built():
    with fresh_chain():
        yield Stage()


@pytest.fixture
def stage(built):
    with built.undone():
        yield built


@pytest.fixture
def run_id(stage):
    return stage.open()


def test_it_needs_a_federation_and_bonds(stage):
    with boa.reverts("no federation"):
        deploy("learning", "Swarm", account("nobody"), stage.bonds.address)
    with boa.reverts("no bonds"):
        deploy("learning", "Swarm", stage.record.contract.address, account("nobody"))


def test_opening_makes_the_contract_the_runs_opener(stage):
    run_id = stage.open(7)
    opened = events(stage.swarm, "SwarmOpened")[0]
    assert (opened["run_id"], opened["initiator"]) == (run_id, stage.initiator)
    assert stage.record.contract.run(run_id).opener == stage.swarm.address
    state = stage.swarm.swarm(run_id)
    assert (state.initiator, state.rounds, state.round, state.draw) == (stage.initiator, 7, 0, 0)
    assert (state.rules.token, state.rules.penalty) == (stage.token.address, PENALTY)
    assert stage.swarm.swarm(run_id + 1).initiator == NOBODY


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token": NOBODY}, "no token"),
        ({"penalty": 0}, "penalty out of range"),
        ({"penalty": STAKE + 1}, "penalty out of range"),
        ({"slot_s": 0}, "no time"),
        ({"window_s": 0}, "no time"),
        ({"rounds": 2**24 - 1}, "too many rounds"),
        ({"rounds": 0}, "no rounds"),
    ],
)
def test_impossible_rules_are_not_opened(stage, changes, reason):
    with boa.reverts(reason):
        stage.open(**changes)


def test_federations_own_conditions_hold(stage):
    rules = (stage.token.address, STAKE, PENALTY, 1, 1, False, False)
    with boa.reverts("the two sets must differ"):
        stage.swarm.open(RECIPE, JUDGE, JUDGE, 1, 1, rules)
    with boa.reverts("no recipe"):
        stage.swarm.open(EMPTY, JUDGE, TEST, 1, 1, rules)


def test_a_peer_announces_where_it_is_and_what_it_shows(stage, run_id):
    stage.join(run_id, "bank")
    joined = events(stage.swarm, "PeerJoined")[0]
    assert (joined["peer"], joined["number"], joined["member"]) == (account("bank"), 0, 0)
    assert (joined["certificate"], joined["url"]) == (b"certificate of bank", "https://bank.example")
    stage.join(run_id, "gpu", data=False)
    peers = stage.swarm.peers_of(run_id)
    assert [(peer.account, peer.member, peer.active) for peer in peers] == [
        (account("bank"), 0, False),
        (account("gpu"), 16, False),
    ]
    assert [member.work_id for member in stage.record.contract.members_of(run_id)] == [
        stage.record.dataset("bank")
    ]
    assert stage.swarm.work_of(run_id, account("bank")) == (0, 0)
    assert stage.swarm.work_of(run_id, account("stranger")) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"judge": account("another judge")}, "another judge"),
        ({"subject": keccak256(b"something else")}, "bond for something else"),
        ({"amount": STAKE - 1}, "stake too small"),
        ({"amount": 2**120}, "stake too large"),
        ({"ends_at": LATER, "notice_s": 0}, "bond ends"),
        ({"notice_s": WINDOW_S - 1}, "notice too short"),
        ({"notice_s": 2**63}, "notice too long"),
    ],
)
def test_a_bond_that_would_not_bind_is_refused(stage, run_id, changes, reason):
    stage.bonds_of["bank"] = stage.post(run_id, "bank", **changes)
    with boa.reverts(reason):
        stage.join_with(run_id, "bank")


def test_a_bond_in_another_token_or_by_another_is_refused(stage, run_id):
    other = deploy_mock("StakeToken")
    stage.bonds_of["bank"] = stage.post(run_id, "bank", token=other.address)
    with boa.reverts("another token"):
        stage.join_with(run_id, "bank")
    with boa.reverts("another's bond"):
        stage.join_with(run_id, "bank", bond_id=stage.post(run_id, "shop"))
    another_run = stage.open()
    with boa.reverts("bond for something else"):
        stage.join_with(another_run, "bank", bond_id=stage.post(run_id, "bank"))
    with boa.reverts():
        stage.join_with(run_id, "bank", bond_id=999)


def test_nobody_joins_twice_without_a_tip_or_what_is_not_there(stage, run_id):
    with boa.reverts("no tip"):
        stage.join_with(run_id, "bank", bond_id=stage.post(run_id, "bank"), tip=EMPTY)
    stage.join(run_id, "bank")
    with boa.reverts("joined already"):
        stage.join_with(run_id, "bank")
    with boa.reverts("no such run"):
        stage.join_with(run_id + 1, "shop")


def test_a_dataset_joins_only_by_its_owners_word(stage, run_id):
    work_id = stage.record.dataset("bank")
    bond = stage.post(run_id, "gpu")
    works = stage.record.hall.works
    works.setApprovalForAll(stage.swarm.address, True, sender=account("bank"))
    with boa.reverts("owner not asked"):
        stage.join_with(run_id, "gpu", joining=(work_id, 0, LATER, b""), bond_id=bond)
    with boa.reverts("consent not signed by the owner"):
        consent = stage.record.consent(run_id, work_id, "gpu")
        stage.join_with(run_id, "gpu", joining=(work_id, 0, LATER, consent), bond_id=bond)
    stage.join_with(run_id, "bank", joining=(work_id, 0, 0, b""), bond_id=stage.post(run_id, "bank"))
    assert stage.swarm.swarm(run_id).members == 1
    with boa.reverts("joined already"):
        stage.join_with(run_id, "gpu", joining=stage.record.joining(run_id, "bank"), bond_id=bond)


def test_an_owner_without_a_peer_agrees_by_signature(stage, run_id):
    joining = stage.record.joining(run_id, "museum", share=5)
    stage.join_with(run_id, "gpu", joining=joining, bond_id=stage.post(run_id, "gpu"))
    member = stage.record.contract.members_of(run_id)[0]
    assert (member.work_id, member.minimum_share) == (stage.record.dataset("museum"), 5)


def test_by_invitation_only_the_invited_join(stage):
    run_id = stage.open(by_invitation=True)
    stage.bonds_of["bank"] = stage.post(run_id, "bank")
    with boa.reverts("not invited"):
        stage.join_with(run_id, "bank")
    with boa.reverts("only the initiator"):
        stage.swarm.invite(run_id, [account("bank")], sender=account("bank"))
    stage.swarm.invite(run_id, [account("bank"), account("shop")], sender=stage.initiator)
    assert [entry["account"] for entry in events(stage.swarm, "Invited")] == [
        account("bank"),
        account("shop"),
    ]
    stage.join_with(run_id, "bank")
    with boa.reverts("only the initiator"):
        stage.swarm.invite(99, [account("bank")], sender=stage.initiator)


def test_at_most_thirty_two_peers_of_which_sixteen_teach(stage, run_id):
    roles = [f"peer {number}" for number in range(32)]
    stage.join(run_id, *roles[:16])
    stage.bonds_of["late"] = stage.post(run_id, "late")
    with boa.reverts("too many members"):
        stage.join_with(run_id, "late", joining=stage.record.joining(run_id, "late"))
    stage.join(run_id, *roles[16:], data=False)
    with boa.reverts("too many peers"):
        stage.join_with(run_id, "late", joining=NOTHING)


def test_a_peer_takes_part_once_its_first_preimage_is_known(stage, run_id):
    stage.join(run_id, "bank")
    with boa.reverts("not the tip's preimage"):
        stage.swarm.ready(run_id, b"\x01" * 32, sender=account("bank"))
    with boa.reverts("not a peer"):
        stage.swarm.ready(run_id, b"\x01" * 32, sender=account("stranger"))
    with boa.reverts("no such run"):
        stage.swarm.ready(run_id + 1, b"\x01" * 32, sender=account("bank"))
    stage.ready(run_id, "bank")
    ready = events(stage.swarm, "PeerReady")[0]
    assert (ready["peer"], ready["since"]) == (account("bank"), 1)
    assert stage.swarm.peers_of(run_id)[0].tip == ready["preimage"]
    with boa.reverts("active already"):
        stage.ready(run_id, "bank")


def test_a_bond_whose_end_was_announced_begins_nothing(stage, run_id):
    stage.join(run_id, "bank")
    stage.bonds.announce_end(stage.bonds_of["bank"], sender=account("bank"))
    with boa.reverts("bond ends"):
        stage.ready(run_id, "bank")


def test_two_active_peers_and_the_initiator_begin(stage, run_id):
    stage.join(run_id, "bank", "shop")
    stage.ready(run_id, "bank")
    with boa.reverts("too few peers"):
        stage.swarm.start(run_id, sender=stage.initiator)
    stage.ready(run_id, "shop")
    with boa.reverts("only the initiator"):
        stage.swarm.start(run_id, sender=account("bank"))
    assert stage.swarm.candidate(run_id, 0) == NOBODY
    stage.swarm.start(run_id, sender=stage.initiator)
    assert events(stage.swarm, "Started")[0]["seed"] == stage.swarm.swarm(run_id).seed
    assert stage.swarm.swarm(run_id).t0 == stage.now
    with boa.reverts("started already"):
        stage.swarm.start(run_id, sender=stage.initiator)
    with boa.reverts("no such run"):
        stage.swarm.start(run_id + 1, sender=stage.initiator)


def test_the_seed_is_what_all_revealed_in_whatever_order(stage):
    seeds = set()
    for order in (("bank", "shop", "club"), ("club", "bank", "shop")):
        with stage.undone():
            run_id = stage.open()
            stage.join(run_id, "bank", "shop", "club")
            stage.ready(run_id, *order)
            stage.swarm.start(run_id, sender=stage.initiator)
            seeds.add(stage.swarm.swarm(run_id).seed)
    assert len(seeds) == 1


def test_a_tip_chosen_after_others_revealed_does_not_count_for_the_seed(stage):
    seeds = set()
    for late in (None, "club", "museum"):
        with stage.undone():
            run_id = stage.open()
            stage.join(run_id, "bank", "shop")
            stage.ready(run_id, "bank")
            if late:
                stage.join(run_id, late)
                stage.ready(run_id, late)
            stage.ready(run_id, "shop")
            stage.swarm.start(run_id, sender=stage.initiator)
            seeds.add(stage.swarm.swarm(run_id).seed)
    assert len(seeds) == 1


def test_two_who_reveal_the_same_do_not_cancel_out(stage):
    seeds = set()
    for copying in (False, True):
        with stage.undone():
            run_id = stage.open()
            stage.join(run_id, "bank", "shop", "club")
            if copying:
                stage.onions["copier"] = stage.onion("bank")
                stage.join(run_id, "copier", data=False)
            stage.ready(run_id, "shop", "club")
            if copying:
                stage.ready(run_id, "bank", "copier")
            stage.swarm.start(run_id, sender=stage.initiator)
            seeds.add(stage.swarm.swarm(run_id).seed)
    assert len(seeds) == 2
