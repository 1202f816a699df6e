# SPDX-License-Identifier: Apache-2.0
"""Pools, vaults and holders that share collateral: a fall, or one failure, followed through all of them.

A pool keeps its sound loans at par. Collateral of loans that a price makes unsound is the pool's, as much as
pays what is owed, and is sold when the pool lacks cash: that lowers the price for every other pool with the
same collateral, which makes more loans unsound, until nothing changes (`koinon.lending.risk.contagion`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from koinon.errors import BadInput
from koinon.lending.risk.book import Book, Floats, Terms
from koinon.lending.risk.contagion import Booleans, Cleared, System, clear

_MOST_ROUNDS: Final = 1_000


@dataclass(frozen=True)
class Pool:
    """Loans against one asset. ``idle`` cash; ``depositors`` whose claims it owes, in units of account."""

    name: str
    asset: str
    book: Book
    idle: float
    depositors: Mapping[str, float]


@dataclass(frozen=True)
class Holder:
    """A vault or anybody else: ``cash``, ``holdings`` tokens by asset, ``owes`` units of account by name, and
    ``owes_outside`` to whoever is not in the network (a vault's own depositors)."""

    name: str
    cash: float = 0.0
    holdings: Mapping[str, float] = field(default_factory=dict)
    owes: Mapping[str, float] = field(default_factory=dict)
    owes_outside: float = 0.0


@dataclass(frozen=True)
class Ecosystem:
    """Everybody, with the assets' ``prices`` in units of account and ``depth`` in tokens.

    Raises
    ------
    BadInput
        A name is used twice, or means nobody.
    """

    pools: Sequence[Pool]
    holders: Sequence[Holder]
    prices: Mapping[str, float]
    depth: Mapping[str, float]

    def __post_init__(self) -> None:
        names = self.names
        meant = {name for pool in self.pools for name in pool.depositors}
        meant |= {name for holder in self.holders for name in holder.owes}
        assets = {pool.asset for pool in self.pools} | {
            asset for holder in self.holders for asset in holder.holdings
        }
        if len(set(names)) != len(names) or not meant <= set(names):
            raise BadInput(
                "Every institution has a name of its own, and every claim is somebody's.",
                hint=f"Unknown: {', '.join(sorted(meant - set(names))) or 'none'}.",
                code="lending.network",
            )
        if not assets <= set(self.prices) or set(self.prices) != set(self.depth):
            raise BadInput("Every asset needs a price and a depth.", code="lending.network")

    @property
    def names(self) -> list[str]:
        """Pools, then holders."""
        return [pool.name for pool in self.pools] + [holder.name for holder in self.holders]

    def scored(self, tiers: Sequence[Terms]) -> Ecosystem:
        """As if scores had limited every loan; what was not lent is idle."""
        pools = []
        for pool in self.pools:
            book = pool.book.scored(tiers)
            pools.append(replace(pool, book=book, idle=pool.idle + float((pool.book.debt - book.debt).sum())))
        return replace(self, pools=pools)


@dataclass(frozen=True)
class Spread:
    """How far it went: ``cleared`` by institution (in the order of ``names``), ``equity_lost`` of each,
    ``unsound`` loans and ``rounds`` of loans becoming unsound."""

    names: Sequence[str]
    cleared: Cleared
    equity_lost: Floats
    unsound: int
    rounds: int

    @property
    def failed(self) -> list[str]:
        """Who cannot pay in full."""
        return [name for name, failed in zip(self.names, self.cleared.failed, strict=True) if failed]

    @property
    def lost(self) -> float:
        """The equity that all lose together."""
        return float(self.equity_lost.sum())

    def document(self) -> dict[str, Any]:
        return {
            "failed": self.failed,
            "unpaid": self.cleared.unpaid,
            "equity_lost": self.lost,
            "unsound_loans": self.unsound,
            "rounds": self.rounds,
        }


def spread(ecosystem: Ecosystem, falls: Mapping[str, float] | None = None, failing: str = "") -> Spread:
    """Follow a fall of prices (asset → 0.3 for 30 %) and the failure of one institution through everybody.

    Raises
    ------
    BadInput
        There is no such asset or institution.
    """
    unknown = set(falls or {}) - set(ecosystem.prices)
    if unknown:
        raise BadInput(f"There is no asset {sorted(unknown)[0]!r}.", code="lending.network")
    prices = np.array(
        [price * (1 - (falls or {}).get(asset, 0.0)) for asset, price in ecosystem.prices.items()]
    )
    before = np.array(list(ecosystem.prices.values()))
    untouched = clear(_system(ecosystem, before, _nothing(ecosystem), before))
    unsound, sale_prices = _unsound(ecosystem, prices, _nothing(ecosystem)), prices
    rounds = 0
    while True:
        system = _system(ecosystem, prices, unsound, sale_prices)
        cleared = clear(system.without(failing) if failing else system)
        wider = _unsound(ecosystem, cleared.prices, unsound)
        rounds += 1
        same = all((old == new).all() for old, new in zip(unsound, wider, strict=True))
        if rounds == _MOST_ROUNDS or (same and np.allclose(cleared.prices, sale_prices, rtol=1e-9, atol=0)):
            break
        unsound, sale_prices = wider, np.minimum(sale_prices, cleared.prices)
    count = int(sum(part.sum() for part in unsound))
    return Spread(ecosystem.names, cleared, untouched.equity - cleared.equity, count, rounds)


def failures(ecosystem: Ecosystem, falls: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Each institution's failure on its own: who fails with it, and what all others lose by it; the most
    harmful first."""
    base = spread(ecosystem, falls)
    found = []
    for at, name in enumerate(ecosystem.names):
        after = spread(ecosystem, falls, failing=name)
        others = np.arange(len(ecosystem.names)) != at
        found.append(
            {
                "name": name,
                "brings_down": sorted(set(after.failed) - set(base.failed) - {name}),
                "others_lose": float((after.equity_lost - base.equity_lost)[others].sum()),
                "unpaid": after.cleared.unpaid - base.cleared.unpaid,
            }
        )
    return sorted(found, key=lambda each: (-each["unpaid"], -each["others_lose"], each["name"]))


def compare(
    ecosystem: Ecosystem, tiers: Sequence[Terms], falls: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """The same fall and failures before and after scores limit what is lent."""
    found = {}
    for name, system in (("before", ecosystem), ("after", ecosystem.scored(tiers))):
        found[name] = {**spread(system, falls).document(), "failures": failures(system, falls)}
    return found


def _nothing(ecosystem: Ecosystem) -> list[Booleans]:
    return [np.zeros(len(pool.book), np.bool_) for pool in ecosystem.pools]


def _unsound(ecosystem: Ecosystem, prices: Floats, before: Sequence[Booleans]) -> list[Booleans]:
    """Once unsound, a loan stays so: its collateral is being sold."""
    at = {asset: float(price) for asset, price in zip(ecosystem.prices, prices, strict=True)}
    return [
        old | (pool.book.collateral * at[pool.asset] * pool.book.lltv < pool.book.debt)
        for pool, old in zip(ecosystem.pools, before, strict=True)
    ]


def _system(ecosystem: Ecosystem, prices: Floats, unsound: Sequence[Booleans], sale_prices: Floats) -> System:
    """``sale_prices``: what collateral is sold at; a pool sells as much of it as then pays what is owed."""
    names, assets = ecosystem.names, list(ecosystem.prices)
    place = {name: at for at, name in enumerate(names)}
    column = {asset: at for at, asset in enumerate(assets)}
    cash, outside = np.zeros(len(names)), np.zeros(len(names))
    holdings, liabilities = np.zeros((len(names), len(assets))), np.zeros((len(names), len(names)))
    for pool, bad in zip(ecosystem.pools, unsound, strict=True):
        at, asset = place[pool.name], column[pool.asset]
        book, price = pool.book, float(sale_prices[column[pool.asset]])
        cash[at] = pool.idle + float(book.debt[~bad].sum())
        enough = book.debt[bad] / price if price > 0 else np.full(int(bad.sum()), np.inf)
        holdings[at, asset] = float(np.minimum(book.collateral[bad], enough).sum())
        for name, claim in pool.depositors.items():
            liabilities[at, place[name]] = claim
    for holder in ecosystem.holders:
        at = place[holder.name]
        cash[at], outside[at] = holder.cash, holder.owes_outside
        for asset_name, amount in holder.holdings.items():
            holdings[at, column[asset_name]] = amount
        for name, claim in holder.owes.items():
            liabilities[at, place[name]] = claim
    depth = np.array(list(ecosystem.depth.values()))
    return System(names, assets, cash, holdings, liabilities, outside, prices, depth)
