# SPDX-License-Identifier: Apache-2.0
"""A credit pool as it stands, on a copy of its chain: its own loans, terms, interest, pair and feed.

One thing is changed: who feeds the price. The feed's code is put again with a feeder of our own in place of
its feeders, whose keys nobody here has; its rounds, its average and its rules stay.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from koinon.chain import artifacts
from koinon.chain.fork import Fork
from koinon.chain.handle import Chain
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.errors import BadInput
from koinon.lending.risk.fork_bench import ForkBench
from koinon.lending.risk.reading import read_pool
from koinon.lending.risk.replay import Replayed, replay
from koinon.lending.risk.scenario import Scenario
from koinon.lending.risk.stage import Stage
from koinon.markets.simulation.venue import Market, Token
from koinon.markets.tokens import token_at

_FEEDER = Key.from_bytes(keccak256(b"koinon replay key: feeder"))
_FEED_IS = ("pair", "base_token", "decimals", "description")
_FEED_RULES = ("max_age_s", "window_s", "max_deviation_bps")


class ForkedStage(Stage):
    """The pool of a copied chain.

    Parameters
    ----------
    chain : Chain
        Where the pool is; only read.
    fork : Fork
        The copy; everything happens there.
    pool : str
        The pool's address.
    scenario : Scenario
        Its positions are the pool's own, with their accounts.
    """

    bench: ForkBench

    def __init__(self, chain: Chain, fork: Fork, pool: str, scenario: Scenario) -> None:
        self.venue = scenario.venue
        self.bench = ForkBench(fork)
        self.feeder = _FEEDER
        self.pool = self.bench.at(pool, "CreditPool")
        terms = self.bench.ask(self.pool, "market")
        loan, collateral, feed = terms[:3]
        self.money, self.collateral = (self._token(chain, each) for each in (loan, collateral))
        self.feed = self.bench.at(feed, "PriceFeed")
        pair = self.bench.ask(self.feed, "pair")
        self.market = Market.of(self.collateral, self.money, self.bench.at(pair, "Pair"))
        self.price_decimals = int(self.bench.ask(self.feed, "decimals"))
        self.borrowers = list(scenario.book.owners)
        self._feed_it()

    def give(self, who: str, token: Token, units: int) -> None:
        """More of a token, out of nothing."""
        self.bench.deal(token.address, who, token.balance(self.bench, who) + units)

    def _token(self, chain: Chain, address: str) -> Token:
        known = token_at(chain, address)
        return Token(known.symbol, self.bench.at(address, "Coin"), known.decimals)

    def _feed_it(self) -> None:
        first, rules = (
            [self.bench.ask(self.feed, name) for name in names] for names in (_FEED_IS, _FEED_RULES)
        )
        arguments: tuple[Any, ...] = (*first, [self.feeder.address], 1, *rules)
        self.bench.put_code_of(artifacts.load("PriceFeed"), arguments, self.feed.address)
        self.next_step()
        self.post(self.market.price(self.bench))


def replay_on_fork(chain: Chain, pool: str, scenario: Scenario) -> Replayed:
    """Play a scenario's price path through on the pool as it is now, beside what the model predicts of it.

    Of the scenario, the path and how liquidators behave are taken (gas, the feed's delay, how the market
    recovers); positions, reserves and terms are the pool's. Interest accrues here and not in the model.

    Raises
    ------
    BadInput
        Nothing is lent.
    NodeUnavailable, SetupError
        The chain cannot be copied.
    """
    subject = read_pool(chain, pool)
    if not len(subject.book):
        raise BadInput(
            "No loan is open in this pool.", hint="Nothing is lent, nothing is lost.", code="lending.book"
        )
    told = scenario.venue
    venue = replace(
        subject.venue, gas=told.gas, oracle_delay_steps=told.oracle_delay_steps, recovery=told.recovery
    )
    now = Scenario.of(scenario.name, subject.book, venue, scenario.returns)
    with Fork(chain.rpc) as fork:
        return replay(now, ForkedStage(chain, fork, pool, now))
