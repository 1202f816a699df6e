# SPDX-License-Identifier: Apache-2.0
"""A pair of ether and dollars at 2,000, its feed, and who signs, trades and waits there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boa

from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.keys import Key
from tests.contracts_support import account, deploy, key
from tests.markets.contracts.support import WHOLE, amount_out, create_pair, deploy_factory, market_mock

PRICE = TypedStruct("Price(address feed,int256 price,uint64 observedAt,uint80 round)")
FEEDERS = ("first feeder", "second feeder", "third feeder", "fourth feeder", "fifth feeder")
THRESHOLD = 3
MAX_AGE_S = 3_600
WINDOW_S = 1_800
DEVIATION_BPS = 300
DECIMALS = 8
PRICE_NOW = 2_000 * 10**DECIMALS
"""Quote tokens for one base token, as everyone agrees at first."""


@dataclass
class Stage:
    """A pair of ether and dollars at 2,000, and its feed."""

    feed: Any
    pair: Any
    ether: Any
    dollars: Any

    @property
    def ether_is_token0(self) -> bool:
        return bool(self.pair.token0() == self.ether.address)

    def signed(
        self,
        index: int,
        price: int,
        *,
        at: int | None = None,
        round_id: int | None = None,
        by: Key | None = None,
    ) -> tuple[int, int, int, bytes]:
        """What a feeder signs."""
        at = boa.env.timestamp if at is None else at
        round_id = self.feed.latest_round() + 1 if round_id is None else round_id
        address = self.feed.address
        domain = Domain("Koinon PriceFeed", "1", boa.env.evm.patch.chain_id, address)
        message = PRICE.hash(address, price, at, round_id)
        return index, price, at, (by or key(FEEDERS[index])).sign(digest(domain, message))

    def post(self, *prices: int, **options: Any) -> int:
        """A round by the first feeders."""
        reports = [self.signed(index, price, **options) for index, price in enumerate(prices)]
        return int(self.feed.post(self.feed.latest_round() + 1, reports))

    def trade(self, amount: int, *, sell_ether: bool) -> int:
        """Swap, and return what came out."""
        token = self.ether if sell_ether else self.dollars
        first = self.ether_is_token0 == sell_ether
        reserves = self.pair.getReserves()[:2]
        out = amount_out(amount, *(reserves if first else reserves[::-1]))
        token.mint(self.pair, amount)
        self.pair.swap(*((0, out) if first else (out, 0)), account("manipulator"), b"")
        return out

    def live(self, seconds: int) -> None:
        """Time passes, with somebody observing at every eighth of the window."""
        for _ in range(-(-seconds * 8 // WINDOW_S)):
            boa.env.time_travel(seconds=WINDOW_S // 8)
            self.feed.observe()


def make_stage(ether_amount: int = 1_000 * WHOLE, *, decimals: int = 6) -> Stage:
    ether, dollars = market_mock("MarketToken", 18), market_mock("MarketToken", decimals)
    pair = create_pair(deploy_factory(), ether, dollars)
    ether.mint(pair, ether_amount)
    dollars.mint(pair, 2_000 * ether_amount // 10 ** (18 - decimals))
    pair.mint(account("provider"))
    return Stage(make_feed(pair, ether), pair, ether, dollars)


def make_feed(pair, base, **changes):
    chosen = {
        "decimals": DECIMALS,
        "description": "ether / dollars",
        "feeders": [key(role).address for role in FEEDERS],
        "threshold": THRESHOLD,
        "max_age_s": MAX_AGE_S,
        "window_s": WINDOW_S,
        "max_deviation_bps": DEVIATION_BPS,
    } | changes
    return deploy("markets", "PriceFeed", pair, base, *chosen.values())
