# SPDX-License-Identifier: Apache-2.0
"""Forecasts of withdrawals and warnings: what later days must not change, and how both are judged."""

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.watch.liquidity.flows import Flows
from koinon.watch.liquidity.forecast import features, forecast, guessed, pinball, rolled, targets
from koinon.watch.liquidity.simulated import pool, pools
from koinon.watch.liquidity.warning import falls, market_signals, score, signals

DAYS = 190


@pytest.fixture(scope="module")
def calm():
    return pool(runs=False, days=DAYS, seed=4)


def test_pinball_by_hand():
    came, told = np.array([3.0, 1.0]), np.array([1.0, 3.0])
    assert pinball(came, told, 0.9) == pytest.approx([1.8, 0.2])


def test_a_target_is_what_comes_after_its_day():
    found = targets(np.array([0.9, 0.1, 0.5, 0.0]), 2)
    assert found[:2] == pytest.approx([1 - 0.9 * 0.5, 0.5])
    assert np.isnan(found[2:]).all()


def test_the_guess_is_of_the_same_weekday_and_of_outcomes_that_are_over():
    wanted = np.arange(100.0)
    known = np.array([wanted[60 - 7 * week] for week in range(1, 9)])
    assert guessed(wanted, 60, 1)[0] == pytest.approx(np.median(known))
    # eight days ahead, last week's outcome is not over
    assert guessed(wanted, 60, 8)[0] == pytest.approx(np.median(known[1:]))


@pytest.mark.parametrize("horizon", [1, 7])
def test_later_days_change_no_forecast_made_before_them(calm, horizon):
    flows, cut = calm.flows, 165
    changed = Flows(
        0,
        np.concatenate([flows.deposited[:cut], flows.deposited[cut:] * 3]),
        np.concatenate([flows.withdrawn[:cut], flows.withdrawn[cut:] * 0.1]),
        np.concatenate([flows.balance[:cut], flows.balance[cut:] * 2]),
    )
    assert np.array_equal(features(flows)[:cut], features(changed)[:cut], equal_nan=True)
    first, second = (rolled(each, horizon, quantiles=(0.9,)) for each in (flows, changed))
    made = first.rows < cut
    assert made.sum() > 30
    assert np.array_equal(first.trees[:, made], second.trees[:, made])
    assert np.array_equal(first.guess[:, made], second.guess[:, made])


def test_a_forecast_names_its_way_its_baseline_and_its_interval(calm):
    found = forecast(calm.flows)
    assert found.days == DAYS - 1 - 120
    assert list(found.next) == sorted(found.next)
    for by, each in zip(found.by, found.judged, strict=True):
        assert each.low <= each.ratio <= each.high
        assert by == ("trees" if each.high < 1 else "seasonal naive")
    assert found.document() == forecast(calm.flows).document()


def test_trees_learn_what_last_week_does_not_show():
    # every third day a tenth leaves: no weekday knows it, the last three days do
    rate = np.where(np.arange(240) % 3 == 0, 0.1, 0.01)
    balance = np.full(240, 1e6)
    found = forecast(Flows(0, balance * rate / (1 + rate), balance * rate, balance))
    assert found.judged[0].better
    assert found.by[0] == "trees"


def test_a_short_history_has_no_forecast(calm):
    for wrong in (lambda: rolled(calm.flows.through(120)), lambda: rolled(calm.flows, 29)):
        with pytest.raises(BadInput) as refused:
            wrong()
        assert refused.value.code == "watch.short"


def test_simulated_pools_keep_their_books_and_fail_only_with_a_run():
    for each in pools(6, days=200, seed=3):
        gap = np.diff(each.flows.balance) - (each.flows.deposited - each.flows.withdrawn)[1:]
        assert np.abs(gap).max() < 1
        assert (each.liquid >= 0).all()
    assert pool(runs=True, seed=5).fails_on >= 0
    assert pool(runs=False, seed=5).fails_on < 0


def test_signals_of_a_day_do_not_know_the_next():
    made = pool(runs=True, days=200, seed=6)
    whole = signals(made.flows, made.liquid, made.top_share)
    part = signals(made.flows.through(170), made.liquid[:170], made.top_share[:170])
    for name, days in part.items():
        assert np.array_equal(days, whole[name][:170]), name


def test_market_signals_of_a_day_do_not_know_the_next():
    returns = np.random.default_rng(8).standard_t(4, 600) * 0.01
    whole, part = market_signals(returns, window=200), market_signals(returns[:560], window=200)
    assert whole["value_at_risk"].any()
    for name, days in part.items():
        assert np.array_equal(days, whole[name][:560]), name


def test_falls_are_told_once():
    returns = np.zeros(100)
    returns[50:54] = np.log(0.94)
    assert falls(returns, share=0.2) == [53]
    assert falls(returns, share=0.3) == []


def test_a_warning_is_scored_by_hand():
    days = np.zeros(200, dtype=bool)
    days[[40, 42, 100, 120]] = True  # 40 and 42 are one alarm
    found = score("any", [days], [[50, 160]], first=20)
    assert (found.events, found.hits, found.right_alarms, found.false_alarms) == (2, 1, 1, 2)
    assert found.lead == 10
    assert found.low < found.hit_rate < found.high
    assert found.ringing == pytest.approx(4 / (180 - 30))
    always = score("always", [np.ones(200, dtype=bool)], [[50]], first=20)
    assert always.hit_rate == always.chance == 1  # which says nothing, and chance shows it
    nothing = score("none", [days], [[]], first=20).document()
    assert nothing["hit_rate"] is None
    assert nothing["chance"] is None


def test_the_event_s_own_day_is_too_late():
    days = np.zeros(100, dtype=bool)
    days[50] = True
    assert score("late", [days], [[50]], first=20).hits == 0
