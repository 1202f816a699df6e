# SPDX-License-Identifier: Apache-2.0
"""Every Work that is called, as rows of a text index, kept level with the directory."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from koinon.errors import KoinonError
from koinon.services.finding.masks import Columns
from koinon.services.finding.text_index import TextIndex
from koinon.works.directory import CURRENT
from koinon.works.family import Family

KIND: Final = "service"
"""Works of this kind are called; models and agents only where their file names a gateway."""

RAIL: Final = "x402"
"""Name of the registration file's entry that says where a Work is called."""

OVERLAP_S: Final = 10
"""Files read so many seconds ago are looked at again: clocks are set back now and then."""

_WORKS: Final = f"""
SELECT f.work_id, f.uri, f.kind, f.name, f.summary, f.description, f.looked_at FROM work_file f
WHERE f.state = 'read' AND f.kind IN ('service', 'model', 'agent') AND {CURRENT}
"""  # noqa: S608  constants
_ORDER: Final = "ORDER BY f.looked_at, f.work_id"


@dataclass(frozen=True, slots=True)
class Row:
    """A Work as lists of services show it."""

    work_id: int
    uri: str
    kind: str
    name: str
    summary: str
    description: str


class Rows:
    """Works that are called. Not safe to share between threads.

    Parameters
    ----------
    family : Family
    clock : callable
        Unix seconds, of whoever reads the files.
    """

    def __init__(self, family: Family, clock: Callable[[], float] = time.time) -> None:
        self.family, self._clock = family, clock
        self.index = TextIndex()
        self.rows: list[Row] = []
        self.columns = Columns()
        self._of: dict[int, int] = {}
        self._looked_at = 0

    def __len__(self) -> int:
        return len(self._of)

    def refresh(self, sold_here: Collection[int] = ()) -> list[int]:
        """Take in Works whose files were read since the last time; the places of their rows. A Work that now
        points to another file is known by that one only.

        ``sold_here`` are Works that this node's own gateway sells, whatever their files say.
        """
        newest = self.family.index.rows("SELECT MAX(looked_at) AS at FROM work_file WHERE state = 'read'")
        found: list[dict[str, Any]] = []
        if (newest[0]["at"] or 0) >= self._looked_at:
            found = self.family.index.rows(f"{_WORKS} AND f.looked_at >= ? {_ORDER}", (self._looked_at,))
        added = [self.add(_row(row), called=int(row["work_id"]) in sold_here) for row in found]
        for work_id in (each for each in sold_here if each not in self._of):
            for row in self.family.index.rows(f"{_WORKS} AND f.work_id = ?", (work_id,)):
                added.append(self.add(_row(row), called=True))
        if found:
            after = int(found[-1]["looked_at"]) + 1
            self._looked_at = max(self._looked_at, min(after, int(self._clock()) - OVERLAP_S))
        return [place for place in added if place is not None]

    def add(self, row: Row, *, called: bool = False) -> int | None:
        """Take in one Work, where it is called and not known yet; its place."""
        known = self._of.get(row.work_id)
        if known is not None and self.rows[known].uri == row.uri:
            return None
        if row.kind != KIND and not called and not is_called(self.family, row.uri):
            return None
        place = self.index.add(row.name, (row.summary, row.description, row.kind))
        self.rows.append(row)
        self.columns.add()
        if known is not None:
            self.columns.fall(known)
        self._of[row.work_id] = place
        return place

    def place_of(self, work_id: int) -> int | None:
        """The row of a Work; None where it is not called."""
        return self._of.get(work_id)


def is_called(family: Family, uri: str) -> bool:
    """Whether a registration file names a gateway, and says that it is active."""
    try:
        file = family.file(uri).registration
    except KoinonError:
        return False
    return file.active and any(service.name == RAIL for service in file.services)


def _row(found: Mapping[str, Any]) -> Row:
    return Row(
        int(found["work_id"]),
        *(str(found[name]) for name in ("uri", "kind", "name", "summary", "description")),
    )
