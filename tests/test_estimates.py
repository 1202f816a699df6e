# SPDX-License-Identifier: Apache-2.0
"""Intervals, and blocks of rows drawn again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.estimates import Estimate, stationary_bootstrap, wilson


def test_a_share_has_the_interval_of_the_literature() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for hits, count, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = wilson(hits, count)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 1000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_a_share_lies_within_its_interval(share: tuple[int, int]) -> None:
    found = wilson(*share)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_nothing_tried_says_nothing() -> None:
    assert wilson(0, 0) == Estimate(0.0, 0.0, 1.0)


def test_rounded_only_where_it_is_asked() -> None:
    assert Estimate(1 / 3, 0.1, 0.9).to_dict() == {"value": 1 / 3, "low": 0.1, "high": 0.9}
    assert Estimate(1 / 3, 0.1, 0.9).to_dict(2) == {"value": 0.33, "low": 0.1, "high": 0.9}


def test_blocks_are_consecutive_and_as_long_as_asked() -> None:
    drawn = stationary_bootstrap(500, (200, 400), np.random.default_rng(7), mean_block=10.0)
    assert drawn.shape == (200, 400)
    assert set(np.unique(drawn)) == set(range(500))
    goes_on = (drawn[:, :-1] + 1) % 500 == drawn[:, 1:]
    assert 1 / (1 - goes_on.mean()) == pytest.approx(10.0, rel=0.05)


def test_blocks_of_one_row_are_the_ordinary_bootstrap() -> None:
    drawn = stationary_bootstrap(50, (100, 100), np.random.default_rng(7), mean_block=1.0)
    assert np.bincount(drawn.ravel(), minlength=50) == pytest.approx(np.full(50, 200), rel=0.3)
