# SPDX-License-Identifier: Apache-2.0
"""Listed money is followed to the unit: nothing appears and nothing is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput
from koinon.watch.graph import Edges
from koinon.watch.laundering.taint import METHODS, follow

PAYMENTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 10**24)), min_size=1, max_size=40
)


def edges_of(payments):
    return Edges.of(
        [p[0] for p in payments], [p[1] for p in payments], range(len(payments)), [1.0] * len(payments)
    )


@pytest.mark.parametrize("method", METHODS)
@given(payments=PAYMENTS, sources=st.sets(st.integers(0, 5), max_size=2))
@settings(max_examples=60, deadline=None)
def test_what_left_the_sources_is_what_everyone_holds(method, payments, sources):
    found = follow(edges_of(payments), sources, method=method, amounts=[p[2] for p in payments])
    assert sum(found.held.values()) == found.released
    for account, balance in found.balance.items():
        assert 0 <= found.held.get(account, 0) <= balance
    for part, payment in zip(found.moved, payments, strict=True):
        assert 0 <= part <= payment[2]


def test_by_haircut_every_payment_carries_the_mixture():
    edges = Edges.of([0, 1, 2], [2, 2, 3], [1, 2, 3], [30, 70, 50])
    found = follow(edges, [0], amounts=[30, 70, 50])
    assert list(found.moved) == [30, 0, 15]
    assert found.share(3) == pytest.approx(0.3)
    assert found.share(9) == 0


def test_first_in_is_first_out():
    edges = Edges.of([0, 1, 2, 2], [2, 2, 3, 4], [1, 2, 3, 4], [30, 70, 50, 50])
    found = follow(edges, [0], method="fifo", amounts=[30, 70, 50, 50])
    assert list(found.moved) == [30, 0, 30, 0]
    assert dict(found.held) == {3: 30}


def test_what_was_there_before_the_table_is_clean():
    edges = Edges.of([0, 2], [2, 3], [1, 2], [1, 10])
    for method in METHODS:
        found = follow(edges, [0], method=method)
        assert found.held == {3: 10**6}
        assert found.share(3) == pytest.approx(0.1)


def test_money_that_goes_round_through_a_source_is_counted_once():
    edges = Edges.of([0, 1, 0], [1, 0, 2], [1, 2, 3], [10, 10, 10])
    found = follow(edges, [0], amounts=[10, 10, 10])
    assert found.released == 10
    assert dict(found.held) == {2: 10}


def test_other_methods_and_amounts_are_refused():
    edges = Edges.of([0], [1], [1], [1])
    with pytest.raises(BadInput):
        follow(edges, [0], method="lifo")
    with pytest.raises(BadInput):
        follow(edges, [0], amounts=[1, 2])
    with pytest.raises(BadInput):
        follow(edges, [0], amounts=[-1])
    assert follow(Edges.of([], [], [], []), [0]).released == 0
    assert np.allclose(follow(edges, [0]).moved, 10**6)
