# SPDX-License-Identifier: Apache-2.0
"""Learning without a server through the front door: taught, published by the peers, everybody paid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from koinon.chain.contract import Call
from koinon.chain.keys import Key
from koinon.errors import BadInput, SetupError
from koinon.learning import cli, simulation
from koinon.learning.api import Learning
from koinon.learning.fairness import Fairness
from koinon.learning.gains import set_aside
from koinon.learning.leaving import without
from koinon.learning.privacy.plan import SUM_PAY, SUM_RULE, Privacy
from koinon.learning.splits import Split
from koinon.learning.swarm.chain_state import read_peers, read_swarm
from koinon.learning.swarm.run import local_rules
from koinon.learning.told import read_told
from koinon.store import BlockStore
from koinon.works.api import Works
from koinon.works.till import ETH
from tests.learning.support import recipe, table

PRIVATE = {
    "privacy": Privacy(mode="private_sum", clip_norm=1.0),
    "aggregation": SUM_RULE,
    "contribution": SUM_PAY,
    "minimum_owners": 3,
}
FAIRNESS = Fairness(group="age", edges=(40.0,), own_rows=0.25, told="scores", populations=True, least=25)
SPLIT = Split(tuple(table(80 + 40 * seed, seed) for seed in range(3)), table(300, 8), table(400, 9))


@pytest.mark.e2e
def test_a_swarm_publishes_its_model_and_everybody_is_paid(tmp_path, chain, new_account, devnet):
    opener, store = new_account(), BlockStore(tmp_path / "blocks")
    learning = Learning(tmp_path / "learning", opener, chain=chain, store=store)
    events: list[dict[str, Any]] = []

    def fund(*accounts: str) -> None:
        chain.sender(devnet.key(0)).send_all([Call(account, value=10**18) for account in accounts])

    found = recipe(compute_share=100_000_000, scaling=None, fairness=FAIRNESS)
    outcome = learning.swarm(
        found,
        SPLIT,
        progress=events.append,
        fund=fund,
        lenders=1,
        rules=local_rules(chain.coin.address, slot_s=3, window_s=2),
    )
    places = {one.account: one.member for one in read_peers(chain, outcome.run_id) if one.member is not None}
    owners = sorted(outcome.owners, key=lambda owner: owner.rows)  # as the split has them
    taught = [set_aside(found, one)[0] for one in SPLIT.owners]
    tables = [next(one for one in taught if len(one) == owner.rows) for owner in outcome.owners]
    scaling = simulation.scaling_for(found, taught)
    same = simulation.train_together(found, tables, scaling=scaling)
    assert np.array_equal(outcome.model.vector, same.vector)
    assert places == {owner.address: owner.index for owner in owners}
    assert [event["event"] for event in events].count("round") == found.rounds
    assert events[-1]["event"] == "measured"
    assert all(owner.alone is not None and owner.rounds == 3 for owner in owners)
    told = read_told(learning.files(outcome))
    assert (told.rounds, told.measured, told.led) == (found.rounds, True, False)
    assert len(told.joined) == 3
    assert len(told.scores) == len(told.groups) == found.rounds

    gains = [outcome.findings.gains[owner.index] for owner in owners]
    rows = [len(set_aside(found, one)[1]) for one in SPLIT.owners]
    assert [0 if gain is None else gain.rows for gain in gains] == [0, *rows[1:]]  # the first has too few
    assert all(gain is None or len(gain.trail) == found.rounds for gain in gains)
    assert all(drift.labels is not None and drift.direction is not None for drift in outcome.findings.drifts)
    assert outcome.findings.groups is not None
    assert outcome.findings.groups.column == "age"
    assert told.findings == outcome.findings

    published = learning.publish(outcome)
    works = Works(chain, store, opener)
    assert works.owner_of(published.work_id) == opener.address == read_swarm(chain, outcome.run_id).initiator
    card = works.registration_of(published.work_id).registration.card
    assert card.metric is not None
    assert card.metric.value == outcome.together.value
    lender = next(one.account for one in read_peers(chain, outcome.run_id) if one.member is None)
    before = chain.balance(lender)
    chain.sender(opener).send(Call(published.till, value=10**9))
    works.collect(published.work_id, ETH)
    assert chain.balance(lender) - before == found.compute_share
    assert sum(chain.balance(works.till_of(owner.work_id)) for owner in owners) == found.owners_share

    rebuilt = learning.rebuild(outcome.run_id, SPLIT, [1], recipe=found, fund=fund)
    assert {owner.work_id for owner in rebuilt.owners} == {owners[0].work_id, owners[2].work_id}
    expected = without(outcome.evidence, [owners[1].index])
    assert [one.model for one in rebuilt.evidence.rounds] == [one.model for one in expected.rounds]


def test_what_a_swarm_cannot_do_is_refused_before_it_begins(tmp_path, chain, new_account):
    with pytest.raises(SetupError, match="on a chain"):
        Learning(tmp_path, Key.generate()).swarm(recipe(), SPLIT)
    learning = Learning(tmp_path, new_account(), chain=chain)
    with pytest.raises(BadInput, match="nothing is hidden"):
        learning.swarm(recipe(**PRIVATE), SPLIT)
    with pytest.raises(BadInput, match="are the same"):
        learning.swarm(recipe(), replace(SPLIT, held_out=SPLIT.contribution))


@pytest.mark.parametrize(
    ("mode", "led", "private", "free", "expected"),
    [
        (None, False, False, True, True),
        (None, True, False, True, False),
        (None, False, True, True, False),
        (None, False, False, False, False),
        ("coordinator", False, False, True, False),
        ("swarm", False, False, False, True),
    ],
)
def test_the_command_takes_a_swarm_where_one_can_be(mode, led, private, free, expected):
    found = recipe(**PRIVATE) if private else recipe()
    assert cli._in_swarm(mode, found, led=led, free=free) is expected
    with pytest.raises(BadInput, match="everybody's peer"):
        cli._in_swarm("swarm", recipe(), led=True, free=True)
