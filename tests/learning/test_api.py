# SPDX-License-Identifier: Apache-2.0
"""The whole job: owners' processes teach, the chain records, the model's Work pays everybody."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from koinon.chain.contract import Call
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, NotFound, PeerError, SetupError
from koinon.learning import cli, processes, simulation
from koinon.learning.api import REBUILT_FROM_KEY, Learning
from koinon.learning.dataset_work import COMMITMENT_KEY, publish_dataset
from koinon.learning.evidence import Evidence, audit
from koinon.learning.leaving import without
from koinon.learning.led_run import LedRun
from koinon.learning.ledger import Ledger, check_against_chain
from koinon.learning.messages import Joining, payload_digest
from koinon.learning.processes import OwnerProcess
from koinon.learning.splits import Split
from koinon.services.models import perceptron as models
from koinon.settings import Settings
from koinon.store import BlockStore
from koinon.terminal import Session, Terminal
from koinon.works.api import Works
from koinon.works.terms import Terms, Use, text_digest
from koinon.works.till import ETH
from tests.learning.support import recipe, table

SPLIT = Split(tuple(table(80 + 20 * seed, seed) for seed in range(3)), table(300, 8), table(400, 9))


@pytest.fixture
def fund(chain, devnet):
    def give(*addresses):
        sender = chain.sender(devnet.key(0))
        sender.send_all([Call(address, value=10**18) for address in addresses])

    return give


@pytest.mark.e2e
def test_owners_teach_and_are_paid(tmp_path, chain, new_account, fund):
    opener, store = new_account(), BlockStore(tmp_path / "blocks")
    learning = Learning(tmp_path / "learning", opener, chain=chain, store=store)
    events: list[dict[str, Any]] = []
    found = recipe()
    outcome = learning.run(found, SPLIT, progress=events.append, fund=fund)

    same = simulation.train_together(found, SPLIT.owners)
    assert np.array_equal(outcome.model.vector, same.vector)
    assert [event["event"] for event in events].count("round") == found.rounds
    assert events[-1]["event"] == "measured"
    assert outcome.together.low <= outcome.together.value <= outcome.together.high
    assert all(owner.alone is not None and owner.rounds == 3 for owner in outcome.owners)
    assert sum(owner.share for owner in outcome.owners) == found.owners_share
    json.dumps(outcome.to_dict())

    federation = chain.contract("Federation")
    ledger = Ledger(chain, opener)
    record = ledger.run(outcome.run_id)
    assert (record.opener, record.round, record.participants) == (opener.address, 3, 0b111)
    assert record.contribution_set == SPLIT.contribution.digest
    evidence = Evidence.from_bytes((learning.files(outcome) / "evidence.bin").read_bytes())
    check_against_chain(federation, outcome.run_id, evidence)
    audit(evidence, SPLIT.contribution, outcome.contributions)
    with pytest.raises(IntegrityError):
        check_against_chain(federation, outcome.run_id, replace(evidence, rounds=evidence.rounds[:-1]))

    published = learning.publish(outcome, royalty_bps=100)
    works = Works(chain, store, opener)
    assert works.owner_of(published.work_id) == opener.address
    assert [parent for parent, _ in works.parents_of(published.work_id)] == [
        owner.work_id for owner in outcome.owners
    ]
    metric = works.registration_of(published.work_id).registration.card.metric
    assert metric is not None
    assert metric.value == outcome.together.value
    assert ledger.run(outcome.run_id).work_id == published.work_id

    chain.sender(opener).send(Call(published.till, value=10**9))
    works.collect(published.work_id, ETH)
    for owner in outcome.owners:
        assert chain.balance(works.till_of(owner.work_id)) == owner.share

    served = models.load(learning.files(outcome) / "model.npz")
    rows = SPLIT.held_out.features[:20].astype(np.float64)
    assert np.allclose(
        served.probabilities(rows)[:, 1], outcome.model.predict(SPLIT.held_out.features[:20]), atol=1e-5
    )

    again = learning.run(found, SPLIT, fund=fund)
    assert again.run_id == outcome.run_id + 1
    assert [owner.work_id for owner in again.owners] == [owner.work_id for owner in outcome.owners]


@pytest.mark.e2e
def test_data_sold_for_training_teach_only_by_grant(tmp_path, chain, new_account, fund):
    opener, other = new_account(), new_account()
    learning = Learning(tmp_path / "learning", opener, chain=chain, store=BlockStore(tmp_path / "blocks"))
    first = learning.run(recipe(), SPLIT, fund=fund)
    seller = Key.load(
        tmp_path / "learning" / "owners" / "1" / "keys" / "operator.json",
        (tmp_path / "learning" / "owners" / "1" / "keys" / "password").read_text().strip(),
    )
    terms, sold = Terms(chain), first.owners[0].work_id
    offer = terms.offer(seller, sold, Use.TRAIN, price=0, terms_digest=text_digest("as you like"))
    second = learning.run(recipe(round_deadline_s=60.0), SPLIT, fund=fund)
    assert [owner.work_id for owner in second.owners] == [owner.work_id for owner in first.owners[1:]]
    terms.buy(other, sold, Use.TRAIN, offer, grantee=opener.address)
    third = learning.run(recipe(), SPLIT, fund=fund)
    assert [owner.work_id for owner in third.owners] == [owner.work_id for owner in first.owners]


@pytest.mark.e2e
def test_who_leaves_is_no_part_of_the_next_version(tmp_path, chain, new_account, fund):
    opener, store = new_account(), BlockStore(tmp_path / "blocks")
    learning = Learning(tmp_path / "learning", opener, chain=chain, store=store)
    found = recipe(codec="int8", down_codec="int8")
    first = learning.run(found, SPLIT, fund=fund)
    second = learning.rebuild(first.run_id, SPLIT, [1], recipe=found, fund=fund)
    expected = without(first.evidence, [1])
    assert second.run_id == first.run_id + 1
    assert [one.model for one in second.evidence.rounds] == [one.model for one in expected.rounds]
    assert [owner.address for owner in second.owners] == [first.owners[0].address, first.owners[2].address]
    check_against_chain(chain.contract("Federation"), second.run_id, second.evidence)
    audit(second.evidence, SPLIT.contribution, second.contributions)

    published = learning.publish(second, rebuilt_from=first.run_id)
    works = Works(chain, store, opener)
    assert [parent for parent, _ in works.parents_of(published.work_id)] == [
        owner.work_id for owner in second.owners
    ]
    said = works.contract.call("getMetadata", published.work_id, REBUILT_FROM_KEY)
    assert int.from_bytes(said, "big") == first.run_id
    assert learning.kept_score(first.run_id) == first.together.value

    with pytest.raises(BadInput, match="another recipe"):
        learning.rebuild(first.run_id, SPLIT, [1], recipe=recipe(), fund=fund)
    with pytest.raises(NotFound):
        learning.rebuild(99, SPLIT, [1], recipe=found, fund=fund)
    with pytest.raises(BadInput):
        without(first.evidence, [7])
    with pytest.raises(BadInput):
        without(first.evidence, [0, 1, 2])


@pytest.mark.e2e
def test_a_killed_owner_is_left_out_and_named(tmp_path, monkeypatch):
    started = []

    def remember(*arguments):
        started.append(OwnerProcess(*arguments))
        return started[-1]

    monkeypatch.setattr(processes, "OwnerProcess", remember)

    def progress(event):
        if event["event"] == "round" and event["round"] == 2:
            os.kill(started[1].pid, signal.SIGKILL)

    outcome = Learning(tmp_path, Key.generate()).run(
        recipe(rounds=200, round_deadline_s=300.0), SPLIT, progress=progress
    )
    killed = outcome.owners[1]
    assert killed.rounds < 200
    assert killed.alone is None
    assert killed.address in outcome.missing[200]
    assert [owner.rounds for owner in outcome.owners if owner.index != 1] == [200, 200]


@pytest.mark.e2e
def test_an_owner_with_a_bad_table_fails_alone_and_too_few_fail_together(tmp_path):
    empty = SPLIT.owners[0].take(np.arange(0))
    learning = Learning(tmp_path, Key.generate())
    outcome = learning.run(recipe(), replace(SPLIT, owners=(empty, *SPLIT.owners[1:])))
    assert len(outcome.owners) == 2
    with pytest.raises(PeerError, match="are needed"):
        learning.run(recipe(minimum_owners=3), replace(SPLIT, owners=(empty, *SPLIT.owners[1:])))


def test_common_sets_must_fit_and_differ(tmp_path):
    def led(**changes):
        sets = {"contribution": SPLIT.contribution, "held_out": SPLIT.held_out} | changes
        return LedRun(recipe(), Key.generate(), tmp_path, owners=3, **sets)

    with pytest.raises(BadInput, match="are the same"):
        led(held_out=SPLIT.contribution)
    with pytest.raises(BadInput, match="other columns"):
        led(held_out=replace(SPLIT.held_out, columns=("a", "b", "c")))
    with pytest.raises(BadInput, match="only the class"):
        led(held_out=replace(SPLIT.held_out, labels=np.zeros(400, np.int64)))


def test_publishing_needs_a_chain(tmp_path):
    learning = Learning(tmp_path, Key.generate())
    with pytest.raises(SetupError):
        learning.publish(None)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="2 to 100"):
        learning.run(recipe(), replace(SPLIT, owners=SPLIT.owners * 40))


@pytest.mark.e2e
def test_a_dataset_is_published_once_and_shows_no_row(tmp_path, chain, new_account):
    owner = new_account()
    first = publish_dataset(chain, owner, SPLIT.owners[0], tmp_path, name="Mine")
    assert publish_dataset(chain, owner, SPLIT.owners[0], tmp_path, name="Mine") == first
    other = publish_dataset(chain, owner, SPLIT.owners[1], tmp_path, name="Mine")
    assert other.work_id != first.work_id
    commitment = chain.contract("Works").call("getMetadata", first.work_id, COMMITMENT_KEY)
    assert commitment == hashlib.sha256(first.salt + SPLIT.owners[0].digest).digest()


@pytest.mark.e2e
def test_the_leader_refuses_what_the_contracts_would(tmp_path, chain, new_account):
    opener, owner = new_account(), new_account()
    work = publish_dataset(chain, owner, SPLIT.owners[0], tmp_path / "owner", name="Mine").work_id
    found = recipe()
    led = LedRun(
        found,
        opener,
        tmp_path,
        contribution=SPLIT.contribution,
        held_out=SPLIT.held_out,
        owners=3,
        chain=chain,
    )
    try:
        run = led._leader.run
        plain = Joining(
            run.run_id, owner.address, work, found.digest, 80, payload_digest(b""), 0, 10**11, b"", b""
        )
        for wrong, words in (
            (plain, "would not be accepted"),
            (replace(plain, work_id=10**6), "does not exist"),
            (replace(plain, work_id=work, owner=opener.address), "belongs to another"),
        ):
            signer = opener if wrong.owner == opener.address else owner
            with pytest.raises(BadInput, match=words):
                run.join(wrong.pack(signer, run.domain))
    finally:
        led.close()


def command(tmp_path, *arguments):
    """What a command prints, and what it raises."""
    out = io.StringIO()
    session = Session(Settings.load({}, home=tmp_path), Terminal(stdout=out, stderr=io.StringIO()))
    result = CliRunner().invoke(cli.group, arguments, obj=session)
    return out.getvalue(), result.exception


@pytest.mark.e2e
def test_the_command_teaches_on_ones_own_table(tmp_path):
    own = table(500, 3)
    lines = [",".join((*own.columns, "default"))]
    lines += [",".join(map(str, (*row, label))) for row, label in zip(own.features, own.labels, strict=True)]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    arguments = ("run", str(tmp_path / "own.csv"), "--label", "default", "--owners", "2", "--rounds", "2")
    printed, fault = command(tmp_path, *arguments, "--no-chain", "--json")
    assert fault is None
    found = json.loads(printed)
    assert [owner["rows"] for owner in found["owners"]] == [150, 150]
    assert found["together"]["value"] > 0.6
    printed, fault = command(tmp_path, *arguments, "--no-chain")
    assert fault is None
    assert "Gain over learning alone" in printed


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "table.csv"),
        ("run", "table.csv", "--label", "default"),
        ("run", "--hidden", "many", "--no-chain"),
        ("check", "none.bin", "--run", "1"),
    ],
)
def test_the_command_says_what_is_missing(tmp_path, arguments):
    _, fault = command(tmp_path, *arguments)
    assert isinstance(fault, BadInput)
