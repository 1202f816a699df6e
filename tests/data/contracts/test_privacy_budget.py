# SPDX-License-Identifier: Apache-2.0
"""The privacy budget: what may ever be learnt is public, and is never spent twice or above the total."""

from __future__ import annotations

from typing import Any

import boa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.contracts_support import NOBODY, account, deploy, deploy_hall, events, fresh_chain

OWNER, NODE, STRANGER, NEXT = (account(role) for role in ("data owner", "node", "stranger", "next owner"))
WEEK = 604_800
JOB, OTHER_JOB = b"\x01" * 32, b"\x02" * 32


@pytest.fixture(autouse=True)
def _chain():
    with fresh_chain():
        yield


@pytest.fixture
def hall():
    return deploy_hall()


@pytest.fixture
def budget(hall):
    return deploy("data", "PrivacyBudget", hall.works.address)


@pytest.fixture
def work(hall, budget):
    work_id = hall.publish(OWNER)
    budget.set_total(work_id, 5_000_000, sender=OWNER)
    return work_id


def test_the_first_total_and_a_lower_one_count_at_once(budget, work):
    assert budget.budget_of(work).total == 5_000_000
    budget.set_total(work, 2_000_000, sender=OWNER)
    assert events(budget, "TotalSet") == [{"work_id": work, "total": 2_000_000}]
    assert budget.budget_of(work).total == 2_000_000


def test_a_higher_total_waits_a_week_in_public(budget, work):
    budget.set_total(work, 9_000_000, sender=OWNER)
    from_second = boa.env.evm.patch.timestamp + WEEK
    assert events(budget, "RaiseAnnounced") == [
        {"work_id": work, "total": 9_000_000, "from_second": from_second}
    ]
    assert budget.budget_of(work).total == 5_000_000
    boa.env.time_travel(seconds=WEEK - 1)
    with boa.reverts("announced too recently"):
        budget.raise_total(work, sender=OWNER)
    with boa.reverts("budget exhausted"):
        budget.spend(work, JOB, 5_000_001, sender=OWNER)
    boa.env.time_travel(seconds=1)
    budget.raise_total(work, sender=OWNER)
    assert budget.budget_of(work).total == 9_000_000
    with boa.reverts("nothing announced"):
        budget.raise_total(work, sender=OWNER)


def test_a_lower_total_takes_the_announcement_back(budget, work):
    budget.set_total(work, 9_000_000, sender=OWNER)
    budget.set_total(work, 4_000_000, sender=OWNER)
    boa.env.time_travel(seconds=WEEK)
    with boa.reverts("nothing announced"):
        budget.raise_total(work, sender=OWNER)


def test_announcing_again_waits_again(budget, work):
    budget.set_total(work, 9_000_000, sender=OWNER)
    boa.env.time_travel(seconds=WEEK - 1)
    budget.set_total(work, 9_000_001, sender=OWNER)
    boa.env.time_travel(seconds=1)
    with boa.reverts("announced too recently"):
        budget.raise_total(work, sender=OWNER)


def test_a_total_lowered_to_nothing_is_not_a_first_one_again(budget, work):
    budget.set_total(work, 0, sender=OWNER)
    budget.set_total(work, 1, sender=OWNER)
    assert budget.budget_of(work).total == 0


def test_what_is_spent_is_written_down(budget, work):
    budget.spend(work, JOB, 300_000, sender=OWNER)
    assert events(budget, "Spent") == [
        {"work_id": work, "job": JOB, "operator": OWNER, "epsilon_micro": 300_000, "spent": 300_000}
    ]
    assert budget.spent_by(work, JOB) == 300_000
    assert budget.spent_by(work, OTHER_JOB) == 0
    with boa.reverts("job already spent"):
        budget.spend(work, JOB, 1, sender=OWNER)
    with boa.reverts("less than is spent"):
        budget.set_total(work, 299_999, sender=OWNER)


def test_nothing_is_spent_above_the_total(budget, work):
    budget.spend(work, JOB, 5_000_000, sender=OWNER)
    with boa.reverts("budget exhausted"):
        budget.spend(work, OTHER_JOB, 1, sender=OWNER)
    with boa.reverts("nothing to spend"):
        budget.spend(work, OTHER_JOB, 0, sender=OWNER)


def test_nothing_is_spent_where_no_total_was_set(hall, budget):
    other = hall.publish(OWNER)
    with boa.reverts("budget exhausted"):
        budget.spend(other, JOB, 1, sender=OWNER)


def test_an_account_the_owner_named_may_spend_and_no_more(budget, work):
    with boa.reverts("only the owner or a named operator"):
        budget.spend(work, JOB, 1, sender=NODE)
    budget.name_operator(work, NODE, True, sender=OWNER)
    assert events(budget, "OperatorNamed") == [
        {"work_id": work, "owner": OWNER, "operator": NODE, "named": True}
    ]
    assert budget.may_act(work, NODE)
    budget.spend(work, JOB, 1, sender=NODE)
    for forbidden in (
        lambda: budget.set_total(work, 1, sender=NODE),
        lambda: budget.raise_total(work, sender=NODE),
        lambda: budget.name_operator(work, STRANGER, True, sender=NODE),
    ):
        with boa.reverts("only the owner or an operator"):
            forbidden()
    budget.name_operator(work, NODE, False, sender=OWNER)
    with boa.reverts("only the owner or a named operator"):
        budget.spend(work, OTHER_JOB, 1, sender=NODE)


def test_names_lapse_when_the_work_is_sold(hall, budget, work):
    budget.name_operator(work, NODE, True, sender=OWNER)
    hall.works.transferFrom(OWNER, NEXT, work, sender=OWNER)
    assert not budget.may_act(work, NODE)
    assert not budget.may_act(work, OWNER)
    assert budget.may_act(work, NEXT)


def test_an_operator_of_the_work_may_do_all(hall, budget, work):
    hall.works.setApprovalForAll(NODE, True, sender=OWNER)
    budget.set_total(work, 1_000_000, sender=NODE)
    budget.spend(work, JOB, 1_000_000, sender=NODE)


def test_a_work_that_does_not_exist_has_no_budget(budget):
    with boa.reverts():
        budget.set_total(99, 1, sender=OWNER)
    with boa.reverts():
        budget.spend(99, JOB, 1, sender=OWNER)


def test_a_register_is_needed(hall, budget):
    with boa.reverts("works missing"):
        deploy("data", "PrivacyBudget", NOBODY)
    assert budget.works() == hall.works.address
    assert budget.DELAY() == WEEK


class BudgetMachine(RuleBasedStateMachine):
    """The total rises only after a week in public; what is spent only rises, and never above the total."""

    budget: Any  # deployed once, with a Work; what an example does to them is undone
    work: int

    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.total, self.opened = 0, False
        self.announced: tuple[int, int] | None = None
        self.jobs: dict[int, int] = {}

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    @property
    def now(self) -> int:
        return int(boa.env.evm.patch.timestamp)

    @rule(total=st.integers(0, 30))
    def the_owner_sets_a_total(self, total):
        if total < sum(self.jobs.values()):
            with boa.reverts("less than is spent"):
                self.budget.set_total(self.work, total, sender=OWNER)
            return
        self.budget.set_total(self.work, total, sender=OWNER)
        if self.opened and total > self.total:
            self.announced = (total, self.now + WEEK)
        else:
            self.total, self.announced, self.opened = total, None, True

    @rule()
    def the_owner_puts_it_in_force(self):
        if self.announced and self.now >= self.announced[1]:
            self.budget.raise_total(self.work, sender=OWNER)
            self.total, self.announced = self.announced[0], None
        else:
            with boa.reverts():
                self.budget.raise_total(self.work, sender=OWNER)

    @rule(job=st.integers(1, 4), epsilon=st.integers(0, 12))
    def a_job_spends(self, job, epsilon):
        name = bytes([job]) * 32
        if epsilon and job not in self.jobs and sum(self.jobs.values()) + epsilon <= self.total:
            self.budget.spend(self.work, name, epsilon, sender=OWNER)
            self.jobs[job] = epsilon
        else:
            with boa.reverts():
                self.budget.spend(self.work, name, epsilon, sender=OWNER)

    @rule(seconds=st.sampled_from((1, WEEK // 2, WEEK)))
    def time_passes(self, seconds):
        boa.env.time_travel(seconds=seconds)

    @invariant()
    def the_contract_agrees(self):
        found = self.budget.budget_of(self.work)
        assert (found.total, found.spent) == (self.total, sum(self.jobs.values()))
        assert found.spent <= found.total

    @invariant()
    def every_job_spends_once(self):
        for job in range(1, 5):
            assert self.budget.spent_by(self.work, bytes([job]) * 32) == self.jobs.get(job, 0)


def test_budgets():
    with fresh_chain():
        hall = deploy_hall()
        BudgetMachine.budget = deploy("data", "PrivacyBudget", hall.works.address)
        BudgetMachine.work = hall.publish(OWNER)
        run_state_machine_as_test(
            BudgetMachine, settings=settings(max_examples=8, stateful_step_count=20, deadline=None)
        )
