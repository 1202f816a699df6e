# SPDX-License-Identifier: Apache-2.0
"""Compute jobs: paid by the second where a result came in time, else all goes back; each ends once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import boa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.contracts_support import NOBODY, account, deploy, deploy_hall, deploy_mock, events, fresh_chain

OWNER, NODE, STRANGER = (account(role) for role in ("data owner", "node", "stranger"))
BUYER = account("compute buyer")
ALGORITHM, SCHEMA, RESULT, NOTHING = b"\x0a" * 32, b"\x0b" * 32, b"\x0c" * 32, bytes(32)
COMPUTE = 1
OPEN, RELEASED, FAILED, REFUSED, REFUNDED = range(5)
HOUR = 3600


@dataclass
class Market:
    """A dataset, its budget's contract, the jobs, and a buyer with a grant and money."""

    hall: Any = field(default_factory=deploy_hall)

    def __post_init__(self) -> None:
        self.terms: Any = deploy("works", "Terms", self.hall.works.address)
        self.budget: Any = deploy("data", "PrivacyBudget", self.hall.works.address)
        self.jobs: Any = deploy("data", "ComputeJobs", self.terms.address, self.budget.address)
        self.work = self.hall.publish(OWNER)
        self.till = self.hall.works.till_of(self.work)
        self.token: Any = deploy_mock("StakeToken")
        self.token.mint(BUYER, 10**6)
        self.token.approve(self.jobs, 2**256 - 1, sender=BUYER)
        self.terms.give(self.work, COMPUTE, BUYER, 30 * 24 * HOUR, NOTHING, sender=OWNER)

    @property
    def now(self) -> int:
        return int(boa.env.evm.patch.timestamp)

    def order(
        self,
        *,
        price: int = 7,
        seconds: int = 10,
        deadline: int | None = None,
        algorithm: bytes = ALGORITHM,
        schema: bytes = SCHEMA,
        token: str | None = None,
        buyer: str = BUYER,
        work: int | None = None,
    ) -> int:
        return int(
            self.jobs.order(
                self.work if work is None else work,
                algorithm,
                schema,
                price,
                seconds,
                self.now + HOUR if deadline is None else deadline,
                self.token.address if token is None else token,
                sender=buyer,
            )
        )

    def deliver(self, job: int, outcome: int, seconds: int, result: bytes, sender: str = OWNER) -> None:
        self.jobs.deliver(job, outcome, seconds, result, sender=sender)


@pytest.fixture(scope="module")
def deployed():
    with fresh_chain():
        yield Market()


@pytest.fixture
def market(deployed):
    with fresh_chain():
        yield deployed


def test_an_order_locks_the_most_it_can_cost(market):
    job = market.order()
    assert events(market.jobs, "Ordered") == [
        {
            "job_id": job,
            "work_id": market.work,
            "buyer": BUYER,
            "algorithm": ALGORITHM,
            "schema": SCHEMA,
            "token": market.token.address,
            "price_per_second": 7,
            "max_seconds": 10,
            "deadline": market.now + HOUR,
        }
    ]
    assert market.token.balanceOf(market.jobs) == 70
    found = market.jobs.job_of(job)
    assert (found.state, found.buyer, found.algorithm, found.schema) == (OPEN, BUYER, ALGORITHM, SCHEMA)
    assert market.jobs.job_count() == job == 1


def test_a_result_is_paid_by_the_second_and_the_rest_goes_back_in_the_same_call(market):
    job = market.order()
    market.deliver(job, RELEASED, 4, RESULT)
    assert events(market.jobs, "Delivered") == [
        {
            "job_id": job,
            "work_id": market.work,
            "outcome": RELEASED,
            "seconds": 4,
            "paid": 28,
            "returned": 42,
            "result": RESULT,
        }
    ]
    assert market.token.balanceOf(market.till) == 28
    assert market.token.balanceOf(BUYER) == 10**6 - 28
    assert market.token.balanceOf(market.jobs) == 0
    found = market.jobs.job_of(job)
    assert (found.state, found.seconds, found.result) == (RELEASED, 4, RESULT)


@pytest.mark.parametrize("outcome", [FAILED, REFUSED])
def test_without_a_result_everything_goes_back(market, outcome):
    job = market.order()
    market.deliver(job, outcome, 0, NOTHING)
    assert market.token.balanceOf(BUYER) == 10**6
    assert market.token.balanceOf(market.till) == 0
    assert market.jobs.job_of(job).state == outcome


def test_only_a_result_is_paid(market):
    job = market.order()
    for outcome, seconds, result in ((FAILED, 1, NOTHING), (REFUSED, 0, RESULT)):
        with boa.reverts("only a result is paid"):
            market.deliver(job, outcome, seconds, result)
    with boa.reverts("result missing"):
        market.deliver(job, RELEASED, 1, NOTHING)
    with boa.reverts("more seconds than ordered"):
        market.deliver(job, RELEASED, 11, RESULT)
    for outcome in (OPEN, REFUNDED, 255):
        with boa.reverts("unknown outcome"):
            market.deliver(job, outcome, 0, NOTHING)


def test_only_the_datasets_node_delivers(market):
    job = market.order()
    for other in (STRANGER, BUYER, NODE):
        with boa.reverts("only the owner or a named operator"):
            market.deliver(job, RELEASED, 1, RESULT, sender=other)
    market.budget.name_operator(market.work, NODE, True, sender=OWNER)
    market.deliver(job, RELEASED, 1, RESULT, sender=NODE)


def test_an_owner_of_another_dataset_cannot_deliver(market):
    market.hall.publish(STRANGER)
    job = market.order()
    with boa.reverts("only the owner or a named operator"):
        market.deliver(job, RELEASED, 10, RESULT, sender=STRANGER)


def test_a_job_ends_once(market):
    job = market.order()
    market.deliver(job, RELEASED, 10, RESULT)
    with boa.reverts("already ended"):
        market.deliver(job, RELEASED, 10, RESULT)
    boa.env.time_travel(seconds=HOUR + 1)
    with boa.reverts("already ended"):
        market.jobs.refund(job)


def test_after_the_deadline_anyone_sends_the_money_back(market):
    job = market.order()
    boa.env.time_travel(seconds=HOUR)
    with boa.reverts("still deliverable"):
        market.jobs.refund(job, sender=STRANGER)
    boa.env.time_travel(seconds=1)
    with boa.reverts("deadline past"):
        market.deliver(job, RELEASED, 1, RESULT)
    market.jobs.refund(job, sender=STRANGER)
    assert events(market.jobs, "Refunded") == [
        {"job_id": job, "work_id": market.work, "buyer": BUYER, "returned": 70}
    ]
    assert market.token.balanceOf(BUYER) == 10**6
    assert market.jobs.job_of(job).state == REFUNDED
    with boa.reverts("already ended"):
        market.jobs.refund(job)


def test_a_grant_to_compute_is_needed(market):
    with boa.reverts("no grant"):
        market.order(buyer=STRANGER)
    market.terms.give(market.work, 0, STRANGER, 0, NOTHING, sender=OWNER)  # a download is no computing
    with boa.reverts("no grant"):
        market.order(buyer=STRANGER)
    boa.env.time_travel(seconds=30 * 24 * HOUR)
    with boa.reverts("no grant"):
        market.order()


def test_what_makes_no_sense_is_not_ordered(market):
    for wrong in ({"algorithm": NOTHING}, {"schema": NOTHING}):
        with boa.reverts("digest missing"):
            market.order(**wrong)
    with boa.reverts("seconds missing"):
        market.order(seconds=0)
    with boa.reverts("deadline already past"):
        market.order(deadline=market.now)
    with boa.reverts("token missing"):
        market.order(token=NOBODY)
    with boa.reverts():
        market.order(price=2**255, seconds=4)


def test_exactly_what_is_ordered_must_arrive(market):
    market.token.set_fee(1_00)
    with boa.reverts("token did not deliver exactly"):
        market.order(price=100)
    market.token.set_fee(0)
    job = market.order()
    market.token.set_refusing(True)
    with boa.reverts("transfer refused"):
        market.order()
    with boa.reverts("transfer refused"):
        market.deliver(job, FAILED, 0, NOTHING)


def test_a_token_that_calls_back_cannot_end_a_job_twice(market):
    job = market.order()
    again = market.jobs.refund.prepare_calldata(job)
    boa.env.time_travel(seconds=HOUR + 1)
    market.token.set_hook(market.jobs.address, again)
    with boa.reverts():
        market.jobs.refund(job)


def test_a_free_job_moves_nothing(market):
    job = market.order(price=0)
    market.deliver(job, RELEASED, 10, RESULT)
    assert market.token.balanceOf(BUYER) == 10**6


def test_there_are_only_the_jobs_that_were_ordered(market):
    for job in (0, 1):
        for call in (
            lambda job=job: market.jobs.job_of(job),
            lambda job=job: market.jobs.refund(job),
            lambda job=job: market.deliver(job, FAILED, 0, NOTHING),
        ):
            with boa.reverts("no such job"):
                call()


def test_the_contracts_it_stands_on_must_be_there_and_agree(market):
    for terms, budget in ((NOBODY, market.budget.address), (market.terms.address, NOBODY)):
        with boa.reverts("contract missing"):
            deploy("data", "ComputeJobs", terms, budget)
    elsewhere = deploy("data", "PrivacyBudget", deploy_hall().works.address)
    with boa.reverts("other works"):
        deploy("data", "ComputeJobs", market.terms.address, elsewhere.address)
    assert market.jobs.terms() == market.terms.address
    assert market.jobs.budget() == market.budget.address


class JobsMachine(RuleBasedStateMachine):
    """Every coin paid in is with the contract, the till or the buyer; no job is paid or paid back twice."""

    market: Market  # deployed once; what an example does to it is undone

    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.open: dict[int, tuple[int, int, int]] = {}
        self.ended: dict[int, int] = {}
        self.paid = 0

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    @rule(price=st.integers(0, 9), seconds=st.integers(1, 9), lasts=st.sampled_from((10, HOUR)))
    def the_buyer_orders(self, price, seconds, lasts):
        job = self.market.order(price=price, seconds=seconds, deadline=self.market.now + lasts)
        self.open[job] = (price, seconds, self.market.now + lasts)

    @precondition(lambda self: self.open or self.ended)
    @rule(data=st.data(), outcome=st.integers(0, 4), seconds=st.integers(0, 10), named=st.booleans())
    def the_node_delivers(self, data, outcome, seconds, named):
        job = data.draw(st.sampled_from(sorted({*self.open, *self.ended})))
        result = RESULT if named else NOTHING
        price, most, deadline = self.open.get(job, (0, 0, 0))
        fits = (
            named and seconds <= most
            if outcome == RELEASED
            else outcome in (FAILED, REFUSED) and not named and seconds == 0
        )
        if job in self.open and fits and self.market.now <= deadline:
            self.market.deliver(job, outcome, seconds, result)
            self.paid += price * seconds
            self.ended[job] = outcome
            del self.open[job]
        else:
            with boa.reverts():
                self.market.deliver(job, outcome, seconds, result)

    @precondition(lambda self: self.open or self.ended)
    @rule(data=st.data())
    def anyone_refunds(self, data):
        job = data.draw(st.sampled_from(sorted({*self.open, *self.ended})))
        if job in self.open and self.market.now > self.open[job][2]:
            self.market.jobs.refund(job, sender=STRANGER)
            self.ended[job] = REFUNDED
            del self.open[job]
        else:
            with boa.reverts():
                self.market.jobs.refund(job, sender=STRANGER)

    @rule(seconds=st.sampled_from((1, 10, HOUR)))
    def time_passes(self, seconds):
        boa.env.time_travel(seconds=seconds)

    @invariant()
    def the_contract_holds_exactly_the_open_jobs(self):
        held = sum(price * seconds for price, seconds, _ in self.open.values())
        token, market = self.market.token, self.market
        assert token.balanceOf(market.jobs) == held
        assert token.balanceOf(market.till) == self.paid
        assert token.balanceOf(BUYER) == 10**6 - held - self.paid

    @invariant()
    def what_ended_stays_ended(self):
        for job, state in self.ended.items():
            assert self.market.jobs.job_of(job).state == state


def test_jobs(market):
    JobsMachine.market = market
    run_state_machine_as_test(
        JobsMachine, settings=settings(max_examples=8, stateful_step_count=20, deadline=None)
    )
