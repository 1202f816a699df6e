# SPDX-License-Identifier: Apache-2.0
"""Components, PageRank and cores, against networkx."""

import networkx
import numpy as np
import pytest

from koinon.watch.graph import Edges
from koinon.watch.graph.structure import circles, components, core_numbers, pagerank


@pytest.fixture(scope="module")
def edges():
    random = np.random.default_rng(3)
    source, target = random.integers(0, 120, 160), random.integers(0, 120, 160)
    return Edges.of(source, target, np.arange(160), random.lognormal(2, 1, 160))


def graph_of(edges, weights):
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(edges.accounts))
    for source, target, weight in zip(edges.source.tolist(), edges.target.tolist(), weights, strict=True):
        before = graph.get_edge_data(source, target, {"weight": 0.0})["weight"]
        graph.add_edge(source, target, weight=before + weight)
    return graph


def sets_of(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def test_components_and_circles_are_those_of_networkx(edges):
    graph = graph_of(edges, np.ones(len(edges)))
    assert sets_of(components(edges)) == set(map(frozenset, networkx.weakly_connected_components(graph)))
    assert sets_of(circles(edges)) == set(map(frozenset, networkx.strongly_connected_components(graph)))


@pytest.mark.parametrize("by_amount", [False, True])
def test_pagerank_is_that_of_networkx(edges, by_amount):
    weights = edges.amount if by_amount else np.ones(len(edges))
    wanted = networkx.pagerank(graph_of(edges, weights), tol=1e-12, max_iter=500)
    found = pagerank(edges, by_amount=by_amount)
    np.testing.assert_allclose(found, [wanted[each] for each in range(edges.accounts)], atol=1e-9)
    assert found.sum() == pytest.approx(1)


def test_core_numbers_are_those_of_networkx(edges):
    graph = graph_of(edges, np.ones(len(edges))).to_undirected()
    graph.remove_edges_from(networkx.selfloop_edges(graph))
    wanted = networkx.core_number(graph)
    assert core_numbers(edges).tolist() == [wanted[each] for each in range(edges.accounts)]


def test_nothing_has_no_shape():
    nothing = Edges.of([], [], [], [])
    assert pagerank(nothing).size == components(nothing).size == core_numbers(nothing).size == 0
