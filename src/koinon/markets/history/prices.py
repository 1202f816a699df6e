# SPDX-License-Identifier: Apache-2.0
"""What assets were worth, from the prices and reserves that a history itself tells: never a later one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from koinon.markets.history.history import KIND, Floats, History, Integers

DAY_S = 86_400


@dataclass(frozen=True)
class Series:
    """One asset's prices: ``value`` of one smallest unit in units of account, from ``row`` (the place in the
    history) and ``timestamp`` on."""

    row: Integers
    timestamp: Integers
    value: Floats

    def at_row(self, rows: Integers) -> Floats:
        """The newest price not later than each of these rows; NaN before the first."""
        return _newest(self.row, self.value, rows)

    def at_time(self, moments: Integers) -> Floats:
        """The newest price not later than each moment, in Unix seconds; NaN before the first."""
        return _newest(self.timestamp, self.value, moments)


def _newest(keys: Integers, values: Floats, wanted: Integers) -> Floats:
    at = np.searchsorted(keys, wanted, side="right")
    return np.concatenate([[np.nan], values])[at]


@dataclass(frozen=True)
class Prices:
    """By the assets' numbers in the history's columns. Assets of ``constant`` have one price for ever."""

    series: Mapping[int, Series]
    constant: Mapping[int, float]

    @classmethod
    def of(cls, history: History) -> Prices:
        """From feeds (``price`` rows), and before the first of them from the pair with a unit of account that
        then had the most of it.

        Stablecoins of ``facts.units`` are worth one a whole token. A token whose decimals are not known has
        no price.
        """
        facts = history.facts
        units = {
            number: 10.0 ** -facts.decimals[name]
            for name in facts.units
            if (number := history.number(name)) > 0 and name in facts.decimals
        }
        found = _pairs(history, units)
        for asset, feed in _feeds(history, set(units)).items():
            found[asset] = _joined(found[asset], feed) if asset in found else feed
        return cls(found, units)

    def of_rows(self, assets: Integers, rows: Integers) -> Floats:
        """The price of each asset at each row's place; NaN where it has none."""
        return self._each(assets, rows, by_time=False)

    def at_times(self, assets: Integers, moments: Integers) -> Floats:
        """The price of each asset at each moment; NaN where it has none."""
        return self._each(assets, moments, by_time=True)

    def _each(self, assets: Integers, wanted: Integers, *, by_time: bool) -> Floats:
        found = np.full(assets.shape, np.nan)
        for asset in np.unique(assets):
            number = int(asset)
            chosen = assets == asset
            if number in self.constant:
                found[chosen] = self.constant[number]
            elif number in self.series:
                series = self.series[number]
                read = series.at_time if by_time else series.at_row
                found[chosen] = read(wanted[chosen])
        return found


def _feeds(history: History, units: set[int]) -> dict[int, Series]:
    columns, facts = history.columns, history.facts
    rows = np.flatnonzero((columns["kind"] == KIND["price"]) & (columns["asset"] > 0))
    found: dict[int, Series] = {}
    for asset in np.unique(columns["asset"][rows]):
        name = history.names[int(asset)]
        if name not in facts.decimals or int(asset) in units:
            continue
        chosen = rows[columns["asset"][rows] == asset]
        scales = np.array(
            [10.0 ** -facts.market(history.names[int(each)]).decimals for each in columns["contract"][chosen]]
        )
        value = columns["amount"][chosen] * scales * 10.0 ** -facts.decimals[name]
        found[int(asset)] = Series(chosen, columns["timestamp"][chosen], value)
    return found


def _pairs(history: History, units: Mapping[int, float]) -> dict[int, Series]:
    """At each moment the price in the pair that then held most units of account: a thin one is anybody's."""
    columns = history.columns
    rows = np.flatnonzero(columns["kind"] == KIND["reserves"])
    ends = columns["asset"][rows], columns["asset_2"][rows]
    amounts = columns["amount"][rows], columns["amount_2"][rows]
    found: dict[int, tuple[list[int], list[float]]] = {}
    standing: dict[int, dict[int, tuple[float, float]]] = {}
    for place, row in enumerate(rows):
        sides = (int(ends[0][place]), int(ends[1][place]))
        held = (float(amounts[0][place]), float(amounts[1][place]))
        if sides[1] not in units:
            sides, held = sides[::-1], held[::-1]
        asset, unit = sides
        if unit not in units or asset in units or asset <= 0:
            continue
        depth = held[1] * units[unit]
        pairs = standing.setdefault(asset, {})
        pairs[int(columns["contract"][row])] = (depth, depth / held[0] if held[0] > 0 else 0.0)
        deepest = max(pairs.values())
        if deepest[0] > 0 and deepest[1] > 0:
            kept = found.setdefault(asset, ([], []))
            kept[0].append(int(row))
            kept[1].append(deepest[1])
    return {
        asset: Series(np.array(places), columns["timestamp"][places], np.array(values))
        for asset, (places, values) in found.items()
    }


def _joined(pairs: Series, feed: Series) -> Series:
    """Pairs' prices until the feed's first, and the feed's from then on."""
    end = int(np.searchsorted(pairs.row, feed.row[0]))
    return Series(
        np.concatenate([pairs.row[:end], feed.row]),
        np.concatenate([pairs.timestamp[:end], feed.timestamp]),
        np.concatenate([pairs.value[:end], feed.value]),
    )


def daily(series: Series, last_s: int, days: int) -> NDArray[np.float64]:
    """Prices at ``last_s`` and at each of so many days before it, oldest first."""
    moments = last_s - DAY_S * np.arange(days, -1, -1, dtype=np.int64)
    return series.at_time(moments)
