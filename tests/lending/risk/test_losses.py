# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.lending.risk.losses import (
    Portfolio,
    quantile,
    simulate,
    tranche_losses,
    vasicek_quantile,
    waterfall,
)


def alike(count: int, pd: float, lgd: float = 0.5, ead: float = 1.0) -> Portfolio:
    return Portfolio(*(np.full(count, each) for each in (pd, lgd, ead)))


def test_expected_loss_is_pd_times_lgd_times_ead():
    portfolio = Portfolio(np.array([0.1, 0.02]), np.array([0.5, 1.0]), np.array([1_000.0, 500.0]))
    assert portfolio.expected_loss == pytest.approx(60)
    assert portfolio.concentration == pytest.approx((2 / 3) ** 2 + (1 / 3) ** 2)


def test_simulated_losses_have_the_expected_mean():
    portfolio = alike(200, 0.05)
    found = simulate(portfolio, 0.2, 2_000, seed=1)
    assert abs(found.mean - portfolio.expected_loss) < 4 * found.standard_error
    assert found.expected_shortfall(0.95) >= found.value_at_risk(0.95) > found.mean


def test_a_fine_portfolio_loses_what_vasicek_says():
    found = simulate(alike(500, 0.02), 0.15, 2_000, seed=2)
    formula = vasicek_quantile(0.02, 0.5, 0.15, 0.95)
    assert found.value_at_risk(0.95) / 500 == pytest.approx(formula, rel=0.15)


def test_without_correlation_a_fine_portfolio_loses_its_mean():
    assert vasicek_quantile(0.03, 0.4, 0.0, 0.999) == pytest.approx(0.03 * 0.4)


def test_vasicek_agrees_with_basels_published_weight():
    """Basel II, 99.9 %, PD 1 %, LGD 45 %, correlation of a corporate loan at this PD (0.1928): K before
    maturity is 0.45 x (14.03 % - 1 %) (BCBS, An explanatory note on the IRB risk weight functions)."""
    correlation = 0.12 * (1 - np.exp(-0.5)) / (1 - np.exp(-50)) + 0.24 * (
        1 - (1 - np.exp(-0.5)) / (1 - np.exp(-50))
    )
    assert vasicek_quantile(0.01, 1.0, correlation, 0.999) == pytest.approx(0.1403, abs=5e-4)


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.integers(0, 10**30))
def test_the_waterfall_adds_up_to_the_unit(loss, junior, senior):
    found = waterfall(loss, junior, senior)
    assert found.junior + found.senior + found.beyond == loss
    assert found.junior == min(loss, junior)
    assert found.senior == 0 or found.junior == junior
    assert found.beyond == 0 or found.senior == senior


def test_the_junior_tranche_loses_first():
    junior, senior = tranche_losses(np.array([0.0, 10.0, 150.0]), 100, 900)
    assert junior == pytest.approx((0 + 10 + 100) / 3 / 100)
    assert senior == pytest.approx(50 / 3 / 900)


def test_a_percentile_is_one_of_the_values():
    assert quantile(np.arange(1.0, 101.0), 0.95) == 95
    assert quantile(np.array([7.0]), 0.95) == 7


@pytest.mark.parametrize(
    "make",
    [
        lambda: alike(0, 0.1),
        lambda: alike(2, 1.5),
        lambda: alike(2, 0.1, ead=-1),
        lambda: alike(2, np.nan),
        lambda: simulate(alike(2, 0.1), 1.0, 10, 0),
        lambda: simulate(alike(2, 0.1), 0.1, 0, 0),
        lambda: vasicek_quantile(2, 0.5, 0.1, 0.9),
        lambda: waterfall(-1, 0, 0),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(BadInput):
        make()
