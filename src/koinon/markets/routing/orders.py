# SPDX-License-Identifier: Apache-2.0
"""Orders split over paths: where the convex optimum sends them, in whole amounts, if gas is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from koinon.errors import BadInput, NotFound
from koinon.markets.routing.books import Books
from koinon.markets.routing.dual import optimum
from koinon.markets.routing.flows import MOST_HOPS, Hop, cycles_and_paths
from koinon.markets.routing.market import Listing
from koinon.markets.routing.plan import Plan, Step
from koinon.markets.routing.pools import Pool

MOST_PATHS: Final = 16
"""What ``Router.vy`` takes in one order."""
PORTIONS: Final = 256
"""An order is handed out to its paths in so many equal parts."""
LOOKS: Final = 4
"""Paths are looked for so many times while it is handed out, besides the optimum's."""

Way = tuple[Hop, ...]


def order(
    pools: Sequence[Pool],
    token_in: str,
    token_out: str,
    amount: int,
    *,
    gas_price: float = 0.0,
    most_hops: int = MOST_HOPS,
) -> Plan:
    """The paths on which ``amount`` of one token brings most of another.

    Values are in units of ``token_out``; ``gas_price`` is what a unit of gas costs in it. ``predicted`` is
    the convex optimum, which takes whatever pools out of line give: it may be more than an order can get.

    Raises
    ------
    BadInput
        The amount is not above 0, or both tokens are the same.
    NotFound
        No pools connect the tokens, or nothing would come out.
    """
    if amount <= 0 or token_in == token_out:
        raise BadInput("An order gives an amount above 0 of one token for another.", code="markets.order")
    listing = Listing.of(pools, (token_in, token_out))
    found, bound = _ways(listing, token_in, token_out, amount, most_hops)
    best: list[tuple[Way, int]] = []
    most = -np.inf
    for count in _counts(len(found)):
        split = _handed_out(listing, found[:count], amount)
        value = _brought(listing, split) - gas_price * sum(_gas(way) for way, _ in split)
        if split and value > most:
            best, most = split, value
    steps = tuple(_steps(listing, best, token_in, token_out))
    brought = sum(step.amount_out for step in steps)
    if not brought:
        raise NotFound(
            "No pools lead from the one token to the other for this amount.",
            hint="Look at what pools there are: koinon markets depth.",
            code="markets.no_route",
        )
    gas = gas_price * sum(step.gas for step in steps)
    return Plan(listing.pools, steps, predicted=max(bound, brought), value=brought, gas_value=gas)


def _ways(
    listing: Listing, token_in: str, token_out: str, amount: int, most_hops: int
) -> tuple[list[Way], float]:
    """Paths worth using, the best single one first; and the optimum's value."""
    books = Books(listing.pools)
    ways: list[Way] = [books.best_path(token_in, token_out, amount, most_hops)[1]]
    worth, held = listing.numbered({token_out: 1.0}), listing.numbered({token_in: float(amount)})
    best = optimum(listing.market, worth, held)
    start = {listing.tokens.index(token_in): float(amount)}
    streams = cycles_and_paths(listing.market.coins, best.net, best.prices, worth, start, most_hops=most_hops)
    wanted = listing.tokens.index(token_in)
    paths = [stream for stream in streams if not stream.cycle and stream.start == wanted]
    ways += [stream.hops for stream in sorted(paths, key=lambda stream: -stream.amount)]
    for _ in range(LOOKS):
        part = max(amount // LOOKS, 1)
        _, way = books.best_path(token_in, token_out, part, most_hops)
        if not way:
            break
        ways.append(way)
        books.swap(way, part)
    return [way for way in dict.fromkeys(ways) if way][:MOST_PATHS], best.value


def _handed_out(listing: Listing, ways: Sequence[Way], amount: int) -> list[tuple[Way, int]]:
    """Portions of the amount, each to the path on which it brings most after those before it; the whole to
    one path if that brings more."""
    books, parts = Books(listing.pools), [0] * len(ways)
    portion, rest = divmod(amount, PORTIONS)
    for size in [portion + (number < rest) for number in range(PORTIONS)]:
        if not size or not ways:
            continue
        brings = [books.quote(way, size) for way in ways]
        at = brings.index(max(brings))
        books.swap(ways[at], size)
        parts[at] += size
    split = [(way, part) for way, part in zip(ways, parts, strict=True) if part]
    whole = [(ways[0], amount)] if ways else []
    return max([whole, split], key=lambda each: _brought(listing, each))


def _brought(listing: Listing, split: Sequence[tuple[Way, int]]) -> int:
    books = Books(listing.pools)
    return sum(books.swap(way, part) for way, part in split)


def _steps(listing: Listing, split: Sequence[tuple[Way, int]], token_in: str, token_out: str) -> list[Step]:
    books = Books(listing.pools)
    return [Step(token_in, token_out, way, part, books.swap(way, part)) for way, part in split]


def _gas(way: Way) -> int:
    return Step("in", "out", way, 0, 0).gas


def _counts(most: int) -> list[int]:
    """How many paths to try: fewer cost less gas."""
    return sorted({min(count, most) for count in (1, 2, 3, 4, 6, 8, 12, MOST_PATHS)}) if most else [0]
