# SPDX-License-Identifier: Apache-2.0
"""Many buyers, complaints, answers right and wrong, and a seller who leaves, in any order and at any time."""

from __future__ import annotations

from dataclasses import dataclass

import boa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from koinon.data.hidden_share import HiddenShare
from tests.contracts_support import account, fresh_chain
from tests.data.contracts.delivery_support import (
    AFTER,
    ANSWER,
    COMPLAINT,
    DAY,
    MOST,
    PERIOD,
    PRICE,
    Shop,
)

STAKE = 2 * MOST + 100
BUYERS = st.integers(0, 3)
KEEPERS = st.integers(0, 2)
FALSE = HiddenShare(5, False, bytes(32))


@dataclass
class Buyer:
    """What the model knows of one buyer's grant."""

    account: str
    grant: int
    bought_at: int
    given_up: bool = False
    complained_at: int | None = None
    cover: int = 0
    open: bool = False
    answers: dict[int, HiddenShare] | None = None
    gone: frozenset[int] = frozenset()
    refunded: int = 0


class Deliveries(RuleBasedStateMachine):
    """Four grants under one promise, two of three keepers needed."""

    shop: Shop  # deployed once; what an example does to it is undone

    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.bond = self.shop.bond(stake=STAKE)
        self.promise = self.shop.promise(self.bond)
        self.ends_at: int | None = None
        self.withdrawn = False
        self.buyers = []
        for number in range(4):
            buyer = account(f"buyer {number}")
            self.shop.token.mint(buyer, PRICE)
            self.shop.token.approve(self.shop.terms, PRICE, sender=buyer)
            grant = self.shop.buy(grantee=buyer, payer=buyer)
            self.buyers.append(Buyer(buyer, grant, self.shop.now()))

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    def attempt(self, allowed, call) -> bool:
        if allowed:
            call()
        else:
            with boa.reverts():
                call()
        return bool(allowed)

    @property
    def now(self) -> int:
        return self.shop.now()

    def staked(self) -> int:
        return 0 if self.withdrawn else STAKE - sum(buyer.refunded for buyer in self.buyers)

    def reserved(self) -> int:
        return sum(buyer.cover for buyer in self.buyers if buyer.open)

    def holds(self, buyer: Buyer) -> bool:
        return not buyer.given_up and self.now < buyer.bought_at + PERIOD

    @rule(seconds=st.sampled_from([1, DAY, ANSWER, ANSWER + 1, COMPLAINT, PERIOD]))
    def time_passes(self, seconds):
        self.shop.wait(seconds)

    @rule(number=BUYERS)
    def a_grantee_complains(self, number):
        buyer = self.buyers[number]
        cover = min(PRICE, MOST, self.staked() - self.reserved())
        allowed = (
            buyer.complained_at is None
            and self.holds(buyer)
            and self.now <= buyer.bought_at + COMPLAINT
            and (self.ends_at is None or self.now + ANSWER + AFTER <= self.ends_at)
            and cover > 0
        )
        if self.attempt(allowed, lambda: self.shop.complain(self.promise, buyer.grant, sender=buyer.account)):
            buyer.complained_at, buyer.cover, buyer.open, buyer.answers = self.now, cover, True, {}

    @rule(number=BUYERS, keeper=KEEPERS, honest=st.booleans())
    def a_keeper_answers(self, number, keeper, honest):
        buyer = self.buyers[number]
        allowed = (
            buyer.open
            and self.now <= buyer.complained_at + ANSWER
            and keeper not in buyer.answers
            and keeper not in buyer.gone
        )
        answered = self.shop.right(buyer.grant, keeper) if honest else FALSE
        if self.attempt(allowed, lambda: self.shop.answer(buyer.grant, keeper, answered)):
            buyer.answers[keeper] = answered

    @rule(number=BUYERS, keeper=KEEPERS)
    def a_grantee_refutes(self, number, keeper):
        buyer = self.buyers[number]
        answered = (buyer.answers or {}).get(keeper, FALSE)
        allowed = (
            buyer.open
            and self.now <= buyer.complained_at + ANSWER + DAY
            and keeper in buyer.answers
            and answered is FALSE
        )
        if self.attempt(allowed, lambda: self.shop.refute(buyer.grant, keeper, answered)):
            del buyer.answers[keeper]
            buyer.gone |= {keeper}

    @rule(number=BUYERS)
    def a_grantee_gives_up(self, number):
        buyer = self.buyers[number]
        call = lambda: self.shop.terms.surrender(self.shop.work_id, 0, sender=buyer.account)  # noqa: E731
        if self.attempt(self.holds(buyer), call):
            buyer.given_up = True

    @rule(number=BUYERS, by_grantee=st.booleans())
    def someone_resolves(self, number, by_grantee):
        buyer = self.buyers[number]
        asked = buyer.complained_at or 0
        if buyer.open and len(buyer.answers) >= 2:
            allowed, refunded = by_grantee or self.now > asked + ANSWER + DAY, 0
        elif self.holds(buyer):
            allowed, refunded = self.now > asked + ANSWER + AFTER, 0
        else:
            allowed, refunded = self.now > asked + ANSWER, min(buyer.cover, self.staked())
        sender = buyer.account if by_grantee else self.shop.stranger
        if self.attempt(buyer.open and allowed, lambda: self.shop.resolve(buyer.grant, sender=sender)):
            buyer.open, buyer.refunded = False, refunded

    @rule()
    def the_seller_announces_the_end_of_the_bond(self):
        call = lambda: self.shop.bonds.announce_end(self.bond, sender=self.shop.seller)  # noqa: E731
        if self.attempt(self.ends_at is None, call):
            self.ends_at = self.now + COMPLAINT + ANSWER + AFTER

    @rule()
    def the_seller_withdraws(self):
        allowed = self.ends_at is not None and self.now >= self.ends_at and self.staked() > 0
        if self.attempt(allowed, lambda: self.shop.bonds.withdraw(self.bond, sender=self.shop.seller)):
            self.withdrawn = True

    @invariant()
    def what_is_reserved_is_what_open_complaints_are_covered_with_and_never_more_than_is_staked(self):
        reserved = self.shop.contract.reserved(self.bond)
        assert reserved == self.reserved()
        if not self.withdrawn:
            assert reserved <= self.shop.bonds.bond_of(self.bond).amount == self.staked()

    @invariant()
    def whoever_is_paid_back_has_no_grant_left_and_had_too_few_answers(self):
        for buyer in self.buyers:
            if buyer.refunded:
                assert not self.shop.terms.holds(buyer.grant)
                assert len(buyer.answers) < 2
                assert buyer.refunded <= MOST

    @invariant()
    def every_unit_staked_is_staked_still_or_credited(self):
        bonds, token = self.shop.bonds, self.shop.token
        credits = [bonds.credit(token, buyer.account) for buyer in self.buyers]
        assert credits == [buyer.refunded for buyer in self.buyers]
        freed = bonds.credit(token, self.shop.seller)
        assert sum(credits) + freed + bonds.bond_of(self.bond).amount == STAKE
        assert token.balanceOf(self.shop.contract) == 0

    @invariant()
    def the_answers_that_count_are_those_of_the_model(self):
        for buyer in self.buyers:
            bits = sum(1 << keeper for keeper in buyer.answers or {})
            assert self.shop.contract.complaint_of(buyer.grant).answered == bits


def test_deliveries():
    with fresh_chain():
        Deliveries.shop = Shop()
        run_state_machine_as_test(
            Deliveries,
            settings=settings(
                max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
