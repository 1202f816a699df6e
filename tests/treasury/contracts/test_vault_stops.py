# SPDX-License-Identifier: Apache-2.0
"""What stops stays stopped, what waits is seen, what a slot has left, and trades too small to be fair."""

from __future__ import annotations

import pytest

from tests.bench_support import NOBODY, account, refused, wait
from tests.treasury.contracts.support import (
    ALLOCATOR,
    DELAY,
    DOLLAR,
    EMPTY,
    GUARDIAN,
    KEEP,
    MANAGER,
    Options,
    Scene,
)

SAVER = account("saver")


@pytest.fixture(scope="module")
def _scene():
    scene = Scene()
    scene.deposit("saver", 10_000 * DOLLAR)
    return scene


@pytest.fixture
def scene(_scene):
    with _scene.bench.undone():
        yield _scene


# ---------------------------------------------------------------- stops


def test_a_stop_takes_an_announced_resumption_away(scene):
    """Else who stops again is undone by what was announced before."""
    vault = scene.vault
    vault.stop(sender=scene.guardian)
    vault.resume(sender=scene.manager)
    scene.wait(DELAY - 1)
    vault.stop(sender=scene.guardian)
    assert vault.ready_at(scene.change_id("resume")) == 0
    assert len(vault.events("Vetoed")) == 1
    scene.wait(1)
    vault.resume(sender=scene.manager)  # announces it
    assert vault.stopped()


def test_a_drawdown_takes_an_announced_resumption_away(scene):
    vault = scene.vault
    scene.rebalance(6_000)
    vault.stop(sender=scene.guardian)
    vault.resume(sender=scene.manager)
    scene.wait(DELAY)
    scene.price(1_300)
    vault.settle()
    vault.resume(sender=scene.manager)  # announces it
    assert vault.stopped()
    assert vault.tripped()


def test_a_stop_with_nothing_announced_takes_nothing_away(scene):
    scene.vault.stop(sender=scene.guardian)
    assert scene.vault.events("Vetoed") == []


def test_a_rebalance_that_finds_a_drawdown_stops_allocation_for_good(scene):
    """To refuse would undo the stop, and a price that recovers would let allocation go on."""
    vault = scene.vault
    scene.rebalance(6_000)
    scene.price(1_300)
    traded = vault.traded(scene.bench.timestamp // scene.options.epoch_s)
    scene.rebalance(5_000)
    assert vault.tripped()
    assert len(vault.events("Tripped")) == 1
    assert len(vault.events("Rebalanced")) == 1  # the first
    assert vault.traded(scene.bench.timestamp // scene.options.epoch_s) == traded
    scene.price(2_000)
    with refused("allocation stopped"):
        scene.rebalance(5_000)


# ---------------------------------------------------------------- what is seen


def test_the_first_limits_and_roles_are_seen_as_later_ones_are(scene):
    vault = scene.vault
    [first] = vault.events("LimitsSet")
    assert tuple(first["limits"]) == scene.limits()
    roles = {each["role"]: each["account"] for each in vault.events("RoleSet")}
    assert roles == {MANAGER: scene.manager, ALLOCATOR: scene.allocator, GUARDIAN: scene.guardian}
    vault.set_allocator(NOBODY, sender=scene.manager)
    vault.hand_over(GUARDIAN, account("heir"), sender=scene.guardian)
    later = [(each["role"], each["account"]) for each in vault.events("RoleSet")[3:]]
    assert later == [(ALLOCATOR, NOBODY), (GUARDIAN, account("heir"))]


# ---------------------------------------------------------------- what a slot has left


def test_a_slot_that_lost_its_tokens_is_freed(scene):
    vault = scene.vault
    scene.rebalance(1_000)
    scene.token.seize(vault, vault.held(0) - 1)
    with refused("slot holds something"):
        vault.set_strategy(0, EMPTY, sender=scene.manager)
    scene.token.seize(vault, 1)
    vault.set_strategy(0, EMPTY, sender=scene.manager)
    assert vault.held(0) == 0
    assert vault.strategy(0) == EMPTY
    scene.token.mint(vault, 10**18)  # what comes back later is nobody's in a slot
    assert vault.values()[2][0] == 0


def test_a_slot_whose_token_is_dead_is_given_to_another_in_public(scene):
    """Else a token that answers nothing any more would keep every holder to leaving in kind."""
    vault = scene.vault
    scene.rebalance(1_000)
    scene.token.misbehave(True, True)
    assert not vault.values()[0]
    with refused("slot holds something"):
        vault.set_strategy(0, EMPTY, sender=scene.manager)
    other = (0, scene.pool_strategy(token=scene.mock("Pool", scene.asset).address))
    vault.set_strategy(*other, sender=scene.manager)
    with refused("still waiting"):
        vault.set_strategy(*other, sender=scene.manager)
    wait(scene.bench, DELAY)
    vault.set_strategy(*other, sender=scene.manager)
    assert vault.values()[0]
    assert vault.maxWithdraw(SAVER) >= 9_000 * DOLLAR - 1


# ---------------------------------------------------------------- trades too small


def test_a_trade_of_next_to_nothing_has_no_unit_to_lose():
    """A unit for rounding is all of a trade of one: again and again, it is money."""
    scene = Scene(Options(decimals=2, reserves=10**9))
    scene.deposit("saver", 10_000)
    for units in (1, 20, 99):  # the pair's fee and rounding take one of them
        with refused("slippage"):
            scene.rebalance(units)
    scene.deposit("saver", 10**9)
    scene.rebalance(1)  # of a million: rounding is next to nothing of it


def test_the_last_of_a_slot_can_always_be_sold():
    scene = Scene(Options(decimals=2, reserves=10**9))
    scene.deposit("saver", 10**6)
    scene.rebalance(1_000)
    scene.vault.redeem_in_kind(
        scene.vault.balanceOf(SAVER) * 9_999 // 10_000, SAVER, SAVER, 0, [0] * 9, sender=SAVER
    )
    assert 0 < scene.vault.values()[2][0] < 100
    scene.rebalance(0)
    assert scene.vault.held(0) == 0


def test_a_slot_that_is_kept_is_left_as_it_is(scene):
    scene.rebalance(1_000, 1_000)
    held = scene.vault.held(0)
    scene.rebalance(KEEP, 2_000)
    assert scene.vault.held(0) == held
