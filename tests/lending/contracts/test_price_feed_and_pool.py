# SPDX-License-Identifier: Apache-2.0
"""A pool on a real pair and price feed: what a swap can stop, and what it cannot."""

from __future__ import annotations

import pytest

from koinon.chain import artifacts
from koinon.chain.eip712 import Domain, TypedStruct, digest
from tests.bench_support import Handle, account, at, deploy, key, refused
from tests.lending.contracts.support import COIN, JUNIOR, SENIOR, UNIT, Bank, open_bank

PRICE = TypedStruct("Price(address feed,int256 price,uint64 observedAt,uint80 round)")
FEEDERS = tuple(f"feeder {number}" for number in range(3))
WINDOW_S = 800
BORROWER, LIQUIDATOR, ATTACKER = account("borrower"), account("liquidator"), account("attacker")


def post(bank: Bank, feed: Handle, whole: float) -> None:
    """A round of all three feeders."""
    domain = Domain("Koinon PriceFeed", "1", bank.bench.chain_id, feed.address)
    price, round_id = round(whole * 10**8), feed.latest_round() + 1
    message = PRICE.hash(feed.address, price, bank.now, round_id)
    reports = [
        (index, price, bank.now, key(role).sign(digest(domain, message)))
        for index, role in enumerate(FEEDERS)
    ]
    feed.post(round_id, reports)


@pytest.fixture
def scene():
    """A loan of 160,000 against 100 coins at 2,000, on a pair with 1,000 coins."""
    bank = open_bank()
    pairs = deploy(bank.bench, "PairFactory", artifacts.load("Pair").init_code)
    pair = at(bank.bench, pairs.createPair(bank.loan_token.address, bank.collateral_token.address), "Pair")
    bank.loan_token.mint(pair.address, 2_000_000 * UNIT)
    bank.collateral_token.mint(pair.address, 1_000 * COIN)
    pair.mint(account("liquidity"))
    terms = (8, "coin / dollar", [account(role) for role in FEEDERS], 2, 3_600, WINDOW_S, 300)
    feed = deploy(bank.bench, "PriceFeed", pair.address, bank.collateral_token.address, *terms)
    for _ in range(9):
        bank.wait(WINDOW_S // 8)
        feed.observe()
    post(bank, feed, 2_000)
    pool = bank.pool(feed=feed.address)
    for role, tranche, amount in (("senior", SENIOR, 800_000), ("junior", JUNIOR, 200_000)):
        lender = bank.fund(pool, role, amount * UNIT)
        pool.deposit(tranche, amount * UNIT, lender, sender=lender)
    bank.fund(pool, "borrower", 0, 200 * COIN)
    bank.fund(pool, "liquidator", 10**6 * UNIT)
    pool.supply_collateral(100 * COIN, BORROWER, sender=BORROWER)
    bank.score(BORROWER, 0)
    bank.wait(12)
    pool.borrow(160_000 * UNIT, BORROWER, sender=BORROWER)
    return bank, pool, feed, pair


def swap_in(bank: Bank, pair: Handle, amount: int) -> None:
    """Sell loan tokens to the pair, so that a collateral coin looks dear."""
    loan_is_first = pair.token0() == bank.loan_token.address
    first, second, _ = pair.getReserves()
    reserve_in, reserve_out = (first, second) if loan_is_first else (second, first)
    out = amount * 997 * reserve_out // (reserve_in * 1_000 + amount * 997)
    bank.loan_token.mint(pair.address, amount)
    pair.swap(*((0, out) if loan_is_first else (out, 0)), ATTACKER, b"")


def test_a_price_pushed_up_in_the_pair_lends_nobody_more(scene):
    bank, pool, feed, pair = scene
    swap_in(bank, pair, 2_000_000 * UNIT)
    # Within its own block the swap moves no average; afterwards feeders and market disagree.
    with refused("too little collateral"):
        pool.borrow(40_000 * UNIT, BORROWER, sender=BORROWER)
    bank.wait(120)
    feed.observe()
    bank.wait(120)
    with refused("feeders and market disagree"):
        pool.borrow(UNIT, BORROWER, sender=BORROWER)


def test_a_crash_is_liquidated_while_the_pair_lags_behind(scene):
    bank, pool, feed, _ = scene
    bank.wait(60)
    post(bank, feed, 1_800)
    with refused("feeders and market disagree"):
        pool.withdraw_collateral(1, BORROWER, sender=BORROWER)
    paid, seized = pool.liquidate(BORROWER, 2**200, 0, LIQUIDATOR, sender=LIQUIDATOR)
    assert paid == pool.events("Liquidated")[0]["repaid"] > 79_000 * UNIT
    assert seized == paid * 10_100 * 10**26 // (10_000 * 1_800 * 10**8 * 10**6)
    assert pool.is_sound(BORROWER)


def test_when_the_feeders_stop_everything_that_needs_a_price_stops_too(scene):
    bank, pool, _, _ = scene
    bank.wait(3_601)
    for call in (
        lambda: pool.borrow(UNIT, BORROWER, sender=BORROWER),
        lambda: pool.liquidate(BORROWER, UNIT, 0, LIQUIDATOR, sender=LIQUIDATOR),
    ):
        with refused("feeders' price is stale"):
            call()
    pool.repay(UNIT, BORROWER, sender=LIQUIDATOR)
