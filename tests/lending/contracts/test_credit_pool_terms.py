# SPDX-License-Identifier: Apache-2.0
"""A credit pool over time: tiers that change, interest and who gets it, and the model's part."""

from __future__ import annotations

from tests.bench_support import NOBODY, account, at, refused
from tests.lending.contracts.support import COIN, DAY, JUNIOR, SENIOR, TIERS, UNIT, balanced

MODEL_OWNER = account("owner of the model")

SENIOR_LENDER, JUNIOR_LENDER, BORROWER = account("senior"), account("junior"), account("borrower")


# --- tiers over time ---------------------------------------------------------------------------------------


def test_a_score_that_falls_never_makes_an_open_loan_unsound(bank, pool):
    bank.score(BORROWER, 0)
    pool.borrow(170_000 * UNIT - 1, BORROWER, sender=BORROWER)
    bank.wait(1)
    bank.score(BORROWER, 3)
    assert pool.tier_of(BORROWER) == 3
    pool.supply_collateral(COIN, BORROWER, sender=BORROWER)
    bank.wait(20 * DAY)
    assert pool.is_sound(BORROWER)
    assert not pool.mark(BORROWER)
    assert pool.position_of(BORROWER)[3] == 0
    with refused("the loan is sound"):
        pool.liquidate(BORROWER, UNIT, 0, SENIOR_LENDER, sender=SENIOR_LENDER)
    pool.repay(UNIT, BORROWER, sender=BORROWER)
    assert pool.position_of(BORROWER)[3] == 0


def test_after_a_downgrade_what_is_owed_keeps_its_terms_for_the_grace(bank, pool):
    bank.score(BORROWER, 0)
    pool.borrow(10_000 * UNIT, BORROWER, sender=BORROWER)
    bank.wait(DAY)
    bank.score(BORROWER, 3)
    bank.wait(5 * DAY)
    confirmed_at = pool.position_of(BORROWER)[4]
    pool.refinance(sender=BORROWER)
    # Asking within the grace does not lengthen it.
    assert pool.position_of(BORROWER)[3:5] == (0, confirmed_at)
    bank.wait(2 * DAY)
    pool.refinance(sender=BORROWER)
    assert pool.position_of(BORROWER)[3] == 3
    assert pool.books()[4][0] == 0
    balanced(bank, pool)


def test_an_expired_score_stops_new_borrowing_and_nothing_else(bank, pool):
    bank.score(BORROWER, 0, lasts_s=10 * DAY)
    pool.borrow(10_000 * UNIT, BORROWER, sender=BORROWER)
    bank.wait(10 * DAY)
    for call in (
        lambda: pool.borrow(UNIT, BORROWER, sender=BORROWER),
        lambda: pool.refinance(sender=BORROWER),
    ):
        with refused("score expired"):
            call()
    with refused("score expired"):
        pool.tier_of(BORROWER)
    pool.supply_collateral(COIN, BORROWER, sender=BORROWER)
    pool.withdraw_collateral(COIN, BORROWER, sender=BORROWER)
    pool.repay(UNIT, BORROWER, sender=BORROWER)
    assert pool.is_sound(BORROWER)
    bank.score(BORROWER, 1)
    pool.borrow(UNIT, BORROWER, sender=BORROWER)
    assert pool.position_of(BORROWER)[3] == 1


def test_a_better_score_moves_the_whole_loan_when_asked(bank, pool):
    bank.score(BORROWER, 2)
    pool.borrow(100_000 * UNIT, BORROWER, sender=BORROWER)
    bank.wait(30 * DAY)
    bank.score(BORROWER, 0)
    debt = pool.position_of(BORROWER)[1]
    assert pool.refinance(sender=BORROWER) == debt
    _, _, shares, tier, confirmed_at, _ = pool.position_of(BORROWER)
    assert (tier, confirmed_at, shares) == (0, bank.now, debt * 10**6)
    assert list(pool.books()[4][:3]) == [debt, 0, 0]
    (event,) = pool.events("TierChanged")[-1:]
    assert (event["before"], event["after"], event["debt"]) == (2, 0, debt)
    balanced(bank, pool)


# --- interest ----------------------------------------------------------------------------------------------


def test_the_spread_is_the_juniors_the_rate_everyones_and_the_fee_the_models(bank, pool):
    bank.score(BORROWER, 0)
    pool.borrow(150_000 * UNIT, BORROWER, sender=BORROWER)
    bank.wait(30 * DAY)
    pool.supply_collateral(COIN, BORROWER, sender=BORROWER)
    pool.repay(UNIT, BORROWER, sender=BORROWER)
    (accrued,) = pool.events("Accrued")[-1:]
    interest, fee, to_junior = accrued["interest"], accrued["fee"], accrued["to_junior"]
    base = accrued["base_rate_bps"]
    assert base == 100 + 500 * 15 // 80
    assert fee == interest // 10
    net = interest - fee
    risk = net * 150 / (150 + base)
    assert abs(to_junior - (risk + (net - risk) / 5)) < net / 100
    senior, junior, fees, debt, _ = pool.books()
    assert (senior, junior) == (800_000 * UNIT + net - to_junior, 200_000 * UNIT + to_junior)
    assert fees == fee
    assert debt == 150_000 * UNIT + interest - UNIT
    balanced(bank, pool)


def test_reading_shows_what_writing_will_find(bank, pool):
    bank.score(BORROWER, 2)
    pool.borrow(100_000 * UNIT, BORROWER, sender=BORROWER)
    bank.wait(100 * DAY)
    before = pool.books(), pool.position_of(BORROWER), pool.assets_of(JUNIOR, JUNIOR_LENDER)
    pool.mark(BORROWER)
    assert (pool.books(), pool.position_of(BORROWER), pool.assets_of(JUNIOR, JUNIOR_LENDER)) == before


def test_a_junior_lender_alone_earns_all(bank):
    pool = bank.pool(borrower_cap_bps=10_000, fee_bps=0)
    lender = bank.fund(pool, "only lender", 1_000 * UNIT)
    pool.deposit(JUNIOR, 1_000 * UNIT, lender, sender=lender)
    borrower = bank.fund(pool, "borrower", 0, 10 * COIN)
    pool.supply_collateral(10 * COIN, borrower, sender=borrower)
    bank.wait(1)
    pool.borrow(500 * UNIT, borrower, sender=borrower)
    bank.wait(DAY)
    senior, junior, *_ = pool.books()
    assert junior > 1_000 * UNIT
    assert senior == 0


def test_senior_lenders_earn_all_once_nothing_junior_is_left(bank):
    pool = bank.pool(coverage_bps=1, borrower_cap_bps=10_000, fee_bps=0)
    for role, tranche, amount in (("senior", SENIOR, 100_000), ("junior", JUNIOR, 10)):
        lender = bank.fund(pool, role, amount * UNIT)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    bank.wait(1)
    for role, coins, amount in (("borrower", 20, 20_000), ("other borrower", 1_000, 10_000)):
        borrower = bank.fund(pool, role, 0, coins * COIN)
        pool.supply_collateral(coins * COIN, borrower, sender=borrower)
        pool.borrow(amount * UNIT, borrower, sender=borrower)
    bank.set_price(500)
    liquidator = bank.fund(pool, "liquidator", 10**6 * UNIT)
    pool.liquidate(account("borrower"), 2**200, 0, liquidator, sender=liquidator)
    senior, junior, *_ = pool.books()
    assert junior == 0
    bank.wait(DAY)
    assert pool.books()[0] > senior
    assert pool.books()[1] == 0


def test_the_models_part_reaches_its_till_and_the_till_pays_its_owner(bank, pool):
    bank.score(BORROWER, 0)
    pool.borrow(150_000 * UNIT, BORROWER, sender=BORROWER)
    assert pool.pay_fee() == 0
    bank.wait(30 * DAY)
    fees = pool.books()[2]
    assert fees > 0
    assert pool.pay_fee() == fees
    assert pool.books()[2] == 0
    till = bank.works.till_of(bank.work_id)
    assert bank.loan_token.balanceOf(till) == fees
    bank.works.deploy_till(bank.work_id)
    paid = at(bank.bench, till, "Till").release(
        bank.loan_token.address, NOBODY, 1_000_000_000, [], sender=MODEL_OWNER
    )
    assert paid == bank.loan_token.balanceOf(MODEL_OWNER) == fees
    balanced(bank, pool)


def test_a_pool_tells_its_terms(bank, pool):
    assert pool.market() == tuple(bank.market().values())
    assert list(pool.tiers()) == [tier.values() for tier in TIERS]
    assert pool.eip712Domain()[1:3] == ("Koinon Credit Pool", "1")
