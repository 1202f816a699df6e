# SPDX-License-Identifier: Apache-2.0
"""What shares of other vaults count for, where somebody works on it: what a second audit found."""

from __future__ import annotations

import pytest

from tests.bench_support import account, deploy, refused, wait
from tests.lending.contracts.support import UNIT, open_bank
from tests.treasury.contracts.support import DELAY, DOLLAR, KEEP, LATE, MOCKS, WEEK, Options, Scene, eight
from tests.treasury.contracts.test_pool_shares import vault_over

SAVER, OTHER = account("saver"), account("other")


def begun(**options):
    """A vault without a fee as a week begins, its second place open to any part of it."""
    scene = Scene(Options(fee_bps=0, pool_bounds=(0, 10_000), **options))
    wait(scene.bench, WEEK - scene.bench.timestamp % WEEK)
    scene.feed.say(scene.feed.answer())
    return scene


def counted(scene):
    return scene.vault.values()[2][1]


def test_a_first_purchase_of_dust_does_not_lift_what_a_lie_may_count_for():
    scene = begun()
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(scene.pool, 10**6)
    scene.pool.earn(99_999)  # one share is worth ten cents for a moment
    scene.rebalance(KEEP, 1)
    scene.pool.lose(scene.pool.totalAssets() - 2)
    scene.rebalance(KEEP, 5_000)
    scene.pool.earn(scene.pool.totalAssets() * 999)
    assert counted(scene) <= 551 * DOLLAR
    assert scene.vault.maxDeposit(SAVER) == 0


@pytest.mark.parametrize("silent", [False, True])
def test_shares_are_marked_down_whether_or_not_another_slot_has_a_price(silent):
    scene = begun()
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(1_000, 5_000)
    wait(scene.bench, 10 * WEEK + 60)
    if not silent:
        scene.feed.say(scene.feed.answer())
    scene.vault.mark_down(1, 5_000, sender=scene.guardian)
    scene.feed.say(scene.feed.answer())
    scene.vault.settle()
    assert counted(scene) == pytest.approx(250 * DOLLAR, rel=1e-4)


def test_shares_that_are_silent_to_the_guardian_are_marked_down():
    scene = begun()
    liar = deploy(scene.bench, MOCKS / "Pool.vy", scene.asset)
    listed = [scene.token_strategy(), scene.pool_strategy(token=liar.address)]
    scene.vault = vault = scene.create(listed=listed)
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(KEEP, 5_000)
    liar.earn(liar.totalAssets() * 999)
    liar.be_shy(scene.guardian)
    vault.mark_down(1, 0, sender=scene.guardian)
    assert counted(scene) == 0


def test_shares_are_not_believed_again_while_they_are_silent():
    scene = begun()
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(KEEP, 5_000)
    scene.pool.be_shy(scene.manager)
    change = scene.pool_strategy()
    scene.vault.set_strategy(1, change, sender=scene.manager)
    wait(scene.bench, DELAY)
    with refused("no valid price"):
        scene.vault.set_strategy(1, change, sender=scene.manager)


def test_a_withdrawal_of_next_to_nothing_burns_no_dear_share():
    scene = begun()
    attacker = account("attacker")
    scene.asset.mint(attacker, 200_000 * DOLLAR)
    scene.asset.approve(scene.pool, 2**200, sender=attacker)
    scene.pool.deposit(100, attacker, sender=attacker)
    scene.asset.transfer(scene.pool, 101_000 * DOLLAR - 101, sender=attacker)
    scene.pool.earn(101_000 * DOLLAR - 101)  # a share costs a thousand dollars
    scene.deposit("saver", 900_000 * DOLLAR)
    scene.deposit("attacker", 100 * DOLLAR)
    scene.rebalance(KEEP, 10_000)
    held = scene.vault.held(1)
    amount = 1 + scene.asset.balanceOf(scene.vault)
    with refused("not liquid: redeem in kind"):
        scene.vault.withdraw(amount, attacker, attacker, sender=attacker)
    assert scene.vault.held(1) == held


def test_nobody_comes_in_while_a_pool_sells_for_more_than_it_pays():
    """A loss that was marked and is over is in the shares' worth until somebody marks again: who bought into
    the vault before and marked then took the recovery of those who were there."""
    bank = open_bank()
    pool = bank.pool(coverage_bps=500, junior_notice_s=0)
    shares = deploy(bank.bench, "PoolShares", pool.address)
    vault, manager = vault_over(bank, shares)
    for person in (SAVER, OTHER):
        bank.loan_token.mint(person, 10**6 * UNIT)
        bank.loan_token.approve(vault.address, 2**256 - 1, sender=person)
    vault.deposit(100_000 * UNIT, SAVER, sender=SAVER)
    vault.rebalance(eight(KEEP, 10_000), eight(0), LATE, sender=manager)
    junior = bank.fund(pool, "junior", loan=10_000 * UNIT)
    pool.deposit(1, 10_000 * UNIT, junior, sender=junior)
    bank.wait(60)
    borrowers = [bank.fund(pool, f"borrower {number}", collateral=100 * 10**18) for number in range(3)]
    for borrower in borrowers:
        bank.score(borrower, 0, pd_bps=100)
        pool.supply_collateral(20 * 10**18, borrower, sender=borrower)
        pool.borrow(30_000 * UNIT, borrower, sender=borrower)
    assert vault.maxDeposit(OTHER) > 0
    bank.set_price(700)
    for borrower in borrowers:
        pool.mark(borrower)
    assert vault.totalAssets() < 70_000 * UNIT
    bank.set_price(2_000)
    assert vault.maxDeposit(OTHER) == 0
    with refused("not all that it says is believed"):
        vault.deposit(100_000 * UNIT, OTHER, sender=OTHER)
    for borrower in borrowers:
        pool.mark(borrower)
    assert vault.maxDeposit(OTHER) > 0
