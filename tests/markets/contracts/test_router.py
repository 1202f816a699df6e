# SPDX-License-Identifier: Apache-2.0
"""Orders and arbitrage across pools: exact amounts, floors, and that nobody but the caller can lose."""

from __future__ import annotations

import pytest

from tests.bench_support import account, refused
from tests.markets.contracts.router_stage import FOR_EVER, make_stage, swap
from tests.markets.contracts.support import WHOLE, amount_out, uniswap_in, uniswap_pair_in


@pytest.fixture
def stage():
    made = make_stage()
    made.give("ether", 10 * WHOLE)
    return made


# ------------------------------------------------------------------------------------------- orders


def test_an_order_goes_through_all_kinds_of_pools_and_pays_what_was_quoted(stage):
    path = stage.path("ether", "weighted", "dollars", "stable", "euros", "pair", "ether", "pair", "dollars")
    quoted = stage.router.quote(path, WHOLE)
    receiver = account("receiver")
    assert swap(stage, path, WHOLE, quoted, to=receiver) == quoted
    assert stage.balance("dollars", receiver) == quoted
    assert stage.balance("ether") == 9 * WHOLE
    assert stage.left_in_router() == 0
    (event,) = stage.router.events("Routed")
    assert (event["amount_in"], event["amount_out"], event["to"]) == (WHOLE, quoted, receiver)


def test_uniswaps_own_pairs_are_hops_like_ours(stage):
    ether, dollars = stage.tokens["ether"], stage.tokens["dollars"]
    pair = uniswap_pair_in(stage.bench, uniswap_in(stage.bench).createPair(ether, dollars))
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
    with refused("less than the minimum"):
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
        (lambda: swap(stage, path, WHOLE, deadline=stage.bench.timestamp - 1), "deadline past"),
        (lambda: split([], 0, stage.bench.timestamp - 1, stage.trader), "deadline past"),
        (lambda: swap(stage, path, WHOLE, to=stage.router), "the router keeps nothing"),
        (lambda: swap(stage, [], WHOLE), "no hops"),
        (lambda: stage.router.quote([], WHOLE), "no hops"),
        (lambda: swap(stage, broken, WHOLE), "hops do not meet"),
        (lambda: split([], 0, FOR_EVER, stage.trader), "no routes"),
        (lambda: split([(1, [])], 0, FOR_EVER, stage.trader), "no hops"),
        (
            lambda: split([(0, path), (0, path[1:])], 0, FOR_EVER, stage.trader),
            "UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT",
        ),
        (lambda: swap(stage, path, 11 * WHOLE), ""),
        (lambda: swap(stage, path, WHOLE, sender=account("stranger")), ""),
    ):
        with refused(reason):
            call()
    other_end = [(WHOLE, path), (WHOLE, path[:1])]
    with refused("routes end differently"):
        split(other_end, 0, FOR_EVER, stage.trader, sender=stage.trader)
    stage.give("dollars", WHOLE)
    other_start = [(WHOLE, path), (WHOLE, path[1:])]
    with refused("routes begin differently"):
        split(other_start, 0, FOR_EVER, stage.trader, sender=stage.trader)


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
    with refused("profit below the floor"):
        loose.router.arbitrage(cycles, predicted + 1, ether, sender=arbitrageur)
    assert loose.router.arbitrage(cycles, predicted, ether, sender=arbitrageur) == predicted
    assert loose.balance("ether", arbitrageur) == predicted
    assert loose.left_in_router() == 0
    assert loose.router.events("Arbitraged") == [{"sender": arbitrageur, "token": ether, "profit": predicted}]


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
        with refused(reason):
            loose.router.arbitrage(cycles, 0, token, sender=loose.trader)


def test_what_is_left_in_the_router_by_mistake_is_the_next_arbitrageurs(loose):
    loose.tokens["ether"].mint(loose.router, 7)
    cycles = [cycle_of(loose, WHOLE, *CYCLE, flash=True)]
    loose.router.arbitrage(cycles, 0, loose.tokens["ether"].address, sender=account("arbitrageur"))
    assert loose.left_in_router() == 0


# ------------------------------------------------------------------------------------------- liquidity


def test_liquidity_goes_into_a_pair_in_proportion_and_out_again(stage):
    pair = stage.pools["pair", "ether", "dollars"]
    stage.give("dollars", 10_000 * WHOLE)
    first, second = (
        (WHOLE, 9_000 * WHOLE) if pair.token0() == stage.tokens["ether"].address else (9_000 * WHOLE, WHOLE)
    )
    add = stage.router.add_liquidity
    least = (min(first, 2_000 * WHOLE), min(second, 2_000 * WHOLE))
    with refused("less than the minimum"):
        add(pair, first, second, *least, 2**128, FOR_EVER, stage.trader, sender=stage.trader)
    for minimums in ((least[0] + 1, 0), (0, least[1] + 1)):
        with refused("the price has moved"):
            add(pair, first, second, *minimums, 0, FOR_EVER, stage.trader, sender=stage.trader)
    with refused("deadline past"):
        add(pair, first, second, 0, 0, 0, stage.bench.timestamp - 1, stage.trader, sender=stage.trader)
    shares = add(pair, first, second, *least, 1, FOR_EVER, stage.trader, sender=stage.trader)
    assert pair.balanceOf(stage.trader) == shares
    assert (stage.balance("ether"), stage.balance("dollars")) == (9 * WHOLE, 8_000 * WHOLE)
    pair.approve(stage.router, shares, sender=stage.trader)
    remove = stage.router.remove_liquidity
    with refused("less than the minimum"):
        remove(pair, shares, 2**128, 0, FOR_EVER, stage.trader, sender=stage.trader)
    with refused("deadline past"):
        remove(pair, shares, 0, 0, stage.bench.timestamp - 1, stage.trader, sender=stage.trader)
    remove(pair, shares, 0, 0, FOR_EVER, stage.trader, sender=stage.trader)
    assert 0 <= 10 * WHOLE - stage.balance("ether") <= 2
    assert 0 <= 10_000 * WHOLE - stage.balance("dollars") <= 10_000
    assert stage.left_in_router() == 0


def test_the_first_liquidity_sets_the_proportion(stage):
    pair = stage.create_pair(stage.tokens["dollars"], stage.tokens["euros"])
    stage.give("dollars", 5 * WHOLE)
    stage.give("euros", 5 * WHOLE)
    stage.router.add_liquidity(
        pair, WHOLE, 4 * WHOLE, WHOLE, 4 * WHOLE, 1, FOR_EVER, stage.trader, sender=stage.trader
    )
    assert tuple(pair.getReserves())[:2] == (WHOLE, 4 * WHOLE)
