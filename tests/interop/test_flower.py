# SPDX-License-Identifier: Apache-2.0
"""A real SuperLink with SuperNodes: shipped recipes make the model a coordinator makes, to the bit.

`make interop` runs this; ordinary runs leave it out. Rounds are fewer than the recipes', since one of
Flower's takes seconds however small the model is.
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from koinon.chain.contract import Call
from koinon.chain.keys import Key
from koinon.cli import main
from koinon.errors import PeerError
from koinon.learning.api import Learning
from koinon.learning.evidence import Evidence, audit
from koinon.learning.flower.engine import FlowerEngine, run_on_flower
from koinon.learning.flower.environment import FlowerEnvironment
from koinon.learning.flower.superlink import LocalSuperLink
from koinon.learning.ledger import check_against_chain
from koinon.learning.models import ModelSpec
from koinon.learning.recipes import example_split, read_recipe
from koinon.learning.splits import Split
from koinon.store import BlockStore
from koinon.works.api import Works
from koinon.works.till import ETH
from tests.learning.support import recipe, table

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3_600)]
OWNERS = 3
SMALL = Split(tuple(table(80 + 20 * seed, seed) for seed in range(OWNERS)), table(300, 8), table(400, 9))


def shipped(name: str, rounds: int) -> tuple[Any, Split]:
    """A shipped recipe of fewer rounds, and the data it is made for, of the first owners."""
    found = read_recipe(name)
    if found.model_spec.kind == "trees":  # every round has its own trees
        options = {**found.model_spec.options, "rounds": rounds}
        found = replace(found, rounds=rounds, model_spec=ModelSpec("trees", options))
    split = example_split(name, found.seed)
    return replace(found, rounds=rounds), replace(split, owners=split.owners[:OWNERS])


@pytest.mark.parametrize(("name", "rounds"), [("digits-torch", 6), ("credit-trees", 4), ("spam", 4)])
def test_a_shipped_recipe_makes_the_same_model_as_with_a_coordinator(tmp_path, name, rounds):
    found, split = shipped(name, rounds)
    here = Learning(tmp_path / "coordinator", Key.generate()).run(found, split)
    there = run_on_flower(Learning(tmp_path / "flower", Key.generate()), found, split)
    assert np.array_equal(there.model.vector, here.model.vector)
    assert [one.model for one in there.evidence.rounds] == [one.model for one in here.evidence.rounds]
    assert there.together == here.together
    assert [owner.alone for owner in there.owners] == [owner.alone for owner in here.owners]
    assert [owner.share for owner in there.owners] == [owner.share for owner in here.owners]
    assert there.alone_mean is not None
    assert there.together.value > there.alone_mean


def test_a_run_on_flower_is_recorded_and_paid_like_any_other(tmp_path, chain, devnet, new_account):
    def fund(*addresses: str) -> None:
        chain.sender(devnet.key(0)).send_all([Call(address, value=10**18) for address in addresses])

    opener, store = new_account(), BlockStore(tmp_path / "blocks")
    learning = Learning(tmp_path / "learning", opener, chain=chain, store=store)
    outcome = run_on_flower(learning, recipe(codec="int8", down_codec="int8"), SMALL, fund=fund)
    evidence = Evidence.from_bytes((learning.files(outcome) / "evidence.bin").read_bytes())
    check_against_chain(chain.contract("Federation"), outcome.run_id, evidence)
    audit(evidence, SMALL.contribution, outcome.contributions)

    published, works = learning.publish(outcome), Works(chain, store, opener)
    chain.sender(opener).send(Call(published.till, value=10**9))
    works.collect(published.work_id, ETH)
    for owner in outcome.owners:
        assert owner.work_id
        assert chain.balance(works.till_of(owner.work_id)) == owner.share


def test_a_supernode_killed_midway_is_left_out_on_a_superlink_that_ran_before(tmp_path):
    environment = FlowerEnvironment.find()
    superlink = LocalSuperLink(environment, tmp_path / "superlink")
    try:
        superlink.wait()
        engine = FlowerEngine(environment, superlink.link)

        def progress(event: dict[str, Any]) -> None:
            if event["event"] == "round" and event["round"] == 2:
                list(engine.nodes.values())[1].kill()

        outcome = run_on_flower(
            Learning(tmp_path, Key.generate()), recipe(rounds=5), SMALL, engine=engine, progress=progress
        )
    finally:
        superlink.process.stop()
    killed = outcome.owners[1]
    assert killed.rounds < 5
    assert killed.address in outcome.missing[5]
    assert [owner.rounds for owner in outcome.owners if owner.index != 1] == [5, 5]
    assert not any(node.family() for node in engine.nodes.values())
    assert superlink.process.family() == []


def test_a_superlink_that_goes_ends_the_run_with_the_reason(tmp_path):
    environment = FlowerEnvironment.find()
    superlink = LocalSuperLink(environment, tmp_path / "superlink")
    try:
        superlink.wait()

        def progress(event: dict[str, Any]) -> None:
            if event["event"] == "round" and event["round"] == 1:
                threading.Thread(target=superlink.process.kill).start()

        with pytest.raises(PeerError, match="ended before the run was over"):
            run_on_flower(
                Learning(tmp_path, Key.generate()),
                recipe(rounds=50),
                SMALL,
                engine=FlowerEngine(environment, superlink.link),
                progress=progress,
            )
    finally:
        superlink.process.stop()


def test_the_command_teaches_on_flower(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KOINON_HOME", str(tmp_path / "home"))
    own, path = table(300, 3), tmp_path / "own.csv"
    rows = [",".join((*own.columns, "default"))]
    rows += [",".join(map(str, (*row, label))) for row, label in zip(own.features, own.labels, strict=True)]
    path.write_text("\n".join(rows))
    asked = ["learn", "run", str(path), "--label", "default", "--owners", "2", "--rounds", "1", "--no-chain"]
    assert main([*asked, "--json", "--mode", "flower"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [owner["rounds"] for owner in found["owners"]] == [1, 1]
