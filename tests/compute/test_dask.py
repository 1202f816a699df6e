# SPDX-License-Identifier: Apache-2.0
"""What is the Dask executor's own; what it shares with the pool of processes is in `test_executor`."""

import socket
import sys

import pytest

from koinon.compute import executor, run_all
from koinon.compute.dask import DaskExecutor, WorkersDied, _check_versions
from koinon.errors import SetupError
from koinon.settings import Settings
from tests.compute.conftest import cluster, free_port
from tests.compute.test_executor import square


def asked(folder, address):
    return Settings.load({"KOINON_HOME": str(folder), "KOINON_DASK_SCHEDULER": address})


def test_the_settings_name_the_scheduler(dask_cluster, tmp_path):
    with executor(asked(tmp_path, dask_cluster.address)) as chosen:
        assert isinstance(chosen, DaskExecutor)
        assert run_all(chosen, square, [3, 4]) == [9, 16]
        assert chosen.workers >= 1


def test_without_dask_installed_it_is_said_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SetupError) as caught:
        executor(asked(tmp_path, "tcp://127.0.0.1:1"))
    assert caught.value.code == "setup.dask_missing"
    assert "koinon[dask]" in caught.value.hint


def test_a_silent_scheduler_is_given_up_in_time():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(SetupError, match="does not answer") as caught:
            DaskExecutor(f"tcp://127.0.0.1:{taken.getsockname()[1]}", timeout_s=0.5)
    assert caught.value.code == "setup.scheduler_silent"


def test_a_scheduler_without_workers_and_one_that_is_lost_are_told_apart(tmp_path):
    with cluster(tmp_path, free_port(), workers=0) as empty:
        with pytest.raises(SetupError) as caught:
            DaskExecutor(empty.address, timeout_s=20)
        assert caught.value.code == "setup.scheduler_without_workers"
        assert f"dask worker {empty.address}" in caught.value.hint
        empty.add_worker()
        pool = DaskExecutor(empty.address, timeout_s=120)
        assert pool.submit(square, 5).result() == 25
    with pytest.raises((SetupError, WorkersDied)):
        run_all(pool, square, [1])
    pool.shutdown(cancel_futures=True)


def process(python="3.11.2.final.0", **packages):
    known = {"distributed": "1", "dask": "1", "cloudpickle": "1", "koinon": "1"}
    return {"host": {"python": python}, "packages": {**known, **packages}}


@pytest.mark.parametrize(
    ("worker", "told"),
    [
        (process(koinon="2"), "koinon 2 \\(here 1\\)"),
        (process(koinon=None), "koinon none"),
        (process(python="3.12.1.final.0"), "python 3.12 \\(here 3.11\\)"),
        (process(cloudpickle="0"), "cloudpickle 0"),
    ],
)
def test_a_worker_of_another_version_is_refused_by_name(worker, told):
    with pytest.raises(SetupError, match=told) as caught:
        _check_versions({"client": process(), "workers": {"tcp://w:1": worker}})
    assert caught.value.code == "setup.worker_versions"


def test_the_smallest_part_of_pythons_version_may_differ():
    _check_versions({"client": process(), "workers": {"tcp://w:1": process(python="3.11.9.final.0")}})
