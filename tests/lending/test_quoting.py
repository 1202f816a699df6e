# SPDX-License-Identifier: Apache-2.0
"""Quotes are the contract's own limits: what is quoted can be borrowed, and a few units more cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput, NotFound, TransactionFailed
from koinon.lending.api import Lending
from koinon.lending.pool_state import Borne
from koinon.lending.quoting import Asked, quote
from tests.bench_support import account, key
from tests.lending.bench_chain import open_chain
from tests.lending.contracts.support import COIN, DAY, JUNIOR, SENIOR, UNIT, YEAR, open_bank

BORROWER = account("borrower")


@pytest.fixture(scope="module")
def standing():
    bank = open_bank()
    pool = bank.pool()
    for role, tranche, amount in (("senior", SENIOR, 800_000), ("junior", JUNIOR, 200_000)):
        lender = bank.fund(pool, role, 2_000_000 * UNIT)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    bank.fund(pool, "borrower", 10**6 * UNIT, 1_000 * COIN)
    bank.wait(60)
    return bank, pool


@pytest.fixture
def bank(standing):
    with standing[0].bench.undone():
        yield standing[0]


@pytest.fixture
def pool(standing, bank):
    return standing[1]


@pytest.fixture
def lending(bank, tmp_path):
    return Lending(open_chain(bank), tmp_path, key("borrower"))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tier=st.integers(0, 3),
    collateral=st.integers(COIN, 900 * COIN),
    earlier=st.booleans(),
    days=st.integers(0, 300),
)
def test_the_most_can_be_borrowed_and_not_three_units_more(
    standing, tmp_path_factory, tier, collateral, earlier, days
):
    bank, pool = standing
    with bank.bench.undone():
        lending = Lending(open_chain(bank), tmp_path_factory.getbasetemp(), key("borrower"))
        if tier < 3:
            bank.score(BORROWER, tier, lasts_s=2 * YEAR)
        lending.supply_collateral(pool.address, collateral)
        if earlier:
            lending.borrow(pool.address, 500 * UNIT)
        bank.wait(days * DAY + 1)
        found = lending.quote(pool.address, BORROWER)
        assert found.tier == tier
        assert found.is_covered
        with pytest.raises(TransactionFailed):
            pool.borrow(found.most + 3, BORROWER, sender=BORROWER)
        before = pool.books()
        pool.borrow(found.most, BORROWER, sender=BORROWER)
        assert pool.books()[3] == before[3] + found.most
        state = lending.pool(pool.address)
        assert state.base_rate == pytest.approx(state.rate_after(0), abs=1e-15)


@pytest.mark.parametrize("amount", [200 * UNIT, 30_000 * UNIT])
def test_the_collateral_that_is_needed_is_the_least_that_is_enough(bank, lending, pool, amount):
    found = lending.quote(pool.address, BORROWER, amount=amount)
    assert not found.is_covered
    lending.supply_collateral(pool.address, found.collateral_needed - 10**13)
    with pytest.raises(TransactionFailed) as refusal:
        lending.borrow(pool.address, amount)
    assert refusal.value.reason == "too little collateral"
    lending.supply_collateral(pool.address, 10**13)
    assert lending.borrow(pool.address, amount).debt in (amount, amount + 1)
    assert found.ltv_bps in (found.lltv_bps, found.lltv_bps + 1)
    bank.set_price(found.sold_below * 1.001)
    assert pool.is_sound(BORROWER)
    bank.set_price(found.sold_below * 0.999)
    assert not pool.is_sound(BORROWER)


def test_the_rate_is_what_the_pool_has_after_borrowing(bank, lending, pool):
    found = lending.quote(pool.address, BORROWER, amount=30_000 * UNIT, collateral=100 * COIN)
    assert found.is_covered
    lending.supply_collateral(pool.address, 100 * COIN)
    lending.borrow(pool.address, 30_000 * UNIT)
    assert lending.pool(pool.address).base_rate == pytest.approx(found.base_rate, abs=1e-15)
    assert found.rate == pytest.approx(found.base_rate + 0.12)


def test_a_better_tier_is_told_and_a_worse_judgement_counts(bank, lending, pool):
    bank.score(BORROWER, 1)
    chain, door = lending.chain, lending
    found = door.quote(pool.address, BORROWER, amount=1_000 * UNIT)
    assert (found.tier, found.better.tier) == (1, 0)
    assert found.better.rate < found.rate
    assert found.better.collateral < found.collateral_needed
    worse = quote(
        chain, door._pool(pool.address), door.pool(pool.address), BORROWER, Asked(1_000 * UNIT, 0, 2)
    )
    assert (worse.tier, worse.chain_tier) == (2, 1)
    bank.score(BORROWER, 0)
    assert door.quote(pool.address, BORROWER, amount=1_000 * UNIT).better is None


def test_a_downgrade_is_quoted_at_once_and_leaves_the_open_loan_its_tier(bank, lending, pool):
    bank.score(BORROWER, 0)
    lending.supply_collateral(pool.address, 100 * COIN)
    lending.borrow(pool.address, 1_000 * UNIT)
    bank.wait(60)
    bank.score(BORROWER, 2)
    assert lending.quote(pool.address, BORROWER).tier == 2
    assert lending.position(pool.address, BORROWER).tier == 0
    lending.borrow(pool.address, 1_000 * UNIT)
    assert lending.position(pool.address, BORROWER).tier == 2


def test_what_bounds_a_quote_is_said(lending, pool):
    with pytest.raises(BadInput, match="At most") as refusal:
        lending.quote(pool.address, BORROWER, amount=60_000 * UNIT)
    assert "cap" in refusal.value.hint
    with pytest.raises(BadInput, match="at least"):
        lending.quote(pool.address, BORROWER, amount=UNIT)


def test_nothing_is_quoted_without_a_price_or_on_an_ended_score(bank, lending, pool):
    bank.score(BORROWER, 0, lasts_s=60)
    bank.wait(61)
    with pytest.raises(TransactionFailed) as refusal:
        lending.quote(pool.address, BORROWER, amount=1_000 * UNIT)
    assert (refusal.value.code, refusal.value.reason) == ("lending.score_ended", "score expired")
    bank.feed.set_state(False, True)
    assert "disagree" not in lending.pool(pool.address).to_dict()["address"]
    assert lending.pool(pool.address).price is None
    with pytest.raises(NotFound) as missing:
        lending.quote(pool.address, account("stranger"), amount=1_000 * UNIT)
    assert missing.value.code == "lending.no_price"


def test_the_waterfall_adds_up_and_is_what_a_default_takes(bank, lending, pool):
    bank.score(BORROWER, 0)
    lending.supply_collateral(pool.address, 100 * COIN)
    lending.borrow(pool.address, 150_000 * UNIT)
    for borne in lending.pool(pool.address).waterfall():
        assert borne.junior + borne.senior + borne.fees == borne.loss
    bank.set_price(500)
    before = lending.pool(pool.address).books
    liquidator = bank.fund(pool, "liquidator", 10**6 * UNIT)
    door = Lending(lending.chain, lending.home, key("liquidator"))
    got = door.liquidate(pool.address, BORROWER, 10**6 * UNIT)
    assert (got.collateral, got.debt) == (100 * COIN, 0)
    assert bank.loan_token.balanceOf(liquidator) == 10**6 * UNIT - got.paid
    after = lending.pool(pool.address)
    assert after.lost == Borne.of(before, after.lost.loss)
    assert after.lost.loss == before.debt - got.paid
    assert after.books.junior == before.junior - after.lost.junior


def test_lenders_come_and_go(bank, lending, pool):
    lender = Lending(lending.chain, lending.home, key("senior"))
    assert lender.lent(pool.address) == {"senior": 800_000 * UNIT, "junior": 0}
    lender.deposit(pool.address, 5 * UNIT)
    assert lender.withdraw(pool.address, 2 * UNIT) == 2 * UNIT
    assert lender.withdraw(pool.address) == 800_003 * UNIT
    with pytest.raises(BadInput):
        lender.withdraw(pool.address)
    junior = Lending(lending.chain, lending.home, key("junior"))
    junior.announce_exit(pool.address)
    bank.wait(5 * DAY)
    assert junior.withdraw(pool.address, junior=True) == 200_000 * UNIT
    assert replace(lender.pool(pool.address).books, debts=()).cash == 0
