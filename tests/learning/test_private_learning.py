# SPDX-License-Identifier: Apache-2.0
"""A private recipe from owners' processes to the published card; what a run's folder says of privacy."""

from __future__ import annotations

import os
import signal

import pytest

from koinon.chain.contract import Call
from koinon.errors import BadInput
from koinon.learning import processes
from koinon.learning.api import Learning, model_card
from koinon.learning.evidence import audit
from koinon.learning.ledger import check_against_chain
from koinon.learning.models import Training
from koinon.learning.privacy.plan import Privacy
from koinon.learning.privacy.spending import spent_by
from koinon.learning.processes import OwnerProcess
from koinon.learning.splits import Split
from koinon.learning.told import read_told
from koinon.learning.told_privacy import read_privacy
from koinon.store import BlockStore
from tests.learning.support import recipe, table

SPLIT = Split(tuple(table(80, seed) for seed in range(4)), table(300, 8), table(400, 9))
SETTINGS = Privacy("private_sum", "distributed", clip_norm=2.0, epsilon=50.0)
RECIPE = recipe(
    privacy=SETTINGS,
    aggregation="mean",
    contribution="equal",
    minimum_owners=3,
    rounds=6,
    round_deadline_s=60.0,
)


@pytest.fixture
def fund(chain, devnet):
    def give(*addresses):
        sender = chain.sender(devnet.key(0))
        sender.send_all([Call(address, value=10**18) for address in addresses])

    return give


@pytest.mark.e2e
def test_processes_teach_in_private_survive_a_kill_and_publish_what_was_spent(
    tmp_path, monkeypatch, chain, new_account, fund
):
    started = []

    def remember(*arguments):
        started.append(OwnerProcess(*arguments))
        return started[-1]

    monkeypatch.setattr(processes, "OwnerProcess", remember)

    def progress(event):
        if event["event"] == "round" and event["round"] == 1:
            os.kill(started[1].pid, signal.SIGKILL)

    learning = Learning(
        tmp_path / "learning", new_account(), chain=chain, store=BlockStore(tmp_path / "blocks")
    )
    outcome = learning.run(RECIPE, SPLIT, fund=fund, progress=progress)
    assert outcome.owners[1].address in outcome.missing[6]
    assert [owner.rounds for owner in outcome.owners if owner.index != 1] == [6, 6, 6]
    assert {owner.share for owner in outcome.owners} == {200_000_000}
    assert all(owner.alone is None for owner in outcome.owners)
    assert outcome.privacy is not None
    assert 49 < (outcome.privacy.epsilon or 0) <= 50
    assert len(outcome.privacy.epsilons) == 6

    check_against_chain(chain.contract("Federation"), outcome.run_id, outcome.evidence)
    audit(outcome.evidence, SPLIT.contribution, outcome.contributions)

    told = read_told(learning.files(outcome)).privacy
    assert told is not None
    assert (told.mode, told.noise, told.protects, told.whole) == ("private_sum", "distributed", "owner", 50.0)
    assert tuple(epsilon for _, epsilon in told.epsilons) == outcome.privacy.epsilons

    limits = " ".join(model_card(outcome).limits)
    assert "Whether an owner took part is hidden to an epsilon of 50.00 at a delta of 1e-05" in limits
    assert "Updates were seen" not in limits
    assert learning.publish(outcome).work_id
    with pytest.raises(BadInput, match="taken apart"):
        learning.rebuild(outcome.run_id, SPLIT, [0], recipe=RECIPE, fund=fund)


def test_a_card_says_when_no_noise_protects_anybody():
    spent = spent_by(Privacy("private_sum", clip_norm=1.0), 3, 3, Training(1, 8, 0.1), [50])
    assert spent is not None
    assert spent.epsilon is None
    assert "No noise was added" in " ".join(spent.in_words())
    assert spent_by(Privacy(), 3, 3, Training(1, 8, 0.1), [50]) is None


def test_the_owner_with_the_fewest_rows_decides_what_was_spent():
    settings, training = Privacy(noise="rows", row_clip_norm=1.0, noise_multiplier=2.0), Training(1, 8, 0.1)
    few, both = (spent_by(settings, 2, 5, training, rows) for rows in ([40], [400, 40]))
    assert few is not None
    assert few == both
    assert few.epsilons[0] < few.epsilons[1]


def opened(**changes):
    promised = {"mode": "private_sum", "noise": "local", "protects": "owner", "delta": 1e-5, "whole": 4.0}
    return {"event": "opened", "privacy": promised | changes}


def test_a_runs_folder_tells_what_is_spent():
    events = [opened(), {"event": "round", "round": 1, "epsilon": 1.5}, {"event": "round", "round": 2}]
    told = read_privacy(events)
    assert told is not None
    assert told.epsilons == ((1, 1.5),)


@pytest.mark.parametrize(
    "events",
    [
        [],
        [{"event": "opened"}],
        [{"event": "opened", "privacy": 3}],
        [opened(mode="<script>")],
        [opened(noise=["local"])],
        [opened(delta="much")],
        [opened(protects="nobody")],
    ],
)
def test_nonsense_in_a_runs_folder_is_left_out(events):
    assert read_privacy(events) is None


def test_nonsense_epsilons_are_left_out():
    nonsense = [
        {"event": "round", "round": 1, "epsilon": epsilon} for epsilon in ("1", True, float("nan"), None)
    ]
    told = read_privacy([opened(whole="all"), *nonsense, {"event": "round", "round": "2", "epsilon": 1.0}])
    assert told is not None
    assert told.epsilons == ()
    assert told.whole is None
