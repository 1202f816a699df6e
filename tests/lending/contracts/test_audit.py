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


@pytest.fixture
def thin(bank):
    """180,000 senior over 20,000 junior, which must cover 5 %; nothing is lent yet."""
    pool = bank.pool(coverage_bps=500, borrower_cap_bps=10_000, salt=b"\5" * 32)
    for role, tranche, amount in (("senior", SENIOR, 180_000), ("junior", JUNIOR, 20_000)):
        bank.loan_token.approve(pool.address, 2**200, sender=account(role))
        pool.deposit(tranche, amount * UNIT, account(role), sender=account(role))
    for role in ("borrower", "other borrower"):
        bank.fund(pool, role, 10**6 * UNIT, 10**4 * COIN)
    bank.fund(pool, "liquidator", 10**7 * UNIT)
    bank.wait(60)
    return pool


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
    bank.set_price(1_020)
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


# --- auctions ----------------------------------------------------------------------------------------------


# --- interest ----------------------------------------------------------------------------------------------


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


# --- tranches that lost everything -------------------------------------------------------------------------


def wipe_out_the_junior_tranche(bank, pool) -> None:
    lend(bank, pool, BORROWER, 0, 160_000, 100)
    bank.set_price(500)
    sell(pool, BORROWER)
    assert pool.total_shares(JUNIOR) == 0
    (event,) = pool.events("TrancheBegun")
    assert (event["tranche"], event["epoch"]) == (JUNIOR, 1)


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
