# SPDX-License-Identifier: Apache-2.0
"""Columns computed by a Dask scheduler's workers, and the command that writes them."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from koinon.cli import main
from koinon.watch.graph.edges import Edges
from koinon.watch.graph.windows import column_names, window_features
from tests.compute.conftest import cluster, free_port


@pytest.fixture
def edges() -> Edges:
    random = np.random.default_rng(5)
    times = np.sort(random.integers(0, 40 * 86_400, 400))
    ends = random.integers(0, 60, (2, 400))
    return Edges(ends[0].astype(np.int32), ends[1].astype(np.int32), times, random.exponential(100.0, 400))


@pytest.fixture
def koinon(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KOINON_HOME", str(tmp_path / "home"))

    def run(*arguments: object, status: int = 0) -> str:
        assert main(["watch", "features", *map(str, arguments)]) == status
        printed = capsys.readouterr()
        return str(printed.out + printed.err)

    return run


def test_columns_are_written_from_a_file(koinon, tmp_path):
    path = tmp_path / "paid.csv"
    path.write_text("from,to,at,sum\na,b,100,5\nb,c,200,4\na,c,4000,1\n")
    told = koinon(path, tmp_path / "out", "--columns", "from,to,at,sum")
    assert "3 transfers, 39 columns" in " ".join(told.split())
    with duckdb.connect() as base:
        rows = base.read_parquet(f"{tmp_path}/out/*.parquet").order("row").fetchnumpy()
    assert list(rows) == ["row", "timestamp", "amount", *column_names()]
    assert rows["target_in_sum_1d"].tolist() == [5.0, 4.0, 5.0]
    assert rows["source_out_sum_1h"].tolist() == [5.0, 4.0, 1.0]


def test_workers_of_a_scheduler_find_what_one_sweep_finds(koinon, edges, tmp_path, monkeypatch):
    path = tmp_path / "paid.csv"
    columns = (edges.source, edges.target, edges.timestamp, edges.amount)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    path.write_text("source,target,timestamp,amount\n" + "\n".join(",".join(map(repr, row)) for row in rows))
    with cluster(tmp_path, free_port(), workers=1) as running:
        monkeypatch.setenv("KOINON_DASK_SCHEDULER", running.address)
        told = koinon(path, tmp_path / "out", "--parts", 3)
    assert "400 transfers" in " ".join(told.split())
    with duckdb.connect() as base:
        written = base.read_parquet(f"{tmp_path}/out/*.parquet").order("row").fetchnumpy()
    found = np.stack([written[name] for name in column_names()], axis=1)
    np.testing.assert_array_equal(found, window_features(edges))


def test_a_file_without_these_columns_is_refused(koinon, tmp_path):
    path = tmp_path / "paid.csv"
    path.write_text("from,to\na,b\n")
    told = koinon(path, tmp_path / "out", status=2)
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()
