# SPDX-License-Identifier: Apache-2.0
"""A case as people see it, and what may be decided of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from koinon.watch.findings import Finding

STATUSES: Final = ("new", "in review", "escalated", "confirmed", "cleared")
OPEN: Final = ("new", "in review", "escalated")
DECIDED: Final = ("confirmed", "cleared")
WATCH: Final = "the watch"
"""Who opened and joined cases, in the audit trail."""


@dataclass(frozen=True)
class Decision:
    """One line of the audit trail: who said what of a case, when and why. Never changed, never removed."""

    number: int
    case_id: int
    at: int
    who: str
    before: str
    status: str
    why: str


@dataclass(frozen=True)
class Case:
    """Findings that hang together.

    Parameters
    ----------
    id : int
    status : str
        One of `STATUSES`.
    priority : float
        How soon to look at it, from 0 to 1.
    opened_at, changed_at : int
        Unix seconds.
    start, end : int
        Unix seconds of the first and last transfer.
    findings : tuple of Finding
        The strongest first.
    decisions : tuple of Decision
        The audit trail, the oldest first; that of cases that were joined to it too.
    """

    id: int
    status: str
    priority: float
    opened_at: int
    changed_at: int
    start: int
    end: int
    findings: tuple[Finding, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def accounts(self) -> tuple[str, ...]:
        """Who is in it, those it is about first."""
        first = [each.accounts[0] for each in self.findings]
        return tuple(dict.fromkeys([*first, *(one for each in self.findings for one in each.accounts)]))

    @property
    def edges(self) -> tuple[dict[str, Any], ...]:
        """Its transfers in the order of time, each once."""
        found = {
            (edge["timestamp"], edge["source"], edge["target"], edge["amount"]): dict(edge)
            for each in self.findings
            for edge in each.edges
        }
        return tuple(found[key] for key in sorted(found))

    def document(self) -> dict[str, Any]:
        """As JSON, whole: enough to draw its graph and its money in time."""
        return {
            "id": self.id,
            "status": self.status,
            "priority": round(self.priority, 4),
            "opened_at": self.opened_at,
            "changed_at": self.changed_at,
            "start": self.start,
            "end": self.end,
            "kinds": sorted({each.kind for each in self.findings}),
            "accounts": list(self.accounts),
            "edges": list(self.edges),
            "findings": [each.document() for each in self.findings],
            "decisions": [asdict(each) for each in self.decisions],
        }
