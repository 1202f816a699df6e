# SPDX-License-Identifier: Apache-2.0
"""What the markets' pages look at, kept from one look to the next: pools as of a block, tokens, feeds."""

from __future__ import annotations

import math
import threading
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.chain.index.sources import Source
from koinon.errors import (
    BadInput,
    ChainError,
    IntegrityError,
    KoinonError,
    NodeUnavailable,
    NotFound,
    TransactionFailed,
)
from koinon.markets.feeds import Feed, Terms
from koinon.markets.routing.pools import PairPool, Pool, StablePool, WeightedPool
from koinon.markets.routing.states import PoolReader
from koinon.markets.tokens import MOST_WORDS, Token, cut, named, short, token_at
from koinon.web import gettext
from koinon.web import marked as _

MOST_FEEDS: Final = 40
"""Feeds that are read for a page."""
FEEDS_S: Final = 10
"""How long what feeds say is kept while no block comes."""
KEPT: Final = 64
"""Answers that cost much and are kept for the same block."""
KEPT_TOKENS: Final = 4_096
MOST_DECIMALS: Final = 36
"""A token that says more digits than these is counted in its smallest unit."""

REASONS: Final = {
    "no round yet": _("nobody has posted a price yet"),
    "feeders' price is stale": _("the feeders' last price is too old"),
    "no observation of the market's window": _("nobody observed the pair at the beginning of its window"),
    "feeders and market disagree": _("feeders and market differ by more than the bound"),
    "pair is empty": _("the pair has no liquidity"),
}
"""Why a feed has no price, by the contract's words, as message ids."""

Answer = TypeVar("Answer")


class Tables(Protocol):
    """The part of `koinon.chain.index.EventIndex` that is read."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...

    def sources(self) -> list[tuple[Source, int | None]]: ...


@dataclass(frozen=True)
class FeedState:
    """A feed as of now: prices in whole quote tokens, None where there is none; ``reason`` why there is no
    valid one, in the contract's words; ``updated_at`` in Unix seconds, 0 before the first round."""

    address: str
    terms: Terms
    quote_token: str
    price: Decimal | None
    from_feeders: Decimal | None
    average: Decimal | None
    updated_at: int
    reason: str
    now: int

    @property
    def valid(self) -> bool:
        return self.price is not None

    @property
    def fresh(self) -> bool:
        """Whether the feeders' last word is young enough, whatever the market says."""
        return self.from_feeders is not None

    @property
    def deviation(self) -> float | None:
        """How far the pair's average lies from the feeders' price, as a part of it."""
        if self.from_feeders is None or self.average is None:
            return None
        return float(self.average / self.from_feeders - 1)


class _Kept:
    """An answer, as of a state, and the lock of whoever is finding it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.state: Any = object()
        self.answer: Any = None


class Board:
    """The markets of one network, for its console. Safe to use from several threads.

    Parameters
    ----------
    chain : Chain
    index : EventIndex
        Says which feeds and pools besides the factory's are known, and what was.
    """

    def __init__(self, chain: Chain, index: Tables) -> None:
        self.chain, self.index = chain, index
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._reader = PoolReader(chain)
        self._tokens: dict[str, Token] = {}
        self._alike: dict[str, set[str]] = {}
        self._terms: dict[str, tuple[Terms, str]] = {}
        self._kept: dict[Any, _Kept] = {}

    def block(self) -> int:
        """The latest block's number."""
        return self.chain.block_number()

    def once(self, key: Any, state: Any, make: Callable[[], Answer]) -> Answer:
        """What ``make`` says, asked once for each state: a block's number, say.

        Whoever asks for the same waits until it is there; nobody waits for another key's answer.
        """
        with self._lock:
            kept = self._kept.pop(key, None) or _Kept()
            self._kept[key] = kept  # the last used are kept longest
            while len(self._kept) > KEPT:
                self._kept.pop(next(iter(self._kept)))
        with kept.lock:
            if kept.state != state:
                kept.answer = make()
                kept.state = state
            found: Answer = kept.answer
            return found

    # ------------------------------------------------------------ pools

    @property
    def listed(self) -> bool:
        """Whether this network has a factory of pairs and a router."""
        return {"PairFactory", "Router"} <= set(self.chain.network.contracts)

    def pools(self, others: Sequence[str] = ()) -> tuple[int, list[Pool]]:
        """A block's number, and every pool as of it: all pairs, indexed pools, and ``others``."""
        if not self.listed:
            raise NotFound(
                f"{self.chain.network.name} has no factory of pairs.",
                hint="Use a network that was deployed with this version.",
                code="markets.no_factory",
            )
        block = self.block()
        more = tuple(dict.fromkeys([*self._indexed_pools(block), *map(checksum, others)]))
        return block, self.once(("pools", more), block, lambda: self._read(more, block))

    def pool(self, address: str) -> Pool:
        """The pool at an address; NotFound where there is none."""
        try:
            wanted = checksum(address)
            _block, pools = self.pools()
            known = next((pool for pool in pools if pool.address == wanted), None)
            return known or next(
                pool for pool in self._read([wanted], self.block()) if pool.address == wanted
            )
        except NodeUnavailable:
            raise
        except (BadInput, ChainError, StopIteration) as error:
            raise NotFound(
                gettext("There is no pool at %(address)s.", address=address[:60]),
                hint=gettext("Check the address. Pools of this network are listed under Money, Markets."),
                code="markets.no_pool",
            ) from error

    def known(self, pool: Pool) -> bool:
        """Whether this network's factory made it: then its code is `Pair.vy`'s."""
        if not isinstance(pool, PairPool):
            return False
        made = self.chain.contract("PairFactory").call("getPair", *pool.tokens)
        return checksum(made) == pool.address

    def token(self, address: str) -> Token:
        """A token, asked once; by the beginning of its address where it does not say what it is.

        Anybody may call a token as another is called: one of several known namesakes has a part of its
        address behind its symbol. The network's coin alone keeps its name.
        """
        found = self._token(address)
        alike = self._alike.get(_sound(found.symbol), set())
        if len(alike) < 2 or address == self.chain.coin.address:
            return found
        return replace(found, symbol=f"{found.symbol} ({short(address)})")

    def _token(self, address: str) -> Token:
        """A token under the name that it gives itself, asked once."""
        found = self._tokens.get(address)
        if found is None:
            try:
                found = token_at(self.chain, address)
                if found.decimals > MOST_DECIMALS:
                    found = replace(found, decimals=0)
            except (ChainError, KoinonError, ValueError):
                found = Token(address, address[:8], 0)
            with self._lock:
                self._tokens[address] = found
                self._alike.setdefault(_sound(found.symbol), set()).add(address)
                while len(self._tokens) > KEPT_TOKENS:
                    gone = next(iter(self._tokens))
                    sound = _sound(self._tokens.pop(gone).symbol)
                    self._alike[sound].discard(gone)
                    if not self._alike[sound]:
                        del self._alike[sound]
        return found

    def symbols(self, pool: Pool) -> str:
        """Such as "sETH / tUSD"; what is counted in last, the network's coin where it is one of them."""
        base, quote = self.sides(pool)
        return f"{base.symbol} / {quote.symbol}"

    def sides(self, pool: Pool) -> tuple[Token, Token]:
        """What is priced, and what it is counted in: the network's coin where it is one of them."""
        first, second = (self.token(address) for address in pool.tokens)
        return (second, first) if first.address == self.chain.coin.address else (first, second)

    def price(self, pool: Pool) -> float:
        """What a whole token of the first side costs in whole tokens of the second, before the fee; 0 in an
        empty pool."""
        if min(pool.reserves) <= 0:
            return 0.0
        base, quote = self.sides(pool)
        coin_in = pool.tokens.index(base.address)
        found = spot(pool, coin_in) * 10.0 ** (base.decimals - quote.decimals)
        return found if math.isfinite(found) else 0.0

    # ------------------------------------------------------------ feeds

    def feeds(self) -> list[FeedState]:
        """The feeds that the index knows of, as of now."""
        block = self.block()
        addresses = [
            source.address
            for source in self._sources(block)
            if source.address is not None and {"Posted", "Observed"} <= _events(source)
        ]
        kept = list(dict.fromkeys(addresses))[:MOST_FEEDS]
        state = (block, int(time.monotonic() / FEEDS_S))  # a price grows old where nothing happens, too
        found = self.once("feeds", state, lambda: [self._feed(address) for address in kept])
        return [each for each in found if each is not None]

    def feed_of(self, pool: Pool, feeds: Sequence[FeedState]) -> FeedState | None:
        """The feed of a pool's two tokens: of the pool itself, or of their pair."""
        fits = [
            each
            for each in feeds
            if each.terms.pair == pool.address
            or (each.terms.base_token == self.sides(pool)[0].address and each.quote_token in pool.tokens)
        ]
        return max(fits, key=lambda each: each.terms.pair == pool.address, default=None)

    def _feed(self, address: str) -> FeedState | None:
        feed = Feed(self.chain, address)
        try:
            if address not in self._terms:
                terms = feed.terms()
                terms = replace(terms, description=named(terms.description, short(address), MOST_WORDS))
                self._terms[address] = (terms, checksum(feed.contract.call("quote_token")))
            terms, quoted = self._terms[address]
            reason, price = "", None
            try:
                price = feed.contract.call("latestRoundData")
            except TransactionFailed as refusal:
                reason = cut(refusal.reason or refusal.message)
            feeders, average = _tried(feed, "latestFeederData"), _tried(feed, "twap")
            updated_at = int((feeders or price or (0, 0, 0, 0, 0))[3])
        except (ChainError, BadInput, IntegrityError):
            return None  # no feed of ours, or no contract at all
        scale = Decimal(10) ** -terms.decimals
        return FeedState(
            address,
            terms,
            quoted,
            None if price is None else int(price[1]) * scale,
            None if feeders is None else int(feeders[1]) * scale,
            None if average is None else int(average) * scale,
            updated_at,
            reason,
            self.chain.next_timestamp(),
        )

    # ------------------------------------------------------------ the index

    def sources(self) -> list[Source]:
        """Everything the index follows."""
        return self._sources(self.block())

    def source_of(self, address: str) -> Source | None:
        """The index's source of a contract, where it has one of its own."""
        return next((each for each in self.sources() if each.address == address), None)

    def _sources(self, block: int) -> list[Source]:
        return self.once("sources", block, lambda: [source for source, _through in self.index.sources()])

    def _indexed_pools(self, block: int) -> list[str]:
        found = []
        for source in self._sources(block):
            names = {entry.get("name") for entry in source.abi if entry.get("type") == "function"}
            if source.address is not None and ({"kind", "weight0"} <= names or {"kind", "A"} <= names):
                found.append(source.address)
        return found

    def _read(self, others: Sequence[str], block: int) -> list[Pool]:
        with self._reading:
            self._reader.others = tuple(others)
            found = self._reader.read(block)
        tokens = [self.chain.coin.address, *(token for pool in found for token in pool.tokens)]
        for address in dict.fromkeys(tokens):
            self._token(address)  # before any is shown: whoever has a namesake is told apart
        return found


def spot(pool: Pool, coin_in: int) -> float:
    """What a smallest unit of a coin is worth in the other's, before the fee; 0 in an empty pool."""
    held, other = pool.reserves[coin_in], pool.reserves[1 - coin_in]
    if min(held, other) <= 0:
        return 0.0
    if isinstance(pool, WeightedPool):
        weight = pool.weight0 if coin_in == 0 else 100 - pool.weight0
        return other / (100 - weight) / (held / weight)
    if isinstance(pool, StablePool):
        small = max(held // 10_000, 1)
        kept = 1 - pool.fee_ppm / 1_000_000
        return pool.amount_out(coin_in, small) / small / kept
    return other / held


def _sound(symbol: str) -> str:
    """What symbols that look alike have in common."""
    return unicodedata.normalize("NFKC", symbol).casefold().replace(" ", "")


def _events(source: Source) -> set[str]:
    return {str(entry.get("name")) for entry in source.abi if entry.get("type") == "event"}


def _tried(feed: Feed, name: str) -> Any:
    try:
        return feed.contract.call(name)
    except TransactionFailed:
        return None
