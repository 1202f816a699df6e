# SPDX-License-Identifier: Apache-2.0
"""The graph network is judged without seeing a later graph, and beside itself without one."""

import numpy as np
import pytest

from koinon.watch.graph import Edges
from koinon.watch.graph.windows import DAY_S
from koinon.watch.laundering.neighbours import KINDS, compare, days, learn, score
from koinon.watch.laundering.planted import plant

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def planted():
    return plant(accounts=300, honest=1_500, patterns=32, days=15, seed=6)


def test_a_day_is_judged_on_the_graph_before_it_began(planted):
    edges = planted.edges
    for day in days(edges):
        begin = int(edges.timestamp[day.rows.start]) // DAY_S * DAY_S
        week = (edges.timestamp < begin) & (edges.timestamp >= begin - 7 * DAY_S)
        known = set(zip(edges.source[week].tolist(), edges.target[week].tolist(), strict=True))
        half = day.pairs.shape[1] // 2
        assert set(zip(*day.pairs[:, :half].tolist(), strict=True)) == known


def test_later_transfers_change_no_score(planted):
    edges = planted.edges
    every = days(edges)
    weights = learn(every[:6], edges, planted.illicit, "neighbours", epochs=2)
    cut = every[8].rows.stop
    part = Edges(
        np.append(edges.source[:cut], edges.source[-1]),
        np.append(edges.target[:cut], edges.target.max()),
        np.append(edges.timestamp[:cut], edges.timestamp[-1]),
        np.append(edges.amount[:cut], 1.0),
    )
    again = days(part)[8]
    np.testing.assert_allclose(
        score(weights, again, part, "neighbours"), score(weights, every[8], edges, "neighbours"), rtol=1e-4
    )


def test_it_stands_beside_itself_without_and_with_wrong_neighbours(planted):
    found = compare(planted.edges, planted.illicit, planted.pattern)
    assert tuple(found) == KINDS
    for measured in found.values():
        assert 0 < measured.low <= measured.value <= measured.high <= 1
