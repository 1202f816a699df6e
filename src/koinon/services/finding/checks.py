# SPDX-License-Identifier: Apache-2.0
"""Verdicts on a service: its latest validations, and which of them say something to a reader.

A Work's owner picks who validates, so a verdict counts only by a contract of the network itself, which
nobody can talk into it, or by an account the reader believes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from koinon.services.finding.trust import Trust
from koinon.works.family import Index

PASSED: Final = 50
"""From this response on, of 100, a check was passed."""

_AT_ONCE: Final = 200
_ANSWERED: Final = """
SELECT q.agent_id, q.request_hash, q.validator_address, r.response, r.tag, b.timestamp
FROM validation_validation_request q
JOIN validation_validation_response r ON r.request_hash = q.request_hash
LEFT JOIN block b ON b.number = r.block_number
WHERE q.agent_id IN ({marks})
ORDER BY r.block_number, r.log_index
"""
_ASKED: Final = (
    "SELECT DISTINCT agent_id FROM validation_validation_request WHERE validator_address IN ({marks})"
)


@dataclass(frozen=True)
class Verdict:
    """The latest answer to one request. ``response`` 0 to 100; ``counts`` whether it says something to the
    reader, ``by_contract`` because a contract of the network gave it; ``timestamp`` in Unix seconds."""

    work_id: int
    validator: str
    request_hash: str
    response: int
    tag: str
    timestamp: int
    by_contract: bool
    counts: bool

    @property
    def passed(self) -> bool:
        return self.response >= PASSED


def verdicts_on(
    index: Index, work_ids: Iterable[int], trust: Trust, contracts: Collection[str]
) -> Mapping[int, tuple[Verdict, ...]]:
    """Every answered validation of these Works, newest first."""
    wanted = list(dict.fromkeys(work_ids))
    latest: dict[str, Verdict] = {}
    for first in range(0, len(wanted), _AT_ONCE):
        some = wanted[first : first + _AT_ONCE]
        for row in index.rows(_ANSWERED.format(marks=", ".join("?" * len(some))), some):
            latest[row["request_hash"]] = _verdict(row, trust, contracts)
    found: dict[int, list[Verdict]] = {}
    for verdict in sorted(latest.values(), key=lambda each: -each.timestamp):
        found.setdefault(verdict.work_id, []).append(verdict)
    return {work_id: tuple(verdicts) for work_id, verdicts in found.items()}


def validated(index: Index, trust: Trust, contracts: Collection[str]) -> set[int]:
    """Works whose newest verdict that counts was passed."""
    judges = [*trust.believed, *contracts]
    asked: set[int] = set()
    for first in range(0, len(judges), _AT_ONCE):
        some = judges[first : first + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        rows = index.rows(
            _ASKED.format(marks=marks),
            some,
        )
        asked |= {int(row["agent_id"]) for row in rows}
    found = verdicts_on(index, asked, trust, contracts)
    return {work_id for work_id, verdicts in found.items() if is_validated(verdicts)}


def is_validated(verdicts: Iterable[Verdict]) -> bool:
    """Whether the newest verdict that counts was passed."""
    newest = next((verdict for verdict in verdicts if verdict.counts), None)
    return newest is not None and newest.passed


def _verdict(row: Mapping[str, Any], trust: Trust, contracts: Collection[str]) -> Verdict:
    validator = str(row["validator_address"])
    by_contract = validator in contracts
    return Verdict(
        work_id=int(row["agent_id"]),
        validator=validator,
        request_hash=str(row["request_hash"]),
        response=int(row["response"]),
        tag=str(row["tag"]),
        timestamp=int(row["timestamp"] or 0),
        by_contract=by_contract,
        counts=by_contract or bool(trust.of(validator)),
    )
