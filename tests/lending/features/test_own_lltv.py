# SPDX-License-Identifier: Apache-2.0
"""Health by each loan's own LLTV, where a credit pool has one for each tier."""

from __future__ import annotations

import pytest

from koinon.lending.features.point_in_time import Queries, World
from koinon.lending.features.positions import find_legs, value_positions
from koinon.markets.history.facts import Facts, MarketFacts
from koinon.markets.history.history import History
from tests.lending.features.chronicle import CENT, DOLLAR, ETHER, FEED, MILLIETHER, POOL, Chronicle, role

FACTS = Facts(
    {POOL: MarketFacts.of_tiers(DOLLAR, ETHER, (8_500, 5_000)), FEED: MarketFacts(ETHER)},
    {DOLLAR: 6, ETHER: 18},
    units={DOLLAR},
)


def told() -> Chronicle:
    """Two who owe 500 dollars against one ether of 2,000; the second's tier becomes better a week later."""
    chronicle = Chronicle().price(2_000)
    for account, tier in (("good", 0), ("unknown", 1)):
        chronicle.tell("deposit_collateral", account, asset=ETHER, amount=1_000 * MILLIETHER)
        chronicle.tell("borrow", account, asset=DOLLAR, amount=50_000 * CENT, note=f"tier {tier}")
    chronicle.wait(days=7).tell("borrow", "unknown", asset=DOLLAR, note="tier 0")
    return chronicle.wait(days=1).price(2_000)


def test_each_loan_is_judged_by_the_lltv_of_its_own_tier_at_that_time():
    chronicle = told()
    history = History.of(chronicle.rows, FACTS)
    world = World.of(history)
    queries = Queries.of(history, [role("good"), role("unknown")], [chronicle.block, chronicle.block])
    health = value_positions(world, queries, find_legs(world)).health
    assert health[:, 0] == pytest.approx([3.4, 3.4])
    assert health[:, 3] == pytest.approx([3.4, 2.0])


def test_a_market_with_one_lltv_for_all_is_judged_by_it():
    facts = Facts({POOL: MarketFacts(DOLLAR, ETHER, 700_000), FEED: MarketFacts(ETHER)}, FACTS.decimals)
    facts.units.add(DOLLAR)
    chronicle = told()
    history = History.of(chronicle.rows, facts)
    world = World.of(history)
    queries = Queries.of(history, [role("unknown")], [chronicle.block])
    assert value_positions(world, queries, find_legs(world)).health[0, 0] == pytest.approx(2.8)


def test_facts_with_tiers_survive_json():
    assert Facts.from_json(FACTS.to_json()) == FACTS
