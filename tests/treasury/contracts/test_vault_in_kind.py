# SPDX-License-Identifier: Apache-2.0
"""Leaving in kind: one's part of everything, whatever feeds, slots and tokens do."""

from __future__ import annotations

import pytest

from koinon.errors import TransactionFailed
from tests.bench_support import account, refused, wait
from tests.treasury.contracts.support import DOLLAR, ETHER, NONE, WEEK, Options, Scene


@pytest.fixture(scope="module")
def _scene():
    return Scene()


@pytest.fixture
def scene(_scene):
    with _scene.bench.undone():
        yield _scene


SAVER, OTHER = account("saver"), account("other")


@pytest.fixture
def halves(scene):
    """Two holders with as much each; a fifth idle, two fifths in each slot."""
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.deposit("other", 1_000 * DOLLAR)
    scene.rebalance(4_000, 4_000)
    return scene


def take(scene, holder, skipped=0, least=()):
    vault = scene.vault
    return vault.redeem_in_kind(
        vault.balanceOf(holder), holder, holder, skipped, [*least, *NONE][:9], sender=holder
    )


def nearly(amount, expected):
    assert abs(amount - expected) <= expected // 10**6 + 2


@pytest.mark.parametrize("settled", [False, True])
def test_a_price_that_lies_takes_nothing_from_who_skips_its_slot(halves, settled):
    """All of the lie is locked as a gain: it must not shrink the part of what is honest."""
    scene = halves
    scene.feed.say(200_000 * 10**8)
    if settled:
        scene.vault.settle()
    amounts = take(scene, SAVER, skipped=0b1)
    assert amounts[1] == 0
    nearly(amounts[0], 200 * DOLLAR)
    nearly(scene.pool.convertToAssets(amounts[2]), 400 * DOLLAR)


def test_a_price_that_lied_and_then_is_silent_takes_nothing_either(halves):
    scene = halves
    scene.feed.say(200_000 * 10**8)
    scene.vault.settle()
    scene.feed.misbehave(1)
    amounts = take(scene, SAVER, skipped=0b1)
    nearly(amounts[0], 200 * DOLLAR)
    nearly(scene.pool.convertToAssets(amounts[2]), 400 * DOLLAR)


def test_without_prices_for_what_is_taken_locked_gains_stay_as_the_last_books_say(halves):
    scene = halves
    scene.asset.mint(scene.vault, 400 * DOLLAR)
    scene.vault.settle()
    scene.feed.misbehave(1)
    with scene.bench.undone():
        share = take(scene, SAVER)[0]
    assert share < 520 * DOLLAR  # half of 800 that are idle, less what is locked of it
    assert take(scene, SAVER, skipped=0b10)[0] == share


def test_what_is_skipped_is_no_gain_that_unlocks_later():
    """It was there before: those who stay have it at once."""
    scene = Scene(Options(fee_bps=0))
    for role in ("saver", "other"):
        scene.deposit(role, 1_000 * DOLLAR)
    scene.rebalance(4_000, 4_000)
    before = scene.vault.convertToAssets(scene.vault.balanceOf(OTHER))
    take(scene, SAVER, skipped=0b10)
    scene.vault.settle()
    assert scene.vault.values()[3] <= 2
    nearly(scene.vault.convertToAssets(scene.vault.balanceOf(OTHER)), before + 400 * DOLLAR)


def test_skipping_takes_no_locked_gain_beyond_what_it_leaves(halves):
    scene = halves
    scene.asset.mint(scene.vault, 300 * DOLLAR)
    scene.vault.settle()
    skipped = 0b1
    left_behind = scene.vault.values()[2][0] // 2
    with scene.bench.undone():
        whole = take(scene, SAVER)
        all_of_it = whole[0] + scene.pool.convertToAssets(whole[2]) + whole[1] * 2_000 * DOLLAR // ETHER
    amounts = take(scene, SAVER, skipped=skipped)
    assert amounts[0] + scene.pool.convertToAssets(amounts[2]) <= all_of_it
    assert left_behind > 0


def test_the_least_of_each_slot_holds(halves):
    scene = halves
    with scene.bench.undone():
        amounts = take(scene, SAVER)
    for number in range(3):
        least = [0] * 3
        least[number] = amounts[number] + 1
        with refused("less than the least"):
            take(scene, SAVER, least=least)
    with refused("less than the least"):  # what is skipped brings nothing
        take(scene, SAVER, skipped=0b1, least=[0, 1])
    assert take(scene, SAVER, least=amounts) == amounts


def test_who_has_all_shares_takes_what_is_locked_less_the_fee_on_it(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.asset.mint(vault, 100 * DOLLAR)
    with scene.bench.undone():
        nearly(take(scene, SAVER)[0], 1_090 * DOLLAR)
    scene.deposit("other", DOLLAR)
    assert take(scene, SAVER)[0] < 1_001 * DOLLAR


def test_what_a_slot_lost_is_missed_in_kind_too(halves):
    scene = halves
    held = scene.vault.held(0)
    scene.token.seize(scene.vault, held // 2)
    nearly(take(scene, SAVER)[1], held // 4)


def test_the_event_says_who_asked_for_it(scene):
    vault = scene.vault
    shares = scene.deposit("saver", 100 * DOLLAR)
    vault.approve(OTHER, shares, sender=SAVER)
    vault.redeem_in_kind(shares, account("third"), SAVER, 0, NONE, sender=OTHER)
    [event] = vault.events("WithdrawnInKind")
    assert (event["sender"], event["receiver"], event["owner"]) == (OTHER, account("third"), SAVER)


def test_a_locked_gain_left_in_kind_is_theirs_who_stay():
    scene = Scene(Options(fee_bps=0))
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.deposit("other", 1_000 * DOLLAR)
    scene.asset.mint(scene.vault, 200 * DOLLAR)
    take(scene, SAVER)
    wait(scene.bench, WEEK)
    nearly(scene.vault.convertToAssets(scene.vault.balanceOf(OTHER)), 1_200 * DOLLAR)


def test_in_kind_leaves_locked_gains_behind(scene):
    vault = scene.vault
    shares = scene.deposit("saver", 1_000 * DOLLAR)
    scene.deposit("other", 1_000 * DOLLAR)
    scene.asset.mint(vault, 200 * DOLLAR)
    amounts = vault.redeem_in_kind(shares, SAVER, SAVER, 0, NONE, sender=SAVER)
    assert amounts[0] in range(1_000 * DOLLAR - 2, 1_000 * DOLLAR + 1)


@pytest.mark.parametrize("manners", [1, 2, 3, 4])
def test_in_kind_needs_no_price(scene, manners):
    vault = scene.vault
    shares = scene.deposit("saver", 1_000 * DOLLAR)
    scene.deposit("other", 1_000 * DOLLAR)
    scene.rebalance(4_000, 4_000)
    scene.asset.mint(vault, 200 * DOLLAR)  # not settled any more: without a price the last books count
    scene.feed.misbehave(manners)
    assert vault.maxWithdraw(SAVER) == vault.maxRedeem(SAVER) == 0
    assert vault.maxDeposit(SAVER) == vault.maxMint(SAVER) == 0
    with refused("no valid price: redeem in kind"):
        vault.redeem(shares, SAVER, SAVER, sender=SAVER)
    with refused("no valid price"):
        scene.deposit("other", DOLLAR)
    assert not vault.settle()
    amounts = vault.redeem_in_kind(shares, SAVER, SAVER, 0, NONE, sender=SAVER)
    assert amounts[1] > 0
    assert amounts[2] > 0


def test_what_cannot_be_moved_is_left_behind(scene):
    vault = scene.vault
    shares = scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(4_000, 4_000)
    scene.token.misbehave(True, False)
    with pytest.raises(TransactionFailed):
        vault.redeem_in_kind(shares, SAVER, SAVER, 0, NONE, sender=SAVER)
    scene.token.misbehave(False, True)
    with refused("token does not answer: skip it"):
        vault.redeem_in_kind(shares, SAVER, SAVER, 0, NONE, sender=SAVER)
    amounts = vault.redeem_in_kind(shares, SAVER, SAVER, 0b1, NONE, sender=SAVER)
    assert amounts[1] == 0
    assert amounts[0] > 0
    assert amounts[2] > 0
    scene.token.misbehave(False, False)
    assert vault.held(0) > 0


def test_too_little_gas_is_no_missing_price(scene):
    """Else whoever redeems in kind could choose the last books over the present price."""
    vault = scene.vault
    shares = scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(4_000)
    redeem = vault.encode("redeem_in_kind", shares, SAVER, SAVER, 0, NONE)
    with pytest.raises(RuntimeError, match=b"too little gas".hex()):
        scene.bench.evm.message_call(SAVER, vault.address, redeem, None, 500_000)


def test_in_kind_everything_is_handed_out_in_proportion(scene):
    vault = scene.vault
    shares = scene.deposit("saver", 7_500 * DOLLAR)
    scene.deposit("other", 2_500 * DOLLAR)
    scene.rebalance(4_000, 4_000)
    before = scene.asset.balanceOf(vault), vault.held(0), vault.held(1)
    price = vault.convertToAssets(10**15)
    amounts = vault.redeem_in_kind(shares, SAVER, SAVER, 0, NONE, sender=SAVER)
    for amount, held in zip(amounts, before, strict=False):
        assert held * 3 // 4 - amount in range(held // 10**9 + 2)
    assert scene.token.balanceOf(SAVER) == amounts[1]
    assert scene.pool.balanceOf(SAVER) == amounts[2]
    assert price <= vault.convertToAssets(10**15) <= price + 2
