# SPDX-License-Identifier: Apache-2.0
"""Unsound loans: Dutch auctions, partial sales, and losses that are seen at once, junior first."""

from __future__ import annotations

import pytest

from tests.bench_support import NOBODY, account, refused
from tests.lending.contracts.support import COIN, DAY, JUNIOR, SENIOR, UNIT, open_bank

BORROWER, LIQUIDATOR, RECEIVER = account("borrower"), account("liquidator"), account("receiver")
SENIOR_LENDER, JUNIOR_LENDER = account("senior"), account("junior")
DEBT = 160_000 * UNIT


@pytest.fixture(scope="module")
def standing():
    """A loan of 160,000 against 100 coins at 2,000, LLTV 85 %: unsound below 1,882.35."""
    bank = open_bank()
    pool = bank.pool()
    for role, tranche, amount in (("senior", SENIOR, 800_000), ("junior", JUNIOR, 200_000)):
        lender = bank.fund(pool, role, 2_000_000 * UNIT)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    borrower = bank.fund(pool, "borrower", 10**6 * UNIT, 1_000 * COIN)
    pool.supply_collateral(100 * COIN, borrower, sender=borrower)
    bank.fund(pool, "liquidator", 10**7 * UNIT)
    bank.wait(60)
    bank.score(borrower, 0)
    pool.borrow(DEBT, borrower, sender=borrower)
    return bank, pool


@pytest.fixture
def bank(standing):
    with standing[0].bench.undone():
        yield standing[0]


@pytest.fixture
def pool(standing, bank):
    return standing[1]


def liquidate(pool, repay=2**200, least=0, sender=LIQUIDATOR, receiver=RECEIVER):
    return pool.liquidate(BORROWER, repay, least, receiver, sender=sender)


def balanced(bank, pool) -> None:
    senior, junior, fees, debt, debts = pool.books()
    assert bank.loan_token.balanceOf(pool.address) + debt == senior + junior + fees
    assert sum(debts) == debt


def test_a_sound_loan_is_nobodys_to_sell(bank, pool):
    bank.set_price(1_883)
    assert pool.is_sound(BORROWER)
    assert not pool.mark(BORROWER)
    with refused("the loan is sound"):
        liquidate(pool)
    for borrower in (RECEIVER, NOBODY):
        with refused("the loan is sound"):
            pool.liquidate(borrower, 1, 0, RECEIVER, sender=LIQUIDATOR)
    with refused("account missing"):
        liquidate(pool, receiver=NOBODY)


def test_the_bonus_begins_low_grows_with_time_and_stops(bank, pool):
    bank.set_price(1_850)
    assert pool.mark(BORROWER)
    start = bank.now
    assert pool.position_of(BORROWER)[5] == start
    for after, bonus_bps in ((0, 100), (900, 325), (3_600, 1_000), (4 * 3_600, 1_000)):
        with bank.bench.undone():
            bank.wait(after)
            assert pool.mark(BORROWER)
            paid, seized = liquidate(pool, 1_000 * UNIT)
            assert paid == 1_000 * UNIT
            assert seized == paid * (10_000 + bonus_bps) * 10**26 // (10_000 * 1_850 * 10**8 * 10**6)
            assert bank.collateral_token.balanceOf(RECEIVER) == seized
            balanced(bank, pool)


def test_an_auction_that_nobody_used_lapses_and_begins_again_at_the_least_bonus(bank, pool):
    bank.set_price(1_850)
    pool.mark(BORROWER)
    bank.wait(4 * 3_600 + 1)
    liquidate(pool, 1_000 * UNIT)
    (event,) = pool.events("Liquidated")[-1:]
    assert event["bonus_bps"] == 100
    assert pool.position_of(BORROWER)[5] == bank.now


def test_an_auction_ends_when_the_loan_is_sound_again(bank, pool):
    bank.set_price(1_850)
    pool.mark(BORROWER)
    bank.set_price(1_900)
    assert not pool.mark(BORROWER)
    assert pool.position_of(BORROWER)[5] == 0
    bank.set_price(1_850)
    bank.wait(3_600)
    liquidate(pool, 1_000 * UNIT)
    assert pool.events("Liquidated")[-1]["bonus_bps"] == 100


def test_only_part_of_a_loan_that_is_still_covered_is_sold_at_once(bank, pool):
    bank.set_price(1_850)
    paid, seized = liquidate(pool)
    assert paid == DEBT // 2
    collateral, debt, *_ = pool.position_of(BORROWER)
    assert (collateral, debt) == (100 * COIN - seized, DEBT - paid)
    assert pool.is_sound(BORROWER)
    with refused("the loan is sound"):
        liquidate(pool)
    balanced(bank, pool)


def test_the_liquidator_names_the_least_it_takes(bank, pool):
    bank.set_price(1_850)
    with refused("too little collateral for it"):
        liquidate(pool, 1_000 * UNIT, least=COIN)
    with refused("nothing to repay"):
        liquidate(pool, 0)


def test_liquidation_leaves_no_dust_behind(bank, pool):
    bank.set_price(1_850)
    pool.repay(DEBT - 150 * UNIT, BORROWER, sender=BORROWER)
    collateral = 150 * UNIT * 10_000 * 10**26 // (8_500 * 1_850 * 10**14)
    pool.withdraw_collateral(100 * COIN - collateral - 10**13, BORROWER, sender=BORROWER)
    bank.set_price(1_800)
    with refused("leaves dust"):
        liquidate(pool, 60 * UNIT)
    assert liquidate(pool)[0] == 150 * UNIT
    left = pool.position_of(BORROWER)
    assert left[0] > 0
    assert left[1:] == (0, 0, 0, 0, 0)


def test_bad_debt_cannot_be_hidden_behind_a_crumb_of_collateral(bank, pool):
    """What Morpho's users found: leave one wei of collateral, and the loss is never written off."""
    bank.set_price(1_000)
    pool.mark(BORROWER)
    bank.wait(36)  # the bonus is 10 basis points
    all_of_it = 100_000 * UNIT * 10_000 // 10_010
    with refused("leaves dust"):
        liquidate(pool, all_of_it - 50 * UNIT)
    paid, seized = liquidate(pool)
    assert seized == 100 * COIN
    assert paid == all_of_it + 1
    assert pool.position_of(BORROWER) == (0, 0, 0, 0, 0, 0)
    balanced(bank, pool)


def test_the_junior_tranche_loses_first(bank, pool):
    bank.set_price(1_000)
    senior, junior, _, debt, _ = pool.books()
    paid, _ = liquidate(pool)
    loss = debt - paid
    assert pool.books()[:4] == (senior, junior - loss, 0, 0)
    assert pool.assets_of(SENIOR, SENIOR_LENDER) == senior
    assert abs(pool.assets_of(JUNIOR, JUNIOR_LENDER) - (junior - loss)) <= 1
    (event,) = pool.events("Defaulted")
    assert (event["bad_debt"], event["from_junior"], event["from_senior"]) == (loss, loss, 0)
    balanced(bank, pool)


def test_the_senior_tranche_loses_what_the_junior_cannot_bear(bank):
    pool = bank.pool(coverage_bps=500, borrower_cap_bps=10_000)
    for role, tranche, amount in (("senior", SENIOR, 180_000), ("junior", JUNIOR, 20_000)):
        lender = account(role)
        bank.loan_token.approve(pool.address, 2**200, sender=lender)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    borrower = bank.fund(pool, "borrower", 0, 100 * COIN)
    bank.fund(pool, "liquidator")
    pool.supply_collateral(100 * COIN, borrower, sender=borrower)
    bank.wait(1)
    pool.borrow(DEBT, borrower, sender=borrower)
    bank.wait(10 * DAY)
    bank.set_price(500)
    senior, junior, fees, debt, _ = pool.books()
    paid, seized = liquidate(pool)
    loss = debt - paid
    assert seized == 100 * COIN
    assert pool.books()[:4] == (senior - (loss - junior), 0, fees, 0)
    assert pool.total_shares(JUNIOR) == pool.assets_of(JUNIOR, JUNIOR_LENDER) == 0
    balanced(bank, pool)
    # A wiped tranche begins anew: who comes later is not diluted by shares that are worth nothing.
    assert pool.deposit(JUNIOR, UNIT, JUNIOR_LENDER, sender=JUNIOR_LENDER) == UNIT * 10**6
    assert pool.assets_of(JUNIOR, JUNIOR_LENDER) == UNIT
    with refused("more than announced"):
        bank.wait(1)
        pool.announce_exit(0, sender=JUNIOR_LENDER)
        bank.wait(5 * DAY)
        pool.withdraw(JUNIOR, 1, JUNIOR_LENDER, sender=JUNIOR_LENDER)


def test_when_everything_is_lost_the_models_part_is_too(bank):
    pool = bank.pool(coverage_bps=1, borrower_cap_bps=10_000)
    for role, tranche, amount in (("senior", SENIOR, 100_000), ("junior", JUNIOR, 10)):
        lender = account(role)
        bank.loan_token.approve(pool.address, 2**200, sender=lender)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    borrower = bank.fund(pool, "borrower", 0, 100 * COIN)
    bank.fund(pool, "liquidator")
    pool.supply_collateral(100 * COIN, borrower, sender=borrower)
    bank.wait(1)
    pool.borrow(100_000 * UNIT, borrower, sender=borrower)
    bank.wait(300 * DAY)
    bank.set_price(0.000001)
    assert pool.books()[2] > 0
    paid, _ = liquidate(pool)
    assert pool.books()[:4] == (0, 0, paid + 10 * UNIT, 0)
    (event,) = pool.events("Defaulted")
    assert event["from_fees"] > 0
    assert event["from_junior"] + event["from_senior"] + event["from_fees"] == event["bad_debt"]
    balanced(bank, pool)


def test_after_a_default_only_a_newer_score_gives_more_than_the_worst_tier(bank, pool):
    bank.set_price(1_000)
    liquidate(pool)
    bank.set_price(2_000)
    assert pool.tier_of(BORROWER) == 3
    bank.wait(1)
    bank.score(BORROWER, 1)
    assert pool.tier_of(BORROWER) == 1


def test_liquidation_goes_on_while_the_market_disagrees_and_borrowing_stops(bank, pool):
    bank.feed.set_answers(2_000 * 10**8, 1_850 * 10**8)
    bank.feed.set_state(False, True)
    with refused("feeders and market disagree"):
        pool.borrow(UNIT, BORROWER, sender=BORROWER)
    with refused("feeders and market disagree"):
        pool.withdraw_collateral(1, BORROWER, sender=BORROWER)
    with refused("feeders and market disagree"):
        pool.refinance(sender=BORROWER)
    paid, _ = liquidate(pool)
    assert paid == DEBT // 2


def test_a_stale_feed_stops_borrowing_and_liquidation_and_no_way_out(bank, pool):
    bank.set_price(1_850)
    bank.feed.set_state(True, False)
    for call in (
        lambda: pool.borrow(UNIT, BORROWER, sender=BORROWER),
        lambda: liquidate(pool),
        lambda: pool.mark(BORROWER),
    ):
        with refused("feeders' price is stale"):
            call()
    pool.repay(UNIT, BORROWER, sender=BORROWER)
    pool.supply_collateral(1, BORROWER, sender=BORROWER)
    pool.withdraw(SENIOR, UNIT, SENIOR_LENDER, sender=SENIOR_LENDER)


def test_a_price_that_is_none_is_refused(bank, pool):
    for answer in (0, -1, 2**80):
        bank.feed.set_answers(answer, answer)
        with refused("price out of range"):
            pool.borrow(UNIT, BORROWER, sender=BORROWER)
        with refused("price out of range"):
            liquidate(pool)


def test_selling_ones_own_loan_gains_nothing(bank, pool):
    """The bonus comes from one's own collateral; a sound loan cannot be sold to oneself at all."""
    with refused("the loan is sound"):
        pool.liquidate(BORROWER, UNIT, 0, BORROWER, sender=BORROWER)
    bank.set_price(1_850)
    bank.wait(3_600)
    pool.mark(BORROWER)
    bank.wait(3_600)

    def wealth():
        collateral, debt, *_ = pool.position_of(BORROWER)
        coins = collateral + bank.collateral_token.balanceOf(BORROWER)
        return bank.loan_token.balanceOf(BORROWER) - debt + coins * 1_850 * UNIT // COIN

    before = wealth()
    pool.liquidate(BORROWER, DEBT, 0, BORROWER, sender=BORROWER)
    assert before - 1 <= wealth() <= before
    balanced(bank, pool)
