# SPDX-License-Identifier: Apache-2.0
"""The executor heavy work is given to: any ``concurrent.futures.Executor``."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from threading import Lock
from typing import ParamSpec, TypeVar

from koinon.errors import SetupError
from koinon.settings import Settings

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")
Result = TypeVar("Result")

# One core per worker: the pool is the parallelism, a library's threads inside it would fight over the cores.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


def executor(settings: Settings) -> Executor:
    """The executor these settings ask for; the caller closes it (``with executor(settings) as pool``).

    Raises SetupError where they name a Dask scheduler that cannot be used.
    """
    if settings.dask_scheduler is not None:
        from koinon.compute.dask import DaskExecutor  # noqa: PLC0415  (heavy, and an extra)

        return DaskExecutor(settings.dask_scheduler)
    return ProcessExecutor(workers=settings.workers, tasks_per_worker=settings.tasks_per_worker)


class ProcessExecutor(Executor):
    """A pool of fresh processes (spawned, never forked) that survives the death of a worker.

    When a worker is killed, the futures it held raise ``BrokenProcessPool`` and the next submission starts a
    new pool. `run_all` resubmits what was lost.

    Parameters
    ----------
    workers : int
        Processes; 0 is one for each core this process may use.
    tasks_per_worker : int
        Replace a worker after so many tasks; 0 is never.
    """

    def __init__(self, *, workers: int = 0, tasks_per_worker: int = 0) -> None:
        self.workers = workers or _cores()
        self.tasks_per_worker = tasks_per_worker
        self._lock = Lock()
        self._closed = False
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_prepare_worker,
            max_tasks_per_child=self.tasks_per_worker or None,
        )

    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot submit work after shutdown")
            try:
                return self._pool.submit(fn, *args, **kwargs)
            except BrokenProcessPool:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = self._start()
                return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._lock:
            self._closed = True
            pool = self._pool
        pool.shutdown(wait=wait, cancel_futures=cancel_futures)


def run_all(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], *, attempts: int = 3
) -> list[Result]:
    """``[function(item) for item in items]`` on the pool, trying again what a dying worker took with it.

    An exception of ``function`` is raised as it is. Raises SetupError when workers die ``attempts`` times in
    a row: something kills them, most often a lack of memory. ``function`` must be safe to run twice.
    """
    waiting = dict(enumerate(items))
    results: dict[int, Result] = {}
    for _attempt in range(attempts):
        futures = {number: pool.submit(function, item) for number, item in waiting.items()}
        for number, future in futures.items():
            try:
                results[number] = future.result()
                del waiting[number]
            except BrokenExecutor:
                continue
        if not waiting:
            return [results[number] for number in sorted(results)]
    raise SetupError(
        f"The processes that compute were killed {attempts} times in a row.",
        hint="Most often memory ran out: set KOINON_WORKERS to a smaller number, or start fewer.",
        code="setup.workers_killed",
    )


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: a container may allow fewer than there are
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
