# SPDX-License-Identifier: Apache-2.0
"""A leader counts what is signed, fresh and fitting, once; and goes on without those who leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from koinon.errors import BadInput, IntegrityError, KoinonError, PeerError
from koinon.learning.aggregation import Update, WeightedMean
from koinon.learning.codecs import Float32
from koinon.learning.messages import AloneModel, GlobalModel, LocalUpdate, payload_digest, updates_digest
from koinon.learning.run import Run
from tests.learning.support import DOMAIN, joining, key, recipe, started, update


def test_a_round_is_the_aggregate_of_its_updates_and_is_signed():
    run, owners = started()
    base = run.common.vector
    changes = [np.full(base.shape, 0.1 * (index + 1), np.float32) for index in range(3)]
    for owner, change in zip(owners, changes, strict=True):
        assert not run.complete
        assert run.receive(update(run, owner, change))
    assert run.complete
    closed = run.close_round()
    expected = WeightedMean().aggregate(base, [Update(change, 60) for change in changes])
    message, payload = GlobalModel.unpack(closed.frame, DOMAIN, key("opener").address)
    assert np.array_equal(Float32().decode(payload[1:], base.shape[0]), expected)
    assert (message.round, message.participants, message.last) == (1, 0b111, False)
    digests = {index: payload_digest(Float32().encode(change)) for index, change in enumerate(changes)}
    assert message.updates == updates_digest(digests)
    assert {index: payload_digest(data) for index, data in closed.updates.items()} == digests


def test_the_run_ends_after_the_planned_rounds():
    run, owners = started(rounds=2)
    for number in (1, 2):
        for owner in owners:
            run.receive(update(run, owner))
        assert run.close_round().model.last == (number == 2)
    assert run.finished
    late = LocalUpdate(1, 2, owners[0].address, bytes(32), payload_digest(b""), 60)
    assert run.receive(late.pack(owners[0], DOMAIN)) is False


def test_a_missing_owner_is_left_out_named_and_welcome_again():
    run, owners = started()
    slow = update(run, owners[2])
    for owner in owners[:2]:
        run.receive(update(run, owner))
    assert not run.complete
    closed = run.close_round()
    assert closed.missing == (owners[2].address,)
    assert closed.model.participants == 0b011
    assert run.receive(update(run, owners[0]))
    assert run.receive(update(run, owners[1]))
    assert run.complete  # nobody waits for the third
    assert run.receive(slow) is False  # too late, but alive
    assert not run.complete
    assert run.receive(update(run, owners[2]))
    assert run.close_round().model.participants == 0b111


def test_too_few_owners_end_the_run():
    run, owners = started()
    run.receive(update(run, owners[0]))
    with pytest.raises(PeerError, match="updates of 1 owners, 2 are needed"):
        run.close_round()
    empty = Run(recipe(), 1, key("opener"), DOMAIN, expected=3)
    with pytest.raises(PeerError, match="Only 0 of 3"):
        empty.start()


def test_the_same_update_again_is_one_update():
    run, owners = started()
    frame = update(run, owners[0])
    assert run.receive(frame)
    assert run.receive(frame)
    with pytest.raises(BadInput, match="another update"):
        run.receive(update(run, owners[0], np.zeros_like(run.common.vector)))


def test_a_replayed_update_of_an_earlier_round_does_not_count():
    run, owners = started()
    frames = [update(run, owner) for owner in owners]
    for frame in frames:
        run.receive(frame)
    run.close_round()
    assert [run.receive(frame) for frame in frames] == [False] * 3
    assert not run.complete


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"run_id": 2}, "learning.other_run"),
        ({"round": 2}, "learning.round"),
        ({"base": b"\x09" * 32}, "learning.base"),
        ({"examples": 61}, "learning.examples"),
        ({"update": b"\x09" * 32}, "learning.digest"),
        ({"owner": key("owner 1").address}, "learning.signature"),
    ],
)
def test_an_update_that_does_not_fit_is_refused(changes, code):
    run, owners = started()
    with pytest.raises(KoinonError) as caught:
        run.receive(update(run, owners[0], **changes))
    assert caught.value.code == code
    assert not run.complete


@pytest.mark.parametrize("change", [np.full(3, 0.1, np.float32), None, np.inf, 1e6])
def test_a_vector_that_is_none_is_refused(change):
    run, owners = started()
    if not isinstance(change, np.ndarray):
        change = np.full(run.common.vector.shape, np.nan if change is None else change, np.float32)
    with pytest.raises(BadInput):
        run.receive(update(run, owners[0], change))


def test_a_stranger_cannot_send_updates():
    run, _ = started()
    with pytest.raises(BadInput, match="takes no part"):
        run.receive(update(run, key("stranger")))


def test_joining_again_the_same_way_is_answered_alike_and_otherwise_refused():
    found, owner = recipe(), key("owner 0")
    run = Run(found, 1, key("opener"), DOMAIN, expected=2)
    first = run.join(joining(found, owner))
    assert run.join(joining(found, owner)) is first
    with pytest.raises(BadInput, match="joined already"):
        run.join(joining(found, owner, rows=61))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"run_id": 9}, "learning.other_run"),
        ({"recipe": b"\x01" * 32}, "learning.other_recipe"),
        ({"examples": 0}, "learning.too_few_rows"),
        ({"examples": 19}, "learning.too_few_rows"),
        ({"statistics": b"\x01" * 32}, "learning.digest"),
    ],
)
def test_a_joining_that_does_not_fit_is_refused(changes, code):
    found = recipe()
    run = Run(found, 1, key("opener"), DOMAIN, expected=2)
    with pytest.raises(KoinonError) as caught:
        run.join(joining(found, key("owner 0"), **changes))
    assert caught.value.code == code
    assert not run.members


def test_uninvited_and_late_owners_are_refused():
    found = recipe()
    run = Run(found, 1, key("opener"), DOMAIN, expected=2, allowed=[key("owner 0").address])
    with pytest.raises(BadInput, match="not invited"):
        run.join(joining(found, key("owner 1")))
    begun, _ = started()
    with pytest.raises(BadInput, match="begun without you"):
        begun.join(joining(begun.recipe, key("latecomer")))


def test_invited_owners_are_numbered_as_they_were_invited():
    found, roles = recipe(), ("owner 2", "owner 0", "owner 1")
    invited = [key(role).address for role in sorted(roles)]
    run = Run(found, 1, key("opener"), DOMAIN, expected=3, allowed=invited)
    for role in roles:
        run.join(joining(found, key(role)))
    assert [member.address for member in run.settle()] == invited
    assert [member.index for member in run.settle()] == [0, 1, 2]


def test_nobody_joins_once_the_members_are_settled():
    found = recipe()
    run = Run(found, 1, key("opener"), DOMAIN, expected=3)
    run.join(joining(found, key("owner 0")))
    run.settle()
    with pytest.raises(BadInput, match="begun without you"):
        run.join(joining(found, key("owner 1")))


def test_promises_must_fit_the_owners_share_and_works_differ():
    found = recipe(owners_share=500_000_000)
    run = Run(found, 1, key("opener"), DOMAIN, expected=3)
    run.join(joining(found, key("owner 0"), minimum_share=300_000_000, work_id=7))
    with pytest.raises(BadInput, match="minimum share"):
        run.join(joining(found, key("owner 1"), minimum_share=200_000_001))
    with pytest.raises(BadInput, match="takes part already"):
        run.join(joining(found, key("owner 1"), work_id=7))


def test_a_refusal_of_the_callers_own_check_stands():
    def refuse(_):
        raise BadInput("Not you.")

    found = recipe()
    run = Run(found, 1, key("opener"), DOMAIN, expected=3, check=refuse)
    with pytest.raises(BadInput, match="Not you"):
        run.join(joining(found, key("owner 0")))
    assert not run.members


def test_statistics_become_the_common_scaling():
    run, _ = started(scaling=None)
    assert run.scaling is not None
    assert len(run.scaling.center) == 3
    found = recipe(scaling=None)
    fresh = Run(found, 1, key("opener"), DOMAIN, expected=2)
    with pytest.raises(BadInput, match="count other rows"):
        fresh.join(joining(found, key("owner 0"), rows=60, examples=70))
    with pytest.raises(BadInput, match="statistics"):
        fresh.join(joining(replace(found, scaling=recipe().scaling), key("owner 0"), recipe=found.digest))


def test_models_made_alone_are_taken_from_members_only():
    run, owners = started()
    payload = Float32().encode(run.common.vector)
    message = AloneModel(1, owners[1].address, payload_digest(payload))
    assert run.receive_alone(message.pack(owners[1], DOMAIN, payload)).index == 1
    assert np.array_equal(run.alone[1], run.common.vector)
    with pytest.raises(IntegrityError):
        run.receive_alone(message.pack(owners[1], DOMAIN, payload[:-4]))
    stranger = key("stranger")
    with pytest.raises(BadInput):
        run.receive_alone(AloneModel(1, stranger.address, payload_digest(b"")).pack(stranger, DOMAIN))


@pytest.mark.parametrize("expected", [1, 101])
def test_impossible_numbers_of_owners_are_refused(expected):
    with pytest.raises(BadInput):
        Run(recipe(), 1, key("opener"), DOMAIN, expected=expected)
