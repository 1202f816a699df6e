# SPDX-License-Identifier: Apache-2.0
"""The factory of pools: anyone creates one, and no terms get through that lose by design."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.chain import artifacts
from tests.bench_support import NOBODY, account, deploy, refused
from tests.lending.contracts.support import MOCKS, TIERS, UNIT, YEAR, Tier, open_bank


@pytest.fixture(scope="module")
def standing():
    return open_bank()


@pytest.fixture
def bank(standing):
    with standing.bench.undone():
        yield standing


def test_anyone_creates_pools_and_the_factory_remembers_its_own(bank):
    pools = [bank.pool(), bank.pool(salt=b"\1" * 32), bank.pool(fee_bps=0)]
    assert len({pool.address for pool in pools}) == 3
    assert bank.factory.pool_count() == 3
    assert [bank.factory.pools(index) for index in range(3)] == [pool.address for pool in pools]
    assert all(bank.factory.is_pool(pool.address) for pool in pools)
    assert not bank.factory.is_pool(account("stranger"))
    event = bank.factory.events("PoolCreated")[0]
    assert (event["pool"], event["schema"], event["work_id"]) == (pools[0].address, bank.schema, bank.work_id)
    assert bank.factory.attestations() == bank.attestations.address
    assert bank.factory.bundles() == bank.bundles.address
    assert bank.factory.works() == bank.works.address
    assert bank.bench.code(bank.factory.blueprint())[:3] == b"\xfe\x71\x00"


def test_the_same_terms_twice_by_one_creator_are_one_pool(bank):
    bank.pool()
    with refused(""):
        bank.pool()


def test_a_pool_without_a_model_has_no_fee(bank):
    pool = bank.pool(work_id=0, fee_bps=0)
    assert pool.pay_fee() == 0
    with refused("a fee needs a model"):
        bank.pool(work_id=0)
    with refused("ERC721NonexistentToken(99)"):
        bank.pool(work_id=99)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"attestations": NOBODY}, "other contracts"),
        ({"bundles": NOBODY}, "other contracts"),
        ({"works": NOBODY}, "other contracts"),
        ({"loan_token": NOBODY}, "no code"),
        ({"collateral_token": NOBODY}, "no code"),
        ({"feed": NOBODY}, "no code"),
        ({"base_rate_bps": 601}, "rates must rise"),
        ({"kink_rate_bps": 5_001}, "rates must rise"),
        ({"full_rate_bps": 100_001}, "rate too high"),
        ({"kink_bps": 0}, "kink out of range"),
        ({"kink_bps": 10_000}, "kink out of range"),
        ({"fee_bps": 10_000}, "fee out of range"),
        ({"borrower_cap_bps": 0}, "borrower cap out of range"),
        ({"borrower_cap_bps": 10_001}, "borrower cap out of range"),
        ({"coverage_bps": 0}, "coverage out of range"),
        ({"coverage_bps": 10_001}, "coverage out of range"),
        ({"close_factor_bps": 0}, "close factor out of range"),
        ({"close_factor_bps": 10_001}, "close factor out of range"),
        ({"min_bonus_bps": 1_001}, "bonus must grow"),
        ({"max_bonus_bps": 10_001}, "bonus out of range"),
        ({"auction_s": 0}, "time out of range"),
        ({"auction_s": YEAR + 1}, "time out of range"),
        ({"grace_s": YEAR + 1}, "time out of range"),
        ({"junior_notice_s": YEAR + 1}, "time out of range"),
        ({"min_debt": 999}, "least debt out of range"),
        ({"min_debt": 2**96}, "least debt out of range"),
        ({"max_bonus_bps": 1_800}, "LLTV out of range"),
    ],
)
def test_terms_of_a_market_that_are_refused(bank, changes, reason):
    with refused(reason):
        bank.pool(**changes)


def test_the_two_tokens_must_differ(bank):
    with refused("tokens must differ"):
        bank.pool(collateral_token=bank.loan_token.address)


def test_a_token_with_too_many_decimals_is_refused(bank):
    for name in ("loan_token", "collateral_token"):
        token = deploy(bank.bench, MOCKS / "Money.vy", 19)
        with refused("too many decimals"):
            bank.pool(**{name: token.address})
    with refused("too many decimals"):
        bank.pool(feed=deploy(bank.bench, MOCKS / "Feed.vy", 19, 1).address)


def test_a_token_with_too_few_decimals_is_refused(bank):
    for name in ("loan_token", "collateral_token"):
        token = deploy(bank.bench, MOCKS / "Money.vy", 5)
        with refused("too few decimals"):
            bank.pool(**{name: token.address})


def test_scores_of_a_schema_that_nobody_registered_are_refused(bank):
    with refused("no such schema"):
        bank.pool(schema=b"\1" * 32)


def test_a_feed_that_names_its_tokens_must_be_of_the_pools(bank):
    loan, collateral = bank.loan_token.address, bank.collateral_token.address
    for base, quote in ((loan, collateral), (collateral, collateral), (loan, loan)):
        with refused("feed of other tokens"):
            bank.pool(feed=deploy(bank.bench, MOCKS / "PostingFeed.vy", base, quote, 8, 1).address)
    feed = deploy(bank.bench, MOCKS / "PostingFeed.vy", collateral, loan, 8, 1)
    assert bank.pool(feed=feed.address).market()[2] == feed.address


GOOD = Tier(8_000, 300, 100 * UNIT, 400)


@pytest.mark.parametrize(
    ("tiers", "reason"),
    [
        ((), "no tiers"),
        ((GOOD, replace(GOOD, lltv_bps=8_001)), "a worse tier has better terms"),
        ((GOOD, replace(GOOD, spread_bps=299)), "a worse tier has better terms"),
        ((GOOD, replace(GOOD, cap=GOOD.cap + 1)), "a worse tier has better terms"),
        ((GOOD, replace(GOOD, pd_bps=399)), "a worse tier has better terms"),
        ((replace(GOOD, lltv_bps=0),), "LLTV out of range"),
        ((replace(GOOD, lltv_bps=10_001),), "LLTV out of range"),
        ((replace(GOOD, lltv_bps=9_091),), "LLTV out of range"),
        ((replace(GOOD, spread_bps=100_001),), "rate too high"),
        ((replace(GOOD, cap=2**96),), "cap out of range"),
        ((replace(GOOD, pd_bps=10_001, lgd_bps=0),), "share out of range"),
        ((replace(GOOD, pd_bps=0, lgd_bps=10_001),), "share out of range"),
        ((replace(GOOD, capital_bps=10_001),), "share out of range"),
        ((replace(GOOD, spread_bps=209),), "spread below the expected loss"),
        ((GOOD, replace(GOOD, pd_bps=2_000)), "spread below the expected loss"),
    ],
)
def test_terms_of_tiers_that_are_refused(bank, tiers, reason):
    with refused(reason):
        bank.pool(tiers)


def test_a_spread_that_just_pays_for_the_expected_loss_is_enough(bank):
    assert list(bank.pool((replace(GOOD, spread_bps=210),)).tiers()) == [
        replace(GOOD, spread_bps=210).values()
    ]
    assert len(bank.pool((GOOD,) * 8).tiers()) == 8
    assert bank.pool().tiers()[0] == TIERS[0].values()


def test_a_factory_needs_code_and_its_contracts(bank):
    good = (bank.attestations.address, bank.bundles.address, bank.works.address)
    code = artifacts.load("CreditPool").init_code
    for place in range(3):
        wrong = (*good[:place], account("stranger"), *good[place + 1 :])
        with refused(""):
            deploy(bank.bench, "CreditPoolFactory", *wrong, code)
    with refused(""):
        deploy(bank.bench, "CreditPoolFactory", *good, b"")
