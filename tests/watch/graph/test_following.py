# SPDX-License-Identifier: Apache-2.0
"""A chain's transfers as they are confirmed: the same columns as of all at once, whatever is undone."""

import sqlite3

import numpy as np
import pytest

from koinon.watch.graph import Edges, window_features
from koinon.watch.graph.following import IndexStream

WINDOWS_S = (60, 600)


class Index:
    """A small index of events: blocks of ten seconds, a transfer or two in each."""

    def __init__(self):
        self.base = sqlite3.connect(":memory:")
        self.base.row_factory = sqlite3.Row
        self.base.execute("CREATE TABLE block (number INTEGER, hash TEXT, timestamp INTEGER)")
        self.base.execute(
            'CREATE TABLE coin_transfer (block_number INTEGER, log_index INTEGER, "from" TEXT, "to" TEXT, '
            "value INTEGER)"
        )

    def rows(self, sql, parameters=()):
        return [dict(row) for row in self.base.execute(sql, parameters)]

    def mine(self, count, fork=0):
        first = self.rows("SELECT coalesce(max(number), -1) + 1 AS n FROM block")[0]["n"]
        random = np.random.default_rng(first + 1_000 * fork)
        for number in range(first, first + count):
            self.base.execute("INSERT INTO block VALUES (?, ?, ?)", (number, f"{fork}-{number}", 10 * number))
            for log in range(int(random.integers(1, 3))):
                ends = [f"0x{each}" for each in random.integers(0, 6, 2)]
                value = int(random.integers(1, 10**9))
                self.base.execute(
                    "INSERT INTO coin_transfer VALUES (?, ?, ?, ?, ?)", (number, log, *ends, value)
                )

    def undo(self, count):
        last = self.rows("SELECT max(number) AS n FROM block")[0]["n"] - count
        self.base.execute("DELETE FROM block WHERE number > ?", (last,))
        self.base.execute("DELETE FROM coin_transfer WHERE block_number > ?", (last,))

    def whole(self, through):
        return Edges.of_rows(
            self.rows(
                'SELECT "from", "to", value, timestamp FROM coin_transfer '
                "JOIN block ON number = block_number "
                "WHERE number <= ? ORDER BY block_number, log_index",
                (through,),
            ),
            decimals=6,
        )


@pytest.fixture
def index():
    made = Index()
    yield made
    made.base.close()


def test_what_is_confirmed_is_told_once_with_the_columns_of_the_whole(index):
    stream, parts = IndexStream(index, confirmations=3, windows_s=WINDOWS_S), []
    assert stream.through == -1
    assert len(stream.advance()[0]) == 0
    for count in (5, 1, 20, 60):
        index.mine(count)
        parts.append(stream.advance()[1])
    assert len(stream.advance()[0]) == 0
    assert stream.through == 86 - 1 - 3
    whole = window_features(index.whole(stream.through), WINDOWS_S)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_after_a_reorganisation_below_confirmed_blocks_the_columns_are_those_of_the_chain_now(index):
    stream = IndexStream(index, confirmations=0, windows_s=WINDOWS_S)
    index.mine(30)
    stream.advance()
    index.undo(1)
    index.mine(25, fork=1)
    edges, found = stream.advance()
    whole = window_features(index.whole(stream.through), WINDOWS_S)
    assert stream.through == 53
    np.testing.assert_allclose(found, whole[-len(edges) :], rtol=1e-5)
