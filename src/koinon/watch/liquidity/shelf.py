# SPDX-License-Identifier: Apache-2.0
"""Reports of liquidity that are kept for people to look at: one of each name, the newest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

FOLDER: Final = "liquidity"
KINDS: Final = ("pool", "tail", "warnings")
"""Reports of one pool or vault, of a series' tail, and of how often warnings were right."""


class ReportShelf:
    """A folder with a file for each report."""

    def __init__(self, home: Path) -> None:
        self.folder = home / FOLDER

    def keep(self, kind: str, name: str, document: Mapping[str, Any], *, now: int) -> dict[str, Any]:
        """Keep a report under its kind and name; what is kept, with ``kind``, ``name`` and ``made_at`` (Unix
        seconds)."""
        kept = {**document, "kind": kind, "name": name, "made_at": now}
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
        draft = path.with_suffix(".new")
        draft.write_bytes(orjson.dumps(kept, option=orjson.OPT_SERIALIZE_NUMPY))
        draft.replace(path)
        return kept

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The reports of a kind, the newest first."""
        found = [orjson.loads(path.read_bytes()) for path in self.folder.glob(f"{kind}-*.json")]
        return sorted(found, key=lambda each: (-each["made_at"], each["name"]))
