# SPDX-License-Identifier: Apache-2.0
"""What was promised of a Work's answers, submitted, disputed and ruled, as the event index has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from koinon.services.verification.contract import Reason
from koinon.works.bonds import Outcome
from koinon.works.family import Index

State = Literal["open", "disputed", "broken", "kept", "undisputed", "not told"]
"""How a batch stands: its window is ``open``; it is ``disputed`` now; a committee found it ``broken`` or
``kept``; it was ``undisputed`` and that is in the registry, or is over and ``not told`` yet."""

MOST: Final = 200


@dataclass(frozen=True)
class Promised:
    """A promise. ``fee`` in the coin's smallest unit, ``at`` in Unix seconds."""

    bond_id: int
    work_id: int
    promiser: str
    signer: str
    fee: int
    audit_ppm: int
    window_s: int
    bounty_bps: int
    details: str
    request: str
    at: int


@dataclass(frozen=True)
class Dispute:
    """A dispute; ``outcome`` is `Outcome.OPEN` until it is settled, ``request`` a batch's or a promise's."""

    challenge_id: int
    request: str
    bond_id: int
    case_id: int
    reason: Reason
    number: int
    uri: str
    at: int
    outcome: Outcome


@dataclass(frozen=True)
class Batched:
    """A batch of so many answers."""

    request: str
    bond_id: int
    answers: int
    submitted_at: int
    open_until: int
    state: State


@dataclass(frozen=True)
class History:
    """All of it, the newest first."""

    promises: Sequence[Promised]
    batches: Sequence[Batched]
    disputes: Sequence[Dispute]

    @property
    def answers(self) -> int:
        """How many answers were submitted."""
        return sum(each.answers for each in self.batches)

    @property
    def lies(self) -> int:
        """How many disputes a committee upheld."""
        return sum(each.outcome is Outcome.UPHELD for each in self.disputes)


def promises_of(index: Index, promiser: str) -> list[Promised]:
    """The promises that an account made, the newest first."""
    return _promises(index, "promiser", promiser)


def history_of(index: Index, work_id: int, now: int) -> History:
    """What is known of a Work's answers; ``now`` in Unix seconds."""
    promises = _promises(index, "work_id", work_id)
    disputes = _disputes(index, [each.bond_id for each in promises])
    return History(promises, _batches(index, work_id, disputes, now), disputes)


def _promises(index: Index, column: str, value: int | str) -> list[Promised]:
    rows = index.rows(
        "SELECT p.*, b.timestamp AS at FROM verification_promised p"  # noqa: S608  (a constant name)
        f" LEFT JOIN block b ON b.number = p.block_number WHERE p.{column} = ?"
        " ORDER BY p.block_number DESC, p.log_index DESC LIMIT ?",
        (value, MOST),
    )
    return [
        Promised(
            int(row["bond_id"]),
            int(row["work_id"]),
            row["promiser"],
            row["signer"],
            int(row["fee"]),
            int(row["audit_ppm"]),
            int(row["window_s"]),
            int(row["bounty_bps"]),
            row["details"],
            row["request"],
            int(row["at"] or 0),
        )
        for row in rows
    ]


def _disputes(index: Index, bonds: Sequence[int]) -> list[Dispute]:
    if not bonds:
        return []
    marks = ",".join("?" * len(bonds))
    rows = index.rows(
        "SELECT d.*, b.timestamp AS at, s.outcome AS outcome FROM verification_disputed d"  # noqa: S608  (marks)
        " LEFT JOIN verification_settled s ON s.challenge_id = d.challenge_id"
        f" LEFT JOIN block b ON b.number = d.block_number WHERE d.bond_id IN ({marks})"
        " ORDER BY d.block_number DESC, d.log_index DESC LIMIT ?",
        (*bonds, MOST),
    )
    return [
        Dispute(
            int(row["challenge_id"]),
            row["request"],
            int(row["bond_id"]),
            int(row["case_id"]),
            Reason(int(row["reason"])),
            int(row["number"]),
            row["uri"],
            int(row["at"] or 0),
            Outcome(int(row["outcome"] or 0)),
        )
        for row in rows
    ]


def _batches(index: Index, work_id: int, disputes: Sequence[Dispute], now: int) -> list[Batched]:
    rows = index.rows(
        "SELECT s.*, b.timestamp AS at, p.request AS passed FROM verification_submitted s"
        " LEFT JOIN verification_passed p ON p.request = s.request"
        " LEFT JOIN block b ON b.number = s.block_number WHERE s.work_id = ?"
        " ORDER BY s.block_number DESC, s.log_index DESC LIMIT ?",
        (work_id, MOST),
    )
    outcomes: dict[str, set[Outcome]] = {}
    for each in disputes:
        outcomes.setdefault(each.request, set()).add(each.outcome)
    return [
        Batched(
            row["request"],
            int(row["bond_id"]),
            int(row["count"]),
            int(row["at"] or 0),
            int(row["open_until"]),
            _state(
                outcomes.get(row["request"], set()),
                passed=row["passed"] is not None,
                over=int(row["open_until"]) <= now,
            ),
        )
        for row in rows
    ]


def _state(outcomes: set[Outcome], *, passed: bool, over: bool) -> State:
    if Outcome.UPHELD in outcomes:
        return "broken"
    if Outcome.OPEN in outcomes:
        return "disputed"
    if Outcome.DISMISSED in outcomes:
        return "kept"
    if passed:
        return "undisputed"
    return "not told" if over else "open"
