# SPDX-License-Identifier: Apache-2.0
"""How often later transfers were measured on: each look makes it likelier that a model is chosen by luck."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import orjson

from koinon.watch.graph.edges import Edges

FILE_NAME: Final = "held_out.json"
KEPT: Final = 64


class HeldOut:
    """The file that counts.

    Of each measured part the smallest fingerprints of its transfers are kept: parts that share one overlap.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def use(self, edges: Edges, part: slice) -> int:
        """Count one look at a part; how many looks it, or what overlaps it, has had, with this one."""
        seen: list[list[str]] = orjson.loads(self.path.read_bytes()) if self.path.exists() else []
        prints = sorted(_print(row) for row in edges.rows(range(part.start, part.stop)))[:KEPT]
        own = set(prints)
        looks = 1 + sum(not own.isdisjoint(each) for each in seen)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_bytes(orjson.dumps([*seen, prints]))
        draft.replace(self.path)
        return looks


def _print(row: dict[str, object]) -> str:
    told = [row["source"], row["target"], row["timestamp"], row["amount"]]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()[:16]
