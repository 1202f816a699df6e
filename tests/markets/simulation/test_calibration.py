# SPDX-License-Identifier: Apache-2.0
"""Simulated years look like real ones in what is taken from them."""

from __future__ import annotations

import json

import pytest

from koinon.markets.simulation import calibration


def test_simulated_years_lie_among_real_ones(capsys: pytest.CaptureFixture[str]) -> None:
    found = {each.statistic: each for each in calibration.compare(paths=25)}
    assert set(found) == {"daily_deviation", "excess_kurtosis", "clustering", "correlation"}
    assert all(each.overlaps for each in found.values())
    assert all(each.real_low <= each.real <= each.real_high for each in found.values())


def test_the_command_prints_a_line_a_statistic(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "compare", calibration_of)
    assert calibration.main(["factors"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["returns"] == "factors"
    assert line["overlaps"] is False


def calibration_of(_name: str) -> list[calibration.Comparison]:
    return [calibration.Comparison("clustering", 0.2, 0.1, 0.3, 0.4, 0.3, 0.5)]
