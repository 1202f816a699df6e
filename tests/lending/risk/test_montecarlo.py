# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.lending.risk.book import UNSCORED, Book, Venue
from koinon.lending.risk.montecarlo import Jump, gaussian_paths, percentile, resampled_paths, simulate
from koinon.lending.risk.scenario import Scenario, save_all, worst_scenarios

VENUE = Venue(base=2_000, quote=4e6, gas=5)


def loans(count: int = 60) -> Book:
    generator = np.random.default_rng(3)
    collateral = generator.lognormal(1, 0.6, count)
    lltv = np.full(count, 0.8)
    debt = collateral * VENUE.price * lltv * generator.uniform(0.5, 0.98, count)
    return Book(collateral, debt, lltv, np.full(count, UNSCORED))


def test_var_and_lar_are_gauntlets_percentiles():
    found = simulate(loans(), VENUE, gaussian_paths(200, 10, 0.06, seed=1))
    insolvent = sorted(each.net_insolvent for each in found.outcomes)
    liquidated = sorted(each.liquidated for each in found.outcomes)
    var, lar = found.value_at_risk(), found.liquidations_at_risk()
    assert (var.value, lar.value) == (insolvent[189], liquidated[189])
    assert var.low <= var.value <= var.high
    assert lar.low < lar.value < lar.high
    worst = found.worst(3)
    assert found.net_insolvent[worst].tolist() == insolvent[::-1][:3]


def test_the_interval_of_a_percentile_covers_it():
    generator = np.random.default_rng(5)
    true = -np.log(0.05)
    inside = 0
    for _ in range(200):
        found = percentile(generator.exponential(size=400), 0.95)
        inside += found.low <= true <= found.high
    assert inside >= 180


def test_paths_are_seeded_and_have_no_drift_of_the_price():
    paths = gaussian_paths(20_000, 2, 0.1, seed=4)
    assert np.array_equal(paths, gaussian_paths(20_000, 2, 0.1, seed=4))
    growth = np.exp(paths.sum(axis=1))
    assert abs(growth.mean() - 1) < 4 * growth.std() / np.sqrt(len(growth))
    jumps = gaussian_paths(1_000, 20, 0.0, seed=4, jump=Jump(0.05, -0.3, 0.0))
    assert (jumps < 0).mean() == pytest.approx(0.05, abs=0.01)


def test_resampled_returns_are_real_ones_in_blocks():
    returns = np.arange(100.0)
    paths = resampled_paths(returns, 50, 40, seed=2)
    assert np.isin(paths, returns).all()
    following = (np.diff(paths, axis=1) % 100 == 1).mean()
    assert following == pytest.approx(0.9, abs=0.03)


def test_the_worst_runs_become_files_that_come_back(tmp_path):
    found = simulate(loans(10), VENUE, gaussian_paths(30, 5, 0.1, seed=6))
    scenarios = worst_scenarios(loans(10), VENUE, found, 2)
    paths = save_all(scenarios, tmp_path)
    again = Scenario.load(paths[0])
    assert again.predicted == scenarios[0].predicted == found.outcomes[int(found.worst(1)[0])]
    assert Scenario.of("again", again.book, again.venue, again.returns).predicted == again.predicted


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": "other"}', b"[]"])
def test_what_is_no_scenario_is_refused(content, tmp_path):
    with pytest.raises(BadInput):
        Scenario.from_json(content)
    with pytest.raises(BadInput):
        Scenario.load(tmp_path / "absent.json")


@pytest.mark.parametrize(
    "make",
    [
        lambda: simulate(loans(), VENUE, np.zeros((0, 3))),
        lambda: gaussian_paths(0, 1, 0.1, 0),
        lambda: resampled_paths(np.zeros(1), 1, 1, 0),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(BadInput):
        make()
