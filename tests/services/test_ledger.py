# SPDX-License-Identifier: Apache-2.0
"""The voucher rule, held against its promises by a machine that sends vouchers in any order."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from koinon.services.gateway.ledger import EXCEEDS_BALANCE, MISMATCH, USED_LIMIT, Account, Refused

PRICE = 10


def pay(account: Account, amount: int, price: int = PRICE) -> None:
    account.check(amount, price)
    account.reserve(amount, price, b"signature %d" % amount)
    account.charge(amount, price, price)


def test_the_stock_way_one_call_after_the_other() -> None:
    account = Account(balance=100)
    for number in range(1, 11):
        pay(account, number * PRICE)
    assert account.charged == account.signed == account.floor == 100
    assert account.signature == b"signature 100"
    with pytest.raises(Refused) as refused:
        account.check(110, PRICE)
    assert refused.value.reason == EXCEEDS_BALANCE


def test_a_voucher_pays_once() -> None:
    account = Account(balance=100)
    pay(account, 10)
    with pytest.raises(Refused) as refused:
        account.check(10, PRICE)
    assert refused.value.reason == MISMATCH
    assert refused.value.corrective


def test_vouchers_in_flight_may_arrive_in_any_order() -> None:
    account = Account(balance=100)
    for amount in (30, 10, 20):
        account.check(amount, PRICE)
        account.reserve(amount, PRICE, b"")
    for amount in (10, 30, 20):
        account.charge(amount, PRICE, PRICE)
    assert account.charged == 30
    assert account.reserved == 0


def test_a_failed_call_gives_its_voucher_back() -> None:
    account = Account(balance=100)
    account.check(10, PRICE)
    account.reserve(10, PRICE, b"")
    account.release(10, PRICE)
    assert account.charged == account.reserved == 0
    pay(account, 10)
    assert account.charged == 10


def test_a_voucher_that_does_not_cover_the_price_is_refused() -> None:
    account = Account(balance=100)
    pay(account, 10)
    with pytest.raises(Refused):
        account.check(19, PRICE)


def test_what_was_claimed_on_chain_is_gone() -> None:
    account = Account(balance=100, claimed=50, charged=50)
    with pytest.raises(Refused):
        account.check(50, PRICE)
    account.check(60, PRICE)


def test_old_amounts_are_forgotten_as_used_never_as_free() -> None:
    account = Account(balance=10**9)
    for number in range(1, USED_LIMIT + 100):
        pay(account, number, 1)
    assert len(account.used) <= USED_LIMIT
    for amount in (1, 2, USED_LIMIT // 2, USED_LIMIT + 99):
        with pytest.raises(Refused):
            account.check(amount, 1)


class Vouchers(RuleBasedStateMachine):
    """Any amounts, any prices, any order of success and failure, top-ups, claims and restarts."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.account = Account(balance=200)
        self.paid: list[int] = []
        self.highest_signed = 0
        self.in_flight = 0

    @rule(target=calls, amount=st.integers(0, 400), price=st.integers(1, 40))
    def send(self, amount: int, price: int) -> tuple[int, int]:
        try:
            self.account.check(amount, price)
        except Refused:
            return (-1, 0)
        self.account.reserve(amount, price, b"%d" % amount)
        self.highest_signed = max(self.highest_signed, amount)
        self.in_flight += price
        return (amount, price)

    @rule(call=consumes(calls))
    def succeed(self, call: tuple[int, int]) -> None:
        if call[0] >= 0:
            self.account.charge(*call, call[1])
            self.in_flight -= call[1]
            assert call[0] not in self.paid, "an amount paid twice"
            self.paid.append(call[0])

    @rule(call=consumes(calls))
    def fail(self, call: tuple[int, int]) -> None:
        if call[0] >= 0:
            self.account.release(*call)
            self.in_flight -= call[1]

    @rule(amount=st.integers(1, 100))
    def top_up(self, amount: int) -> None:
        self.account.balance += amount

    @rule()
    def claim(self) -> None:
        self.account.claimed = max(self.account.claimed, self.account.charged)

    @invariant()
    def what_is_owed_is_covered_by_a_signature_and_by_the_balance(self) -> None:
        account = self.account
        assert account.charged + account.reserved <= account.signed
        assert account.signed == self.highest_signed <= account.balance
        assert account.signature == (b"%d" % account.signed if account.signed else b"")

    @invariant()
    def reservations_are_the_calls_in_flight(self) -> None:
        assert self.account.reserved == self.in_flight

    @invariant()
    def a_restart_refuses_every_amount_that_paid(self) -> None:
        account = self.account
        after = Account(
            charged=account.charged,
            signed=account.signed,
            balance=account.balance,
            claimed=account.claimed,
            dead=account.floor,
            floor=account.floor,
        )
        for amount in self.paid:
            with pytest.raises(Refused):
                after.check(amount, 1)


TestVouchers = Vouchers.TestCase
TestVouchers.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
