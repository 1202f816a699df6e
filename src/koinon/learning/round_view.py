# SPDX-License-Identifier: Apache-2.0
"""A run as its picture shows it: who teaches, who has sent, how good the model is so far.

Who takes part and which rounds are over comes from the chain by the index; what happens inside a round, and
the measurements, from what the run's leader tells on this machine (nothing elsewhere).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from koinon.learning.progress import read_progress

State = Literal["waiting", "sent", "missing", "done"]


class Index(Protocol):
    """What is read of the event index."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class OwnerView:
    """An owner in a run. ``contribution`` is its part of what all were found to be worth, 0 to 1."""

    member: int
    address: str
    work_id: int
    state: State
    rounds: int
    contribution: float | None


@dataclass(frozen=True)
class RunView:
    """A run at one moment. ``number`` is the round under way, or the last one; ``work_id`` 0 until published.

    ``scores`` are (round, score) on the held-out rows, ``baseline`` what a guess, or a model made alone,
    scores there.
    """

    run_id: int
    opener: str
    number: int
    rounds: int
    owners: tuple[OwnerView, ...]
    metric: str
    scores: tuple[tuple[int, float], ...]
    baseline: float | None
    baseline_name: Literal["chance", "alone", ""]
    work_id: int
    opened_at: int

    @property
    def over(self) -> bool:
        """Whether the last round is recorded."""
        return bool(self.owners) and all(owner.state == "done" for owner in self.owners)


def runs(index: Index, before: int | None = None, limit: int = 25) -> list[int]:
    """Ids of the newest runs."""
    found = index.rows(
        "SELECT run_id FROM federation_run_opened WHERE run_id < ? ORDER BY run_id DESC LIMIT ?",
        (2**62 if before is None else before, limit),
    )
    return [int(row["run_id"]) for row in found]


def run_of_work(index: Index, work_id: int) -> int | None:
    """The run that made a model; None for a Work that no run made."""
    found = index.rows("SELECT run_id FROM federation_run_finished WHERE work_id = ?", (work_id,))
    return int(found[0]["run_id"]) if found else None


def view(index: Index, run_id: int, folder: Path | None = None) -> RunView | None:
    """A run for its picture; None when it was never opened.

    Parameters
    ----------
    folder : Path, optional
        Where its leader keeps its files on this machine.
    """
    opened = index.rows(
        "SELECT o.opener, o.rounds, b.timestamp FROM federation_run_opened o"
        " LEFT JOIN block b ON b.number = o.block_number WHERE o.run_id = ?",
        (run_id,),
    )
    if not opened:
        return None
    joined = index.rows(
        "SELECT member, owner, work_id FROM federation_owner_joined WHERE run_id = ? ORDER BY member",
        (run_id,),
    )
    recorded = index.rows(
        "SELECT round, participants FROM federation_round_recorded WHERE run_id = ? ORDER BY round", (run_id,)
    )
    finished = index.rows("SELECT work_id FROM federation_run_finished WHERE run_id = ?", (run_id,))
    told = [] if folder is None else read_progress(folder)
    rounds = int(opened[0]["rounds"])
    last = int(recorded[-1]["round"]) if recorded else 0
    over = last >= rounds
    number = last if over else (last + 1 if joined else 0)
    sent = {str(event.get("owner")) for event in told if _is_update(event, number)}
    contributions = {} if folder is None else _contributions(folder)
    owners = []
    for row in joined:
        member, address = int(row["member"]), str(row["owner"])
        took_part = sum(int(one["participants"]) >> member & 1 for one in recorded)
        was_missing = bool(recorded) and not int(recorded[-1]["participants"]) >> member & 1
        state: State = "waiting"
        if over and took_part:
            state = "done"
        elif address in sent:
            state = "sent"
        elif was_missing:
            state = "missing"
        owners.append(
            OwnerView(member, address, int(row["work_id"]), state, took_part, contributions.get(member))
        )
    return RunView(
        run_id=run_id,
        opener=str(opened[0]["opener"]),
        number=number,
        rounds=rounds,
        owners=tuple(owners),
        work_id=int(finished[0]["work_id"]) if finished else 0,
        opened_at=int(opened[0]["timestamp"] or 0),
        **_measured(told),
    )


def _is_update(event: Mapping[str, Any], number: int) -> bool:
    return event["event"] == "update" and event.get("round") == number


def _measured(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Scores by round and the baseline beside them, out of what was told."""
    scores = [
        (event["round"], float(event["score"]))
        for event in told
        if event["event"] == "score" and _number(event.get("score")) and isinstance(event.get("round"), int)
    ]
    found: dict[str, Any] = {"metric": "", "scores": tuple(scores), "baseline": None, "baseline_name": ""}
    for event in told:
        if event["event"] == "score" and _number(event.get("chance")):
            found |= {"baseline": float(event["chance"]), "baseline_name": "chance"}
            found["metric"] = str(event.get("metric", ""))
    for event in told:
        if event["event"] == "measured" and _number(event.get("alone")):
            found |= {"baseline": float(event["alone"]), "baseline_name": "alone"}
    return found


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _contributions(folder: Path) -> dict[int, float]:
    """Member → part of the owners' income, once it is measured."""
    try:
        shares = orjson.loads((folder / "contributions.json").read_bytes())["shares"]
        parts = {int(member): int(share) for member, share in shares.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    total = sum(parts.values())
    return {member: share / total for member, share in parts.items()} if total > 0 else {}
