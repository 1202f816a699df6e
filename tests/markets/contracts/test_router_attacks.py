# SPDX-License-Identifier: Apache-2.0
"""False pools, hostile coins, sandwiches, calls back: only the caller can lose by what the caller names."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from koinon.chain.hashing import keccak256
from tests.bench_support import NOBODY, account, refused
from tests.markets.contracts.router_stage import FOR_EVER, make_stage, swap
from tests.markets.contracts.support import MINIMUM_LIQUIDITY, WHOLE, amount_out


@pytest.fixture
def stage():
    made = make_stage()
    made.give("ether", 10 * WHOLE)
    return made


def test_a_sandwich_earns_nothing_from_an_order_with_a_minimum(stage):
    """The attacker buys ahead; the order reverts instead of paying the worse price."""
    path = stage.path("ether", "pair", "dollars")
    fair = stage.router.quote(path, WHOLE)
    attacker = account("attacker")
    stage.give("ether", 50 * WHOLE, attacker)
    stage.give("dollars", 0, attacker)
    with stage.bench.undone():
        got = swap(stage, path, 20 * WHOLE, to=attacker, sender=attacker)
        victim = swap(stage, path, WHOLE)  # without a minimum
        back = swap(stage, stage.path("dollars", "pair", "ether"), got, to=attacker, sender=attacker)
        assert back > 20 * WHOLE  # the sandwich pays
        assert victim < fair * 8 // 10
    got = swap(stage, path, 20 * WHOLE, to=attacker, sender=attacker)
    with refused("less than the minimum"):
        swap(stage, path, WHOLE, fair * 995 // 1_000)
    back = swap(stage, stage.path("dollars", "pair", "ether"), got, to=attacker, sender=attacker)
    assert back < 20 * WHOLE


def test_dust_in_an_empty_pair_does_not_set_the_price_for_its_first_provider(stage):
    """An attacker gives an empty pair a little of both and syncs: without shares that is no price."""
    dollars, euros = stage.tokens["dollars"], stage.tokens["euros"]
    pair = stage.create_pair(dollars, euros)
    first, second = (dollars, euros) if pair.token0() == dollars.address else (euros, dollars)
    first.mint(pair, 1_000)
    second.mint(pair, 1)
    pair.sync()
    for name in ("dollars", "euros"):
        stage.give(name, 5 * WHOLE)
    shares = stage.router.add_liquidity(
        pair, WHOLE, 4 * WHOLE, WHOLE, 4 * WHOLE, 0, FOR_EVER, stage.trader, sender=stage.trader
    )
    assert shares == 2 * WHOLE - MINIMUM_LIQUIDITY
    assert tuple(pair.getReserves())[:2] == (WHOLE + 1_000, 4 * WHOLE + 1)


def test_another_first_provider_cannot_make_the_second_pay_at_their_price(stage):
    dollars, euros = stage.tokens["dollars"], stage.tokens["euros"]
    pair = stage.create_pair(dollars, euros)
    for name in ("dollars", "euros"):
        stage.give(name, 5 * WHOLE)
        stage.give(name, 5 * WHOLE, account("attacker"))
    attacker = account("attacker")
    stage.router.add_liquidity(pair, 4 * WHOLE, WHOLE // 100, 0, 0, 0, FOR_EVER, attacker, sender=attacker)
    before = stage.balance("dollars"), stage.balance("euros")
    with refused("the price has moved"):
        stage.router.add_liquidity(
            pair, WHOLE, WHOLE, WHOLE, WHOLE, 0, FOR_EVER, stage.trader, sender=stage.trader
        )
    assert (stage.balance("dollars"), stage.balance("euros")) == before


def test_nobody_makes_the_router_pay_by_calling_it_back(stage):
    router = stage.router
    data = encode(
        ["(address,address,address,uint256)[]", "uint256"], [stage.path("ether", "pair", "dollars"), 0]
    )
    with refused("not our flash swap"):
        router.uniswapV2Call(account("attacker"), 0, 0, data)
    with refused("not awaited"):
        router.uniswapV2Call(router, 0, 0, data, sender=account("attacker"))
    pair = stage.pools["pair", "ether", "dollars"]
    with refused("not our flash swap"):
        pair.swap(1, 0, router.address, b"x", sender=account("attacker"))


def test_a_false_pool_keeps_its_callers_coins_and_no_ones_else(stage):
    victim, fool = stage.trader, account("fool")
    ether, dollars = stage.tokens["ether"], stage.tokens["dollars"]
    false_pool = stage.mock("FakePool", ether.address, dollars.address)
    false_pool.boast(0, 10**30)
    stage.give("ether", WHOLE, fool)
    for fee_ppm in (0, 3_000):
        hops = [(false_pool.address, ether.address, dollars.address, fee_ppm)]
        with refused("less than the minimum"):
            swap(stage, hops, WHOLE // 4, 1, sender=fool, to=fool)
    swap(
        stage, [(false_pool.address, ether.address, dollars.address, 0)], WHOLE // 4, 0, sender=fool, to=fool
    )
    assert ether.balanceOf(fool) == 3 * WHOLE // 4
    assert stage.balance("ether", victim) == 10 * WHOLE
    assert stage.left_in_router() == 0


@pytest.mark.parametrize("what", ["swap_along", "arbitrage", "uniswapV2Call"])
def test_a_false_pool_cannot_enter_the_router_again(stage, what):
    ether, dollars = stage.tokens["ether"], stage.tokens["dollars"]
    false_pool = stage.mock("FakePool", ether.address, dollars.address)
    hops = stage.path("ether", "pair", "dollars")
    hop_kinds = "(address,address,address,uint256)[]"
    calls = {
        "swap_along": (
            [hop_kinds, "uint256", "uint256", "uint256", "address"],
            [hops, 0, 0, FOR_EVER, false_pool.address],
        ),
        "arbitrage": ([f"(uint256,{hop_kinds},bool)[]", "uint256", "address"], [[], 0, ether.address]),
        "uniswapV2Call": (
            ["address", "uint256", "uint256", "bytes"],
            [
                stage.router.address,
                0,
                0,
                encode([hop_kinds, "uint256"], [hops, 0]),
            ],
        ),
    }
    kinds, values = calls[what]
    request = keccak256(f"{what}({','.join(kinds)})".encode())[:4] + encode(kinds, values)
    false_pool.plan(stage.router.address, request)
    swap(stage, [(false_pool.address, ether.address, dollars.address, 0)], 1)
    assert not false_pool.succeeded()
    expected = b"" if what != "uniswapV2Call" else b"not awaited"
    assert expected in false_pool.answer()


def test_a_false_pair_that_does_not_call_back_is_found_out(stage):
    ether, dollars = stage.tokens["ether"], stage.tokens["dollars"]
    false_pair = stage.mock("FakePool", ether.address, dollars.address)
    false_pair.boast(10**18, 10**18)
    hops = [
        (false_pair.address, ether.address, dollars.address, 3_000),
        stage.hop("pair", "dollars", "ether"),
    ]
    with refused("pair did not call back"):
        stage.router.arbitrage([(WHOLE, hops, True)], 0, ether.address)


def test_coins_that_take_a_fee_are_counted_as_they_arrive(stage):
    stage.tokens["euros"].misbehave(100, False, NOBODY)
    path = stage.path("ether", "pair", "euros", "stable", "dollars")
    euros = amount_out(WHOLE, 100 * WHOLE, 200_000 * WHOLE)
    arrived = euros - euros * 100 // 10_000
    due = stage.pools["stable", "euros", "dollars"].getAmountOut(arrived, stage.tokens["euros"])
    assert swap(stage, path, WHOLE, due) == due
    path = stage.path("dollars", "stable", "euros")
    stage.give("dollars", WHOLE)
    quoted = stage.router.quote(path, WHOLE)
    with refused("less than the minimum"):
        swap(stage, path, WHOLE, quoted)  # what counts is what the receiver got
    assert swap(stage, path, WHOLE, quoted * 99 // 100) < quoted


def test_coins_that_answer_nothing_or_false(stage):
    silent = stage.mock("SilentMarketToken")
    stage.tokens["silent"] = silent
    stage.add("pair", "silent", "dollars", 10**12, 10**24)
    silent.mint(stage.trader, 10**6)
    silent.approve(stage.router, FOR_EVER, sender=stage.trader)
    assert swap(stage, stage.path("silent", "pair", "dollars"), 10**6) > 0
    stage.give("dollars", WHOLE)
    assert swap(stage, stage.path("dollars", "pair", "silent"), WHOLE) > 0
    stage.tokens["ether"].misbehave(0, True, NOBODY)
    with refused("transfer refused"):
        swap(stage, stage.path("ether", "pair", "dollars"), WHOLE)


def test_the_router_takes_no_ether(stage):
    payer = account("payer")
    stage.bench.evm.set_balance(payer, 1)
    assert not stage.bench.transact(payer, stage.router.address, b"", 1).worked
