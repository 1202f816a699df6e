# SPDX-License-Identifier: Apache-2.0
"""How fast a double auction clears, and how much of what could be gained it loses.

Values and costs are drawn evenly from 0 to a million, by seed: simulated traders, who are honest because the
rule rewards it. One core.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from koinon.agents.mechanisms import OrderBook, mcafee, most_welfare

SIDE: Final = 100_000
TARGET_MS: Final = 50.0
SIZES: Final = (5, 20, 200, 2_000)
MARKETS: Final = 200
ORDERS: Final = 50_000


def run() -> Iterator[dict[str, Any]]:
    """The figures."""
    source = np.random.default_rng(1)
    yield _clearing(source)
    for size in SIZES:
        yield _efficiency(source, size)
    yield _order_book(source)


def _clearing(source: np.random.Generator) -> dict[str, Any]:
    bids, asks = source.integers(0, 10**6, (2, SIDE))
    took = []
    for _ in range(15):
        started = time.perf_counter()
        mcafee(bids, asks)
        took.append((time.perf_counter() - started) * 1000)
    median = float(np.median(took))
    return _figure(
        "auction.ms", median, f"ms for {SIDE:,} orders a side, median", TARGET_MS, median < TARGET_MS
    )


def _efficiency(source: np.random.Generator, size: int) -> dict[str, Any]:
    made = possible = 0
    for _ in range(MARKETS):
        values, costs = source.integers(0, 10**6, (2, size))
        clearing = mcafee(values, costs)
        made += int(values[clearing.buyers].sum() - costs[clearing.sellers].sum())
        possible += most_welfare(values, costs)
    unit = f"of the most that {size} traders a side could gain, {MARKETS} markets"
    return _figure(f"auction.welfare.{size}", made / possible, unit, None, True)


def _order_book(source: np.random.Generator) -> dict[str, Any]:
    prices, sides = source.integers(900, 1_100, ORDERS).tolist(), source.integers(0, 2, ORDERS).tolist()
    book = OrderBook()
    started = time.perf_counter()
    for number, (price, buys) in enumerate(zip(prices, sides, strict=True)):
        book.place("buy" if buys else "sell", str(number), price, 1)
    rate = ORDERS / (time.perf_counter() - started)
    return _figure("auction.orders_per_s", rate, "orders a second of a continuous double auction", None, True)


def _figure(name: str, ours: float, unit: str, target: float | None, ok: bool) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 5),
        "peer": None,
        "ratio": None,
        "unit": unit,
        "target": target,
        "ok": ok,
    }
