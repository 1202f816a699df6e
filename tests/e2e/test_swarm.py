# SPDX-License-Identifier: Apache-2.0
"""Five peers' processes, no server: one is killed, one leads by lies, the model is as good as pooled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from koinon.chain.contract import Call
from koinon.learning import datasets, simulation
from koinon.learning.evidence import Evidence
from koinon.learning.ledger import check_against_chain
from koinon.learning.recipe import Recipe
from koinon.learning.recipes import read_recipe
from koinon.learning.splits import Split, split_evenly
from koinon.learning.swarm.chain_state import read_peers
from koinon.learning.swarm.run import STAKE, LocalSwarm, local_rules
from koinon.learning.trained import TrainedModel
from koinon.store import BlockStore
from koinon.works.api import Works
from koinon.works.bonds import Bonds
from tests.learning.support import recipe, table
from tests.learning.swarm import hostile

pytestmark = pytest.mark.e2e
HOSTILE, KILLED = 1, 3


@pytest.fixture
def fund(chain, devnet) -> Callable[..., None]:
    def give(*accounts: str) -> None:
        chain.sender(devnet.key(0)).send_all([Call(account, value=10**18) for account in accounts])

    return give


def digits() -> tuple[Recipe, Split]:
    return read_recipe("digits-torch", rounds=14), split_evenly(datasets.load_digits8(), 5, 1)


def trees() -> tuple[Recipe, Split]:
    rows = np.random.default_rng(2).permutation(30_000)[:9_000]
    return read_recipe("credit-trees"), split_evenly(datasets.load_credit().take(rows), 5, 1)


def spam() -> tuple[Recipe, Split]:
    return read_recipe("spam", rounds=20, epochs=1), split_evenly(datasets.load_spam(), 5, 1)


TASKS = [digits, trees, spam] if os.environ.get("KOINON_ALL_RECIPES") else [digits]
"""`make swarm` takes all."""


@pytest.mark.parametrize("task", TASKS)
def test_a_swarm_survives_a_killed_peer_and_a_hostile_leader(tmp_path, chain, new_account, fund, task):
    found, split = task()
    rules = replace(local_rules(chain.coin.address, slot_s=3, window_s=3), penalty=STAKE // 2)
    swarm = LocalSwarm(
        found,
        new_account(),
        tmp_path,
        split,
        chain=chain,
        rules=rules,
        fund=fund,
        stakes={**dict.fromkeys(range(5), 4 * STAKE), KILLED: STAKE, HOSTILE: 10 * STAKE},
        programs={HOSTILE: hostile.PROGRAM},
    )
    liar = swarm.peers[HOSTILE].account

    def progress(event: dict[str, Any]) -> None:
        if event["event"] == "round" and event["round"] == 3:
            swarm.peers[KILLED].kill()

    with swarm:
        swarm.start()
        work_id = swarm.watch(progress)

    survivors = [number for number in range(5) if number not in (HOSTILE, KILLED)]
    model = TrainedModel.load(Path(swarm.peers[0].config.data_dir) / "model.npz")
    scaling = found.scaling
    assert scaling is not None
    utility = simulation.utility_on(found, split.held_out, scaling)
    pooled = simulation.train_pooled(found, [split.owners[number] for number in survivors], scaling)
    assert utility(model.vector) >= utility(pooled) - 0.02

    overturned = swarm.ledger.contract.history("Overturned", run_id=swarm.run_id)
    assert {event["leader"] for event in overturned} == {liar}
    bond = next(one for one in read_peers(chain, swarm.run_id) if one.account == liar)
    assert Bonds(chain).bond(bond.bond_id).amount == 0
    assert not bond.active
    assert Works(chain, BlockStore(tmp_path), new_account()).owner_of(work_id) == swarm.ledger.account


def test_peers_come_late_come_back_after_a_crash_and_leave(tmp_path, chain, new_account, fund):
    split = Split(tuple(table(80 + 20 * seed, seed) for seed in range(4)), table(300, 8), table(400, 9))
    found = recipe(rounds=24, minimum_owners=3, compute_share=50_000_000)
    back, late, leaver, lender = 1, 3, 0, 4
    swarm = LocalSwarm(
        found,
        new_account(),
        tmp_path,
        split,
        chain=chain,
        lenders=1,
        rules=replace(local_rules(chain.coin.address, slot_s=3, window_s=3), per_node=True),
        fund=fund,
        stakes=dict.fromkeys(range(5), 8 * STAKE),
    )

    def progress(event: dict[str, Any]) -> None:
        if event["event"] != "round":
            return
        if event["round"] == 2:
            swarm.peers[back].kill()  # with too few owners the swarm waits
            swarm.peers[late].start()
            wait_for(swarm, late, "ready")
            swarm.peers[back].start()
        if event["round"] == 8:
            swarm.peers[leaver].leave()

    with swarm:
        swarm.start(late=[late])
        work_id = swarm.watch(progress)

    assert [peer.status for peer in swarm.peers] == [0] * 5
    folders = [Path(peer.config.data_dir) for peer in swarm.peers]
    stayed = [folders[number] for number in range(5) if number != leaver]
    models = [TrainedModel.load(folder / "model.npz").vector for folder in stayed]
    assert all(np.array_equal(model, models[0]) for model in models[1:])
    evidence = Evidence.from_bytes((stayed[0] / "evidence.bin").read_bytes())
    evidence.replay()
    check_against_chain(chain.contract("Federation"), swarm.run_id, evidence)
    members = {one.account: one.member for one in read_peers(chain, swarm.run_id)}
    places = [members[peer.account] for peer in swarm.peers]
    assert places[lender] is None
    taught = [
        {number for number, one in enumerate(evidence.rounds) if place in one.updates} for place in places
    ]
    assert min(taught[late]) >= 2
    assert max(taught[late]) == max(taught[back]) == 23
    assert {0, 1} <= taught[back]
    assert max(taught[leaver]) < 23

    works = Works(chain, BlockStore(stayed[0] / "blocks"), swarm.ledger.key)
    shares = works.registration_of(work_id).registration.shares
    assert shares is not None
    tills = {works.till_of(one.work_id) for one in read_peers(chain, swarm.run_id) if one.work_id}
    assert sum(share for payee, share in shares.items() if payee in tills) == found.owners_share
    assert shares[swarm.peers[lender].account] == found.compute_share


def wait_for(swarm: LocalSwarm, number: int, event: str) -> None:
    """Until a peer has told this."""
    deadline = time.monotonic() + 60
    while event not in {one["event"] for one in swarm.peers[number].events()}:
        assert time.monotonic() < deadline, swarm.peers[number].last_words()
        time.sleep(0.05)
