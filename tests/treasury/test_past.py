# SPDX-License-Identifier: Apache-2.0
"""A vault's benchmark: money in equal parts, brought back to them once a day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.treasury.past import DAY_S, equal_parts, thinned, worth_of


def test_one_day_of_equal_parts_is_the_mean_of_what_each_did():
    points = {"A": [(0.0, 10.0), (100.0, 20.0)], "B": [(0.0, 4.0), (100.0, 4.0)]}
    worth = equal_parts(points, 0, 0.0, 100.0, 2.0)
    assert worth[0] == (0.0, 2.0)
    assert worth[-1][0] == 100.0
    assert worth[-1][1] == pytest.approx(2.0 * (2 + 1) / 2)


def test_parts_are_brought_back_to_equal_once_a_day():
    day = float(DAY_S)
    doubling = [(0.0, 1.0), (day, 2.0), (2 * day, 4.0)]
    worth = equal_parts({"A": doubling, "B": [(0.0, 1.0), (2 * day, 1.0)]}, 0, 0.0, 2 * day, 1.0)
    assert worth[-1][1] == pytest.approx(1.5 * 1.5)


def test_what_nobody_knows_counts_as_unchanged():
    worth = equal_parts({"A": [(0.0, 1.0), (50.0, 3.0)]}, 1, 0.0, 60.0, 1.0)
    assert worth[-1][1] == pytest.approx((3 + 1) / 2)
    assert equal_parts({}, 0, 0.0, 1.0, 1.0) == []


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=40), st.floats(0.5, 5))
def test_a_price_that_is_the_only_part_is_followed(values, begins):
    points = [(float(at * 3_600), value) for at, value in enumerate(values)]
    worth = equal_parts({"A": points}, 0, 0.0, points[-1][0], begins)
    assert worth[-1][1] == pytest.approx(begins * values[-1] / values[0], rel=1e-9)


@given(st.integers(1, 2_000))
def test_thinning_keeps_the_ends(count):
    points = [(float(at), 1.0) for at in range(count)]
    kept = thinned(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert len(kept) <= 321


def test_a_share_begins_at_one_whole_asset():
    assert worth_of(10**21) == 1.0
