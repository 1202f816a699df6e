# SPDX-License-Identifier: Apache-2.0
"""The log of a detached node: standard output and error in one file that never grows too large."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

LOG: Final = "up.log"
_LARGEST: Final = 2**20
_KEPT: Final = 3


class Log:
    """Points this process's standard output and error at a file, and turns it over when it is full.

    ``up.log`` is the newest; ``up.log.1`` to ``up.log.3`` are older.
    """

    def __init__(self, path: Path, largest: int = _LARGEST) -> None:
        self._path, self._largest = path, largest
        self._lock = threading.Lock()
        self._point()

    def turn(self) -> None:
        """Begin a new file where this one is full."""
        with self._lock:
            if self._path.stat().st_size < self._largest:
                return
            for number in range(_KEPT, 0, -1):
                older = self._path.with_name(f"{self._path.name}.{number}")
                newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
                if newer.exists():
                    newer.replace(older)
            self._point()

    def _point(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
        finally:
            os.close(descriptor)
