# SPDX-License-Identifier: Apache-2.0
"""What the model predicts happens on the real contracts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.lending.risk.book import UNSCORED, Book, Venue
from koinon.lending.risk.replay import replay
from koinon.lending.risk.scenario import Scenario

FALL = np.log([0.9, 0.8, 0.75, 1, 1.05, 0.9, 1])


def loans(count: int, seed: int, lltvs=(0.8, 0.7)) -> Book:
    generator = np.random.default_rng(seed)
    collateral = generator.lognormal(0, 0.7, count) * 5
    lltv = generator.choice(lltvs, count)
    debt = collateral * 2_000 * lltv * generator.uniform(0.6, 0.98, count)
    return Book(collateral, debt, lltv, np.full(count, UNSCORED))


VENUES = (
    Venue(base=150, quote=300_000, gas=5, min_bonus=0.02, max_bonus=0.1, auction_steps=3, close_factor=0.5,
          oracle_delay_steps=1, recovery=0.3, min_debt=10),
    Venue(base=2_000, quote=4_000_000, gas=1, min_debt=1),
)  # fmt: skip


@pytest.mark.parametrize("venue", VENUES)
def test_predicted_losses_are_realised(venue):
    found = replay(Scenario.of("fall", loans(15, 1), venue, FALL))
    assert found.realised.count == found.predicted.count > 5
    assert found.realised.bad_debt > 100
    assert max(abs(each) for each in found.differences().values()) < 0.01
    lost = found.junior_loss + found.senior_loss
    assert lost == round(found.realised.bad_debt * 10**6), "the waterfall adds up to the bad debt"
    assert found.senior_loss == 0 or found.junior_loss > 0


def test_a_calm_market_loses_nothing():
    book = loans(4, 2)
    found = replay(Scenario.of("calm", book, VENUES[1], np.log([1.01, 0.999, 1])))
    assert (found.realised.count, found.realised.bad_debt, found.junior_loss) == (0, 0, 0)
    assert found.differences()["price"] == pytest.approx(0, abs=1e-3)


def test_a_scenario_begins_with_sound_loans_of_few_kinds():
    book = loans(4, 3)
    with pytest.raises(BadInput, match="unsound before"):
        replay(Scenario.of("late", replace(book, debt=book.debt * 2), VENUES[1], FALL))
    kinds = replace(loans(9, 4), lltv=np.linspace(0.5, 0.9, 9), debt=np.full(9, 100.0))
    with pytest.raises(BadInput, match="at most eight"):
        replay(Scenario.of("many", kinds, VENUES[1], FALL))
