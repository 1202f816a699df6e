# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sklearn import metrics as sk

from koinon.errors import BadInput
from koinon.lending.scoring.calibration import Calibration, calibrate, yearly
from koinon.lending.scoring.measures import (
    auc,
    auc_difference,
    brier,
    calibration_error,
    calibration_slope,
    expit,
    interval_of_rate,
    ks,
    psi,
)
from koinon.lending.scoring.resampling import auc_of_borrowers, gap_of_borrowers, mean_of_borrowers

RANDOM = np.random.default_rng(5)
LABELS = (RANDOM.random(3000) < 0.2).astype(np.int64)
RISK = np.round(LABELS * 0.8 + RANDOM.normal(size=3000), 1)  # many ties


def test_auc_and_ks_are_those_of_the_field():
    assert auc(LABELS, RISK).value == pytest.approx(sk.roc_auc_score(LABELS, RISK), abs=1e-12)
    false, true, _ = sk.roc_curve(LABELS, RISK)
    assert ks(LABELS, RISK) == pytest.approx(np.max(true - false), abs=1e-12)


def test_delongs_interval_is_the_bootstraps():
    seen = auc(LABELS, RISK)
    draws = []
    for _ in range(150):
        rows = RANDOM.integers(0, len(LABELS), len(LABELS))
        draws.append(sk.roc_auc_score(LABELS[rows], RISK[rows]))
    assert (seen.high - seen.low) / 2 == pytest.approx(1.96 * np.std(draws), rel=0.25)


def test_the_difference_of_two_scores_on_the_same_rows_is_narrower_than_of_either():
    noisy = RISK + RANDOM.normal(scale=0.3, size=len(RISK))
    gap = auc_difference(LABELS, RISK, noisy)
    assert gap.value == pytest.approx(auc(LABELS, RISK).value - auc(LABELS, noisy).value)
    assert gap.high - gap.low < auc(LABELS, RISK).high - auc(LABELS, RISK).low
    assert auc_difference(LABELS, RISK, RISK).value == 0


def test_a_true_probability_has_slope_one_and_little_error():
    chances = expit(RANDOM.normal(-1.5, 1.0, 20000))
    labels = (RANDOM.random(20000) < chances).astype(np.int64)
    slope, intercept = calibration_slope(labels, chances)
    assert slope == pytest.approx(1.0, abs=0.08)
    assert intercept == pytest.approx(0.0, abs=0.12)
    assert calibration_error(labels, chances) < 0.01
    assert brier(labels, chances).value == pytest.approx(sk.brier_score_loss(labels, chances))
    extreme = expit(2.0 * np.log(chances / (1 - chances)))
    assert calibration_slope(labels, extreme)[0] < 0.6


def test_stability_is_nothing_for_the_same_rows_and_large_for_others():
    values = RANDOM.normal(size=5000)
    assert psi(values, values) == pytest.approx(0, abs=1e-9)
    assert psi(values, RANDOM.normal(size=5000)) < 0.02
    assert psi(values, values + 1.0) > 0.25
    with pytest.raises(BadInput):
        psi(values, values[:0])


def test_a_rates_interval_holds_for_few_rows():
    none = interval_of_rate(0, 10)
    assert none.low == 0
    assert none.high == pytest.approx(0.2775, abs=1e-3)  # Wilson's, as published tables give it
    with pytest.raises(BadInput):
        interval_of_rate(0, 0)


@pytest.mark.parametrize("measure", [auc, ks, calibration_slope])
def test_one_class_alone_cannot_be_measured(measure):
    with pytest.raises(BadInput, match="Good and bad"):
        measure(np.zeros(50, dtype=np.int64), np.full(50, 0.5))


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_more_points_are_never_riskier_and_the_curve_fits(kind):
    points = RANDOM.normal(600, 50, 8000).round().astype(np.int64)
    labels = (RANDOM.random(8000) < expit((570 - points) / 30)).astype(np.int64)
    curve = calibrate(points, labels, kind)
    asked = np.arange(300, 900)
    assert (np.diff(curve.chances(asked)) <= 0).all()
    assert calibration_error(labels, curve.chances(points)) < 0.02
    assert abs(float(curve.chances(np.array([570]))[0]) - 0.5) < 0.08
    assert float(curve.chances(np.array([curve.points_for(0.2)]))[0]) <= 0.2
    assert Calibration.from_json(curve.to_json()) == curve


def test_a_score_that_says_nothing_gets_one_probability():
    labels = np.tile([0, 0, 0, 1], 100)
    points = np.tile([500, 501, 502, 510], 100)  # the bad have more points
    assert np.allclose(calibrate(points, labels).chances(points), 0.25)
    with pytest.raises(BadInput, match="no calibration"):
        calibrate(points, labels, "beta")
    with pytest.raises(BadInput):
        calibrate(points, np.zeros(400, dtype=np.int64), "isotonic")


def test_drawing_borrowers_who_have_one_row_each_is_delongs_interval():
    alone = np.arange(len(LABELS)).astype(str)
    ours, theirs = auc_of_borrowers(LABELS, RISK, alone), auc(LABELS, RISK)
    assert ours.value == theirs.value
    assert ours.high - ours.low == pytest.approx(theirs.high - theirs.low, rel=0.15)
    error = (expit(RISK) - LABELS) ** 2
    mean, plain = mean_of_borrowers(LABELS, error, alone), brier(LABELS, expit(RISK))
    assert mean.value == pytest.approx(plain.value)
    assert mean.high - mean.low == pytest.approx(plain.high - plain.low, rel=0.15)
    other = RISK + RANDOM.normal(size=len(RISK))
    gap, paired = gap_of_borrowers(LABELS, RISK, other, alone), auc_difference(LABELS, RISK, other)
    assert gap.value == pytest.approx(paired.value)
    assert gap.high - gap.low == pytest.approx(paired.high - paired.low, rel=0.15)


def test_the_same_rows_nine_times_tell_no_more_than_once():
    labels, risk = LABELS[:400], RISK[:400]
    whose = np.arange(400).astype(str)
    once = auc_of_borrowers(labels, risk, whose)
    again = auc_of_borrowers(np.tile(labels, 9), np.tile(risk, 9), np.tile(whose, 9))
    assert (again.low, again.high) == pytest.approx((once.low, once.high))
    rows = auc(np.tile(labels, 9), np.tile(risk, 9))
    assert again.high - again.low > 2.5 * (rows.high - rows.low)


def test_an_interval_of_one_borrower_says_nothing():
    one = auc_of_borrowers(np.array([0, 1, 0]), np.array([0.1, 0.9, 0.2]), np.array(["b", "a", "b"]), seed=1)
    assert one.low <= one.value == 1.0 == one.high
    never = gap_of_borrowers(np.array([1] + [0] * 3), np.arange(4.0), -np.arange(4.0), np.array(["a"] * 4))
    assert (never.value, never.low, never.high) == (-1.0, -1.0, -1.0)


def test_a_years_probability_is_that_of_surviving_every_horizon():
    assert yearly(0.02, 365) == pytest.approx(0.02)
    assert yearly(0.02, 30) == pytest.approx(1 - 0.98 ** (365 / 30))
    assert yearly(0.02, 30) > yearly(0.02, 90) > 0.02 > yearly(0.02, 730)
    assert (yearly(0.0, 30), yearly(1.0, 30)) == (0.0, 1.0)
    assert yearly(1e-12, 73) == pytest.approx(5e-12, rel=1e-9)
    for wrong in ((1.01, 30), (-0.01, 30), (float("nan"), 30), (0.1, 0)):
        with pytest.raises(BadInput, match="at least one day"):
            yearly(*wrong)
