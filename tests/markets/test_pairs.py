# SPDX-License-Identifier: Apache-2.0
"""Pairs, liquidity and swaps by the markets' front door, on a real node."""

from __future__ import annotations

from math import isqrt

import pytest

from koinon.chain import artifacts
from koinon.chain.contract import Call
from koinon.errors import BadInput, NotFound, TransactionFailed
from koinon.markets.api import Markets
from koinon.markets.pairs import Hop, at_least
from koinon.markets.tokens import Token

DOLLAR = 10**6
ETHER = 10**18


def new_token(chain, account, symbol: str, decimals: int) -> Token:
    """An ERC-20 of its own, a million of it with its maker."""
    sender = chain.sender(account)
    created = sender.send(Call(None, artifacts.load("Coin").creation(symbol, symbol, decimals)))
    token = Token(created.contract_address, symbol, decimals)
    contract = chain.contract("Coin", token.address)
    sender.send(contract.transaction("mint", account.address, 10 ** (6 + decimals)))
    return token


@pytest.fixture
def trader(new_account):
    return new_account()


@pytest.fixture
def markets(chain):
    return Markets(chain)


@pytest.fixture
def funded(chain, markets, trader):
    """Ether at 2,000 dollars, of two new tokens."""
    ether, dollars = new_token(chain, trader, "tETH", 18), new_token(chain, trader, "tUSD", 6)
    pair, added = markets.provide(trader, ether, 100 * ETHER, dollars, 200_000 * DOLLAR)
    assert added.shares == pair.shares - 1_000
    return pair, ether, dollars


def test_liquidity_swaps_and_out_again(markets, trader, funded):
    pair, ether, dollars = funded
    assert pair in markets.list_pairs()
    assert markets.pairs.of(dollars.address, ether.address) == pair
    hops, expected = markets.quote(ether, dollars, ETHER)
    assert expected == pair.amount_out(ether.address, ETHER)
    before = markets.balance(dollars, trader.address)
    assert markets.swap(trader, hops, ETHER, at_least(expected, 50)) == expected
    assert markets.balance(dollars, trader.address) - before == expected
    pair, added = markets.provide(trader, dollars, 1_000 * DOLLAR, ether, ETHER)
    assert max(added.amount0, added.amount1) <= ETHER
    shares = markets.balance(Token(pair.address, "KOI-LP", 18), trader.address)
    taken = markets.withdraw(trader, pair, shares)
    assert taken.shares == shares
    assert markets.pairs.read(pair.address).shares == 1_000


def test_dust_given_to_an_empty_pair_robs_nobody(chain, markets, trader, new_account):
    ether, dollars = new_token(chain, trader, "tETH", 18), new_token(chain, trader, "tUSD", 6)
    pair = markets.pairs.create(trader, ether.address, dollars.address)
    sender = chain.sender(trader)
    for token in (ether, dollars):
        sender.send(chain.contract("Coin", token.address).transaction("transfer", pair, 1_000))
    sender.send(markets.pairs.contract(pair).transaction("sync"))
    found, added = markets.provide(trader, ether, 100 * ETHER, dollars, 200_000 * DOLLAR)
    assert {added.amount0, added.amount1} == {100 * ETHER, 200_000 * DOLLAR}
    assert added.shares == isqrt(100 * ETHER * 200_000 * DOLLAR) - 1_000
    assert found.shares == added.shares + 1_000


def test_a_price_that_moves_while_liquidity_is_on_its_way_costs_nothing(chain, markets, trader, funded):
    pair, ether, dollars = funded
    due = pair.liquidity(ETHER, ETHER)
    hops, expected = markets.quote(ether, dollars, 10 * ETHER)
    markets.swap(trader, hops, 10 * ETHER, expected)
    before = markets.balance(ether, trader.address)
    with pytest.raises(TransactionFailed) as refusal:
        markets.pairs.add_liquidity(
            trader,
            pair.address,
            due.amount0,
            due.amount1,
            minimum0=at_least(due.amount0, 50),
            minimum1=at_least(due.amount1, 50),
        )
    assert refusal.value.reason == "the price has moved"
    assert markets.balance(ether, trader.address) == before


def test_a_swap_for_less_than_its_minimum_costs_nothing(markets, trader, funded):
    _, ether, dollars = funded
    hops, expected = markets.quote(dollars, ether, 1_000 * DOLLAR)
    before = markets.balance(dollars, trader.address)
    with pytest.raises(TransactionFailed) as refusal:
        markets.swap(trader, hops, 1_000 * DOLLAR, expected + 1)
    assert refusal.value.reason == "less than the minimum"
    assert markets.balance(dollars, trader.address) == before


def test_what_cannot_be_asked_for(chain, markets, trader, funded):
    pair, ether, dollars = funded
    other = new_token(chain, trader, "tEUR", 6)
    for call, kind, code in (
        (lambda: markets.quote(ether, other, 1), NotFound, "markets.no_pair"),
        (lambda: pair.hop(other.address), BadInput, "markets.not_in_pair"),
        (lambda: pair.amount_out(other.address, 1), BadInput, "markets.not_in_pair"),
        (lambda: markets.withdraw(trader, pair, pair.shares), BadInput, "markets.not_so_many_shares"),
        (lambda: markets.swap(trader, [], 1, 1), BadInput, "markets.no_hops"),
        (lambda: at_least(1, 10_000), BadInput, "markets.slippage"),
        (lambda: markets.provide(trader, other, 1_000, dollars, 1_000), BadInput, "markets.too_little"),
        (lambda: markets.provide(trader, ether, 0, dollars, DOLLAR), BadInput, "markets.too_little"),
        (lambda: dollars.units("0.0000001"), BadInput, "markets.amount"),
        (lambda: dollars.units("-1"), BadInput, "markets.amount"),
        (lambda: dollars.units("many"), BadInput, "markets.amount"),
        (lambda: dollars.units("NaN"), BadInput, "markets.amount"),
    ):
        with pytest.raises(kind) as fault:
            call()
        assert fault.value.code == code


def test_creating_twice_is_creating_once(markets, trader, funded):
    pair, ether, dollars = funded
    assert markets.pairs.create(trader, dollars.address, ether.address) == pair.address


def test_amounts_are_written_as_people_read_them():
    dollars = Token("0x" + "11" * 20, "tUSD", 6)
    assert dollars.units("1234.5") == 1_234_500_000
    assert dollars.text(1_234_500_000) == "1,234.5 tUSD"
    assert Hop("a", "b", "c").values() == ("a", "b", "c", 3_000)
