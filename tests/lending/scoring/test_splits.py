# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.lending.scoring.frame import Frame, Numeric
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
    teaching, held = held_back(frame, 0.15, 1)
    assert frame.time[teaching].max() < frame.time[held].min()
    assert (teaching ^ held).all()


def test_a_borrower_who_taught_is_judged_apart():
    frame = made_up(timed=True, repeat=900)
    parts = split(frame)
    teach, middle, judge, known = (
        set(frame.entity[rows]) for rows in (parts.train, parts.calibrate, parts.test, parts.known)
    )
    assert not (teach | middle) & judge
    assert known <= teach | middle
    assert parts.stretches is not None
    assert len(parts.test) + len(parts.known) == len(parts.stretches[2])
    assert parts.how.endswith("on borrowers not seen before")
    for earlier, later in folds(frame):
        assert not set(frame.entity[earlier]) & set(frame.entity[later])


def returning(rows=3000, seed=2):
    """Of borrowers 15 % go bad, at their first loan; the others come back again and again."""
    random = np.random.default_rng(seed)
    entity, labels = [], []
    good: list[str] = []
    for row in range(rows):
        back = bool(good) and random.random() < 0.7
        entity.append(good[random.integers(len(good))] if back else f"b{row}")
        labels.append(int(not back and random.random() < 0.5))
        if not back and not labels[-1]:
            good.append(entity[-1])
    assert abs(np.mean(labels) - 0.15) < 0.02
    noise = {"noise": Numeric(random.normal(size=rows))}
    return Frame(noise, np.array(labels), np.arange(rows), entity=np.array(entity))


def test_the_good_who_come_back_stay_among_those_who_teach_and_calibrate():
    frame = returning()
    parts = split(frame)
    for rows in (parts.train, parts.calibrate):
        assert abs(frame.labels[rows].mean() - frame.base_rate) < 0.04
    for earlier, _ in folds(frame)[1:]:
        assert abs(frame.labels[earlier].mean() - frame.base_rate) < 0.04


def test_a_label_teaches_nothing_before_it_was_known():
    plain = made_up(timed=True)
    frame = replace(plain, known_at=plain.time + 10)
    parts = split(frame)
    assert parts.stretches is not None
    begins = [frame.time[rows].min() for rows in parts.stretches]
    assert frame.known_at[parts.train].max() < begins[1]
    assert frame.known_at[parts.calibrate].max() < begins[2]
    assert len(parts.stretches[0]) - len(parts.train) == len(parts.stretches[1]) - len(parts.calibrate) == 100
    assert np.array_equal(parts.test, parts.stretches[2])
    assert "known at each cut" in parts.how
    for early, late in folds(frame):
        assert frame.known_at[early].max() < frame.time[late].min()
    teaching, held = held_back(frame, 0.15, 1)
    assert held.any()
    assert frame.known_at[teaching].max() < frame.time[held].min()
    with pytest.raises(BadInput, match="0 rows with 0 bad ones are left to teach") as caught:
        split(replace(frame, known_at=frame.time + 100))
    assert "a shorter horizon" in str(caught.value.hint)


def test_a_label_known_before_its_row_or_without_a_time_is_refused():
    frame = made_up(60, timed=True)
    for wrong in ({"known_at": frame.time - 1}, {"known_at": frame.time, "time": None}):
        with pytest.raises(BadInput, match="never before their row's own"):
            replace(frame, **wrong)
    assert replace(frame, known_at=frame.time).digest != frame.digest


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
