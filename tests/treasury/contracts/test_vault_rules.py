# SPDX-License-Identifier: Apache-2.0
"""What no vault may be, and who may change what, when: a refusal for every rule."""

from __future__ import annotations

import pytest

from koinon.chain import artifacts
from tests.bench_support import NOBODY, account, at, refused, wait
from tests.treasury.contracts.support import (
    ALLOCATOR,
    DAY,
    DELAY,
    EMPTY,
    GUARDIAN,
    MANAGER,
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


@pytest.mark.parametrize(
    ("field", "wrong", "reason"),
    [
        ("asset", NOBODY, "asset missing"),
        ("manager", NOBODY, "manager missing"),
        ("fee_bps", 2_001, "fee too large"),
        ("fee_to", NOBODY, "fee receiver missing"),
        ("spread_bps", 101, "spread too large"),
        ("unlock_s", 365 * DAY + 1, "unlocking too long"),
        ("epoch_s", 3_599, "wrong epoch"),
        ("epoch_s", 30 * DAY + 1, "wrong epoch"),
    ],
)
def test_a_charter_out_of_bounds_is_refused(scene, field, wrong, reason):
    with refused(reason):
        scene.create(charter=scene.charter(**{field: wrong}))


def test_an_asset_with_too_many_decimals_is_refused(scene):
    with refused("too many decimals"):
        scene.create(charter=scene.charter(asset=scene.mock("Money", 19).address))


@pytest.mark.parametrize(
    ("field", "wrong", "reason"),
    [
        ("turnover_bps", 20_001, "turnover too large"),
        ("slippage_bps", 1_001, "slippage too large"),
        ("drawdown_bps", 10_001, "drawdown too large"),
        ("idle_bps", 10_001, "idle too large"),
    ],
)
def test_limits_out_of_bounds_are_refused(scene, field, wrong, reason):
    with refused(reason):
        scene.create(limits=scene.limits(**{field: wrong}))
    with refused(reason):
        scene.vault.set_limits(scene.limits(**{field: wrong}), sender=scene.manager)


def test_strategies_that_fit_no_vault_are_refused(scene):
    other = scene.mock("Money", 6)
    foreign_pool = scene.mock("Pool", other)
    wrong = [
        (scene.token_strategy(token=NOBODY), "wrong token"),
        (scene.token_strategy(token=scene.asset.address), "wrong token"),
        (scene.token_strategy(min_bps=5_000, max_bps=4_999), "wrong bounds"),
        (scene.token_strategy(max_bps=10_001), "wrong bounds"),
        (scene.pool_strategy(token=foreign_pool.address), "wrong asset"),
        (scene.token_strategy(kind=3), "no such kind"),
        (scene.token_strategy(token=other.address), "wrong pair"),
        (scene.token_strategy(max_age_s=0), "age missing"),
        (
            scene.token_strategy(feed=scene.mock("Feed", 37, 1).address),
            "too many decimals",
        ),
    ]
    for listed, reason in wrong:
        with refused(reason):
            scene.create(listed=[listed])
    with refused("token has a slot"):
        scene.create(listed=[scene.token_strategy(), scene.token_strategy()])
    floors = [scene.token_strategy(min_bps=5_000), scene.pool_strategy(min_bps=5_001)]
    with refused("floors above the whole"):
        scene.create(listed=floors)
    with refused("floors above the whole"):
        scene.create(listed=[floors[0]], limits=scene.limits(idle_bps=5_001))


def test_a_vault_does_not_list_itself(scene):
    vault = scene.vault
    call = (2, scene.pool_strategy(token=vault.address))
    vault.set_strategy(*call, sender=scene.manager)
    wait(scene.bench, DELAY)
    with refused("wrong token"):
        vault.set_strategy(*call, sender=scene.manager)


def test_code_begins_once_and_the_implementation_never(scene):
    begin = ("Mine", "M", scene.charter(manager=account("thief")), scene.limits(), [])
    with refused("already begun"):
        scene.vault.initialize(*begin)
    implementation = at(scene.bench, scene.implementation.address, "Vault")
    with refused("already begun"):
        implementation.initialize(*begin)


def test_neither_code_nor_factory_stands_on_nothing(scene):
    for name in ("Vault", "VaultFactory"):
        creation = artifacts.load(name).creation(account("nobody home"))
        with pytest.raises(RuntimeError, match=b"missing".hex()):
            scene.bench.evm.deploy(account("anyone"), creation)


def test_the_factory_knows_its_vaults(scene):
    second = scene.create()
    assert scene.factory.vault_count() == 2
    assert [scene.factory.vault(number) for number in (1, 2)] == [scene.vault.address, second.address]
    assert scene.factory.is_vault(second)
    assert not scene.factory.is_vault(scene.implementation)
    assert scene.factory.IMPLEMENTATION() == scene.implementation.address


# ---------------------------------------------------------------- who may


def test_only_the_manager_changes_bounds(scene):
    vault = scene.vault
    calls = [
        ("set_strategy", (2, scene.pool_strategy())),
        ("set_bounds", (0, 0, 1)),
        ("set_limits", (scene.limits(),)),
        ("set_allocator", (account("thief"),)),
        ("resume", ()),
    ]
    for name, arguments in calls:
        for sender in (scene.allocator, scene.guardian, account("thief")):
            with refused("only the manager"):
                getattr(vault, name)(*arguments, sender=sender)


def test_only_guardian_and_manager_stop_and_only_the_guardian_vetoes(scene):
    vault = scene.vault
    for sender in (scene.allocator, account("thief")):
        with refused("only guardian or manager"):
            vault.stop(sender=sender)
    with refused("only the guardian"):
        vault.veto(bytes(32), sender=scene.manager)
    with refused("nothing announced"):
        vault.veto(bytes(32), sender=scene.guardian)


def test_roles_are_handed_over_by_who_has_them(scene):
    vault, heir = scene.vault, account("heir")
    with refused("account missing"):
        vault.hand_over(MANAGER, NOBODY, sender=scene.manager)
    with refused("only the manager"):
        vault.hand_over(MANAGER, heir, sender=scene.guardian)
    for role, sender in ((GUARDIAN, scene.manager), (ALLOCATOR, scene.allocator), (ALLOCATOR, scene.manager)):
        with refused("not yours"):
            vault.hand_over(role, heir, sender=sender)
    vault.hand_over(MANAGER, heir, sender=scene.manager)
    vault.hand_over(GUARDIAN, heir, sender=scene.guardian)
    assert vault.charter()[1] == vault.charter()[3] == heir
    with refused("only the manager"):
        vault.set_bounds(0, 0, 1, sender=scene.manager)


# ---------------------------------------------------------------- tighter at once, looser in public


def test_tightening_is_instant(scene):
    vault = scene.vault
    vault.set_bounds(0, 100, 7_000, sender=scene.manager)
    assert vault.strategy(0)[5:] == (100, 7_000)
    tighter = scene.limits(turnover_bps=100, slippage_bps=10, drawdown_bps=500, idle_bps=300)
    vault.set_limits(tighter, sender=scene.manager)
    assert vault.limits() == tighter
    vault.set_allocator(NOBODY, sender=scene.manager)
    assert vault.charter()[2] == NOBODY


def loosenings(scene):
    return [
        ("set_bounds", (0, 0, 8_001), lambda: scene.vault.strategy(0)[6] == 8_001),
        (
            "set_limits",
            (scene.limits(drawdown_bps=2_001),),
            lambda: scene.vault.limits() == scene.limits(drawdown_bps=2_001),
        ),
        ("set_allocator", (account("next"),), lambda: scene.vault.charter()[2] == account("next")),
        (
            "set_strategy",
            (0, scene.token_strategy(max_age_s=2 * DAY)),
            lambda: scene.vault.strategy(0)[4] == 2 * DAY,
        ),
    ]


@pytest.mark.parametrize("which", range(4))
def test_loosening_waits_48_hours_and_happens_once(scene, which):
    vault = scene.vault
    name, arguments, done = loosenings(scene)[which]
    make = getattr(vault, name)
    make(*arguments, sender=scene.manager)
    change = scene.change_id(name, *arguments)
    assert vault.ready_at(change) == scene.bench.timestamp + DELAY
    wait(scene.bench, DELAY - 1)
    with refused("still waiting"):
        make(*arguments, sender=scene.manager)
    assert not done()
    wait(scene.bench, 1)
    make(*arguments, sender=scene.manager)
    assert done()
    assert vault.ready_at(change) == 0


@pytest.mark.parametrize("which", range(4))
def test_the_guardian_vetoes_what_is_announced(scene, which):
    vault = scene.vault
    name, arguments, done = loosenings(scene)[which]
    getattr(vault, name)(*arguments, sender=scene.manager)
    vault.veto(scene.change_id(name, *arguments), sender=scene.guardian)
    wait(scene.bench, DELAY)
    getattr(vault, name)(*arguments, sender=scene.manager)  # announces it again
    assert not done()


def test_an_old_announcement_does_not_lie_ready_for_ever(scene):
    vault = scene.vault
    vault.set_bounds(0, 0, 9_000, sender=scene.manager)
    wait(scene.bench, DELAY + 7 * DAY + 1)
    vault.set_bounds(0, 0, 9_000, sender=scene.manager)
    assert vault.strategy(0)[6] == 8_000


@pytest.mark.parametrize(
    "change",
    [{"turnover_bps": 1}, {"slippage_bps": 1}, {"drawdown_bps": 1}, {"idle_bps": -1}],
)
def test_one_looser_limit_among_tighter_ones_waits(change):
    scene = Scene(Options(turnover_bps=5_000, idle_bps=500))
    name, step = next(iter(change.items()))
    tighter = {"turnover_bps": 4_000, "slippage_bps": 50, "drawdown_bps": 1_000, "idle_bps": 600}
    mixed = scene.limits(**{**tighter, name: getattr(scene.options, name) + step})
    scene.vault.set_limits(mixed, sender=scene.manager)
    assert scene.vault.limits() == scene.limits()


def test_what_is_announced_can_be_read(scene):
    vault = scene.vault
    vault.set_bounds(0, 0, 9_000, sender=scene.manager)
    [found] = vault.events("Announced")
    assert found["call"] == vault.encode("set_bounds", 0, 0, 9_000)
    assert found["change_id"] == scene.change_id("set_bounds", 0, 0, 9_000)


def test_bounds_that_cannot_be_are_refused(scene):
    vault = scene.vault
    for slot in (2, 8):
        with refused("empty slot"):
            vault.set_bounds(slot, 0, 0, sender=scene.manager)
    for bounds in ((2, 1), (0, 10_001)):
        with refused("wrong bounds"):
            vault.set_bounds(0, *bounds, sender=scene.manager)
    vault.set_bounds(0, 6_000, 8_000, sender=scene.manager)
    with refused("floors above the whole"):
        vault.set_bounds(1, 4_001, 9_000, sender=scene.manager)
    with refused("floors above the whole"):
        vault.set_limits(scene.limits(idle_bps=4_001), sender=scene.manager)


def test_slots_are_freed_when_they_hold_nothing(scene):
    vault = scene.vault
    with refused("no such slot"):
        vault.set_strategy(8, EMPTY, sender=scene.manager)
    scene.deposit("saver", 10_000 * scene.unit)
    scene.rebalance(1_000)
    with refused("slot holds something"):
        vault.set_strategy(0, EMPTY, sender=scene.manager)
    replaced = (0, scene.pool_strategy(token=scene.mock("Pool", scene.asset).address))
    vault.set_strategy(*replaced, sender=scene.manager)
    wait(scene.bench, DELAY)
    with refused("slot holds something"):
        vault.set_strategy(*replaced, sender=scene.manager)
    vault.set_strategy(1, EMPTY, sender=scene.manager)
    assert vault.strategy(1) == EMPTY


def test_a_dead_feed_is_replaced_while_the_slot_holds_its_token(scene):
    vault = scene.vault
    scene.deposit("saver", 10_000 * scene.unit)
    scene.rebalance(1_000)
    scene.feed.misbehave(1)
    assert not vault.values()[0]
    feed = scene.mock("Feed", 8, 2_000 * 10**8)
    call = (0, scene.token_strategy(feed=feed.address))
    vault.set_strategy(*call, sender=scene.manager)
    wait(scene.bench, DELAY)
    feed.say(2_000 * 10**8)
    vault.set_strategy(*call, sender=scene.manager)
    assert vault.values()[0]


def test_allocation_resumes_48_hours_after_it_was_announced(scene):
    vault = scene.vault
    with refused("nothing is stopped"):
        vault.resume(sender=scene.manager)
    scene.deposit("saver", 10_000 * scene.unit)
    vault.stop(sender=scene.guardian)
    vault.resume(sender=scene.manager)
    with refused("allocation stopped"):
        scene.rebalance(1_000)
    scene.wait(DELAY)
    vault.resume(sender=scene.manager)
    scene.rebalance(1_000)


def test_allocation_does_not_resume_without_prices(scene):
    vault = scene.vault
    scene.deposit("saver", 10_000 * scene.unit)
    scene.rebalance(1_000)
    vault.stop(sender=scene.manager)
    vault.resume(sender=scene.manager)
    scene.wait(DELAY)
    scene.feed.misbehave(1)
    with refused("no valid price"):
        vault.resume(sender=scene.manager)
