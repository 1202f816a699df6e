# SPDX-License-Identifier: Apache-2.0
"""Buyers, a node that is killed wherever it is, and a budget that runs out, in any order.

Invariants, after every step: no coin comes into being or is lost, among buyers, till and escrow; the budget
never counts a job twice; a job that was accepted is never forgotten; and whatever the chain says was released
can be fetched.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from koinon.compute.sandbox import Finished, Outcome
from koinon.data.escrow import JobState
from koinon.data.jobs import job_name
from koinon.errors import KoinonError
from tests.data.market_support import COIN, MEAN_AGE, MEAN_SCHEMA, POLICY, VERDICT_SCHEMA, Market

STARTED = 1000 * COIN
LENIENT = POLICY.replace("[gate]", "[gate]\nallow_undeclared = true")
STEPS = (
    "journal.begin",
    "journal.decide",
    "journal.end",
    "_budget.spend",
    "_jobs.deliver",
    "admission.sandbox.run",
)


class Cut(BaseException):
    """The power goes: nothing catches it."""


class Playback:
    """Ends programs as the test says, without running any; what is isolated is tested elsewhere."""

    def __init__(self):
        self.outcome, self.said = Outcome.OK, b'{"mean_age": 50.0}'

    def check(self):
        """It is ready."""

    def run(self, program, inputs, limits):
        outputs = {"result.json": self.said} if self.outcome is Outcome.OK else {}
        return Finished(self.outcome, 0.1, 0.4, 1, outputs)


def machine(chain, folder, new_account):
    class Jobs(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.sandbox = Playback()
            place = folder / str(len(list(folder.iterdir())))
            place.mkdir()
            self.market = Market(chain, place, new_account, LENIENT, self.sandbox)
            self.buyer = self.market.buyer(STARTED)
            self.orders = []

        @rule(private=st.booleans(), seconds=st.integers(1, 5))
        def buy(self, private, seconds):
            schema = MEAN_SCHEMA if private else VERDICT_SCHEMA
            try:
                self.orders.append(self.buyer.buy(MEAN_AGE, schema, seconds=seconds))
            except KoinonError as refused:
                if refused.code not in ("data.budget_exhausted", "data.too_many_failures"):
                    raise

        @rule(outcome=st.sampled_from([Outcome.OK, Outcome.FAILED, Outcome.TIMEOUT]), good=st.booleans())
        def decide_how_programs_end(self, outcome, good):
            self.sandbox.outcome = outcome
            self.sandbox.said = b'{"mean_age": 50.0}' if good else b'{"verdict": "yes"}'

        @rule()
        def run(self):
            self.market.runner.run_next()

        @rule(seconds=st.sampled_from([0.5, 30]))
        def tell(self, seconds):
            self.market.pass_time(seconds)
            self.market.runner.tell_due()

        @rule()
        def kill_between_steps(self):
            self.market.crash()

        @precondition(lambda self: self.orders)
        @rule(step=st.sampled_from(STEPS), after=st.booleans())
        def kill_within_a_step(self, step, after):
            *path, name = step.split(".")
            there = self.market.runner
            for part in path:
                there = getattr(there, part)
            done = getattr(there, name)

            def cut(*arguments, **options):
                if after:
                    done(*arguments, **options)
                raise Cut

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(there, name, cut)
                try:
                    self.market.runner.run_next()
                    self.market.pass_time(30)
                    self.market.runner.tell_due()
                except Cut:
                    pass
            self.market.crash()

        @precondition(lambda self: self.orders)
        @rule(which=st.integers(0, 20))
        def hand_in_again(self, which):
            order = self.orders[which % len(self.orders)]
            try:
                self.buyer.orders.submit(self.buyer.key, order)
            except KoinonError as refused:
                if refused.code != "data.job_over":
                    raise

        @invariant()
        def no_coin_is_made_or_lost(self):
            locked = sum(
                job.locked
                for job in (self.market.jobs.job(order.job_id) for order in self.orders)
                if job.state is JobState.OPEN
            )
            assert self.buyer.coins + self.market.till + locked == STARTED

        @invariant()
        def the_budget_counts_each_job_once(self):
            names = [job_name(self.market.jobs.contract.address, order.job_id) for order in self.orders]
            spent = [self.market.budget.spent_by(self.market.work_id, name) for name in names]
            assert self.market.budget.of(self.market.work_id).spent == 1_000_000 + sum(spent)
            assert set(spent) <= {0, 1_000_000, 100_000}

        @invariant()
        def no_accepted_job_is_forgotten_and_no_result_lost(self):
            for order in self.orders:
                kept = self.market.journal.find(order.job_id)
                assert kept is not None
                if self.market.jobs.job(order.job_id).state is JobState.RELEASED and kept.stage == "ended":
                    assert self.buyer.orders.fetch(order)

        def teardown(self):
            for _ in range(3 * len(self.orders) + 3):
                self.market.runner.run_next()
                self.market.pass_time(60)
                self.market.runner.tell_due()
            for order in self.orders:
                assert self.market.jobs.job(order.job_id).state is not JobState.OPEN
            self.no_coin_is_made_or_lost()
            self.market.journal.close()

    return Jobs


def test_whatever_happens_in_whatever_order_nothing_is_lost(chain, tmp_path, new_account):
    run_state_machine_as_test(
        machine(chain, tmp_path, new_account),
        settings=settings(
            max_examples=6,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
