# SPDX-License-Identifier: Apache-2.0
"""A ServerApp's rounds over nodes in this process, confirmed by a real leader; Flower is not needed."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from koinon.errors import BadInput, IntegrityError, KoinonError, NotFound, PeerError
from koinon.learning import simulation
from koinon.learning.flower.coordinator import Coordinator
from koinon.learning.flower.node import OwnerNode, Remembered, run_name
from koinon.learning.flower.rounds import FlowerRounds, Reply
from koinon.learning.gains import set_aside
from koinon.learning.leader import AloneReceived, Full, Leader, RoundClosed
from koinon.learning.messages import federation_domain
from koinon.learning.owner_config import OwnerConfig
from tests.learning.support import key, recipe, table

OPENER = key("opener")
DOMAIN = federation_domain(0)
PASSWORD = "a password for tests"


def owner(folder: Path, index: int, **changes) -> OwnerNode:
    """An owner with its table and key in a folder of its own."""
    folder = folder / f"owner {index}"
    folder.mkdir(exist_ok=True)
    table(60 + index, index).save(folder / "table.npz")
    (folder / "password").write_text(PASSWORD)
    if not (folder / "key.json").exists():
        key(f"owner {index}").save(folder / "key.json", PASSWORD, derivation="pbkdf2")
    config = OwnerConfig(
        leader="",
        opener=OPENER.address,
        run_id=0,
        table=str(folder / "table.npz"),
        keystore=str(folder / "key.json"),
        password_file=str(folder / "password"),
        data_dir=str(folder),
    )
    return OwnerNode(replace(config, **changes))


class Desk:
    """Nodes that answer at once, each message by an owner made anew, as a fresh process would."""

    def __init__(self, folder, owners=3):
        self.folder = folder
        self.nodes = {100 + index: index for index in range(owners)}
        self.answers: dict[str, Reply] = {}
        self.sent: list[tuple[int, str]] = []
        self.spoil = lambda _node, _kind, frame: frame

    def here(self):
        return set(self.nodes)

    def send(self, node, kind, fields, *, patience_s):
        assert patience_s > 0
        message = f"message {len(self.sent)}"
        self.sent.append((node, kind))
        if node in self.nodes:
            self.answers[message] = self.answer(message, node, kind, fields)
        return message

    def answer(self, message, node, kind, fields):
        one = owner(self.folder, self.nodes[node])
        try:
            if kind == "query.join":
                frame = one.join(fields["offer"])
            elif kind == "train":
                frame = one.teach(fields["run"], fields["start"], fields["model"])
            else:
                return Reply(message, one.finish(fields["run"], fields["start"], fields["model"]))
        except KoinonError as error:
            return Reply(message, {}, error.message)
        return Reply(message, {"frame": self.spoil(node, kind, frame)})

    def receive(self, messages):
        return [self.answers.pop(message) for message in list(messages) if message in self.answers]


@contextmanager
def led(folder, found, expected=3, **options):
    """A leader with its events gone through in a thread."""
    allowed = [key(f"owner {index}").address for index in range(expected)]
    with Leader(
        found, OPENER, folder, run_id=1, domain=DOMAIN, expected=expected, allowed=allowed, **options
    ) as serving:
        events: list[Any] = []

        def listen():
            try:
                for event in serving.events():
                    events.append(event)
                    if isinstance(event, Full):
                        serving.begin()
            except KoinonError as error:
                events.append(error)

        listening = threading.Thread(target=listen)
        listening.start()
        try:
            yield serving, events
        finally:
            serving.fail(PeerError("The test is over."))
            listening.join(30)


def lead(desk, serving, said=None, **options):
    with Coordinator(serving.url, OPENER.address, DOMAIN, 1) as coordinator:
        say = (lambda _: None) if said is None else said.append
        return FlowerRounds(desk, coordinator, say=say, **options).lead()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scaling": None},
        {"codec": "int8", "down_codec": "int8"},
        {"method": "scaffold", "optimiser": "sgd", "steps": 4},
    ],
    ids=["plain", "statistics", "compressed", "remembering"],
)
def test_nodes_make_the_model_of_one_process(tmp_path, changes):
    found = recipe(**changes)
    with led(tmp_path, found) as (serving, events):
        common = lead(Desk(tmp_path), serving)
    tables = [set_aside(found, table(60 + index, index))[0] for index in range(3)]
    expected = simulation.train_together(found, tables)
    assert np.array_equal(common.parameters, expected.vector)
    assert np.array_equal(serving.run.common.vector, common.vector)
    kinds = [type(event) for event in events]
    assert kinds.count(RoundClosed) == 1 + found.rounds
    assert kinds.count(AloneReceived) == 3
    assert (tmp_path / "owner 0" / "model.npz").exists()
    if found.fairness.asks_owners:
        gain = serving.run.reports[2].gain
        assert gain is not None
        assert [number for number, _ in gain.trail] == [1, 2, 3]


def test_a_node_that_goes_is_left_out_and_one_that_comes_back_takes_part_again(tmp_path):
    found = recipe(rounds=6, round_deadline_s=1.5)
    desk = Desk(tmp_path)

    def spoil(node, kind, frame):
        trained = [kind for _, kind in desk.sent].count("train")
        if kind == "train" and trained == 2 and 102 in desk.nodes:
            del desk.nodes[102]  # before it was asked for round 1
        if kind == "train" and trained >= 6 and 202 not in desk.nodes:
            desk.nodes[202] = 2
        return frame

    desk.spoil = spoil
    with led(tmp_path, found) as (serving, _):
        common = lead(desk, serving)
    taken_part = [2 in one.updates for one in serving.run.rounds]
    assert not taken_part[0]
    assert taken_part[-1]
    assert np.array_equal(serving.run.common.vector, common.vector)


@pytest.mark.parametrize(
    ("end", "words"), [(b"\0" * 4, "was refused"), (b"\x7f" * 4, "sent no update")], ids=["forged", "absurd"]
)
def test_what_a_hostile_node_sends_counts_for_nothing(tmp_path, end, words):
    desk = Desk(tmp_path)
    said: list[str] = []
    desk.spoil = lambda node, kind, frame: frame[:-4] + end if (node, kind) == (102, "train") else frame
    with led(tmp_path, recipe(rounds=2, round_deadline_s=1.5)) as (serving, _):
        common = lead(desk, serving, said)
    assert [sorted(one.updates) for one in serving.run.rounds] == [[0, 1]] * 2
    assert np.array_equal(serving.run.common.vector, common.vector)
    assert any(words in sentence for sentence in said)


def test_a_node_that_is_not_invited_is_said_and_the_others_go_on(tmp_path):
    desk = Desk(tmp_path, owners=4)
    said: list[str] = []
    with led(tmp_path, recipe()) as (serving, _):
        lead(desk, serving, said)
    assert len(serving.run.members) == 3
    assert any("was not invited" in sentence or "in time" in sentence for sentence in said)


def test_a_coordinator_that_aggregates_otherwise_is_found_out(tmp_path):
    with led(tmp_path, recipe()) as (serving, _):
        honest = serving.run.common.advance

        def advance(updates):
            honest(updates)
            serving.run.common.vector[0] += 1
            return serving.run.common.vector

        serving.run.common.advance = advance
        with pytest.raises(IntegrityError, match="another model here"):
            lead(Desk(tmp_path), serving)


def test_too_few_nodes_end_the_run_on_both_sides(tmp_path):
    desk = Desk(tmp_path, owners=1)
    with (
        led(tmp_path, recipe(), join_deadline_s=1.0) as (serving, events),
        pytest.raises(PeerError, match="are needed"),
    ):
        lead(desk, serving)
    assert isinstance(events[-1], PeerError)


def test_a_serverapp_without_nodes_ends_when_the_coordinator_does(tmp_path, monkeypatch):
    monkeypatch.setattr("koinon.learning.flower.rounds.CHECK_S", 0.5)
    with led(tmp_path, recipe()) as (serving, _):

        def end():
            serving.fail(PeerError("Nobody came."))
            serving.close()

        threading.Timer(1.0, end).start()
        with pytest.raises(PeerError):
            lead(Desk(tmp_path, owners=0), serving)


def test_a_node_answers_the_same_message_the_same_way_and_refuses_what_is_over(tmp_path):
    with led(tmp_path, recipe(), expected=2) as (serving, _):
        messages = []

        class Listening(Desk):
            def send(self, node, kind, fields, *, patience_s):
                messages.append((node, kind, fields))
                return super().send(node, kind, fields, patience_s=patience_s)

        lead(Listening(tmp_path, owners=2), serving)
    offer = next(fields["offer"] for _, kind, fields in messages if kind == "query.join")
    trained = [fields for node, kind, fields in messages if (node, kind) == (100, "train")]
    one = owner(tmp_path, 0)
    assert one.join(offer) == one.join(offer)
    last = trained[-1]
    assert one.teach(**last) == one.teach(**last)
    with pytest.raises(BadInput, match="is over"):
        one.teach(**trained[0])
    with pytest.raises(IntegrityError):
        owner(tmp_path, 1).teach(**last)
    with pytest.raises(NotFound):
        one.teach(**{**last, "run": bytes(32)})
    with pytest.raises(IntegrityError):
        owner(tmp_path, 0, opener=key("stranger").address).teach(**last)
    with pytest.raises(BadInput, match="not 1"):
        owner(tmp_path, 3, run_id=7).join(offer)
    assert (
        owner(tmp_path, 0, share_alone=False).finish(
            last["run"],
            last["start"],
            next(f["model"] for n, k, f in messages if (n, k) == (100, "query.finish")),
        )
        == {}
    )
    (tmp_path / "owner 0" / "flower" / run_name(offer).hex()[:32] / "learner.npz").write_bytes(b"torn")
    with pytest.raises(BadInput):
        one.teach(**last)


def test_what_an_owner_remembers_survives_writing():
    one = Remembered(3, np.arange(4, dtype=np.float32), b"update", b"")
    again = Remembered.from_bytes(one.to_bytes())
    assert (again.round, again.update, again.learner) == (3, b"update", b"")
    assert np.array_equal(again.base, one.base)
