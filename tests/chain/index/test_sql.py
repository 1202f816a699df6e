# SPDX-License-Identifier: Apache-2.0
"""Anybody's SELECT is answered; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from koinon.chain.index import EventIndex
from koinon.errors import BadInput, SetupError
from tests.index_support import Town


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM block",
        "DROP TABLE block",
        "UPDATE block SET hash = 'x'",
        "INSERT INTO undone VALUES ('x', 1, 0, 'x', '[]')",
        "SELECT 1; DROP TABLE block",
        "CREATE TABLE mine (a INTEGER)",
        "CREATE TEMP TABLE mine (a INTEGER)",
    ],
)
def test_a_query_cannot_write(index: EventIndex, town: Town, sql: str) -> None:
    town.mint(1)
    index.sync()
    before = index.rows("SELECT * FROM block ORDER BY number")
    with pytest.raises(BadInput):
        index.query(sql)
    with pytest.raises(BadInput):
        index.rows(sql)
    assert index.rows("SELECT * FROM block ORDER BY number") == before


@pytest.mark.parametrize(
    "sql",
    ["ATTACH DATABASE '/tmp/other' AS other", "PRAGMA query_only = OFF", "PRAGMA journal_mode = DELETE",
     "VACUUM", "SELECT load_extension('x')", "BEGIN", "SELECT * FROM pragma_table_info('block')"],
)  # fmt: skip
def test_a_query_cannot_leave_its_sqlite_file(town: Town, tmp_path: Path, sql: str) -> None:
    with EventIndex.open(tmp_path / "index.sqlite", town.chain) as index, pytest.raises(BadInput):
        index.query(sql)


def test_a_query_that_never_ends_is_ended(index: EventIndex) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n"
    with pytest.raises(BadInput) as ended:
        index.query(endless, timeout_s=0.2)
    assert ended.value.code == "index.sql_time"
    assert index.query("SELECT 1 AS one").rows == [(1,)]


def test_too_many_rows_are_cut_and_said_to_be(index: EventIndex) -> None:
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5000) SELECT x FROM n"
    answer = index.query(many, limit=10)
    assert (len(answer.rows), answer.more, answer.columns) == (10, True, ("x",))
    assert not index.query(many, limit=5000).more


@pytest.mark.parametrize(
    "sql", ["", "-- nothing", "SELEC 1", "SELECT * FROM nothing", "SELECT ?", "SELECT no_such(1)"]
)
def test_wrong_sql_is_answered_with_a_sentence(index: EventIndex, sql: str) -> None:
    with pytest.raises(BadInput):
        index.query(sql)


def test_marks_in_quotes_are_not_parameters(index: EventIndex) -> None:
    assert index.query("SELECT '?' || '%' AS mark, ? AS given", (5,)).rows == [("?%", 5)]


def test_a_file_that_is_no_database_is_named(town: Town, tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"not a database, for certain" * 100)
    with pytest.raises(SetupError) as refused:
        EventIndex.open(tmp_path / "index.sqlite", town.chain)
    assert "index.sqlite" in refused.value.message


def test_a_database_server_that_is_not_there_is_named_without_its_password(town: Town) -> None:
    with pytest.raises(SetupError) as refused:
        EventIndex.open("postgresql://me:secret@127.0.0.1:1/koinon", town.chain)
    assert refused.value.code == "index.unusable"
    assert "secret" not in refused.value.message


def test_other_addresses_are_refused(town: Town) -> None:
    with pytest.raises(BadInput):
        EventIndex.open("mysql://127.0.0.1/koinon", town.chain)
