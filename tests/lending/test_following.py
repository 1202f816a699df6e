# SPDX-License-Identifier: Apache-2.0
"""Prices and money are those of the pools that somebody is judged for, whoever else opens one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from koinon.lending.api import Lending
from koinon.lending.pools import CreditPools
from koinon.markets.api import Markets
from koinon.markets.feeds import Terms
from tests.lending.risk.test_holders import WINDOW_S, opened, world  # noqa: F401  (a fixture)
from tests.markets.test_pairs import DOLLAR, ETHER, new_token
from tests.treasury.market_support import move_on


@pytest.fixture
def chain(world):  # noqa: F811
    return world.chain


def feed_of(chain, own_account, token, price: int):
    """Somebody's pair of a new coin with a token, and a feed over it that says this price."""
    markets, maker, feeder = Markets(chain), own_account(), own_account()
    fake = new_token(chain, maker, "tUSD", 6)
    mint = chain.contract("Coin", token).transaction("mint", maker.address, 10 * ETHER)
    chain.sender(maker).send(mint)
    pair, _ = markets.provide(maker, fake, 10 * price * DOLLAR, markets.token(token), 10 * ETHER)
    rules = (8, "tETH / tUSD", (feeder.address,), 1, 3_600, WINDOW_S, 300)
    feed = markets.create_feed(maker, Terms(pair.address, token, *rules))
    move_on(chain, WINDOW_S)
    feed.post(maker, [feed.sign(feeder, price * 10**8)])
    return fake, feed


def test_a_strangers_pool_makes_no_prices_and_no_money(chain, own_account, tmp_path):
    good = opened(chain, own_account, Markets(chain).token(chain.coin.address))
    collateral = good.terms().collateral_token
    fake, lying = feed_of(chain, own_account, collateral, 9_000)
    stranger = own_account()
    terms = replace(good.terms(), loan_token=fake.address, feed=lying.address)
    bad = CreditPools(chain).create(stranger, terms)
    lending = Lending(chain, tmp_path)
    found = lending.follow(good.address)
    assert found.history.facts.units == {chain.coin.address}
    assert bad.address in found.history.facts.markets, "what was done there is told"
    prices = [row for row in found.history.rows if row.kind == "price"]
    assert prices
    assert lying.address not in {row.market for row in prices} | {row.contract for row in prices}
    assert {row.amount for row in prices} <= {2_000 * 10**8}
    nobody = lending.follow()
    assert [row for row in nobody.history.rows if row.kind == "price"] == []
    assert {row.kind for row in nobody.history.rows} >= {"borrow", "supply"}
    assert np.all(np.diff([row.block_number for row in found.history.rows]) >= 0)


def test_who_signs_scores_believes_the_pools_they_are_for(chain, own_account, tmp_path):
    good = opened(chain, own_account, Markets(chain).token(chain.coin.address))
    (state,) = [each for each in Lending(chain, tmp_path).pools() if each.address == good.address]

    class Issuer:
        address = state.issuers[0]

    found = Lending(chain, tmp_path, Issuer()).follow()  # type: ignore[arg-type]
    assert [row for row in found.history.rows if row.kind == "price"]
    assert chain.coin.address in found.history.facts.units
