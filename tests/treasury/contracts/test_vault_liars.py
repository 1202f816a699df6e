# SPDX-License-Identifier: Apache-2.0
"""Strategies that say they are worth what they are not, or take more than they pay: what they can cost."""

from __future__ import annotations

import pytest

from tests.bench_support import account, refused, wait
from tests.treasury.contracts.support import DELAY, DOLLAR, KEEP, NONE, WEEK, Options, Scene

SAVER, OTHER = account("saver"), account("other")
WHOLE = 10_000


@pytest.fixture(scope="module")
def _scene():
    scene = Scene(Options(fee_bps=0))
    wait(scene.bench, WEEK - scene.bench.timestamp % WEEK)  # a week begins
    scene.feed.say(scene.feed.answer())
    for role in ("saver", "other"):
        scene.deposit(role, 500 * DOLLAR)
    scene.rebalance(KEEP, 5_000)
    return scene


@pytest.fixture
def scene(_scene):
    with _scene.bench.undone():
        yield _scene


def lie(scene, times=1_000):
    """The pool says it has earned what it has not."""
    scene.pool.earn(scene.pool.totalAssets() * (times - 1))


def counted(scene):
    return scene.vault.values()[2][1]


def nearly(amount, expected):
    assert abs(amount - expected) <= expected // 10**6 + 2


def test_a_lie_counts_for_a_tenth_at_once_and_locks_as_any_gain(scene):
    lie(scene)
    nearly(counted(scene), 550 * DOLLAR)
    nearly(scene.vault.totalAssets(), 1_000 * DOLLAR)
    scene.vault.settle()
    lie(scene)
    scene.vault.settle()
    nearly(counted(scene), 550 * DOLLAR)


def test_a_lie_grows_by_a_tenth_a_week_however_often_books_are_kept(scene):
    lie(scene)
    for week in range(1, 4):
        for _ in range(14):
            scene.vault.settle()
            wait(scene.bench, WEEK // 14)
        assert counted(scene) <= 500 * DOLLAR * 11 ** (week + 1) // 10 ** (week + 1) + 2


def test_weeks_without_books_are_weeks_all_the_same(scene):
    wait(scene.bench, 3 * WEEK)
    lie(scene)
    nearly(counted(scene), 700 * DOLLAR)  # a tenth of what it was then, for each week begun
    scene.vault.settle()
    nearly(counted(scene), 715 * DOLLAR)


def test_who_leaves_on_a_lie_takes_at_most_a_tenth_of_the_slot(scene):
    """What a liar's accomplice can take from the honest half within a week and a day."""
    vault = scene.vault
    lie(scene)
    vault.settle()
    wait(scene.bench, WEEK - 1)
    paid = vault.redeem(vault.maxRedeem(SAVER), SAVER, SAVER, sender=SAVER)
    assert paid <= 500 * DOLLAR + 50 * DOLLAR // 2 + 2


def test_while_a_strategy_says_more_than_is_believed_nobody_comes_in(scene):
    vault = scene.vault
    lie(scene)
    assert vault.maxDeposit(SAVER) == vault.maxMint(SAVER) == 0
    with refused("not all that it says is believed"):
        scene.deposit("saver", DOLLAR)
    with refused("not all that it says is believed"):
        vault.mint(10**12, SAVER, sender=SAVER)
    vault.redeem(vault.balanceOf(SAVER) // 2, SAVER, SAVER, sender=SAVER)  # out, all the same
    vault.redeem_in_kind(vault.balanceOf(SAVER), SAVER, SAVER, 0, NONE, sender=SAVER)


def test_an_honest_gain_beyond_a_tenth_counts_in_the_weeks_after(scene):
    vault = scene.vault
    scene.earn(100 * DOLLAR)
    nearly(counted(scene), 550 * DOLLAR)
    vault.settle()
    wait(scene.bench, WEEK)
    vault.settle()
    nearly(counted(scene), 600 * DOLLAR)
    assert vault.maxDeposit(SAVER) > 0


def test_a_dip_as_a_week_begins_holds_back_no_recovery(scene):
    """Whoever keeps the books first in a week chooses the moment."""
    vault = scene.vault
    wait(scene.bench, WEEK)
    scene.pool.lose(150 * DOLLAR)
    vault.settle()
    nearly(counted(scene), 350 * DOLLAR)
    scene.earn(150 * DOLLAR)
    nearly(counted(scene), 500 * DOLLAR)
    assert vault.maxDeposit(SAVER) > 0
    scene.earn(100 * DOLLAR)
    nearly(counted(scene), 550 * DOLLAR)


def test_a_purchase_counts_from_what_was_paid(scene):
    """A strategy says it is worth a lot the moment it is bought."""
    liar = scene.mock("Pool", scene.asset)
    vault = scene.create(listed=[scene.pool_strategy(token=liar.address)])
    scene.asset.mint(SAVER, 1_000 * DOLLAR)
    scene.asset.approve(vault, 1_000 * DOLLAR, sender=SAVER)
    vault.deposit(1_000 * DOLLAR, SAVER, sender=SAVER)
    targets = [5_000, *[KEEP] * 7]
    vault.rebalance(targets, [0] * 8, 2**63, sender=scene.allocator)
    liar.earn(10**6 * DOLLAR)
    nearly(vault.values()[2][0], 550 * DOLLAR)


def test_a_slot_that_was_emptied_and_filled_again_counts_from_the_new_price(scene):
    scene.rebalance(KEEP, 0)
    scene.asset.mint(OTHER, 10 * DOLLAR)
    scene.asset.approve(scene.pool, 10 * DOLLAR, sender=OTHER)
    scene.pool.deposit(10 * DOLLAR, OTHER, sender=OTHER)
    scene.earn(990 * DOLLAR)  # a share is worth a hundred times as much
    scene.rebalance(KEEP, 5_000)
    nearly(counted(scene), 500 * DOLLAR)
    assert scene.vault.maxDeposit(SAVER) > 0


# ---------------------------------------------------------------- marked down


def test_only_the_guardian_marks_down_and_only_shares(scene):
    vault = scene.vault
    for sender in (scene.manager, scene.allocator, account("thief")):
        with refused("only the guardian"):
            vault.mark_down(1, 5_000, sender=sender)
    with refused("up"):
        vault.mark_down(1, 10_001, sender=scene.guardian)
    for slot in (0, 2):
        with refused("no shares to mark"):
            vault.mark_down(slot, 5_000, sender=scene.guardian)


def test_what_is_marked_down_counts_for_less_and_lets_nobody_in(scene):
    vault = scene.vault
    vault.mark_down(1, 8_000, sender=scene.guardian)
    nearly(counted(scene), 400 * DOLLAR)
    nearly(vault.totalAssets(), 900 * DOLLAR)
    assert vault.events("MarkedDown") == [{"slot": 1, "bps": 8_000}]
    assert vault.maxDeposit(SAVER) == 0
    with scene.bench.undone():
        amounts = vault.redeem_in_kind(vault.balanceOf(SAVER), SAVER, SAVER, 0, NONE, sender=SAVER)
        nearly(scene.pool.convertToAssets(amounts[2]), 250 * DOLLAR)  # a guardian who turned takes none of it
    wait(scene.bench, WEEK)
    vault.settle()
    nearly(counted(scene), 440 * DOLLAR)


def test_a_liar_that_was_marked_down_can_be_sold(scene):
    """It says a thousand times what it pays: sold at what it says, the slippage would refuse."""
    vault = scene.vault
    lie(scene, times=2)
    scene.asset.mint(scene.pool, 10**6)
    scene.pool.cut(5_000)
    with refused("slippage"):
        scene.rebalance(KEEP, 0)
    vault.mark_down(1, 8_900, sender=scene.guardian)
    scene.rebalance(KEEP, 0)
    assert vault.held(1) == 0
    assert vault.maxDeposit(SAVER) > 0


def test_listed_again_in_public_shares_are_believed(scene):
    vault = scene.vault
    vault.mark_down(1, 5_000, sender=scene.guardian)
    again = (1, scene.pool_strategy())
    vault.set_strategy(*again, sender=scene.manager)
    wait(scene.bench, DELAY)
    with scene.bench.undone():
        scene.pool.earn(2**113)
        with refused("no valid price"):
            vault.set_strategy(*again, sender=scene.manager)
    vault.set_strategy(*again, sender=scene.manager)
    nearly(counted(scene), 500 * DOLLAR)
    assert vault.maxDeposit(SAVER) > 0


# ---------------------------------------------------------------- withdrawals from slots


@pytest.fixture
def two(scene):
    """A vault with all its money in two pools, the first of which may cheat."""
    liar, honest = scene.mock("Pool", scene.asset), scene.mock("Pool", scene.asset)
    listed = [scene.pool_strategy(token=each.address) for each in (liar, honest)]
    vault = scene.create(listed=listed)
    scene.asset.mint(SAVER, 1_000 * DOLLAR)
    scene.asset.approve(vault, 1_000 * DOLLAR, sender=SAVER)
    vault.deposit(1_000 * DOLLAR, SAVER, sender=SAVER)
    vault.rebalance([5_000, 5_000, *[KEEP] * 6], [0] * 8, 2**63, sender=scene.allocator)
    return vault, liar


@pytest.mark.parametrize("manners", [1, 2, 3, 4])
def test_a_strategy_that_fails_or_cheats_at_withdrawals_stops_none(scene, two, manners):
    vault, liar = two
    liar.cheat(manners)
    held = vault.held(0)
    with scene.bench.undone():
        assert vault.withdraw(400 * DOLLAR, SAVER, SAVER, sender=SAVER) > 0  # the other pays
        assert vault.held(0) == held
    if manners != 2:  # all of it is what all shares are worth
        with refused("not liquid: redeem in kind"):
            vault.withdraw(600 * DOLLAR, SAVER, SAVER, sender=SAVER)
    liar.cheat(0)
    vault.withdraw(600 * DOLLAR, SAVER, SAVER, sender=SAVER)


def test_only_the_vault_itself_takes_from_its_slots(scene, two):
    vault, _ = two
    for sender in (scene.allocator, scene.manager, SAVER):
        with refused("only itself"):
            vault.pull(0, DOLLAR, sender=sender)
