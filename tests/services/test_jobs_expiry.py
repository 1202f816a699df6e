# SPDX-License-Identifier: Apache-2.0
"""Jobs that nobody finishes in time, and a provider that works by itself, on a chain whose clock moves."""

from __future__ import annotations

import sys

import pytest

from koinon.chain.contract import Call
from koinon.errors import BadInput, NodeUnavailable, PeerError
from koinon.services.jobs.api import Commission
from koinon.services.jobs.brief import Brief
from koinon.services.jobs.contract import JobStatus
from koinon.services.jobs.follower import AGAIN_S, Follower, by_program
from tests.contracts_support import MOCKS, compiled
from tests.services.jobs_town import COIN, PRICE, TEXT, Parties


@pytest.fixture
def parties(own_chain, own_account, tmp_path):
    return Parties(own_chain, tmp_path, own_account)


def wait(parties, seconds):
    parties.chain.rpc.call("evm_increaseTime", seconds)
    parties.chain.rpc.call("evm_mine")


def follower(parties, work=lambda job, brief: f"done: {brief.title}".encode(), **options):
    said: list[dict[str, object]] = []
    made = Follower(parties.provider, work, price=PRICE, say=said.append, **options)
    return made, said


@pytest.mark.parametrize("handed_in", [False, True])
def test_a_client_whose_evaluator_says_nothing_gets_its_money_back(parties, handed_in):
    job_id = parties.paid(lasts_s=600)
    if handed_in:
        parties.provider.submit(job_id, b"a map")
    wait(parties, 601)
    assert parties.stranger.refund(job_id) == PRICE
    assert parties.client.job(job_id).status is JobStatus.EXPIRED
    assert parties.coins(parties.client.acting.address) == 100 * COIN
    with pytest.raises(BadInput, match="is expired"):
        parties.evaluator.accept(job_id)
    if handed_in:  # that tells of the evaluator
        with pytest.raises(BadInput, match="no outcome"):
            parties.client.feedback(job_id)
    else:
        parties.client.feedback(job_id, "Nothing came.")


def test_an_expired_job_is_not_paid(parties):
    job_id = parties.commission(lasts_s=600)
    wait(parties, 601)
    with pytest.raises(BadInput, match="has expired"):
        parties.client.fund(job_id, PRICE)


def test_a_follower_names_its_price_does_what_is_paid_and_hands_it_in_once(parties):
    job_id = parties.commission()
    made, said = follower(parties)
    assert made.look() == 0
    assert parties.client.job(job_id).budget == PRICE
    assert made.look() == 0, "nothing is done before it is paid"
    parties.client.fund(job_id)
    assert made.look() == 1
    assert made.look() == 0
    assert parties.client.deliverable(job_id) == b"done: Draw a map of the harbour"
    assert [event["event"] for event in said] == ["proposed", "begun", "handed in"]
    again, _ = follower(parties)
    assert again.look() == 0, "one that starts anew sees what was done before"


def test_a_follower_takes_a_job_that_is_assigned_to_it_later(parties):
    job_id = parties.client.create(Commission(TEXT, 3_600))
    made, _ = follower(parties)
    made.look()
    parties.client.assign(job_id, parties.provider.acting.address)
    parties.client.fund(job_id, PRICE)
    assert made.look() == 1


def test_a_follower_leaves_alone_what_is_not_its_own_too_cheap_or_too_late(parties):
    others = parties.client.create(Commission(TEXT, 3_600, parties.stranger.acting.address))
    cheap, late = parties.commission(), parties.commission(lasts_s=100)
    for job_id, price in ((others, PRICE), (cheap, PRICE - 1), (late, PRICE)):
        parties.client.fund(job_id, price)
    made, said = follower(parties, spare_s=1_000)
    assert made.look() == 0
    assert said == []


def test_a_follower_leaves_jobs_with_a_strange_hook_alone(parties):
    code = compiled(MOCKS / "Hook.vy").compiler_data.bytecode + (1).to_bytes(32, "big")
    hook = parties.chain.sender(parties.key(parties.provider)).send(Call(None, code)).contract_address
    job_id = parties.commission(hook=hook)
    parties.client.fund(job_id, PRICE)
    made, _ = follower(parties)
    assert made.look() == 0
    trusting, _ = follower(parties, hooks={hook})
    assert trusting.look() == 1


def test_work_that_fails_is_said_and_tried_again_later(parties):
    job_id = parties.paid()
    results, clock = [PeerError("The pen broke."), b"a map"], [0.0]

    def work(_job, _brief):
        result = results.pop(0)
        if isinstance(result, PeerError):
            raise result
        return result

    made, said = follower(parties, work, clock=lambda: clock[0])
    assert made.look() == 0
    assert said[-1] == {"event": "failed", "job_id": job_id, "why": "The pen broke."}
    assert made.look() == 0
    assert len(results) == 1, "not at once"
    clock[0] += AGAIN_S
    assert made.look() == 1


def test_a_follower_waits_for_a_node_that_is_away(parties, monkeypatch):
    made, said = follower(parties)
    looks = iter([NodeUnavailable("It does not answer."), 0])

    def look():
        found = next(looks)
        if isinstance(found, NodeUnavailable):
            raise found
        return found

    monkeypatch.setattr(made, "look", look)
    rounds: list[float] = []
    made.run(lambda: len(rounds) == 2, pause=rounds.append)
    assert [event["event"] for event in said] == ["away"]


def test_a_program_does_the_work_and_its_failures_are_ours_to_tell(parties):
    job = parties.client.job(parties.paid())
    brief = Brief.read(job.description)
    echo = by_program([sys.executable, "-c", "import sys; print(sys.stdin.read().upper())"], timeout_s=60)
    assert b"DRAW A MAP" in echo(job, brief)
    for command in (["false"], ["true"], ["/nowhere/at/all"]):
        with pytest.raises(PeerError, match="The program for job"):
            by_program(command, timeout_s=60)(job, brief)
    with pytest.raises(PeerError, match="did not end"):
        by_program([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=0.5)(job, brief)
