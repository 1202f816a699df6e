# SPDX-License-Identifier: Apache-2.0
"""Private sums between owners and a leader over TLS: exact, secret, and recovered when somebody dies."""

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from koinon.errors import BadInput, IntegrityError, KoinonError, PeerError
from koinon.learning import simulation
from koinon.learning.common import vector_digest
from koinon.learning.connection import HttpsTransport
from koinon.learning.evidence import Evidence, RoundEvidence
from koinon.learning.leader import Full, Leader, RoundClosed
from koinon.learning.local import LocalLearner
from koinon.learning.messages import federation_domain, split_frame
from koinon.learning.owner import Owner
from koinon.learning.owner_config import Network
from koinon.learning.privacy.plan import Privacy
from koinon.learning.privacy.secagg import Phase
from koinon.learning.privacy.secagg.messages import pack
from koinon.learning.private_messages import PrivateStep
from koinon.learning.private_owner import PrivateExchange
from koinon.learning.private_run import AGAIN, GIVE_UP, PrivateRun
from koinon.learning.run import Run
from tests.learning.support import DOMAIN, SCALING, joining, key, recipe, table, update

OPENER = key("opener")
NETWORK = Network(31337, "0x" + "AB" * 20, "0x" + "cd" * 20)
FEDERATION = federation_domain(NETWORK.chain_id, NETWORK.federation)
PLAIN = Privacy("private_sum", clip_norm=2.0)


def private(privacy=PLAIN, **changes):
    return recipe(privacy=privacy, aggregation="mean", contribution="equal", minimum_owners=3, **changes)


class Vanishing(HttpsTransport):
    """A line that goes dead before its owner's message number ``after`` in private sums."""

    def __init__(self, *arguments, after, told, **options):
        super().__init__(*arguments, **options)
        self._left, self._told = after, told

    def send(self, path, frame, *, answer_limit):
        if path == "/private":
            self._left -= 1
            if self._left < 0:
                self._told()
                raise PeerError("This owner was killed.", code="test.killed")
        return super().send(path, frame, answer_limit=answer_limit)


@contextmanager
def run_of(folder, found, owners, vanish=None):
    """A leader, its owners in threads, and what came of both. ``vanish``: owner → messages it still sends."""
    closed: list[Any] = []
    results: dict[int, Any] = {}
    with Leader(
        found, OPENER, folder, run_id=1, domain=FEDERATION, expected=owners, alone_deadline_s=0
    ) as leader:

        def take_part(index):
            own = key(f"owner {index}")
            line = {"after": (vanish or {}).get(index, 10_000), "told": lambda: leader.gone(own.address)}
            with Vanishing(leader.url, OPENER.address, FEDERATION, 1, **line) as found_line:
                one = Owner(own, table(60, index), found_line, NETWORK, opener=OPENER.address)
                try:
                    results[index] = one.take_part()
                except KoinonError as error:
                    results[index] = error

        threads = [threading.Thread(target=take_part, args=(index,)) for index in range(owners)]
        for thread in threads:
            thread.start()
        try:
            for event in leader.events():
                if isinstance(event, Full):
                    leader.begin()
                if isinstance(event, RoundClosed):
                    closed.append(event.closed)
            yield leader.run, closed, results
        finally:
            for thread in threads:
                thread.join(30)


def evidence_of(run, closed):
    rounds = tuple(
        RoundEvidence(one.number, one.updates, dict.fromkeys(one.updates, 60), one.model.model, one.opening)
        for one in closed
        if one.number
    )
    return Evidence(run.recipe, SCALING, len(run.members), rounds)


def test_owners_reach_the_model_of_the_same_sums_without_masks(tmp_path):
    found = private()
    with run_of(tmp_path, found, 4) as (run, _closed, results):
        order = sorted(range(4), key=lambda index: run.members[key(f"owner {index}").address].index)
        expected = simulation.train_together(found, [table(60, index) for index in order])
        assert (run.common.parameters == expected.vector).all()
    assert all((one.model.vector == expected.vector).all() for one in results.values())
    assert [one.rounds for one in results.values()] == [(1, 2, 3)] * 4
    assert not run.alone  # a model made without noise would tell more than the sums


def test_what_the_leader_gets_of_one_owner_is_as_good_as_noise(tmp_path):
    with run_of(tmp_path, private(rounds=1), 4) as (_run, closed, _results):
        masked = [np.frombuffer(one, "<u4").astype(float) / 2**32 for one in closed[-1].updates.values()]
    for words in masked:
        assert 0.2 < words.mean() < 0.8  # a change of the model, in units, would be next to 0 or 1
        assert words.std() > 0.15


@pytest.mark.parametrize("messages", [6, 7, 8, 9])  # dies in the second round, after so many messages
def test_an_owner_killed_in_mid_round_is_left_out_and_the_round_goes_on(tmp_path, messages):
    with run_of(tmp_path, private(), 5, {2: messages}) as (run, closed, results):
        dead = key("owner 2").address
    assert results[2].code == "test.killed"
    assert [dead in one.missing for one in closed[1:]] == [False, messages < 8, True]
    assert closed[-1].model.last
    survivors = [index for index in range(5) if index != 2]
    assert all((results[index].model.vector == run.common.parameters).all() for index in survivors)
    assert len(evidence_of(run, closed).replay()) == 3


@pytest.mark.parametrize("messages", [6, 7, 8])  # before they deal shares, send a vector, sign the survivors
def test_a_round_that_too_few_are_left_in_begins_again_with_them(tmp_path, messages):
    with run_of(tmp_path, private(), 6, {0: messages, 1: messages}) as (run, closed, results):
        dead = {key(f"owner {index}").address for index in (0, 1)}
    assert [set(one.missing) for one in closed[1:]] == [set(), dead, dead]
    assert all((results[index].model.vector == run.common.parameters).all() for index in range(2, 6))
    assert all(results[index].rounds == (1, 2, 3) for index in range(2, 6))
    kept = evidence_of(run, closed)
    assert len(Evidence.from_bytes(kept.to_bytes()).replay()) == 3
    order = sorted(run.members.values(), key=lambda member: member.index)
    tables = [
        table(60, next(i for i in range(6) if key(f"owner {i}").address == one.address)) for one in order
    ]
    everybody = simulation.train_together(replace(run.recipe, rounds=1), tables)
    assert closed[1].model.model == vector_digest(everybody.vector)


@pytest.mark.parametrize(
    ("phase", "answer", "code"),
    [
        (Phase.KEYS, GIVE_UP, "learning.secagg_order"),
        (Phase.MASKED, AGAIN + b"\x02" + pack({}), "learning.secagg_threshold"),
        (Phase.AGREEMENT, AGAIN + b"\x02" + pack({}), "learning.secagg_threshold"),
        (Phase.AGREEMENT, AGAIN + b"\x02" + pack({0: b"", 1: b"", 2: b""}), "learning.secagg_signature"),
        (Phase.REVEAL, AGAIN + b"\x02" + pack({}), "learning.secagg_order"),
        (Phase.REVEAL, GIVE_UP, "learning.secagg_order"),
        (Phase.KEYS, AGAIN + b"\x01", "learning.secagg_threshold"),
        (Phase.KEYS, AGAIN + b"\xff", "learning.secagg_threshold"),
        (Phase.KEYS, AGAIN, "learning.message"),
        (Phase.KEYS, b"", "learning.message"),
        (Phase.KEYS, b"\x04", "learning.message"),
    ],
)
def test_a_leader_gets_no_second_sum_by_saying_that_the_first_has_failed(phase, answer, code):
    run, owners = started(5)
    told = {}

    def exchange(index):
        def send(frame):
            message, _ = PrivateStep.unpack(frame, DOMAIN)
            told[index] = (message.attempt, message.phase)
            with one_at_a_time:
                step = run.receive_step(frame)
            ready.wait()
            with one_at_a_time:
                if run.complete:
                    run.advance()
            ready.wait()
            return answer if (index, message.phase) == (0, phase) else run.answer_to(step)

        return send

    ready, one_at_a_time = threading.Barrier(5, timeout=20), threading.Lock()
    results = {}

    def live(index):
        units = np.zeros(run.common.vector.shape, np.int64)
        try:
            PrivateExchange(owners[index], DOMAIN, run.recipe, index).contribute(
                run.current.model, units, exchange(index)
            )
        except (KoinonError, threading.BrokenBarrierError) as error:
            results[index] = error
        finally:
            if index == 0:
                ready.abort()

    threads = [threading.Thread(target=live, args=(index,)) for index in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert isinstance(results[0], KoinonError)
    assert results[0].code == code
    assert told[0] == (1, phase)


def test_shares_once_revealed_end_the_run_instead_of_beginning_the_round_again(tmp_path):
    with pytest.raises(PeerError) as ended, run_of(tmp_path, private(), 6, {0: 9, 1: 9}):
        pass
    assert ended.value.code == "learning.secagg_threshold"


def test_too_many_deaths_end_the_run_and_unmask_nothing(tmp_path):
    with pytest.raises(PeerError) as ended, run_of(tmp_path, private(), 4, {0: 7, 1: 7}):
        pass
    assert ended.value.code == "learning.secagg_threshold"
    assert all(key(f"owner {index}").address in ended.value.hint for index in (0, 1))


@pytest.mark.parametrize("noise", ["central", "distributed", "local"])
def test_anybody_with_the_evidence_computes_the_noisy_model_again(tmp_path, noise):
    found = private(Privacy("private_sum", noise, clip_norm=1.0, noise_multiplier=0.1), rounds=2)
    with run_of(tmp_path, found, 4) as (run, closed, _results):
        kept = Evidence.from_bytes(evidence_of(run, closed).to_bytes())
    assert len(kept.replay()) == 2
    forged = replace(kept.rounds[1], updates=dict(kept.rounds[1].updates) | {0: kept.rounds[1].updates[1]})
    with pytest.raises((IntegrityError, PeerError)):
        replace(kept, rounds=(kept.rounds[0], forged)).replay()


# ------------------------------------------------------------ the state machine alone


def started(owners=4):
    found = private()
    run = PrivateRun(found, 1, key("opener"), DOMAIN, expected=owners)
    keys = [key(f"owner {index}") for index in range(owners)]
    for owner in keys:
        run.join(joining(found, owner))
    run.start()
    return run, keys


def first_step(run, owner, index, model=None):
    """The frame of an owner's first message in a round."""
    frames = []

    def send(frame):
        frames.append(frame)
        raise PeerError("enough", code="test.enough")

    exchange = PrivateExchange(owner, DOMAIN, run.recipe, index)
    with pytest.raises(PeerError):
        exchange.contribute(model or run.current.model, np.zeros(run.common.vector.shape, np.int64), send)
    return frames[0]


def test_a_change_that_could_be_read_is_neither_sent_nor_taken():
    run, owners = started()
    with pytest.raises(BadInput) as refused:
        run.receive(update(run, owners[0]))
    assert refused.value.code == "learning.private_mode"
    with pytest.raises(BadInput) as unsent:
        LocalLearner(run.recipe, table(), SCALING, 0).teach(run.common.vector, 1)
    assert unsent.value.code == "learning.private_mode"


@pytest.mark.parametrize("number", [0, 1, 4])
def test_no_round_is_taught_twice_or_beyond_the_recipes(number):
    """A leader that never says "last" would spend more privacy than was agreed to."""
    learner = LocalLearner(private(), table(), SCALING, 0)
    common = np.zeros(private().model.size, dtype=np.float32)
    learner.contribute(common, 1)
    with pytest.raises(IntegrityError) as refused:
        learner.contribute(common, number)
    assert refused.value.code == "learning.round"
    learner.contribute(common, 3)


def test_another_ones_message_is_refused():
    run, owners = started()
    with pytest.raises(IntegrityError) as forged:
        run.receive_step(first_step(run, owners[0], index=1))
    assert forged.value.code == "learning.secagg_signature"


def test_a_message_under_anothers_name_is_refused():
    run, owners = started()
    frame = first_step(run, owners[0], 0)
    stolen = frame.replace(owners[0].address.encode(), owners[1].address.encode())
    with pytest.raises(IntegrityError) as forged:
        run.receive_step(stolen)
    assert forged.value.code == "learning.signature"


def test_an_altered_payload_is_refused():
    run, owners = started()
    frame = first_step(run, owners[0], 0)
    with pytest.raises(IntegrityError) as altered:
        run.receive_step(frame[:-1] + bytes((frame[-1] ^ 1,)))
    assert altered.value.code == "learning.digest"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"round": 4}, "learning.round"),
        ({"model": bytes(32)}, "learning.base"),
        ({"run_id": 2}, "learning.other_run"),
    ],
)
def test_a_message_of_another_round_base_or_run_is_refused(change, code):
    run, owners = started()
    with pytest.raises(BadInput) as refused:
        run.receive_step(first_step(run, owners[0], 0, replace(run.current.model, **change)))
    assert refused.value.code == code


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_message_of_a_sum_that_has_not_begun_is_refused(attempt):
    run, owners = started()
    message, payload = PrivateStep.unpack(first_step(run, owners[0], 0), DOMAIN)
    with pytest.raises(BadInput) as refused:
        run.receive_step(replace(message, attempt=attempt).pack(owners[0], DOMAIN, payload))
    assert refused.value.code == "learning.round"


@pytest.mark.parametrize("phase", [Phase.SHARES, Phase.DONE, Phase.ABANDON, 7])
def test_a_message_of_a_phase_that_has_not_begun_is_refused(phase):
    run, owners = started()
    message, payload = PrivateStep.unpack(first_step(run, owners[0], 0), DOMAIN)
    with pytest.raises(BadInput) as refused:
        run.receive_step(replace(message, phase=int(phase)).pack(owners[0], DOMAIN, payload))
    assert refused.value.code == "learning.round"


def test_a_stranger_takes_no_part():
    run, _ = started()
    with pytest.raises(BadInput) as refused:
        run.receive_step(first_step(run, key("stranger"), 0))
    assert refused.value.code == "learning.not_member"


def test_who_was_too_late_for_a_phase_waits_for_the_model_and_may_come_back():
    run, owners = started()
    for index, owner in enumerate(owners[:3]):
        step = run.receive_step(first_step(run, owner, index))
        assert step.counted
        assert run.answer_to(step) is None
    assert not run.complete
    assert run.advance() is None
    assert owners[3].address in run.left
    late = run.receive_step(first_step(run, owners[3], 3))
    assert not late.counted
    assert run.answer_to(late) is None
    assert run.answer_to(step) is not None
    assert owners[3].address not in run.left


def test_other_runs_take_no_private_steps(tmp_path):
    found = recipe()
    with (
        Leader(found, OPENER, tmp_path, run_id=1, domain=FEDERATION, expected=3) as leader,
        HttpsTransport(leader.url, OPENER.address, FEDERATION, 1) as line,
    ):
        line.offer()
        with pytest.raises(PeerError) as refused:
            line.send("/private", b"anything", answer_limit=1_000)
    assert refused.value.code == "learning.private_mode"
    assert type(leader.run) is Run


def test_frames_say_their_phase_and_are_bound_to_their_message():
    run, owners = started()
    head, payload = split_frame(first_step(run, owners[0], 0))
    assert (head["kind"], head["phase"], head["round"]) == ("private", 0, 1)
    assert len(payload) > 96
