# SPDX-License-Identifier: Apache-2.0
"""What assets were worth, as the rows themselves tell."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from koinon.chain.address import checksum
from koinon.markets.history.facts import Facts, MarketFacts
from koinon.markets.history.history import History
from koinon.markets.history.prices import Prices, daily
from koinon.markets.history.rows import EventRow


def role(name: str) -> str:
    return checksum(hashlib.sha256(name.encode()).digest()[:20])


ETHER, DOLLAR, FEED = role("ether"), role("dollar"), role("feed")
FACTS = Facts(
    {FEED: MarketFacts(ETHER, decimals=8)}, {ETHER: 18, DOLLAR: 6}, units={DOLLAR, role("never seen")}
)


def row(block: int, kind: str, contract: str, **fields: Any) -> EventRow:
    empty = dict.fromkeys(
        ("block_hash", "transaction_hash", "account", "counterparty", "asset_2", "note"), ""
    )
    values = {"position": 0, "log_index": 0, "amount_2": 0, "protocol": "uniswap-v2", "market": contract}
    place = {"block_number": block, "timestamp": 86_400 * block, "kind": kind, "contract": contract}
    return EventRow(**{**empty, **values, **place, **fields})


def reserves(block: int, pair: str, ether: float, dollars: float, *, flipped: bool = False) -> EventRow:
    amounts = (int(ether * 10**18), int(dollars * 10**6))
    sides = (ETHER, DOLLAR)
    if flipped:
        amounts, sides = amounts[::-1], sides[::-1]
    return row(
        block,
        "reserves",
        role(pair),
        asset=sides[0],
        amount=amounts[0],
        asset_2=sides[1],
        amount_2=amounts[1],
    )


def prices_of(*rows: EventRow) -> list[float]:
    """Dollars an ether, at each row."""
    history = History.of(rows, FACTS)
    asset = np.full(len(rows), history.number(ETHER))
    return [float(each) * 10**18 for each in Prices.of(history).of_rows(asset, np.arange(len(rows)))]


def test_the_deepest_pair_of_the_moment_says_the_price():
    found = prices_of(
        reserves(1, "thin", 1, 9_000),
        reserves(2, "deep", 100, 200_000, flipped=True),
        reserves(3, "thin", 1, 50_000),
        reserves(4, "deep", 10, 30_000, flipped=True),
    )
    assert found == pytest.approx([9_000, 2_000, 2_000, 50_000])


def test_a_feed_comes_before_pairs_from_its_first_answer_on():
    found = prices_of(
        reserves(1, "deep", 100, 200_000),
        row(2, "price", FEED, asset=ETHER, amount=2_100 * 10**8),
        reserves(3, "deep", 50, 400_000),
    )
    assert found == pytest.approx([2_000, 2_100, 2_100])


def test_what_has_no_price_has_none():
    history = History.of([row(1, "transfer", ETHER, asset=ETHER, amount=1)], FACTS)
    found = Prices.of(history)
    assert np.isnan(found.of_rows(np.array([history.number(ETHER)]), np.array([0]))).all()
    assert np.isnan(found.at_times(np.array([0, -1]), np.array([9, 9]))).all()


def test_daily_prices_are_the_newest_of_each_day():
    rows = [row(day, "price", FEED, asset=ETHER, amount=(1_000 + day) * 10**8) for day in (1, 2, 4)]
    history = History.of(rows, FACTS)
    series = Prices.of(history).series[history.number(ETHER)]
    found = daily(series, 86_400 * 4, 4) * 10**18
    assert np.isnan(found[0])
    assert found[1:].tolist() == pytest.approx([1_001, 1_002, 1_002, 1_004])
