# SPDX-License-Identifier: Apache-2.0
"""Finding: one thing the watch noticed, with the transfers that show it and a sentence that says why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from koinon.watch.graph.edges import Edges


@dataclass(frozen=True)
class Finding:
    """Something that people should look at.

    Parameters
    ----------
    kind : str
        What it is, such as ``cycle``.
    why : str
        One sentence for people.
    strength : float
        How much it stands out, from 0 to 1; comparable within a kind.
    accounts : tuple of str
        Who it is about, the most concerned first.
    edges : tuple of dict
        The transfers that show it: source, target, timestamp, amount. May be empty (an address on a list).
    start, end : int
        Unix seconds of the first and last transfer; when it was noticed, where there is none.
    """

    kind: str
    why: str
    strength: float
    accounts: tuple[str, ...]
    edges: tuple[Mapping[str, Any], ...]
    start: int
    end: int

    @classmethod
    def of_rows(
        cls, edges: Edges, kind: str, rows: Sequence[int], *, why: str, strength: float, about: Sequence[int]
    ) -> Self:
        """A finding about some accounts, from rows of the table of transfers."""
        chosen = sorted({int(row) for row in rows})
        told = [{key: value for key, value in row.items() if key != "row"} for row in edges.rows(chosen)]
        named = dict.fromkeys(edges.name(int(account)) for account in about)
        named |= dict.fromkeys(str(row[end]) for row in told for end in ("source", "target"))
        times = [int(edges.timestamp[row]) for row in chosen]
        level = min(1.0, max(0.0, float(strength)))
        return cls(kind, why, level, tuple(named), tuple(told), min(times), max(times))

    @property
    def digest(self) -> str:
        """Names this finding: the same kind, accounts and transfers, found again, are the same finding."""
        told = json.dumps([self.kind, sorted(self.accounts), list(self.edges)], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def amount(self) -> float:
        """What its transfers moved in all."""
        return float(sum(float(edge["amount"]) for edge in self.edges))

    def document(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {"digest": self.digest, **asdict(self), "amount": self.amount}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` wrote."""
        return cls(
            str(document["kind"]),
            str(document["why"]),
            float(document["strength"]),
            tuple(document["accounts"]),
            tuple(document["edges"]),
            int(document["start"]),
            int(document["end"]),
        )
