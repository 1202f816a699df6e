# SPDX-License-Identifier: Apache-2.0
"""Decisions teach the watch, and cannot teach it to look away."""

import numpy as np
import pytest

from koinon.watch.laundering.feedback import WEIGHT, retrain, with_decisions
from koinon.watch.laundering.model import learn
from koinon.watch.laundering.planted import plant
from koinon.watch.laundering.table import Table


@pytest.fixture(scope="module")
def planted():
    return plant(accounts=600, honest=3_000, patterns=64, days=20, seed=5)


@pytest.fixture(scope="module")
def table(planted):
    return Table.of(planted.edges)


@pytest.fixture(scope="module")
def champion(table, planted):
    return learn(table, planted.illicit)[0]


def said(planted, rows, bad, who):
    return [({k: v for k, v in edge.items() if k != "row"}, bad, who) for edge in planted.edges.rows(rows)]


def test_honest_decisions_are_learned_from(table, planted, champion):
    rows = np.flatnonzero(planted.illicit[:2_000])[:60]
    found = retrain(table, planted.illicit, said(planted, rows, True, "one"), champion, draws=20)
    assert found.accepted
    assert found.used == 60
    assert found.model.digest != champion.digest
    assert found.document()["champion"]["value"] == round(found.champion.value, 4)


def test_whoever_clears_everything_does_not_get_the_champion_replaced(table, planted, champion):
    split = int(0.8 * len(planted.edges))
    guilty = np.flatnonzero(planted.illicit[:split])
    innocent = np.flatnonzero(~planted.illicit[:split])[: guilty.size]
    votes = said(planted, guilty[3:-3], False, "mallet") + said(planted, innocent, True, "mallet")
    found = retrain(table, planted.illicit, votes, champion, draws=20)
    assert not found.accepted
    assert found.model is champion
    assert "worse" in found.why


def test_where_two_disagree_nobody_is_believed_and_no_one_weighs_more_than_half(table, planted):
    rows = list(range(10))
    votes = (
        said(planted, rows, True, "one") + said(planted, [0], False, "two") + said(planted, [20], True, "two")
    )
    labels, weights, used, outvoted = with_decisions(table, planted.illicit, votes)
    assert labels[0] == planted.illicit[0]
    assert labels[1:10].all()
    assert (used, outvoted) == (10, 9)
    assert weights[20] == WEIGHT
    assert weights[1:10].sum() == pytest.approx(WEIGHT * 5)
    assert weights[0] == weights[30] == 1


def test_decisions_on_other_transfers_are_left_out(table, planted):
    stranger = {"source": "0x1", "target": "0x2", "timestamp": 1, "amount": 1.0}
    labels, weights, used, _ = with_decisions(table, planted.illicit, [(stranger, True, "one")])
    assert used == 0
    assert (weights == 1).all()
    np.testing.assert_array_equal(labels, planted.illicit)
