# SPDX-License-Identifier: Apache-2.0
"""What subjects had lent against what, at the end of each of the last days.

Amounts are principal: interest is in no event, so health factors read a little too high between events, by
the interest since the last one. A market's debt and collateral are valued at that moment's prices; collateral
without a price counts nothing, a market whose debt has no price is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from koinon.lending.features.point_in_time import DAY_S, Floats, Integers, Queries, World
from koinon.markets.history.history import KIND
from koinon.markets.history.rows import POOLED
from koinon.markets.history.saying import tier_of

DAYS: Final = 90

_COLLATERAL: Final = {"deposit_collateral": 1, "withdraw_collateral": -1, "seizure": -1}
_DEBT: Final = {"borrow": 1, "repay": -1, "liquidation": -1, "bad_debt": -1}
_POOLED: Final = {"supply": 1, "withdraw": -1}


@dataclass(frozen=True)
class Legs:
    """Changes of collateral and debt, in the order of (subject, market, asset, side, row). ``held`` what was
    left after each, never below nothing.

    ``lltvs`` where a market has one for each tier: by subject and market, the rows in which the subject's
    loan there got a tier, and the LLTV from then on."""

    subject: Integers
    market: Integers
    asset: Integers
    is_debt: Integers
    row: Integers
    held: Floats
    lltvs: Mapping[tuple[int, int], tuple[Integers, Floats]] = field(default_factory=dict)

    def each(self, subject: int) -> Iterator[tuple[int, int, bool, slice]]:
        """A subject's legs: market, asset, whether it is debt, and where its changes lie."""
        start, end = np.searchsorted(self.subject, [subject, subject + 1])
        key = np.stack([part[start:end] for part in (self.market, self.asset, self.is_debt)])
        cuts = np.flatnonzero((key[:, 1:] != key[:, :-1]).any(axis=0)) + 1
        bounds = [0, *cuts.tolist(), int(end - start)]
        for first, last in pairwise(bounds):
            if last > first:
                at = int(start) + first
                yield (
                    int(self.market[at]),
                    int(self.asset[at]),
                    bool(self.is_debt[at]),
                    slice(at, int(start) + last),
                )


@dataclass(frozen=True)
class Positions:
    """By query and day (0 the query's own moment, then one day earlier each): ``health`` the lowest health
    factor of its markets, NaN without debt; ``debt`` and ``collateral`` values in units of account.

    ``main`` the asset of most collateral value at the query's moment; 0 without one.
    """

    health: Floats
    debt: Floats
    collateral: Floats
    main: Integers


def find_legs(world: World) -> Legs:
    """The changes that a history tells of."""
    columns = world.history.columns
    kinds = {number: name for name, number in KIND.items()}
    pooled = {world.history.number(name) for name in POOLED}
    entries: list[tuple[int, int, int, int, int, float]] = []
    wanted = np.flatnonzero(
        np.isin(columns["kind"], [KIND[name] for name in {**_COLLATERAL, **_DEBT, **_POOLED}])
    )
    dust = np.int64(world.options.dust_value * 100)
    for row in wanted.tolist():
        kind = kinds[int(columns["kind"][row])]
        subject, market = int(columns["account"][row]), int(columns["market"][row])
        amount = float(columns["amount"][row])
        place = (subject, market)
        stranger = int(columns["counterparty"][row]) not in (0, subject)
        if kind in _DEBT:
            entries.append((*place, int(columns["asset"][row]), 1, row, _DEBT[kind] * amount))
            if kind == "liquidation" and columns["amount_2"][row] > 0:
                taken = float(columns["amount_2"][row])
                entries.append((*place, int(columns["asset_2"][row]), 0, row, -taken))
        elif kind in _COLLATERAL or int(columns["protocol"][row]) in pooled:
            sign = _COLLATERAL.get(kind) or _POOLED[kind]
            gift = sign > 0 and stranger and world.cents[row] < dust
            if not gift:
                entries.append((*place, int(columns["asset"][row]), 0, row, sign * amount))
    entries.sort(key=lambda each: each[:5])
    parts = [np.array([each[at] for each in entries], np.int64) for at in range(5)]
    change = np.array([each[5] for each in entries], np.float64)
    held = _held(parts[:4], change)
    return Legs(parts[0], parts[1], parts[2], parts[3], parts[4], held, _own_lltvs(world))


def _own_lltvs(world: World) -> dict[tuple[int, int], tuple[Integers, Floats]]:
    """By subject and market, each loan's LLTV from each row that gave it a tier."""
    history = world.history
    told: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for row in np.flatnonzero(history.columns["kind"] == KIND["borrow"]).tolist():
        tier = tier_of(history.rows[row].note)
        lltvs = history.facts.market(history.rows[row].market).lltvs_ppm
        if tier is not None and tier < len(lltvs):
            place = int(history.columns["account"][row]), int(history.columns["market"][row])
            told.setdefault(place, []).append((row, lltvs[tier] / 1e6))
    return {
        place: (np.array([row for row, _ in each], np.int64), np.array([lltv for _, lltv in each]))
        for place, each in told.items()
    }


def _held(keys: list[Integers], change: Floats) -> Floats:
    """Running sums by leg, which bounce at nothing: interest makes repayments larger than what was lent."""
    found = np.empty_like(change)
    if not len(change):
        return found
    key = np.stack(keys)
    cuts = np.flatnonzero((key[:, 1:] != key[:, :-1]).any(axis=0)) + 1
    for part in np.split(np.arange(len(change)), cuts):
        running = np.cumsum(change[part])
        found[part] = running - np.minimum(np.minimum.accumulate(running), 0.0)
    return found


def value_positions(world: World, queries: Queries, legs: Legs) -> Positions:
    """Every query's positions at its moment and at the end of each of the `DAYS` days before."""
    shape = (len(queries), DAYS + 1)
    health, debt, collateral = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape)
    main, most = np.zeros(len(queries), np.int64), np.zeros(len(queries))
    ends = _daily_ends(world, queries)
    for subject in np.unique(queries.subjects[queries.subjects > 0]):
        mine = np.flatnonzero(queries.subjects == subject)
        sides: dict[int, list[Floats]] = {}
        for market, asset, is_debt, part in legs.each(int(subject)):
            held = np.concatenate([[0.0], legs.held[part]])
            amount = held[np.searchsorted(legs.row[part], ends[mine])]
            prices = world.prices.of_rows(np.full(ends[mine].shape, asset, np.int64), ends[mine] - 1)
            value = np.where(amount > 0, amount * prices, 0.0)
            limit, owed, _ = sides.setdefault(market, [np.zeros(value.shape) for _ in range(3)])
            if is_debt:
                owed += value  # NaN without a price: the market's health is not known then
            else:
                known = np.nan_to_num(value, nan=0.0)
                limit += known * _lltv(world, legs, (int(subject), market, asset), ends[mine])
                collateral[mine] += known
                larger = known[:, 0] > most[mine]
                main[mine[larger]], most[mine[larger]] = asset, known[larger, 0]
        for limit, owed, _ in sides.values():
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = np.where(owed > 0, limit / owed, np.nan)
            health[mine] = np.fmin(health[mine], factor)
            debt[mine] += np.nan_to_num(owed, nan=0.0)
    return Positions(health, debt, collateral, main)


def _daily_ends(world: World, queries: Queries) -> Integers:
    moments = queries.times[:, None] - DAY_S * np.arange(DAYS + 1, dtype=np.int64)
    found = np.searchsorted(world.history.columns["timestamp"], moments, side="right").astype(np.int64)
    found[:, 0] = queries.ends
    return np.minimum(found, queries.ends[:, None])


def _lltv(world: World, legs: Legs, place: tuple[int, int, int], ends: Integers) -> Floats:
    """Of a subject's collateral at a market, by query and day: its loan's own where the market has one for
    each tier, else the market's or the asset's, else the default."""
    subject, market, asset = place
    facts, names = world.history.facts, world.history.names
    found = facts.market(names[market], names[asset]).lltv_ppm or world.options.default_lltv_ppm
    rows, lltvs = legs.lltvs.get((subject, market), (np.zeros(0, np.int64), np.zeros(0)))
    return np.concatenate([[found / 1e6], lltvs])[np.searchsorted(rows, ends)]
