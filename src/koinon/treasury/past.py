# SPDX-License-Identifier: Apache-2.0
"""What a vault's share was worth before, and what the same money in equal parts would have been worth."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.chain.contract import block_tag
from koinon.errors import ChainError, KoinonError
from koinon.markets.board import Board
from koinon.markets.past import Points, prices
from koinon.treasury.vault import RAY, Kind, Slot, VaultState

STEPS: Final = 160
DAY_S: Final = 86_400
PARTS: Final = 10**6
"""Smallest shares of a smallest unit of the asset at a vault's beginning."""
LOGS: Final = 4_000
"""Blocks a node is asked for the past of another vault's shares, except on a development chain."""


@dataclass(frozen=True)
class Past:
    """``share`` what one whole share was worth, in whole assets; ``equal`` what as much money in equal parts
    would have been worth, from the same beginning; ``unknown`` symbols whose past nobody tells here, counted
    as if unchanged; ``moves`` the times of rebalancings."""

    share: Points
    equal: Points
    unknown: tuple[str, ...]
    moves: tuple[float, ...]


def past_of(board: Board, state: VaultState) -> Past:
    """A vault's past, kept for the block."""
    return board.once(("vault", state.address), board.block(), lambda: _past(board, state))


def worth_of(price: int) -> float:
    """What one whole share is worth in whole assets, from what 1e27 smallest ones are."""
    return price * PARTS / RAY


def _past(board: Board, state: VaultState) -> Past:
    share = _settled(board, state.address)
    if not share and not state.supply:
        return Past([], [], (), ())
    share.append((float(max(state.at, share[-1][0] if share else 0)), worth_of(state.price)))
    known: dict[str, Points] = {}
    unknown = []
    for slot in state.slots:
        found = _token(board, state, slot) if slot.strategy.kind is Kind.TOKEN else _shares(board, slot)
        if len(found) > 1:
            known[slot.symbol] = found
        else:
            unknown.append(slot.symbol)
    equal = equal_parts(known, len(unknown), share[0][0], share[-1][0], share[0][1])
    return Past(thinned(share), equal, tuple(unknown), _moves(board, state.address))


def equal_parts(
    known: Mapping[str, Points], unchanged: int, first: float, last: float, begins: float
) -> Points:
    """Money in equal parts, brought back to them once a day, without costs.

    Parameters
    ----------
    known : mapping of str to points
        An asset's prices in time; before its first the first counts.
    unchanged : int
        How many more assets there are whose price never changes.
    first, last : float
        Unix seconds.
    begins : float
        What it is worth at first.
    """
    count = len(known) + unchanged
    if not count:
        return []
    step = max((last - first) / STEPS, 1.0)
    moments = [first + step * place for place in range(int((last - first) / step) + 1)]
    if moments[-1] < last:
        moments.append(last)
    series = [_at(points, moments) for points in known.values()]
    worth, held, day = begins, [begins / count] * count, int(first // DAY_S)
    found = [(first, begins)]
    for place in range(1, len(moments)):
        for number, values in enumerate(series):
            held[number] *= values[place] / values[place - 1]
        worth = sum(held)
        found.append((moments[place], worth))
        if int(moments[place] // DAY_S) != day:
            held, day = [worth / count] * count, int(moments[place] // DAY_S)
    return found


def thinned(points: Points) -> Points:
    """At most so many as a picture needs, the last among them."""
    every = max(1, len(points) // STEPS)
    return points[::every] if (len(points) - 1) % every == 0 else [*points[::every], points[-1]]


def _at(points: Points, moments: Sequence[float]) -> list[float]:
    """The newest value not later than each moment; the first before it."""
    keys = [at for at, _value in points]
    return [points[max(0, bisect_right(keys, moment) - 1)][1] for moment in moments]


def _settled(board: Board, address: str) -> Points:
    rows = _events(board, "vault_settled", address)
    return [(float(row["timestamp"]), worth_of(int(row["price"]))) for row in rows]


def _moves(board: Board, address: str) -> tuple[float, ...]:
    return tuple(float(row["timestamp"]) for row in _events(board, "vault_rebalanced", address))


def _events(board: Board, table: str, address: str) -> list[dict[str, Any]]:
    try:
        return board.index.rows(
            f"SELECT e.*, b.timestamp FROM {table} e JOIN block b ON b.number = e.block_number "  # noqa: S608  (ours)
            "WHERE e.address = ? ORDER BY e.block_number, e.log_index",
            (address,),
        )
    except KoinonError:
        return []  # an index without vaults: a network without their factory


def _token(board: Board, state: VaultState, slot: Slot) -> Points:
    """A token's prices in the asset, as its pair told them."""
    try:
        pool = board.pool(slot.strategy.pair)
        found = prices(board, pool)
        _base, quoted = board.sides(pool)
    except KoinonError:
        return []
    return found if quoted.address == state.charter.asset else [(at, 1 / value) for at, value in found]


def _shares(board: Board, slot: Slot) -> Points:
    """What an ERC-4626's share was worth: as a vault of this network settled, or by what went in and out."""
    return _settled(board, slot.strategy.token) or _traded(board, slot.strategy.token)


def _traded(board: Board, address: str) -> Points:
    chain = board.chain
    last = board.block()
    vault = chain.contract("Vault", address)
    event = vault.event("Deposit")  # ERC-4626's own
    query = {
        "address": address,
        "topics": event.topics(),
        "fromBlock": block_tag(0 if chain.network.test_money else max(0, last - LOGS)),
        "toBlock": block_tag(last),
    }
    try:
        logs = [log for log in chain.rpc.call("eth_getLogs", query) if event.matches(log)]
        logs = logs[:: max(1, len(logs) // STEPS)]
        headers = chain.rpc.batch([("eth_getBlockByNumber", [log["blockNumber"], False]) for log in logs])
    except ChainError:
        return []
    found = []
    for log, header in zip(logs, headers, strict=True):
        fields = event.decode(log)
        if fields["shares"] > 0 and fields["assets"] > 0:
            found.append((float(int(header["timestamp"], 16)), fields["assets"] / fields["shares"]))
    try:
        now = int(vault.call("convertToAssets", RAY)) / RAY
    except KoinonError:
        return found
    return [*found, (float(chain.next_timestamp()), now)] if now > 0 else found
