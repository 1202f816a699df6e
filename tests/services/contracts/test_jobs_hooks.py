# SPDX-License-Identifier: Apache-2.0
"""A job's hook: told before and after, as the standard says; it may refuse, and never keep the money."""

from __future__ import annotations

from typing import Any

import boa
import pytest

from koinon.chain import codec
from tests.contracts_support import NOBODY, deploy_mock, fresh_chain
from tests.services.contracts.jobs_support import (
    CLIENT,
    COMPLETED,
    DELIVERABLE,
    EVALUATOR,
    EXPIRED,
    FUNDED,
    HOUR,
    MONEY,
    PROVIDER,
    REASON,
    REJECTED,
    STRANGER,
    Place,
    selector,
)


@pytest.fixture(scope="module")
def deployed():
    with fresh_chain():
        yield Place(), deploy_mock("Hook", True)


@pytest.fixture
def place(deployed):
    with fresh_chain():
        yield deployed[0]


@pytest.fixture
def hook(deployed):
    return deployed[1]


def encoded(kinds: list[str], *values: Any) -> bytes:
    return codec.encode(kinds, values)


def test_it_is_told_of_everything_but_the_refund_as_the_standard_writes_it(place, hook):
    job = place.create(provider=NOBODY, hook=hook.address)
    place.jobs.setProvider(job, PROVIDER, b"one", sender=CLIENT)
    place.jobs.setBudget(job, 70, b"two", sender=CLIENT)
    place.jobs.fund(job, 70, b"three", sender=CLIENT)
    place.jobs.submit(job, DELIVERABLE, b"four", sender=PROVIDER)
    place.jobs.complete(job, REASON, b"five", sender=EVALUATOR)
    expected = [
        ("setProvider(uint256,address,bytes)", encoded(["address", "bytes"], PROVIDER, b"one")),
        ("setBudget(uint256,uint256,bytes)", encoded(["uint256", "bytes"], 70, b"two")),
        ("fund(uint256,uint256,bytes)", b"three"),
        ("submit(uint256,bytes32,bytes)", encoded(["bytes32", "bytes"], DELIVERABLE, b"four")),
        ("complete(uint256,bytes32,bytes)", encoded(["bytes32", "bytes"], REASON, b"five")),
    ]
    assert [tuple(told) for told in hook.heard()] == [
        (after, job, selector(signature), data) for signature, data in expected for after in (False, True)
    ]


def test_it_is_told_of_a_rejection_and_of_a_short_call_by_the_full_functions_selector(place, hook):
    job = place.create(hook=hook.address)
    place.jobs.reject(job, REASON, sender=CLIENT)
    assert [tuple(told) for told in hook.heard()] == [
        (after, job, selector("reject(uint256,bytes32,bytes)"), encoded(["bytes32", "bytes"], REASON, b""))
        for after in (False, True)
    ]


@pytest.mark.parametrize("before", [True, False])
def test_one_that_refuses_stops_everything_but_the_refund(place, hook, before):
    job = place.funded(hook=hook.address)
    hook.refuse(before, not before)
    reason = f"refused {'before' if before else 'after'}"
    with boa.reverts(reason):
        place.jobs.submit(job, DELIVERABLE, sender=PROVIDER)
    with boa.reverts(reason):
        place.jobs.reject(job, REASON, sender=EVALUATOR)
    assert (place.status(job), place.held(place.jobs.address)) == (FUNDED, 70)
    told = len(hook.heard())
    boa.env.time_travel(seconds=HOUR)
    place.jobs.claimRefund(job, sender=STRANGER)
    assert (place.status(job), place.held(CLIENT)) == (EXPIRED, MONEY)
    assert len(hook.heard()) == told


@pytest.mark.parametrize("call", ["complete", "reject", "claimRefund", "createJob"])
def test_one_that_calls_back_gets_nothing(place, hook, call):
    job = place.submitted(hook=hook.address, evaluator=hook.address)
    arguments = {
        "claimRefund": (job,),
        "createJob": (PROVIDER, EVALUATOR, place.now + 2 * HOUR, "more", NOBODY),
    }
    data = getattr(place.jobs, call).prepare_calldata(*arguments.get(call, (job, REASON)))
    boa.env.time_travel(seconds=HOUR)
    hook.call_back(place.jobs.address, data)
    place.jobs.complete(job, REASON, sender=hook.address)
    assert not hook.called_back()
    assert place.status(job) == COMPLETED
    assert (place.held(PROVIDER), place.held(CLIENT), place.jobs.escrowed()) == (70, MONEY - 70, 0)


def test_one_may_read_the_job_while_it_is_told(place, hook):
    job = place.create(hook=hook.address)
    hook.call_back(place.jobs.address, place.jobs.getJob.prepare_calldata(job))
    place.jobs.setBudget(job, 5, sender=CLIENT)
    assert hook.called_back()


def test_one_that_burns_gas_burns_no_more_than_its_part(place, hook):
    job = place.funded(hook=hook.address)
    hook.burn(True)
    with boa.reverts():
        place.jobs.reject(job, REASON, sender=EVALUATOR)
    assert place.jobs._computation.get_gas_used() < 2 * place.jobs.HOOK_GAS() + 500_000
    hook.burn(False)
    place.jobs.reject(job, REASON, sender=EVALUATOR)
    assert place.status(job) == REJECTED


def test_what_is_no_hook_is_refused(place, hook):
    no_hook = deploy_mock("Hook", False)
    everything = deploy_mock("Hook", True)
    everything.support(bytes.fromhex("ffffffff"), True)
    silent = deploy_mock("Hook", True)
    silent.support(bytes.fromhex("01ffc9a7"), False)
    for other in (no_hook.address, everything.address, silent.address, STRANGER, place.token.address):
        with boa.reverts("not a hook"):
            place.create(hook=other)
