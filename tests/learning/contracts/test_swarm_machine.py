# SPDX-License-Identifier: Apache-2.0
"""A swarm of honest and dishonest peers that come, go, propose and object in any order."""

from __future__ import annotations

import boa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from koinon.learning.swarm.onion import packed_scores
from tests.contracts_support import account, fresh_chain
from tests.learning.contracts.swarm_support import OTHER_MODEL, PENALTY, SLOT_S, STAKE, WINDOW_S, Stage

ROLES = ("bank", "shop", "club", "museum")
ROUNDS = 2
MINIMUM = STAKE - PENALTY
WHO = st.sampled_from(ROLES)


class Swarms(RuleBasedStateMachine):
    """Whatever anyone tries, money is conserved and only what nobody overturned in time is final."""

    stage: Stage  # with a run that three have begun; what an example does to it is undone
    run: int

    def __init__(self) -> None:
        super().__init__()
        self.example = self.stage.undone()
        self.example.__enter__()
        self.minted = len(ROLES) * STAKE
        self.settled_at: dict[int, int] = {}
        self.scores: dict[str, bytes] = {}
        self.order: tuple[int, list[str]] = (0, [])
        self.works_before = int(self.stage.record.hall.works.total())

    def teardown(self) -> None:
        self.example.__exit__(None, None, None)

    @property
    def state(self):
        return self.stage.swarm.swarm(self.run)

    def attempt(self, call) -> bool:
        try:
            call()
        except boa.BoaError:
            return False
        return True

    def candidate(self) -> str | None:
        """Whose slot it is by the contract's own view."""
        if self.stage.now < self.state.t0:
            return None
        found = self.stage.swarm.candidate(self.run, self.stage.slot(self.run))
        return next((role for role in ROLES if account(role) == found), None)

    @rule(seconds=st.sampled_from([1, SLOT_S, SLOT_S + 1, 3 * SLOT_S, WINDOW_S]))
    def time_passes(self, seconds):
        self.stage.wait(seconds)

    @rule(role=WHO)
    def anyone_tries_to_propose(self, role):
        candidate, before = self.candidate(), self.state
        done = self.attempt(lambda: self.stage.propose(self.run, role))
        assert not done or role == candidate
        assert self.state.round == before.round + done

    @precondition(lambda self: self.state.round < ROUNDS)
    @rule()
    def the_candidate_proposes(self):
        role = self.candidate()
        if role is None:
            return
        before = {each: self.stage.staked(each) for each in ROLES}
        paid = self.stage.credit(role)
        if not self.attempt(lambda: self.stage.propose(self.run, role)):
            return
        lost = {each: before[each] - self.stage.staked(each) for each in ROLES}
        assert lost[role] == 0
        assert set(lost.values()) <= {0, *range(1, PENALTY + 1)}
        assert self.stage.credit(role) - paid == sum(lost.values())

    @rule(role=WHO, back=st.integers(0, 1))
    def someone_objects(self, role, back):
        number = self.state.round - back
        if number < 1:
            return
        call = self.stage.swarm.object_finish if number > ROUNDS else self.stage.swarm.object
        named = (self.run,) if number > ROUNDS else (self.run, number)
        self.object(number, role, lambda: call(*named, OTHER_MODEL, sender=account(role)))

    @precondition(lambda self: 0 < self.state.round <= ROUNDS)
    @rule()
    def everyone_objects(self):
        number = self.state.round
        for role in ROLES:
            if self.state.round == number:
                self.object(
                    number,
                    role,
                    lambda role=role: self.stage.swarm.object(
                        self.run, number, OTHER_MODEL, sender=account(role)
                    ),
                )

    def object(self, number, role, call):
        found = self.stage.swarm.round_of(self.run, number)
        in_time = self.stage.now < found.proposed_at + WINDOW_S
        if self.attempt(call):
            assert in_time
            assert role != found.leader
        if self.state.round < number:
            liar = next(each for each in ROLES if account(each) == found.leader)
            assert self.stage.staked(liar) == 0
            peer = self.stage.swarm.peers_of(self.run)[ROLES.index(liar)]
            assert (peer.stake, peer.active) == (0, False)

    @rule(up_to=st.integers(1, ROUNDS))
    def someone_settles(self, up_to):
        last = self.state.settled
        proposed = {
            number: self.stage.swarm.round_of(self.run, number).proposed_at
            for number in range(1, self.state.round + 1)
        }
        if self.attempt(lambda: self.stage.swarm.settle(self.run, up_to)):
            for number in range(last + 1, up_to + 1):
                self.settled_at[number] = self.stage.now
                assert self.stage.now >= proposed[number] + WINDOW_S

    @rule(role=WHO)
    def someone_leaves(self, role):
        self.attempt(lambda: self.stage.swarm.leave(self.run, sender=account(role)))

    @rule(role=WHO)
    def someone_is_ready(self, role):
        self.attempt(lambda: self.stage.ready(self.run, role))

    @rule(role=WHO)
    def someone_ends_its_bond(self, role):
        self.attempt(lambda: self.stage.bonds.announce_end(self.stage.bonds_of[role], sender=account(role)))

    @rule(role=WHO)
    def someone_withdraws(self, role):
        exposed = [
            found
            for found in (
                self.stage.swarm.round_of(self.run, number) for number in range(1, self.state.round + 1)
            )
            if found.leader == account(role) and self.stage.now < found.proposed_at + WINDOW_S
        ]
        done = self.attempt(
            lambda: self.stage.bonds.withdraw(self.stage.bonds_of[role], sender=account(role))
        )
        assert not (done and exposed), "a leader's stake left while its round could be overturned"

    @rule(role=WHO)
    def anyone_retires_who_ends(self, role):
        self.attempt(lambda: self.stage.swarm.retire(self.run, account(role)))

    @rule()
    def anyone_goes_on(self):
        before = self.state.draw
        if self.attempt(lambda: self.stage.swarm.start(self.run)):
            assert not self.order[1] or self.order[0] != before

    @precondition(lambda self: self.state.settled == ROUNDS)
    @rule(values=st.lists(st.integers(0, 65_535), min_size=3, max_size=3))
    def everyone_scores(self, values):
        given = {
            role: packed_scores([(value * (at + 1)) % 65_536 for value in values])
            for at, role in enumerate(ROLES)
        }
        done = {
            role
            for role in ROLES
            if self.attempt(lambda role=role: self.stage.commit(self.run, role, given[role]))
        }
        self.stage.wait(SLOT_S)
        for role in done:
            if self.attempt(lambda role=role: self.stage.reveal(self.run, role, given[role])):
                self.scores[role] = given[role]

    @precondition(lambda self: self.state.settled == ROUNDS)
    @rule()
    def it_is_finished(self):
        self.stage.wait_until(self.state.t0)
        role = self.candidate()
        if role is None:
            return
        arguments = self.stage.arguments(self.run, *ROLES[:3])
        self.attempt(lambda: self.stage.propose_finish(self.run, arguments))
        assert not self.attempt(lambda: self.stage.swarm.finish(self.run, arguments)) or self.finished
        self.stage.wait(WINDOW_S)
        self.attempt(lambda: self.stage.swarm.finish(self.run, arguments))

    @property
    def finished(self) -> bool:
        return bool(self.stage.record.contract.run(self.run).work_id)

    @invariant()
    def staked_money_is_conserved(self):
        held = int(self.stage.token.balanceOf(self.stage.bonds.address))
        assert held == sum(map(self.stage.staked, ROLES)) + sum(map(self.stage.credit, ROLES))
        assert held == self.minted

    @invariant()
    def what_counts_is_never_more_than_what_is_staked_at_the_time_it_was_counted(self):
        for peer, role in zip(self.stage.swarm.peers_of(self.run), ROLES, strict=True):
            bond = self.stage.bonds.bond_of(self.stage.bonds_of[role])
            assert peer.stake <= bond.amount or bond.ends_at != 0

    @invariant()
    def the_order_of_a_draw_never_changes(self):
        draw = int(self.state.draw)
        found = [str(self.stage.swarm.candidate(self.run, slot)) for slot in range(len(ROLES))]
        if self.order[0] == draw and self.stage.now > self.state.t0:
            assert found == self.order[1]
        self.order = (draw, found if self.stage.now > self.state.t0 else [])
        if not self.order[1]:
            self.order = (0, [])

    @invariant()
    def federation_has_exactly_what_is_settled(self):
        assert self.stage.record.contract.run(self.run).round == self.state.settled == len(self.settled_at)
        assert self.state.settled <= self.state.round <= ROUNDS + 1

    @invariant()
    def there_is_at_most_one_work_and_it_is_the_initiators(self):
        works = self.stage.record.hall.works
        published = int(works.total()) - self.works_before
        assert published == int(self.finished)
        assert works.balanceOf(self.stage.swarm.address) == 0
        if self.finished:
            assert works.ownerOf(self.stage.record.contract.run(self.run).work_id) == self.stage.initiator

    @invariant()
    def each_median_is_within_what_was_revealed(self):
        for member, median in enumerate(self.stage.swarm.scores(self.run)):
            words = [
                int.from_bytes(each[2 * member : 2 * member + 2], "big") for each in self.scores.values()
            ]
            assert median in words if words else median == 0


def begun() -> Stage:
    """A swarm of three, and a fourth that has joined."""
    stage = Stage()
    Swarms.run = stage.started(*ROLES[:3], rounds=ROUNDS, minimum_stake=MINIMUM)
    stage.join(Swarms.run, ROLES[3], data=False)
    return stage


def test_a_swarm_keeps_its_promises():
    chosen = settings(
        max_examples=8, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck)
    )
    with fresh_chain():
        Swarms.stage = begun()
        run_state_machine_as_test(Swarms, settings=chosen)
