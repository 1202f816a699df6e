# SPDX-License-Identifier: Apache-2.0
"""The markets' front door: pairs and liquidity, swaps, price feeds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from koinon.chain.account import Account
from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.errors import BadInput
from koinon.markets.feeds import Collector, Feed, Price, Terms
from koinon.markets.pairs import Hop, Liquidity, Pair, Pairs, at_least
from koinon.markets.tokens import Token, balance_of, token_at

SLIPPAGE_BPS = 50
"""By how much a price may move against whoever swaps, unless they say otherwise: half a percent."""


class Markets:
    """The markets of one network. What sends takes the account that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    @cached_property
    def pairs(self) -> Pairs:
        """The network's pairs, their factory and the router; NotFound where the network has none."""
        return Pairs(self.chain)

    def token(self, address: str | None = None) -> Token:
        """A token by its address; the network's coin by default."""
        return token_at(self.chain, checksum(address) if address else self.chain.coin.address)

    def balance(self, token: Token, owner: str) -> int:
        """In smallest units."""
        return balance_of(self.chain, token.address, owner)

    def list_pairs(self) -> list[Pair]:
        """Every pair of the network's factory as it is now."""
        return [self.pairs.read(address) for address in self.pairs.addresses()]

    def provide(
        self,
        account: Account,
        token_a: Token,
        amount_a: int,
        token_b: Token,
        amount_b: int,
        *,
        slippage_bps: int = SLIPPAGE_BPS,
    ) -> tuple[Pair, Liquidity]:
        """Put liquidity into the pair of two tokens, which is created where it is not there yet.

        At most these amounts go in, in the proportion of the reserves; whoever gets the first shares sets it.
        TransactionFailed, and nothing is paid, where the price moves by more than the slippage meanwhile;
        BadInput for too little to make first shares of.
        """
        pair = self.pairs.read(self.pairs.create(account, token_a.address, token_b.address))
        first, second = (
            (amount_a, amount_b) if pair.token0.address == token_a.address else (amount_b, amount_a)
        )
        expected = pair.liquidity(first, second)
        if expected.shares <= 0:
            raise BadInput(
                "So little makes no share of the pair.",
                hint="Put in more of both coins.",
                code="markets.too_little",
            )
        added = self.pairs.add_liquidity(
            account,
            pair.address,
            first,
            second,
            minimum0=at_least(expected.amount0, slippage_bps),
            minimum1=at_least(expected.amount1, slippage_bps),
            minimum_shares=at_least(expected.shares, slippage_bps),
        )
        return self.pairs.read(pair.address), added

    def withdraw(
        self, account: Account, pair: Pair, shares: int, *, slippage_bps: int = SLIPPAGE_BPS
    ) -> Liquidity:
        """Redeem shares of a pair; BadInput for more than the account has."""
        held = balance_of(self.chain, pair.address, account.address)
        if not 0 < shares <= held:
            raise BadInput(
                f"The account has {held} shares of this pair, not {shares}.",
                code="markets.not_so_many_shares",
            )
        due = [shares * reserve // pair.shares for reserve in (pair.reserve0, pair.reserve1)]
        minimum0, minimum1 = (at_least(amount, slippage_bps) for amount in due)
        return self.pairs.remove_liquidity(
            account, pair.address, shares, minimum0=minimum0, minimum1=minimum1
        )

    def quote(self, token_in: Token, token_out: Token, amount_in: int) -> tuple[tuple[Hop, ...], int]:
        """The pair of two tokens as a way, and what it pays now; NotFound where there is no such pair."""
        pair = self.pairs.of(token_in.address, token_out.address)
        hops = (pair.hop(token_in.address),)
        return hops, self.pairs.quote(hops, amount_in)

    def swap(
        self,
        account: Account,
        hops: Sequence[Hop],
        amount_in: int,
        minimum_out: int,
        *,
        to: str | None = None,
    ) -> int:
        """Swap along a way; see `Pairs.swap`."""
        return self.pairs.swap(account, hops, amount_in, minimum_out, to=to)

    def feed(self, address: str) -> Feed:
        """A price feed by its address."""
        return Feed(self.chain, checksum(address))

    def create_feed(self, account: Account, terms: Terms) -> Feed:
        """Put a new price feed on the chain."""
        return Feed.create(self.chain, account, terms)

    def collect(self, feed: Feed) -> Collector:
        """Begin to collect feeders' words for a feed's next round."""
        return Collector(feed)

    def price(self, address: str) -> Price:
        """What feeders and market of a feed agree on; NotFound, with the reason, while they do not."""
        return self.feed(address).latest()
