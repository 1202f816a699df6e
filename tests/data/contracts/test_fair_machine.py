# SPDX-License-Identifier: Apache-2.0
"""Many sales at once, by honest and lying sellers, in any order of steps and times."""

from __future__ import annotations

import boa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from koinon.chain.hashing import keccak256
from tests.contracts_support import fresh_chain
from tests.data.contracts.fair_support import HOUR, PRICE, Exchange, Trade

SALES = st.integers(0, 3)
LOCKED, REVEALED, COMPLETED, REFUNDED = 1, 2, 3, 4


class Sales(RuleBasedStateMachine):
    """Four sales, the odd ones of content that is not what was promised."""

    exchange: Exchange  # deployed once; what an example does to it is undone

    def __init__(self) -> None:
        super().__init__()
        self.chain = fresh_chain()
        self.chain.__enter__()
        self.trades: list[Trade] = [
            self.exchange.trade(
                key=keccak256(bytes([number])),
                lie_at=number % 3 if number % 2 else None,
                valid_until=2**63,
            )
            for number in range(4)
        ]
        self.states = [0] * 4
        self.deadlines = [0] * 4
        self.offered = False

    def teardown(self) -> None:
        self.chain.__exit__(None, None, None)

    def attempt(self, allowed, call) -> bool:
        if allowed:
            call()
        else:
            with boa.reverts():
                call()
        return bool(allowed)

    def move(self, number: int, state: int, wait: int = 0) -> None:
        self.states[number] = state
        self.deadlines[number] = self.exchange.now() + wait

    @rule(seconds=st.sampled_from([1, HOUR // 2, HOUR, HOUR + 1]))
    def time_passes(self, seconds):
        boa.env.time_travel(seconds=seconds)

    @rule(number=SALES)
    def the_buyer_locks(self, number):
        if self.attempt(not self.states[number], lambda: self.exchange.lock(self.trades[number])):
            self.move(number, LOCKED, HOUR)

    @rule(number=SALES, right=st.booleans())
    def someone_reveals(self, number, right):
        trade = self.trades[number]
        key = trade.key if right else bytes(32)
        allowed = self.states[number] == LOCKED and right and self.in_time(number)
        if self.attempt(allowed, lambda: self.exchange.contract.reveal(trade.values, key)):
            self.move(number, REVEALED, HOUR)

    @rule(number=SALES)
    def someone_asks_for_the_refund(self, number):
        allowed = self.states[number] == LOCKED and not self.in_time(number)
        if self.attempt(allowed, lambda: self.exchange.contract.refund(self.trades[number].values)):
            self.move(number, REFUNDED)

    @rule(number=SALES, block=st.integers(0, 2))
    def the_buyer_disputes(self, number, block):
        trade = self.trades[number]
        wrong = number % 2 == 1 and block == number % 3
        allowed = self.states[number] == REVEALED and wrong and self.in_time(number)
        call = lambda: self.exchange.contract.dispute(  # noqa: E731
            trade.values, *trade.evidence(block), sender=self.exchange.buyer
        )
        if self.attempt(allowed, call):
            self.move(number, REFUNDED)

    @rule(number=SALES, by_buyer=st.booleans())
    def someone_completes(self, number, by_buyer):
        sender = self.exchange.buyer if by_buyer else self.exchange.stranger
        allowed = self.states[number] == REVEALED and (by_buyer or not self.in_time(number))
        call = lambda: self.exchange.contract.complete(self.trades[number].values, sender=sender)  # noqa: E731
        if self.attempt(allowed, call):
            self.move(number, COMPLETED)

    @rule()
    def the_owner_opens_or_closes_the_offer(self):
        if self.offered:
            self.exchange.terms.close(self.exchange.work_id, 0, sender=self.exchange.owner)
        else:
            self.exchange.offer()
        self.offered = not self.offered

    def in_time(self, number: int) -> bool:
        return self.exchange.now() <= self.deadlines[number]

    @invariant()
    def the_contract_follows_the_model(self):
        assert [self.exchange.state(trade) for trade in self.trades] == self.states

    @invariant()
    def every_price_is_with_the_buyer_the_exchange_or_the_till(self):
        token, held = self.exchange.token, sum(state in (LOCKED, REVEALED) for state in self.states)
        assert token.balanceOf(self.exchange.contract) == held * PRICE
        assert token.balanceOf(self.exchange.till) == self.states.count(COMPLETED) * PRICE
        spent = (held + self.states.count(COMPLETED)) * PRICE
        assert token.balanceOf(self.exchange.buyer) == 10**6 - spent

    @invariant()
    def the_exchange_leaves_no_allowance(self):
        assert self.exchange.token.allowance(self.exchange.contract, self.exchange.terms) == 0


def test_money_is_conserved():
    with fresh_chain():
        Sales.exchange = Exchange()
        run_state_machine_as_test(
            Sales,
            settings=settings(
                max_examples=10,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
