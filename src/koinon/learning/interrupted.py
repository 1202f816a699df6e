# SPDX-License-Identifier: Apache-2.0
"""Runs whose leader was stopped before they were over.

While a run is led, its folder holds ``underway.json``, and after every round ``evidence.bin`` with all rounds
so far. Nothing of a run is held by the contracts but digests: no stake is locked, owners' permissions name
this run only and end by themselves. So an interrupted run needs no undoing; its evidence is kept and it is
closed, and its owners can be paid only for a run that is finished.
"""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.keys import write_private

UNDERWAY: Final = "underway.json"
STOPPED: Final = "stopped.json"
_LOCK: Final = "lock"


class Underway:
    """Says, as long as the process lives, that a run is being led in a folder; `done` when it is over."""

    def __init__(self, folder: Path, run_id: int, rounds: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._rounds, self._run_id = folder, rounds, run_id
        self._lock = (folder / _LOCK).open("ab")
        with contextlib.suppress(BlockingIOError):  # unrecorded runs share a folder
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / STOPPED).unlink(missing_ok=True)
        self.reached(0)

    def reached(self, round_number: int) -> None:
        """This round is over and in the evidence."""
        state = {"run_id": self._run_id, "round": round_number, "rounds": self._rounds}
        write_private(self._folder / UNDERWAY, orjson.dumps(state))

    def done(self) -> None:
        """The run is measured: nothing of it is interrupted any more."""
        (self._folder / UNDERWAY).unlink(missing_ok=True)

    def close(self) -> None:
        """The process leads it no more."""
        self._lock.close()


def is_led(folder: Path) -> bool:
    """Whether a process leads the run in a folder now."""
    if not (folder / UNDERWAY).exists():
        return False  # its leader takes the lock first, so that looking never keeps a leader from it
    try:
        with (folder / _LOCK).open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    except OSError:
        return False
    return False


def close_interrupted(runs: Path) -> list[str]:
    """Close every run in ``runs`` that nobody leads any more; a sentence for each."""
    said = []
    for marker in sorted(runs.glob(f"*/{UNDERWAY}")):
        folder = marker.parent
        with (folder / _LOCK).open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # it is being led
            state = _read(marker)
            marker.replace(folder / STOPPED)
        number, rounds = state.get("round", 0), state.get("rounds", "?")
        kept = f" Its evidence is in {folder / 'evidence.bin'}." if number else ""
        said.append(
            f"Run {state.get('run_id', folder.name)} was stopped after round {number} of {rounds} and is "
            f"closed: no stake is held, and its owners' permissions end by themselves.{kept}"
        )
    return said


def _read(marker: Path) -> dict[str, Any]:
    try:
        state = orjson.loads(marker.read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
