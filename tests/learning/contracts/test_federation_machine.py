# SPDX-License-Identifier: Apache-2.0
"""Two runs at once, written in any order by honest and dishonest hands."""

from __future__ import annotations

import boa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from koinon.works.shares import WHOLE
from tests.contracts_support import account, fresh_chain
from tests.learning.contracts.federation_support import MODEL, UPDATES, Record

ROLES = ("bank", "shop", "club")
RUNS = st.integers(0, 1)


class Federations(RuleBasedStateMachine):
    """Whatever anyone tries, the record follows the model: a list of members, rounds, and one Work."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.record = Record()
        self.planned, self.pool = 3, 700_000_000
        self.runs = [self.record.open(self.planned, self.pool) for _ in range(2)]
        self.members: dict[int, list[str]] = {run: [] for run in self.runs}
        self.rounds: dict[int, list[int]] = {run: [] for run in self.runs}
        self.works: dict[int, int] = {}
        self.shares: dict[int, dict[str, int]] = {}

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    def attempt(self, allowed: bool, call) -> bool:
        if allowed:
            call()
        else:
            with boa.reverts():
                call()
        return allowed

    @rule(index=RUNS, roles=st.lists(st.sampled_from(ROLES), min_size=1, max_size=3))
    def the_opener_takes_owners_in(self, index, roles):
        run = self.runs[index]
        fresh = len(set(roles)) == len(roles) and not set(roles) & set(self.members[run])
        if self.attempt(fresh and run not in self.works, lambda: self.record.join(run, *roles)):
            self.members[run] += roles

    @rule(index=RUNS, number=st.integers(0, 4), participants=st.integers(0, 9))
    def the_opener_records_a_round(self, index, number, participants):
        run = self.runs[index]
        done = len(self.rounds[run])
        allowed = (
            number == done + 1 <= self.planned
            and 0 < participants < 2 ** len(self.members[run])
            and run not in self.works
        )
        if self.attempt(allowed, lambda: self.record.record(run, number, participants)):
            self.rounds[run].append(participants)

    @rule(index=RUNS)
    def the_next_round_goes_well(self, index):
        run = self.runs[index]
        if self.members[run] and len(self.rounds[run]) < self.planned and run not in self.works:
            self.the_opener_records_a_round(index, len(self.rounds[run]) + 1, 2 ** len(self.members[run]) - 1)

    @rule(index=RUNS, weights=st.lists(st.integers(1, 9), min_size=3, max_size=3), lie=st.booleans())
    def the_opener_finishes(self, index, weights, lie):
        run = self.runs[index]
        active = self.active(run)
        if not active:
            return
        pool = self.pool - 1 if lie else self.pool
        shares = {role: pool * weight // sum(weights) for role, weight in zip(active, weights, strict=False)}
        shares[active[0]] += pool - sum(shares.values())
        allowed = not lie and run not in self.works
        if self.attempt(allowed, lambda: self.record.finish(run, shares)):
            self.works[run] = int(self.record.hall.works.total())
            self.shares[run] = shares

    @rule(index=RUNS, number=st.integers(1, 3))
    def a_stranger_tries(self, index, number):
        run, stranger = self.runs[index], account("stranger")
        with boa.reverts("only the run's opener"):
            self.record.contract.record_round(run, number, UPDATES, MODEL, 1, sender=stranger)
        with boa.reverts("only the run's opener"):
            self.record.contract.join(run, [], sender=stranger)

    def active(self, run: int) -> list[str]:
        together = 0
        for participants in self.rounds[run]:
            together |= participants
        return [role for bit, role in enumerate(self.members[run]) if together >> bit & 1]

    @invariant()
    def rounds_are_strictly_in_order(self):
        for run in self.runs:
            assert self.record.contract.run(run).round == len(self.rounds[run])

    @invariant()
    def participants_are_members(self):
        for run in self.runs:
            assert self.record.contract.run(run).participants < 2 ** len(self.members[run])
            found = [member.work_id for member in self.record.contract.members_of(run)]
            assert found == [self.record.dataset(role) for role in self.members[run]]

    @invariant()
    def each_run_has_at_most_one_work_and_it_is_the_openers(self):
        for run in self.runs:
            work = self.record.contract.run(run).work_id
            assert work == self.works.get(run, 0)
            if work:
                assert self.record.hall.works.ownerOf(work) == self.record.opener
        assert self.record.hall.works.balanceOf(self.record.contract.address) == 0

    @invariant()
    def everyone_who_taught_is_a_parent_and_in_the_root(self):
        for run, work in self.works.items():
            parents = [parent[0] for parent in self.record.hall.works.parents_of(work)]
            assert parents == [self.record.dataset(role) for role in self.active(run)]
            arguments = self.record.finish_arguments(run, self.shares[run])
            assert self.record.hall.till(work).root() == arguments[5]
            assert sum(self.shares[run].values()) == self.pool < WHOLE


def test_the_record_follows_the_model():
    run_state_machine_as_test(
        Federations,
        settings=settings(
            max_examples=8, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
