# SPDX-License-Identifier: Apache-2.0
"""A credit pool: lending in two tranches, and borrowing by tier."""

from __future__ import annotations

from tests.bench_support import NOBODY, account, refused
from tests.lending.contracts.support import COIN, DAY, JUNIOR, SENIOR, TIERS, UNIT, YEAR, balanced, cash

SENIOR_LENDER, JUNIOR_LENDER, BORROWER = account("senior"), account("junior"), account("borrower")


# --- lending -----------------------------------------------------------------------------------------------


def test_a_lender_gets_back_what_was_lent_and_nobody_pays_for_it(bank, pool):
    before = bank.loan_token.balanceOf(SENIOR_LENDER)
    shares = pool.deposit(SENIOR, 123_457, SENIOR_LENDER, sender=SENIOR_LENDER)
    assert pool.redeem(SENIOR, shares, SENIOR_LENDER, sender=SENIOR_LENDER) == 123_457
    assert bank.loan_token.balanceOf(SENIOR_LENDER) == before
    balanced(bank, pool)


def test_shares_go_to_whom_the_payer_names(bank, pool):
    shares = pool.deposit(SENIOR, UNIT, account("friend"), sender=SENIOR_LENDER)
    assert pool.shares_of(SENIOR, account("friend")) == shares
    assert pool.assets_of(SENIOR, account("friend")) == UNIT
    pool.withdraw(SENIOR, UNIT, account("shop"), sender=account("friend"))
    assert bank.loan_token.balanceOf(account("shop")) == UNIT
    assert pool.shares_of(SENIOR, account("friend")) == 0


def test_what_no_lender_may_do(bank, pool):
    lend = {"sender": SENIOR_LENDER}
    with refused("no such tranche"):
        pool.deposit(2, UNIT, SENIOR_LENDER, **lend)
    with refused(""):
        pool.assets_of(2, SENIOR_LENDER)
    with refused("account missing"):
        pool.deposit(SENIOR, UNIT, NOBODY, **lend)
    with refused("amount too small"):
        pool.deposit(SENIOR, 0, SENIOR_LENDER, **lend)
    with refused("amount too large"):
        pool.deposit(SENIOR, 2**96, SENIOR_LENDER, **lend)
    with refused("amount too small"):
        pool.withdraw(SENIOR, 0, SENIOR_LENDER, **lend)
    with refused("amount too small"):
        pool.redeem(SENIOR, 1, SENIOR_LENDER, **lend)
    with refused("account missing"):
        pool.withdraw(SENIOR, UNIT, NOBODY, **lend)
    with refused("more than there is"):
        pool.withdraw(SENIOR, UNIT, BORROWER, sender=BORROWER)
    with refused("more than there is"):
        pool.redeem(SENIOR, pool.shares_of(SENIOR, SENIOR_LENDER) + 10**6, SENIOR_LENDER, **lend)


def test_only_cash_may_be_withdrawn(bank, pool):
    bank.score(BORROWER, 0)
    pool.borrow(150_000 * UNIT, BORROWER, sender=BORROWER)
    other = bank.fund(pool, "other borrower", 0, 1_000 * COIN)
    pool.supply_collateral(1_000 * COIN, other, sender=other)
    bank.score(other, 0)
    pool.borrow(300_000 * UNIT, other, sender=other)
    third = bank.fund(pool, "third borrower", 0, 1_000 * COIN)
    pool.supply_collateral(1_000 * COIN, third, sender=third)
    bank.score(third, 0)
    pool.borrow(300_000 * UNIT, third, sender=third)
    assert pool.liquidity() == cash(bank, pool) == 250_000 * UNIT
    assert pool.max_withdraw(SENIOR, SENIOR_LENDER) == 250_000 * UNIT
    with refused("not enough cash"):
        pool.withdraw(SENIOR, 250_000 * UNIT + 1, SENIOR_LENDER, sender=SENIOR_LENDER)
    pool.withdraw(SENIOR, 250_000 * UNIT, SENIOR_LENDER, sender=SENIOR_LENDER)
    fourth = bank.fund(pool, "fourth borrower", 0, 1_000 * COIN)
    pool.supply_collateral(1_000 * COIN, fourth, sender=fourth)
    bank.score(fourth, 0)
    with refused("not enough cash"):
        pool.borrow(200 * UNIT, fourth, sender=fourth)
    balanced(bank, pool)


def test_junior_capital_leaves_after_notice_and_never_below_its_cover(bank, pool):
    bank.score(BORROWER, 0)
    pool.borrow(150_000 * UNIT, BORROWER, sender=BORROWER)
    act = {"sender": JUNIOR_LENDER}
    with refused("announce the exit first"):
        pool.withdraw(JUNIOR, UNIT, JUNIOR_LENDER, **act)
    assert pool.max_withdraw(JUNIOR, JUNIOR_LENDER) == 0
    shares = pool.shares_of(JUNIOR, JUNIOR_LENDER)
    with refused("more than there is"):
        pool.announce_exit(shares + 1, **act)
    pool.announce_exit(shares * 9 // 10, **act)
    bank.wait(5 * DAY - 1)
    with refused("announce the exit first"):
        pool.withdraw(JUNIOR, UNIT, JUNIOR_LENDER, **act)
    bank.wait(1)
    most = pool.max_withdraw(JUNIOR, JUNIOR_LENDER)
    _, junior, _, debt, _ = pool.books()
    assert most == junior - -(-debt * 2_000 // 10_000)
    with refused("junior must cover the debt"):
        pool.withdraw(JUNIOR, most + 1, JUNIOR_LENDER, **act)
    pool.withdraw(JUNIOR, most, JUNIOR_LENDER, **act)
    pool.repay(2**200, BORROWER, sender=BORROWER)
    with refused("more than announced"):
        pool.redeem(JUNIOR, pool.shares_of(JUNIOR, JUNIOR_LENDER), JUNIOR_LENDER, **act)
    assert 0 < pool.max_withdraw(JUNIOR, JUNIOR_LENDER) < pool.assets_of(JUNIOR, JUNIOR_LENDER)
    bank.wait(DAY + 1)
    with refused("announce the exit first"):
        pool.withdraw(JUNIOR, UNIT, JUNIOR_LENDER, **act)
    balanced(bank, pool)


def test_a_pool_without_notice_lets_junior_capital_go_at_once(bank):
    pool = bank.pool(junior_notice_s=0)
    lender = bank.fund(pool, "junior", UNIT)
    shares = pool.deposit(JUNIOR, UNIT, lender, sender=lender)
    assert pool.max_withdraw(JUNIOR, lender) == UNIT
    assert pool.redeem(JUNIOR, shares, lender, sender=lender) == UNIT


# --- borrowing ---------------------------------------------------------------------------------------------


def test_a_tier_says_how_much_and_at_what_price(bank, pool):
    bank.score(BORROWER, 1)
    most = 200_000 * UNIT * TIERS[1].lltv_bps // 10_000
    with refused("too little collateral"):
        pool.borrow(most + 1, BORROWER, sender=BORROWER)
    assert pool.borrow(most, BORROWER, sender=BORROWER) == most
    assert pool.tier_of(BORROWER) == 1
    position = pool.position_of(BORROWER)
    assert position[:4] == (100 * COIN, most, most * 10**6, 1)
    assert pool.books()[4][1] == most
    bank.wait(YEAR)
    rate = pool.base_rate() / 1e18
    grown = pool.position_of(BORROWER)[1] / most - 1
    assert 0.04 < rate + 0.03 < grown < 0.055
    balanced(bank, pool)


def test_wallets_without_a_score_get_the_worst_tier(bank, pool):
    assert pool.tier_of(BORROWER) == 3
    with refused("above the tier's cap"):
        pool.borrow(TIERS[3].cap + 1, BORROWER, sender=BORROWER)
    pool.borrow(TIERS[3].cap, BORROWER, sender=BORROWER)
    assert pool.position_of(BORROWER)[3] == 3


def test_a_probability_above_the_tiers_own_is_given_a_tier_that_is_priced_for_it(bank, pool):
    for tier, pd_bps, given in (
        (0, 100, 0),
        (0, 101, 1),
        (0, 401, 2),
        (1, 90, 1),
        (0, 9_999, 3),
        (200, 0, 3),
    ):
        bank.wait(1)
        bank.score(BORROWER, tier, pd_bps=pd_bps)
        assert pool.tier_of(BORROWER) == given


def test_what_no_borrower_may_do(bank, pool):
    bank.score(BORROWER, 0)
    act = {"sender": BORROWER}
    with refused("amount out of range"):
        pool.borrow(0, BORROWER, **act)
    with refused("amount out of range"):
        pool.borrow(2**96, BORROWER, **act)
    with refused("account missing"):
        pool.borrow(200 * UNIT, NOBODY, **act)
    with refused("below the least debt"):
        pool.borrow(100 * UNIT - 1, BORROWER, **act)
    with refused("no loan"):
        pool.refinance(**act)
    with refused("nothing to repay"):
        pool.repay(UNIT, BORROWER, **act)
    for amount in (0, 2**96):
        with refused("amount out of range"):
            pool.supply_collateral(amount, BORROWER, **act)
    with refused("account missing"):
        pool.supply_collateral(1, NOBODY, **act)
    with refused("account missing"):
        pool.withdraw_collateral(1, NOBODY, **act)
    with refused("amount out of range"):
        pool.withdraw_collateral(0, BORROWER, **act)
    with refused("more than there is"):
        pool.withdraw_collateral(100 * COIN + 1, BORROWER, **act)
    bank.collateral_token.mint(BORROWER, 2**96)
    with refused("amount out of range"):
        pool.supply_collateral(2**96 - 1, BORROWER, **act)


def test_one_borrower_owes_at_most_its_part_of_the_pool(bank, pool):
    bank.score(BORROWER, 0)
    pool.supply_collateral(900 * COIN, BORROWER, sender=BORROWER)
    with refused("above the borrower's cap"):
        pool.borrow(300_000 * UNIT + 1, BORROWER, sender=BORROWER)
    pool.borrow(300_000 * UNIT, BORROWER, sender=BORROWER)


def test_money_lent_for_one_block_raises_nobodys_cap(bank, pool):
    bank.score(BORROWER, 0)
    pool.supply_collateral(900 * COIN, BORROWER, sender=BORROWER)
    bank.wait(1)
    pool.deposit(SENIOR, 500_000 * UNIT, BORROWER, sender=BORROWER)
    with refused("above the borrower's cap"):
        pool.borrow(300_000 * UNIT + 1, BORROWER, sender=BORROWER)
    bank.wait(1)
    pool.borrow(300_000 * UNIT + 1, BORROWER, sender=BORROWER)


def test_nobody_borrows_beyond_what_the_junior_tranche_covers(bank):
    pool = bank.pool(borrower_cap_bps=10_000)
    for role, tranche, amount in (("senior", SENIOR, 900), ("junior", JUNIOR, 100)):
        lender = bank.fund(pool, role, amount * UNIT)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    borrower = bank.fund(pool, "borrower", 0, 100 * COIN)
    pool.supply_collateral(100 * COIN, borrower, sender=borrower)
    bank.score(borrower, 0)
    bank.wait(1)
    with refused("junior must cover the debt"):
        pool.borrow(500 * UNIT + 1, borrower, sender=borrower)
    pool.borrow(500 * UNIT, borrower, sender=borrower)


def test_collateral_leaves_as_far_as_the_loan_stays_sound(bank, pool):
    bank.score(BORROWER, 0)
    pool.borrow(85_000 * UNIT, BORROWER, sender=BORROWER)
    with refused("too little collateral"):
        pool.withdraw_collateral(50 * COIN + 10**10, BORROWER, sender=BORROWER)
    pool.withdraw_collateral(50 * COIN, account("safe"), sender=BORROWER)
    assert bank.collateral_token.balanceOf(account("safe")) == 50 * COIN
    pool.repay(2**255, BORROWER, sender=BORROWER)
    bank.feed.set_state(False, False)
    pool.withdraw_collateral(50 * COIN, BORROWER, sender=BORROWER)
    assert pool.position_of(BORROWER) == (0, 0, 0, 0, 0, 0)


def test_repaying_takes_no_more_than_the_debt_and_leaves_no_dust(bank, pool):
    bank.score(BORROWER, 0)
    pool.borrow(1_000 * UNIT, BORROWER, sender=BORROWER)
    friend = bank.fund(pool, "friend", 10_000 * UNIT)
    with refused("leaves dust"):
        pool.repay(900 * UNIT + 1, BORROWER, sender=friend)
    assert pool.repay(900 * UNIT, BORROWER, sender=friend) == 900 * UNIT
    assert pool.position_of(BORROWER)[1] == 100 * UNIT
    assert pool.repay(10_000 * UNIT, BORROWER, sender=friend) == 100 * UNIT
    assert pool.position_of(BORROWER) == (100 * COIN, 0, 0, 0, 0, 0)
    assert pool.books()[3] == sum(pool.books()[4]) == 0
    balanced(bank, pool)
