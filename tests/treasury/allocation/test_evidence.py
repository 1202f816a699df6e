# SPDX-License-Identifier: Apache-2.0
"""Ratios, probabilities and intervals, against published numbers and by counting."""

import numpy as np
import pytest

from koinon.treasury.allocation import evidence


def series(mean, spread, rows=2_000, seed=1):
    drawn = np.random.default_rng(seed).standard_normal(rows)
    return (drawn - drawn.mean()) / drawn.std(ddof=1) * spread + mean


def test_a_sharpe_ratio_is_mean_over_spread_a_year():
    assert evidence.sharpe(series(0.001, 0.01), 252) == pytest.approx(0.1 * 252**0.5)
    assert evidence.sharpe(np.full(10, 0.01), 252) == 0.0


def test_a_probabilistic_ratio_grows_with_the_record():
    """Normal returns: the variance of a ratio is (1 + ratio² / 2) / (rows - 1)."""
    short, long = series(0.001, 0.01, 100), series(0.001, 0.01, 4_000)
    assert 0.5 < evidence.probabilistic_sharpe(short) < evidence.probabilistic_sharpe(long) < 1
    assert evidence.probabilistic_sharpe(series(0.0, 0.01)) == pytest.approx(0.5, abs=1e-6)
    assert evidence.probabilistic_sharpe(short, 0.1) == pytest.approx(0.5, abs=1e-6)
    assert evidence.probabilistic_sharpe(np.zeros(5)) == 0.5


def test_the_best_of_worthless_trials_is_what_counting_says():
    """The expected largest of 100 standard normals is 2.5076."""
    generator = np.random.default_rng(3)
    ratios = generator.standard_normal(100)
    ratios = (ratios - ratios.mean()) / ratios.std(ddof=1)
    assert evidence.best_by_chance(ratios) == pytest.approx(2.5076, abs=0.03)
    assert evidence.best_by_chance([0.3]) == 0.0


def test_more_trials_leave_less():
    record = series(0.0008, 0.01, 500)
    few = evidence.deflated_sharpe(record, [0.08, 0.07])
    many = evidence.deflated_sharpe(record, [0.08, *np.linspace(-0.08, 0.08, 60)])
    assert many < few <= evidence.probabilistic_sharpe(record)


def test_bootstrap_samples_are_blocks_of_the_record():
    drawn = evidence.resampled(500, 40, seed=7, block=10)
    assert drawn.shape == (40, 500)
    assert drawn.min() >= 0
    assert drawn.max() < 500
    follows = (np.diff(drawn, axis=1) % 500 == 1).mean()
    assert follows == pytest.approx(0.9, abs=0.02)
    assert np.array_equal(drawn, evidence.resampled(500, 40, seed=7, block=10))


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(60):
        record = np.random.default_rng(seed).standard_normal(400) * 0.01 + 0.0005
        drawn = evidence.resampled(400, 200, seed)
        low, high = evidence.interval(evidence.sharpes_resampled(record, drawn, 1.0))
        inside += low <= 0.05 <= high
    assert 50 <= inside <= 60


def test_drawdown_and_shortfall():
    assert evidence.worst_drawdown(np.array([0.1, -0.5, 0.2])) == pytest.approx(0.5)
    assert evidence.worst_drawdown(np.array([-0.2])) == pytest.approx(0.2)
    assert evidence.expected_shortfall(np.array([-0.5] + [0.0] * 19)) == pytest.approx(0.5)
