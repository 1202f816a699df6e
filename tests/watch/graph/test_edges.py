# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.watch.graph import Edges


def test_edges_are_sorted_by_time_and_keep_the_order_of_a_second():
    edges = Edges.of(["c", "a", "a"], ["d", "b", "c"], [20, 10, 10], [3, 1, 2])
    assert edges.names == ["a", "b", "c", "d"]
    assert edges.timestamp.tolist() == [10, 10, 20]
    assert edges.amount.tolist() == [1, 2, 3]
    assert [edges.name(each) for each in edges.target.tolist()] == ["b", "c", "d"]
    assert edges.number("d") == 3
    assert edges.number("nobody") is None


def test_rows_of_an_index_become_edges():
    rows = [
        {"from": "0xb", "to": "0xc", "timestamp": 9, "value": 2_500_000},
        {"source": "0xa", "target": "0xb", "timestamp": 3, "amount": 10**6},
    ]
    edges = Edges.of_rows(rows, decimals=6)
    assert edges.rows([0, 1]) == [
        {"row": 0, "source": "0xa", "target": "0xb", "timestamp": 3, "amount": 1.0},
        {"row": 1, "source": "0xb", "target": "0xc", "timestamp": 9, "amount": 2.5},
    ]
    with pytest.raises(BadInput, match="no transfer"):
        Edges.of_rows([{"from": "0xb", "timestamp": 9, "value": 1}])


def test_the_past_is_cut_at_a_moment():
    edges = Edges.of([0, 1, 2], [1, 2, 3], [10, 20, 30], [1, 1, 1])
    assert len(edges.until(20)) == 2
    assert len(edges.until(9)) == 0
    assert edges.accounts == 4


def test_moments_may_be_dates():
    days = np.array(["2026-01-02", "2026-01-01"], dtype="datetime64[D]")
    assert Edges.of([0, 1], [1, 2], days, [1, 2]).timestamp.tolist() == [1_767_225_600, 1_767_312_000]


@pytest.mark.parametrize(
    "columns",
    [
        ([0], [1, 2], [0], [1]),
        ([-1], [1], [0], [1]),
        ([0], [2**31], [0], [1]),
        ([0.5], [1], [0], [1]),
        ([0], [1], [0.5], [1]),
        ([0], [1], ["noon"], [1]),
        ([0], [1], [0], [-1]),
        ([0], [1], [0], [float("nan")]),
    ],
)
def test_what_is_no_edge_is_refused(columns):
    with pytest.raises(BadInput):
        Edges.of(*columns)


def test_edges_out_of_order_or_of_other_types_are_refused():
    good = Edges.of([0, 1], [1, 2], [1, 2], [1, 1])
    with pytest.raises(BadInput, match="order of time"):
        Edges(good.source, good.target, good.timestamp[::-1].copy(), good.amount)
    with pytest.raises(BadInput, match="int32"):
        Edges(good.source.astype(np.int64), good.target, good.timestamp, good.amount)
    with pytest.raises(BadInput, match="no name"):
        Edges(good.source, good.target, good.timestamp, good.amount, ["one"])
