# SPDX-License-Identifier: Apache-2.0
"""Which findings are one case: those that share a transfer, or are about the same account at about the same
time. A shared partner is not enough: everybody pays the same exchange. Neither is a transfer of such a
service, nor what is found about it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from koinon.watch.findings import Finding
from koinon.watch.graph.windows import WEEK_S

GAP_S: Final = WEEK_S
PRIORS: Final[Mapping[str, float]] = {
    "listed": 0.9,
    "model": 0.8,
    "structuring": 0.6,
    "peel_chain": 0.6,
    "scatter_gather": 0.4,
    "cycle": 0.3,
    "pass_through": 0.3,
    "gather_scatter": 0.2,
    "lookalike": 0.2,
    "fan_in": 0.1,
    "fan_out": 0.1,
}
"""How much a kind of finding counts before anything was learned; `model.Model.kinds` replaces it."""

UNKNOWN: Final = 0.3


def keys(finding: Finding, services: Collection[str] = ()) -> list[str]:
    """What joins a finding to others: each of its transfers, and whom it is about, but for ``services``.

    Where nothing is left, the finding stands alone.
    """
    found = [
        _short(edge)
        for edge in finding.edges
        if edge["source"] not in services and edge["target"] not in services
    ]
    about = finding.accounts[0]
    return [*dict.fromkeys(found), *([] if about in services else [f"about:{about.lower()}"])]


def form(findings: Sequence[Finding], gap_s: int = GAP_S, services: Collection[str] = ()) -> list[list[int]]:
    """The findings' places, by case; cases in the order of their first finding. ``services`` as in `keys`."""
    parent = list(range(len(findings)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    last: dict[str, tuple[int, int]] = {}
    for at in sorted(range(len(findings)), key=lambda each: (findings[each].start, each)):
        each = findings[at]
        for key in keys(each, services):
            before = last.get(key)
            if before is not None and (not key.startswith("about:") or each.start - before[1] <= gap_s):
                one, other = root(before[0]), root(at)
                parent[max(one, other)] = min(one, other)
            last[key] = at, max(each.end, before[1] if before is not None else each.end)
    cases: dict[int, list[int]] = {}
    for at in range(len(findings)):
        cases.setdefault(root(at), []).append(at)
    return list(cases.values())


def priority(findings: Sequence[Finding], kinds: Mapping[str, float] | None = None) -> float:
    """How soon a case should be looked at, from 0 to 1: of each kind the strongest finding counts, and kinds
    add up as independent chances do."""
    best: dict[str, float] = {}
    for each in findings:
        best[each.kind] = max(best.get(each.kind, 0.0), each.strength)
    weights = {**PRIORS, **(kinds or {})}
    doubt = 1.0
    for kind, strength in best.items():
        doubt *= 1 - weights.get(kind, UNKNOWN) * strength
    return 1 - doubt


def _short(edge: Mapping[str, object]) -> str:
    told = json.dumps([edge["source"], edge["target"], edge["timestamp"], edge["amount"]])
    return hashlib.sha256(told.encode()).hexdigest()[:32]
