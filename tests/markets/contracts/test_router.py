# SPDX-License-Identifier: Apache-2.0
"""Orders and arbitrage across pools: exact amounts, floors, and that nobody but the caller can lose."""

from __future__ import annotations

import boa
import pytest
from eth_abi.abi import encode

from koinon.chain.hashing import keccak256
from tests.contracts_support import NOBODY, account, events, fresh_chain
from tests.markets.contracts.router_stage import FOR_EVER, make_stage
from tests.markets.contracts.support import (
    WHOLE,
    amount_out,
    create_pair,
    deploy_uniswap_factory,
    market_mock,
    uniswap,
)


@pytest.fixture(autouse=True)
def chain():
    with fresh_chain():
        yield


@pytest.fixture
def stage():
    made = make_stage()
    made.give("ether", 10 * WHOLE)
    return made


def swap(stage, path, amount, minimum=0, deadline=FOR_EVER, to=None, sender=None):
    return stage.router.swap_along(
        path, amount, minimum, deadline, to or stage.trader, sender=sender or stage.trader
    )


# ------------------------------------------------------------------------------------------- orders


def test_an_order_goes_through_all_kinds_of_pools_and_pays_what_was_quoted(stage):
    path = stage.path("ether", "weighted", "dollars", "stable", "euros", "pair", "ether", "pair", "dollars")
    quoted = stage.router.quote(path, WHOLE)
    receiver = account("receiver")
    assert swap(stage, path, WHOLE, quoted, to=receiver) == quoted
    assert stage.balance("dollars", receiver) == quoted
    assert stage.balance("ether") == 9 * WHOLE
    assert stage.left_in_router() == 0
    (event,) = events(stage.router, "Routed")
    assert (event["amount_in"], event["amount_out"], event["to"]) == (WHOLE, quoted, receiver)


def test_uniswaps_own_pairs_are_hops_like_ours(stage):
    ether, dollars = stage.tokens["ether"], stage.tokens["dollars"]
    pair = uniswap("UniswapV2Pair", str(deploy_uniswap_factory().createPair(ether.address, dollars.address)))
    ether.mint(pair, 50 * WHOLE)
    dollars.mint(pair, 100_000 * WHOLE)
    pair.mint(account("provider"))
    hop = (pair.address, ether.address, dollars.address, 3_000)
    assert swap(stage, [hop], WHOLE) == amount_out(WHOLE, 50 * WHOLE, 100_000 * WHOLE)


def test_a_split_order_is_paid_in_all(stage):
    routes = [
        (WHOLE, stage.path("ether", "pair", "dollars")),
        (2 * WHOLE, stage.path("ether", "weighted", "dollars")),
        (WHOLE, stage.path("ether", "pair", "euros", "stable", "dollars")),
    ]
    due = sum(stage.router.quote(path, amount) for amount, path in routes)
    with boa.reverts("less than the minimum"):
        stage.router.swap_split(routes, due + 1, FOR_EVER, stage.trader, sender=stage.trader)
    assert stage.router.swap_split(routes, due, FOR_EVER, stage.trader, sender=stage.trader) == due
    assert stage.balance("dollars") == due
    assert due > stage.router.quote(stage.path("ether", "pair", "dollars"), 4 * WHOLE)
    assert stage.left_in_router() == 0


def test_orders_that_are_refused(stage):
    path = stage.path("ether", "pair", "dollars", "stable", "euros")
    broken = [path[0], *stage.path("ether", "pair", "euros")]
    quoted = stage.router.quote(path, WHOLE)
    split = stage.router.swap_split
    for call, reason in (
        (lambda: swap(stage, path, WHOLE, quoted + 1), "less than the minimum"),
        (lambda: swap(stage, path, WHOLE, deadline=boa.env.timestamp - 1), "deadline past"),
        (lambda: split([], 0, boa.env.timestamp - 1, stage.trader), "deadline past"),
        (lambda: swap(stage, [], WHOLE), "no hops"),
        (lambda: stage.router.quote([], WHOLE), "no hops"),
        (lambda: swap(stage, broken, WHOLE), "hops do not meet"),
        (lambda: split([], 0, FOR_EVER, stage.trader), "no routes"),
        (lambda: split([(1, [])], 0, FOR_EVER, stage.trader), "no hops"),
        (lambda: split([(0, path), (0, path[1:])], 0, FOR_EVER, stage.trader), None),
        (lambda: swap(stage, path, 11 * WHOLE), None),
        (lambda: swap(stage, path, WHOLE, sender=account("stranger")), None),
    ):
        with boa.reverts(reason) if reason else boa.reverts():
            call()
    other_end = [(WHOLE, path), (WHOLE, path[:1])]
    with boa.reverts("routes end differently"):
        split(other_end, 0, FOR_EVER, stage.trader, sender=stage.trader)
    stage.give("dollars", WHOLE)
    other_start = [(WHOLE, path), (WHOLE, path[1:])]
    with boa.reverts("routes begin differently"):
        split(other_start, 0, FOR_EVER, stage.trader, sender=stage.trader)


def test_a_sandwich_earns_nothing_from_an_order_with_a_minimum(stage):
    """The attacker buys ahead; the order reverts instead of paying the worse price."""
    path = stage.path("ether", "pair", "dollars")
    fair = stage.router.quote(path, WHOLE)
    attacker = account("attacker")
    stage.give("ether", 50 * WHOLE, attacker)
    stage.give("dollars", 0, attacker)
    with boa.env.anchor():
        got = swap(stage, path, 20 * WHOLE, to=attacker, sender=attacker)
        victim = swap(stage, path, WHOLE)  # without a minimum
        back = swap(stage, stage.path("dollars", "pair", "ether"), got, to=attacker, sender=attacker)
        assert back > 20 * WHOLE  # the sandwich pays
        assert victim < fair * 8 // 10
    got = swap(stage, path, 20 * WHOLE, to=attacker, sender=attacker)
    with boa.reverts("less than the minimum"):
        swap(stage, path, WHOLE, fair * 995 // 1_000)
    back = swap(stage, stage.path("dollars", "pair", "ether"), got, to=attacker, sender=attacker)
    assert back < 20 * WHOLE


# ------------------------------------------------------------------------------------------- arbitrage


@pytest.fixture
def loose(stage):
    """Somebody bought ether at one pair: it is dearer there than elsewhere."""
    stage.give("dollars", 20_000 * WHOLE, account("buyer"))
    swap(
        stage,
        stage.path("dollars", "pair", "ether"),
        20_000 * WHOLE,
        to=account("buyer"),
        sender=account("buyer"),
    )
    return stage


def cycle_of(stage, amount, *steps, flash):
    return (amount, stage.path(*steps), flash)


CYCLE = ("ether", "pair", "dollars", "stable", "euros", "pair", "ether")


def test_a_flash_cycle_needs_no_money_and_pays_what_was_predicted(loose):
    arbitrageur = account("arbitrageur")
    predicted = loose.router.quote(loose.path(*CYCLE), 4 * WHOLE) - 4 * WHOLE
    assert predicted > 0
    cycles = [cycle_of(loose, 4 * WHOLE, *CYCLE, flash=True)]
    ether = loose.tokens["ether"].address
    with boa.reverts("profit below the floor"):
        loose.router.arbitrage(cycles, predicted + 1, ether, sender=arbitrageur)
    assert loose.router.arbitrage(cycles, predicted, ether, sender=arbitrageur) == predicted
    assert loose.balance("ether", arbitrageur) == predicted
    assert loose.left_in_router() == 0
    assert events(loose.router, "Arbitraged") == [
        {"sender": arbitrageur, "token": ether, "profit": predicted}
    ]


def test_a_cycle_with_own_money_pays_the_same(loose):
    predicted = loose.router.quote(loose.path(*CYCLE), 4 * WHOLE) - 4 * WHOLE
    cycles = [cycle_of(loose, 4 * WHOLE, *CYCLE, flash=False)]
    ether = loose.tokens["ether"].address
    assert loose.router.arbitrage(cycles, predicted, ether, sender=loose.trader) == predicted
    assert loose.balance("ether") == 10 * WHOLE + predicted


def test_several_cycles_in_one_call_must_pay_together(loose):
    good = cycle_of(loose, 2 * WHOLE, *CYCLE, flash=True)
    also = cycle_of(loose, WHOLE, "ether", "pair", "dollars", "weighted", "ether", flash=True)
    ether = loose.tokens["ether"].address
    profit = loose.router.arbitrage([good, also], 1, ether, sender=account("arbitrageur"))
    assert loose.balance("ether", account("arbitrageur")) == profit > 0


def test_cycles_that_are_refused(loose):
    ether, dollars = (loose.tokens[name].address for name in ("ether", "dollars"))
    losing = tuple(reversed(CYCLE))
    for cycles, token, reason in (
        ([], ether, "no cycles"),
        ([cycle_of(loose, WHOLE, *CYCLE, flash=True)], dollars, "not a cycle of this coin"),
        ([cycle_of(loose, WHOLE, *CYCLE[:5], flash=True)], ether, "not a cycle of this coin"),
        ([cycle_of(loose, WHOLE, *losing, flash=True)], ether, "cycle does not pay its loan"),
        ([cycle_of(loose, WHOLE, *losing, flash=False)], ether, "profit below the floor"),
        ([(WHOLE, [], True)], ether, "no hops"),
        (
            [cycle_of(loose, WHOLE, "ether", "weighted", "dollars", "pair", "ether", flash=True)],
            ether,
            "a flash cycle begins with a pair",
        ),
        ([(WHOLE, [(account("pool"), ether, ether, 3_000)], True)], ether, "a flash cycle needs two hops"),
    ):
        with boa.reverts(reason):
            loose.router.arbitrage(cycles, 0, token, sender=loose.trader)


# ------------------------------------------------------------------------------------------- attacks


def test_nobody_makes_the_router_pay_by_calling_it_back(stage):
    router = stage.router
    data = encode(
        ["(address,address,address,uint256)[]", "uint256"], [stage.path("ether", "pair", "dollars"), 0]
    )
    with boa.reverts("not our flash swap"):
        router.uniswapV2Call(account("attacker"), 0, 0, data)
    with boa.reverts("not awaited"):
        router.uniswapV2Call(router, 0, 0, data, sender=account("attacker"))
    pair = stage.pools["pair", "ether", "dollars"]
    with boa.reverts("not our flash swap"):
        pair.swap(1, 0, router.address, b"x", sender=account("attacker"))


def test_a_false_pool_keeps_its_callers_coins_and_no_ones_else(stage):
    victim, fool = stage.trader, account("fool")
    ether, dollars = stage.tokens["ether"], stage.tokens["dollars"]
    false_pool = market_mock("FakePool", ether.address, dollars.address)
    false_pool.boast(0, 10**30)
    stage.give("ether", WHOLE, fool)
    for fee_ppm in (0, 3_000):
        hops = [(false_pool.address, ether.address, dollars.address, fee_ppm)]
        with boa.reverts("less than the minimum"):
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
    false_pool = market_mock("FakePool", ether.address, dollars.address)
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
    false_pair = market_mock("FakePool", ether.address, dollars.address)
    false_pair.boast(10**18, 10**18)
    hops = [
        (false_pair.address, ether.address, dollars.address, 3_000),
        stage.hop("pair", "dollars", "ether"),
    ]
    with boa.reverts("pair did not call back"):
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
    with boa.reverts("less than the minimum"):
        swap(stage, path, WHOLE, quoted)  # what counts is what the receiver got
    assert swap(stage, path, WHOLE, quoted * 99 // 100) < quoted


def test_coins_that_answer_nothing_or_false(stage):
    silent = market_mock("SilentMarketToken")
    stage.tokens["silent"] = silent
    stage.add("pair", "silent", "dollars", 10**12, 10**24)
    silent.mint(stage.trader, 10**6)
    silent.approve(stage.router, FOR_EVER, sender=stage.trader)
    assert swap(stage, stage.path("silent", "pair", "dollars"), 10**6) > 0
    stage.give("dollars", WHOLE)
    assert swap(stage, stage.path("dollars", "pair", "silent"), WHOLE) > 0
    stage.tokens["ether"].misbehave(0, True, NOBODY)
    with boa.reverts("transfer refused"):
        swap(stage, stage.path("ether", "pair", "dollars"), WHOLE)


def test_what_is_left_in_the_router_by_mistake_is_the_next_arbitrageurs(loose):
    loose.tokens["ether"].mint(loose.router, 7)
    cycles = [cycle_of(loose, WHOLE, *CYCLE, flash=True)]
    loose.router.arbitrage(cycles, 0, loose.tokens["ether"].address, sender=account("arbitrageur"))
    assert loose.left_in_router() == 0


def test_the_router_takes_no_ether(stage):
    computation = boa.env.execute_code(stage.router.address, sender=account("payer"), value=1)
    assert computation.is_error


# ------------------------------------------------------------------------------------------- liquidity


def test_liquidity_goes_into_a_pair_in_proportion_and_out_again(stage):
    pair = stage.pools["pair", "ether", "dollars"]
    stage.give("dollars", 10_000 * WHOLE)
    first, second = (
        (WHOLE, 9_000 * WHOLE) if pair.token0() == stage.tokens["ether"].address else (9_000 * WHOLE, WHOLE)
    )
    add = stage.router.add_liquidity
    with boa.reverts("less than the minimum"):
        add(pair, first, second, 2**128, FOR_EVER, stage.trader, sender=stage.trader)
    with boa.reverts("deadline past"):
        add(pair, first, second, 0, boa.env.timestamp - 1, stage.trader, sender=stage.trader)
    shares = add(pair, first, second, 1, FOR_EVER, stage.trader, sender=stage.trader)
    assert pair.balanceOf(stage.trader) == shares
    assert (stage.balance("ether"), stage.balance("dollars")) == (9 * WHOLE, 8_000 * WHOLE)
    pair.approve(stage.router, shares, sender=stage.trader)
    remove = stage.router.remove_liquidity
    with boa.reverts("less than the minimum"):
        remove(pair, shares, 2**128, 0, FOR_EVER, stage.trader, sender=stage.trader)
    with boa.reverts("deadline past"):
        remove(pair, shares, 0, 0, boa.env.timestamp - 1, stage.trader, sender=stage.trader)
    remove(pair, shares, 0, 0, FOR_EVER, stage.trader, sender=stage.trader)
    assert 0 <= 10 * WHOLE - stage.balance("ether") <= 2
    assert 0 <= 10_000 * WHOLE - stage.balance("dollars") <= 10_000
    assert stage.left_in_router() == 0


def test_the_first_liquidity_sets_the_proportion(stage):
    pair = create_pair(stage.factory, stage.tokens["dollars"], stage.tokens["euros"])
    stage.give("dollars", 5 * WHOLE)
    stage.give("euros", 5 * WHOLE)
    stage.router.add_liquidity(pair, WHOLE, 4 * WHOLE, 1, FOR_EVER, stage.trader, sender=stage.trader)
    assert tuple(pair.getReserves())[:2] == (WHOLE, 4 * WHOLE)
