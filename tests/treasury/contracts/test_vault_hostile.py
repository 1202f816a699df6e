# SPDX-License-Identifier: Apache-2.0
"""Whoever has a role, a pool, a token or a moment in between, and tries to take more than is theirs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koinon.errors import TransactionFailed
from tests.bench_support import NOBODY, account, refused, wait
from tests.treasury.contracts.support import (
    DAY,
    DOLLAR,
    ETHER,
    KEEP,
    LATE,
    NONE,
    WEEK,
    Options,
    Scene,
    eight,
)


@pytest.fixture(scope="module")
def shared():
    scene = Scene(Options(turnover_bps=6_000))
    scene.deposit("saver", 10_000 * DOLLAR)
    return scene


@pytest.fixture
def scene(shared):
    with shared.bench.undone():
        yield shared


SAVER = account("saver")


# ---------------------------------------------------------------- the allocator's bounds


def test_only_the_allocator_rebalances(scene):
    for sender in (scene.manager, scene.guardian, account("thief")):
        with refused("only the allocator"):
            scene.vault.rebalance(eight(KEEP, 1_000), eight(0), LATE, sender=sender)


def test_a_late_or_crooked_proposal_is_refused(scene):
    vault, allocator = scene.vault, scene.allocator
    with refused("too late"):
        vault.rebalance(eight(KEEP, 1_000), eight(0), scene.bench.timestamp - 1, sender=allocator)
    with refused("target out of bounds"):  # of an empty slot
        scene.rebalance(KEEP, KEEP, 1)
    with refused("target out of bounds"):
        scene.rebalance(8_001)
    with refused("nothing to move"):
        scene.rebalance(KEEP, 0)
    with refused("too little idle"):
        scene.rebalance(5_000, 5_001)


def test_bounds_hold_at_both_ends(scene):
    scene.vault.set_bounds(0, 1_000, 2_000, sender=scene.manager)
    for target in (999, 2_001):
        with refused("target out of bounds"):
            scene.rebalance(target)
    scene.rebalance(1_000)


def test_the_floor_of_what_is_idle_holds(scene):
    scene.vault.set_limits(scene.limits(turnover_bps=6_000, idle_bps=6_000), sender=scene.manager)
    with refused("too little idle"):
        scene.rebalance(4_001)
    scene.rebalance(4_000)


def test_turnover_is_bounded_an_epoch(scene):
    wait(scene.bench, DAY - scene.bench.timestamp % DAY)
    scene.feed.say(scene.feed.answer())
    with refused("too much turnover"):
        scene.rebalance(3_000, 3_001)
    scene.rebalance(3_000, 3_000)
    with refused("too much turnover"):
        scene.rebalance(2_990)
    scene.wait(DAY)
    scene.rebalance(2_000)


def test_no_price_no_rebalancing(scene):
    scene.rebalance(1_000)
    scene.feed.misbehave(1)
    with refused("no valid price"):
        scene.rebalance(2_000)
    with scene.bench.undone():  # nor into a slot without a price
        scene.feed.misbehave(0)
        scene.rebalance(0)
        scene.feed.misbehave(1)
        with refused("no valid price"):
            scene.rebalance(1_000)


def test_the_least_that_was_asked_for_holds_both_ways(scene):
    wanted = ETHER // 2  # a thousand dollars' worth
    with refused("less than the least"):
        scene.rebalance(1_000, least=(wanted,))
    scene.rebalance(1_000, least=(wanted * 99 // 100,))
    with refused("less than the least"):
        scene.rebalance(0, least=(1_000 * DOLLAR,))
    scene.rebalance(0, least=(980 * DOLLAR,))


def test_a_strategy_that_gives_less_than_it_says_is_not_traded_with(scene):
    scene.asset.mint(SAVER, 10**6 * DOLLAR)
    scene.asset.approve(scene.pool, 10**6 * DOLLAR, sender=SAVER)
    scene.pool.deposit(10**6 * DOLLAR, SAVER, sender=SAVER)
    scene.pool.cut(103)
    with refused("slippage"):
        scene.rebalance(0, 1_000)
    scene.pool.cut(0)
    scene.rebalance(0, 1_000)
    scene.pool.cut(101)
    with refused("slippage"):
        scene.rebalance(0, 0)


def test_a_drawdown_stops_allocation_and_nothing_else(scene):
    vault = scene.vault
    scene.rebalance(6_000)
    scene.wait(DAY)
    scene.price(1_300)
    held = vault.held(0)
    scene.rebalance(5_000)  # finds the drawdown: it moves nothing, and is not undone with what it found
    assert vault.tripped()
    assert vault.held(0) == held
    scene.price(2_000)  # it recovers: what tripped stays until the manager resumes in public
    with refused("allocation stopped"):
        scene.rebalance(5_000)
    scene.deposit("saver", DOLLAR)
    vault.withdraw(1_000 * DOLLAR, SAVER, SAVER, sender=SAVER)
    vault.redeem_in_kind(vault.balanceOf(SAVER), SAVER, SAVER, 0, NONE, sender=SAVER)


def test_after_resuming_drawdowns_count_from_the_new_price(scene):
    vault = scene.vault
    scene.rebalance(6_000)
    scene.price(1_300)
    vault.settle()
    vault.resume(sender=scene.manager)
    scene.wait(2 * DAY)
    vault.resume(sender=scene.manager)
    assert not vault.tripped()
    scene.wait(DAY)
    scene.rebalance(4_000)
    scene.price(300)
    vault.settle()
    assert vault.tripped()


# ---------------------------------------------------------------- sandwiches and pushed pools


@pytest.mark.parametrize("pushed_to", [1_960, 2_040])
def test_a_pushed_pool_is_not_traded_with(scene, pushed_to):
    """A sandwich moves the pair, not the feed: the slippage against the feed refuses the trade."""
    scene.rebalance(2_000)
    scene.pair_price(pushed_to)
    with refused("slippage"):
        scene.rebalance(1_000 if pushed_to < 2_000 else 3_000)


def test_a_sandwich_within_the_slippage_takes_no_more_than_it(scene):
    scene.pair_price(2_012)
    before = scene.vault.totalAssets()
    scene.rebalance(3_000)
    assert before - scene.vault.totalAssets() <= 3_000 * DOLLAR // 100 + 1


def test_who_comes_in_around_a_rebalance_gains_nothing(scene):
    vault, attacker = scene.vault, account("attacker")
    shares = scene.deposit("attacker", 10_000 * DOLLAR)
    scene.rebalance(2_000)
    assert vault.redeem(shares, attacker, attacker, sender=attacker) <= 10_000 * DOLLAR


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 8_000), st.integers(0, 9_000), st.integers(1_950, 2_050)), max_size=8
    )
)
def test_a_hostile_allocator_loses_at_most_turnover_times_slippage_an_epoch(shared, moves):
    """The allocator owns the pair's other side: it pushes it before each move, as far as the vault bears."""
    scene = shared
    with scene.bench.undone():
        vault = scene.vault
        wait(scene.bench, DAY - scene.bench.timestamp % DAY)  # one epoch
        scene.feed.say(scene.feed.answer())
        begun = vault.totalAssets()
        for token_bps, pool_bps, dollars in moves:
            scene.pair_price(dollars)
            try:
                scene.rebalance(token_bps, min(pool_bps, 10_000 - token_bps))
            except TransactionFailed:
                continue
        turnover = scene.vault.traded(scene.bench.timestamp // DAY)
        assert turnover <= 6 * 10**17
        lost = begun - vault.totalAssets()
        assert lost <= begun * turnover // 10**18 // 100 + 16  # slippage of 1 %, units for rounding


# ---------------------------------------------------------------- roles that turn


def test_nobody_with_a_role_can_move_money_to_themselves(scene):
    """All that is theirs to call, with themselves as receiver where there is one: refused without shares."""
    vault = scene.vault
    for thief in (scene.manager, scene.allocator, scene.guardian):
        for call in (
            lambda thief=thief: vault.withdraw(1, thief, SAVER, sender=thief),
            lambda thief=thief: vault.redeem(1, thief, SAVER, sender=thief),
            lambda thief=thief: vault.redeem_in_kind(1, thief, SAVER, 0, NONE, sender=thief),
            lambda thief=thief: vault.transferFrom(SAVER, thief, 1, sender=thief),
        ):
            with refused("erc20: insufficient allowance"):
                call()


def test_a_guardian_that_turned_blocks_no_withdrawal(scene):
    vault = scene.vault
    scene.rebalance(2_000, 2_000)
    vault.stop(sender=scene.guardian)
    vault.set_limits(scene.limits(turnover_bps=7_000), sender=scene.manager)
    vault.veto(scene.change_id("set_limits", scene.limits(turnover_bps=7_000)), sender=scene.guardian)
    vault.withdraw(5_000 * DOLLAR, SAVER, SAVER, sender=SAVER)
    vault.redeem_in_kind(vault.balanceOf(SAVER), SAVER, SAVER, 0, NONE, sender=SAVER)
    assert vault.totalSupply() == 0


def test_a_manager_that_turned_blocks_no_withdrawal(scene):
    vault = scene.vault
    scene.rebalance(2_000, 2_000)
    vault.set_allocator(NOBODY, sender=scene.manager)
    vault.set_bounds(0, 8_000, 8_000, sender=scene.manager)
    vault.set_limits((0, 0, 0, 2_000), sender=scene.manager)
    vault.hand_over(1, account("thief"), sender=scene.manager)
    vault.withdraw(5_000 * DOLLAR, SAVER, SAVER, sender=SAVER)
    vault.redeem_in_kind(vault.balanceOf(SAVER), SAVER, SAVER, 0, NONE, sender=SAVER)


# ---------------------------------------------------------------- re-entrancy


def calls_back(scene, question: bytes) -> None:
    """A listed token calls the vault in the middle of a rebalance."""
    scene.token.call_back(scene.vault.address, question)
    scene.rebalance(2_000)
    scene.token.call_back(NOBODY, b"")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("totalAssets", ()),
        ("convertToAssets", (10**18,)),
        ("previewRedeem", (10**18,)),
        ("maxWithdraw", (SAVER,)),
        ("values", ()),
        ("deposit", (1, SAVER)),
        ("redeem_in_kind", (1, SAVER, SAVER, 0, NONE)),
        ("settle", ()),
    ],
)
def test_in_the_middle_of_a_call_neither_price_nor_move_is_to_be_had(scene, name, arguments):
    calls_back(scene, scene.vault.encode(name, *arguments))
    assert scene.token.callback_failed()


def test_an_asset_with_a_hook_cannot_deposit_twice():
    scene = Scene(Options(listed=False))
    again = scene.vault.encode("deposit", 1, SAVER)
    scene.asset.call_back(scene.vault.address, again)
    scene.deposit("saver", 1_000 * DOLLAR)
    assert scene.asset.callback_failed()
    assert scene.vault.totalAssets() == 1_000 * DOLLAR


# ---------------------------------------------------------------- tokens that turn


def test_a_token_that_begins_to_take_a_fee_stops_being_bought(scene):
    scene.token.take_fee(200)
    with refused("slippage"):
        scene.rebalance(1_000)


def test_a_token_that_stops_moving_hurts_its_own_part_only(scene):
    vault = scene.vault
    scene.rebalance(2_000, 3_000)
    scene.token.misbehave(True, True)
    amounts = vault.redeem_in_kind(vault.balanceOf(SAVER), SAVER, SAVER, 1, NONE, sender=SAVER)
    assert amounts[0] + scene.pool.convertToAssets(amounts[2]) >= 7_990 * DOLLAR


def test_a_price_that_lags_pays_nobody_more_than_the_spread_covers():
    """In at a price that is 0.4 % too low, out in kind at once: the spread of 0.5 % is more."""
    scene = Scene(Options(spread_bps=50, fee_bps=0))
    attacker = account("attacker")
    scene.deposit("saver", 10_000 * DOLLAR)
    scene.rebalance(8_000)
    scene.feed.say(1_992 * 10**8)  # the market is at 2,000
    shares = scene.deposit("attacker", 10_000 * DOLLAR)
    amounts = scene.vault.redeem_in_kind(shares, attacker, attacker, 0, NONE, sender=attacker)
    assert amounts[0] + amounts[1] * 2_000 * DOLLAR // ETHER < 10_000 * DOLLAR


def test_coming_before_a_gain_and_leaving_after_it_takes_none_of_it(scene):
    vault, attacker = scene.vault, account("attacker")
    scene.rebalance(0, 5_000)
    shares = scene.deposit("attacker", 90_000 * DOLLAR)
    scene.earn(1_000 * DOLLAR)
    assert vault.redeem(shares, attacker, attacker, sender=attacker) <= 90_000 * DOLLAR
    scene.wait(WEEK)
    assert vault.totalAssets() > 10_000 * DOLLAR
