# SPDX-License-Identifier: Apache-2.0
"""A small financial world to look at: a development chain that the simulator filled with three days of
history, its pools and pairs and feeds, a vault, a scorecard, and the cases that a scan of it finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.keys import Key
from koinon.lending.api import ROOM, Lending
from koinon.lending.pool_state import PoolState
from koinon.lending.scorecard_table import Feature, ScorecardTable
from koinon.lending.scoring.calibration import Calibration
from koinon.lending.scoring.reader import Reader
from koinon.lending.scoring.scorecard import Scorecard, Tier
from koinon.markets.api import Markets
from koinon.markets.feeds import Feed
from koinon.markets.pairs import Pair
from koinon.markets.simulation.accounts import Accounts
from koinon.markets.simulation.feeds import FEEDERS, THRESHOLD
from koinon.node import Node
from koinon.treasury.api import Charter, Limits, Strategy, Treasury, VaultTerms
from koinon.treasury.vault import Kind
from tests.browser.world import COIN, Command, Place, running

SEED: Final = 7
MONTHS: Final = "0.1"
MOST_BPS: Final = 6_000
"""The most of the vault that may be the token."""
TURNOVER_BPS: Final = 8_000
SLIPPAGE_BPS: Final = 300
"""Simulated pairs follow what feeders say by their fee and some more."""


@dataclass(frozen=True)
class Finance:
    """Where everything stands: addresses, the feeders' keys, and a planted case that was found. ``pairs``
    trade the token for coins, another token for coins, and the two tokens for each other."""

    pool: str
    pairs: tuple[str, str, str]
    feed: str
    token: str
    vault: str
    case: int
    feeders: tuple[Key, ...]


@contextmanager
def financed(home: Path, **more: str) -> Iterator[tuple[Place, Finance]]:
    """A filled chain under a node that `koinon up` runs, until the block ends."""
    filled = Command(home, **more).json("markets", "fill", "--months", MONTHS, "--seed", str(SEED))
    at = filled["contracts"]
    scorecard().save(home / ROOM / "scorecard.json")
    with running(home, **more) as place:
        with Node.open(place.settings()) as node:
            vault = begin_vault(node, at["sim7_sbtc"], at["sim7_sbtc_feed"], at["sim7_sbtc_tusd"])
        place.command.json("watch", "scan", "--chain")
        planted = planted_case(Path(filled["truth"]), place.command.json("watch", "cases")["cases"])
        yield (
            place,
            Finance(
                pool=at["sim7_seth_pool"],
                pairs=(at["sim7_seth_tusd"], at["sim7_sbtc_tusd"], at["sim7_seth_sbtc"]),
                feed=at["sim7_seth_feed"],
                token=at["sim7_seth"],
                vault=vault,
                case=planted,
                feeders=tuple(each.key for each in Accounts(SEED).several(FEEDERS, "feeder")),
            ),
        )


def planted_case(truth: Path, cases: list[dict[str, Any]]) -> int:
    """The first case of the queue that is about nobody but one planted ring."""
    rings = [set(each["members"]) for each in orjson.loads(truth.read_bytes())["cases"] if each["illicit"]]
    return next(int(each["id"]) for each in cases if any(set(each["accounts"]) <= ring for ring in rings))


def scorecard() -> Scorecard:
    """Points by hand, so that reasons are known: whoever repaid a loan and was never sold out is better."""
    features = (
        Feature("repays_365d", (0,), (0, 60), 0),
        Feature("liquidations_365d", (0,), (40, 0), 0),
    )
    return Scorecard(
        ScorecardTable(features, (590, 560, 520), 500),
        tuple(Reader(each.name, each.scale) for each in features),
        Calibration("platt", ((-2.0, 8.0),)),
        tuple(Tier(100, bad, bad / 100) for bad in (1, 4, 12, 25)),
        {"repays_365d": 1},
        {"data": "two rules by hand; nothing was measured"},
    )


def begin_vault(node: Node, token: str, feed: str, pair: str) -> str:
    """A vault of the operator's that may hold coins and one token, with 1,000 coins in it."""
    me = node.operator.address
    charter = Charter(node.chain.coin.address, me, me, me, me, 0)
    strategy = Strategy(Kind.TOKEN, token, feed, pair, 6 * 3_600, 0, MOST_BPS)
    limits = Limits(TURNOVER_BPS, SLIPPAGE_BPS, 2_000, 500)
    treasury = Treasury.of(node)
    vault = treasury.create(VaultTerms("Tides", "TIDE", charter, limits, (strategy,))).address
    node.chain.sender(node.operator).send(node.chain.coin.transaction("mint", me, 1_000 * COIN))
    treasury.deposit(vault, 1_000 * COIN)
    return vault


def pool_now(place: Place, finance: Finance) -> PoolState:
    """The pool that strangers borrow from, as anybody reads it."""
    with Node.open(place.settings()) as node:
        return Lending.of(node).pool(finance.pool)


def crash(place: Place, finance: Finance, share: Decimal) -> Decimal:
    """As many feeders as a round needs sign a price that fell by this share; what they say."""
    with Node.open(place.settings()) as node:
        feed = Feed(node.chain, finance.feed)
        before = feed.latest_from_feeders()
        price = int(before.value * (1 - share))
        words = [feed.sign(feeder, price) for feeder in finance.feeders[:THRESHOLD]]
        return feed.post(node.operator, words).whole


def push(place: Place, finance: Finance, share: float) -> None:
    """Somebody buys so much of the token that its pair's price leaves the other pools' by about this."""
    with Node.open(place.settings()) as node:
        markets = Markets(node.chain)
        pair = markets.pairs.read(finance.pairs[0])
        coin, token = markets.token(), markets.token(finance.token)
        coins = pair.reserve0 if pair.token0.address == coin.address else pair.reserve1
        paid = int(coins * share / 2)
        while (have := markets.balance(coin, node.operator.address)) < paid:
            most = min(paid - have, int(node.chain.coin.call("mintLimit")))
            mint = node.chain.coin.transaction("mint", node.operator.address, most)
            node.chain.sender(node.operator).send(mint)
        hops, out = markets.quote(coin, token, paid)
        markets.swap(node.operator, hops, paid, out * 99 // 100)


def gap(place: Place, finance: Finance) -> float:
    """How far the three pairs are from agreeing on the token's price: 0.03 is 3 %."""
    with Node.open(place.settings()) as node:
        markets = Markets(node.chain)
        direct, other, cross = (markets.pairs.read(pair) for pair in finance.pairs)
        coin, token = markets.token(), markets.token(finance.token)
        third = cross.token1 if cross.token0.address == token.address else cross.token0
    around = _price(cross, token.address, third.address) * _price(other, third.address, coin.address)
    return abs(_price(direct, token.address, coin.address) / around - 1)


def _price(pair: Pair, base: str, quote: str) -> float:
    """Smallest units of the quote for one of the base, by the pair's books."""
    held = {pair.token0.address: pair.reserve0, pair.token1.address: pair.reserve1}
    return held[quote] / held[base]
