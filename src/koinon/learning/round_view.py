# SPDX-License-Identifier: Apache-2.0
"""A run as its page shows it: who teaches, who has sent, how good the model is so far, who gains by it.

Who takes part and which rounds are over comes from the chain by the index; what happens inside a round, and
the measurements, from what the run's leader tells on this machine (nothing elsewhere). A run without a chain
is told by its folder alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from koinon.learning.drift import OwnerDrift
from koinon.learning.findings import Findings
from koinon.learning.gains import Gain
from koinon.learning.groups import GroupReport
from koinon.learning.swarm_view import SwarmView
from koinon.learning.told import Score, Told, read_told
from koinon.learning.told_privacy import PrivacyTold

State = Literal["waiting", "sent", "missing", "done"]
Stage = Literal["joining", "teaching", "measuring", "measured", "published", "stopped", "elsewhere"]
RUNNING: tuple[Stage, ...] = ("joining", "teaching", "measuring")


class Index(Protocol):
    """What is read of the event index."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class OwnerView:
    """An owner in a run.

    ``contribution`` is its part of what all were found to be worth, 0 to 1, ``share`` the same of all the
    model's income in 1e-9; ``missed`` the rounds that went on without it; ``alone`` what the model it made
    alone scores; ``worth`` its contribution in points of the metric (value, low, high); ``gain`` what it
    found on rows of its own; ``drift`` how far it is from the others; None where it is not known.
    """

    member: int
    address: str
    work_id: int
    state: State
    rounds: int
    contribution: float | None
    share: int | None = None
    missed: tuple[int, ...] = ()
    rows: int | None = None
    alone: float | None = None
    worth: tuple[float, float, float] | None = None
    gain: Gain | None = None
    drift: OwnerDrift | None = None


@dataclass(frozen=True)
class RunView:
    """A run at one moment. ``run_id`` 0 without a chain; ``number`` is the round under way, or the last one;
    ``work_id`` 0 until published.

    ``scores`` are (round, score) on the held-out rows, ``baseline`` what a guess, or a model made alone,
    scores there; ``together`` and ``gain`` (value, low, high) as reported at the end. ``groups`` are the
    newest figures of groups, ``trail`` those after each round; ``copies`` members who share one portion;
    ``privacy`` what owners were promised; ``swarm`` who led, where the run has no leader of its own.
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
    stage: Stage = "elsewhere"
    name: str = ""
    expected: int = 0
    intervals: tuple[tuple[float, float], ...] = ()
    together: tuple[float, float, float] | None = None
    gain: tuple[float, float, float] | None = None
    held_out_rows: int = 0
    left_s: float | None = None
    here: bool = False
    shown_alone: int = 0
    up: int = 0
    down: int = 0
    groups: GroupReport | None = None
    trail: tuple[tuple[int, GroupReport], ...] = ()
    copies: tuple[tuple[int, ...], ...] = ()
    findings: Findings = field(default_factory=Findings)
    privacy: PrivacyTold | None = None
    swarm: SwarmView | None = None

    @property
    def over(self) -> bool:
        """Whether the last round is recorded."""
        return bool(self.owners) and all(owner.state == "done" for owner in self.owners)

    @property
    def running(self) -> bool:
        """Whether it goes on on this machine now."""
        return self.stage in RUNNING

    @property
    def last(self) -> int:
        """How many rounds are over."""
        return self.number if self.over or self.number == 0 else self.number - 1

    @property
    def score(self) -> float | None:
        """The newest measurement: what is reported at the end, or after the last round that was measured."""
        if self.together is not None:
            return self.together[0]
        return self.scores[-1][1] if self.scores else None


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


def runs_with(index: Index, work_id: int, limit: int = 5) -> list[int]:
    """The newest runs that a dataset taught in."""
    found = index.rows(
        "SELECT run_id FROM federation_owner_joined WHERE work_id = ? ORDER BY run_id DESC LIMIT ?",
        (work_id, limit),
    )
    return [int(row["run_id"]) for row in found]


def view(
    index: Index,
    run_id: int,
    folder: Path | None = None,
    told: Told | None = None,
    swarm: SwarmView | None = None,
) -> RunView | None:
    """A run for its picture; None when it was never opened.

    Parameters
    ----------
    folder : Path, optional
        Where its leader keeps its files on this machine.
    told : Told, optional
        What that folder tells, where the caller has read it already.
    swarm : SwarmView, optional
        The run's, where it is a swarm's; its opener is the initiator, and rounds count once proposed.
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
    if told is None:
        told = Told() if folder is None else read_told(folder)
    members = [(int(row["member"]), str(row["owner"]), int(row["work_id"])) for row in joined]
    took_part = {} if swarm is None else dict(swarm.participants)
    took_part |= {int(row["round"]): int(row["participants"]) for row in recorded}
    return _view(
        told,
        members,
        took_part,
        run_id=run_id,
        opener=str(opened[0]["opener"]) if swarm is None else swarm.initiator,
        rounds=int(opened[0]["rounds"]),
        work_id=int(finished[0]["work_id"]) if finished else 0,
        opened_at=int(opened[0]["timestamp"] or 0),
        swarm=swarm,
    )


def view_unrecorded(told: Told) -> RunView:
    """A run without a chain, by its folder alone."""
    return _view(told, [], {}, run_id=0, opener="", rounds=told.rounds, work_id=0, opened_at=told.began_at)


def _view(
    told: Told,
    members: list[tuple[int, str, int]],
    took_part: dict[int, int],
    *,
    run_id: int,
    opener: str,
    rounds: int,
    work_id: int,
    opened_at: int,
    swarm: SwarmView | None = None,
) -> RunView:
    recorded = bool(members)
    if not recorded:  # not on chain yet, or never: in the order of their arrival
        members = [(number, address, 0) for number, address in enumerate(told.joined)]
    for number, missing in told.closed.items():
        present = sum(1 << member for member, address, _ in members if address not in missing)
        took_part.setdefault(number, present)
    last = max(took_part, default=0)
    over = 0 < rounds <= last
    begun = recorded or bool(took_part)
    number = last if over else (last + 1 if begun else 0)
    total = sum(told.contributions.values())
    owners = []
    for member, address, dataset in members:
        missed = tuple(one for one in sorted(took_part) if not took_part[one] >> member & 1)
        taught = len(took_part) - len(missed)
        state: State = "waiting"
        if over and taught:
            state = "done"
        elif (address, number) in told.sent:
            state = "sent"
        elif last and last in missed:
            state = "missing"
        share, more = told.contributions.get(member), told.owners.get(member)
        same = more is not None and more.address == address
        owners.append(
            OwnerView(
                member,
                address,
                dataset,
                state,
                taught,
                share / total if share is not None and total > 0 else None,
                share=share,
                missed=missed,
                rows=more.rows if more is not None and same else None,
                alone=more.alone if more is not None and same else None,
                worth=told.worth.get(member),
                gain=_of(told.findings.gains, member) if same else None,
                drift=_of(told.findings.drifts, member) if same else None,
            )
        )
    return RunView(
        run_id=run_id,
        opener=opener,
        number=number,
        rounds=rounds,
        owners=tuple(owners),
        work_id=work_id,
        opened_at=opened_at,
        stage=_stage(told, work_id, over=over, begun=begun),
        name=told.name,
        expected=told.expected,
        together=told.together,
        gain=told.gain,
        held_out_rows=told.held_out_rows,
        left_s=told.left_s,
        here=bool(told.began_at),
        shown_alone=told.shown_alone,
        up=told.up,
        down=told.down,
        groups=told.findings.groups or (told.groups[-1][1] if told.groups else None),
        trail=told.groups,
        copies=told.copies,
        findings=told.findings,
        privacy=told.privacy,
        swarm=swarm,
        **_measured(told),
    )


def _of(found: Sequence[Any], member: int) -> Any:
    return found[member] if member < len(found) else None


def _stage(told: Told, work_id: int, *, over: bool, begun: bool) -> Stage:
    if work_id:
        return "published"
    if told.led:
        return "measuring" if over else ("teaching" if begun else "joining")
    if told.measured or (over and not told.began_at):
        return "measured"
    return "stopped" if told.stopped or told.began_at else "elsewhere"


def _measured(told: Told) -> Mapping[str, Any]:
    """Scores by round and the baseline beside them; an interval each, or none at all."""
    scores: tuple[Score, ...] = told.scores
    intervals = tuple(one.interval for one in scores if one.interval is not None)
    found: dict[str, Any] = {
        "metric": told.metric,
        "scores": tuple((one.round, one.value) for one in scores),
        "intervals": intervals if len(intervals) == len(scores) else (),
        "baseline": told.chance,
        "baseline_name": "" if told.chance is None else "chance",
    }
    if told.alone is not None:
        found |= {"baseline": told.alone, "baseline_name": "alone"}
    return found
