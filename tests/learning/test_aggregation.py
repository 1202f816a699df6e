# SPDX-License-Identifier: Apache-2.0
"""The same updates give the same bits in any order; vectors survive the wire exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.learning.aggregation import (
    MAXIMUM_CHANGE,
    MAXIMUM_EXAMPLES,
    MAXIMUM_UPDATES,
    Union,
    Update,
    WeightedMean,
    fixed_point,
)
from koinon.learning.codecs import Float32

RULE = WeightedMean()
NUMBERS = st.floats(-MAXIMUM_CHANGE, MAXIMUM_CHANGE, width=32)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_order_does_not_matter_and_the_mean_is_weighted(data):
    size = data.draw(st.integers(1, 6))
    vector = st.lists(NUMBERS, min_size=size, max_size=size).map(lambda values: np.array(values, np.float32))
    updates = data.draw(
        st.lists(st.builds(Update, vector, st.integers(1, MAXIMUM_EXAMPLES)), min_size=1, max_size=16)
    )
    base = data.draw(vector)
    found = RULE.aggregate(base, updates)
    assert np.array_equal(found, RULE.aggregate(base, data.draw(st.permutations(updates))))
    weights = np.array([update.examples for update in updates], dtype=np.float64)
    exact = base + np.average(
        [update.change.astype(np.float64) for update in updates], axis=0, weights=weights
    )
    assert np.allclose(found, exact, rtol=1e-6, atol=1e-6)


def test_the_largest_sum_does_not_overflow():
    change = np.full(2, MAXIMUM_CHANGE, np.float32)
    for number in (16, 17, MAXIMUM_UPDATES):
        found = RULE.aggregate(np.zeros(2, np.float32), [Update(change, MAXIMUM_EXAMPLES)] * number)
        assert np.array_equal(found, change)


@given(st.lists(st.tuples(NUMBERS, st.integers(1, MAXIMUM_EXAMPLES)), min_size=17, max_size=40))
def test_sums_in_two_words_are_the_exact_quotient(pairs):
    numbers = np.array([[number] for number, _ in pairs], np.float32)
    updates = [Update(change, rows) for change, (_, rows) in zip(numbers, pairs, strict=True)]
    exact = sum(int(fixed_point(u.change)[0]) * u.examples for u in updates) // sum(
        u.examples for u in updates
    )
    assert RULE.aggregate(np.zeros(1, np.float32), updates)[0] == np.float32(exact / 2**30)


@pytest.mark.parametrize(
    "updates",
    [
        [],
        [Update(np.zeros(2, np.float32), 1)] * 257,
        [Update(np.zeros(3, np.float32), 1)],
        [Update(np.zeros(2, np.float32), 0)],
        [Update(np.zeros(2, np.float32), MAXIMUM_EXAMPLES + 1)],
        [Update(np.array([0, -65], np.float32), 1)],
        [Update(np.array([0, np.nan], np.float32), 1)],
    ],
)
def test_what_cannot_be_summed_exactly_is_refused(updates):
    with pytest.raises(BadInput):
        RULE.aggregate(np.zeros(2, np.float32), updates)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.floats(width=32, allow_nan=False, allow_infinity=False)), max_size=9
    ),
    st.permutations(range(4)),
)
def test_a_union_copies_every_bit_from_the_one_who_wrote_it(written, order):
    """Writer 4 is the base."""
    numbers = np.array([number for _, number in written], np.float32)
    writers = np.array([writer for writer, _ in written], np.int64)
    parts = [np.where(writers == index, numbers, np.float32(0)) for index in range(5)]
    found = Union().aggregate(parts[4], [Update(parts[index], 1) for index in order])
    assert np.array_equal(found, numbers)
    assert np.array_equal(Union().aggregate(parts[4], [Update(parts[0] * 0, 1)]), parts[4])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([[1, 0], [1, 0]], "same place"),
        ([[0, 1]], "same place"),  # where the base has something
        ([[np.inf, 0]], "not finite"),
        ([[1]], "size"),
        ([], "Between"),
    ],
)
def test_a_union_refuses_what_overlaps(changes, reason):
    updates = [Update(np.array(change, np.float32), 1) for change in changes]
    with pytest.raises(BadInput, match=reason):
        Union().aggregate(np.array([0, 2], np.float32), updates)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=20))
def test_float32_is_exact(values):
    vector = np.array(values, np.float32)
    codec = Float32()
    data = codec.encode(vector)
    assert len(data) == codec.limit(len(values))
    assert np.array_equal(codec.decode(data, len(values)), vector)


def test_bytes_that_are_no_vector_are_refused():
    codec = Float32()
    with pytest.raises(BadInput, match="takes 8 bytes"):
        codec.decode(b"\x00" * 7, 2)
    for bad in (np.nan, np.inf):
        with pytest.raises(BadInput, match="not finite"):
            codec.decode(np.array([bad], "<f4").tobytes(), 1)
