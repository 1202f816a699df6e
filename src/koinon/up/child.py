# SPDX-License-Identifier: Apache-2.0
"""A service as a process of its own: started, listened to, started again when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.child import bound
from koinon.settings import Settings

STOP_S: Final = 20.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0
_STEADY_S: Final = 30.0
_LOOK_EVERY_S: Final = 1.0


class Child:
    """Runs a ``koinon … serve``, or agents, for a data directory and keeps it running.

    Parameters
    ----------
    name : str
        What people call it.
    command : sequence of str
        What follows ``koinon``; it says on standard output, in JSON, when it is ready and where.
    log : Path
        Where its standard error goes.
    settings : Settings
    say : callable
        Told in a sentence when it came, went and came back.
    changed : callable
        Told of a new process id.
    environment : mapping of str to str
        What it is told beside its data directory.
    wanted : callable
        Whether there is anything to serve: it is not started before.
    """

    def __init__(  # noqa: PLR0917  (what it runs, and who hears of it)
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        settings: Settings,
        say: Callable[[str], None],
        changed: Callable[[int], object],
        *,
        environment: Mapping[str, str] | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._name, self._command, self._log, self._settings = name, command, log, settings
        self._say, self._changed, self._wanted = say, changed, wanted
        self._more = dict(environment or {})
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        # One thread for good: the kernel ends the child when the thread that started it ends.
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    @property
    def pid(self) -> int:
        """The child's process id; 0 while there is none."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else 0

    def start(self, timeout_s: float = 60.0) -> bool:
        """Start it; whether it was ready in time."""
        self._thread.start()
        return self._ready.wait(timeout_s)

    def stop(self) -> None:
        """End it: it finishes what it holds first."""
        self._stopping.set()
        child = self._child
        if child is not None and child.poll() is None:
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _keep(self) -> None:
        pause, told = _FIRST_PAUSE_S, ""
        while not self._stopping.is_set():
            if not self._wanted():
                self._stopping.wait(_LOOK_EVERY_S)
                continue
            started = time.monotonic()
            why = self._run_once()
            if self._stopping.is_set():
                return
            if time.monotonic() - started >= _STEADY_S:
                pause, told = _FIRST_PAUSE_S, ""
            if why and why != told:
                self._say(f"The {self._name} ended ({why}); it starts again.")
                told = why
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _run_once(self) -> str:
        with self._log.open("wb") as errors:
            child = subprocess.Popen(
                bound([sys.executable, "-m", "koinon", *self._command, "--json"]),
                env=os.environ | {"KOINON_HOME": str(self._settings.home)} | self._more,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        self._child = child
        if self._stopping.is_set():
            child.terminate()
        self._changed(child.pid)
        assert child.stdout is not None  # noqa: S101  (asked for above)
        with child.stdout as lines:
            for line in lines:
                self._hear(line)
        status = child.wait()
        if status == 0:
            return ""  # it ended by itself, to begin anew
        return f"killed by signal {-status}" if status < 0 else f"status {status}: {_last_words(self._log)}"

    def _hear(self, line: bytes) -> None:
        with suppress(ValueError):
            event = orjson.loads(line)
            if isinstance(event, dict) and event.get("event") == "ready":
                if not self._ready.is_set() or "url" in event:
                    place = f"answers at {event['url']}" if "url" in event else "runs"
                    self._say(f"The {self._name} {place}.")
                self._ready.set()


def _last_words(log: Path) -> str:
    with suppress(OSError):
        for line in reversed(log.read_text(errors="replace").splitlines()):
            with suppress(ValueError):
                problem = orjson.loads(line)
                if isinstance(problem, dict) and "title" in problem:
                    return str(problem["title"])
            if line.strip():
                return line.strip()[:200]
    return "it said nothing"


def end_leftover(pid: int, patience_s: float = 10.0) -> None:
    """End a child whose `koinon up` was killed, if it is still there and still one."""
    if pid <= 0 or not _serves(pid):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if not _serves(pid):
                return
            time.sleep(0.05)


def _serves(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"koinon" in command and (b"serve" in command or b"run" in command)
