# SPDX-License-Identifier: Apache-2.0
import os
import signal
import threading
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from pathlib import Path

import pytest

from koinon.compute import ProcessExecutor, executor, run_all
from koinon.compute.dask import DaskExecutor
from koinon.errors import SetupError
from koinon.settings import Settings


def square(number: int) -> int:
    return number * number


def process_id(_item: object) -> int:
    return os.getpid()


def threads(_item: object) -> str:
    return os.environ["OMP_NUM_THREADS"]


def die(_item: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(marker: str) -> str:
    """Kill this worker the first time only; the marker file remembers."""
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return "second time"
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def refuse(_item: object) -> None:
    raise ValueError("refused")


def keyed(*, key: str, workers: int) -> str:
    return f"{key}{workers}"


def wait_for(marker: str) -> str:
    """Work until the marker file is there."""
    while not Path(marker).exists():
        threading.Event().wait(0.02)
    return "done"


@pytest.fixture(scope="module", params=["processes", "dask"])
def pool(request):
    """Each of the two executors: what is promised of one is promised of both."""
    if request.param == "processes":
        opened: Executor = ProcessExecutor(workers=1)
    else:
        opened = DaskExecutor(request.getfixturevalue("dask_cluster").address, timeout_s=120)
    with opened:
        yield opened


def test_the_settings_choose_the_executor(tmp_path):
    settings = Settings(home=tmp_path, network=tmp_path / "network.json", workers=1)
    with executor(settings) as chosen:
        assert isinstance(chosen, Executor)
        assert isinstance(chosen, ProcessExecutor)
        assert chosen.workers == 1


def test_without_a_setting_there_is_a_worker_for_each_core_this_process_may_use():
    with ProcessExecutor() as pool:
        assert pool.workers == len(os.sched_getaffinity(0))


def test_work_is_done_in_another_process_in_order(pool):
    assert run_all(pool, square, range(5)) == [0, 1, 4, 9, 16]
    assert list(pool.map(square, [3, 4])) == [9, 16]
    assert run_all(pool, process_id, [None]) != [os.getpid()]


def test_a_worker_keeps_to_one_thread(pool):
    assert run_all(pool, threads, [None]) == ["1"]


def test_nothing_to_do_is_done(pool):
    assert run_all(pool, square, []) == []


def test_an_exception_of_the_work_is_raised_as_it_is(pool):
    with pytest.raises(ValueError, match="refused"):
        run_all(pool, refuse, [None])


def test_after_a_killed_worker_the_pool_works_again(pool):
    with pytest.raises(BrokenExecutor):
        pool.submit(die, None).result()
    assert pool.submit(square, 7).result() == 49


def test_what_a_killed_worker_took_with_it_is_done_again(pool, tmp_path):
    assert run_all(pool, die_once, [str(tmp_path / "marker")]) == ["second time"]


def test_work_that_always_kills_its_worker_is_given_up_with_a_hint(pool):
    with pytest.raises(SetupError, match="killed 2 times") as caught:
        run_all(pool, die, [None], attempts=2)
    assert "KOINON_WORKERS" in caught.value.hint


def test_names_that_an_executor_uses_itself_are_the_works_own(pool):
    assert pool.submit(keyed, key="a", workers=2).result() == "a2"


def test_work_that_was_cancelled_before_it_began_never_runs(pool, tmp_path):
    gate, never = tmp_path / "gate", tmp_path / "never"
    ahead = [pool.submit(wait_for, str(gate)) for _ in range(8)]
    last = pool.submit(die_once, str(never))
    assert last.cancel()
    gate.touch()
    assert [future.result() for future in ahead] == ["done"] * 8
    assert last.cancelled()
    with pytest.raises(CancelledError):
        last.result()
    assert pool.submit(square, 2).result() == 4
    assert not never.exists()


def test_a_worker_killed_from_outside_at_work_loses_nothing(pool, tmp_path):
    gate, identity = tmp_path / "gate", tmp_path / "identity"
    killer = threading.Thread(target=kill_when_named, args=(identity, gate))
    killer.start()
    assert run_all(pool, name_and_wait, [(str(identity), str(gate))]) == ["done"]
    killer.join()


def name_and_wait(files: tuple[str, str]) -> str:
    """Say who works, then work until the gate opens."""
    identity, gate = files
    Path(identity + ".new").write_text(str(os.getpid()))
    Path(identity + ".new").replace(identity)
    return wait_for(gate)


def kill_when_named(identity: Path, gate: Path) -> None:
    while not identity.exists():
        threading.Event().wait(0.02)
    os.kill(int(identity.read_text()), signal.SIGKILL)
    gate.touch()


def test_a_closed_pool_finishes_what_it_took_and_takes_nothing_more(request, pool):
    closing = (
        ProcessExecutor(workers=1)
        if isinstance(pool, ProcessExecutor)
        else DaskExecutor(request.getfixturevalue("dask_cluster").address, timeout_s=120)
    )
    future = closing.submit(square, 6)
    closing.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="shutdown"):
        closing.submit(square, 1)
    assert future.result() == 36
    closing.shutdown()


def test_workers_are_replaced_when_asked():
    with ProcessExecutor(workers=1, tasks_per_worker=1) as pool:
        first, second = run_all(pool, process_id, [0, 1])
        assert first != second
