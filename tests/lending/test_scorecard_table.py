# SPDX-License-Identifier: Apache-2.0
"""Scorecards in whole numbers: bins, points, reasons, and their packed form."""

from __future__ import annotations

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.lending.scorecard_table import MISSING, Feature, ScorecardTable

AGE = Feature("age of the wallet in days", (30, 365), (-20, 5, 30), missing_points=-40)
UTILISATION = Feature("utilisation", (250, 800), (40, 10, -35), missing_points=0, zero_points=15, scale=1000)
TABLE = ScorecardTable((AGE, UTILISATION), thresholds=(660, 600, 520), base_points=600)


def rows(*values: tuple[int, int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_a_value_on_an_edge_belongs_to_the_bin_below_it():
    assert TABLE.points(rows((30, 250), (31, 251), (365, 800), (366, 801))).tolist() == [620, 615, 615, 595]


def test_missing_and_zero_have_points_of_their_own_where_the_feature_says_so():
    assert TABLE.points(rows((MISSING, MISSING), (0, 0), (30, -1))).tolist() == [560, 595, 620]


def test_tiers_begin_at_their_thresholds():
    assert TABLE.tiers(np.array([700, 660, 659, 600, 520, 519, -9])).tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert TABLE.worst_tier == 3
    assert ScorecardTable((AGE,)).tiers(np.array([5])).tolist() == [0]


def test_reasons_are_the_points_lost_against_the_best_bin_greatest_first():
    first, second = TABLE.reasons(rows((10, 900))[0])
    assert (first.feature, first.bin_name, first.points, first.lost_points) == (
        "utilisation",
        "> 0.8",
        -35,
        75,
    )
    assert (second.feature, second.bin_name, second.lost_points) == (AGE.name, "<= 30", 50)
    assert TABLE.reasons(rows((400, 100))[0]) == ()
    assert [part.bin_name for part in TABLE.parts(rows((MISSING, 0))[0])] == ["missing", "0"]
    parts = TABLE.parts(rows((10, 900))[0])
    assert sum(part.points for part in parts) + TABLE.base_points == TABLE.points(rows((10, 900)))[0]
    assert Feature("flat", (), (3,)).bin_name(0) == "any"


def test_real_values_become_integers_rounded_down_and_nan_is_missing():
    real = np.array([[12.9, 0.2509], [np.nan, -0.0001], [1e300, 0.0]])
    assert TABLE.scaled(real).tolist() == [[12, 250], [MISSING, -1], [2**62, 0]]


def test_what_is_packed_comes_out_again():
    packed = TABLE.encode()
    assert len(packed) == 128 + 2 * 224
    columns = [(feature.name, feature.scale) for feature in TABLE.features]
    assert ScorecardTable.decode(packed, columns) == TABLE
    nameless = ScorecardTable.decode(packed)
    assert nameless.names == ("feature 0", "feature 1")
    assert nameless.digest != TABLE.digest
    assert ScorecardTable.from_json(TABLE.to_json()) == TABLE


def test_other_columns_than_those_packed_are_refused():
    for columns in ([("age", 1), ("utilisation", 1000)], [("age", 1)]):
        with pytest.raises(BadInput):
            ScorecardTable.decode(TABLE.encode(), columns)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\2" + TABLE.encode()[1:],
        TABLE.encode()[:-1],
        TABLE.encode()[:128] + b"\x10" + TABLE.encode()[129:],
    ],
)
def test_bytes_that_are_no_packed_scorecard_are_refused(packed):
    with pytest.raises(BadInput):
        ScorecardTable.decode(packed)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Feature("", (), (0,)),
        lambda: Feature("many", tuple(range(16)), tuple(range(17))),
        lambda: Feature("uneven", (1,), (0,)),
        lambda: Feature("falling", (2, 1), (0, 0, 0)),
        lambda: Feature("wide", (2**63,), (0, 0)),
        lambda: Feature("heavy", (), (2**24,)),
        lambda: Feature("scale", (), (0,), scale=0),
        lambda: ScorecardTable(()),
        lambda: ScorecardTable((AGE, AGE)),
        lambda: ScorecardTable((AGE,), thresholds=(1, 1)),
        lambda: ScorecardTable((AGE,), thresholds=tuple(range(17, 0, -1))),
        lambda: ScorecardTable((AGE,), base_points=2**31),
        lambda: ScorecardTable.from_json({"features": []}),
        lambda: ScorecardTable.from_json([]),
        lambda: TABLE.points(np.zeros((1, 3), dtype=np.int64)),
        lambda: TABLE.points(np.zeros((1, 2), dtype=np.int32)),
        lambda: TABLE.scaled(np.zeros((1, 3))),
    ],
)
def test_what_is_no_scorecard_is_refused(make):
    with pytest.raises(BadInput):
        make()
