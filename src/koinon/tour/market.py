# SPDX-License-Identifier: Apache-2.0
"""The tour's market: a test token against the network's coin, and a feed that three lenders sign."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from koinon.chain import artifacts
from koinon.chain.account import Account
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.errors import NotFound
from koinon.markets.api import Markets
from koinon.markets.feeds import Feed, Terms, scaled
from koinon.markets.pairs import PAIR_FEE_PPM
from koinon.markets.tokens import Token

NAME: Final = ("Tour ether (test)", "tETH", 18)
PRICE: Final = 3_000
"""Whole coins for a whole token, at first."""
DEEP: Final = 100
"""Whole tokens in the pair, and as much in coins."""
DECIMALS: Final = 8
WINDOW_S: Final = 8
"""As short as a feed allows, so that nobody waits: a pool that means it looks back half an hour."""
PATIENCE_S: Final = 60


@dataclass(frozen=True)
class Market:
    """A pair, and the accounts that say its price."""

    chain: Chain
    maker: Account
    token: Token
    coin: Token
    feed: Feed
    feeders: tuple[Account, ...]

    @classmethod
    def open(cls, chain: Chain, maker: Account, feeders: Sequence[Account]) -> Self:
        """A new test token, a pair with liquidity, and a feed with its first round."""
        sender, markets = chain.sender(maker), Markets(chain)
        made = sender.send(Call(None, artifacts.load("Coin").creation(*NAME)))
        token, coin = markets.token(made.contract_address), markets.token()
        whole, coins = DEEP * 10**token.decimals, DEEP * PRICE * 10**coin.decimals
        mint(chain, maker, coin.address, maker.address, coins)
        mint(chain, maker, token.address, maker.address, whole)
        pair, _ = markets.provide(maker, token, whole, coin, coins)
        addresses = tuple(feeder.address for feeder in feeders)
        terms = Terms(
            pair=pair.address,
            base_token=token.address,
            decimals=DECIMALS,
            description=f"{token.symbol} / {coin.symbol}",
            feeders=addresses,
            threshold=len(feeders) // 2 + 1,
            max_age_s=3_600,
            window_s=WINDOW_S,
            max_deviation_bps=500,
        )
        market = cls(chain, maker, token, coin, markets.create_feed(maker, terms), tuple(feeders))
        market.post()
        return market

    @property
    def price(self) -> Decimal:
        """The pair's, by its books: whole coins for a whole token."""
        pair = Markets(self.chain).pairs.of(self.token.address, self.coin.address)
        own = pair.token0.address == self.token.address
        tokens, coins = (pair.reserve0, pair.reserve1) if own else (pair.reserve1, pair.reserve0)
        return Decimal(coins).scaleb(-self.coin.decimals) / Decimal(tokens).scaleb(-self.token.decimals)

    def post(self) -> Decimal:
        """As many feeders as a round needs sign what the pair's price is now; what was posted."""
        price, need = scaled(self.price, DECIMALS), self.feed.terms().threshold
        words = [self.feed.sign(feeder, price) for feeder in self.feeders[:need]]
        return self.feed.post(self.maker, words).whole

    def agree(self) -> Decimal:
        """The price once the pair's average confirms what feeders say; NotFound where it never does."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.feed.latest().whole
            except NotFound:
                if time.monotonic() > end:
                    raise
            self.feed.observe(self.maker)
            time.sleep(0.5)

    def fall(self, share: float) -> Decimal:
        """Somebody sells so much at once that the price falls by this share; feeders say so."""
        before = DEEP * 10**self.token.decimals
        sold = int(before * (1 / math.sqrt(1 - share) - 1) / (1 - PAIR_FEE_PPM / 1e6))
        mint(self.chain, self.maker, self.token.address, self.maker.address, sold)
        markets = Markets(self.chain)
        hops, _ = markets.quote(self.token, self.coin, sold)
        markets.swap(self.maker, hops, sold, 1)
        return self.post()


def mint(chain: Chain, payer: Account, token: str, receiver: str, amount: int) -> None:
    """Test tokens out of nothing."""
    call = chain.contract("Coin", token).transaction("mint", receiver, amount)
    chain.sender(payer).send(call)
