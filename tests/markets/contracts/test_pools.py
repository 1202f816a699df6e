# SPDX-License-Identifier: Apache-2.0
"""Stable and weighted pools: their prices beside 150 digits, rounding for the pool, refusals, odd tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import boa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from koinon.chain import codec
from koinon.chain.hashing import keccak256
from tests.contracts_support import NOBODY, account, deploy, fresh_chain
from tests.markets.contracts.pool_reference import stable_invariant, stable_out, weighted_out
from tests.markets.contracts.support import MINIMUM_LIQUIDITY, WHOLE, deploy_tokens, market_mock

FEE_PPM = 400
RESERVES = st.integers(1_001, 10**9) | st.integers(1, 10**10).map(lambda whole: whole * 10**15)
QUICK = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
EPSILON = Decimal("1e-60")
"""What bisection may leave below a whole root."""


@pytest.fixture(autouse=True)
def chain():
    with fresh_chain():
        yield


def make_pool(kind: str, number: int, *decimals: int, fee_ppm: int = FEE_PPM) -> tuple[Any, list[Any]]:
    tokens = deploy_tokens(*decimals)
    name = "StablePool" if kind == "stable" else "WeightedPool"
    return deploy("markets", name, *(token.address for token in tokens), number, fee_ppm), tokens


def fund(pool, tokens, amounts, role="provider"):
    provider = account(role)
    for token, amount in zip(tokens, amounts, strict=True):
        token.mint(provider, amount)
        token.approve(pool, amount, sender=provider)
    return pool.add_liquidity(*amounts, 0, provider, sender=provider)


@pytest.fixture(params=[("stable", 100), ("weighted", 80)], ids=["stable", "weighted"])
def stage(request):
    pool, tokens = make_pool(*request.param, 18, 18)
    fund(pool, tokens, (1_000 * WHOLE, 1_200 * WHOLE))
    return pool, tokens


# ------------------------------------------------------------------------------------------- prices


STABLE = [(1, 18, 18), (7, 18, 6), (200, 6, 6), (5_000, 18, 18)]
WEIGHTED = (1, 20, 50, 73, 99)


def set_reserves(pool, tokens, reserves):
    for token, reserve in zip(tokens, reserves, strict=True):
        token.set_balance(pool, reserve)
    pool.sync()


def test_a_stable_pool_pays_what_the_invariant_allows_rounded_down():
    """Balances in thousandths of a coin."""
    pools = [
        (a, *make_pool("stable", a, *places, fee_ppm=fee)) for (a, *places) in STABLE for fee in (0, 100)
    ]

    @given(
        made=st.sampled_from(pools),
        balances=st.tuples(st.integers(10**3, 10**9), st.integers(10**3, 10**9)),
        amount=st.integers(1, 10**9),
    )
    @QUICK
    def check(made, balances, amount):
        a, pool, tokens = made
        units = [10 ** (token.decimals() - 3) for token in tokens]
        reserves = tuple(balance * unit for balance, unit in zip(balances, units, strict=True))
        set_reserves(pool, tokens, reserves)
        scales = tuple(10 ** (18 - token.decimals()) for token in tokens)
        exact = stable_invariant(reserves[0] * scales[0], reserves[1] * scales[1], a)
        assert exact - 1 <= pool.invariant_D() <= exact + 16
        paid = amount * units[0]
        due = stable_out(paid, reserves, scales, a, pool.fee_ppm())
        least = stable_out(paid, reserves, scales, a, pool.fee_ppm(), raised=18)
        assert int(least) - 2 <= pool.getAmountOut(paid, tokens[0]) <= due + EPSILON

    check()


def test_a_weighted_pool_pays_what_the_formula_allows_rounded_down():
    pools = [(weight, *make_pool("weighted", weight, 18, 18)) for weight in WEIGHTED]

    @given(
        made=st.sampled_from(pools),
        reserves=st.tuples(RESERVES, RESERVES),
        amount=RESERVES,
        side=st.integers(0, 1),
    )
    @QUICK
    def check(made, reserves, amount, side):
        weight, pool, tokens = made
        set_reserves(pool, tokens, reserves)
        ordered = reserves if side == 0 else reserves[::-1]
        due = weighted_out(amount, ordered, weight if side == 0 else 100 - weight, FEE_PPM)
        paid = pool.getAmountOut(amount, tokens[side])
        assert paid <= due + EPSILON
        assert int(due) - paid <= 2 + ordered[1] // 2**95
        assert paid < ordered[1]

    check()


def test_there_is_no_free_profit_in_a_round_trip_however_often(stage):
    pool, tokens = stage
    trader = account("trader")
    tokens[0].mint(trader, 50 * WHOLE)
    for token in tokens:
        token.approve(pool, 2**256 - 1, sender=trader)
    start = tokens[0].balanceOf(trader)
    for part in (1, 999, 10**9, WHOLE, 40 * WHOLE):
        got = pool.swap_exact(tokens[0], part, 0, trader, sender=trader) if part > 999 else 0
        if got:
            pool.swap_exact(tokens[1], got, 0, trader, sender=trader)
    assert tokens[0].balanceOf(trader) < start
    assert tokens[1].balanceOf(trader) == 0


def test_a_swap_pays_what_was_quoted_and_books_it(stage):
    pool, tokens = stage
    trader, receiver = account("trader"), account("receiver")
    tokens[1].mint(trader, WHOLE)
    tokens[1].approve(pool, WHOLE, sender=trader)
    quoted = pool.getAmountOut(WHOLE, tokens[1])
    assert pool.swap_exact(tokens[1], WHOLE, quoted, receiver, sender=trader) == quoted
    assert tokens[0].balanceOf(receiver) == quoted
    assert tuple(pool.reserves()) == (1_000 * WHOLE - quoted, 1_201 * WHOLE)
    assert [token.balanceOf(pool) for token in tokens] == list(pool.reserves())


# ------------------------------------------------------------------------------------------- liquidity


def test_liquidity_comes_in_and_goes_out_in_proportion(stage):
    pool, tokens = stage
    shares = fund(pool, tokens, (100 * WHOLE, 500 * WHOLE), "late provider")
    late = account("late provider")
    assert tokens[0].balanceOf(late) == 0
    assert tokens[1].balanceOf(late) == pytest.approx(380 * WHOLE, rel=1e-12)
    out = pool.remove_liquidity(shares, 0, 0, late, sender=late)
    assert 100 * WHOLE - 2 <= out[0] <= 100 * WHOLE
    assert 120 * WHOLE - 2 <= out[1] <= 120 * WHOLE
    assert pool.balanceOf(late) == 0


def test_the_first_shares_lack_what_is_locked_so_that_a_gift_robs_nobody(stage):
    """Inflation attack: one share, then a gift, then a victim whose shares would round to nothing."""
    _, tokens = stage
    pool = deploy("markets", "WeightedPool", *(token.address for token in tokens), 50, FEE_PPM)
    assert fund(pool, tokens, (1_001, 1_001), "attacker") == 1
    for token in tokens:
        token.mint(pool, 1_000 * WHOLE)
    pool.sync()
    shares = fund(pool, tokens, (10 * WHOLE, 10 * WHOLE), "victim")
    assert shares > 0
    assert pool.balanceOf(NOBODY) == MINIMUM_LIQUIDITY
    back = pool.remove_liquidity(shares, 0, 0, account("victim"), sender=account("victim"))
    assert back[0] > 9 * WHOLE
    attacker = pool.remove_liquidity(1, 0, 0, account("attacker"), sender=account("attacker"))
    assert attacker[0] < 2 * WHOLE  # of a thousand given away


def test_pools_refuse_what_makes_no_sense(stage):
    pool, tokens = stage
    trader, stranger = account("trader"), market_mock("MarketToken", 18)
    tokens[0].mint(trader, 5 * WHOLE)
    tokens[0].approve(pool, 5 * WHOLE, sender=trader)
    empty = deploy("markets", "WeightedPool", *(token.address for token in tokens), 50, FEE_PPM)
    for call, reason in (
        (lambda: pool.getAmountOut(1, stranger), "coin is not in the pool"),
        (lambda: pool.swap_exact(stranger, 1, 0, trader), "coin is not in the pool"),
        (lambda: pool.swap_exact(tokens[0], 0, 0, trader), "nothing paid in"),
        (lambda: pool.swap_exact(tokens[0], 1, 9, trader, sender=trader), "less than the minimum"),
        (
            lambda: pool.swap_exact(tokens[0], WHOLE, 9 * WHOLE, trader, sender=trader),
            "less than the minimum",
        ),
        (lambda: pool.swap_exact(tokens[0], 6 * WHOLE, 0, trader, sender=trader), None),
        (lambda: pool.getAmountOut(2**112, tokens[0]), "pool would be too large"),
        (lambda: pool.add_liquidity(2**112, 1, 0, trader), "pool would be too large"),
        (lambda: pool.add_liquidity(0, 1, 0, trader), "too few shares"),
        (lambda: pool.add_liquidity(10, 10, 100, trader), "too few shares"),
        (lambda: pool.remove_liquidity(0, 0, 0, trader), "not so many shares"),
        (lambda: pool.remove_liquidity(1, 0, 0, trader, sender=trader), "not so many shares"),
        (
            lambda: pool.remove_liquidity(1, 2, 0, trader, sender=account("provider")),
            "less than the minimum",
        ),
        (lambda: empty.getAmountOut(1, tokens[0]), "pool is empty"),
        (lambda: empty.add_liquidity(10, 10, 0, trader), "too little liquidity"),
    ):
        with boa.reverts(reason) if reason else boa.reverts():
            call()
    tokens[0].set_balance(pool, 2**112)
    with boa.reverts("pool would be too large"):
        pool.sync()
    tokens[0].set_balance(pool, 0)
    with boa.reverts("coin lost balance: sync first"):
        pool.swap_exact(tokens[0], 1, 0, trader)
    pool.sync()
    with boa.reverts("pool is empty"):
        pool.add_liquidity(1, 1, 0, trader)


def test_pools_cannot_be_made_of_nonsense():
    first, second = (token.address for token in deploy_tokens(18, 18))
    long_token = market_mock("MarketToken", 19)
    for name, arguments, reason in (
        ("StablePool", (first, first, 100, 0), "the same coin twice"),
        ("StablePool", (first, second, 0, 0), "amplification out of range"),
        ("StablePool", (first, second, 100_001, 0), "amplification out of range"),
        ("StablePool", (first, long_token.address, 100, 0), "coin with more than 18 decimals"),
        ("WeightedPool", (first, NOBODY, 50, 0), "coin missing"),
        ("WeightedPool", (first, second, 0, 0), "weight out of range"),
        ("WeightedPool", (first, second, 100, 0), "weight out of range"),
        ("WeightedPool", (first, second, 50, 100_001), "fee above 10 %"),
    ):
        with boa.reverts(reason):
            deploy("markets", name, *arguments)


# ------------------------------------------------------------------------------------------- odd tokens


def test_a_token_that_takes_a_fee_or_answers_false_is_not_counted_as_paid(stage):
    pool, tokens = stage
    trader = account("trader")
    tokens[0].mint(trader, 2 * WHOLE)
    tokens[0].approve(pool, 2 * WHOLE, sender=trader)
    tokens[0].misbehave(100, False, NOBODY)
    with boa.reverts("token did not deliver exactly"):
        pool.swap_exact(tokens[0], WHOLE, 0, trader, sender=trader)
    with boa.reverts("token did not deliver exactly"):
        pool.add_liquidity(WHOLE, 2 * WHOLE, 0, trader, sender=trader)
    tokens[0].misbehave(0, True, NOBODY)
    with boa.reverts("transfer refused"):
        pool.swap_exact(tokens[0], WHOLE, 0, trader, sender=trader)


@pytest.mark.parametrize(
    "request_",
    [
        keccak256(b"reserves()")[:4],
        keccak256(b"sync()")[:4],
        keccak256(b"getAmountOut(uint256,address)")[:4] + codec.encode(["uint256", "address"], [1, NOBODY]),
    ],
    ids=["reserves", "sync", "getAmountOut"],
)
def test_nothing_can_be_entered_or_read_from_a_callback(stage, request_):
    pool, tokens = stage
    actor, trader = market_mock("Actor"), account("trader")
    actor.plan(pool.address, request_, False)
    tokens[1].misbehave(0, False, actor)
    tokens[0].mint(pool, WHOLE)
    pool.swap_exact(tokens[0], WHOLE, 0, trader)
    assert actor.calls() == 0
    assert not actor.succeeded()
    assert actor.answer() == b""


def test_a_gift_moves_no_price_until_it_is_synced(stage):
    pool, tokens = stage
    before = pool.getAmountOut(WHOLE, tokens[0])
    tokens[0].mint(pool, 100 * WHOLE)
    assert pool.getAmountOut(WHOLE, tokens[0]) == before
    pool.sync()
    assert pool.getAmountOut(WHOLE, tokens[0]) < before


def test_a_far_too_unbalanced_stable_pool_still_rounds_for_the_pool():
    pool, tokens = make_pool("stable", 2_000, 18, 18)
    fund(pool, tokens, (10**6 * WHOLE, WHOLE // 1000))
    trader = account("trader")
    tokens[0].mint(pool, WHOLE)
    due = stable_out(WHOLE, tuple(pool.reserves()), (1, 1), 2_000, FEE_PPM)
    assert pool.swap_exact(tokens[0], WHOLE, 0, trader) <= due
