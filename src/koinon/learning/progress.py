# SPDX-License-Identifier: Apache-2.0
"""What a run tells as it goes: one line of JSON an event in its folder, for other processes to read live.

Nothing depends on it, so it is written without waiting for the disk; a line torn by a crash is passed over.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

FILE_NAME: Final = "progress.jsonl"
MAX_BYTES: Final = 4 << 20


class ProgressLog:
    """Appends a run's events; begins the file anew. Safe to call from several threads.

    Parameters
    ----------
    folder : Path
        The run's; made where it is missing.
    clock : callable
        Unix seconds, put into each line as ``at``.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clock = clock
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(folder / FILE_NAME, flags, 0o600)

    def write(self, event: Mapping[str, Any]) -> None:
        """Add an event in one piece. A disk that refuses loses the line, and never ends the run."""
        line = orjson.dumps({"at": round(self._clock(), 3), **event}) + b"\n"
        with contextlib.suppress(OSError):
            os.write(self._descriptor, line)

    def close(self) -> None:
        """Nothing more will be told."""
        os.close(self._descriptor)


def read_progress(folder: Path) -> list[dict[str, Any]]:
    """The events of a run so far, oldest first; empty where nothing was told. Broken lines are left out."""
    try:
        with (folder / FILE_NAME).open("rb") as file:
            content = file.read(MAX_BYTES)
    except OSError:
        return []
    events = []
    for line in content.split(b"\n"):
        with contextlib.suppress(ValueError):
            event = orjson.loads(line)
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                events.append(event)
    return events
