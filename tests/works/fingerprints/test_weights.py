# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from koinon.errors import BadInput
from koinon.works.fingerprints.weights import PRECISIONS, weights_digests

DRAW = np.random.default_rng(7)
LAYERS = [
    DRAW.standard_normal((20, 16)).astype(np.float32),
    DRAW.standard_normal(16).astype(np.float32),
    DRAW.standard_normal((16, 3)).astype(np.float32),
    np.zeros(16, np.float32),
    DRAW.standard_normal(3).astype(np.float32),
]


def bfloat16(values: Any) -> Any:
    types = pytest.importorskip("ml_dtypes")
    return values.astype(types.bfloat16).astype(np.float32)


@pytest.mark.parametrize(
    "change",
    [
        lambda layers: layers[::-1],
        lambda layers: [each.T for each in layers],
        lambda layers: [each.astype(np.float64) for each in layers],
        lambda layers: [layers[0][:, ::-1], layers[1][::-1], layers[2][::-1], *layers[3:]],
        lambda layers: [*layers, np.array([3, 16]), np.zeros(1, np.float32)],
        lambda layers: [np.negative(np.negative(each)) for each in layers],
    ],
    ids=["order", "transposed", "container", "neurons", "constants", "signs"],
)
def test_how_weights_are_kept_changes_nothing(change: Any) -> None:
    assert weights_digests(change(LAYERS)) == weights_digests(LAYERS)


def test_a_copy_at_half_precision_shares_a_digest() -> None:
    whole = weights_digests(LAYERS)
    half = weights_digests([each.astype(np.float16) for each in LAYERS])
    assert half["float16"] == whole["float16"]
    assert half["float32"] != whole["float32"]
    brain = weights_digests([bfloat16(each) for each in LAYERS])
    assert brain["bfloat16"] == whole["bfloat16"]


def test_other_weights_have_other_digests() -> None:
    moved = [LAYERS[0].copy(), *LAYERS[1:]]
    moved[0][0, 0] += 0.5
    one, other = weights_digests(LAYERS), weights_digests(moved)
    assert not any(one[precision] == other[precision] for precision in PRECISIONS)
    assert len({*one.values(), *other.values()}) == 6


@given(arrays.arrays(np.float32, 24, elements=st.floats(-(2.0**100), 2.0**100, width=32)), st.randoms())
def test_any_order_of_values_is_the_same_tensor(values: Any, random: Any) -> None:
    shuffled = values.tolist()
    random.shuffle(shuffled)
    assert weights_digests([values]) == weights_digests([np.array(shuffled, np.float32)])


@pytest.mark.parametrize("tensors", [[], [np.arange(20)], [np.array([1.0, np.nan])], [np.zeros(0)]])
def test_what_has_no_weights_has_no_digest(tensors: list[Any]) -> None:
    with pytest.raises(BadInput) as refused:
        weights_digests(tensors)
    assert refused.value.code == "works.weights"


def test_a_small_model_counts_all_its_numbers() -> None:
    assert weights_digests([np.array([1.5, 2.5])]) != weights_digests([np.array([1.5, 2.75])])
