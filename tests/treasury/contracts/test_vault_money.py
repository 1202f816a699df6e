# SPDX-License-Identifier: Apache-2.0
"""Coming, going, gains, losses and fees: what a holder would notice."""

from __future__ import annotations

import pytest

from koinon.errors import TransactionFailed
from tests.bench_support import account, refused, wait
from tests.treasury.contracts.support import (
    DAY,
    DOLLAR,
    ETHER,
    NONE,
    WEEK,
    Options,
    Scene,
)


@pytest.fixture(scope="module")
def _scene():
    return Scene()


@pytest.fixture
def scene(_scene):
    with _scene.bench.undone():
        yield _scene


SAVER, OTHER = account("saver"), account("other")


# ---------------------------------------------------------------- ERC-4626


def test_it_says_what_it_is(scene):
    vault = scene.vault
    assert (vault.name(), vault.symbol(), vault.decimals()) == ("Test vault", "TV", 12)
    assert vault.asset() == scene.asset.address
    assert vault.totalAssets() == vault.totalSupply() == 0


def test_previews_are_what_happens(scene):
    vault = scene.vault
    scene.deposit("other", 777 * DOLLAR)
    scene.asset.mint(vault, 13)  # a price that is no round number
    scene.wait(DAY)
    scene.asset.mint(SAVER, 10**9)
    scene.asset.approve(vault, 2**256 - 1, sender=SAVER)
    expected = vault.previewDeposit(1_234_567)
    assert vault.deposit(1_234_567, SAVER, sender=SAVER) == expected
    expected = vault.previewMint(10**12 + 7)
    assert vault.mint(10**12 + 7, SAVER, sender=SAVER) == expected
    expected = vault.previewWithdraw(999)
    assert vault.withdraw(999, SAVER, SAVER, sender=SAVER) == expected
    expected = vault.previewRedeem(10**9 + 1)
    assert vault.redeem(10**9 + 1, SAVER, SAVER, sender=SAVER) == expected


def test_the_most_is_what_can_be_done(scene):
    vault = scene.vault
    scene.deposit("saver", 10_000 * DOLLAR)
    scene.deposit("other", 3)
    scene.rebalance(6_000, 2_000)
    scene.pool.freeze(True)
    most = vault.maxWithdraw(SAVER)
    assert most == scene.asset.balanceOf(vault) < 2_100 * DOLLAR
    with scene.bench.undone():
        vault.withdraw(most, SAVER, SAVER, sender=SAVER)
    with scene.bench.undone():
        vault.redeem(vault.maxRedeem(SAVER), SAVER, SAVER, sender=SAVER)
    with refused("not liquid: redeem in kind"):
        vault.withdraw(most + 1, SAVER, SAVER, sender=SAVER)
    scene.pool.freeze(False)
    vault.withdraw(most + 1, SAVER, SAVER, sender=SAVER)  # the rest from the pool
    assert vault.maxWithdraw(OTHER) == 2  # 3 units less the slippage of the purchase, rounded down
    vault.redeem(vault.maxRedeem(OTHER), OTHER, OTHER, sender=OTHER)


def test_where_cash_is_short_all_of_it_can_be_redeemed_for():
    """The spread stays: a hundred that are idle pay for more shares than are worth a hundred."""
    scene = Scene(Options(spread_bps=100, fee_bps=0))
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(0, 9_000)
    scene.pool.freeze(True)
    assert vault.maxWithdraw(SAVER) == 100 * DOLLAR
    most = vault.maxRedeem(SAVER)
    assert vault.redeem(most, SAVER, SAVER, sender=SAVER) in range(100 * DOLLAR - 2, 100 * DOLLAR + 1)


def test_nothing_is_issued_or_taken_for_nothing(scene):
    vault = scene.vault
    scene.asset.mint(vault, 10**13)
    scene.wait(2 * WEEK)
    vault.settle()
    scene.wait(2 * WEEK)
    scene.asset.mint(SAVER, 100)
    scene.asset.approve(vault, 100, sender=SAVER)
    with refused("too little"):
        vault.deposit(1, SAVER, sender=SAVER)
    with refused("too little"):
        vault.mint(0, SAVER, sender=SAVER)
    with refused("shares missing"):
        vault.redeem(0, SAVER, SAVER, sender=SAVER)
    with refused("shares missing"):
        vault.withdraw(0, SAVER, SAVER, sender=SAVER)
    with refused("shares missing"):
        vault.redeem_in_kind(0, SAVER, SAVER, 0, NONE, sender=SAVER)


def test_what_would_overflow_is_refused(scene):
    vault = scene.vault
    most = vault.maxDeposit(SAVER)
    assert most == 2**112 - 1
    assert vault.maxMint(SAVER) == most * 10**6
    scene.asset.mint(SAVER, most + 1)
    scene.asset.approve(vault, most + 1, sender=SAVER)
    with refused("too much"):
        vault.deposit(most + 1, SAVER, sender=SAVER)
    vault.deposit(most, SAVER, sender=SAVER)
    assert vault.maxDeposit(SAVER) == 0
    assert vault.redeem(most * 10**6, SAVER, SAVER, sender=SAVER) == most


def test_shares_are_taken_only_with_leave(scene):
    vault = scene.vault
    shares = scene.deposit("saver", 100 * DOLLAR)
    thief = account("thief")
    for call in (
        lambda: vault.redeem(shares, thief, SAVER, sender=thief),
        lambda: vault.withdraw(DOLLAR, thief, SAVER, sender=thief),
        lambda: vault.redeem_in_kind(shares, thief, SAVER, 0, NONE, sender=thief),
    ):
        with refused("erc20: insufficient allowance"):
            call()
    vault.approve(OTHER, shares, sender=SAVER)
    vault.redeem(shares // 2, OTHER, SAVER, sender=OTHER)
    vault.redeem_in_kind(shares // 2, OTHER, SAVER, 0, NONE, sender=OTHER)
    assert scene.asset.balanceOf(OTHER) in (100 * DOLLAR - 1, 100 * DOLLAR)


def test_more_than_one_has_is_refused(scene):
    shares = scene.deposit("saver", 100 * DOLLAR)
    with refused("erc20: burn amount exceeds balance"):
        scene.vault.redeem(shares + 1, SAVER, SAVER, sender=SAVER)


def test_whoever_mints_pays_at_least_what_was_allowed_for(scene):
    with pytest.raises(TransactionFailed):
        scene.vault.deposit(DOLLAR, SAVER, sender=SAVER)
    assert scene.vault.totalSupply() == 0


# ---------------------------------------------------------------- first depositors and donations


@pytest.mark.parametrize("donation", [1, 10**6, 10**10, 10**14])
@pytest.mark.parametrize("first", [1, 2, 10**6])
def test_inflating_the_first_share_costs_the_attacker_more_than_the_victim(scene, first, donation):
    vault, attacker = scene.vault, account("attacker")
    scene.deposit("attacker", first)
    scene.asset.mint(vault, donation)
    scene.wait(2 * WEEK)
    vault.settle()
    scene.wait(2 * WEEK)  # all of it is unlocked
    deposited = 1_000 * DOLLAR
    scene.asset.mint(SAVER, deposited)
    scene.asset.approve(vault, deposited, sender=SAVER)
    if vault.previewDeposit(deposited) == 0:
        return  # refused, not swallowed
    shares = vault.deposit(deposited, SAVER, sender=SAVER)
    lost = deposited - vault.redeem(shares, SAVER, SAVER, sender=SAVER)
    gained = vault.redeem(vault.balanceOf(attacker), attacker, attacker, sender=attacker) - first - donation
    assert gained <= 0
    assert lost <= max(1, donation // 10**6 + 1)


def test_a_donation_to_an_empty_vault_does_not_stop_the_first_depositor(scene):
    scene.asset.mint(scene.vault, 5 * DOLLAR)
    shares = scene.deposit("saver", 1_000 * DOLLAR)
    assert scene.vault.previewRedeem(shares) >= 1_000 * DOLLAR - 1


def test_tokens_sent_to_a_slot_change_nothing(scene):
    scene.deposit("saver", 10_000 * DOLLAR)
    scene.rebalance(3_000, 3_000)
    before = scene.vault.values(), scene.vault.totalAssets()
    scene.token.mint(scene.vault, ETHER)
    scene.asset.mint(SAVER, DOLLAR)
    scene.asset.approve(scene.pool, DOLLAR, sender=SAVER)
    scene.pool.deposit(DOLLAR, scene.vault, sender=SAVER)
    assert (scene.vault.values(), scene.vault.totalAssets()) == before


def test_a_single_unit_comes_and_goes(scene):
    shares = scene.deposit("saver", 1)
    assert shares == 10**6
    assert scene.vault.redeem(shares, SAVER, SAVER, sender=SAVER) == 1


# ---------------------------------------------------------------- gains and losses


def test_gains_unlock_evenly_and_are_shared_by_who_is_there_then(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(vault, 70 * DOLLAR)
    assert vault.totalAssets() == 1_000 * DOLLAR
    vault.settle()
    begun = scene.bench.timestamp
    for day in range(1, 8):
        wait(scene.bench, begun + day * DAY - scene.bench.timestamp)
        unlocked = vault.totalAssets() - 1_000 * DOLLAR
        assert 0 <= day * 10 * DOLLAR - unlocked <= 1
    wait(scene.bench, DAY)
    assert vault.totalAssets() == 1_070 * DOLLAR


def test_a_small_gain_does_not_hold_back_what_is_nearly_unlocked(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(vault, 70 * DOLLAR)
    vault.settle()
    wait(scene.bench, 6 * DAY)
    for _ in range(5):
        scene.asset.mint(vault, 1)
        vault.settle()
    wait(scene.bench, DAY + 1)
    assert vault.totalAssets() >= 1_070 * DOLLAR


def test_losses_count_at_once_against_locked_gains_first(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(0, 9_000)
    scene.earn(50 * DOLLAR)
    vault.settle()
    scene.pool.lose(30 * DOLLAR)
    assert vault.totalAssets() >= 1_000 * DOLLAR - 2
    vault.settle()
    scene.pool.lose(120 * DOLLAR)
    assert abs(vault.totalAssets() - 900 * DOLLAR) <= 2
    assert vault.values()[3] == 0


def test_nobody_escapes_a_loss_that_was_not_settled(scene):
    vault = scene.vault
    shares = scene.deposit("saver", 1_000 * DOLLAR)
    scene.deposit("other", 1_000 * DOLLAR)
    scene.rebalance(0, 5_000)
    scene.pool.lose(200 * DOLLAR)
    assert abs(vault.redeem(shares, SAVER, SAVER, sender=SAVER) - 900 * DOLLAR) <= 1


def test_the_fee_is_a_part_of_gains_above_the_highest_price_only(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(0, 9_000)
    scene.earn(80 * DOLLAR)
    vault.settle()
    assert vault.balanceOf(scene.till) == 0  # locked gains are nobody's yet
    wait(scene.bench, WEEK)
    vault.settle()
    fee = vault.convertToAssets(vault.balanceOf(scene.till))
    assert abs(fee - 8 * DOLLAR) <= 2
    scene.pool.lose(50 * DOLLAR)
    vault.settle()
    scene.earn(50 * DOLLAR)
    vault.settle()
    wait(scene.bench, WEEK)
    shares = vault.balanceOf(scene.till)
    vault.settle()
    assert vault.balanceOf(scene.till) - shares <= 10**6 * 2  # what it recovers was charged for before
    till = scene.till
    assert abs(vault.redeem(vault.balanceOf(till), till, till, sender=till) - 8 * DOLLAR) <= 3


def test_without_a_fee_nothing_is_issued():
    scene = Scene(Options(fee_bps=0, unlock_s=0))
    shares = scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(scene.vault, 100 * DOLLAR)
    assert scene.vault.totalAssets() == 1_100 * DOLLAR  # and without unlocking it counts at once
    scene.vault.settle()
    assert scene.vault.totalSupply() == shares


def test_whoever_leaves_pays_the_spread_to_those_who_stay():
    scene = Scene(Options(spread_bps=50, fee_bps=0, unlock_s=0))
    vault = scene.vault
    shares = scene.deposit("saver", 1_000 * DOLLAR)
    scene.deposit("other", 1_000 * DOLLAR)
    assert vault.previewRedeem(shares) == vault.maxWithdraw(SAVER) == 995 * DOLLAR
    assert vault.previewWithdraw(995 * DOLLAR) == shares
    with scene.bench.undone():
        assert vault.redeem_in_kind(shares, SAVER, SAVER, 0, NONE, sender=SAVER)[0] == 995 * DOLLAR - 1
    assert vault.withdraw(995 * DOLLAR, SAVER, SAVER, sender=SAVER) == shares
    assert abs(vault.convertToAssets(vault.balanceOf(OTHER)) - 1_005 * DOLLAR) <= 5
