# SPDX-License-Identifier: Apache-2.0
"""The folders of runs led on this machine, found again by a run's number and recipe."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Final

from koinon.learning.api import RUNS
from koinon.learning.led_run import UNRECORDED
from koinon.learning.told import Told, read_told, stamp

HOMES: Final = ("learning", "tour")
"""Where in a data directory runs are led: by ``koinon learn run``, and by the tour."""

_REMEMBERED: Final = 256


class RunFolders:
    """What the runs of one data directory tell; read again only where something changed.

    Parameters
    ----------
    home : Path
        The data directory.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = Lock()
        self._read: dict[Path, tuple[tuple[object, ...], Told]] = {}

    def of(self, run_id: int, recipe: str) -> tuple[Path | None, Told]:
        """The folder of a run with a recipe of this digest, and what it tells.

        A folder of the same number that belonged to another chain is told apart by its recipe; where both
        homes have one, the newest counts.
        """
        wanted = recipe.removeprefix("0x").lower()
        newest: tuple[Path | None, Told] = (None, Told())
        for folder in self._candidates(str(run_id)):
            told = self.told(folder)
            if told.recipe in ("", wanted) and (newest[0] is None or told.began_at > newest[1].began_at):
                newest = folder, told
        return newest

    def unrecorded(self) -> tuple[Path | None, Told]:
        """The last run without a chain."""
        for folder in self._candidates(UNRECORDED):
            return folder, self.told(folder)
        return None, Told()

    def told(self, folder: Path) -> Told:
        """What a folder tells now."""
        now = stamp(folder)
        with self._lock:
            known = self._read.get(folder)
        if known is not None and known[0] == now:
            return known[1]
        told = read_told(folder)
        with self._lock:
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            self._read[folder] = now, told
        return told

    def _candidates(self, name: str) -> list[Path]:
        folders = (self._home / home / RUNS / name for home in HOMES)
        return [folder for folder in folders if folder.is_dir()]
