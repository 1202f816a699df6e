# SPDX-License-Identifier: Apache-2.0
"""What a run tells while it goes on, and what its picture is made of."""

from __future__ import annotations

import sqlite3

import pytest

from koinon.learning.progress import FILE_NAME, ProgressLog, read_progress
from koinon.learning.round_view import run_of_work, runs, view

_OWNERS = ["0xA", "0xB", "0xC"]


class Fixture:
    """The tables of the Federation's events, as the index names them."""

    def __init__(self):
        self.database = sqlite3.connect(":memory:")
        self.database.row_factory = sqlite3.Row
        self.database.executescript(
            "CREATE TABLE block (number, timestamp);"
            "CREATE TABLE federation_run_opened (run_id, opener, rounds, block_number);"
            "CREATE TABLE federation_owner_joined (run_id, member, owner, work_id);"
            "CREATE TABLE federation_round_recorded (run_id, round, participants);"
            "CREATE TABLE federation_run_finished (run_id, work_id);"
            "INSERT INTO block VALUES (7, 1000);"
            "INSERT INTO federation_run_opened VALUES (1, '0xL', 3, 7);"
        )

    def rows(self, sql, parameters=()):
        return [dict(row) for row in self.database.execute(sql, parameters)]

    def join(self):
        self.database.executemany(
            "INSERT INTO federation_owner_joined VALUES (1, ?, ?, ?)",
            [(member, owner, 10 + member) for member, owner in enumerate(_OWNERS)],
        )

    def record(self, number, participants):
        self.database.execute(
            "INSERT INTO federation_round_recorded VALUES (1, ?, ?)", (number, participants)
        )


@pytest.fixture
def index():
    return Fixture()


def _seen(index, folder=None):
    found = view(index, 1, folder)
    assert found is not None
    return found


def _states(found):
    return [owner.state for owner in found.owners]


def test_a_run_is_followed_from_its_opening_to_its_model(index, tmp_path):
    assert view(index, 2) is None
    assert _seen(index).owners == ()
    index.join()
    log = ProgressLog(tmp_path, clock=lambda: 5.0)
    log.write({"event": "update", "owner": "0xA", "round": 1})
    first = _seen(index, tmp_path)
    assert (first.number, _states(first)) == (1, ["sent", "waiting", "waiting"])
    index.record(1, 0b011)
    log.write({"event": "score", "round": 1, "metric": "AUC", "score": 0.7, "chance": 0.5})
    second = _seen(index, tmp_path)
    assert (second.number, _states(second)) == (2, ["waiting", "waiting", "missing"])
    assert (second.scores, second.baseline, second.baseline_name) == (((1, 0.7),), 0.5, "chance")
    index.record(2, 0b111)
    index.record(3, 0b111)
    log.write({"event": "measured", "alone": 0.65})
    (tmp_path / "contributions.json").write_text('{"shares": {"0": 3, "1": 1, "2": 0}}')
    index.database.execute("INSERT INTO federation_run_finished VALUES (1, 99)")
    last = _seen(index, tmp_path)
    assert last.over
    assert [owner.contribution for owner in last.owners] == [0.75, 0.25, 0.0]
    assert (last.baseline, last.baseline_name, last.work_id) == (0.65, "alone", 99)
    assert run_of_work(index, 99) == 1
    assert run_of_work(index, 98) is None
    assert runs(index) == [1]
    log.close()


def test_a_torn_line_and_nonsense_are_passed_over(tmp_path):
    log = ProgressLog(tmp_path, clock=lambda: 1.0)
    log.write({"event": "joined"})
    log.close()
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b'[1]\n{"event": 3}\n\xff\n{"event": "upd')
    assert read_progress(tmp_path) == [{"at": 1.0, "event": "joined"}]
    assert read_progress(tmp_path / "nowhere") == []


def test_damaged_contributions_are_not_shown(index, tmp_path):
    index.join()
    for content in ("", "[]", '{"shares": 3}', '{"shares": {"x": 1}}', '{"shares": {"0": 0}}'):
        (tmp_path / "contributions.json").write_text(content)
        assert [owner.contribution for owner in _seen(index, tmp_path).owners] == [None] * 3
