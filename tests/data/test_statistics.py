# SPDX-License-Identifier: Apache-2.0
"""Statistics that everyone sees: near the truth, noised, and made of nothing that was not declared."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.data.policy_file import ColumnBounds
from koinon.data.statistics import statistics
from koinon.errors import BadInput
from tests.data.market_support import table

BOUNDS = {"age": ColumnBounds(18, 98, 8), "label": ColumnBounds(0, 1, 2)}


def test_with_much_epsilon_they_are_the_truth():
    rows = table(2000)
    shown = statistics(rows, BOUNDS, 1e6)
    age, label = shown.columns
    assert shown.rows == 2000
    assert age.counts == tuple(np.histogram(rows.features[:, 1], np.linspace(18, 98, 9))[0])
    assert age.mean == pytest.approx(rows.features[:, 1].mean(), abs=0.01)
    assert label.counts == tuple(np.bincount(rows.labels))


def test_the_noise_of_each_count_has_the_spread_that_epsilon_says():
    rows, epsilon = table(), 5.0
    counted = [
        statistics(rows, {"age": BOUNDS["age"]}, epsilon, np.random.default_rng(seed)).columns[0].counts
        for seed in range(300)
    ]
    truth = np.histogram(rows.features[:, 1], np.linspace(18, 98, 9))[0]
    spread = np.abs(np.array(counted) - truth).mean()
    decay = np.exp(-epsilon / 3)  # a third of epsilon is the histogram's
    assert spread == pytest.approx(2 * decay / (1 - decay**2), rel=0.1)


def test_values_beyond_the_declared_bounds_do_not_show():
    shown = statistics(table(), {"income": ColumnBounds(0, 100, 4)}, 1e6)
    assert shown.columns[0].mean == pytest.approx(100, abs=0.01)
    assert shown.columns[0].counts[:3] == (0, 0, 0)


def test_made_up_rows_use_the_statistics_alone():
    shown = statistics(table(), BOUNDS, 1.0, np.random.default_rng(1))
    sample = shown.synthetic(50, np.random.default_rng(2))
    assert len(sample) == 50
    assert set(sample[0]) == {"age", "label"}
    assert all(18 <= row["age"] <= 98 for row in sample)
    assert sample == shown.synthetic(50, np.random.default_rng(2))


def test_a_column_that_is_not_there_and_no_epsilon_are_refused():
    with pytest.raises(BadInput, match="no column height"):
        statistics(table(), {"height": ColumnBounds(0, 1, 2)}, 1.0)
    with pytest.raises(BadInput, match="epsilon above 0"):
        statistics(table(), BOUNDS, 0.0)
