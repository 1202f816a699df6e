# SPDX-License-Identifier: Apache-2.0
"""Decisions teach the watch, and cannot teach it to look away."""

import numpy as np
import pytest

from koinon.watch.laundering.feedback import MARGIN, WEIGHT, retrain, with_decisions
from koinon.watch.laundering.heldout import HeldOut
from koinon.watch.laundering.measuring import average_precision, difference
from koinon.watch.laundering.model import learn
from koinon.watch.laundering.planted import plant
from koinon.watch.laundering.table import AMOUNT_ONLY, Table, split_by_time


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


def test_honest_decisions_are_learned_from(table, planted):
    champion = learn(table, planted.illicit, columns=AMOUNT_ONLY)[0]
    rows = np.flatnonzero(planted.illicit[:2_000])[:60]
    found = retrain(table, planted.illicit, said(planted, rows, True, "one"), champion, draws=20)
    assert found.accepted
    assert found.gained.low > -MARGIN
    assert found.used == 60
    assert found.model.digest != champion.digest
    assert found.document()["champion"]["value"] == round(found.champion.value, 4)


def test_whoever_clears_everything_does_not_get_the_champion_replaced(table, planted, champion):
    split = int(0.8 * len(planted.edges))
    guilty = np.flatnonzero(planted.illicit[:split])
    innocent = np.flatnonzero(~planted.illicit[:split])[: guilty.size]
    most = guilty[np.arange(guilty.size) % 30 > 0]
    votes = said(planted, most, False, "mallet") + said(planted, innocent, True, "mallet")
    found = retrain(table, planted.illicit, votes, champion, draws=20)
    assert not found.accepted
    assert found.model is champion
    assert "worse" in found.why


def test_doubt_counts_against_the_newcomer(table, planted, champion):
    """Its value is beyond the margin, its interval is not: it may be worse, hence it is not taken."""
    rows = np.flatnonzero(planted.illicit[:2_000])[:60]
    votes = said(planted, rows, True, "one")
    free = retrain(table, planted.illicit, votes, champion, draws=20, margin=1.0)
    between = (free.gained.low + free.gained.value) / 2
    found = retrain(table, planted.illicit, votes, champion, draws=20, margin=-between)
    assert free.accepted
    assert found.gained.value > between > found.gained.low
    assert not found.accepted
    assert found.model is champion


def test_the_interval_widens_with_each_look_at_the_same_later_transfers(table, planted, champion, tmp_path):
    votes = said(planted, np.flatnonzero(planted.illicit[:2_000])[:60], True, "one")
    first, tenth = (
        retrain(table, planted.illicit, votes, champion, looks=looks, draws=100) for looks in (1, 10)
    )
    assert tenth.gained.low < first.gained.low
    assert "10 times" in tenth.why
    held = HeldOut(tmp_path)
    part = split_by_time(table.edges).measure
    assert [held.use(table.edges, part), held.use(table.edges, slice(part.start, part.stop - 9))] == [1, 2]
    assert held.use(table.edges, slice(0, 500)) == 1
    assert HeldOut(tmp_path).use(table.edges, part) == 3


def test_a_difference_is_drawn_of_whole_clusters_and_both_in_each_draw(planted):
    random = np.random.default_rng(0)
    labels = np.arange(400) < 40
    scores = labels + random.normal(0, 1, 400)
    same = difference(average_precision, labels, scores, scores, np.full(400, -1, dtype=np.int32))
    assert (same.value, same.low, same.high) == (0, 0, 0)
    other = scores + np.repeat(random.normal(0, 1, 40), 10)
    alone = difference(average_precision, labels, scores, other, np.full(400, -1, dtype=np.int32))
    whole = difference(average_precision, labels, scores, other, (np.arange(400) // 10).astype(np.int32))
    assert whole.high - whole.low > alone.high - alone.low


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
