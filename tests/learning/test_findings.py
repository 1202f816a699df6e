# SPDX-License-Identifier: Apache-2.0
"""A run tells its errors, its groups, who gains and who differs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import orjson
import pytest
from sklearn.metrics import auc, confusion_matrix, roc_curve

from koinon.chain.keys import Key
from koinon.errors import BadInput
from koinon.estimates import Estimate
from koinon.learning import metrics
from koinon.learning.api import Learning, model_card
from koinon.learning.fairness import Fairness
from koinon.learning.findings import Findings, in_words
from koinon.learning.gains import Gain, set_aside
from koinon.learning.groups import Gap, GroupReport
from koinon.learning.splits import Split
from tests.learning.support import recipe, table

GROUPS = Fairness(group="age", edges=(45,), names=("younger", "older"))
RECIPE = recipe(fairness=replace(GROUPS, own_rows=0.25, told="scores", populations=True))
SPLIT = Split((table(120, 0), table(100, 1), table(40, 2)), table(300, 8), table(400, 9))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """(folder, outcome, learning) of three owners' processes, in their second run.

    The third has too few rows of its own to measure on.
    """
    folder = tmp_path_factory.mktemp("learning")
    learning = Learning(folder, Key.generate())
    learning.run(recipe(rounds=1), SPLIT)
    return folder, learning.run(RECIPE, SPLIT), learning


@pytest.mark.e2e
def test_an_outcome_tells_groups_round_by_round_and_who_gains(ran):
    _, outcome, learning = ran
    found = outcome.findings
    assert [owner.rows for owner in outcome.owners] == [
        len(set_aside(RECIPE, one)[0]) for one in SPLIT.owners
    ]
    assert [number for number, _ in found.trail] == [1, 2, 3]
    assert found.trail[-1][1] == found.groups
    assert sum(group.rows for group in found.groups.groups) == 400
    assert [gain is None for gain in found.gains] == [False, False, True]
    assert [number for number, _ in found.gains[0].trail] == [1, 2, 3]
    assert all(one.labels is not None and len(one.directions) == 3 for one in found.drifts)
    assert found.curve[0] == (0, 0)
    assert found.curve[-1] == (1, 1)
    area = float(np.trapezoid([y for _, y in found.curve], [x for x, _ in found.curve]))
    assert area == pytest.approx(outcome.together.value, abs=0.01)
    assert json.loads(json.dumps(outcome.to_dict()))["findings"]["groups"]["column"] == "age"
    assert learning.pooled(outcome, SPLIT).score > 0.5


@pytest.mark.e2e
def test_an_owner_keeps_what_it_found_out_in_its_own_folder(ran):
    folder, outcome, _ = ran
    kept = orjson.loads((folder / "owners" / "1" / "own_report.json").read_bytes())
    assert kept["gain"]["difference"]["value"] == outcome.findings.gains[0].difference.value
    alone = orjson.loads((folder / "owners" / "3" / "own_report.json").read_bytes())
    assert alone["gain"] is None
    assert '"event":"moved"' in (folder / "owners" / "1" / "owner.log").read_text()


@pytest.mark.e2e
def test_a_model_s_card_says_how_groups_fare_and_who_gains(ran):
    limits = " ".join(model_card(ran[1]).limits)
    assert "By age: " in limits
    assert "of 2 owners who told gain by it" in limits


def test_a_card_names_only_gaps_that_are_more_than_chance():
    def report(low):
        gap = Gap("selected", Estimate(0.1, low, 0.2), "older", "younger")
        return GroupReport("age", "pays", (), (gap,))

    (sentence,) = in_words(Findings(groups=report(0.05)), "AUC")
    assert sentence == "By age: 'older' is given 'pays' more often than 'younger', by 0.100 (0.050 to 0.200)."
    assert in_words(Findings(groups=report(-0.05)), "AUC") == (
        "By age: no gap between groups is more than chance explains.",
    )
    losing = Gain(Estimate(-0.1, -0.2, -0.05))
    (sentence,) = in_words(Findings(gains=(losing, None)), "AUC")
    assert "0 of 1 owners who told gain by it, 1 lose" in sentence
    assert in_words(Findings(), "AUC") == ()


def test_curves_and_confusions_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    labels = (random.random(5_000) < 0.3).astype(np.int64)
    scores = np.round(random.normal(labels, 1), 1)  # with ties
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert np.allclose(metrics.roc_curve(labels, scores, points=10_000), np.stack([false, true], axis=1))
    few = np.array(metrics.roc_curve(labels, random.normal(labels, 1), points=50))
    assert len(few) == 50
    assert (np.diff(few, axis=0) >= 0).all()
    assert auc(few[:, 0], few[:, 1]) == pytest.approx(0.76, abs=0.02)
    classes, answers = random.integers(0, 4, 500), random.random((500, 4))
    expected = confusion_matrix(classes, answers.argmax(axis=1), labels=range(5))
    answers = np.hstack([answers, np.zeros((500, 1))])
    assert np.array_equal(metrics.confusion(classes, answers, 5), expected)
    with pytest.raises(BadInput):
        metrics.roc_curve(np.ones(5, np.int64), np.ones(5))
