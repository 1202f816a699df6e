# SPDX-License-Identifier: Apache-2.0
"""The yardstick: all cycles of two and three pairs, each with its closed form, the best disjoint ones taken.

What most arbitrage programs do. A route through constant product pools is itself one such curve, so the best
amount for a cycle is a square root (Wang et al., "Cyclic arbitrage in decentralized exchanges", 2022).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt

from koinon.markets.routing.books import Books
from koinon.markets.routing.flows import Hop
from koinon.markets.routing.plan import Plan, Step, value_of
from koinon.markets.routing.pools import PPM, PairPool


def disjoint_cycles(pools: Sequence[PairPool], worth: Mapping[str, float]) -> Plan:
    """The most profitable cycles of at most three pairs that share no pair, the best first.

    ``predicted`` equals ``value``: the closed form promises no more than that.
    """
    found = []
    for hops in short_cycles(pools):
        start = pools[hops[0].pool].tokens[hops[0].coin_in]
        amount, gain = best_amount(pools, hops)
        if gain > 0:
            found.append((gain * worth.get(start, 0.0), hops, start, amount))
    books, steps, used = Books(pools), list[Step](), set[int]()
    for _, hops, start, amount in sorted(found, key=lambda each: -each[0]):
        if amount and not used & {hop.pool for hop in hops}:
            used |= {hop.pool for hop in hops}
            steps.append(Step(start, start, hops, amount, books.swap(hops, amount)))
    value = value_of(steps, worth)
    return Plan(tuple(pools), tuple(steps), predicted=value, value=value)


def short_cycles(pools: Sequence[PairPool]) -> Iterator[tuple[Hop, ...]]:
    """Every cycle of two or three pairs in both directions, once each."""
    out_of: dict[str, list[tuple[Hop, str]]] = defaultdict(list)
    for number, pool in enumerate(pools):
        if min(pool.reserves) > 0:
            for coin_in in (0, 1):
                out_of[pool.tokens[coin_in]].append((Hop(number, coin_in), pool.tokens[1 - coin_in]))
    for start, ways in list(out_of.items()):
        for first, second_token in ways:
            for second, third_token in out_of[second_token]:
                if second.pool == first.pool:
                    continue
                if third_token == start and start < second_token:
                    yield first, second
                elif third_token not in (start, second_token) and start < min(second_token, third_token):
                    for third, end in out_of[third_token]:
                        if end == start:
                            yield first, second, third


def best_amount(pools: Sequence[PairPool], hops: Sequence[Hop]) -> tuple[int, float]:
    """How much to put into a cycle of pairs, and what it then earns, in units of its first coin.

    The route is the curve ``b x / (a + c x)``.
    """
    a, b, c = 1.0, 1.0, 0.0
    for hop in hops:
        pool = pools[hop.pool]
        held, other = float(pool.reserves[hop.coin_in]), float(pool.reserves[1 - hop.coin_in])
        keep = 1 - pool.fee_ppm / PPM
        a, b, c = a * held, b * keep * other, c * held + keep * b
        size = max(a, b, c)
        a, b, c = a / size, b / size, c / size
    if b <= a or c <= 0:
        return 0, 0.0
    amount = (sqrt(a * b) - a) / c
    return int(amount), b * amount / (a + c * amount) - amount
