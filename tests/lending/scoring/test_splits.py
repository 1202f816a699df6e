# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.lending.scoring.horizon import DAY_S, Borrows, Faults, label_by_horizon
from koinon.lending.scoring.splits import folds, held_back, split
from tests.lending.scoring.made_up import made_up


def test_rows_with_a_time_are_judged_on_their_future_only():
    frame = made_up(timed=True)
    parts = split(frame)
    assert frame.time[parts.train].max() < frame.time[parts.calibrate].min()
    assert frame.time[parts.calibrate].max() < frame.time[parts.test].min()
    assert len(parts.train) + len(parts.calibrate) + len(parts.test) == len(frame)
    assert parts.how.startswith("by time")
    for earlier, later in folds(frame):
        assert frame.time[earlier].max() < frame.time[later].min()
    held = held_back(frame, 0.15, 1)
    assert frame.time[~held].max() < frame.time[held].min()


def test_a_later_borrower_teaches_nothing_earlier():
    frame = made_up(timed=True, repeat=900)
    parts = split(frame)
    groups = [set(frame.entity[rows]) for rows in (parts.train, parts.calibrate, parts.test)]
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & groups[2]


def test_a_borrower_with_several_rows_is_on_one_side():
    frame = made_up(repeat=300)
    parts = split(frame)
    sides = [set(frame.entity[rows]) for rows in (parts.train, parts.calibrate, parts.test)]
    assert not (sides[0] & sides[1])
    assert not (sides[0] & sides[2])
    assert not (sides[1] & sides[2])
    for others, own in folds(frame, 3):
        assert not set(frame.entity[others]) & set(frame.entity[own])


def test_without_time_every_part_has_its_share_of_bad_rows():
    frame = made_up()
    parts = split(frame, seed=3)
    rates = [frame.labels[rows].mean() for rows in (parts.train, parts.calibrate, parts.test)]
    assert max(rates) - min(rates) < 0.01
    assert not np.array_equal(parts.test, split(frame, seed=4).test)
    assert np.array_equal(parts.test, split(frame, seed=3).test)


def test_too_few_rows_one_moment_and_impossible_shares_are_refused():
    frame = made_up(60)
    with pytest.raises(BadInput, match="left to"):
        split(frame)
    with pytest.raises(BadInput, match="too little"):
        split(frame, test=0.9)
    timed = made_up(200, timed=True)
    with pytest.raises(BadInput, match="fewer than three"):
        split(timed.take(np.flatnonzero(timed.time < 2)))
    with pytest.raises(BadInput, match="two folds"):
        folds(frame, 1)


def borrowed(*days):
    return np.array(days) * DAY_S


def test_a_loan_is_bad_if_a_fault_falls_into_its_horizon_and_unknown_before_it_is_over():
    borrows = Borrows(np.array(["a", "a", "b", "c", "a"]), borrowed(0, 50, 10, 10, 95))
    faults = Faults(np.array(["a", "b", "c", "z"]), borrowed(60, 41, 40, 5))
    seen = label_by_horizon(borrows, faults, days=30, seen_until_s=100 * DAY_S)
    assert seen.rows.tolist() == [0, 1, 2, 3]
    # a's first loan outlived its horizon; b's fault came a day late; c's on the last day
    assert seen.labels.tolist() == [0, 1, 0, 1]
    assert seen.waiting == 1


def test_nothing_after_the_end_of_what_was_seen_changes_a_label():
    random = np.random.default_rng(1)
    borrows = Borrows(random.integers(0, 20, 200), random.integers(0, 300, 200) * DAY_S)
    faults = Faults(random.integers(0, 20, 60), random.integers(0, 400, 60) * DAY_S)
    full = label_by_horizon(borrows, faults, days=90, seen_until_s=200 * DAY_S)
    known = faults.time_s <= 200 * DAY_S
    cut = label_by_horizon(
        borrows, Faults(faults.borrower[known], faults.time_s[known]), days=90, seen_until_s=200 * DAY_S
    )
    assert np.array_equal(full.labels, cut.labels)
    with pytest.raises(BadInput, match="at least one day"):
        label_by_horizon(borrows, faults, days=0, seen_until_s=0)
    with pytest.raises(BadInput, match="one time"):
        label_by_horizon(borrows, Faults(np.array([1]), borrowed(1, 2)), days=30, seen_until_s=0)


def test_a_fault_of_the_very_second_of_a_loan_is_an_earlier_loans():
    borrows = Borrows(np.array(["a", "b"]), borrowed(10, 10))
    faults = Faults(np.array(["a", "b"]), np.array([10 * DAY_S, 10 * DAY_S + 1]))
    assert label_by_horizon(borrows, faults, days=30, seen_until_s=50 * DAY_S).labels.tolist() == [0, 1]
