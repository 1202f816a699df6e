# SPDX-License-Identifier: Apache-2.0
"""A real Dask scheduler and workers of its own on loopback, for this room's tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from koinon.chain.child import bound
from koinon.compute.dask import DaskExecutor

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Cluster:
    """A scheduler and the options that its workers are started with."""

    address: str
    folder: Path
    environment: Mapping[str, str]
    options: tuple[str, ...] = ()
    stack: ExitStack = field(default_factory=ExitStack)

    def add_worker(self, *options: str) -> subprocess.Popen[bytes]:
        """A process that computes, restarted by its nanny when killed."""
        command = ["worker", self.address, "--nthreads", "1", "--no-dashboard", *self.options, *options]
        command += ["--local-directory", str(self.folder)]
        return self.stack.enter_context(dask(command, self.environment))


@contextmanager
def dask(arguments: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        bound([sys.executable, "-m", "dask", *arguments]),
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def cluster(
    folder: Path, port: int, *options: str, workers: int = 2, scheme: str = "tcp", **environment: str
) -> Iterator[Cluster]:
    """A scheduler that gives a task up at the first death of its worker, as a pool of processes does."""
    environment = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", **environment}
    address = f"{scheme}://127.0.0.1:{port}"
    command = ["scheduler", "--host", address, "--no-dashboard", *options]
    with dask(command, environment) as scheduler, ExitStack() as stack:
        wait_until_it_listens(scheduler, port)
        running = Cluster(address, folder, environment, options, stack)
        for _ in range(workers):
            running.add_worker()
        yield running


@pytest.fixture(scope="session")
def dask_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers."""
    with cluster(tmp_path_factory.mktemp("dask"), free_port()) as running:
        DaskExecutor(running.address, timeout_s=180).shutdown()  # they compute before any test asks
        yield running


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        threading.Event().wait(0.05)
    raise AssertionError("the scheduler ended")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
