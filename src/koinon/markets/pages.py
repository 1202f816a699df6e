# SPDX-License-Identifier: Apache-2.0
"""Markets in the console: pairs and prices, one pool with its swaps, and what arbitrage would earn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.errors import KoinonError, SetupError
from koinon.markets.arbitraging import ARBITRAGE, LOCAL
from koinon.markets.board import REASONS, Board, FeedState
from koinon.markets.exploring import dust, eth_price, graph_of, plan_now, rows_of
from koinon.markets.forms import board_of, exact, unit_of
from koinon.markets.pairs import at_least
from koinon.markets.past import posted, prices
from koinon.markets.pictured import MOST_LINES, draw_graph, draw_price, draw_prices
from koinon.markets.routing.executor import FLOOR_BPS
from koinon.markets.routing.pools import PairPool, Pool, StablePool, WeightedPool
from koinon.markets.tokens import Token, balance_of, short
from koinon.markets.trading import ACTIONS, STRANGE, Quote, quote
from koinon.web import NavEntry, Router, Unit, node, paginate, render, visitor
from koinon.web import marked as _

router: Final = Router(
    "markets",
    nav=[
        NavEntry("money", "/markets", _("Markets"), order=30),
        NavEntry("money", "/arbitrage", _("Arbitrage"), order=40),
    ],
    actions=(*ACTIONS, ARBITRAGE),
)

KINDS: Final = {
    PairPool: _("pair (constant product)"),
    WeightedPool: _("weighted pool"),
    StablePool: _("stable pool"),
}
FAR: Final = 0.02
"""From here on a pool's price beside its feed is called far off."""
VAST: Final = 1e12


@dataclass(frozen=True)
class Line:
    """A pool on a page: its two sides, what a base token costs, and its feed where one is known."""

    pool: Pool
    base: Token
    quote: Token
    price: float
    feed: FeedState | None

    @property
    def name(self) -> str:
        return f"{self.base.symbol} / {self.quote.symbol}"

    @property
    def base_held(self) -> int:
        return self.pool.reserves[self.pool.tokens.index(self.base.address)]

    @property
    def quote_held(self) -> int:
        return self.pool.reserves[self.pool.tokens.index(self.quote.address)]

    @property
    def deviation(self) -> float | None:
        """How far the pool's price lies from what the feed's feeders say, as a part of that."""
        if self.feed is None or self.feed.from_feeders is None or not self.price:
            return None
        return self.price / float(self.feed.from_feeders) - 1


def _line(board: Board, pool: Pool, feeds: list[FeedState]) -> Line:
    base, quoted = board.sides(pool)
    return Line(pool, base, quoted, board.price(pool), board.feed_of(pool, feeds))


def price_text(value: float) -> str:
    """A price with sensible digits; powers of ten where nobody would count them."""
    return f"{value:,.2f}" if 1 <= abs(value) < VAST else f"{value:,.4g}"


def _shared() -> dict[str, Any]:
    return {
        "exact": exact,
        "price_text": price_text,
        "unit_of": unit_of,
        "reasons": REASONS,
        "kinds": KINDS,
        "far": FAR,
        "section": "money",
    }


@router.page("/markets")
def markets(request: Request) -> Response:
    """Every pool, what it holds and what it says; and every feed."""
    board = board_of(node(request))
    if not board.listed:
        return render(request, "markets/markets.html", lines=None, feeds=(), **_shared())
    block, pools = board.pools()
    held = sorted(pools, key=lambda pool: -_depth(board, pool))
    pages = paginate(request, len(held))
    feeds = board.feeds()
    lines = [_line(board, pool, feeds) for pool in held[pages.offset : pages.offset + pages.size]]
    names = Counter(line.name for line in lines[:MOST_LINES])
    drawn = [
        (
            line.name if names[line.name] == 1 else f"{line.name} ({short(line.pool.address)})",
            prices(board, line.pool),
        )
        for line in lines[:MOST_LINES]
    ]
    return render(
        request,
        "markets/markets.html",
        lines=lines,
        total=len(pools),
        pages=pages,
        feeds=feeds,
        wrong=[feed for feed in feeds if not feed.valid],
        picture=draw_prices(drawn),
        block=block,
        **_shared(),
    )


def _depth(board: Board, pool: Pool) -> int:
    """What it holds of the coin; nothing for pools without it."""
    coin = board.chain.coin.address
    return pool.reserves[pool.tokens.index(coin)] if coin in pool.tokens else 0


@router.page("/markets/{address}")
def market(request: Request, address: str) -> Response:
    """One pool: its price in time beside its feed, what it holds, and swapping through it."""
    board, me = board_of(node(request)), visitor(request).address
    pool = board.pool(address)
    feeds = board.feeds()
    line = _line(board, pool, feeds)
    asked = request.query_params
    wish, fault = _quoted(board, pool, asked)
    tokens = [board.token(token) for token in pool.tokens]
    shares = supply = 0
    if isinstance(pool, PairPool):
        supply = int(board.chain.contract("Pair", pool.address).call("totalSupply"))
        shares = balance_of(board.chain, pool.address, me) if me else 0
    past = prices(board, pool)
    return render(
        request,
        "markets/market.html",
        line=line,
        pool=pool,
        kind=KINDS[type(pool)],
        tokens=tokens,
        mine=[balance_of(board.chain, token.address, me) for token in tokens] if me else None,
        is_pair=isinstance(pool, PairPool),
        shares=shares,
        supply=supply,
        known=board.known(pool),
        strange=STRANGE,
        picture=draw_price(
            line.base.symbol, line.quote.symbol, past, posted(board, line.feed) if line.feed else []
        ),
        wish=wish,
        fault=fault,
        give=asked.get("give") if asked.get("give") in pool.tokens else line.quote.address,
        amount=asked.get("amount", "")[:40],
        slippage=asked.get("slippage", "0.5")[:8],
        **_shared(),
    )


def _quoted(board: Board, pool: Pool, asked: Any) -> tuple[Quote | None, KoinonError | None]:
    """What the form above asks for; what is wrong with it stands beside it."""
    if not asked.get("amount"):
        return None, None
    try:
        found = quote(board, pool, asked.get("give", ""), asked["amount"][:40], asked.get("slippage", ""))
    except KoinonError as fault:
        return None, fault
    return found, None


@router.page("/arbitrage")
def arbitrage(request: Request) -> Response:
    """What cycles through pools would earn now, and each pool's price beside its feed."""
    board = board_of(node(request))
    if not board.listed:
        return render(request, "markets/arbitrage.html", pools=None, rows=(), missing=None, **_shared())
    coin = board.token(board.chain.coin.address)
    eth = request.query_params.get("eth", "")[:20]
    wei = eth_price(eth, coin)
    try:
        block, plan = plan_now(board, wei)
    except SetupError as missing:
        return render(
            request, "markets/arbitrage.html", pools=board.pools()[1], missing=missing, rows=(), **_shared()
        )
    _block, pools = board.pools()
    rows = rows_of(board, plan)
    feeds = board.feeds()
    cycles = [row for row in rows if row.step.cycle and row.step.token_in == coin.address]
    profit = sum(row.step.amount_out - row.step.amount_in for row in cycles)
    return render(
        request,
        "markets/arbitrage.html",
        pools=pools,
        missing=None,
        rows=rows,
        cycles=cycles,
        gain=sum(row.profit for row in rows),
        profit=profit,
        least=at_least(profit, FLOOR_BPS) if profit > 0 else 0,
        share=plan.share,
        block=block,
        eth=eth,
        priced=wei > 0,
        dust=dust(board),
        local=LOCAL if board.chain.network.test_money else "",
        picture=draw_graph(graph_of(board, pools, plan)) if pools else None,
        lines=[_line(board, pool, feeds) for pool in pools[:50]],
        coin_unit=Unit(coin.symbol, coin.decimals),
        **_shared(),
    )
