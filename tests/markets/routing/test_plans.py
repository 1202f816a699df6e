# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput, NotFound
from koinon.markets.routing.arbitrage import arbitrage
from koinon.markets.routing.books import Books, largest
from koinon.markets.routing.cycles import best_amount, disjoint_cycles, short_cycles
from koinon.markets.routing.flows import MOST_HOPS
from koinon.markets.routing.gas import after_gas
from koinon.markets.routing.orders import MOST_PATHS, order
from koinon.markets.routing.plan import gains
from koinon.markets.routing.pools import PairPool
from tests.markets.routing.support import KINDS, random_pools


def pairs(count, tokens, **options):
    """Random pairs alone, and prices."""
    pools, prices = random_pools(count, tokens, **options)
    return [pool for pool in pools if isinstance(pool, PairPool)], prices


def replayed(plan):
    """What a plan's steps really bring, from the pools as they were."""
    books = Books(plan.pools)
    for step in plan.steps:
        assert books.swap(step.hops, step.amount_in) == step.amount_out
    return gains(plan.steps)


@settings(max_examples=4)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 15),
    st.integers(2, 8),
    st.sampled_from([0.0, 0.01, 1.0]),
    st.booleans(),
    st.sampled_from([0.0, 1e-9]),
)
def test_a_plan_brings_what_it_says_and_takes_from_nobody(seed, count, tokens, apart, one_coin, gas_price):
    pools, prices = random_pools(count, tokens, seed=seed, apart=apart, kinds=KINDS)
    worth = {"T0": prices["T0"]} if one_coin else prices
    plan = arbitrage(pools, worth, gas_price=gas_price)
    brought = replayed(plan)
    assert all(amount >= 0 for amount in brought.values())
    assert plan.value == pytest.approx(sum(amount * worth.get(token, 0) for token, amount in brought.items()))
    assert plan.value <= plan.predicted * (1 + 1e-6) + 1e-9
    assert plan.profit >= 0
    for step in plan.steps:
        assert len(step.hops) <= MOST_HOPS
        if step.cycle and not one_coin:
            assert (step.amount_out - step.amount_in) * prices[step.token_in] > gas_price * step.gas


@pytest.mark.parametrize("one_coin", [True, False])
def test_nearly_all_of_the_optimum_is_really_earned(one_coin):
    pools, prices = random_pools(100, 12, seed=1)
    plan = arbitrage(pools, {"T0": prices["T0"]} if one_coin else prices)
    replayed(plan)
    assert plan.share >= 0.99


def test_gas_drops_what_does_not_pay_for_it():
    pools, prices = random_pools(60, 10, seed=2)
    free, dear = arbitrage(pools, prices), arbitrage(pools, prices, gas_price=1e-6)
    assert len(dear.steps) < len(free.steps)
    assert 0 < dear.profit < free.value
    assert arbitrage(pools, prices, gas_price=1.0).steps == ()


def test_pools_in_line_leave_nothing_to_do():
    pools, prices = random_pools(40, 8, seed=3, apart=0.0)
    plan = arbitrage(pools, prices)
    assert plan.steps == ()
    assert plan.share == 1


def test_what_arbitrage_leaves_is_in_line():
    pools, prices = random_pools(60, 8, seed=4)
    plan = arbitrage(pools, prices)
    books = Books(plan.pools)
    for step in plan.steps:
        books.swap(step.hops, step.amount_in)
    assert arbitrage(books.pools, prices).value < 0.01 * plan.value


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1))
def test_it_earns_at_least_the_best_single_cycle_and_all_disjoint_ones(seed):
    pools, prices = pairs(40, 6, seed=seed)
    plan = arbitrage(pools, prices)
    greedy = disjoint_cycles(pools, prices)
    replayed(greedy)
    assert plan.value >= greedy.value * (1 - 1e-9)
    for hops in short_cycles(pools):
        start = pools[hops[0].pool].tokens[hops[0].coin_in]
        assert plan.value >= best_amount(pools, hops)[1] * prices[start]


def test_the_closed_form_is_the_best_amount_of_a_cycle():
    pools, _ = pairs(30, 4, seed=7, apart=0.05)
    paying = 0
    for hops in short_cycles(pools):
        amount, gain = best_amount(pools, hops)
        if gain > 0:
            paying += 1
            books = Books(pools)
            assert books.quote(hops, amount) - amount == pytest.approx(gain, rel=1e-9)
            best = books.best_size(hops, 4 * amount)
            assert books.quote(hops, best) - best == pytest.approx(gain, rel=1e-9)
    assert paying


@settings(max_examples=4)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 10**6, 10**18, 10**22]), st.integers(1, 15))
def test_an_order_brings_at_least_its_best_single_path(seed, amount, count):
    pools, _ = random_pools(count, 4, seed=seed, kinds=KINDS)
    single, _ = Books(pools).best_path("T1", "T0", amount)
    if not single:
        with pytest.raises(NotFound):
            order(pools, "T1", "T0", amount)
        return
    plan = order(pools, "T1", "T0", amount)
    assert replayed(plan) == {"T1": -amount, "T0": plan.value}
    assert plan.value >= single
    assert plan.value <= plan.predicted * (1 + 1e-9)
    assert len(plan.steps) <= MOST_PATHS


def test_an_order_through_pools_in_line_gets_nearly_the_convex_optimum():
    pools, prices = random_pools(60, 6, seed=1, apart=1e-4)
    plan = order(pools, "T1", "T0", int(1e4 / prices["T1"]))
    assert plan.share > 0.98
    assert len(plan.steps) > 2


def test_dear_gas_makes_an_order_take_fewer_paths():
    pools, prices = random_pools(60, 6, seed=1, apart=1e-4)
    amount = int(1e3 / prices["T1"])
    assert len(order(pools, "T1", "T0", amount, gas_price=1e-4 / prices["T0"]).steps) == 1


def test_one_pool_that_is_there_twice_shares_an_order():
    pools = [PairPool(name, ("A", "B"), (10**20, 10**20)) for name in ("1", "2")]
    plan = order(pools, "A", "B", 10**19)
    assert [step.amount_in for step in plan.steps] == [5 * 10**18, 5 * 10**18]


@pytest.mark.parametrize(("token_in", "token_out", "amount"), [("A", "A", 5), ("A", "B", 0), ("A", "B", -1)])
def test_what_is_no_order_is_refused(token_in, token_out, amount):
    with pytest.raises(BadInput):
        order([PairPool("1", ("A", "B"), (10, 10))], token_in, token_out, amount)


def test_tokens_without_a_path_have_no_route():
    pools = [PairPool("1", ("A", "B"), (10**9, 10**9)), PairPool("2", ("C", "D"), (10**9, 10**9))]
    with pytest.raises(NotFound):
        order(pools, "A", "D", 1000)


def test_the_largest_of_a_concave_function_is_found():
    for top in (0, 1, 7, 10**9, 10**30):

        def gain(amount, top=top):
            return -((amount - top) ** 2)

        assert largest(gain, 3 * top + 5) == top


def test_dust_and_empty_pools_do_no_harm():
    pools, prices = random_pools(20, 4, seed=9)
    odd = [
        PairPool("empty", ("T0", "T1"), (0, 0)),
        PairPool("half", ("T0", "T2"), (0, 10**18)),
        PairPool("dust", ("T0", "T1"), (1, 1)),
        PairPool("more dust", ("T2", "T1"), (3, 10**6)),
    ]
    plain, with_odd = arbitrage(pools, prices), arbitrage([*pools, *odd], prices)
    replayed(with_odd)
    assert with_odd.value == pytest.approx(plain.value, rel=1e-3)
    assert np.isfinite(with_odd.predicted)


ETHER, DOLLAR = 10**18, 10**6
TRIANGLE = [
    PairPool("a", ("ether", "dollar"), (100 * ETHER, 200_000 * DOLLAR)),
    PairPool("b", ("ether", "euro"), (100 * ETHER, 180_000 * DOLLAR)),
    PairPool("c", ("euro", "dollar"), (90_000 * DOLLAR, 105_000 * DOLLAR)),
]
"""Out of line by 5 %."""


@pytest.mark.parametrize(
    "others",
    [
        # Nothing leads there; sizes of other tests' pools, at which the plan came to nothing.
        [("x", "y", 10**30, 10**28), ("p", "q", 10**3, 10**24)],
        # A token in one pool alone leads nowhere either.
        [("dollar", "x", 10**3, 10**31), ("ether", "y", 10**12, 10**33), ("y", "z", 10**30, 10**30)],
        # Rings of tokens of somebody's own, at absurd prices.
        [
            *(("dollar", "x", 30, 2 * 10**31), ("euro", "x", 10**3, 9 * 10**13)),
            *(("euro", "y", 3 * 10**5, 8), ("ether", "y", 10**12, 6 * 10**17)),
            *(("euro", "z", 8 * 10**7, 10**10), ("ether", "z", 2 * 10**7, 3 * 10**4)),
        ],
        [
            *(("euro", "x", 9 * 10**4, 2 * 10**17), ("ether", "x", 5 * 10**7, 7 * 10**17)),
            *(("ether", "y", 3 * 10**4, 10**30), ("dollar", "y", 10**5, 10**10)),
            *(("ether", "z", 6 * 10**7, 3 * 10**12), ("dollar", "z", 2 * 10**6, 3 * 10**16)),
        ],
    ],
    ids=["elsewhere", "dead ends", "rings", "other rings"],
)
def test_pools_that_anyone_may_make_hide_no_profit(others):
    alone = arbitrage(TRIANGLE, {"dollar": 1.0})
    assert alone.value > 20 * DOLLAR
    made = [PairPool(str(at), (a, b), (x, y)) for at, (a, b, x, y) in enumerate(others)]
    for pools in ([*TRIANGLE, *made], [*made, *TRIANGLE]):
        plan = arbitrage(pools, {"dollar": 1.0})
        replayed(plan)
        assert plan.value >= 0.99 * alone.value


@pytest.mark.parametrize("gas_price", [1e-9, 1e-7, 1e-6, 1.0])
def test_one_plan_serves_every_price_of_gas(gas_price):
    pools, prices = random_pools(100, 12, seed=1)
    free = arbitrage(pools, {"T0": 1.0})
    plan = after_gas(free, "T0", gas_price / prices["T0"])
    replayed(plan)
    assert plan.profit >= 0
    assert plan.value <= free.value
    anew = arbitrage(pools, {"T0": 1.0}, gas_price=gas_price / prices["T0"])
    assert plan.profit >= 0.75 * anew.profit, "most of what planning anew would bring"
    assert len(plan.steps) <= len(free.steps)


def test_without_a_price_of_gas_the_plan_stays_as_it_is():
    pools, _prices = random_pools(60, 10, seed=2)
    free = arbitrage(pools, {"T0": 1.0})
    assert after_gas(free, "T0", 0.0).steps == free.steps
