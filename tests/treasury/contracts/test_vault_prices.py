# SPDX-License-Identifier: Apache-2.0
"""What counts as a price, and assets and tokens that are not what they should be."""

from __future__ import annotations

import pytest

from tests.bench_support import account, refused
from tests.treasury.contracts.support import DAY, DOLLAR, Options, Scene


@pytest.fixture(scope="module")
def _scene():
    return Scene()


@pytest.fixture
def scene(_scene):
    with _scene.bench.undone():
        yield _scene


SAVER = account("saver")


@pytest.mark.parametrize(
    ("answer", "age"), [(0, 0), (-1, 0), (2**80, 0), (2_000 * 10**8, DAY + 1), (2_000 * 10**8, -1)]
)
def test_answers_that_are_no_prices(scene, answer, age):
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(4_000)
    assert scene.vault.values()[0]
    scene.feed.say_since(answer, scene.bench.timestamp - age)
    assert not scene.vault.values()[0]
    assert scene.vault.totalAssets() > 0  # as last settled


def test_a_feed_of_an_empty_slot_matters_to_nobody(scene):
    scene.feed.misbehave(1)
    shares = scene.deposit("saver", 1_000 * DOLLAR)
    scene.vault.redeem(shares, SAVER, SAVER, sender=SAVER)


def test_a_token_that_was_taken_from_the_vault_is_missed_at_once(scene):
    vault = scene.vault
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(4_000)
    scene.token.seize(vault, vault.held(0) // 2)
    assert abs(vault.totalAssets() - 800 * DOLLAR) < 2 * DOLLAR


def test_an_asset_that_takes_a_fee_is_refused():
    scene = Scene(Options(listed=False))
    scene.asset.take_fee(100)
    with refused("token did not deliver exactly"):
        scene.deposit("saver", 100)


@pytest.mark.parametrize("decimals", [0, 2, 6, 18])
def test_any_decimals(decimals):
    scene = Scene(Options(decimals=decimals, reserves=10**9))
    shares = scene.deposit("saver", 100_000 * scene.unit)
    scene.rebalance(5_000, 2_000)
    value = scene.vault.values()[2][0]
    assert 49_800 * scene.unit <= value <= 50_000 * scene.unit
    scene.wait(DAY)
    scene.rebalance(0, 0)
    paid = scene.vault.redeem(shares, SAVER, SAVER, sender=SAVER)
    assert 99_300 * scene.unit <= paid <= 100_000 * scene.unit


def test_a_pool_that_answers_nothing_has_no_price(scene):
    scene.deposit("saver", 1_000 * DOLLAR)
    scene.rebalance(0, 5_000)
    scene.pool.earn(2**113)  # beyond all bounds
    assert not scene.vault.values()[0]
    assert scene.vault.maxWithdraw(SAVER) == 0
    assert scene.mock("Pool", scene.asset).totalAssets() == 0
