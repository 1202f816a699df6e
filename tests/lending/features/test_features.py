# SPDX-License-Identifier: Apache-2.0
"""Features of short stories whose numbers can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.lending.features.catalogue import FEATURES, GROUPS, NAMES
from koinon.lending.features.compute import feature_table, features
from koinon.lending.features.labels import faults, labels
from koinon.lending.features.point_in_time import Options
from koinon.lending.scorecard_table import MISSING
from tests.lending.features.chronicle import DAY_S, ETHER, FACTS, FAKE, START_S, Chronicle, role


def now(chronicle: Chronicle, who: str = "borrower", **options):
    found = features(chronicle.history(), role(who), chronicle.block, Options(**options) if options else None)
    return found.values


def test_the_catalogue_names_each_feature_once():
    assert len(set(NAMES)) == len(NAMES)
    assert {each.group for each in FEATURES} == set(GROUPS)
    assert all(each.scale >= 1 and each.floor < each.cap for each in FEATURES)


def test_loans_are_counted_in_their_windows():
    story = Chronicle().price(2_000).pledge("borrower", 10).borrow("borrower", 5_000)
    story.wait(days=50).repay("borrower", 1_000).borrow("borrower", 500).wait(days=10).repay("borrower", 250)
    found = now(story)
    assert [found[f"borrows_{days}d"] for days in (30, 90, 365)] == [1, 2, 2]
    assert [found[f"repays_{days}d"] for days in (30, 90, 365)] == [2, 2, 2]
    assert found["repaid_to_borrowed"] == pytest.approx(1_250 / 5_500)
    assert found["days_since_first_borrow"] == 60
    assert math.isnan(found["days_since_liquidation"])
    assert (found["assets_used"], found["protocols_used"]) == (2, 1)


def test_health_follows_the_price_and_bounces_at_nothing():
    story = Chronicle().price(2_000).pledge("borrower", 10).borrow("borrower", 10_000).wait(days=10)
    story.price(1_300)
    found = now(story)
    assert found["health_last"] == pytest.approx(10 * 1_300 * 0.8 / 10_000)
    assert found["health_min_90d"] == found["health_last"]
    assert found["health_mean_90d"] == pytest.approx((1.04 + 1.6 * 10) / 11)
    assert found["days_health_below_1_2_90d"] == 1
    assert found["loan_to_value"] == pytest.approx(10_000 / 13_000)
    story.wait(days=1).repay("borrower", 10_400).wait(days=1).borrow("borrower", 1_000)
    assert now(story)["debt_value"] == pytest.approx(1_000), "interest repaid is no credit for the next loan"


def test_a_liquidation_takes_debt_and_collateral():
    story = Chronicle().price(1_000).pledge("borrower", 10).borrow("borrower", 7_500)
    story.wait(days=3).price(900).liquidate("borrower", 7_500, 9).wait(days=5).price(950)
    found = now(story)
    assert found["liquidations_30d"] == 1
    assert found["days_since_liquidation"] == 5
    assert found["debt_value"] == 0
    assert math.isnan(found["health_last"])


def test_topping_up_after_a_drop_is_seen():
    story = Chronicle().price(2_000).pledge("borrower", 10).wait(days=3).price(1_700).pledge("borrower", 5)
    assert now(story)["top_ups_after_drop_90d"] == 1
    story.wait(days=10).pledge("borrower", 5)
    assert now(story)["top_ups_after_drop_90d"] == 1


def test_the_market_behind_a_loan():
    story = Chronicle().reserves(100, 200_000).price(2_000).pledge("borrower", 10).borrow("borrower", 10_000)
    for day in range(1, 41):
        story.wait(days=1).price(2_000 * (1.02 if day % 2 else 1.0))
    found = now(story, reference=ETHER)
    assert found["volatility_30d"] == pytest.approx(math.log(1.02), rel=1e-6)
    assert found["beta_30d"] == pytest.approx(1)
    assert found["drawdown_90d"] == pytest.approx(1 - 1 / 1.02)
    assert found["depth_to_debt"] == pytest.approx(20)
    assert found["sigmas_to_liquidation"] == pytest.approx(math.log(1.6) / math.log(1.02), rel=1e-6)


def test_how_a_wallet_lives():
    story = Chronicle().pay("employer", "worker", 1_000)
    for _ in range(3):
        story.wait(days=10).pay("employer", "worker", 1_000).pay("worker", "shop", 400)
    story.pay("worker", "pool user", 600, token=FAKE)
    found = now(story, "worker")
    assert found["age_days"] == 30
    assert (found["inflow_30d"], found["outflow_30d"]) == (3_000, 1_200)
    assert found["net_flow_share_30d"] == pytest.approx(1_800 / 4_200)
    assert found["inflow_gap_median_days"] == 10
    assert found["active_days_365d"] == 3
    assert (found["counterparties"], found["stable_share_365d"]) == (2, 1)
    assert found["reciprocity"] == 0


def test_fans_count_partners_once_a_window():
    story = Chronicle()
    for number in range(6):
        story.pay(f"payer {number % 3}", "hub", 100)
    story.wait(days=3).pay("payer 0", "hub", 100).pay("hub", "payer 0", 50)
    found = now(story, "hub")
    assert [found[f"fan_in_{label}"] for label in ("1h", "1d", "7d")] == [1, 1, 3]
    assert found["fan_out_7d"] == 1
    assert found["reciprocity"] == pytest.approx(1 / 3)


def test_taint_spreads_by_value():
    story = Chronicle().pay("thief", "mule", 900).pay("employer", "mule", 100).pay("mule", "shop", 500)
    story.pay("customer", "shop", 500)
    listed = frozenset({role("thief")})
    found = now(story, "shop", listed=listed)
    assert found["taint_share"] == pytest.approx(0.45)
    assert found["hops_from_listed"] == 2
    assert now(story, "employer", listed=listed)["taint_share"] == 0
    assert now(story, "thief", listed=listed)["hops_from_listed"] == 0


def test_core_numbers_come_from_the_watchs_engine():
    pytest.importorskip("rustworkx")
    story = Chronicle()
    for left, right in (("a", "b"), ("b", "c"), ("c", "a"), ("a", "leaf")):
        story.pay(left, right, 100)
    assert now(story, "a", structure=True)["core_number"] == 2
    assert now(story, "leaf", structure=True)["core_number"] == 1
    assert math.isnan(now(story, "a")["core_number"])


def test_nobody_is_missing_or_zero_and_never_an_error():
    vector = features(Chronicle().price(1).history(), role("nobody"), 0)
    assert set(np.unique(vector.integers())) <= {0, MISSING, 100}
    assert features(Chronicle().history(), role("nobody"), 5).anchor == (-1, "")
    with pytest.raises(BadInput):
        feature_table(Chronicle().history(), [role("nobody")], [])


def test_whole_numbers_are_scaled_floored_and_capped():
    story = Chronicle().price(2_000).pledge("borrower", 1_000).borrow("borrower", 15)
    vector = features(story.history(), role("borrower"), 0)
    whole = dict(zip(NAMES, vector.integers().tolist(), strict=True))
    assert whole["health_last"] == 10_000
    assert whole["debt_value"] == 15
    assert whole["days_since_liquidation"] == MISSING


def test_the_vector_names_the_block_it_holds_for():
    story = Chronicle().price(2_000).wait(blocks=4).pledge("borrower", 1)
    vector = features(story.history(), role("borrower"), 99)
    assert vector.anchor == (4, story.rows[-1].block_hash)


def test_labels_wait_for_their_horizon():
    story = Chronicle().price(2_000).pledge("good", 10).borrow("good", 1_000)
    story.pledge("bad", 10).borrow("bad", 14_000).wait(days=20).price(1_500).wait(days=2).price(2_000)
    story.wait(days=20).borrow("good", 100)
    found, labelled = labels(story.history(), 30)
    assert [found.subjects[row] for row in labelled.rows] == [role("good"), role("bad")]
    assert labelled.labels.tolist() == [0, 1]
    assert labelled.waiting == 1
    late = faults(story.history())
    assert set(late.borrower.tolist()) == {role("bad")}
    assert late.time_s.min() >= START_S + 20 * DAY_S


@pytest.mark.parametrize("hours", [1, 5, 20, 24])
def test_a_longer_history_changes_no_earlier_label(hours):
    story = Chronicle().price(2_000).pledge("borrower", 10).borrow("borrower", 14_000).wait(days=10)
    # below 1 for nine hours of one day of UTC, and healthy again before it ends
    story.wait(blocks=3).price(1_500).wait(blocks=9).price(2_000).wait(days=30).price(2_000)
    seen, short = faults(story.history()), labels(story.history(), 30)[1]
    story.wait(blocks=hours).price(2_000)
    longer = faults(story.history())
    assert seen.time_s.tolist() == longer.time_s.tolist() == []
    assert short.labels.tolist() == labels(story.history(), 30)[1].labels.tolist() == [0]


def test_the_last_second_of_a_day_of_utc_is_its_end():
    story = Chronicle().price(2_000).pledge("borrower", 10).borrow("borrower", 14_000).wait(days=2)
    story.price(1_500).wait(days=1).price(2_000).wait(days=3).price(2_000)
    (moment,) = faults(story.history()).time_s.tolist()
    assert moment % DAY_S == DAY_S - 1


def test_facts_are_not_learned_by_asking():
    before = FACTS.to_json()
    now(Chronicle().price(2_000).pledge("borrower", 1))
    assert FACTS.to_json() == before
