# SPDX-License-Identifier: Apache-2.0
"""Transfers from files, from the index of events, and among workers: everywhere the same columns."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.markets.history.facts import Facts
from koinon.markets.history.history import History
from koinon.markets.history.rows import EventRow
from koinon.watch.graph import Edges, importing, window_features
from koinon.watch.graph.importing import Columns, from_history, from_index, read_edges, sorted_on_disk
from koinon.watch.graph.spreading import spread_features, write_features

WINDOWS_S = (60, 3_600)


@pytest.fixture(scope="module")
def edges():
    random = np.random.default_rng(5)
    return Edges.of(
        [f"0x{each:040x}" for each in random.integers(0, 30, 500)],
        [f"0x{each:040x}" for each in random.integers(0, 30, 500)],
        random.integers(0, 9_000, 500),
        random.lognormal(3, 2, 500).round(3),
    )


@pytest.fixture(scope="module")
def files(edges, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    rows = {
        "payer": np.array([edges.name(each) for each in edges.source.tolist()], dtype=object),
        "payee": np.array([edges.name(each) for each in edges.target.tolist()], dtype=object),
        "moment": edges.timestamp,
        "units": edges.amount,
    }
    with duckdb.connect(str(folder / "base.duckdb")) as base:
        base.register("rows", rows)
        base.execute("CREATE TABLE paid AS SELECT * FROM rows")
        base.execute(f"COPY paid TO '{folder}/paid.parquet'")
        base.execute(f"COPY paid TO '{folder}/paid.csv'")
        base.execute(
            "COPY (SELECT payer, payee, make_timestamp(moment * 1000000) AS moment, units FROM paid) "  # noqa: S608
            f"TO '{folder}/dated.parquet'"
        )
    return folder


COLUMNS = Columns("payer", "payee", "moment", "units")


@pytest.mark.parametrize("name", ["paid.parquet", "paid.csv", "base.duckdb", "dated.parquet"])
def test_a_files_transfers_have_the_same_columns(edges, files, name):
    found = read_edges(files / name, COLUMNS, table="paid")
    assert [found.name(each) for each in found.source.tolist()] == [
        edges.name(each) for each in edges.source.tolist()
    ]
    np.testing.assert_array_equal(found.timestamp, edges.timestamp)
    np.testing.assert_array_equal(window_features(found, WINDOWS_S), window_features(edges, WINDOWS_S))


def test_a_file_is_swept_piece_by_piece_into_parquet(edges, files, tmp_path, monkeypatch):
    monkeypatch.setattr(importing.OnDisk.pieces, "__defaults__", (64,))
    assert write_features(files / "paid.parquet", tmp_path, COLUMNS, windows_s=WINDOWS_S) == 500
    assert len(list(tmp_path.glob("features-*.parquet"))) == 8
    with duckdb.connect() as base:
        rows = base.read_parquet(f"{tmp_path}/*.parquet").order("row").fetchnumpy()
    found = np.stack([rows[name] for name in list(rows)[3:]], axis=1)
    np.testing.assert_array_equal(found, window_features(edges, WINDOWS_S))


def test_pieces_of_a_file_can_be_read_alone(edges, files):
    with sorted_on_disk(files / "paid.csv", COLUMNS) as opened:
        np.testing.assert_array_equal(opened.edges(100, 120).amount, edges.amount[100:120])


@pytest.mark.parametrize("parts", [1, 3])
def test_workers_find_what_one_finds(edges, parts):
    with ThreadPoolExecutor(2) as pool:
        found = spread_features(edges, pool, parts, WINDOWS_S)
    np.testing.assert_array_equal(found, window_features(edges, WINDOWS_S))


@pytest.mark.parametrize("name", ["absent.csv", "notes.txt", "paid.csv"])
def test_a_file_that_holds_no_transfers_is_refused(files, name):
    (files / "notes.txt").write_text("nothing")
    with pytest.raises(BadInput) as refused:
        read_edges(files / name)
    assert refused.value.code == "watch.file"


class Index:
    """The rows of an index, and what was asked."""

    def __init__(self, *ends):
        self.ends = ends or (("0xa", "0xb"),)

    def rows(self, sql, parameters=()):
        self.asked = sql, tuple(parameters)
        return [
            {"source": source, "target": target, "timestamp": 7, "amount": 1_500_000}
            for source, target in self.ends
        ]


def test_the_index_is_asked_for_what_comes_after_an_event():
    index = Index()
    found = from_index(index, after=(8, 2), through_block=20)
    assert found.rows([0]) == [{"row": 0, "source": "0xa", "target": "0xb", "timestamp": 7, "amount": 1.5}]
    assert index.asked[1] == (8, 8, 2, 20)
    with pytest.raises(BadInput):
        from_index(index, "a; DROP TABLE b")


def test_what_the_index_says_was_minted_or_burnt_is_no_payment():
    nobody = "0x" + "00" * 20
    found = from_index(Index((nobody, "0xa"), ("0xa", "0xb"), ("0xb", nobody)))
    assert [(each["source"], each["target"]) for each in found.rows(range(len(found)))] == [("0xa", "0xb")]


def test_a_row_without_a_moment_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("source,target,timestamp,amount\na,b,1,2\nb,c,never,3\n")
    with pytest.raises(BadInput, match="lacks"):
        read_edges(tmp_path / "a.csv")


def row(log_index, sender, receiver, asset="0xcoin", kind="transfer"):
    nothing: dict[str, Any] = {
        "block_hash": "",
        "transaction_hash": "",
        "protocol": "erc20",
        "asset_2": "",
        "amount_2": 0,
    }
    return EventRow(
        block_number=1,
        log_index=log_index,
        position=0,
        timestamp=60,
        kind=kind,
        contract=asset,
        market=asset,
        account=sender,
        counterparty=receiver,
        asset=asset,
        amount=2_500_000,
        note="Transfer",
        **nothing,
    )


def test_a_history_gives_one_assets_payments_without_minting_and_burning():
    nobody = "0x" + "00" * 20
    rows = [
        row(0, nobody, "0xa"),
        row(1, "0xa", "0xb"),
        row(2, "0xb", nobody),
        row(3, "0xa", "0xb", "0xother"),
    ]
    history = History.of([*rows, row(4, "0xa", "0xb", kind="supply")], Facts(decimals={"0xcoin": 6}))
    found = from_history(history, "0xcoin")
    assert found.rows([0]) == [{"row": 0, "source": "0xa", "target": "0xb", "timestamp": 60, "amount": 2.5}]
    assert len(found) == 1
