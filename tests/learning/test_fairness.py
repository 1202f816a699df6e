# SPDX-License-Identifier: Apache-2.0
"""Groups are told apart as the recipe says, gaps have honest intervals, and drift is seen where it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.learning import metrics, simulation
from koinon.learning.drift import LARGE, NOTABLE, Population, directions, owner_drifts, stability_index
from koinon.learning.fairness import Fairness
from koinon.learning.groups import compare_groups
from koinon.learning.privacy.plan import Privacy
from koinon.learning.recipe import Recipe
from koinon.tables import Table
from tests.learning.support import COLUMNS, SCALING, recipe, table

BY_AGE = Fairness(group="age", edges=(35, 50), names=("young", "middle", "old"))


def compared(chosen, merits, groups, fairness=BY_AGE):
    """A report on rows of which these are given class 0, and these merit it."""
    probabilities = np.where(chosen, 0.1, 0.9)
    return compare_groups(fairness, "pays", groups, np.where(merits, 0, 1), probabilities)


def test_rows_fall_into_the_groups_that_the_recipe_declares():
    rows = Table(
        np.array([[20, 1, 1], [35, 1, 1], [49, 1, 1], [50, 1, 1]], np.float32), np.zeros(4, int), COLUMNS
    )
    assert BY_AGE.groups_of(rows).tolist() == [0, 1, 1, 2]
    coded = Fairness(group="late", edges=(2,))
    assert coded.names == ("under 2", "2 and above")
    assert Fairness(group="age", edges=(30, 45)).names == ("under 30", "30 to under 45", "45 and above")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"group": "sex"}, "no column"),
        ({"edges": ()}, "groups"),
        ({"edges": (50, 35)}, "rise"),
        ({"edges": (35, float("nan"))}, "rise"),
        ({"names": ("a", "b")}, "one name"),
        ({"names": ("a", "b", "a")}, "different"),
        ({"favourable": 2}, "class 2"),
        ({"selected": 1.0}, "part"),
        ({"own_rows": 0.6}, "half"),
        ({"told": "everything"}, "told"),
        ({"told": "gain"}, "own rows"),
        ({"least": 1}, "least"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused(changes, reason):
    with pytest.raises(BadInput, match=reason):
        recipe(fairness=replace(BY_AGE, **changes))


def test_a_recipe_that_promises_noise_asks_owners_for_no_findings_without():
    noisy = Privacy(noise="local", clip_norm=1.0, noise_multiplier=1.0)
    for asks in ({"own_rows": 0.2, "told": "gain"}, {"populations": True}):
        with pytest.raises(BadInput, match="have none"):
            recipe(privacy=noisy, aggregation="mean", contribution="equal", fairness=Fairness(**asks))
    kept = Fairness(own_rows=0.2)  # found out, and told to nobody
    assert recipe(privacy=noisy, aggregation="mean", contribution="equal", fairness=kept).fairness == kept


def test_a_recipe_keeps_its_declaration_through_json_and_toml():
    found = recipe(fairness=replace(BY_AGE, own_rows=0.25, told="gain"))
    assert Recipe.from_json(found.to_json()) == found
    assert Recipe.from_json(found.to_json()).digest == found.digest != recipe().digest
    read = Recipe.from_toml(
        'name = "A"\ncolumns = ["age"]\nlabel = "b"\n[fairness]\ngroup = "age"\nedges = [30]\nown_rows = 0.2'
    )
    assert (read.fairness.names, read.fairness.told) == (("under 30", "30 and above"), "nothing")
    for wrong in ('[fairness]\ncolour = "red"', "[fairness]\nedges = [true, {}]", "fairness = 3"):
        with pytest.raises(BadInput):
            Recipe.from_toml('name = "A"\ncolumns = ["age"]\nlabel = "b"\n' + wrong)


def test_the_gap_between_rates_has_the_published_interval():
    """Newcombe 1998, table II, method 10: 56 of 70 against 48 of 80 is 0.2, 0.0524 to 0.3339."""
    groups = np.repeat([0, 1], [70, 80])
    chosen = np.concatenate([np.arange(70) < 56, np.arange(80) < 48])
    found = compared(chosen, chosen, groups, Fairness(group="age", edges=(50,), names=("a", "b")))
    gap = found.gap("selected")
    assert (gap.most, gap.least, gap.certain) == ("a", "b", True)
    assert np.allclose(
        (gap.difference.value, gap.difference.low, gap.difference.high), (0.2, 0.0524, 0.3339), atol=1e-4
    )


def test_equal_opportunity_looks_only_at_those_who_merit_it():
    groups, random = np.repeat([0, 1, 2], 400), np.random.default_rng(1)
    merits = random.random(1200) < np.repeat([0.9, 0.6, 0.3], 400)
    found = compared(merits, merits, groups)  # a perfect model: rates differ, opportunities do not
    assert found.gap("selected").certain
    assert found.gap("opportunity").difference.value == 0
    assert not found.gap("opportunity").certain
    unfair = compared(merits & ((groups != 2) | (random.random(1200) < 0.5)), merits, groups)
    assert (unfair.gap("opportunity").least, unfair.gap("opportunity").certain) == ("old", True)


def test_chance_alone_makes_a_gap_certain_once_in_twenty():
    random, groups = np.random.default_rng(3), np.repeat([0, 1, 2], 100)
    certain = 0
    for _ in range(400):
        chosen = random.random(300) < 0.7
        certain += compared(chosen, chosen, groups).gap("selected").certain
    assert certain <= 20 + 3 * 19**0.5  # three standard deviations of a count of 400 at 1 in 20


def test_small_groups_and_groups_of_one_class_are_not_measured():
    groups = np.repeat([0, 1, 2], [100, 19, 100])
    merits = np.arange(219) % 2 == 0
    merits[groups == 2] = True
    found = compared(merits, merits, groups)
    young, middle, old = found.groups
    assert (middle.rows, middle.selected, middle.opportunity, middle.score) == (19, None, None, None)
    assert old.score is None  # everybody in it merits it: no order to measure
    assert old.selected.value == 1
    assert young.score.value == 1
    assert found.gap("score") is None


def test_a_part_of_all_rows_may_be_selected_by_score():
    fairness = replace(BY_AGE, selected=0.8)
    probabilities = np.linspace(0, 1, 10)
    assert fairness.chosen(probabilities).tolist() == [True] * 8 + [False] * 2
    assert replace(fairness, favourable=1).chosen(probabilities).tolist() == [False] * 2 + [True] * 8
    several = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])
    assert Fairness(favourable=1).chosen(several).tolist() == [True, False]


def test_the_quick_interval_agrees_with_the_bootstrap():
    random = np.random.default_rng(1)
    labels = (random.random(800) < 0.3).astype(np.int64)
    scores = random.normal(labels * 0.8, 1)
    quick, slow = metrics.quick_interval(labels, scores), metrics.bootstrap(labels, scores)
    assert quick.value == slow.value
    assert abs((quick.high - quick.low) / (slow.high - slow.low) - 1) < 0.25


def test_a_stability_index_is_nothing_for_the_same_and_large_for_another():
    assert stability_index([10, 10], [5, 5]) == 0
    assert stability_index([10, 10], [12, 8]) < NOTABLE
    assert stability_index([10, 10], [19, 1]) > LARGE
    assert stability_index([20, 0], [0, 20]) < 10


def test_the_owner_whose_rows_differ_is_the_one_that_is_seen():
    found = recipe(fairness=Fairness(populations=True))
    tables = [table(300, seed) for seed in range(4)]
    older = tables[3].features.copy()
    older[:, 0] += 30
    tables[3] = Table(older, 1 - tables[3].labels, COLUMNS)
    told = {index: Population.of(found, one, SCALING) for index, one in enumerate(tables)}
    trained = simulation.train_together(found, tables)
    drifts = owner_drifts(found, told, dict.fromkeys(range(4), 300), trained.rounds)
    labels, shifts, ways = (
        np.array([getattr(one, name) for one in drifts], dtype=float)
        for name in ("labels", "shift", "direction")
    )
    assert drifts[3].column == "age"
    assert min(labels[3], shifts[3]) > LARGE
    assert (3 * labels[:3] < labels[3]).all()
    assert (3 * shifts[:3] < shifts[3]).all()
    assert ways[3] < ways[:3].min()
    assert [number for number, _ in drifts[0].directions] == [1, 2, 3]
    assert sum(told[0].labels) == 20
    assert Population.from_dict({"labels": told[0].labels, "columns": told[0].columns}, found) == told[0]
    untold = owner_drifts(found, {}, dict.fromkeys(range(4), 300), [])
    assert [(one.labels, one.shift, one.direction) for one in untold] == [(None, None, None)] * 4


def test_owners_with_the_same_rows_go_the_same_way():
    found = recipe()
    tables = [table(60, 1), table(60, 1)]
    (first, *_) = simulation.train_together(found, tables).rounds
    assert directions(found, [first])[0][0][1] > 0.9
