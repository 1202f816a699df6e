# SPDX-License-Identifier: Apache-2.0
"""A price feed's feeders: what they sign, and when a round is worth posting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from koinon.chain.eip712 import Domain, digest
from koinon.markets.feeds import PRICE
from koinon.markets.simulation.accounts import Person
from koinon.markets.simulation.bench import Bench, Placed
from koinon.markets.simulation.prices import PRICE_DECIMALS, whole
from koinon.markets.simulation.venue import Market

THRESHOLD: Final = 3
FEEDERS: Final = 4
WINDOW_S: Final = 4 * 3_600
MOST_DEVIATION_BPS: Final = 400
HEARTBEAT_S: Final = 2 * 3_600
DEVIATION: Final = 0.005
"""A round is posted when the price moved by this share since the last, or a heartbeat is over."""

DISAGREEMENT: Final = 0.0004
"""How far feeders' views of one price lie apart: standard deviation of the logarithm."""


@dataclass
class Feed:
    """One feed as its feeders keep it."""

    market: Market
    placed: Placed
    feeders: list[Person]
    chain_id: int
    generator: np.random.Generator
    round: int = 0
    posted_price: float = 0.0
    posted_at: int = 0
    _domain: Domain = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._domain = Domain("Koinon PriceFeed", "1", self.chain_id, self.placed.address)

    @property
    def address(self) -> str:
        """Where it stands."""
        return self.placed.address

    def due(self, price: float, now: int) -> bool:
        """Whether a round should be posted."""
        moved = abs(price / self.posted_price - 1) if self.posted_price else 1.0
        return moved >= DEVIATION or now - self.posted_at >= HEARTBEAT_S

    def post(self, price: float, now: int) -> bytes:
        """Call data of the next round, signed by as many feeders as it needs."""
        self.round, self.posted_price, self.posted_at = self.round + 1, price, now
        chosen = sorted(self.generator.choice(len(self.feeders), THRESHOLD, replace=False).tolist())
        reports: list[tuple[Any, ...]] = []
        for feeder in chosen:
            seen = whole(price * float(np.exp(self.generator.normal(0.0, DISAGREEMENT))))
            signed = digest(self._domain, PRICE.hash(self.placed.address, seen, now, self.round))
            reports.append((feeder, seen, now, self.feeders[feeder].key.sign(signed)))
        return self.placed.artifact.functions["post"].encode(self.round, reports)


def arguments(market: Market, feeders: list[Person]) -> tuple[Any, ...]:
    """The constructor's arguments of a market's feed."""
    return (
        market.address,
        market.base.address,
        PRICE_DECIMALS,
        f"{market.base.symbol} / {market.quote.symbol}",
        [feeder.address for feeder in feeders],
        THRESHOLD,
        2 * HEARTBEAT_S,
        WINDOW_S,
        MOST_DEVIATION_BPS,
    )


def latest(bench: Bench, feed: Placed, *, confirmed: bool = True) -> int | None:
    """The feed's answer, ``confirmed`` by the market or the feeders' alone; None while it gives none."""
    name = "latestRoundData" if confirmed else "latestFeederData"
    found = bench.peek(feed.address, feed.artifact.functions[name].selector)
    return None if found is None else int.from_bytes(found[32:64], "big")
