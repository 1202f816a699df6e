# SPDX-License-Identifier: Apache-2.0
import pytest

from koinon.errors import BadInput
from koinon.markets.depth import best_price, depth_curve, pool_depth, route_depth, withdrawable
from koinon.markets.routing.pools import PairPool, StablePool, WeightedPool
from tests.markets.routing.support import random_pools

PAIR = PairPool("pair", ("A", "B"), (10**21, 2 * 10**21))
POOLS = [
    PAIR,
    WeightedPool("weighted", ("A", "B"), (10**21, 2 * 10**21), 80, 2_500),
    StablePool("stable", ("A", "B"), (10**21, 12 * 10**20), 100, (1, 1), 400),
]


@pytest.mark.parametrize("fall", [0.001, 0.02, 0.5, 0.99])
def test_a_pairs_depth_is_the_closed_form(fall):
    expected = PAIR.reserves[0] * ((1 - fall) ** -0.5 - 1) / 0.997
    assert pool_depth(PAIR, 0, fall).amount == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.address)
@pytest.mark.parametrize("coin_in", [0, 1])
def test_after_a_pools_depth_its_price_has_fallen_by_that(pool, coin_in):
    small = 10**14
    found = pool_depth(pool, coin_in, 0.05)
    before = pool.amount_out(coin_in, small)
    after = pool.after(coin_in, int(found.amount)).amount_out(coin_in, small)
    assert after / before == pytest.approx(0.95, rel=1e-3)  # the fee stays, and counts a little
    assert pool.amount_out(coin_in, int(found.amount)) == pytest.approx(found.brings, rel=1e-9)


def test_one_pools_route_is_as_deep_as_the_pool_and_two_like_it_twice():
    once, alone = route_depth([PAIR], "A", "B", 0.02), pool_depth(PAIR, 0, 0.02)
    twice = route_depth([PAIR, PairPool("other", ("A", "B"), PAIR.reserves)], "A", "B", 0.02)
    assert once.amount == pytest.approx(alone.amount, rel=1e-5)
    assert twice.amount == pytest.approx(2 * alone.amount, rel=1e-5)


def test_a_curve_grows_deeper_and_dearer():
    pools, _ = random_pools(30, 6, seed=1, apart=0.002)
    curve = depth_curve(pools, "T1", "T0", (0.01, 0.05, 0.2))
    assert curve[0].amount < curve[1].amount < curve[2].amount
    assert curve[0].price > curve[1].price > curve[2].price
    assert curve[0].price <= best_price(pools, "T1", "T0")


def test_what_can_be_withdrawn_sells_for_just_the_slippage_allowed():
    found = withdrawable([PAIR], "A", "B", 0.02)
    first = best_price([PAIR], "A", "B")
    assert found.price == pytest.approx(first * 0.98, rel=1e-4)
    assert PAIR.amount_out(0, int(found.amount)) / found.amount == pytest.approx(first * 0.98, rel=1e-4)
    less = withdrawable([PAIR], "A", "B", 0.02, amount=10**18)
    assert less.amount == pytest.approx(10**18, rel=0.02)


@pytest.mark.parametrize("slippage", [1e-2, 1e-4, 1e-6, 1e-7])
def test_however_little_a_price_may_give_way_it_is_exact(slippage):
    """Of a constant product the average price falls by s after s / (1 - s) of the reserve, less the fee."""
    due = PAIR.reserves[0] * slippage / (1 - slippage) / (1 - PAIR.fee_ppm / 1e6)
    assert withdrawable([PAIR], "A", "B", slippage).amount == pytest.approx(due, rel=1e-3)


@pytest.mark.parametrize("share", [1e-3, 1e-6, 1e-8])
def test_a_small_position_is_found_to_a_part_of_itself(share):
    amount = PAIR.reserves[0] * share
    found = withdrawable([PAIR], "A", "B", 0.02, amount=amount)
    assert found.amount == pytest.approx(amount, rel=1e-3)
    assert found.amount <= amount


def test_without_a_route_there_is_no_depth():
    pools = [PAIR, PairPool("far", ("C", "D"), (10**18, 10**18)), PairPool("empty", ("B", "C"), (0, 0))]
    assert best_price(pools, "A", "C") == 0
    assert route_depth(pools, "A", "C", 0.1).amount == 0
    assert withdrawable(pools, "A", "C", 0.1).amount == 0
    assert pool_depth(pools[2], 0, 0.1).amount == 0


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0])
def test_what_is_no_share_is_refused(share):
    for ask in (
        lambda: pool_depth(PAIR, 0, share),
        lambda: route_depth([PAIR], "A", "B", share),
        lambda: withdrawable([PAIR], "A", "B", share),
    ):
        with pytest.raises(BadInput):
            ask()
