# SPDX-License-Identifier: Apache-2.0
"""What runs in a data directory: a lock that the running process holds, and a file that says where.

The kernel lets go of the lock however the process ends, so a record without the lock is an old one.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import orjson

from koinon.chain.keys import write_private

LOCK: Final = "up.lock"
RECORD: Final = "up.json"


@dataclass(frozen=True)
class Running:
    """One running `koinon up`. Addresses are URLs; ``started`` Unix seconds; process ids are 0 while nothing
    runs there: ``data`` is where datasets are computed on and ``agents`` where agents are reached, from when
    there is one."""

    pid: int
    console: str
    rpc_url: str
    network: str
    gateway: str
    gateway_pid: int
    started: int
    data: str = ""
    data_pid: int = 0
    agents: str = ""
    agents_pid: int = 0
    watch_pid: int = 0

    def save(self, home: Path) -> None:
        """Say where to find it; only the owner may read it."""
        write_private(home / RECORD, orjson.dumps(asdict(self)))

    @classmethod
    def last(cls, home: Path) -> Self | None:
        """The newest record, of a process that may be gone."""
        try:
            return cls(**orjson.loads((home / RECORD).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None


@contextmanager
def alone(home: Path) -> Iterator[bool]:
    """Hold the lock inside the block; False where another process has it."""
    with (home / LOCK).open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()).encode())
        file.flush()
        yield True


def holder(home: Path) -> int | None:
    """The process id of whoever runs here now; None where nobody does."""
    try:
        with (home / LOCK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().decode("ascii", "replace")
                return int(text) if text.isdigit() else 0
    except OSError:
        return None
    return None


class Kept:
    """The record of this process, as threads change it; saved at every change."""

    def __init__(self, home: Path, record: Running) -> None:
        self.record = record
        self._home, self._lock = home, threading.Lock()

    def change(self, **fields: Any) -> Running:
        """The record with other fields."""
        with self._lock:
            self.record = replace(self.record, **fields)
            self.record.save(self._home)
            return self.record


def running(home: Path) -> Running | None:
    """What runs here and has said where; None where nothing does, or it is still starting."""
    pid, record = holder(home), Running.last(home)
    return record if record is not None and pid == record.pid else None
