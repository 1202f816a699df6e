# SPDX-License-Identifier: Apache-2.0
"""What the processes of verification share: a configuration, a key, a chain, steps until a signal, and one
JSON document a line on standard output."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from koinon import process
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.errors import KoinonError
from koinon.process import MISREAD, Say
from koinon.services.gateway.serve import open_chain, open_key, read_config


class Worker(Protocol):
    """Something that works step by step."""

    def ready(self) -> dict[str, Any]:
        """What is said once it is ready."""

    def step(self) -> None:
        """Look, and do what is due. KoinonError where something failed; the next step tries again."""

    def close(self) -> None:
        """Let go of everything."""


def run_config(path: Path, make: Callable[[Chain, Key, dict[str, Any], Say], Worker]) -> int:
    """Run the worker that a JSON file describes until SIGINT or SIGTERM; the exit status.

    Fields: ``network`` (file), ``key`` (keystore), ``password_file``, optionally ``rpc_url`` and
    ``look_every_s`` (1 by default), and what ``make`` takes.
    """

    def run_described() -> None:
        config = read_config(path)
        look_every_s = float(config.pop("look_every_s", 1.0))
        with open_chain(config) as chain:
            worker = make(chain, open_key(config), config, process.say)
            try:
                process.say({"event": "ready", **worker.ready()})
                work_until_stopped(worker, process.say, look_every_s)
            finally:
                worker.close()
        process.say({"event": "stopped"})

    return process.exit_status(run_described, misread=(*MISREAD, OSError, ValueError))


def work_until_stopped(worker: Worker, say: Say, look_every_s: float = 1.0) -> None:
    """Step until SIGINT or SIGTERM; a fault is told once and tried again."""
    stop, told = threading.Event(), ""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        fault = ""
        try:
            worker.step()
        except KoinonError as error:
            fault = f"{error.code}: {error.message}"
            if fault != told:
                say({"event": "fault", **error.problem()})
        told = fault
        stop.wait(look_every_s)
