# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.markets.routing.dual import optimum
from koinon.markets.routing.market import Listing
from koinon.markets.routing.pools import MOST_RESERVE, PairPool
from tests.markets.routing.support import KINDS, random_pools, with_clarabel


def problem(kind, listing, prices):
    """What is worth how much, and what is held: profit at all prices, profit in one coin, or an order."""
    tokens = listing.tokens
    if kind == "prices":
        return listing.numbered(prices), np.zeros(len(tokens))
    only = listing.numbered({tokens[0]: prices[tokens[0]]})
    if kind == "numeraire":
        return only, np.zeros(len(tokens))
    size = {"large": 1e5, "middle": 1e3, "small": 1.0}[kind]
    return only, listing.numbered({tokens[1]: size / prices[tokens[1]]})


@pytest.mark.parametrize("kind", ["prices", "numeraire", "large", "middle", "small"])
@pytest.mark.parametrize("pools", [("pair",), ("pair", "weighted")], ids="-".join)
def test_the_value_is_clarabels(kind, pools):
    found, prices = random_pools(40, 10, seed=3, kinds=pools)
    listing = Listing.of(found)
    worth, held = problem(kind, listing, prices)
    best = optimum(listing.market, worth, held)
    # Clarabel's power cones stop some 5e-6 short; ours is proven to rounding below.
    nearness = 1e-6 if pools == ("pair",) else 2e-5
    assert best.value == pytest.approx(with_clarabel(listing, worth, held), rel=nearness)


@pytest.mark.parametrize("kind", ["prices", "numeraire", "large", "middle", "small"])
def test_the_trades_prove_their_value_best_with_all_kinds_of_pools(kind):
    found, prices = random_pools(40, 8, seed=5, kinds=KINDS, apart=0.02)
    listing = Listing.of(found)
    worth, held = problem(kind, listing, prices)
    _check_certificate(listing, worth, held)


@settings(max_examples=6)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 25),
    st.integers(2, 12),
    st.sampled_from([0.0, 0.001, 0.02, 1.0, 5.0]),
    st.sampled_from([0, 100, 3_000, 100_000]),
    st.sampled_from(["prices", "numeraire", "large", "middle", "small"]),
)
def test_no_market_leaves_a_token_short_or_the_value_unproven(seed, count, tokens, apart, fee_ppm, kind):
    found, prices = random_pools(count, tokens, seed=seed, apart=apart, fee_ppm=fee_ppm, kinds=KINDS)
    listing = Listing.of(found, tuple(prices))
    worth, held = problem(kind, listing, prices)
    _check_certificate(listing, worth, held)


def _check_certificate(listing, worth, held):
    """Strong duality: trades that every pool takes, that leave no token short, and that earn the upper bound
    that their prices prove: to a millionth of what is traded, and as far as floats tell what pools hold."""
    best = optimum(listing.market, worth, held)
    left = held + np.bincount(listing.market.coins.ravel(), best.net.ravel(), len(worth))
    values = left * best.prices
    traded = (np.maximum(best.net, 0) * best.prices[listing.market.coins]).sum() + held @ best.prices
    reserves = np.array([pool.reserves for pool in listing.pools], dtype=np.float64)
    slack = 1e-6 * traded + 1e-10 * (reserves * best.prices[listing.market.coins]).sum()
    assert best.short * traded <= slack
    assert values.min() >= -slack
    reached = best.prices > 0
    assert np.all(best.prices[reached] >= worth[reached] * (1 - 1e-12))
    assert left @ worth == pytest.approx(best.value, rel=1e-6, abs=slack + 1e-300)
    for pool, net in zip(listing.pools, best.net, strict=True):
        if net.any():
            coin_in = int(np.argmin(net))
            paid = int(-net[coin_in] * (1 + 1e-9)) + 1
            full = pool.reserves[coin_in] + paid > MOST_RESERVE
            assert full or net[1 - coin_in] <= pool.amount_out(coin_in, paid) * (1 + 1e-9) + 1


def test_pools_in_line_give_no_free_lunch():
    found, prices = random_pools(50, 8, seed=1, apart=0.0)
    best = optimum(Listing.of(found).market, Listing.of(found).numbered(prices))
    assert best.value == 0
    assert not best.net.any()


def test_without_fees_all_pools_of_a_pair_end_at_one_price():
    pools = [
        PairPool("1", ("A", "B"), (10**20, 10**20), 0),
        PairPool("2", ("A", "B"), (10**20, 4 * 10**20), 0),
    ]
    listing = Listing.of(pools)
    best = optimum(listing.market, np.array([1e-18, 0.0]))
    after = [np.array(pool.reserves) - net for pool, net in zip(pools, best.net, strict=True)]
    assert after[0][0] / after[0][1] == pytest.approx(after[1][0] / after[1][1], rel=1e-9)
    assert best.net[:, 1].sum() == pytest.approx(0, abs=1e10)
    assert best.value > 0


@pytest.mark.parametrize("scale", [1e-15, 1e9])
def test_units_and_scale_change_nothing(scale):
    found, prices = random_pools(30, 6, seed=2)
    listing = Listing.of(found)
    worth = listing.numbered(prices)
    first = optimum(listing.market, worth)
    second = optimum(listing.market.in_units(np.full(len(worth), scale)), worth)
    assert second.value == pytest.approx(first.value * scale, rel=1e-9)


def test_a_pool_that_is_there_twice_gives_as_much_as_one_twice_as_large():
    base = PairPool("A", ("X", "Y"), (10**21, 10**21))
    cheap = (3 * 10**20, 2 * 10**20)
    twice = [base, PairPool("1", ("X", "Y"), cheap), PairPool("2", ("X", "Y"), cheap)]
    once = [base, PairPool("1", ("X", "Y"), (6 * 10**20, 4 * 10**20))]
    worth = np.array([1e-18, 1e-18])
    assert optimum(Listing.of(twice).market, worth).value == pytest.approx(
        optimum(Listing.of(once).market, worth).value, rel=1e-9
    )


@pytest.mark.parametrize(
    "reserves", [(1, 1), (1, 2**112 - 1), (2**112 - 1, 2**112 - 1), (10**6, 10**30)], ids=str
)
def test_huge_and_tiny_reserves_are_borne(reserves):
    found, prices = random_pools(20, 5, seed=4)
    listing = Listing.of([*found, PairPool("odd", ("T0", "T1"), reserves)])
    for kind in ("prices", "numeraire", "middle"):
        _check_certificate(listing, *problem(kind, listing, prices))


def test_tokens_out_of_reach_stay_where_they_are():
    pools = [
        PairPool("1", ("A", "B"), (10**20, 10**20)),
        PairPool("2", ("C", "D"), (10**20, 10**20)),
        PairPool("3", ("C", "D"), (10**20, 10**21)),
    ]
    listing = Listing.of(pools, ("A", "B", "C", "D", "E"))
    best = optimum(listing.market, np.array([1.0, 0, 0, 0, 0]), np.array([0, 0, 10.0**18, 0, 5.0]))
    assert best.value == 0
    assert not best.net.any()
    assert not best.prices[2:].any()


def test_a_market_without_pools_is_worth_what_is_held():
    listing = Listing.of([PairPool("empty", ("A", "B"), (0, 10))], ("A", "B"))
    assert listing.pools == ()
    assert optimum(listing.market, np.array([2.0, 0.0]), np.array([3.0, 7.0])).value == pytest.approx(6)


@pytest.mark.parametrize(
    ("worth", "held"),
    [
        ([0.0, 0], [0, 0]),
        ([-1.0, 1], [0, 0]),
        ([1.0], [0, 0]),
        ([1.0, np.nan], [0, 0]),
        ([1.0, 1], [0, -1.0]),
    ],
    ids=str,
)
def test_it_refuses_what_is_no_problem(worth, held):
    listing = Listing.of([PairPool("1", ("A", "B"), (10, 10))])
    with pytest.raises(BadInput):
        optimum(listing.market, np.array(worth), np.array(held))
