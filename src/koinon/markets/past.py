# SPDX-License-Identifier: Apache-2.0
"""What pools and feeds said before: prices in time, from the index where it has them, else from the node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from koinon.chain.contract import block_tag
from koinon.chain.index.sources import Source
from koinon.errors import ChainError
from koinon.markets.board import Board, FeedState, spot
from koinon.markets.routing.pools import PairPool, Pool

STEPS: Final = 160
"""Points of a picture: the last price in each of so many equal stretches of time."""
LOGS: Final = 4_000
"""Blocks whose events a node is asked for where the index has none, except on a development chain."""

Points = list[tuple[float, float]]


def prices(board: Board, pool: Pool) -> Points:
    """(Unix seconds, price as `Board.price`) of a pair, in order, with its price now as the last; of other
    pools only now's."""
    block = board.block()
    found = board.once(("past", pool.address), block, lambda: _prices(board, pool))
    now = board.price(pool)
    at = float(board.chain.next_timestamp())
    return [*found, (max(at, found[-1][0] if found else at), now)] if now > 0 else found


def posted(board: Board, feed: FeedState) -> Points:
    """(Unix seconds, price) of a feed's rounds, in order."""
    return board.once(("posted", feed.address), board.block(), lambda: _posted(board, feed))


def _prices(board: Board, pool: Pool) -> Points:
    if not isinstance(pool, PairPool):
        return []
    source = board.source_of(pool.address)
    rows = _indexed(board, source, "sync", ("reserve0", "reserve1")) if source is not None else None
    if rows is None:
        rows = _logged(board, pool.address)
    base, quote = board.sides(pool)
    coin_in, scale = pool.tokens.index(base.address), 10.0 ** (base.decimals - quote.decimals)
    found = []
    for at, reserve0, reserve1 in rows:
        value = spot(pool.holding((reserve0, reserve1)), coin_in) * scale
        if value > 0:
            found.append((float(at), value))
    return found


def _posted(board: Board, feed: FeedState) -> Points:
    source = board.source_of(feed.address)
    rows = (_indexed(board, source, "posted", ("answer",)) if source is not None else None) or []
    return [(float(at), answer / 10**feed.terms.decimals) for at, answer in rows]


def _indexed(
    board: Board, source: Source, event: str, columns: Sequence[str]
) -> list[tuple[int, ...]] | None:
    """(time, *columns) of the last event in each stretch; None where the index has no such table."""
    table = f"{source.name}_{event}"
    if table not in {each.name for each in source.tables}:
        return None
    (span,) = board.index.rows(
        f"SELECT MIN(b.timestamp) AS first, MAX(b.timestamp) AS last FROM {table} e "  # noqa: S608  (a source's)
        "JOIN block b ON b.number = e.block_number"
    )
    if span["first"] is None:
        return []
    step = max(1, (int(span["last"]) - int(span["first"])) // STEPS)
    names = ", ".join(f"e.{column}" for column in columns)
    rows = board.index.rows(
        f"SELECT l.at, {names} FROM {table} e JOIN ("  # noqa: S608  (a source's)
        "SELECT MAX(b.timestamp) AS at, MAX(e.block_number) AS block_number, "
        f"MAX(e.block_number * 100000 + e.log_index) AS place FROM {table} e "
        "JOIN block b ON b.number = e.block_number GROUP BY b.timestamp / ?"
        ") l ON e.block_number = l.block_number AND e.block_number * 100000 + e.log_index = l.place "
        "ORDER BY l.place",
        (step,),
    )
    return [(int(row["at"]), *(int(row[column]) for column in columns)) for row in rows]


def _logged(board: Board, address: str) -> list[tuple[int, ...]]:
    """(time, reserve 0, reserve 1) of a pair that the index does not follow, from the node's own logs."""
    chain = board.chain
    last = board.block()
    first = 0 if chain.network.test_money else max(0, last - LOGS)
    sync = chain.contract("Pair", address).event("Sync")
    query = {
        "address": address,
        "topics": sync.topics(),
        "fromBlock": block_tag(first),
        "toBlock": block_tag(last),
    }
    try:
        logs = [log for log in chain.rpc.call("eth_getLogs", query) if sync.matches(log)]
    except ChainError:
        return []  # a node that keeps no such past: now's price is all there is
    newest = {int(log["blockNumber"], 16): log for log in logs}
    numbers = sorted(newest)[:: max(1, len(newest) // STEPS)]
    blocks = chain.rpc.batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
    rows: list[tuple[int, ...]] = []
    for number, header in zip(numbers, blocks, strict=True):
        values = sync.decode(newest[number])
        rows.append((int(header["timestamp"], 16), int(values["reserve0"]), int(values["reserve1"])))
    return rows
