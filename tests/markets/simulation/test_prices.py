# SPDX-License-Identifier: Apache-2.0
"""Outside prices: drawn from real returns, scaled as stated, and crashed where a scenario says so."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from koinon.errors import BadInput, NotFound
from koinon.markets.simulation import returns, scenario
from koinon.markets.simulation.prices import YEARLY_VOLATILITY, Crash, draw, whole
from koinon.markets.simulation.returns import Array

STEP_S = 3_600
DAYS = 60


def paths(seed: int = 3, *, crashes: tuple[Crash, ...] = (), volatility: float = 1.0) -> dict[str, Array]:
    chance = np.random.default_rng(seed)
    return draw(0, DAYS * 24, STEP_S, chance, crashes=crashes, volatility=volatility).prices


def test_the_same_seed_draws_the_same_prices() -> None:
    first, again, other = paths(), paths(), paths(seed=4)
    assert all(np.array_equal(first[asset], again[asset]) for asset in first)
    assert not np.array_equal(first["sETH"], other["sETH"])


def test_volatility_is_the_stated_one_and_assets_move_together() -> None:
    found = [paths(seed) for seed in range(12)]
    for asset, wanted in YEARLY_VOLATILITY.items():
        moves = np.concatenate([np.diff(np.log(each[asset])) for each in found])
        assert moves.std() * math.sqrt(24 * 365) == pytest.approx(wanted, rel=0.25)
    together = np.corrcoef(
        np.concatenate([np.diff(np.log(each["sETH"])) for each in found]),
        np.concatenate([np.diff(np.log(each["sBTC"])) for each in found]),
    )[0, 1]
    assert together == pytest.approx(returns.load().correlation[0, 1], abs=0.12)


def test_blocks_of_real_days_keep_their_order() -> None:
    real = returns.load()
    drawn = returns.bootstrap(real, 400, np.random.default_rng(1), mean_block=20.0)
    places = [int(np.flatnonzero((real.values == day).all(axis=1))[0]) for day in drawn]
    followed = sum(later == earlier + 1 for earlier, later in itertools.pairwise(places))
    assert followed > 350


def test_a_crash_takes_its_share_within_its_hours() -> None:
    prices = paths(crashes=(Crash(at=0.5, share=0.4, hours=10, recovered=0.0),), volatility=0.001)["sETH"]
    begins = DAYS * 24 // 2
    assert prices[begins - 1] == pytest.approx(2_500, rel=0.01)
    assert prices[begins + 9] == pytest.approx(1_500, rel=0.01)
    assert prices[-1] == pytest.approx(1_500, rel=0.01)
    outside = draw(0, 48, STEP_S, np.random.default_rng(1), crashes=(Crash(0.5, 0.4, 10),))
    assert outside.crashed.sum() == 10


@pytest.mark.parametrize(
    "given", [(-0.1, 0.3, 4), (0.5, 1.0, 4), (0.5, 0.0, 4), (0.5, 0.3, 0), (0.5, 0.3, 4, 1.5)]
)
def test_impossible_crashes_are_refused(given: tuple[float, ...]) -> None:
    with pytest.raises(BadInput):
        Crash(*given)


def test_scenarios_are_found_by_name_and_last_as_long_as_asked() -> None:
    crash = scenario.find("crash").lasting(1.0)
    assert crash.crashes
    assert crash.steps == 30 * 24
    with pytest.raises(NotFound, match="no scenario"):
        scenario.find("heaven")
    with pytest.raises(BadInput, match="months"):
        crash.lasting(0)
    with pytest.raises(BadInput, match="months"):
        crash.lasting(25)
    with pytest.raises(BadInput, match="minute"):
        scenario.Scenario("odd", step_s=7)
    with pytest.raises(BadInput, match="fewer than none"):
        scenario.People(payers=-1)
    with pytest.raises(NotFound, match="no returns"):
        returns.load("gold")


def test_a_price_is_a_whole_number_and_never_nothing() -> None:
    assert whole(2_500.5) == 250_050_000_000
    assert whole(1e-12) == 1
