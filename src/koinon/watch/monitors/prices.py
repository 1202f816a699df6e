# SPDX-License-Identifier: Apache-2.0
"""Prices that cannot both be right: a feed beside its pair, and a pair beside its own past."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from koinon.markets.history.facts import Facts
from koinon.markets.history.rows import EventRow
from koinon.watch.monitors.remembering import Recent
from koinon.watch.monitors.sightings import ACT, NOW, Sighting, Transaction

DAY_S: Final = 86_400


@dataclass
class _Pair:
    price: float
    at: int
    first_at: int
    variance: float = 0.0
    """Of the logarithm of the price, by second, weighted by how recent."""


@dataclass
class _Feed:
    row: EventRow
    price: float


class Prices:
    """Parameters
    ----------
    facts : Facts
        Decimals of tokens and feeds; without them a feed and a pair are not compared.
    deviation : float
        Share by which a pair's price may differ from the feed's.
    fresh_s : int
        A feed's answer is compared for so long, in seconds.
    jump : float
        Least share of a move within one transaction that may be told.
    sigmas : float
        And so many standard deviations of the time since the pair's last price.
    memory_s : int
        Over which the deviation is learned, in seconds.

    A pair's price is what its reserves say at the end of a transaction.
    """

    name = "prices"

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        deviation: float = 0.1,
        fresh_s: int = 3 * 3_600,
        jump: float = 0.1,
        sigmas: float = 8.0,
        memory_s: int = 7 * DAY_S,
    ) -> None:
        self._facts = facts or Facts()
        self._deviation, self._fresh_s, self._jump = deviation, fresh_s, jump
        self._sigmas, self._memory_s = sigmas, memory_s
        self._pairs: Recent[str, _Pair] = Recent(lambda: _Pair(0.0, 0, 0), 5_000)
        self._feeds: Recent[tuple[str, str], _Feed] = Recent(_no_feed, 5_000)
        self._reserves: Recent[tuple[str, str], EventRow] = Recent(_no_row, 5_000)

    def see(self, seen: Transaction) -> list[Sighting]:
        """Compare the prices that this transaction left."""
        found: list[Sighting] = []
        last = {(row.kind, row.contract): row for row in seen.of_kind("reserves", "price")}
        for (kind, _), row in last.items():
            if kind == "price":
                price = row.amount / 10.0 ** self._facts.market(row.market, row.contract).decimals
                self._feeds[row.asset, row.asset_2] = _Feed(row, price)
            elif row.amount > 0 and row.amount_2 > 0:
                for key in ((row.asset, row.asset_2), (row.asset_2, row.asset)):
                    self._reserves[key] = row
                found += self._moved(row, seen)
        for key in dict.fromkeys(self._keys(row) for row in last.values()):
            found += self._compared(key, seen)
        return found

    def _moved(self, row: EventRow, seen: Transaction) -> list[Sighting]:
        price, now = row.amount_2 / row.amount, row.timestamp
        pair = self._pairs.get(row.contract)
        if pair is None:
            self._pairs[row.contract] = _Pair(price, now, now)
            return []
        step, passed = math.log(price / pair.price), max(1, now - pair.at)
        usual = math.sqrt(pair.variance * passed)
        found = []
        learned = now - pair.first_at > DAY_S
        if learned and abs(math.expm1(step)) >= self._jump and abs(step) >= self._sigmas * usual:
            why = (
                f"The price in pair {row.contract} moved by {math.expm1(step):+.1%} in one transaction; "
                f"usual in {passed} seconds is {usual:.2%}."
            )
            found.append(
                Sighting.of(self.name, f"jump {row.contract}", ACT, why, seen, accounts=_traders(seen, row))
            )
        # A jump that was told teaches no more than the largest that would not have been.
        taught = min(abs(step), self._sigmas * usual) if found and usual else abs(step)
        weight = 1 - math.exp(-passed / self._memory_s)
        pair.variance += weight * (taught * taught / passed - pair.variance)
        pair.price, pair.at = price, now
        return found

    def _keys(self, row: EventRow) -> tuple[str, str]:
        """In the direction in which a feed tells it, where there is one."""
        backwards = (row.asset_2, row.asset)
        return backwards if backwards in self._feeds else (row.asset, row.asset_2)

    def _compared(self, key: tuple[str, str], seen: Transaction) -> list[Sighting]:
        feed, row = self._feeds.get(key), self._reserves.get(key)
        decimals = self._facts.decimals
        if feed is None or row is None or key[0] not in decimals or key[1] not in decimals:
            return []
        if seen.timestamp - feed.row.timestamp > self._fresh_s or not feed.price:
            return []
        base, quote = (row.amount, row.amount_2) if row.asset == key[0] else (row.amount_2, row.amount)
        price = quote / base * 10.0 ** (decimals[key[0]] - decimals[key[1]])
        gap = price / feed.price - 1
        if abs(gap) < self._deviation and abs(1 / (1 + gap) - 1) < self._deviation:
            return []
        why = (
            f"Pair {row.contract} says {price:.6g}, feed {feed.row.contract} {feed.price:.6g}: "
            f"{gap:+.1%} apart."
        )
        level = NOW if abs(gap) >= 2 * self._deviation else ACT
        return [
            Sighting.of(
                self.name,
                f"gap {feed.row.contract} {row.contract}",
                level,
                why,
                seen,
                accounts=[row.contract, feed.row.contract, *_traders(seen, row)],
                rows=(feed.row, row),
            )
        ]


def _traders(seen: Transaction, pair: EventRow) -> list[str]:
    swaps = [row for row in seen.of_kind("swap") if row.contract == pair.contract]
    return [pair.contract, *(row.account for row in swaps), *(row.counterparty for row in swaps)]


def _no_feed() -> _Feed:
    raise KeyError("there is no such feed")


def _no_row() -> EventRow:
    raise KeyError("there is no such pair")
