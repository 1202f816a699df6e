# SPDX-License-Identifier: Apache-2.0
"""A simulated market as rows: what monitors should keep quiet about."""

from __future__ import annotations

from collections.abc import Callable

from koinon.markets.history.decoding import Decoder
from koinon.markets.history.facts import Facts, MarketFacts
from koinon.markets.history.rows import EventRow
from koinon.markets.simulation.prices import PRICE_DECIMALS
from koinon.markets.simulation.scenario import Scenario
from koinon.markets.simulation.simulation import simulate
from koinon.markets.simulation.world import World

Progress = Callable[[int], None]


def rehearse(
    scenario: Scenario, seed: int, progress: Progress = lambda _steps: None
) -> tuple[list[EventRow], Facts]:
    """What happens in a simulated market of traders, providers of liquidity and payers; nobody attacks."""
    world = simulate(scenario, seed, progress=progress).world
    contracts, facts = _described(world)
    times = {log.block_number: log.timestamp for log in world.bench.logs}
    logs = [log.rpc() for log in world.bench.logs]
    return Decoder(contracts, facts).decode(logs, times).rows, facts


def _described(world: World) -> tuple[dict[str, str], Facts]:
    contracts, facts = {}, Facts()
    for token in world.all_tokens:
        contracts[token.address] = "erc20"
        facts.decimals[token.address] = token.decimals
    for market in world.markets:
        sides = (market.base.address, market.quote.address)
        contracts[market.address] = "koinon-pair"
        facts.markets[market.address] = MarketFacts(*(sides if market.base_first else sides[::-1]))
    for feed in world.feeds.values():
        contracts[feed.address] = "koinon-feed"
        facts.markets[feed.address] = MarketFacts(
            feed.market.base.address, feed.market.quote.address, decimals=PRICE_DECIMALS
        )
    return contracts, facts
