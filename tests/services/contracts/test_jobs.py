# SPDX-License-Identifier: Apache-2.0
"""Jobs by ERC-8183: its functions, events and rules; money to the unit; a Work's till as provider."""

from __future__ import annotations

import boa
import pytest

from koinon.chain import artifacts
from tests.contracts_support import NOBODY, account, deploy, events, fresh_chain
from tests.services.contracts.jobs_support import (
    CLIENT,
    COMPLETED,
    DELIVERABLE,
    EVALUATOR,
    EXPIRED,
    FUNDED,
    HOUR,
    MAKER,
    MONEY,
    NOTHING,
    OPEN,
    PROVIDER,
    REASON,
    REJECTED,
    STRANGER,
    SUBMITTED,
    Place,
)

FUNCTIONS = {
    "createJob(address,address,uint256,string,address)",
    "setProvider(uint256,address,bytes)",
    "setBudget(uint256,uint256,bytes)",
    "fund(uint256,uint256,bytes)",
    "submit(uint256,bytes32,bytes)",
    "complete(uint256,bytes32,bytes)",
    "reject(uint256,bytes32,bytes)",
    "claimRefund(uint256)",
    "getJob(uint256)",
    "jobCounter()",
    "paymentToken()",
}
EVENTS = {
    "JobCreated(uint256,address,address,address,uint256,address)",
    "ProviderSet(uint256,address)",
    "BudgetSet(uint256,uint256)",
    "JobFunded(uint256,address,uint256)",
    "JobSubmitted(uint256,address,bytes32)",
    "JobCompleted(uint256,address,bytes32)",
    "JobRejected(uint256,address,bytes32)",
    "JobExpired(uint256)",
    "PaymentReleased(uint256,address,uint256)",
    "Refunded(uint256,address,uint256)",
}


@pytest.fixture(scope="module")
def deployed():
    with fresh_chain():
        yield Place()


@pytest.fixture
def place(deployed):
    with fresh_chain():
        yield deployed


def test_functions_and_events_are_the_standards():
    abi = artifacts.load("Jobs").abi

    def signatures(kind: str) -> set[str]:
        return {
            f"{entry['name']}({','.join(each['type'] for each in entry['inputs'])})"
            for entry in abi
            if entry["type"] == kind
        }

    assert signatures("function") >= FUNCTIONS
    assert signatures("event") >= EVENTS


def test_a_job_is_created_open(place):
    job = place.create()
    assert events(place.jobs, "JobCreated") == [
        {
            "jobId": job,
            "client": CLIENT,
            "provider": PROVIDER,
            "evaluator": EVALUATOR,
            "expiredAt": place.now + HOUR,
            "hook": NOBODY,
        }
    ]
    found = place.jobs.getJob(job)
    assert (found.id, found.client, found.provider, found.evaluator) == (job, CLIENT, PROVIDER, EVALUATOR)
    assert (found.description, found.budget, found.status) == ("Draw a map", 0, OPEN)
    assert place.jobs.jobCounter() == job == 1
    assert place.jobs.paymentToken() == place.token.address
    assert place.jobs.works() == place.hall.works.address


def test_what_makes_no_sense_is_not_created(place):
    with boa.reverts("evaluator missing"):
        place.create(evaluator=NOBODY)
    with boa.reverts("expiry not in the future"):
        place.create(lasts=0)
    with boa.reverts("contract missing"):
        deploy("services", "Jobs", NOBODY, place.token.address)
    with boa.reverts("contract missing"):
        deploy("services", "Jobs", place.hall.works.address, NOBODY)
    with boa.reverts():
        place.create(description="x" * 4097)


def test_a_provider_is_named_once_by_the_client(place):
    job = place.create(provider=NOBODY)
    with boa.reverts("only the client"):
        place.jobs.setProvider(job, PROVIDER, sender=PROVIDER)
    with boa.reverts("provider missing"):
        place.jobs.setProvider(job, NOBODY, sender=CLIENT)
    place.jobs.setBudget(job, 70, sender=CLIENT)
    with boa.reverts("provider missing"):
        place.jobs.fund(job, 70, sender=CLIENT)
    place.jobs.setProvider(job, PROVIDER, b"", sender=CLIENT)
    assert events(place.jobs, "ProviderSet") == [{"jobId": job, "provider": PROVIDER}]
    with boa.reverts("provider already set"):
        place.jobs.setProvider(job, STRANGER, sender=CLIENT)
    place.jobs.fund(job, 70, sender=CLIENT)
    with boa.reverts("wrong status"):
        place.jobs.setProvider(job, STRANGER, sender=CLIENT)


def test_client_and_provider_settle_on_a_price(place):
    job = place.create()
    place.jobs.setBudget(job, 100, sender=CLIENT)
    place.jobs.setBudget(job, 80, b"because", sender=PROVIDER)
    assert events(place.jobs, "BudgetSet") == [{"jobId": job, "amount": 80}]
    for other in (EVALUATOR, STRANGER):
        with boa.reverts("only the client or the provider"):
            place.jobs.setBudget(job, 1, sender=other)
    with boa.reverts("another budget"):  # what the provider asked in the meantime is never paid unseen
        place.jobs.fund(job, 100, sender=CLIENT)
    place.jobs.fund(job, 80, sender=CLIENT)
    with boa.reverts("wrong status"):
        place.jobs.setBudget(job, 90, sender=CLIENT)


def test_the_price_is_paid_into_escrow(place):
    job = place.create()
    with boa.reverts("no budget"):
        place.jobs.fund(job, 0, sender=CLIENT)
    place.jobs.setBudget(job, 70, sender=PROVIDER)
    with boa.reverts("only the client"):
        place.jobs.fund(job, 70, sender=STRANGER)
    place.jobs.fund(job, 70, sender=CLIENT)
    assert events(place.jobs, "JobFunded") == [{"jobId": job, "client": CLIENT, "amount": 70}]
    assert (place.held(place.jobs.address), place.held(CLIENT)) == (70, MONEY - 70)
    assert (place.status(job), place.jobs.escrowed()) == (FUNDED, 70)
    with boa.reverts("wrong status"):
        place.jobs.fund(job, 70, sender=CLIENT)


def test_an_expired_job_is_not_funded(place):
    job = place.create()
    place.jobs.setBudget(job, 70, sender=CLIENT)
    boa.env.time_travel(seconds=HOUR)
    with boa.reverts("expired"):
        place.jobs.fund(job, 70, sender=CLIENT)


def test_a_completed_job_pays_its_provider(place):
    job = place.funded()
    with boa.reverts("only the provider"):
        place.jobs.submit(job, DELIVERABLE, sender=CLIENT)
    with boa.reverts("wrong status"):
        place.jobs.complete(job, REASON, sender=EVALUATOR)
    place.jobs.submit(job, DELIVERABLE, sender=PROVIDER)
    assert events(place.jobs, "JobSubmitted") == [
        {"jobId": job, "provider": PROVIDER, "deliverable": DELIVERABLE}
    ]
    assert place.status(job) == SUBMITTED
    for other in (CLIENT, PROVIDER, STRANGER):
        with boa.reverts("only the evaluator"):
            place.jobs.complete(job, REASON, sender=other)
    place.jobs.complete(job, REASON, sender=EVALUATOR)
    assert events(place.jobs, "JobCompleted") == [{"jobId": job, "evaluator": EVALUATOR, "reason": REASON}]
    assert events(place.jobs, "PaymentReleased") == [{"jobId": job, "provider": PROVIDER, "amount": 70}]
    assert (place.held(PROVIDER), place.held(place.jobs.address)) == (70, 0)
    assert (place.status(job), place.jobs.escrowed()) == (COMPLETED, 0)


def test_who_may_reject_depends_on_how_far_it_is(place):
    job = place.create()
    for other in (EVALUATOR, PROVIDER):
        with boa.reverts("only the client"):
            place.jobs.reject(job, REASON, sender=other)
    place.jobs.reject(job, REASON, sender=CLIENT)
    assert events(place.jobs, "JobRejected") == [{"jobId": job, "rejector": CLIENT, "reason": REASON}]
    assert not events(place.jobs, "Refunded")
    for job in (place.funded(), place.submitted()):
        for other in (CLIENT, PROVIDER, STRANGER):
            with boa.reverts("only the evaluator"):
                place.jobs.reject(job, REASON, sender=other)
        place.jobs.reject(job, NOTHING, sender=EVALUATOR)
        assert events(place.jobs, "Refunded") == [{"jobId": job, "client": CLIENT, "amount": 70}]
        assert place.status(job) == REJECTED
    assert (place.held(CLIENT), place.jobs.escrowed()) == (MONEY, 0)


@pytest.mark.parametrize("stage", ["funded", "submitted"])
def test_after_the_expiry_anyone_sends_the_money_back(place, stage):
    job = getattr(place, stage)()
    boa.env.time_travel(seconds=HOUR - 1)
    with boa.reverts("not expired"):
        place.jobs.claimRefund(job, sender=STRANGER)
    boa.env.time_travel(seconds=1)
    place.jobs.claimRefund(job, sender=STRANGER)
    assert events(place.jobs, "JobExpired") == [{"jobId": job}]
    assert events(place.jobs, "Refunded") == [{"jobId": job, "client": CLIENT, "amount": 70}]
    assert (place.held(CLIENT), place.status(job)) == (MONEY, EXPIRED)
    with boa.reverts("wrong status"):
        place.jobs.claimRefund(job)


def test_until_it_is_sent_back_late_work_can_still_be_paid(place):
    job = place.funded()
    boa.env.time_travel(seconds=HOUR)
    place.jobs.submit(job, DELIVERABLE, sender=PROVIDER)
    place.jobs.complete(job, REASON, sender=EVALUATOR)
    assert place.held(PROVIDER) == 70


def test_what_ended_stays_ended(place):
    ended = [place.create(), place.submitted(), place.funded()]
    place.jobs.reject(ended[0], NOTHING, sender=CLIENT)
    place.jobs.complete(ended[1], NOTHING, sender=EVALUATOR)
    place.jobs.reject(ended[2], NOTHING, sender=EVALUATOR)
    boa.env.time_travel(seconds=HOUR)
    for job in ended:
        for call in (
            lambda job=job: place.jobs.setBudget(job, 1, sender=CLIENT),
            lambda job=job: place.jobs.fund(job, 70, sender=CLIENT),
            lambda job=job: place.jobs.submit(job, DELIVERABLE, sender=PROVIDER),
            lambda job=job: place.jobs.complete(job, NOTHING, sender=EVALUATOR),
            lambda job=job: place.jobs.reject(job, NOTHING, sender=EVALUATOR),
            lambda job=job: place.jobs.claimRefund(job),
        ):
            with boa.reverts("wrong status"):
                call()


def test_there_are_only_the_jobs_that_were_created(place):
    for job in (0, 1):
        assert place.jobs.getJob(job).id == 0
        assert not place.jobs.is_provider(job, NOBODY)
        for call in (
            lambda job=job: place.jobs.setProvider(job, PROVIDER, sender=CLIENT),
            lambda job=job: place.jobs.fund(job, 0, sender=CLIENT),
            lambda job=job: place.jobs.reject(job, NOTHING, sender=CLIENT),
            lambda job=job: place.jobs.claimRefund(job),
        ):
            with boa.reverts("no such job"):
                call()


def test_a_works_till_is_paid_and_whoever_acts_for_the_work_does_the_job(place):
    job = place.funded(provider=place.till)
    with boa.reverts("only the provider"):  # nobody named the till yet
        place.jobs.submit(job, DELIVERABLE, sender=MAKER)
    place.jobs.name_till(place.work, sender=STRANGER)
    assert events(place.jobs, "TillNamed") == [{"work_id": place.work, "till": place.till}]
    place.jobs.name_till(place.work)
    assert not events(place.jobs, "TillNamed")
    assert place.jobs.work_of_till(place.till) == place.work
    with boa.reverts("only the provider"):
        place.jobs.submit(job, DELIVERABLE, sender=STRANGER)
    operator = account("operator of the maker")
    place.hall.works.setApprovalForAll(operator, True, sender=MAKER)
    assert place.jobs.is_provider(job, operator)
    place.jobs.submit(job, DELIVERABLE, sender=operator)
    place.jobs.complete(job, REASON, sender=EVALUATOR)
    assert events(place.jobs, "PaymentReleased") == [{"jobId": job, "provider": place.till, "amount": 70}]
    till = place.hall.till(place.work)
    till.release(place.token.address, NOBODY, 10**9, [], sender=MAKER)
    assert place.held(MAKER) == 70


def test_a_work_that_was_sold_is_served_by_its_new_owner(place):
    place.jobs.name_till(place.work)
    job = place.funded(provider=place.till)
    place.hall.works.transferFrom(MAKER, STRANGER, place.work, sender=MAKER)
    with boa.reverts("only the provider"):
        place.jobs.submit(job, DELIVERABLE, sender=MAKER)
    place.jobs.submit(job, DELIVERABLE, sender=STRANGER)


def test_a_till_of_no_work_cannot_be_named(place):
    with boa.reverts():
        place.jobs.name_till(99)


def test_exactly_the_price_must_arrive(place):
    job = place.create()
    place.jobs.setBudget(job, 100, sender=CLIENT)
    place.token.set_fee(1_00)
    with boa.reverts("token did not deliver exactly"):
        place.jobs.fund(job, 100, sender=CLIENT)
    place.token.set_fee(0)
    place.token.set_refusing(True)
    with boa.reverts("transfer refused"):
        place.jobs.fund(job, 100, sender=CLIENT)
    assert (place.status(job), place.jobs.escrowed()) == (OPEN, 0)


def test_money_that_cannot_be_sent_stays_the_jobs_own(place):
    job, other = place.submitted(), place.submitted(50)
    place.token.set_block(PROVIDER, True)
    with boa.reverts("blacklisted"):
        place.jobs.complete(job, NOTHING, sender=EVALUATOR)
    place.jobs.reject(other, NOTHING, sender=EVALUATOR)
    assert (place.status(job), place.held(place.jobs.address)) == (SUBMITTED, 70)


def test_a_token_that_calls_back_cannot_end_a_job_twice(place):
    job = place.funded()
    boa.env.time_travel(seconds=HOUR)
    place.token.set_hook(place.jobs.address, place.jobs.claimRefund.prepare_calldata(job))
    with boa.reverts():
        place.jobs.claimRefund(job)
    place.token.set_hook(NOBODY, b"")
    place.jobs.claimRefund(job)
    assert place.held(CLIENT) == MONEY
