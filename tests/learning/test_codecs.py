# SPDX-License-Identifier: Apache-2.0
"""Vectors arrive as they were sent, or near enough; garbage never does."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from koinon.errors import BadInput
from koinon.learning.codecs import ErrorFeedback, codec_named

NAMES = ("float32", "int8", "sign", "topk:0.05", "topk:0.5")
FINITE = st.floats(-50, 50, width=32)


def vector(size: int = 5_000, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(size) * 0.01).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
@given(found=arrays(np.float32, st.integers(1, 300), elements=FINITE))
def test_bytes_stay_within_the_limit_and_decode_the_same_everywhere(name, found):
    codec = codec_named(name)
    data = codec.encode(found)
    assert len(data) <= codec.limit(found.size)
    decoded = codec.decode(data, found.size)
    assert decoded.shape == found.shape
    assert decoded.dtype == np.float32
    assert np.array_equal(decoded, codec.decode(data, found.size))
    if codec.lossless:
        assert np.array_equal(decoded, found)


@pytest.mark.parametrize(("name", "ratio"), [("int8", 4.0), ("sign", 31.0), ("topk:0.05", 40.0)])
def test_smaller_by(name, ratio):
    found = vector(50_000)
    assert found.nbytes / len(codec_named(name).encode(found)) >= ratio


def test_int8_is_off_by_half_a_unit_at_most():
    found = vector()
    decoded = codec_named("int8").decode(codec_named("int8").encode(found), found.size)
    assert np.abs(decoded - found).max() <= np.abs(found).max() / 127 * 0.5001


@pytest.mark.parametrize("name", ["int8", "sign", "topk:0.05"])
def test_with_error_feedback_nothing_is_lost_for_ever(name):
    feedback, sent, owed = ErrorFeedback(codec_named(name), 1_000), np.zeros(1_000), np.zeros(1_000)
    for seed in range(30):
        found = vector(1_000, seed)
        _, decoded = feedback.encode(found)
        sent, owed = sent + decoded, owed + found
    assert np.allclose(sent + feedback.residual, owed, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cut", [0, 1, 3, 5, 9])
def test_what_was_cut_off_is_refused(name, cut):
    codec, found = codec_named(name), vector(100)
    with pytest.raises(BadInput):
        codec.decode(codec.encode(found)[:cut], 100)


@pytest.mark.parametrize("name", NAMES)
def test_another_size_or_a_number_that_is_none_is_refused(name):
    codec = codec_named(name)
    data = codec.encode(vector(100))
    with pytest.raises(BadInput):
        codec.decode(data, 900)
    not_finite = np.array([np.nan], dtype="<f4").tobytes() + data[4:]
    with pytest.raises(BadInput):
        codec.decode(not_finite, 100)


def test_a_small_message_that_swells_is_not_swallowed():
    bomb = np.array([1.0], dtype="<f4").tobytes() + zlib.compress(b"\0" * 10_000_000)
    for name in ("int8", "topk:0.05"):
        with pytest.raises(BadInput):
            codec_named(name).decode(bomb, 1_000)


def test_places_a_vector_does_not_have_are_refused():
    codec = codec_named("topk:0.5")
    planes = np.full((4, 2), 255, dtype=np.uint8).tobytes() + b"\1\1"
    with pytest.raises(BadInput):
        codec.decode(np.array([1.0], dtype="<f4").tobytes() + zlib.compress(planes), 4)
