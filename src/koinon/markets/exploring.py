# SPDX-License-Identifier: Apache-2.0
"""The arbitrage explorer: what cycles would earn now, each with its way, its gas and its profit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Final

from koinon.errors import BadInput
from koinon.markets.board import Board
from koinon.markets.forms import text_of
from koinon.markets.pictured import MOST_POOLS, MOST_TOKENS, Edge, Flow, Graph
from koinon.markets.routing.books import Books
from koinon.markets.routing.executor import flash
from koinon.markets.routing.gas import after_gas
from koinon.markets.routing.plan import Plan, Step
from koinon.markets.routing.pools import Pool
from koinon.markets.tokens import Token
from koinon.web import gettext, url
from koinon.works.forms import without_commas

WEI: Final = 10**18
DUST_PART: Final = 100
"""Without a price of gas, cycles that earn less than this part of a coin count as nothing."""


@dataclass(frozen=True)
class Row:
    """A cycle (or the sale of what one left) on the page. ``gas_value`` and ``profit`` in the coin's smallest
    unit, after gas; ``name`` what its form says: the token it starts with, then the pools."""

    step: Step
    way: tuple[Token, ...]
    pools: tuple[str, ...]
    gas_value: int
    profit: int
    name: str
    needs_money: bool


def eth_price(text: str, coin: Token) -> float:
    """What a wei is worth in the coin's smallest units; 0 where nothing is said. `BadInput` otherwise."""
    if not text.strip():
        return 0.0
    try:
        price = Decimal(without_commas(text.strip()))
    except InvalidOperation:
        price = Decimal(-1)
    if not price.is_finite() or not 0 <= price <= 10**12:
        raise BadInput(
            gettext("%(text)s is not what an ETH is worth.", text=text[:40]),
            hint=gettext("Write it in %(symbol)s, like 2400.", symbol=coin.symbol),
            code="markets.eth_price",
        )
    return float(price) * 10.0**coin.decimals / WEI


def plan_now(board: Board, wei: float) -> tuple[int, Plan]:
    """The block and the most that bringing its pools in line earns, planned once for the block, whatever an
    ETH is worth; `SetupError` where the extra is missing."""
    block, pools = board.pools()
    coin = board.chain.coin.address
    plan = board.once("plan", block, lambda: _plan(pools, coin))
    if wei:
        gas_wei = board.once("gas", block, lambda: int(board.chain.rpc.call("eth_gasPrice"), 16))
        return block, after_gas(plan, coin, gas_wei * wei)
    return block, plan if plan.value >= dust(board) else replace(plan, steps=(), value=0.0)


def _plan(pools: Sequence[Pool], coin: str) -> Plan:
    from koinon.markets.routing.arbitrage import arbitrage  # noqa: PLC0415  (scipy: only where it is asked)

    return arbitrage(pools, {coin: 1.0})


def dust(board: Board) -> int:
    """What is too little to speak of, in the coin's smallest unit."""
    return int(10 ** board.token(board.chain.coin.address).decimals) // DUST_PART


def rows_of(board: Board, plan: Plan) -> list[Row]:
    """Every step of a plan, in its order."""
    per_gas = plan.gas_value / sum(step.gas for step in plan.steps) if plan.steps else 0.0
    coin = board.chain.coin.address
    found = []
    for step in plan.steps:
        way = [board.token(step.token_in)]
        for hop in step.hops:
            way.append(board.token(plan.pools[hop.pool].tokens[1 - hop.coin_in]))
        pools = tuple(plan.pools[hop.pool].address for hop in step.hops)
        gas_value = int(per_gas * step.gas)
        gain = (step.amount_out if step.token_out == coin else 0) - (
            step.amount_in if step.token_in == coin else 0
        )
        name = ",".join([step.token_in, *pools])
        needs = not flash(plan.pools, step)
        found.append(Row(step, tuple(way), pools, gas_value, gain - gas_value, name, needs))
    return found


def graph_of(board: Board, pools: Sequence[Pool], plan: Plan) -> Graph:
    """Pools between the tokens that matter most, and what the plan moves through them."""
    flows: dict[tuple[str, int], tuple[int, int]] = {}
    books = Books(plan.pools)
    for step in plan.steps:
        amount = step.amount_in
        for hop in step.hops:
            pool = books.pools[hop.pool]
            out = books.swap((hop,), amount)
            before = flows.get((pool.address, hop.coin_in), (0, 0))
            flows[pool.address, hop.coin_in] = (before[0] + amount, before[1] + out)
            amount = out
    used = {address for address, _coin in flows}
    counts: dict[str, int] = {}
    for pool in pools:
        for token in pool.tokens:
            counts[token] = counts.get(token, 0) + (len(pools) if pool.address in used else 1)
    tokens = sorted(counts, key=lambda each: -counts[each])[:MOST_TOKENS]
    inside = [pool for pool in pools if set(pool.tokens) <= set(tokens)]
    shown = sorted(inside, key=lambda pool: pool.address not in used)[:MOST_POOLS]
    edges = [
        Edge(
            tokens.index(pool.tokens[0]),
            tokens.index(pool.tokens[1]),
            _pool_words(board, pool),
            url(f"/markets/{pool.address}"),
        )
        for pool in shown
    ]
    place = {pool.address: at for at, pool in enumerate(shown)}
    flows = {key: moved for key, moved in flows.items() if key[0] in place}
    parts = {
        (address, coin): moved[0] / max(1, shown[place[address]].reserves[coin])
        for (address, coin), moved in flows.items()
    }
    most = max(parts.values(), default=1.0) or 1.0
    drawn = [
        _flow_of(board, shown[place[address]], coin_in, moved, place[address], parts[address, coin_in] / most)
        for (address, coin_in), moved in flows.items()
    ]
    return Graph([board.token(token).symbol for token in tokens], edges, drawn)


def _flow_of(  # noqa: PLR0917
    board: Board, pool: Pool, coin_in: int, moved: tuple[int, int], edge: int, part: float
) -> Flow:
    given, got = board.token(pool.tokens[coin_in]), board.token(pool.tokens[1 - coin_in])
    words = gettext(
        "%(given)s goes in, %(got)s comes out.", given=text_of(moved[0], given), got=text_of(moved[1], got)
    )
    return Flow(edge, coin_in == 0, part, text_of(moved[0], given), words)


def _pool_words(board: Board, pool: Pool) -> str:
    held = [text_of(held, board.token(token)) for held, token in zip(pool.reserves, pool.tokens, strict=True)]
    return gettext(
        "Pool of %(pair)s: it holds %(first)s and %(second)s",
        pair=board.symbols(pool),
        first=held[0],
        second=held[1],
    )
