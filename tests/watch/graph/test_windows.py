# SPDX-License-Identifier: Apache-2.0
"""What was known of both ends of a transfer when it happened, against the same counted by hand."""

import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.watch.graph import Edges, Stream, column_names, feature_chunks, window_features
from koinon.watch.graph.windows import State, label

WINDOWS_S = (60, 300, 3_600)


def random_edges(rows=600, accounts=25, seed=0, seconds=9_000):
    random = np.random.default_rng(seed)
    return Edges.of(
        random.integers(0, accounts, rows),
        random.integers(0, accounts, rows),
        random.integers(0, seconds, rows),
        random.lognormal(3, 2, rows).round(2),
    )


def counted(edges, row, windows_s=WINDOWS_S):
    """One row's columns, from their definition."""
    found = []
    for account in (edges.source[row], edges.target[row]):
        for window in windows_s:
            seen = np.arange(len(edges)) <= row
            seen &= edges.timestamp > edges.timestamp[row] - window
            for own, other in ((edges.source, edges.target), (edges.target, edges.source)):
                mine = seen & (own == account)
                found += [mine.sum(), edges.amount[mine].sum(), len(set(other[mine].tolist()))]
    return found


def test_every_column_is_what_its_definition_says():
    edges = random_edges()
    found = window_features(edges, WINDOWS_S)
    assert found.shape == (len(edges), len(column_names(WINDOWS_S)))
    wanted = [counted(edges, row) for row in range(len(edges))]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_later_edges_change_nothing_that_was_told_before():
    edges = random_edges()
    whole = window_features(edges, WINDOWS_S)
    for end in (1, 17, 300, 599):
        np.testing.assert_array_equal(window_features(edges.between(0, end), WINDOWS_S), whole[:end])


def test_a_row_of_the_same_second_that_comes_later_is_not_seen():
    edges = Edges.of([0, 0, 0], [1, 2, 3], [5, 5, 5], [1, 1, 1])
    out = column_names(WINDOWS_S).index("source_out_count_60s")
    assert window_features(edges, WINDOWS_S)[:, out].tolist() == [1, 2, 3]


def test_what_is_exactly_a_windows_length_old_has_left_it():
    edges = Edges.of([0, 0, 0], [1, 2, 3], [0, 59, 60], [1, 1, 1])
    out = column_names(WINDOWS_S).index("source_out_count_60s")
    assert window_features(edges, WINDOWS_S)[:, out].tolist() == [1, 2, 2]


@pytest.mark.parametrize("step", [1, 7, 250])
def test_a_stream_tells_the_same_to_the_last_bit(step):
    edges = random_edges()
    stream = Stream(WINDOWS_S)
    parts = [stream.append(edges.between(at, min(at + step, 600))) for at in range(0, 600, step)]
    np.testing.assert_array_equal(np.concatenate(parts), window_features(edges, WINDOWS_S))


def test_a_streams_memory_follows_its_window_and_not_its_history():
    stream, sizes = Stream((60, 600)), []
    for hour in range(40):
        accounts = np.arange(2_000) + hour * 2_000  # always new ones
        times = np.sort(np.random.default_rng(hour).integers(0, 3_600, 2_000)) + hour * 3_600
        stream.append(Edges.of(accounts, accounts + 2_000, times, np.ones(2_000)))
        sizes.append(stream.nbytes)
        assert stream.inside < 2_000
        assert stream.known < 5_000
    assert sizes[-1] == sizes[5]


def test_a_stream_refuses_the_past_and_stays_as_it_was():
    stream = Stream(WINDOWS_S)
    stream.append(Edges.of([0], [1], [100], [1]))
    with pytest.raises(BadInput) as refused:
        stream.append(Edges.of([0], [1], [99], [1]))
    assert refused.value.code == "watch.order"
    assert stream.append(Edges.of([0], [1], [100], [1]))[0, 0] == 2
    assert stream.append(Edges.of([], [], [], [])).shape == (0, 36)


def test_pieces_are_the_whole():
    edges = random_edges()
    pieces = list(feature_chunks(edges, WINDOWS_S, chunk_rows=100))
    assert [start for start, _ in pieces] == [0, 100, 200, 300, 400, 500]
    np.testing.assert_array_equal(
        np.concatenate([part for _, part in pieces]), window_features(edges, WINDOWS_S)
    )


def test_a_large_amount_that_left_leaves_no_error_behind():
    edges = Edges.of([0] * 4, [1] * 4, [0, 1, 61, 62], [1e18, 0.1, 0.2, 0.4])
    total = column_names(WINDOWS_S).index("source_out_sum_60s")
    found = window_features(edges, WINDOWS_S)[:, total]
    assert found[2] == pytest.approx(0.2)
    assert found[3] == pytest.approx(0.6)


def test_columns_say_what_they_hold():
    names = column_names()
    assert names[0] == "source_out_count_1h"
    assert len(names) == len(set(names)) == 36
    assert [label(each) for each in (90, 7_200, 86_400)] == ["90s", "2h", "1d"]


@pytest.mark.parametrize("windows_s", [(), (0, 5), (60, 60), (300, 60)])
def test_windows_that_are_none_are_refused(windows_s):
    with pytest.raises(BadInput):
        State(windows_s, 1)
