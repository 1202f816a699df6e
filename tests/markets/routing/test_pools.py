# SPDX-License-Identifier: Apache-2.0
"""Pools count as their contracts do, to the unit: Koinon's own, and Uniswap's bytecode."""

import boa
import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.markets.routing.arbitrage import arbitrage
from koinon.markets.routing.market import Listing
from koinon.markets.routing.pools import MOST_RESERVE, PairPool, StablePool, WeightedPool
from tests.contracts_support import account, deploy, fresh_chain
from tests.markets.contracts.support import deploy_tokens, deploy_uniswap_factory, uniswap

RESERVES = (3 * 10**21 + 7, 5 * 10**20 + 11)


@pytest.fixture(autouse=True)
def _chain():
    with fresh_chain():
        yield


def filled(kind, tokens, *arguments):
    pool, provider = deploy("markets", kind, *tokens, *arguments), account("provider")
    for token, amount in zip(tokens, RESERVES, strict=True):
        token.mint(provider, amount)
        token.approve(pool, amount, sender=provider)
    pool.add_liquidity(*RESERVES, 0, provider, sender=provider)
    return pool


def same_as(contract, ours, tokens, seed):
    for exponent in np.random.default_rng(seed).uniform(0, 24, 12):
        for coin_in in (0, 1):
            amount = int(10**exponent) + 1
            assert ours.amount_out(coin_in, amount) == contract.getAmountOut(amount, tokens[coin_in])


@pytest.mark.parametrize("weight0", [50, 80, 7])
def test_a_weighted_pool_gives_what_its_contract_gives(weight0):
    tokens = deploy_tokens(18, 18)
    contract = filled("WeightedPool", tokens, weight0, 2_500)
    ours = WeightedPool(contract.address, ("A", "B"), RESERVES, weight0, 2_500)
    same_as(contract, ours, tokens, weight0)


@pytest.mark.parametrize("amplification", [1, 200, 50_000])
def test_a_stable_pool_gives_what_its_contract_gives(amplification):
    tokens = deploy_tokens(18, 18)
    contract = filled("StablePool", tokens, amplification, 400)
    scales = (contract.scale0(), contract.scale1())
    ours = StablePool(contract.address, ("A", "B"), RESERVES, amplification, scales, 400)
    same_as(contract, ours, tokens, amplification)


def test_uniswaps_own_pair_pays_exactly_that_and_not_a_unit_more():
    factory, tokens, provider = deploy_uniswap_factory(), deploy_tokens(18, 18), account("provider")
    pair = uniswap("UniswapV2Pair", factory.createPair(*tokens))
    for token, amount in zip(tokens, RESERVES, strict=True):
        token.mint(pair, amount)
    pair.mint(provider)
    pool = PairPool(pair.address, ("A", "B"), RESERVES)
    source = np.random.default_rng(1)
    for _ in range(12):
        coin_in, amount = int(source.integers(2)), int(10 ** source.uniform(3, 22))
        out = pool.amount_out(coin_in, amount)
        tokens[coin_in].mint(pair, amount)
        with boa.reverts():
            pair.swap(*((0, out + 1) if coin_in == 0 else (out + 1, 0)), provider, b"")
        pair.swap(*((0, out) if coin_in == 0 else (out, 0)), provider, b"")
        pool = pool.after(coin_in, amount)
        assert tuple(pair.getReserves()[:2]) == pool.reserves


POOLS = [
    PairPool("pair", ("A", "B"), RESERVES),
    WeightedPool("weighted", ("A", "B"), RESERVES, 80, 2_500),
    StablePool("stable", ("A", "B"), RESERVES, 200, (1, 1), 400),
]


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.address)
def test_there_and_back_never_pays(pool):
    for amount in (1, 999, 10**15, 10**20, 10**24):
        out = pool.amount_out(0, amount)
        assert pool.after(0, amount).amount_out(1, out) <= amount


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.address)
def test_the_best_trade_is_best_beside_its_neighbours(pool):
    table = next(table for table in Listing.of([pool]).market.tables if len(table.coins))
    for shift in (-3.0, -0.5, 0.4, 2.0):
        prices = np.array([float(table.spot()[0]) + shift, 0.0])
        net = table.best(prices).net[0]
        coin_in = int(np.argmin(net))
        assert net[coin_in] < 0 < net[1 - coin_in]

        def gain(amount, coin_in=coin_in, prices=prices):
            out = pool.amount_out(coin_in, int(amount))
            return out * np.exp(prices[1 - coin_in]) - int(amount) * np.exp(prices[coin_in])

        best = gain(-net[coin_in])
        assert best == pytest.approx(float(net @ np.exp(prices)), rel=1e-6)
        for part in (0.9, 0.999, 1.001, 1.1):
            assert gain(-net[coin_in] * part) < best


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.address)
def test_nothing_comes_out_of_nothing_or_out_of_what_a_pool_cannot_hold(pool):
    assert pool.amount_out(0, 0) == 0
    assert pool.amount_out(1, -5) == 0
    assert pool.amount_out(0, MOST_RESERVE) == 0
    assert pool.after(0, MOST_RESERVE) == pool


@pytest.mark.parametrize(
    "make",
    [
        lambda: PairPool("1", ("A", "B"), (-1, 1)),
        lambda: PairPool("1", ("A", "B"), (1, 2**112)),
        lambda: PairPool("1", ("A", "A"), (1, 1)),
        lambda: PairPool("1", ("A", "B"), (1, 1), 1_000_000),
        lambda: WeightedPool("1", ("A", "B"), (1, 1), 100, 0),
        lambda: StablePool("1", ("A", "B"), (1, 1), 0, (1, 1), 0),
    ],
)
def test_what_is_no_pool_is_refused(make):
    with pytest.raises(BadInput):
        make()


def test_a_whole_plan_on_uniswaps_own_pairs_brings_what_it_says():
    factory, trader = deploy_uniswap_factory(), account("arbitrageur")
    tokens = deploy_tokens(18, 18, 18)
    source = np.random.default_rng(3)
    pools = []
    for first, second in ((0, 1), (0, 2), (1, 2)):
        pair = uniswap("UniswapV2Pair", factory.createPair(tokens[first], tokens[second]))
        reserves = (int(10**21 * source.uniform(0.9, 1.1)), int(10**21 * source.uniform(0.9, 1.1)))
        for token, amount in zip((tokens[first], tokens[second]), reserves, strict=True):
            token.mint(pair, amount)
        pair.mint(account("provider"))
        pools.append(PairPool(pair.address, (tokens[first].address, tokens[second].address), reserves))
    plan = arbitrage(pools, {token.address: 1.0 for token in tokens})
    assert plan.steps
    by_address = {token.address: token for token in tokens}
    for step in plan.steps:
        by_address[step.token_in].mint(plan.pools[step.hops[0].pool].address, step.amount_in)
        before, amount = by_address[step.token_out].balanceOf(trader), step.amount_in
        for hop, following in zip(step.hops, [*step.hops[1:], None], strict=True):
            pool = plan.pools[hop.pool]
            pair = uniswap("UniswapV2Pair", pool.address)
            amount = pool.holding(tuple(pair.getReserves()[:2])).amount_out(hop.coin_in, amount)
            to = trader if following is None else plan.pools[following.pool].address
            pair.swap(*((0, amount) if hop.coin_in == 0 else (amount, 0)), to, b"")
        assert by_address[step.token_out].balanceOf(trader) - before == step.amount_out
