# SPDX-License-Identifier: Apache-2.0
"""Senior shares of a real credit pool: what they earn, what they cost, and a vault that holds them."""

from __future__ import annotations

import random

import pytest

from koinon.errors import KoinonError
from tests.bench_support import NOBODY, account, at, deploy, refused
from tests.lending.contracts.support import SENIOR, UNIT, YEAR, open_bank
from tests.treasury.contracts.support import KEEP, LATE, NONE, SHARES, eight

LARGEST = 2**256 - 1
SAVER, OTHER = account("saver"), account("other")


@pytest.fixture
def pool():
    bank = open_bank()
    made = bank.pool()
    shares = deploy(bank.bench, "PoolShares", made.address)
    for person in (SAVER, OTHER):
        bank.loan_token.mint(person, 10**6 * UNIT)
        bank.loan_token.approve(shares.address, LARGEST, sender=person)
    return bank, made, shares


def lend(bank, pool, borrowers=1):
    """Scored wallets borrow against collateral, so that interest runs."""
    junior = bank.fund(pool, "junior", loan=100_000 * UNIT)
    pool.deposit(1, 100_000 * UNIT, junior, sender=junior)
    bank.wait(60)  # what is lent in this block does not count towards what one may borrow
    for number in range(borrowers):
        borrower = bank.fund(pool, f"borrower {number}", collateral=100 * 10**18)
        bank.score(borrower, 0, pd_bps=100)
        pool.supply_collateral(100 * 10**18, borrower, sender=borrower)
        pool.borrow(40_000 * UNIT, borrower, sender=borrower)


def test_it_says_what_it_is(pool):
    bank, made, shares = pool
    assert shares.asset() == bank.loan_token.address
    assert shares.pool() == made.address
    assert shares.decimals() == 12
    assert shares.totalAssets() == shares.totalSupply() == shares.maxWithdraw(SAVER) == 0
    assert shares.maxDeposit(SAVER) == 2**112
    assert shares.maxMint(SAVER) == 2**112 * 10**6


def test_what_is_no_credit_pool_is_refused(pool):
    bank, _, _ = pool
    with pytest.raises(KoinonError):
        deploy(bank.bench, "PoolShares", account("nobody"))


def test_deposits_are_lent_and_earn_what_the_tranche_earns(pool):
    bank, made, shares = pool
    shares.deposit(50_000 * UNIT, SAVER, sender=SAVER)
    assert made.assets_of(SENIOR, shares.address) == shares.totalAssets() == 50_000 * UNIT
    lend(bank, made)
    bank.wait(YEAR)
    worth = shares.convertToAssets(shares.balanceOf(SAVER))
    assert worth > 50_000 * UNIT
    assert made.assets_of(SENIOR, shares.address) - worth in (0, 1)
    # What is lent out is not there: the pool has the rest of 150,000.
    assert shares.maxWithdraw(SAVER) == min(worth, made.liquidity())


def test_what_the_pool_has_not_cannot_be_taken(pool):
    bank, made, shares = pool
    shares.deposit(50_000 * UNIT, SAVER, sender=SAVER)
    lend(bank, made, borrowers=3)
    most = shares.maxWithdraw(SAVER)
    assert most == made.liquidity() < 50_000 * UNIT
    with refused("not enough cash"):
        shares.withdraw(most + 1, SAVER, SAVER, sender=SAVER)
    shares.redeem(shares.maxRedeem(SAVER), SAVER, SAVER, sender=SAVER)


def test_nothing_is_issued_or_taken_for_nothing(pool):
    _, _, shares = pool
    with refused("too little"):
        shares.deposit(0, SAVER, sender=SAVER)
    with refused("too little"):
        shares.mint(0, SAVER, sender=SAVER)
    shares.deposit(100, SAVER, sender=SAVER)
    with refused("shares missing"):
        shares.redeem(0, SAVER, SAVER, sender=SAVER)
    with refused("shares missing"):
        shares.withdraw(0, SAVER, SAVER, sender=SAVER)
    with refused("erc20: insufficient allowance"):
        shares.redeem(1, OTHER, SAVER, sender=OTHER)
    with refused("erc20: burn amount exceeds balance"):
        shares.redeem(101 * 10**6, SAVER, SAVER, sender=SAVER)
    shares.approve(OTHER, 10**6, sender=SAVER)
    shares.withdraw(1, OTHER, SAVER, sender=OTHER)


def test_round_trips_earn_nothing_and_previews_are_what_happens(pool):
    bank, made, shares = pool
    shares.deposit(50_000 * UNIT, OTHER, sender=OTHER)
    lend(bank, made)
    generator = random.Random(4)
    for _ in range(25):
        bank.wait(generator.randrange(1, 10**6))
        amount = generator.randrange(1, 1_000 * UNIT)
        before = bank.loan_token.balanceOf(SAVER)
        if generator.random() < 0.5:
            shares.deposit(amount, SAVER, sender=SAVER)
        else:
            shares.mint(shares.previewDeposit(amount), SAVER, sender=SAVER)
        assert before - bank.loan_token.balanceOf(SAVER) <= amount
        assert shares.previewWithdraw(amount) >= shares.convertToShares(amount)
        assert shares.previewMint(shares.previewDeposit(amount)) <= amount
        held = shares.balanceOf(SAVER)
        assert shares.previewRedeem(held) <= amount
        shares.redeem(held, SAVER, SAVER, sender=SAVER)
        # A second of interest may pass between two blocks, on what is lent of it.
        assert bank.loan_token.balanceOf(SAVER) <= before + 1


def test_who_comes_while_a_loss_is_seen_takes_nothing_of_those_who_hold(pool):
    """Shares cheap by a loss on its way would buy a part of what the others' deposit is worth."""
    bank, made, shares = pool
    shares.deposit(100_000 * UNIT, OTHER, sender=OTHER)
    lend(bank, made, borrowers=3)
    bank.set_price(1)
    for number in range(3):
        made.mark(account(f"borrower {number}"))
    held = shares.convertToAssets(shares.balanceOf(OTHER))
    assert held < 100_000 * UNIT
    got = shares.previewDeposit(50_000 * UNIT)
    assert shares.previewMint(got) <= 50_000 * UNIT
    assert shares.deposit(50_000 * UNIT, SAVER, sender=SAVER) == got
    assert shares.convertToAssets(shares.balanceOf(OTHER)) >= held - 2
    assert shares.convertToAssets(shares.balanceOf(SAVER)) <= 50_000 * UNIT
    bank.set_price(2_000)
    for number in range(3):
        made.mark(account(f"borrower {number}"))
    assert 50_000 * UNIT - 2 <= shares.convertToAssets(shares.balanceOf(SAVER)) <= 50_000 * UNIT + 10


def vault_over(bank, shares, most_bps=10_000):
    """A vault that may put so much of what it has into shares of a pool, and its manager."""
    rules = deploy(bank.bench, "VaultRules")
    factory = deploy(bank.bench, "VaultFactory", deploy(bank.bench, "Vault", rules.address).address)
    manager = account("manager")
    charter = (bank.loan_token.address, manager, manager, manager, NOBODY, 0, 0, 0, 86_400)
    listed = [(SHARES, shares.address, NOBODY, NOBODY, 0, 0, most_bps)]
    made = factory.create("V", "V", charter, (20_000, 50, 10_000, 0), listed)
    return at(bank.bench, made, "Vault"), manager


def test_a_vault_holds_them(pool):
    bank, made, shares = pool
    token = bank.loan_token
    vault, manager = vault_over(bank, shares, 8_000)
    token.approve(vault.address, LARGEST, sender=SAVER)
    vault.deposit(100_000 * UNIT, SAVER, sender=SAVER)
    vault.rebalance(eight(KEEP, 8_000), eight(0), LATE, sender=manager)
    assert vault.totalAssets() in range(100_000 * UNIT - 2, 100_000 * UNIT + 1)
    lend(bank, made)
    bank.wait(YEAR)
    assert vault.totalAssets() > 100_000 * UNIT
    most = vault.maxWithdraw(SAVER)
    assert most > 99_000 * UNIT
    vault.withdraw(50_000 * UNIT, SAVER, SAVER, sender=SAVER)
    amounts = vault.redeem_in_kind(vault.balanceOf(SAVER), SAVER, SAVER, 0, NONE, sender=SAVER)
    assert shares.balanceOf(SAVER) == amounts[1] > 0
