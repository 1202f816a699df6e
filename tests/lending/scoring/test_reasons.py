# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest

from koinon.lending.scorecard_table import MISSING, Feature, ScorecardTable
from koinon.lending.scoring.calibration import Calibration
from koinon.lending.scoring.reader import Reader
from koinon.lending.scoring.reasons import explain
from koinon.lending.scoring.scorecard import Scorecard, Tier
from koinon.lending.scoring.words import notice, ways_up
from koinon.web.language import speaking


def card(actionable):
    table = ScorecardTable(
        (
            Feature("debt", (20, 50), (60, 30, 0), 0, None, 100),
            Feature("arrears", (2,), (20, 0), 0, 45),
            Feature("home", (0, 1), (0, 10, 25), 0),
            Feature("age", (30,), (0, 40), 0),
        ),
        (150, 100, 60),
        10,
    )
    readers = (
        Reader("debt", 100),
        Reader("arrears"),
        Reader("home", 1, (("rents",), ("with family",), ("owns", "co-owns"))),
        Reader("age"),
    )
    tiers = tuple(Tier(1, 0, 0.1) for _ in range(4))
    return Scorecard(table, readers, Calibration("platt", ((-1.0, 3.0),)), tiers, actionable)


FREE = {"debt": -1, "arrears": -1, "home": 0}
ROW = np.array([55, 3, 0, 40])


def test_reasons_are_the_points_lost_and_add_up():
    found = explain(card(FREE), ROW, count=9)
    assert (found.points, found.tier) == (50, 3)
    assert [(reason.column, reason.lost) for reason in found.reasons] == [
        ("debt", 60),
        ("arrears", 45),
        ("home", 25),
    ]
    best = 10 + 60 + 45 + 25 + 40
    assert found.points + sum(reason.lost for reason in found.reasons) == best
    assert len(explain(card(FREE), ROW, count=2).reasons) == 2


def test_every_way_up_reaches_the_tier_exactly_as_scored_again():
    made = card(FREE)
    found = explain(made, ROW, ways=9)
    assert found.one
    for way in (*found.one, *found.two):
        changed = ROW.copy()
        for change in way.changes:
            changed[made.columns.index(change.column)] = change.target
        assert int(made.table.points(changed[None])[0]) == way.points >= made.table.thresholds[way.tier]


def test_the_smallest_change_is_the_smallest_there_is():
    made = card(FREE)
    for row in itertools.product((5, 30, 55, MISSING), (0, 1, 3), (0, 1, 2), (20, 40)):
        given = np.array(row)
        found = explain(made, given)
        if found.tier == 0:
            assert not found.one
            continue
        lacking = made.table.thresholds[found.tier - 1] - found.points
        parts = {part.feature: part for part in made.table.parts(given)}
        reachable = {name for name in FREE if parts[name].best_points - parts[name].points >= lacking}
        assert {way.changes[0].column for way in found.one} == reachable
        for way in found.two:
            assert all(change.gain < lacking for change in way.changes)


def test_what_a_borrower_cannot_change_is_never_asked_for():
    found = explain(card({"debt": 1}), ROW)  # debt could only rise
    assert found.one == found.two == ()
    assert ways_up(card({"debt": 1}), found) == [
        "No change of one or two things would be enough for the next tier."
    ]
    assert explain(card({}), ROW).one == ()


def test_the_best_tier_has_nothing_above():
    found = explain(card(FREE), np.array([5, 0, 2, 40]))
    assert found.tier == 0
    assert ways_up(card(FREE), found) == ["This is the best tier."]


def test_sentences_name_columns_values_and_what_is_enough():
    made = card(FREE)
    found = explain(made, ROW)
    assert notice(made, found, {"debt": "Debt to income"})[0] == (
        "Debt to income is 0.55: 60 points below the best."
    )
    assert "lower debt from 0.55 to at most 0.5: 80 points, enough for tier 2." in ways_up(made, found)
    assert "change arrears from 3 to 0: 95 points, enough for tier 2." in ways_up(made, found)
    missing = explain(made, np.array([MISSING, 0, 1, 40]))
    assert notice(made, missing)[0] == "debt is not known: 60 points below the best."
    assert any("show debt of at most" in sentence for sentence in ways_up(made, missing))
    homes = explain(card({"home": 0}), np.array([5, 3, 0, 40]))
    assert homes.one == ()
    assert "owns / co-owns" in " ".join(ways_up(made, explain(made, np.array([30, 1, 0, 40]))))


@pytest.mark.parametrize("row", [ROW, np.array([MISSING, 0, 1, 40]), np.array([5, 0, 2, 40])])
def test_every_sentence_is_there_in_chinese(row):
    made = card(FREE)
    found = explain(made, row)
    with speaking("zh-Hant"):
        said = [*notice(made, found), *ways_up(made, found)]
    plain = [*notice(made, found), *ways_up(made, found)]
    assert all(one != two for one, two in zip(said, plain, strict=True))
