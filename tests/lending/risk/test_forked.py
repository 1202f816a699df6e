# SPDX-License-Identifier: Apache-2.0
"""A pool of a running chain, brought down on a copy of it."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.chain import testnode
from koinon.chain.fork import Fork
from koinon.chain.rpc import Rpc
from koinon.errors import BadInput, NodeUnavailable
from koinon.lending.pool_terms import PoolTerms, TierTerms
from koinon.lending.pools import JUNIOR, SENIOR, CreditPools
from koinon.lending.risk.book import UNSCORED, Book, Venue
from koinon.lending.risk.forked import replay_on_fork
from koinon.lending.risk.scenario import Scenario
from koinon.markets.api import Markets
from koinon.markets.feeds import Terms
from koinon.works.attestations import Attestations, SchemaTerms
from tests.markets.test_pairs import DOLLAR, ETHER, new_token

WINDOW_S = 800
FALL = np.log([0.9, 0.85, 0.8, 0.9, 1.05, 1])
BOOK = Book(np.array([1.0]), np.array([1.0]), np.array([0.5]), np.array([UNSCORED]))
SCENARIO = Scenario.of("fall", BOOK, Venue(100, 200_000, gas=2, recovery=0.3), FALL)


def test_a_copy_changes_only_itself(own_chain, own_account):
    owner = own_account()
    block = own_chain.rpc.call("eth_blockNumber")
    with Fork(own_chain.rpc) as fork:
        assert fork.rpc.call("eth_chainId") == own_chain.rpc.call("eth_chainId")
        before = fork.rpc.call("eth_getBalance", owner.address, "latest")
        assert before == own_chain.rpc.call("eth_getBalance", owner.address, "latest")
        testnode.give(fork.rpc, owner.address, 5)
        testnode.mine(fork.rpc, 3)
        assert int(fork.rpc.call("eth_getBalance", owner.address, "latest"), 16) == int(before, 16) + 5
    assert own_chain.rpc.call("eth_getBalance", owner.address, "latest") == before
    assert own_chain.rpc.call("eth_blockNumber") == block
    with pytest.raises(NodeUnavailable, match="closed"):
        _ = fork.rpc


def test_a_node_that_does_not_answer_cannot_be_copied():
    with Rpc("http://127.0.0.1:9/secret") as nowhere, pytest.raises(NodeUnavailable) as caught:
        Fork(nowhere)
    assert "secret" not in str(caught.value)


@pytest.fixture
def pool(own_chain, own_account):
    """A pool with five loans, the feed it goes by, and who made both."""
    chain, markets = own_chain, Markets(own_chain)
    maker, feeder, issuer = (own_account() for _ in range(3))
    ether, dollars = new_token(chain, maker, "tETH", 18), new_token(chain, maker, "tUSD", 6)
    pair, _ = markets.provide(maker, ether, 100 * ETHER, dollars, 200_000 * DOLLAR)
    rules = (8, "tETH / tUSD", (feeder.address,), 1, 3_600, WINDOW_S, 300)
    feed = markets.create_feed(maker, Terms(pair.address, ether.address, *rules))
    testnode.set_next_time(chain.rpc, latest_second(chain) + WINDOW_S)
    testnode.mine(chain.rpc)
    feed.post(maker, [feed.sign(feeder, 2_000 * 10**8)])
    schema = Attestations(chain).register(maker, SchemaTerms("credit score", issuers=(issuer.address,)))
    tiers = (TierTerms(8_000, 600, 50_000 * DOLLAR, 1_000, 4_000, 50),)
    terms = PoolTerms(
        dollars.address, ether.address, feed.address, schema, tiers, min_debt=100 * DOLLAR,
        borrower_cap_bps=10_000,
    )  # fmt: skip
    pools = CreditPools(chain)
    made = pools.create(maker, terms)
    made.deposit(maker, SENIOR, 15_000 * DOLLAR)
    made.deposit(maker, JUNIOR, 15_000 * DOLLAR)
    for debt in (1_000, 1_200, 1_400, 1_500, 1_550):
        borrower = own_account()
        chain.sender(maker).send(
            chain.contract("Coin", ether.address).transaction("transfer", borrower.address, ETHER)
        )
        made.supply_collateral(borrower, ETHER)
        made.borrow(borrower, debt * DOLLAR)
    return made


def latest_second(chain):
    return int(chain.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)


def test_a_fall_brings_down_the_pool_on_the_copy_and_nothing_else(own_chain, pool):
    before, block = pool.books(), own_chain.rpc.call("eth_blockNumber")
    found = replay_on_fork(own_chain, pool.address, SCENARIO)
    assert found.realised.seized == found.predicted.seized == 5, "all collateral of all loans is sold"
    differences = found.differences()
    assert max(abs(differences[name]) for name in ("liquidated", "price")) < 0.03
    assert 500 < found.realised.bad_debt < 1.25 * found.predicted.bad_debt
    lost = found.junior_loss + found.senior_loss
    assert lost == pytest.approx(found.realised.bad_debt * DOLLAR), "the waterfall adds up to the bad debt"
    assert found.senior_loss <= 0 < found.junior_loss, "senior lenders only earned interest"
    assert pool.books() == before
    assert own_chain.rpc.call("eth_blockNumber") == block


def test_a_pool_without_loans_has_nothing_to_replay(own_chain, own_account, pool):
    empty = CreditPools(own_chain).create(own_account(), pool.terms())
    with pytest.raises(BadInput, match="No loan is open"):
        replay_on_fork(own_chain, empty.address, SCENARIO)
