# SPDX-License-Identifier: Apache-2.0
"""Attacks do what their papers say, and a robust rule stands where the mean falls."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import robustness
from koinon.errors import BadInput
from koinon.learning import metrics, simulation
from koinon.learning.aggregation import MAXIMUM_CHANGE, Update
from koinon.learning.attacks import (
    ALittleIsEnough,
    Attack,
    BackDoor,
    FreeRider,
    Gaussian,
    LabelFlip,
    Outcome,
    Scaling,
    Sign,
    View,
    attacked,
    outcome,
    report,
)
from tests.learning.support import recipe, table

OWN = [np.array([1.0, 2, -1], np.float32), np.array([3.0, 2, 1], np.float32)]
ATTACKS = [
    Attack(),
    LabelFlip(2),
    Sign(),
    Scaling(),
    Gaussian(),
    ALittleIsEnough(),
    ALittleIsEnough(0),
    BackDoor((0,), 99.0),
    FreeRider(),
]


def view(changes=OWN, *, base=(0, 0, 0), previous=(0, 0, 0), owners=5, seed=1):
    updates = [Update(change, 10) for change in changes]
    common, before = np.array(base, np.float32), np.array(previous, np.float32)
    return View(updates, common, before, owners, np.random.default_rng(seed))


def test_signs_lengths_and_noise_are_as_said():
    assert np.array_equal(Sign(4).forge(view())[0], -4 * OWN[0])
    assert np.array_equal(Scaling(10).forge(view())[1], 10 * OWN[1])
    noise = Gaussian(5).forge(view())
    assert np.linalg.norm(noise[0]) == pytest.approx(5 * np.linalg.norm(OWN[0]), rel=1e-5)
    assert not np.array_equal(noise[0], noise[1])
    assert np.array_equal(noise[0], Gaussian(5).forge(view())[0])
    assert np.array_equal(Attack().forge(view())[0], OWN[0])


def test_what_is_sent_passes_for_an_update():
    sent = Scaling(1e6).forge(view())[0]
    assert np.abs(sent).max() == MAXIMUM_CHANGE


def test_a_little_is_sent_by_all_alike():
    one, other = ALittleIsEnough(1.5).forge(view())
    assert np.array_equal(one, other)
    assert np.allclose(one, [2 - 1.5, 2, 0 - 1.5])
    # 20 owners, 6 malicious: 5 honest ones must lie further out, z = inverse normal of 9/14
    unnoticed = ALittleIsEnough(0).forge(view([*OWN, *OWN, *OWN], owners=20))[0]
    assert np.allclose(unnoticed, [2 - 0.3661, 2, -0.3661], atol=1e-3)


def test_a_free_rider_repeats_the_last_step():
    sent = FreeRider(0.0).forge(view(base=(1, 1, 0), previous=(0.5, 1, 0)))
    assert np.allclose(sent, [[0.5, 0, 0]] * 2)
    first = FreeRider(1.0).forge(view(base=(3, 4, 0), previous=(3, 4, 0)))[0]
    assert np.linalg.norm(first) == pytest.approx(0.5, rel=1e-5)


def test_flipped_labels_and_triggers():
    own = table(50, 1)
    random = np.random.default_rng(1)
    flipped = LabelFlip(2).poison(own, random)
    assert np.array_equal(flipped.labels, 1 - own.labels)
    door = BackDoor((0, 2), 99.0, target=1, part=0.5)
    poisoned = door.poison(own, random)
    marked = (poisoned.features[:, [0, 2]] == 99).all(axis=1)
    assert 10 < marked.sum() < 40
    assert (poisoned.labels[marked] == 1).all()
    assert np.array_equal(poisoned.features[~marked], own.features[~marked])
    assert np.array_equal(door.triggered(own).labels, np.zeros((own.labels == 0).sum()))
    assert np.array_equal(door.forge(view())[0], OWN[0] * np.float32(2.5))
    assert door.success(np.array([1, 1, 0, 1])) == 0.75
    with pytest.raises(BadInput):
        door.success(np.array([], dtype=np.int64))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: type(attack).__name__)
def test_every_attack_plays_and_plays_again_the_same(attack):
    tables = [table(40, index) for index in range(5)]
    first, again = (attacked(recipe(), tables, [1, 3], attack, seed=2) for _ in range(2))
    assert np.array_equal(first.vector, again.vector)
    assert np.isfinite(first.vector).all()
    found = outcome(recipe(), first, attack, table(200, 9))
    assert 0 <= found.accuracy <= 1
    assert (found.back_door is None) == (not isinstance(attack, BackDoor))


def test_without_malicious_owners_it_is_the_ordinary_run():
    tables = [table(40, index) for index in range(3)]
    plain = simulation.train_together(recipe(), tables)
    assert np.array_equal(attacked(recipe(), tables, [], Sign(), seed=1).vector, plain.vector)


@pytest.mark.parametrize("rule", ["median", "trimmed_mean:0.3", "multi_krum:2", "fltrust"])
def test_robust_rules_stand_where_the_mean_falls(rule):
    tables, held_out = [table(120, index) for index in range(7)], table(400, 99)

    def accuracy(name, malicious):
        found = recipe(aggregation=name, root_owner=0, rounds=12, learning_rate=0.02)
        played = attacked(found, tables, malicious, Sign(8), seed=1)
        return outcome(found, played, Sign(), held_out).accuracy

    honest, felled, stood = (
        accuracy("weighted_mean", []),
        accuracy("weighted_mean", [5, 6]),
        accuracy(rule, [5, 6]),
    )
    assert honest > 0.75
    assert felled < honest - 0.1
    assert stood > honest - 0.05


def test_a_report_sums_up_its_seeds():
    found = report([1, 2, 3], lambda seed: Outcome(seed / 4, seed / 10))
    assert (found.accuracy, found.least, found.seeds) == (0.5, 0.25, 3)
    assert found.back_door == pytest.approx(0.2)
    assert report([1], lambda seed: Outcome(0.5, None)).back_door is None


def test_a_cell_of_the_printed_table(monkeypatch):
    monkeypatch.setattr(robustness, "SEEDS", (1,))
    monkeypatch.setattr(robustness, "ROUNDS", 2)
    found = robustness.measured("dirichlet", "fltrust", robustness.ATTACKS["back-door"])
    assert metrics.chance(10) / 2 < found.accuracy <= 1
    assert robustness._cell(found).count("/") == 1
