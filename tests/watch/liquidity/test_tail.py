# SPDX-License-Identifier: Apache-2.0
"""Value at risk, expected shortfall, and the tests of both."""

from math import exp, log

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.watch.liquidity.backtests import backtest, independence, kupiec
from koinon.watch.liquidity.tail import filtered, foretell, historical, volatility


def test_the_tail_of_a_hundred_known_losses():
    losses = np.arange(1.0, 101.0)
    found = historical(losses, 0.95)
    assert found.value_at_risk == 95
    assert found.shortfall == pytest.approx(98)  # mean of 96 … 100
    found = historical(losses, 0.99)
    assert found.value_at_risk == 99
    assert found.shortfall == pytest.approx(100)


def test_a_day_on_the_edge_counts_by_its_share():
    # a tail of 1.5 days of 30: the worst whole and half of the next
    found = historical(np.arange(1.0, 31.0), 0.95)
    assert found.value_at_risk == 29
    assert found.shortfall == pytest.approx((30 + 0.5 * 29) / 1.5)


def test_volatility_is_riskmetrics_recursion_known_before_the_day():
    returns = np.array([0.01] * 20 + [0.1])
    found = volatility(returns, 0.9)
    assert found[20] == pytest.approx(0.01)
    assert found[21] == pytest.approx((0.9 * 0.01**2 + 0.1 * 0.1**2) ** 0.5)


def test_filtered_figures_follow_the_storm_and_historical_ones_do_not():
    generator = np.random.default_rng(3)
    losses = np.concatenate([generator.normal(0, 0.01, 400), generator.normal(0, 0.04, 40)])
    assert filtered(losses, 0.99).value_at_risk > 1.5 * historical(losses, 0.99).value_at_risk


@pytest.mark.parametrize("method", ["historical", "filtered"])
def test_later_days_change_nothing_of_what_was_foretold(method):
    returns = np.random.default_rng(1).normal(0, 0.02, 400)
    changed = returns.copy()
    changed[350:] *= 9
    first, second = (foretell(each, 0.95, method, window=200) for each in (returns, changed))
    assert np.array_equal(first.value_at_risk[:151], second.value_at_risk[:151])
    assert np.array_equal(first.shortfall[:151], second.shortfall[:151])
    assert not np.array_equal(first.losses, second.losses)


@pytest.mark.parametrize("method", ["historical", "filtered"])
def test_each_day_is_foretold_as_its_window_alone_would(method):
    returns = np.random.default_rng(2).normal(0, 0.02, 260)
    found = foretell(returns, 0.95, method, window=250)
    if method == "historical":
        alone = historical(-returns[3:253], 0.95)
        assert found.value_at_risk[3] == pytest.approx(alone.value_at_risk)
    else:
        whole = filtered(-returns[:250], 0.95)
        assert found.value_at_risk[0] == pytest.approx(whole.value_at_risk)
        assert found.shortfall[0] == pytest.approx(whole.shortfall)


@pytest.mark.parametrize(
    ("days", "level", "below", "above"),
    [(1000, 0.99, 4, 17), (1000, 0.95, 37, 65), (510, 0.99, 1, 11), (510, 0.95, 16, 36), (255, 0.95, 6, 21)],
)
def test_kupiec_rejects_outside_the_published_regions(days, level, below, above):
    # Kupiec (1995), table of non-rejection regions at 95 % confidence: below < N < above
    assert kupiec(days, below, level).rejected
    assert not kupiec(days, below + 1, level).rejected
    assert not kupiec(days, above - 1, level).rejected
    assert kupiec(days, above, level).rejected


def test_kupiec_by_hand():
    expected = -2 * log((0.95**90 * 0.05**10) / (0.9**90 * 0.1**10))
    found = kupiec(100, 10, 0.95)
    assert found.ratio == pytest.approx(expected)
    assert kupiec(100, 5, 0.95).ratio == pytest.approx(0)
    none = kupiec(100, 0, 0.95)
    assert none.ratio == pytest.approx(-2 * 100 * log(0.95))


def test_christoffersen_by_hand():
    exceeded = np.array([0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    # pairs: 00 six, 01 one, 10 one, 11 two
    together = 7 * log(7 / 10) + 3 * log(3 / 10)
    apart = 6 * log(6 / 7) + log(1 / 7) + log(1 / 3) + 2 * log(2 / 3)
    assert independence(exceeded).ratio == pytest.approx(-2 * (together - apart))
    both = backtest(exceeded, 0.8)
    assert both.coverage.ratio == pytest.approx(both.kupiec.ratio + both.independence.ratio)
    assert both.coverage.p == pytest.approx(exp(-both.coverage.ratio / 2))  # chi-squared, two degrees
    assert (both.days, both.exceeded) == (11, 3)
    assert both.expected == pytest.approx(2.2)


def test_exceeded_days_in_a_row_are_rejected_though_their_number_is_right():
    row = np.zeros(1000, dtype=bool)
    row[500:550] = True
    found = backtest(row, 0.95)
    assert not found.kupiec.rejected
    assert found.independence.rejected
    assert found.document()["rejected"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: historical(np.ones(10), 0.95),
        lambda: historical(np.ones(100), 1.0),
        lambda: historical(np.array([np.nan] * 100), 0.95),
        lambda: foretell(np.zeros(500), 0.95),
        lambda: foretell(np.zeros(600), 0.95, "guessed"),
        lambda: kupiec(0, 0, 0.95),
        lambda: kupiec(5, 6, 0.95),
    ],
)
def test_what_cannot_be_told_is_refused(wrong):
    with pytest.raises(BadInput) as refused:
        wrong()
    assert refused.value.code == "watch.tail"
