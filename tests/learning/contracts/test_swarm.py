# SPDX-License-Identifier: Apache-2.0
"""A federation that nobody runs: from the first bond to the model's Work."""

from __future__ import annotations

import pytest

from koinon.learning.swarm.onion import packed_scores
from tests.contracts_support import account, events, fresh_chain
from tests.learning.contracts.federation_support import MODEL
from tests.learning.contracts.swarm_support import SLOT_S, STAKE, WINDOW_S, Stage


@pytest.fixture(autouse=True)
def chain():
    with fresh_chain():
        yield


@pytest.fixture
def stage():
    return Stage()


PEERS = ("bank", "shop", "club")


def test_three_peers_teach_a_model_without_anyone_in_charge(stage):
    run_id = stage.settled(*PEERS, rounds=2)
    federation = stage.record.contract
    assert federation.run(run_id).round == 2
    assert federation.run(run_id).model == MODEL
    assert sum(stage.swarm.work_of(run_id, account(role))[0] for role in PEERS) == 2

    for number, role in enumerate(PEERS):
        stage.commit(run_id, role, packed_scores([1, 2 + number, 3]))
    stage.wait(SLOT_S)
    for number, role in enumerate(PEERS):
        stage.reveal(run_id, role, packed_scores([1, 2 + number, 3]))
    stage.wait(SLOT_S)

    arguments = stage.arguments(run_id, *PEERS)
    stage.propose_finish(run_id, arguments)
    stage.wait(WINDOW_S)
    work_id = stage.swarm.finish(run_id, arguments)
    assert events(stage.swarm, "SwarmFinished")[0]["work_id"] == work_id
    works = stage.record.hall.works
    assert works.ownerOf(work_id) == stage.initiator
    assert len(works.parents_of(work_id)) == 3
    assert all(stage.staked(role) == STAKE for role in PEERS)
