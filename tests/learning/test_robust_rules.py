# SPDX-License-Identifier: Apache-2.0
"""Robust rules: the same bits in any order, for any subset; and what a few attackers cannot do."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.learning.aggregation import (
    AGGREGATIONS,
    MAXIMUM_CHANGE,
    MAXIMUM_UPDATES,
    FLTrust,
    Median,
    MultiKrum,
    NormClipping,
    TrimmedMean,
    Update,
    rule_named,
)
from koinon.learning.aggregation.products import products, squared_distances
from tests.learning.support import recipe

ROBUST = ["median", "trimmed_mean:0.2", "multi_krum:1", "norm_clipping", "norm_clipping:0.5", "fltrust"]
NUMBERS = st.floats(-MAXIMUM_CHANGE, MAXIMUM_CHANGE, width=32)
BASE = np.zeros(3, np.float32)


def updates_of(*changes, root=None):
    return [
        Update(np.array(change, np.float32), 10, root=index == root) for index, change in enumerate(changes)
    ]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(ROBUST))
def test_order_does_not_matter_for_any_number_of_updates(data, name):
    size = data.draw(st.integers(1, 4))
    vector = st.lists(NUMBERS, min_size=size, max_size=size).map(lambda values: np.array(values, np.float32))
    changes = data.draw(st.lists(vector, min_size=1, max_size=9))
    root = data.draw(st.integers(-1, len(changes) - 1))
    updates, base = updates_of(*changes, root=root), data.draw(vector)
    found = rule_named(name).aggregate(base, updates)
    again = rule_named(name).aggregate(base, data.draw(st.permutations(updates)))
    assert found.dtype == np.float32
    assert found.tobytes() == again.tobytes()
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", ROBUST)
def test_one_update_alone_is_followed_and_equal_ones_are_too(name):
    change = np.array([0.25, -0.125, 0], np.float32)
    for number in (1, 2, 3, 16, MAXIMUM_UPDATES):
        for root in (None, 0):
            updates = updates_of(*[change] * number, root=root)
            assert np.allclose(rule_named(name).aggregate(BASE, updates), change, atol=1e-8)


@pytest.mark.parametrize("name", ROBUST)
def test_rows_that_an_owner_claims_buy_no_influence(name):
    changes = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    plain = [Update(change, 10, root=index == 0) for index, change in enumerate(changes)]
    boasting = [Update(change, 10 ** (index + 1), root=index == 0) for index, change in enumerate(changes)]
    rule = rule_named(name)
    assert np.array_equal(rule.aggregate(BASE, plain), rule.aggregate(BASE, boasting))


@pytest.mark.parametrize("name", ["median", "trimmed_mean:0.3", "multi_krum:3", "fltrust"])
def test_three_giants_of_ten_do_not_move_the_model(name):
    random = np.random.default_rng(2)
    honest = (1 + random.normal(0, 0.1, (7, 50))).astype(np.float32)
    giants = np.full((3, 50), -MAXIMUM_CHANGE, np.float32)
    base = np.zeros(50, np.float32)
    found = rule_named(name).aggregate(base, updates_of(*honest, *giants, root=0))
    assert np.abs(found - 1).max() < 0.4
    pulled = rule_named("weighted_mean").aggregate(base, updates_of(*honest, *giants))
    assert pulled.max() < -10


def test_coordinates_are_what_numpy_says():
    changes = np.random.default_rng(3).normal(size=(6, 40_000)).astype(np.float32)
    base = np.zeros(40_000, np.float32)
    assert np.allclose(Median().aggregate(base, updates_of(*changes)), np.median(changes, axis=0), atol=1e-7)
    middle = np.sort(changes, axis=0)[1:5].mean(axis=0)
    assert np.allclose(TrimmedMean(0.2).aggregate(base, updates_of(*changes)), middle, atol=1e-7)
    five = TrimmedMean(0.2).aggregate(base, updates_of(*changes[:5]))
    assert np.allclose(five, np.sort(changes[:5], axis=0)[1:4].mean(axis=0), atol=1e-7)


def test_distances_are_exact_up_to_the_exponent_and_cannot_overflow():
    changes = np.random.default_rng(4).normal(0, 0.01, (5, 1_000)).astype(np.float32)
    wanted = ((changes[:, None].astype(np.float64) - changes[None]) ** 2).sum(axis=2)
    found = np.array(squared_distances(updates_of(*changes)), dtype=object) / 2**60
    assert np.allclose(found.astype(np.float64), wanted, rtol=1e-5)
    million = np.full(10**6, MAXIMUM_CHANGE, np.float32)
    (one, other), (_, square) = products(updates_of(million, -million))
    assert one == square == -other == 10**6 * 2**72


def test_a_giant_does_not_hide_how_small_ones_differ():
    distances = squared_distances(updates_of([1e-6, 0, 0], [-1e-6, 0, 0], [64, 0, 0]))
    assert distances[0][1] > 0
    assert distances[0][1] / 2**60 == pytest.approx(4e-12, rel=1e-2)


def test_krum_leaves_out_who_is_far_from_all_and_gives_up_with_too_few():
    near = [[1, 0, 0], [1.1, 0, 0], [0.9, 0, 0], [1, 0.1, 0]]
    assert MultiKrum(1).chosen(updates_of(*near, [-5, 0, 0])) == [0, 1, 2, 3]
    assert MultiKrum(1).chosen(updates_of(*near[:3], [-5, 0, 0])) == [0, 1, 2, 3]
    assert MultiKrum(9).chosen(updates_of(*near, [-5, 0, 0])) == [0, 1, 2, 3]


def test_clipping_shortens_to_the_bound_or_to_the_median():
    updates = updates_of([3, 4, 0], [0, 0, 1], [0, 2, 0])
    assert np.allclose(NormClipping(1.0).aggregate(BASE, updates), np.array([0.6, 1.8, 1]) / 3, atol=1e-8)
    assert np.allclose(NormClipping().aggregate(BASE, updates), np.array([1.2, 3.6, 1]) / 3, atol=1e-8)
    nothing = NormClipping().aggregate(BASE, updates_of([0, 0, 0], [0, 0, 0], [64, 0, 0]))
    assert np.array_equal(nothing, BASE)


def test_trust_follows_the_yardstick():
    along, across, against = [4, 0, 0], [0, 7, 0], [-9, 0, 0]
    rule = FLTrust()
    found = rule.aggregate(BASE, updates_of([1, 0, 0], along, across, against, root=0))
    assert np.allclose(found, [1, 0, 0], atol=1e-8)
    tilted = rule.aggregate(BASE, updates_of([1, 0, 0], [1, 1, 0], root=0))
    weight = 0.5**0.5 / (1 + 0.5**0.5)
    assert np.allclose(tilted, [1 - weight + weight * 0.5**0.5, weight * 0.5**0.5, 0], atol=1e-8)
    assert np.array_equal(rule.aggregate(BASE, updates_of([0, 0, 0], along, root=0)), BASE)


def test_without_its_yardstick_trust_is_the_median_and_two_are_refused():
    changes = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
    updates = updates_of(*changes)
    assert np.array_equal(FLTrust().aggregate(BASE, updates), Median().aggregate(BASE, updates))
    with pytest.raises(BadInput, match="yardstick"):
        FLTrust().aggregate(BASE, [Update(change, 1, root=True) for change in changes])


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "median:1",
        "trimmed_mean:0.5",
        "trimmed_mean:-0.1",
        "trimmed_mean:nan",
        "multi_krum:1.5",
        "multi_krum:-1",
        "multi_krum:inf",
        "norm_clipping:-1",
        "norm_clipping:inf",
        "trimmed_mean:much",
    ],
)
def test_names_and_numbers_that_are_no_rule_are_refused(name):
    with pytest.raises(BadInput):
        rule_named(name)


@pytest.mark.parametrize("name", sorted(set(AGGREGATIONS) - {"union"}))
def test_what_is_no_update_of_the_model_is_refused_by_all(name):
    bad = [[], updates_of([1, 2]), updates_of([1, 2, np.nan]), updates_of([0, 0, 65])]
    for updates in [*bad, [Update(BASE, 0)], updates_of(*[BASE] * (MAXIMUM_UPDATES + 1))]:
        with pytest.raises(BadInput):
            rule_named(name).aggregate(BASE, updates)


def test_a_recipe_of_trust_names_its_yardstick():
    with pytest.raises(BadInput, match="yardstick"):
        recipe(aggregation="fltrust")
    assert recipe(aggregation="fltrust", root_owner=0).aggregation == "fltrust"


def bits(name):
    """Digest of what a rule makes of nine updates that no random generator is needed for."""
    mixed = np.arange(9 * 1_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)
    changes = (mixed.astype(np.float32) / np.float32(2**24) - np.float32(0.5)).reshape(9, 1_000)
    made = rule_named(name).aggregate(changes[0], updates_of(*changes, root=4))
    return hashlib.sha256(made.astype("<f4").tobytes()).hexdigest()[:16]


GOLDEN = {
    "median": "0a567ab3679a5679",
    "trimmed_mean:0.2": "9e9ea75db9a5ba47",
    "multi_krum:1": "b886b4ba876dabfa",
    "norm_clipping": "4d975b5e98cb5870",
    "norm_clipping:0.5": "f34e4fdce70e334d",
    "fltrust": "48f8b42b50ced885",
    "weighted_mean": "b1457909a49439f2",
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_bits_are_the_same_on_every_machine(name):
    assert bits(name) == GOLDEN[name]
