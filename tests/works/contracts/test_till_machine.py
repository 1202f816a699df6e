# SPDX-License-Identifier: Apache-2.0
"""Many Works, tokens, payments, sales and releases in any order, held to a model with a few sentences."""

from __future__ import annotations

from typing import Any

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

from koinon.works.shares import OWNER, WHOLE, ShareTable
from tests.contracts_support import ETH, account, deploy_hall, deploy_mock, fresh_chain, give_eth

PEOPLE = ("singer", "writer", "seller", "buyer")
AMOUNTS = st.integers(0, 10**6) | st.integers(0, 10**27)


class Tills(RuleBasedStateMachine):
    """Three Works: a parent, a child that promised it a share, and a bystander with a hostile token."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.hall = deploy_hall()
        self.coin, self.hostile = deploy_mock("Token"), deploy_mock("HostileToken")
        self.people = {role: account(role) for role in PEOPLE}
        seller = self.people["seller"]
        self.parent = self.hall.publish(seller)
        self.child = self.hall.publish(seller, [(self.parent, WHOLE // 10, b"")])
        self.bystander = self.hall.publish(seller)
        self.works = [self.parent, self.child, self.bystander]
        self.address = {work: str(self.hall.works.till_of(work)) for work in self.works}
        self.owners = dict.fromkeys(self.works, seller)
        self.tills: dict[int, Any] = {}
        self.tables: dict[int, ShareTable] = {}
        self.received: dict[tuple[int, object], int] = {}
        self.paid: dict[tuple[int, object, str], int] = {}
        self.claims: dict[tuple[int, object, str], int] = {}

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    def token(self, index: int):
        return (ETH, self.coin, self.hostile)[index]

    def balance(self, token, address: str) -> int:
        return int(boa.env.get_balance(address) if token == ETH else token.balanceOf(address))

    def deployed(self, work: int):
        if work not in self.tills:
            self.tills[work] = self.hall.till(work)
        return self.tills[work]

    def table(self, work: int) -> ShareTable:
        return self.tables.get(work, ShareTable.of_owner())

    @rule(work=st.integers(0, 2), token=st.integers(0, 2), amount=AMOUNTS)
    def someone_pays(self, work, token, amount):
        work = self.works[work]
        if self.token(token) == ETH:
            amount = min(amount, 10**20)
            give_eth(self.address[work], amount)
        else:
            self.token(token).mint(self.address[work], amount)
        self._receive(work, self.token(token), amount)

    def _receive(self, work, token, amount):
        self.received[work, token] = self.received.get((work, token), 0) + amount

    @rule(work=st.integers(0, 2))
    def anyone_deploys(self, work):
        self.deployed(self.works[work])

    @rule(
        work=st.integers(0, 2),
        weights=st.dictionaries(
            st.sampled_from(("singer", "writer", "owner")), st.integers(1, 10**9), min_size=1
        ),
    )
    def the_owner_writes_a_root(self, work, weights):
        work = self.works[work]
        payees = {OWNER if role == "owner" else self.people[role]: weight for role, weight in weights.items()}
        parents = self.hall.works.parents_of(work)
        if parents:
            payees[self.address[self.parent]] = max(1, sum(payees.values()) // 4)
        table = ShareTable.from_fractions(payees)
        proofs = [table.proof(self.address[self.parent])] if parents else []
        till = self.deployed(work)
        if till.root() != bytes(32):
            with boa.reverts("root already written"):
                till.write_root(table.root, proofs, sender=self.owners[work])
            return
        self.claims = {known: due for known, due in self.claims.items() if known[0] != work}
        till.write_root(table.root, proofs, sender=self.owners[work])
        self.tables[work] = table

    @rule(work=st.integers(0, 2), buyer=st.sampled_from(PEOPLE))
    def the_work_is_sold(self, work, buyer):
        work = self.works[work]
        self.hall.works.transferFrom(self.owners[work], self.people[buyer], work, sender=self.owners[work])
        self.owners[work] = self.people[buyer]

    @rule(work=st.integers(0, 2), token=st.integers(0, 2), payee=st.integers(0, 3))
    def someone_releases(self, work, token, payee):
        self._release(self.works[work], self.token(token), payee)

    @precondition(lambda self: self.received)
    @rule(payee=st.integers(0, 3), data=st.data())
    def someone_releases_what_came(self, payee, data):
        work, token = data.draw(st.sampled_from(list(self.received)))
        self._release(work, token, payee)

    def _release(self, work, token, payee):
        till, table = self.deployed(work), self.table(work)
        payee = list(table)[payee % len(table)]
        if work == self.child and work not in self.tables:
            with boa.reverts("parents need a root"):
                till.release(token, payee, *table.proof(payee), sender=self.owners[work])
            return
        expected = till.due(token, payee, table[payee])
        receiver = self.owners[work] if payee == OWNER else payee
        before = self.balance(token, receiver)
        amount = till.release(token, payee, *table.proof(payee), sender=self.owners[work])
        assert amount == expected
        assert self.balance(token, receiver) - before == amount
        self.paid[work, token, payee] = self.paid.get((work, token, payee), 0) + amount
        self.claims.pop((work, token, payee), None)
        if amount and work not in self.tables:
            self.tables[work] = table
        for other in self.works:
            if receiver == self.address[other] and amount:
                self._receive(other, token, amount)

    @rule(
        from_receiver=st.sampled_from((0, 0, 5000)),
        blocked=st.booleans(),
        mute=st.booleans(),
    )
    def the_hostile_token_misbehaves(self, from_receiver, blocked, mute):
        """While it does, releases in it may fail; nothing else may."""
        self.hostile.take_fee(from_receiver, 0)
        self.hostile.set_block(self.people["singer"], blocked)
        self.hostile.set_manners(False, False, mute)
        for work, table in self.tables.items():
            for payee in table:
                try:
                    amount = self.tills[work].release(
                        self.hostile, payee, *table.proof(payee), sender=self.owners[work]
                    )
                except boa.BoaError:
                    assert mute or blocked
                    continue
                known = work, self.hostile, payee
                self.paid[known] = self.paid.get(known, 0) + amount
                if payee == self.address[self.parent]:
                    self._receive(self.parent, self.hostile, amount - amount * from_receiver // 10_000)
        self.check_everyones_claims()
        self.hostile.take_fee(0, 0)
        self.hostile.set_block(self.people["singer"], False)
        self.hostile.set_manners(False, False, False)

    @invariant()
    def released_plus_balance_is_what_was_received(self):
        for (work, token), received in self.received.items():
            released = self.tills[work].released(token) if work in self.tills else 0
            assert released + self.balance(token, self.address[work]) == received

    @invariant()
    def no_claim_falls_but_by_being_paid_or_by_the_owners_root(self):
        self.check_everyones_claims()

    def check_everyones_claims(self):
        for work, till in self.tills.items():
            for token in (ETH, self.coin):
                for payee, share in self.table(work).items():
                    due = till.due(token, payee, share)
                    assert due >= self.claims.get((work, token, payee), 0)
                    self.claims[work, token, payee] = due

    @invariant()
    def a_root_never_changes(self):
        for work, till in self.tills.items():
            root = till.root()
            assert root == (self.tables[work].root if work in self.tables else bytes(32))

    @invariant()
    def however_often_it_was_released_everyone_has_their_share_within_a_unit(self):
        for (work, token), received in self.received.items():
            if work not in self.tills:
                continue
            table = self.table(work)
            for payee, share in table.items():
                paid = self.paid.get((work, token, payee), 0)
                assert paid <= received * share // WHOLE
                if token != self.hostile:
                    assert paid + self.tills[work].due(token, payee, share) == received * share // WHOLE

    @invariant()
    def what_all_parties_got_and_what_is_left_is_what_came_in(self):
        for (work, token), received in self.received.items():
            paid = sum(amount for known, amount in self.paid.items() if known[:2] == (work, token))
            assert paid + self.balance(token, self.address[work]) == received


def test_tills_keep_their_promises():
    run_state_machine_as_test(
        Tills,
        settings=settings(
            max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


class Twins(RuleBasedStateMachine):
    """The same inflows to a till that stands and to one that does not yet."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.hall = deploy_hall()
        self.tokens = [deploy_mock("Token"), deploy_mock("SilentToken"), deploy_mock("HostileToken")]
        self.owner = account("owner")
        standing, promised, source = (self.hall.publish(self.owner) for _ in range(3))
        self.work = promised
        self.standing = self.hall.till(standing)
        self.addresses = [str(self.standing.address), str(self.hall.works.till_of(promised))]
        self.source = self.hall.till(source)
        self.table = ShareTable(dict.fromkeys(self.addresses, WHOLE // 2))
        self.source.write_root(self.table.root, [], sender=self.owner)

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    @rule(token=st.integers(0, 2), amount=AMOUNTS)
    def a_token_arrives(self, token, amount):
        for address in self.addresses:
            self.tokens[token].mint(address, amount)

    @rule(amount=st.integers(0, 10**18))
    def ether_arrives(self, amount):
        for address in self.addresses:
            give_eth(address, amount)

    @rule(amount=st.integers(0, 10**18))
    def a_childs_income_arrives(self, amount):
        give_eth(str(self.source.address), 2 * amount)
        self.tokens[0].mint(self.source.address, 2 * amount)
        for token in (ETH, self.tokens[0]):
            paid = [self.source.release(token, payee, *self.table.proof(payee)) for payee in self.addresses]
            assert paid[0] == paid[1]

    @invariant()
    def both_hold_the_same(self):
        for token in self.tokens:
            assert len({token.balanceOf(address) for address in self.addresses}) == 1
        assert len({boa.env.get_balance(address) for address in self.addresses}) == 1

    @invariant()
    def once_deployed_it_pays_the_same(self):
        with boa.env.anchor():
            late = self.hall.till(self.work)
            for token in (ETH, *self.tokens):
                paid = [
                    till.release(token, OWNER, WHOLE, [], sender=self.owner) for till in (self.standing, late)
                ]
                assert paid[0] == paid[1]


def test_an_undeployed_till_behaves_like_a_deployed_one():
    run_state_machine_as_test(
        Twins,
        settings=settings(
            max_examples=5, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
