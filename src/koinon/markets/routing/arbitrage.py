# SPDX-License-Identifier: Apache-2.0
"""Arbitrage planned to the unit: the optimum's cycles, replayed with the pools' own formulas, less gas."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from koinon.markets.routing.books import Books
from koinon.markets.routing.dual import Optimum, optimum
from koinon.markets.routing.flows import MOST_HOPS, Hop, Stream, cycles_and_paths
from koinon.markets.routing.market import Listing, depths
from koinon.markets.routing.plan import Plan, Step, value_of
from koinon.markets.routing.pools import Pool

ROUNDS: Final = 4
ENOUGH: Final = 1e-4
"""Rounds end where another would bring less than this share of the first."""
SOUND: Final = 0.5
SHALLOW: Final = (1e-6, 1e-3, 1e-1)
"""Where less than this share of the promised profit can be planned, the optimum was not found: anyone may
make pools whose prices are absurd, and too many of those leave no digits for the others. It is looked for
again without pools that hold less than these parts of the deepest."""
ROOM: Final = 4
"""A cycle that shares no pool with another is sized anew, up to so many times its planned amount."""


def arbitrage(
    pools: Sequence[Pool],
    worth: Mapping[str, float],
    *,
    gas_price: float = 0.0,
    most_hops: int = MOST_HOPS,
) -> Plan:
    """The most that bringing pools in line earns, as cycles that each pay for their gas.

    Parameters
    ----------
    pools : sequence of Pool
    worth : mapping
        Token → value of its smallest unit. Profit in other tokens is sold.
    gas_price : float
        Value of a unit of gas, in the same measure.
    most_hops : int
        Longest cycle, in swaps.
    """
    plan = _planned(pools, worth, gas_price, most_hops)
    for least in SHALLOW:
        if plan.predicted <= max(worth.values()) or plan.value >= SOUND * plan.predicted:
            break  # less than the smallest unit is nothing to look for
        deep = _planned(_deep(plan.pools, worth, least), worth, gas_price, most_hops)
        plan = max(plan, deep, key=lambda each: (each.profit, -each.predicted))
    if gas_price <= 0 or not plan.steps:
        return plan
    used = {hop.pool for step in plan.steps for hop in step.hops}
    second = _planned([plan.pools[number] for number in sorted(used)], worth, gas_price, most_hops)
    best = max(plan, second, key=lambda each: each.profit)
    return replace(best, predicted=plan.predicted)


def _deep(pools: Sequence[Pool], worth: Mapping[str, float], least: float) -> list[Pool]:
    """The pools that hold so much, as a part of the deepest's."""
    listing = Listing.of(pools, tuple(worth))
    part = depths(listing.market, listing.numbered(dict(worth)))
    return [pool for pool, each in zip(listing.pools, part, strict=True) if each >= least]


def _planned(pools: Sequence[Pool], worth: Mapping[str, float], gas_price: float, most_hops: int) -> Plan:
    listing = Listing.of(pools, tuple(worth))
    books, work = Books(listing.pools), _Work(listing, worth, gas_price, most_hops)
    predicted = 0.0
    for number in range(ROUNDS):
        held = work.unsold()
        before = sum(amount * work.price(token) for token, amount in held.items())
        now = Listing.of(books.pools, listing.tokens)
        best = optimum(now.market, now.numbered(dict(worth)), now.numbered(dict(held)))
        if number == 0:
            predicted = best.value
            work.prices = dict(zip(now.tokens, best.prices.tolist(), strict=True))
        if best.value - before <= ENOUGH * predicted:
            break
        if not work.carry_out(books, best, held):
            break
    work.sell(books)
    steps = tuple(work.steps)
    return Plan(
        listing.pools,
        steps,
        predicted=max(predicted, 0.0),
        value=value_of(steps, worth),
        gas_value=gas_price * sum(step.gas for step in steps),
    )


class _Work:
    """Steps so far, and what they left in tokens that are worth nothing by themselves."""

    def __init__(
        self, listing: Listing, worth: Mapping[str, float], gas_price: float, most_hops: int
    ) -> None:
        self.listing, self.worth, self.gas_price = listing, worth, gas_price
        self.most_hops = most_hops
        self.prices: dict[str, float] = {}
        self.steps: list[Step] = []
        self.left: dict[str, int] = defaultdict(int)

    def price(self, token: str) -> float:
        return max(self.worth.get(token, 0.0), self.prices.get(token, 0.0))

    def unsold(self) -> dict[str, int]:
        return {
            token: amount for token, amount in self.left.items() if amount > 0 and not self._valued(token)
        }

    def carry_out(self, books: Books, best: Optimum, held: Mapping[str, int]) -> bool:
        """Adds the optimum's streams that pay; whether there was any."""
        tokens = self.listing.tokens
        numbered = {tokens.index(token): float(amount) for token, amount in held.items()}
        streams = cycles_and_paths(
            self.listing.market.coins,
            best.net,
            best.prices,
            self.listing.numbered(dict(self.worth)),
            numbered,
            most_hops=self.most_hops,
        )
        streams.sort(key=lambda stream: (not stream.cycle, stream.start))  # one transaction pays in one token
        uses = Counter(hop.pool for stream in streams for hop in stream.hops)
        found = False
        for stream in streams:
            found |= self._add(books, stream, alone=all(uses[hop.pool] == 1 for hop in stream.hops))
        return found

    def _add(self, books: Books, stream: Stream, *, alone: bool) -> bool:
        start, end = self.listing.tokens[stream.start], self.listing.tokens[stream.end]
        if not stream.cycle:
            return self._take(books, start, end, stream.hops, min(int(stream.amount) + 1, self.left[start]))
        amount = int(stream.amount)
        if alone or books.quote(stream.hops, amount) <= amount:
            amount = books.best_size(stream.hops, amount * ROOM if alone else amount)
        return self._take(books, start, end, stream.hops, amount)

    def _take(self, books: Books, start: str, end: str, hops: tuple[Hop, ...], amount: int) -> bool:
        out = books.quote(hops, amount) if amount > 0 else 0
        step = Step(start, end, hops, amount, out)
        cost = self.gas_price * step.gas
        gain = (out - amount if step.cycle else out) * self.price(end)
        if out <= 0 or gain <= cost or (step.cycle and out <= amount):
            return False
        books.swap(hops, amount)
        self.steps.append(step)
        self.left[start] -= amount
        self.left[end] += out
        return True

    def sell(self, books: Books) -> None:
        """What is left in tokens without worth, each along its best single path."""
        wanted = [token for token, value in self.worth.items() if value > 0]
        for token, amount in self.unsold().items():
            found = [(books.best_path(token, end, amount, self.most_hops), end) for end in wanted]
            (_, hops), end = max(found, key=lambda each: each[0][0] * self.worth[each[1]])
            if hops:
                self._take(books, token, end, hops, amount)

    def _valued(self, token: str) -> bool:
        return self.worth.get(token, 0.0) > 0
