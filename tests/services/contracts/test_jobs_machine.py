# SPDX-License-Identifier: Apache-2.0
"""Any order of calls on jobs by anyone: money is where the standard says, to the unit."""

from __future__ import annotations

from dataclasses import dataclass

import boa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.contracts_support import NOBODY, fresh_chain
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
    OPEN,
    PROVIDER,
    REASON,
    REJECTED,
    STRANGER,
    SUBMITTED,
    Place,
)

ANYONE = st.sampled_from((CLIENT, PROVIDER, EVALUATOR, MAKER, STRANGER))
LIKELY = st.sampled_from((CLIENT, CLIENT, PROVIDER, PROVIDER, EVALUATOR, MAKER, STRANGER))


@dataclass
class Known:
    """What must be true of a job."""

    provider: str
    evaluator: str
    expires: int
    budget: int = 0
    status: int = OPEN


class JobsMachine(RuleBasedStateMachine):
    """Every coin is with the client, in escrow, or with a provider whose job was completed."""

    place: Place  # deployed once; what an example does to it is undone

    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.known: dict[int, Known] = {}
        self.earned = {PROVIDER: 0, self.place.till: 0}

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    def may_provide(self, job: Known, caller: str) -> bool:
        return caller == (MAKER if job.provider == self.place.till else job.provider)

    def job(self, data: st.DataObject) -> int:
        return int(data.draw(st.sampled_from(sorted(self.known))))

    @rule(who=st.sampled_from(("nobody", "account", "till")), lasts=st.sampled_from((10, HOUR)))
    def the_client_creates(self, who, lasts):
        provider = {"nobody": NOBODY, "account": PROVIDER, "till": self.place.till}[who]
        evaluator = EVALUATOR if lasts == 10 else CLIENT
        expires = self.place.now + lasts
        self.known[self.place.create(provider, evaluator, lasts=lasts)] = Known(provider, evaluator, expires)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), caller=LIKELY, till=st.booleans())
    def somebody_names_a_provider(self, data, caller, till):
        number = self.job(data)
        job, provider = self.known[number], self.place.till if till else PROVIDER
        if job.status == OPEN and caller == CLIENT and job.provider == NOBODY:
            self.place.jobs.setProvider(number, provider, sender=caller)
            job.provider = provider
        else:
            with boa.reverts():
                self.place.jobs.setProvider(number, provider, sender=caller)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), caller=LIKELY, amount=st.integers(0, 99))
    def somebody_proposes_a_price(self, data, caller, amount):
        number = self.job(data)
        job = self.known[number]
        if job.status == OPEN and (caller == CLIENT or self.may_provide(job, caller)):
            self.place.jobs.setBudget(number, amount, sender=caller)
            job.budget = amount
        else:
            with boa.reverts():
                self.place.jobs.setBudget(number, amount, sender=caller)

    @precondition(lambda self: self.known)
    @rule(
        data=st.data(),
        caller=st.sampled_from((CLIENT, CLIENT, CLIENT, STRANGER)),
        off=st.sampled_from((0, 0, 1)),
    )
    def somebody_funds(self, data, caller, off):
        number = self.job(data)
        job = self.known[number]
        fits = caller == CLIENT and job.status == OPEN and off == 0 and job.budget > 0
        if fits and job.provider != NOBODY and self.place.now < job.expires:
            self.place.jobs.fund(number, job.budget, sender=caller)
            job.status = FUNDED
        else:
            with boa.reverts():
                self.place.jobs.fund(number, job.budget + off, sender=caller)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), caller=LIKELY)
    def somebody_submits(self, data, caller):
        number = self.job(data)
        job = self.known[number]
        if job.status == FUNDED and self.may_provide(job, caller):
            self.place.jobs.submit(number, DELIVERABLE, sender=caller)
            job.status = SUBMITTED
        else:
            with boa.reverts():
                self.place.jobs.submit(number, DELIVERABLE, sender=caller)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), caller=st.sampled_from((CLIENT, EVALUATOR, PROVIDER)))
    def somebody_completes(self, data, caller):
        number = self.job(data)
        job = self.known[number]
        if job.status == SUBMITTED and caller == job.evaluator:
            self.place.jobs.complete(number, REASON, sender=caller)
            job.status = COMPLETED
            self.earned[job.provider] += job.budget
        else:
            with boa.reverts():
                self.place.jobs.complete(number, REASON, sender=caller)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), caller=ANYONE)
    def somebody_rejects(self, data, caller):
        number = self.job(data)
        job = self.known[number]
        judge = {OPEN: CLIENT, FUNDED: job.evaluator, SUBMITTED: job.evaluator}.get(job.status)
        if caller == judge:
            self.place.jobs.reject(number, REASON, sender=caller)
            job.status = REJECTED
        else:
            with boa.reverts():
                self.place.jobs.reject(number, REASON, sender=caller)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), caller=ANYONE)
    def anyone_claims_a_refund(self, data, caller):
        number = self.job(data)
        job = self.known[number]
        if job.status in (FUNDED, SUBMITTED) and self.place.now >= job.expires:
            self.place.jobs.claimRefund(number, sender=caller)
            job.status = EXPIRED
        else:
            with boa.reverts():
                self.place.jobs.claimRefund(number, sender=caller)

    @rule(seconds=st.sampled_from((1, 10, HOUR)))
    def time_passes(self, seconds):
        boa.env.time_travel(seconds=seconds)

    @invariant()
    def every_coin_is_with_the_client_in_escrow_or_earned(self):
        held = sum(job.budget for job in self.known.values() if job.status in (FUNDED, SUBMITTED))
        assert self.place.held(self.place.jobs.address) == self.place.jobs.escrowed() == held
        assert {who: self.place.held(who) for who in self.earned} == self.earned
        assert self.place.held(CLIENT) == MONEY - held - sum(self.earned.values())

    @invariant()
    def each_job_is_what_its_calls_made_of_it(self):
        for number, job in self.known.items():
            found = self.place.jobs.getJob(number)
            assert (found.status, found.budget, found.provider) == (job.status, job.budget, job.provider)


def test_jobs():
    with fresh_chain():
        JobsMachine.place = Place()
        JobsMachine.place.jobs.name_till(JobsMachine.place.work)
        run_state_machine_as_test(
            JobsMachine, settings=settings(max_examples=8, stateful_step_count=25, deadline=None)
        )
