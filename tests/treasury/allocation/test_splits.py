# SPDX-License-Identifier: Apache-2.0
"""Nothing that is tested on was learnt from, and a walk forward never learns from what came later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.treasury.allocation.splits import Split, combinatorial_purged, walk_forward


@given(train=st.integers(1, 40), step=st.integers(1, 30), embargo=st.integers(0, 10), more=st.integers(1, 60))
def test_a_walk_forward_learns_from_before_the_embargo_and_tests_every_later_row_once(
    train, step, embargo, more
):
    rows = train + embargo + more
    splits = list(walk_forward(rows, train=train, step=step, embargo=embargo))
    for split in splits:
        assert len(split.train) == train
        assert split.train.max() + embargo + 1 == split.test.min()
    tested = np.concatenate([split.test for split in splits])
    assert tested.tolist() == list(range(train + embargo, rows))


@given(
    rows=st.integers(40, 120),
    folds=st.integers(3, 6),
    purge=st.integers(0, 3),
    embargo=st.integers(0, 3),
)
def test_purged_rows_are_neither_learnt_from_nor_next_to_what_is_tested(rows, folds, purge, embargo):
    splits = list(combinatorial_purged(rows, folds=folds, tested=2, purge=purge, embargo=embargo))
    assert len(splits) == folds * (folds - 1) // 2
    for split in splits:
        learnt = set(split.train.tolist())
        for row in split.test.tolist():
            assert not learnt & set(range(row - purge, row + purge + embargo + 1))


def test_splits_that_look_ahead_cannot_be_made():
    with pytest.raises(BadInput, match="later"):
        Split(np.array([0, 5]), np.array([3, 4]))
    with pytest.raises(BadInput, match="learnt"):
        Split(np.array([1, 2]), np.array([2, 3]), forward=False)
    with pytest.raises(BadInput, match="nothing"):
        Split(np.array([], dtype=np.int64), np.array([2, 3]))


@pytest.mark.parametrize(
    "wrong", [{"train": 0}, {"step": 0}, {"embargo": -1}, {"train": 100}, {"train": 99, "embargo": 1}]
)
def test_too_little_history_is_said(wrong):
    with pytest.raises(BadInput):
        list(walk_forward(100, **{"train": 10, "step": 5, "embargo": 0, **wrong}))


@pytest.mark.parametrize("wrong", [{"folds": 2}, {"tested": 0}, {"folds": 60}, {"purge": -1}])
def test_too_few_folds_are_said(wrong):
    with pytest.raises(BadInput):
        list(combinatorial_purged(100, **{"folds": 5, "tested": 2, **wrong}))
