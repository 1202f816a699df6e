# SPDX-License-Identifier: Apache-2.0
"""Flower's processes on this machine: started, watched, and stopped with all that they started themselves.

A SuperLink or SuperNode starts others, some in groups of their own, and does not always end them. Each one
begun here carries a mark in its environment, which its children inherit and by which they are found.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from koinon.chain.child import bound

MARK: Final = "KOINON_FLOWER_PROCESS"
TAIL_BYTES: Final = 2_000


class FlowerProcess:
    """One of Flower's programs; what it says goes to ``log``.

    Parameters
    ----------
    ended : callable
        Called with this process, from a thread, when it ends without being stopped.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        ended: Callable[[FlowerProcess], None] = lambda _: None,
    ) -> None:
        self.log = log
        self._mark = secrets.token_hex(16)
        self._ended = ended
        self._stopping = False
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                bound(command),
                env={**environment, MARK: self._mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                start_new_session=True,
            )
        self._watcher = threading.Thread(target=self._watch, name=f"watch {log.name}", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """The program's own process id."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the program itself has not ended."""
        return self._child.poll() is None

    def expect_end(self) -> None:
        """It is about to be stopped: its end is no news."""
        self._stopping = True

    def wait(self, patience_s: float) -> bool:
        """Give it time to end by itself; whether it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(patience_s)
        return not self.running

    def family(self) -> list[int]:
        """Process ids of the program and everything it started that still runs."""
        if sys.platform != "linux":
            return [self.pid] if self.running else []
        needle = f"{MARK}={self._mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if needle in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def stop(self, patience_s: float = 10.0) -> None:
        """End it and its family: asked first, then made to."""
        stop_all([self], patience_s)

    def kill(self) -> None:
        """End it and its family at once, as a power cut would."""
        _send(self.family(), signal.SIGKILL)

    def last_words(self) -> str:
        """The end of what it said."""
        try:
            content = self.log.read_bytes()
        except OSError:
            return ""
        return content[-TAIL_BYTES:].decode("utf-8", "replace").strip()

    def _watch(self) -> None:
        self._child.wait()
        if not self._stopping:
            self._ended(self)


def stop_all(processes: Sequence[FlowerProcess], patience_s: float = 10.0) -> None:
    """End these at the same time, with their families: asked first, then made to."""
    for process in processes:
        process.expect_end()
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            _send(process.family(), signal_number)
        end = time.monotonic() + patience_s
        while any(process.family() for process in processes) and time.monotonic() < end:
            time.sleep(0.1)
    for process in processes:
        process.wait(patience_s)


def _send(processes: Sequence[int], signal_number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal_number)
