# SPDX-License-Identifier: Apache-2.0
"""Our ERC-721 beside snekmate's and OpenZeppelin's: same owners, approvals and refusals, whatever is done."""

from __future__ import annotations

import boa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.contracts_support import NOBODY, account, deploy_hall, deploy_mock, fresh_chain
from tests.works.contracts.openzeppelin import OpenZeppelinNft

ROLES = ("holder", "collector", "operator")
TOKENS = st.integers(1, 3)
ACTORS = st.integers(0, 2)
TARGETS = st.integers(0, 4)
NOTES = st.none() | st.binary(max_size=40)


class SameAsTheOracle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.pair = (deploy_hall().works, self.oracle())
        self.people = [account(role) for role in ROLES]
        good, bad = deploy_mock("Receiver", 0, NOBODY), deploy_mock("Receiver", 2, NOBODY)
        self.targets = [*self.people, str(good.address), str(bad.address)]

    def oracle(self):
        return deploy_mock("ReferenceNft")

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    def both(self, name, *arguments, sender):
        """Do it on both; they agree whether it is allowed."""
        outcomes = []
        for contract in self.pair:
            try:
                outcomes.append((True, getattr(contract, name)(*arguments, sender=sender)))
            except boa.BoaError:
                outcomes.append((False, None))
        assert outcomes[0] == outcomes[1]

    @rule(actor=ACTORS)
    def registers(self, actor):
        if self.pair[0].total() < 3:
            self.both("register", sender=self.people[actor])

    @rule(actor=ACTORS, receiver=TARGETS, token=TOKENS)
    def approves(self, actor, receiver, token):
        # Both refuse an approval to the owner itself; ERC-721 and the ERC-8004 reference allow it.
        if token <= self.pair[0].total() and self.pair[0].ownerOf(token) == self.targets[receiver]:
            return
        self.both("approve", self.targets[receiver], token, sender=self.people[actor])

    @rule(actor=ACTORS, token=TOKENS)
    def takes_the_approval_back(self, actor, token):
        self.both("approve", NOBODY, token, sender=self.people[actor])

    @rule(actor=ACTORS, operator=TARGETS, approved=st.booleans())
    def names_an_operator(self, actor, operator, approved):
        # Both refuse oneself as operator; ERC-721 and the ERC-8004 reference allow it.
        if self.people[actor] != self.targets[operator]:
            self.both("setApprovalForAll", self.targets[operator], approved, sender=self.people[actor])

    @rule(actor=ACTORS, source=ACTORS, receiver=TARGETS, token=TOKENS)
    def transfers(self, actor, source, receiver, token):
        self.both(
            "transferFrom", self.people[source], self.targets[receiver], token, sender=self.people[actor]
        )

    @rule(actor=ACTORS, receiver=TARGETS, token=TOKENS, note=NOTES)
    def transfers_safely(self, actor, receiver, token, note):
        source = self.pair[0].ownerOf(token) if token <= self.pair[0].total() else self.people[0]
        rest = () if note is None else (note,)
        self.both("safeTransferFrom", source, self.targets[receiver], token, *rest, sender=self.people[actor])

    @rule(actor=ACTORS, token=TOKENS)
    def transfers_to_nobody(self, actor, token):
        for name in ("transferFrom", "safeTransferFrom"):
            self.both(name, self.people[actor], NOBODY, token, sender=self.people[actor])

    @invariant()
    def they_say_the_same(self):
        ours, oracle = self.pair
        for token in range(1, ours.total() + 1):
            assert ours.ownerOf(token) == oracle.ownerOf(token)
            assert ours.getApproved(token) == oracle.getApproved(token)
        for person in self.targets:
            assert ours.balanceOf(person) == oracle.balanceOf(person)
        for person in self.people:
            for operator in self.targets:
                assert ours.isApprovedForAll(person, operator) == oracle.isApprovedForAll(person, operator)

    @invariant()
    def every_work_has_one_owner(self):
        ours = self.pair[0]
        assert sum(ours.balanceOf(person) for person in self.targets) == ours.total()


class SameAsOpenZeppelin(SameAsTheOracle):
    def oracle(self):
        return OpenZeppelinNft()


@pytest.mark.parametrize("machine", [SameAsTheOracle, SameAsOpenZeppelin])
def test_ours_behaves_like_the_oracle(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=10, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
