# SPDX-License-Identifier: Apache-2.0
"""The gateway as a process of its own: started, listened to, started again when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
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


class Gateway:
    """Runs ``koinon service serve`` for a data directory and keeps it running.

    Parameters
    ----------
    settings : Settings
    rpc_url : str
        The chain's node, for a network that is not the data directory's own devnet.
    port : int
        The same at every start, so that buyers find it again.
    say : callable
        Told in a sentence when it came, went and came back.
    changed : callable
        Told of a new process id.
    """

    def __init__(
        self,
        settings: Settings,
        port: int,
        say: Callable[[str], None],
        changed: Callable[[int], None],
    ) -> None:
        self.url = f"http://{settings.host}:{port}"
        self._settings, self._port, self._say, self._changed = settings, port, say, changed
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        # One thread for good: the kernel ends the child when the thread that started it ends.
        self._thread = threading.Thread(target=self._keep, name="gateway", daemon=True)

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
        """End it: it settles what it holds first."""
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
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            started = time.monotonic()
            why = self._run_once()
            if self._stopping.is_set():
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - started >= _STEADY_S else pause
            self._say(f"The gateway ended ({why}); it starts again.")
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _run_once(self) -> str:
        log = self._settings.home / "gateway.log"
        with log.open("wb") as errors:
            child = subprocess.Popen(
                bound([sys.executable, "-m", "koinon", "service", "serve", "--json"]),
                env=self._environment(),
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
        return f"killed by signal {-status}" if status < 0 else f"status {status}: {_last_words(log)}"

    def _hear(self, line: bytes) -> None:
        with suppress(ValueError):
            event = orjson.loads(line)
            if isinstance(event, dict) and event.get("event") == "ready":
                self._say(f"The gateway answers at {event['url']}.")
                self._ready.set()

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "KOINON_HOME": str(self._settings.home),
            "KOINON_HOST": self._settings.host,
            "KOINON_PORT": str(self._port),
        }


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
    """End a gateway whose `koinon up` was killed, if it is still there and still a gateway."""
    if pid <= 0 or not _is_gateway(pid):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if not _is_gateway(pid):
                return
            time.sleep(0.05)


def _is_gateway(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"koinon" in command and b"serve" in command
