# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.learning.privacy.clipping import NORM, clipped_units, mean_of_units, squared_length

numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(numbers, max_size=30), st.floats(0.001, 64))
def test_no_vector_is_longer_than_the_bound_by_a_single_unit(values, norm):
    assert squared_length(clipped_units(np.array(values, dtype=np.float32), norm)) <= NORM**2


def test_a_short_vector_keeps_its_numbers_to_a_unit():
    change = np.random.default_rng(1).normal(0, 0.01, 500).astype(np.float32)
    kept = mean_of_units(clipped_units(change, 2.0), 2.0, 1)
    assert np.abs(kept - change).max() <= 2.0 / NORM
    assert (np.abs(kept) <= np.abs(change)).all()


def test_a_long_vector_keeps_its_direction():
    change = np.array([300.0, -400.0], dtype=np.float32)
    assert np.allclose(mean_of_units(clipped_units(change, 1.0), 1.0, 1), [0.6, -0.8], atol=1e-5)


def test_the_largest_numbers_do_not_overflow():
    change = np.full(1_000, np.finfo(np.float32).max, dtype=np.float32)
    assert NORM**2 * 0.98 < squared_length(clipped_units(change, 0.5)) <= NORM**2


def test_a_mean_is_the_sum_divided_by_the_owners():
    changes = [np.full(4, value, dtype=np.float32) for value in (0.1, 0.2, 0.3)]
    total = np.sum([clipped_units(change, 1.0) for change in changes], axis=0)
    assert np.allclose(mean_of_units(total, 1.0, 3), 0.2, atol=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(wrong):
    with pytest.raises(BadInput) as refused:
        clipped_units(np.array([0.1, wrong], dtype=np.float32), 1.0)
    assert refused.value.code == "learning.not_finite"


@pytest.mark.parametrize("norm", [0.0, -1.0, float("nan"), 65.0])
def test_a_bound_that_is_none_is_refused(norm):
    with pytest.raises(BadInput) as refused:
        clipped_units(np.zeros(2, dtype=np.float32), norm)
    assert refused.value.code == "learning.privacy_parameters"
