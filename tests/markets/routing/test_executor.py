# SPDX-License-Identifier: Apache-2.0
"""Plans carried out by the router on a real node: what was planned arrives to the unit."""

import pytest

from koinon.chain import artifacts
from koinon.chain.contract import Call
from koinon.errors import BadInput, NotFound
from koinon.markets.api import Markets
from koinon.markets.routing.executor import Executor, batches
from koinon.markets.routing.flows import Hop
from koinon.markets.routing.plan import Step
from koinon.markets.routing.pools import PairPool, StablePool, WeightedPool
from koinon.markets.tokens import balance_of
from tests.markets.test_pairs import new_token

ETHER, DOLLAR = 10**18, 10**6


@pytest.fixture
def provider(new_account):
    return new_account()


@pytest.fixture
def arbitrageur(new_account):
    return new_account()


@pytest.fixture
def tokens(chain, provider):
    return [new_token(chain, provider, *each) for each in (("tETH", 18), ("tUSD", 6), ("tEUR", 6))]


@pytest.fixture
def triangle(chain, provider, tokens):
    """Three pairs around three tokens, out of line by 5 %."""
    markets, (ether, dollars, euros) = Markets(chain), tokens
    markets.provide(provider, ether, 100 * ETHER, dollars, 200_000 * DOLLAR)
    markets.provide(provider, ether, 100 * ETHER, euros, 180_000 * DOLLAR)
    markets.provide(provider, euros, 90_000 * DOLLAR, dollars, 105_000 * DOLLAR)
    return [
        markets.pairs.find(a.address, b.address)
        for a, b in ((ether, dollars), (ether, euros), (euros, dollars))
    ]


def own(executor, addresses):
    """The executor's pools, without those of other tests."""
    read = executor.pools

    def pools():
        return [pool for pool in read() if pool.address in addresses]

    executor.pools = pools
    return executor


def new_pool(chain, provider, kind, first, second, amounts, *arguments):
    (first, amount0), (second, amount1) = sorted(
        zip((first, second), amounts, strict=True), key=lambda each: int(each[0].address, 16)
    )
    sender = chain.sender(provider)
    code = artifacts.load(kind).creation(first.address, second.address, *arguments)
    pool = chain.contract(kind, sender.send(Call(None, code)).contract_address)
    for token in (first, second):
        sender.send(chain.contract("Coin", token.address).transaction("approve", pool.address, 2**200))
    sender.send(pool.transaction("add_liquidity", amount0, amount1, 0, provider.address))
    return pool.address


def test_pools_out_of_line_are_brought_in_line_and_the_profit_arrives_to_the_unit(
    chain, arbitrageur, tokens, triangle
):
    executor = own(Executor(chain), triangle)
    dollars = tokens[1].address
    plan = executor.plan_arbitrage({dollars: 1.0})
    assert plan.profit > 10 * DOLLAR
    assert plan.share > 0.99
    done = executor.execute(arbitrageur, plan)
    assert done.as_planned
    assert done.local
    assert balance_of(chain, dollars, arbitrageur.address) == done.brought[dollars] == plan.value
    assert executor.plan_arbitrage({dollars: 1.0}).value < plan.value / 1_000


def test_two_pools_of_one_pair_are_brought_in_line_whatever_their_kind(chain, provider, arbitrageur, tokens):
    markets, (ether, dollars, euros) = Markets(chain), tokens
    pair, _ = markets.provide(provider, ether, 100 * ETHER, dollars, 200_000 * DOLLAR)
    even, _ = markets.provide(provider, euros, 50_000 * DOLLAR, dollars, 54_000 * DOLLAR)
    weight0 = 80 if int(ether.address, 16) < int(dollars.address, 16) else 20
    held = (80 * ETHER, 42_000 * DOLLAR)
    weighted = new_pool(chain, provider, "WeightedPool", ether, dollars, held, weight0, 1_000)
    stable = new_pool(
        chain, provider, "StablePool", euros, dollars, (50_000 * DOLLAR, 50_000 * DOLLAR), 100, 400
    )
    executor = own(Executor(chain, [weighted, stable]), {pair.address, even.address, weighted, stable})
    kinds = {pool.address: type(pool) for pool in executor.pools()}
    assert kinds == {
        pair.address: PairPool,
        even.address: PairPool,
        weighted: WeightedPool,
        stable: StablePool,
    }
    chain.sender(provider).send(
        chain.contract("Coin", dollars.address).transaction("transfer", arbitrageur.address, 100_000 * DOLLAR)
    )
    plan = executor.plan_arbitrage({dollars.address: 1.0})
    done = executor.execute(arbitrageur, plan)
    assert done.as_planned, done.refused
    assert done.brought[dollars.address] == plan.value > 0
    assert plan.share > 0.99
    assert executor.plan_arbitrage({dollars.address: 1.0}).value < plan.value / 100


def test_an_order_is_split_and_brings_what_was_planned(chain, provider, tokens, triangle):
    executor = own(Executor(chain), triangle)
    ether, dollars, _ = tokens
    before = balance_of(chain, dollars.address, provider.address)
    plan = executor.plan_order(ether.address, dollars.address, 10 * ETHER)
    assert len(plan.steps) == 2
    done = executor.execute(provider, plan)
    assert done.as_planned
    assert balance_of(chain, dollars.address, provider.address) - before == plan.value
    again = executor.plan_order(ether.address, dollars.address, ETHER // 1_000)
    assert len(executor.execute(provider, again).transactions) == 1


def test_a_plan_that_has_grown_old_is_refused_and_costs_nothing(
    chain, arbitrageur, provider, tokens, triangle
):
    executor = own(Executor(chain), triangle)
    dollars = tokens[1].address
    plan = executor.plan_arbitrage({dollars: 1.0})
    executor.execute(provider, plan)
    late = executor.execute(arbitrageur, plan)
    assert late.refused
    assert (late.carried_out, late.transactions, late.gas_used, dict(late.brought)) == (0, (), 0, {})
    assert not late.as_planned


def test_it_keeps_pools_in_line_as_long_as_it_is_told_to(chain, arbitrageur, provider, tokens, triangle):
    executor = own(Executor(chain), triangle)
    ether, dollars, _ = tokens
    markets = Markets(chain)
    moves: list[int] = []

    def go_on():
        if len(moves) == 2:
            return False
        moves.append(1)
        if len(moves) == 1:
            hops, _ = markets.quote(ether, dollars, 5 * ETHER)
            markets.swap(provider, hops, 5 * ETHER, 1)
        return True

    done = list(executor.keep_in_line(arbitrageur, {dollars.address: 1.0}, least=1.0 * DOLLAR, go_on=go_on))
    assert len(done) == 2
    earned = sum(each.brought[dollars.address] for each in done)
    assert balance_of(chain, dollars.address, arbitrageur.address) == earned > 0


def test_gas_that_costs_more_than_it_brings_leaves_pools_alone(chain, tokens, triangle):
    executor = own(Executor(chain), triangle)
    assert executor.plan_arbitrage({tokens[1].address: 1.0}, eth_price=1e9).steps == ()


def test_what_is_not_a_pool_is_refused(chain, tokens):
    with pytest.raises(BadInput) as fault:
        Executor(chain, [tokens[0].address]).pools()
    assert fault.value.code == "markets.not_a_pool"


def test_no_way_between_tokens_is_said(chain, provider, tokens, triangle):
    lonely = new_token(chain, provider, "tONE", 18)
    with pytest.raises(NotFound):
        Executor(chain).plan_order(lonely.address, tokens[1].address, 5)


def test_one_transaction_takes_sixteen_steps_of_the_same_ends():
    steps = [Step("A", "A", (Hop(0, 0), Hop(1, 1)), 1, 2)] * 20 + [Step("A", "B", (Hop(0, 0),), 1, 2)]
    assert [len(each) for each in batches(steps)] == [16, 4, 1]
