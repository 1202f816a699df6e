# SPDX-License-Identifier: Apache-2.0
"""A pool's loss reaches those who hold a vault that lends to it through a vault's shares of the pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.chain import artifacts
from koinon.errors import BadInput
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.lending.pools import JUNIOR, SENIOR, CreditPools
from koinon.lending.risk.ecosystem import spread
from koinon.lending.risk.reading import read_pools
from koinon.markets.api import Markets
from koinon.markets.feeds import Terms
from koinon.treasury.api import Treasury
from koinon.treasury.vault import Kind, Strategy
from koinon.works.attestations import Attestations, SchemaTerms
from tests.markets.test_pairs import DOLLAR, ETHER, new_token
from tests.treasury.market_support import World, move_on, put, send

WINDOW_S = 800


@pytest.fixture
def world(own_chain, own_devnet):
    return World.build(own_chain, own_devnet.key(0))


def opened(chain, own_account, dollars):
    """A pool that lends a token against another, with a loan of 1,500 for what costs 2,000."""
    markets = Markets(chain)
    maker, feeder, issuer, borrower = (own_account() for _ in range(4))
    for account in (maker, borrower):
        coin = chain.contract("Coin", dollars.address)
        send(chain, account, coin.transaction("mint", account.address, 10**6 * DOLLAR))
    ether = new_token(chain, maker, "tETH", 18)
    pair, _ = markets.provide(maker, ether, 100 * ETHER, dollars, 200_000 * DOLLAR)
    rules = (8, "tETH / coin", (feeder.address,), 1, 3_600, WINDOW_S, 300)
    feed = markets.create_feed(maker, Terms(pair.address, ether.address, *rules))
    move_on(chain, WINDOW_S)
    feed.post(maker, [feed.sign(feeder, 2_000 * 10**8)])
    schema = Attestations(chain).register(maker, SchemaTerms("credit score", issuers=(issuer.address,)))
    tiers = (TierTerms(8_000, 600, 50_000 * DOLLAR, 1_000, 4_000, 50),)
    terms = PoolTerms(dollars.address, ether.address, feed.address, schema, tiers, borrower_cap_bps=10_000)
    made = CreditPools(chain).create(maker, terms)
    made.deposit(maker, JUNIOR, 600 * DOLLAR)
    made.deposit(maker, SENIOR, 1_000 * DOLLAR)
    send(chain, maker, chain.contract("Coin", ether.address).transaction("transfer", borrower.address, ETHER))
    made.supply_collateral(borrower, ETHER)
    made.borrow(borrower, 1_500 * DOLLAR)
    return made


@pytest.fixture
def pool(world, own_account):
    """Of the network's coin."""
    return opened(world.chain, own_account, Markets(world.chain).token(world.chain.coin.address))


def test_a_pools_loss_is_passed_through_vaults_to_their_holders(world, pool, own_account, tmp_path):
    chain = world.chain
    first, second = own_account(), own_account()
    shares = put(chain, first, artifacts.load("PoolShares").creation(pool.address))
    strategies = (Strategy(Kind.SHARES, shares, min_bps=0, max_bps=8_000),)
    treasury = Treasury(chain, tmp_path, first)
    vault = treasury.create(replace(world.terms(first.address), strategies=strategies)).address
    for account, amount in ((first, 3_000), (second, 1_000)):
        send(chain, account, chain.coin.transaction("mint", account.address, amount * DOLLAR))
        Treasury(chain, tmp_path, account).deposit(vault, amount * DOLLAR)
    treasury.rebalance(treasury.propose(vault, {"0": 0.8}))
    subject = read_pools(chain, [pool.address])
    assert subject.network is not None
    behind = {holder.name: holder for holder in subject.network.holders}
    assert {shares, vault, first.address, second.address} <= set(behind)
    assert behind[shares].owes == {vault: pytest.approx(3_200, rel=1e-3)}
    assert behind[vault].cash == pytest.approx(800, rel=1e-3)
    assert behind[vault].owes == {
        first.address: pytest.approx(3_000, rel=1e-3),
        second.address: pytest.approx(1_000, rel=1e-3),
    }
    (asset,) = subject.network.prices
    calm, crash = spread(subject.network), spread(subject.network, {asset: 0.9})
    lost = dict(zip(crash.names, crash.equity_lost, strict=True))
    assert calm.lost == pytest.approx(0, abs=1)
    assert lost[first.address] == pytest.approx(3 * lost[second.address], rel=0.01)
    assert lost[first.address] + lost[second.address] > 300, "what the junior tranche does not bear"
    assert shares in crash.failed
    assert vault in crash.failed


def test_people_who_lend_are_the_end_of_it(world, pool):
    assert read_pools(world.chain, [pool.address]).network is None


def test_debts_in_two_tokens_are_not_added_up(world, pool, own_account):
    other = opened(world.chain, own_account, new_token(world.chain, own_account(), "tEUR", 6))
    with pytest.raises(BadInput, match="cannot be added"):
        read_pools(world.chain, [pool.address, other.address])
