# SPDX-License-Identifier: Apache-2.0
"""Noise as large as was promised, on a grid that does not depend on the data."""

from __future__ import annotations

import math

import numpy as np
import pytest

from koinon.data.gate.noise import add_noise, calibrate, keep_bits


def noise_of(mechanism, count=200_000, value=0.0, **given):
    defaults = {"sensitivity": 2.0, "epsilon": 0.5, "delta": 0.0, "length": 1, "largest": 100.0}
    calibration = calibrate(mechanism, **{**defaults, **given})
    noised = add_noise(np.full(count, value), calibration, np.random.default_rng(5))
    return noised - value, calibration


def test_laplace_noise_has_the_scale_that_its_sensitivity_and_epsilon_ask_for():
    noise, calibration = noise_of("laplace")
    assert calibration.scale == pytest.approx(4, rel=2e-3)
    assert abs(noise.mean()) < 0.05
    assert np.abs(noise).mean() == pytest.approx(4, rel=0.02)
    assert np.quantile(np.abs(noise), 0.99) == pytest.approx(4 * math.log(100), rel=0.03)


def test_gaussian_noise_has_the_classical_deviation():
    noise, calibration = noise_of("gaussian", delta=1e-6)
    wanted = 2 * math.sqrt(2 * math.log(1.25e6)) / 0.5
    assert calibration.scale == pytest.approx(wanted, rel=2e-3)
    assert noise.std() == pytest.approx(wanted, rel=0.01)
    assert np.quantile(noise, 0.975) == pytest.approx(1.96 * wanted, rel=0.02)


def test_whole_numbers_stay_whole():
    noise, calibration = noise_of("laplace", whole=True, sensitivity=1.0, value=7.0)
    assert calibration.step == 1
    assert np.array_equal(noise, np.rint(noise))
    shares = [float((noise == each).mean()) for each in (0, 1, 2)]
    assert shares[1] / shares[0] == pytest.approx(math.exp(-0.5), rel=0.05)
    assert shares[2] / shares[1] == pytest.approx(math.exp(-0.5), rel=0.05)


@pytest.mark.parametrize("mechanism", ["laplace", "gaussian"])
def test_what_can_come_out_is_the_same_grid_for_every_value(mechanism):
    for value in (0.1, 1 / 3, 99.999):
        calibration = calibrate(mechanism, sensitivity=2.0, epsilon=0.5, delta=1e-6, length=1, largest=100.0)
        noised = add_noise(np.full(1000, value), calibration, np.random.default_rng(1))
        assert np.array_equal(noised, np.rint(noised / calibration.step) * calibration.step)


def test_rounding_to_the_grid_is_counted_into_the_sensitivity():
    for mechanism, more in (("laplace", 10), ("gaussian", math.sqrt(10))):
        calibration = calibrate(mechanism, sensitivity=1.0, epsilon=1.0, delta=0.1, length=10, largest=1.0)
        factor = math.sqrt(2 * math.log(12.5)) if mechanism == "gaussian" else 1
        assert calibration.scale == pytest.approx((1 + calibration.step * more) * factor)
        assert calibration.step * more < 0.01


def test_a_row_more_or_less_changes_no_answers_chance_by_more_than_epsilon_says():
    answers = np.arange(-30, 31)
    calibration = calibrate(
        "laplace", sensitivity=1.0, epsilon=0.8, delta=0, length=1, largest=99, whole=True
    )
    draws = np.random.default_rng(9)
    one, other = (add_noise(np.full(400_000, value), calibration, draws) for value in (10.0, 11.0))
    for answer in answers:
        often, rarely = sorted([float((one == answer).mean()), float((other == answer).mean())])[::-1]
        if rarely > 2e-3:
            assert often / rarely < math.exp(0.8) * 1.15


def test_without_a_generator_noise_is_new_every_time():
    calibration = calibrate("laplace", sensitivity=1.0, epsilon=1.0, delta=0, length=1, largest=1)
    drawn = {float(add_noise(np.zeros(1), calibration, None)[0]) for _ in range(20)}
    assert len(drawn) > 15


def test_numbers_without_noise_keep_few_digits():
    kept = keep_bits(np.array([math.pi, -1e-9 / 3, 0.0, 12345.678]), 10)
    assert kept == pytest.approx([math.pi, -1e-9 / 3, 0, 12345.678], rel=2**-10)
    fraction, _exponent = np.frexp(kept)
    assert np.array_equal(fraction * 1024, np.rint(fraction * 1024))
