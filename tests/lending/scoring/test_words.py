# SPDX-License-Identifier: Apache-2.0
"""Ways up as sentences: the tier that is reached is named, and a sentence begins as one."""

from __future__ import annotations

import pytest

from koinon.lending.grades import letter, titles
from koinon.lending.scoring.reasons import Change, Explanation, Way
from koinon.lending.scoring.words import ways_up
from tests.lending.credit_town import scorecard


@pytest.mark.parametrize(("points", "tier"), [(560, "B"), (619, "B"), (620, "A"), (640, "A")])
def test_a_way_up_names_the_tier_that_its_points_reach(points, tier):
    change = Change("repays_365d", 0, 2, 1, points - 540, 2)
    found = Explanation(540, 2, (), (Way((change,), 1, points),), ())
    assert ways_up(scorecard(), found, titles(), letter) == [
        f"Raise repayments in a year from 0 to at least 2: {points} points, enough for tier {tier}."
    ]
