# SPDX-License-Identifier: Apache-2.0
"""What an audit of the pools found, each test named after what could be done before."""

from __future__ import annotations

import pytest

from koinon.lending.bundles import JoinDomain
from koinon.lending.credit_offer import CreditOffer, OfferDomain
from tests.bench_support import account, key, refused
from tests.lending.contracts.support import COIN, DAY, ISSUERS, JUNIOR, SENIOR, TIERS, UNIT, YEAR, balanced

BORROWER, MATE, OTHER = account("borrower"), account("mate"), account("other borrower")
SENIOR_LENDER, JUNIOR_LENDER, LIQUIDATOR = account("senior"), account("junior"), account("liquidator")
WORST = len(TIERS) - 1


def lend(bank, pool, borrower: str, tier: int, debt: int, coins: int) -> None:
    bank.score(borrower, tier)
    pool.supply_collateral(coins * COIN, borrower, sender=borrower)
    pool.borrow(debt * UNIT, borrower, sender=borrower)


def sell(pool, borrower: str) -> tuple[int, int]:
    return pool.liquidate(borrower, 2**200, 0, LIQUIDATOR, sender=LIQUIDATOR)


def join(bank, first: str, second: str) -> None:
    """Two roles become one bundle."""
    domain = JoinDomain(bank.bench.chain_id, bank.bundles.address)
    values = (account(first), account(second), 1, bank.now)
    bank.bundles.join(
        account(first),
        account(second),
        bank.now,
        domain.sign(key(second), *values),
        [domain.sign(key(first), *values)],
    )


# --- who earns the spread ----------------------------------------------------------------------------------


def test_a_crumb_of_junior_capital_does_not_earn_the_spread_of_all_debt(bank, thin):
    lend(bank, thin, BORROWER, 0, 60_000, 40)
    lend(bank, thin, OTHER, 2, 100_000, 1_000)
    bank.set_price(1_005)
    sell(thin, BORROWER)
    senior, junior, _, debt, _ = thin.books()
    assert 0 < junior < 500 * UNIT
    bank.wait(30 * DAY)
    thin.mark(OTHER)
    (accrued,) = thin.events("Accrued")[-1:]
    net = accrued["interest"] - accrued["fee"]
    base = accrued["base_rate_bps"]
    borne = junior * 10_000 / (debt * 500)
    risk = net * TIERS[2].spread_bps / (TIERS[2].spread_bps + base) * borne
    assert accrued["to_junior"] == pytest.approx(risk + (net - risk) * junior / (junior + senior), rel=0.02)
    assert accrued["to_junior"] < net // 10
    balanced(bank, thin)


# --- the grace ---------------------------------------------------------------------------------------------


def test_nobody_draws_on_a_tier_that_the_score_gives_no_more(bank, pool):
    bank.score(BORROWER, 0)
    pool.borrow(10_000 * UNIT, BORROWER, sender=BORROWER)
    bank.wait(1)
    bank.score(BORROWER, WORST)
    pool.refinance(sender=BORROWER)
    assert pool.position_of(BORROWER)[3] == 0
    with refused("above the tier's cap"):
        pool.borrow(TIERS[WORST].cap, BORROWER, sender=BORROWER)
    pool.borrow(10_000 * UNIT, BORROWER, sender=BORROWER)
    assert pool.position_of(BORROWER)[3] == WORST


def test_the_grace_does_not_outweigh_a_bundle_mates_default(bank, pool):
    bank.fund(pool, "mate", 0, 100 * COIN)
    bank.fund(pool, "liquidator", 10**7 * UNIT)
    bank.score(BORROWER, 0)
    join(bank, "borrower", "mate")
    bank.wait(1)
    pool.borrow(10_000 * UNIT, BORROWER, sender=BORROWER)
    lend(bank, pool, MATE, 0, 80_000, 50)
    bank.set_price(1_000)
    sell(pool, MATE)
    assert pool.events("Defaulted")
    assert pool.tier_of(BORROWER) == WORST
    pool.refinance(sender=BORROWER)
    assert pool.position_of(BORROWER)[3] == WORST


def test_the_grace_is_not_for_who_has_no_score_any_more(bank, pool):
    score = bank.score(MATE, 0)
    join(bank, "mate", "borrower")
    bank.wait(1)
    pool.borrow(10_000 * UNIT, BORROWER, sender=BORROWER)
    assert pool.position_of(BORROWER)[3] == 0
    bank.revoke(score)
    pool.refinance(sender=BORROWER)
    assert pool.position_of(BORROWER)[3] == WORST


# --- losses that all can see -------------------------------------------------------------------------------


def test_no_lender_leaves_before_a_loss_that_a_mark_has_shown(bank, thin):
    for role in ("runner", "stayer"):
        lender = bank.fund(thin, role, 10_000 * UNIT)
        thin.deposit(SENIOR, 10_000 * UNIT, lender, sender=lender)
    runner, stayer = account("runner"), account("stayer")
    lend(bank, thin, BORROWER, 0, 160_000, 100)
    bank.set_price(500)
    thin.mark(BORROWER)
    for call in (thin.assets_of, thin.max_withdraw):
        assert call(SENIOR, runner) < 6_000 * UNIT
    got = thin.redeem(SENIOR, thin.shares_of(SENIOR, runner), runner, sender=runner)
    balanced(bank, thin)
    sell(thin, BORROWER)
    left = thin.assets_of(SENIOR, stayer)
    assert got == pytest.approx(left, rel=0.01)
    balanced(bank, thin)


def test_a_price_that_recovers_gives_lenders_back_what_was_provided_for(bank, thin):
    lend(bank, thin, BORROWER, 0, 160_000, 100)
    before = thin.assets_of(SENIOR, SENIOR_LENDER)
    bank.set_price(500)
    thin.mark(BORROWER)
    seen = thin.assets_of(SENIOR, SENIOR_LENDER)
    assert seen <= before // 2
    assert thin.assets_of(JUNIOR, JUNIOR_LENDER) == 0
    # Who lends meanwhile pays the price of a share without the provision, and takes nobody's recovery.
    newcomer = bank.fund(thin, "newcomer", 10_000 * UNIT)
    thin.deposit(SENIOR, 10_000 * UNIT, newcomer, sender=newcomer)
    assert thin.assets_of(SENIOR, newcomer) < 6_000 * UNIT
    bank.set_price(2_000)
    thin.mark(BORROWER)
    assert thin.assets_of(SENIOR, SENIOR_LENDER) == before
    assert 10_000 * UNIT - 1 <= thin.assets_of(SENIOR, newcomer) <= 10_000 * UNIT
    assert [event["loss"] > 0 for event in thin.events("LossSeen")] == [True, False]


def test_what_a_bonus_would_cost_the_junior_tranche_is_seen_too(bank, thin):
    """Collateral that is worth the debt does not pay a bonus that has grown beyond the rest."""
    lend(bank, thin, BORROWER, 0, 160_000, 100)
    bank.set_price(1_650)
    thin.mark(BORROWER)
    assert not thin.events("LossSeen")
    bank.wait(3_600)
    thin.mark(BORROWER)
    seen = thin.events("LossSeen")[-1]["loss"]
    junior = thin.books()[1]
    assert abs(thin.assets_of(JUNIOR, JUNIOR_LENDER) - (junior - seen)) <= 1
    sell(thin, BORROWER)
    (event,) = thin.events("Defaulted")
    assert 0 <= seen - event["bad_debt"] <= 1
    assert seen > 9_000 * UNIT


def test_a_provision_ends_with_its_loan(bank, thin):
    lend(bank, thin, BORROWER, 0, 160_000, 100)
    bank.set_price(500)
    thin.mark(BORROWER)
    thin.repay(2**200, BORROWER, sender=BORROWER)
    assert thin.assets_of(SENIOR, SENIOR_LENDER) >= 180_000 * UNIT
    assert thin.assets_of(JUNIOR, JUNIOR_LENDER) >= 20_000 * UNIT
    assert thin.events("AuctionEnded")


# --- auctions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "after", "bonus_bps"),
    [
        (1_605, 0, 31),  # collateral of 160,500 for 160,000: less than the least bonus of 1 %
        (1_605, 600, 31 + (1_000 - 31) * 600 // 3_600),
        (1_600, 0, 0),
        (1_599, 0, 0),  # no jump where the collateral stops paying the debt
        (1_599, 600, 1_000 * 600 // 3_600),
        (1_599, 3_600, 1_000),
    ],
)
def test_the_junior_tranche_pays_of_a_bonus_only_what_nobody_took_it_for_less(
    bank, pool, price, after, bonus_bps
):
    bank.fund(pool, "liquidator", 10**7 * UNIT)
    bank.score(BORROWER, 0)
    pool.borrow(160_000 * UNIT, BORROWER, sender=BORROWER)
    bank.set_price(price)
    pool.mark(BORROWER)
    bank.wait(after)
    _, junior, *_ = pool.books()
    sell(pool, BORROWER)
    assert pool.events("Liquidated")[-1]["bonus_bps"] == pytest.approx(bonus_bps, abs=1)
    if after == 0 and price >= 1_600:
        assert not pool.events("Defaulted")
        assert pool.books()[1] >= junior - UNIT
    balanced(bank, pool)


@pytest.mark.parametrize("proof", ["borrow", "refinance", "withdraw_collateral"])
def test_an_auction_of_old_ends_where_a_loan_proves_sound(bank, pool, proof):
    bank.score(BORROWER, 0)
    pool.borrow(160_000 * UNIT, BORROWER, sender=BORROWER)
    bank.set_price(1_850)
    assert pool.mark(BORROWER)
    bank.set_price(2_000)
    arguments = {"borrow": (UNIT, BORROWER), "refinance": (), "withdraw_collateral": (1, BORROWER)}[proof]
    getattr(pool, proof)(*arguments, sender=BORROWER)
    assert pool.position_of(BORROWER)[5] == 0
    (event,) = pool.events("AuctionEnded")
    assert event["borrower"] == BORROWER


def test_an_auction_that_made_a_loan_sound_is_over(bank, pool):
    bank.fund(pool, "liquidator", 10**7 * UNIT)
    bank.score(BORROWER, 0)
    pool.borrow(160_000 * UNIT, BORROWER, sender=BORROWER)
    bank.set_price(1_850)
    sell(pool, BORROWER)
    assert pool.is_sound(BORROWER)
    assert pool.position_of(BORROWER)[5] == 0
    assert len(pool.events("AuctionEnded")) == 1


# --- interest ----------------------------------------------------------------------------------------------


def test_poking_a_pool_every_minute_makes_no_interest_vanish(bank):
    pool = bank.pool(min_debt=1_000, borrower_cap_bps=10_000, salt=b"\6" * 32)
    for role, tranche, amount in (("senior", SENIOR, 8 * UNIT), ("junior", JUNIOR, 2 * UNIT)):
        bank.loan_token.approve(pool.address, 2**200, sender=account(role))
        pool.deposit(tranche, amount, account(role), sender=account(role))
    bank.fund(pool, "borrower", 0, COIN)
    bank.wait(60)
    bank.score(BORROWER, 1)
    pool.supply_collateral(COIN, BORROWER, sender=BORROWER)
    pool.borrow(UNIT, BORROWER, sender=BORROWER)
    with bank.bench.undone():
        bank.wait(2_000 * 60)
        calm = pool.books()[3] - UNIT
    for _ in range(2_000):
        bank.wait(60)
        pool.mark(BORROWER)
    assert calm > 100
    assert abs(pool.books()[3] - UNIT - calm) <= 1
    balanced(bank, pool)


# --- offers and scores -------------------------------------------------------------------------------------


def test_one_offer_that_three_issuers_signed_is_drawn_once(bank, pool):
    bank.score(BORROWER, 1)
    spread = TIERS[1].spread_bps
    offer = CreditOffer(pool.address, BORROWER, 10_000 * UNIT, 0, spread, 1, bank.now + DAY, 1)
    domain = OfferDomain(bank.bench.chain_id, pool.address)
    signed = [domain.sign(key(role), offer) for role in ISSUERS]
    pool.borrow_with_offer(offer.values(), *signed[0], BORROWER, sender=BORROWER)
    for each in signed:
        with refused("offer already used"):
            pool.borrow_with_offer(offer.values(), *each, BORROWER, sender=BORROWER)
    with refused("offer already used"):
        pool.cancel_offer(offer.values(), sender=account(ISSUERS[1]))


def test_a_word_of_nothing_is_no_best_tier(bank, pool):
    bank.attest(BORROWER, 0)
    assert pool.tier_of(BORROWER) == WORST


def test_a_score_that_was_judged_before_the_default_forgives_none(bank, pool):
    bank.fund(pool, "liquidator", 10**7 * UNIT)
    bank.score(BORROWER, 0)
    pool.borrow(160_000 * UNIT, BORROWER, sender=BORROWER)
    looked_at = bank.bench.block_number
    bank.wait(60)
    bank.set_price(1_000)
    sell(pool, BORROWER)
    bank.wait(60)
    bank.score(BORROWER, 0, as_of_block=looked_at)
    assert pool.tier_of(BORROWER) == WORST
    bank.wait(60)
    bank.score(BORROWER, 1)
    assert pool.tier_of(BORROWER) == 1


# --- tranches that lost everything -------------------------------------------------------------------------


def wipe_out_the_junior_tranche(bank, pool) -> None:
    lend(bank, pool, BORROWER, 0, 160_000, 100)
    bank.set_price(500)
    sell(pool, BORROWER)
    assert pool.total_shares(JUNIOR) == 0
    (event,) = pool.events("TrancheBegun")
    assert (event["tranche"], event["epoch"]) == (JUNIOR, 1)


def test_an_exit_announced_before_a_wipe_lets_nobody_out_after_it(bank, thin):
    thin.announce_exit(thin.shares_of(JUNIOR, JUNIOR_LENDER), sender=JUNIOR_LENDER)
    bank.wait(5 * DAY)
    wipe_out_the_junior_tranche(bank, thin)
    thin.deposit(JUNIOR, UNIT, JUNIOR_LENDER, sender=JUNIOR_LENDER)
    assert thin.max_withdraw(JUNIOR, JUNIOR_LENDER) == 0
    with refused("announce the exit first"):
        thin.withdraw(JUNIOR, 1, JUNIOR_LENDER, sender=JUNIOR_LENDER)


def test_a_year_of_spread_goes_to_who_bears_the_risk(bank, thin):
    """With all its cover the junior tranche earns the whole spread, as before."""
    lend(bank, thin, BORROWER, 2, 100_000, 1_000)
    senior, junior, *_ = thin.books()
    bank.wait(YEAR // 12)
    thin.mark(BORROWER)
    (accrued,) = thin.events("Accrued")[-1:]
    net = accrued["interest"] - accrued["fee"]
    risk = net * TIERS[2].spread_bps / (TIERS[2].spread_bps + accrued["base_rate_bps"])
    assert accrued["to_junior"] == pytest.approx(risk + (net - risk) * junior / (junior + senior), rel=0.02)
