# SPDX-License-Identifier: Apache-2.0
"""Files that several open at once."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from koinon.chain.wal import use_wal


def test_many_who_open_a_new_file_at_once_all_get_in(tmp_path):
    faults: list[Exception] = []
    together = threading.Barrier(12)

    def come_in(number: int) -> None:
        together.wait()
        try:
            connection = sqlite3.connect(tmp_path / "file.sqlite", timeout=30)
            use_wal(connection)
            with connection:
                connection.execute("CREATE TABLE IF NOT EXISTS guests (number INTEGER)")
                connection.execute("INSERT INTO guests VALUES (?)", (number,))
            connection.close()
        except Exception as fault:
            faults.append(fault)

    guests = [threading.Thread(target=come_in, args=(number,)) for number in range(12)]
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.join()
    assert faults == []
    connection = sqlite3.connect(tmp_path / "file.sqlite")
    assert connection.execute("SELECT count(*) FROM guests").fetchone() == (12,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_file_that_stays_locked_is_an_error_after_a_while(tmp_path):
    holder = sqlite3.connect(tmp_path / "file.sqlite", isolation_level=None)
    holder.execute("CREATE TABLE held (number INTEGER)")
    holder.execute("BEGIN EXCLUSIVE")
    other = sqlite3.connect(tmp_path / "file.sqlite", timeout=0.01)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        use_wal(other, patience_s=0.05)
    holder.execute("ROLLBACK")
    use_wal(other, patience_s=5)
    other.close()
    holder.close()
