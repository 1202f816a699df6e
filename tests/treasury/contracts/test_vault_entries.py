# SPDX-License-Identifier: Apache-2.0
"""What who comes pays: also for gains that are still locked, and for none of the fee on them."""

from __future__ import annotations

import pytest

from tests.bench_support import account, wait
from tests.treasury.contracts.support import DOLLAR, WEEK, Options, Scene


@pytest.fixture(scope="module")
def _scene():
    return Scene()


@pytest.fixture
def scene(_scene):
    with _scene.bench.undone():
        yield _scene


SAVER, OTHER = account("saver"), account("other")


def worth(scene, holder):
    return scene.vault.convertToAssets(scene.vault.balanceOf(holder))


def test_who_comes_after_a_dip_takes_none_of_the_recovery(scene):
    """The dip counted at once, the recovery is locked: at the net price a newcomer takes half of it."""
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(0, 9_000)
    scene.pool.lose(80 * DOLLAR)
    vault.settle()
    scene.earn(80 * DOLLAR)
    vault.settle()
    assert vault.values()[3] in range(80 * DOLLAR - 2, 80 * DOLLAR + 1)  # all of it is locked
    scene.deposit("other", 1_000 * DOLLAR)
    wait(scene.bench, WEEK)
    assert worth(scene, OTHER) in range(1_000 * DOLLAR - 3, 1_000 * DOLLAR + 1)
    assert worth(scene, SAVER) >= 1_000 * DOLLAR - 3


def test_who_comes_pays_no_fee_on_what_was_gained_before(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(vault, 70 * DOLLAR)
    scene.deposit("other", 5_000 * DOLLAR)
    wait(scene.bench, WEEK)
    vault.settle()
    assert worth(scene, OTHER) in range(5_000 * DOLLAR - 3, 5_000 * DOLLAR + 3)
    assert worth(scene, scene.till) in range(7 * DOLLAR - 3, 7 * DOLLAR + 3)
    assert worth(scene, SAVER) in range(1_063 * DOLLAR - 3, 1_063 * DOLLAR + 3)


def test_a_fee_is_due_on_what_a_newcomer_gains_after_coming(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(vault, 70 * DOLLAR)
    scene.deposit("other", 1_000 * DOLLAR)
    wait(scene.bench, WEEK)
    vault.settle()
    scene.asset.mint(vault, 100 * DOLLAR)
    vault.settle()
    wait(scene.bench, WEEK)
    vault.settle()
    assert worth(scene, scene.till) in range(17 * DOLLAR, 18 * DOLLAR)  # its first shares earned, too


def test_who_comes_and_leaves_at_once_leaves_its_part_of_what_is_locked(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(vault, 100 * DOLLAR)
    shares = scene.deposit("other", 1_000 * DOLLAR)
    paid = vault.redeem(shares, OTHER, OTHER, sender=OTHER)
    assert 940 * DOLLAR < paid < 960 * DOLLAR
    wait(scene.bench, WEEK)
    assert worth(scene, SAVER) >= 1_100 * DOLLAR  # before the fee on it


def test_shares_cost_the_same_by_either_way_in(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(vault, 100 * DOLLAR)
    shares = vault.previewDeposit(1_000 * DOLLAR)
    assert shares < vault.convertToShares(1_000 * DOLLAR)
    assert vault.previewMint(shares) <= 1_000 * DOLLAR < vault.previewMint(shares + 10**6)
    most = vault.maxMint(OTHER)
    assert vault.previewMint(most) <= vault.maxDeposit(OTHER)
    assert vault.previewMint(most + 10**7) > vault.maxDeposit(OTHER)


@pytest.mark.parametrize("gain", [0, 3, 10 * DOLLAR, 10**6 * DOLLAR])
def test_a_deposit_changes_the_price_for_nobody_who_comes_after_it(scene, gain):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(vault, gain)
    vault.settle()
    before = vault.previewDeposit(10**9)
    scene.deposit("other", 77_777 * DOLLAR)
    assert abs(vault.previewDeposit(10**9) - before) <= before // 10**8 + 1


def test_who_has_shares_cannot_unlock_a_gain_by_coming_again(scene):
    """A large deposit makes what is locked a small part of the whole: its own shares pay for that."""
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.deposit("attacker", 1_000 * DOLLAR)
    scene.asset.mint(vault, 200 * DOLLAR)
    attacker = account("attacker")
    alone = worth(scene, attacker)
    scene.deposit("attacker", 10**6 * DOLLAR)
    paid = vault.redeem(vault.balanceOf(attacker), attacker, attacker, sender=attacker)
    assert paid - 10**6 * DOLLAR <= alone


def test_a_holder_that_settles_every_second_pays_the_fee_all_the_same():
    """A gain too small for a fee waits for more: else rounding would take the fee, a settlement at a time."""
    scene = Scene(Options(fee_bps=1_000, unlock_s=0))
    vault = scene.vault
    scene.deposit("saver", 10**6)
    for _ in range(3_000):
        scene.asset.mint(vault, 9)
        vault.settle()
    assert worth(scene, scene.till) in range(1_690, 2_701)
    before = vault.high_water()
    scene.asset.mint(vault, 9)
    vault.settle()
    assert vault.high_water() == before
