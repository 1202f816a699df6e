# SPDX-License-Identifier: Apache-2.0
"""Copies of real models are recognised where they hesitate, and models taught anew are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from koinon.errors import BadInput
from koinon.works.fingerprints.behaviour import (
    NEAR,
    PROBES,
    Array,
    Probes,
    distance,
    follow_the_rule,
    make_probes,
)
from tests.works.fingerprints.taught import answers, noisy, renumbered, rows_of, taught, taught_on

SEED = bytes(range(32))


@pytest.fixture(scope="module")
def original() -> Any:
    return taught("wine", 0)


@pytest.fixture(scope="module")
def probes(original: Any) -> Probes:
    return make_probes(answers(original), np.zeros(13), np.ones(13), SEED)


def test_a_copy_is_near_and_stays_near(original: Any, probes: Probes) -> None:
    copies = [
        original,
        renumbered(original, 1),
        noisy(original, 0.02, 1),
        taught_on(original, "wine", 1, rounds=3),
    ]
    assert [distance(probes, answers(each)) <= NEAR for each in copies] == [True] * 4


def test_models_taught_anew_are_far(probes: Probes) -> None:
    rows, labels = rows_of("wine")
    others = [taught("wine", seed, width=width) for seed, width in ((1, 16), (2, 16), (3, 32))]
    others.append(LogisticRegression(max_iter=300).fit(rows, labels))
    assert min(distance(probes, answers(each)) for each in others) > NEAR


def test_a_file_of_probes_is_read_as_it_was_written(original: Any, probes: Probes) -> None:
    read = Probes.from_bytes(probes.to_bytes())
    assert read.digest == probes.digest
    assert follow_the_rule(read, answers(original))


def test_probes_that_somebody_picked_do_not_follow_the_rule(original: Any, probes: Probes) -> None:
    other = taught("wine", 9)
    easy = np.full((PROBES, 13), 30.0) + np.arange(float(PROBES))[:, None]
    picked = replace(probes, inputs=easy, answers=answers(original)(easy))
    assert not follow_the_rule(picked, answers(original)), "all models agree there"
    assert not follow_the_rule(probes, answers(other)), "another model's probes"
    assert not follow_the_rule(replace(probes, seed=bytes(32)), answers(original))
    twice = replace(probes, inputs=np.repeat(probes.inputs[:1], PROBES, axis=0))
    assert not follow_the_rule(twice, answers(original))


def test_numbers_that_are_no_probabilities_are_measured_in_their_own_spread() -> None:
    weights = np.random.default_rng(3).standard_normal((5, 1)) * 1e6

    def linear(rows: Array) -> Array:
        return rows @ weights

    def close(rows: Array) -> Array:
        return rows @ weights * 1.01

    def another(rows: Array) -> Array:
        return rows @ weights[::-1]

    made = make_probes(linear, np.zeros(5), np.ones(5), SEED)
    assert follow_the_rule(made, linear)
    assert distance(made, close) <= NEAR < distance(made, another)


def _flat(rows: Array) -> Array:
    return np.full((len(rows), 2), 0.5)


def _nan(rows: Array) -> Array:
    return np.full((len(rows), 2), np.nan)


def _short(rows: Array) -> Array:
    return np.zeros((1, 2))


@pytest.mark.parametrize("model", [_flat, _nan, _short])
def test_a_model_that_tells_nothing_has_no_probes(model: Any, probes: Probes) -> None:
    with pytest.raises(BadInput) as refused:
        make_probes(model, np.zeros(13), np.ones(13), SEED)
    assert refused.value.code == "works.probes"
    assert distance(probes, model) > NEAR


@pytest.mark.parametrize(
    ("center", "scale", "seed"),
    [
        (np.zeros(0), np.ones(0), SEED),
        (np.zeros(13), np.zeros(13), SEED),
        (np.zeros(13), np.ones(12), SEED),
        (np.full(13, np.inf), np.ones(13), SEED),
        (np.zeros(13), np.ones(13), b"short"),
        (np.zeros(5_000), np.ones(5_000), SEED),
    ],
)
def test_what_is_no_region_is_refused(original: Any, center: Array, scale: Array, seed: bytes) -> None:
    with pytest.raises(BadInput):
        make_probes(answers(original), center, scale, seed)


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 100])
def test_a_file_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        Probes.from_bytes(content)


def test_a_file_with_parts_that_do_not_fit_is_refused(probes: Probes) -> None:
    for wrong in (
        replace(probes, inputs=probes.inputs[:5]),
        replace(probes, answers=probes.answers[:5]),
        replace(probes, seed=b"short"),
        replace(probes, scale=np.full(13, np.nan)),
    ):
        with pytest.raises(BadInput):
            Probes.from_bytes(wrong.to_bytes())
