# SPDX-License-Identifier: Apache-2.0
"""What a run's folder on this machine tells of it: how far it is, how good, what each owner came to.

Everything here may be missing, torn or old; what cannot be read is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.learning.findings import Findings
from koinon.learning.groups import GroupReport
from koinon.learning.interrupted import STOPPED, is_led
from koinon.learning.progress import FILE_NAME, read_progress
from koinon.learning.told_findings import read_findings, read_groups
from koinon.learning.told_privacy import PrivacyTold, read_privacy

OUTCOME: Final = "outcome.json"
CONTRIBUTIONS: Final = "contributions.json"
_MOST_OWNERS: Final = 100
_LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class Score:
    """The model after a round, on the held-out rows; the interval is None where it was not told."""

    round: int
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class OwnerTold:
    """What an owner came to. ``alone`` scores the model it made alone; None where it showed none."""

    address: str
    rows: int
    alone: float | None


@dataclass(frozen=True)
class Told:
    """A run as its folder tells it.

    ``recipe`` is the recipe's digest in hexadecimal, ``closed`` the rounds that are over, with who was
    missing, ``left_s`` seconds until the last round ends if it goes on like this, ``led`` whether a process
    leads it now, ``shown_alone`` how many owners showed the model they made alone, ``up`` and ``down`` the
    bytes sent so far. ``together`` and ``gain`` are (value, low, high) once measured; ``worth`` the same by
    member, with ``copies`` the members whose updates are so alike that they share one portion. ``groups`` has
    how groups fared by round, ``findings`` everything else that was found out at the end, ``privacy`` what
    owners were promised.
    """

    name: str = ""
    recipe: str = ""
    rounds: int = 0
    expected: int = 0
    held_out_rows: int = 0
    began_at: int = 0
    joined: tuple[str, ...] = ()
    sent: frozenset[tuple[str, int]] = frozenset()
    closed: Mapping[int, frozenset[str]] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    metric: str = ""
    chance: float | None = None
    alone: float | None = None
    together: tuple[float, float, float] | None = None
    gain: tuple[float, float, float] | None = None
    owners: Mapping[int, OwnerTold] = field(default_factory=dict)
    contributions: Mapping[int, int] = field(default_factory=dict)
    left_s: float | None = None
    led: bool = False
    stopped: bool = False
    measured: bool = False
    shown_alone: int = 0
    up: int = 0
    down: int = 0
    worth: Mapping[int, tuple[float, float, float]] = field(default_factory=dict)
    copies: tuple[tuple[int, ...], ...] = ()
    groups: tuple[tuple[int, GroupReport], ...] = ()
    findings: Findings = field(default_factory=Findings)
    privacy: PrivacyTold | None = None

    @property
    def last(self) -> int:
        """The last round that is over."""
        return max(self.closed, default=0)


def read_told(folder: Path) -> Told:
    """What a folder tells now; an empty `Told` where it tells nothing."""
    events = read_progress(folder)
    first = next((event for event in events if event["event"] == "opened"), {})
    closed = {
        event["round"]: frozenset(str(owner) for owner in _list(event.get("missing")))
        for event in events
        if event["event"] == "round" and _is_count(event.get("round"))
    }
    scores = [
        Score(event["round"], float(event["score"]), _pair(event.get("low"), event.get("high")))
        for event in events
        if event["event"] == "score" and _is_number(event.get("score")) and _is_count(event.get("round"))
    ]
    measured = [event for event in events if event["event"] == "measured"]
    outcome, contributions = _json(folder / OUTCOME), _json(folder / CONTRIBUTIONS)
    rounds = _count(first.get("rounds")) or max((_count(event.get("rounds")) for event in events), default=0)
    return Told(
        name=_words(first.get("name")),
        recipe=_words(first.get("recipe")),
        rounds=rounds,
        expected=_count(first.get("owners")),
        held_out_rows=_count(outcome.get("held_out_rows")),
        began_at=int(_stamp(events[0])) if events else 0,
        joined=tuple(
            dict.fromkeys(str(event.get("owner", ""))[:64] for event in events if event["event"] == "joined")
        ),
        sent=frozenset(
            (str(event.get("owner")), event["round"])
            for event in events
            if event["event"] == "update" and _is_count(event.get("round"))
        ),
        closed=closed,
        scores=tuple(scores),
        metric=_last(events, "metric", str) or "",
        chance=_last(events, "chance", float),
        alone=_last(measured, "alone", float),
        together=_triple(outcome.get("together")),
        gain=_triple(outcome.get("gain")),
        owners=_owners(outcome),
        contributions=_shares(contributions),
        left_s=_left(events, rounds),
        led=is_led(folder),
        stopped=(folder / STOPPED).exists(),
        measured=bool(measured),
        shown_alone=sum(event["event"] == "alone" for event in events),
        up=max((_count(event.get("up")) for event in events), default=0),
        down=max((_count(event.get("down")) for event in events), default=0),
        worth=_worth(contributions),
        copies=_copies(contributions),
        groups=read_groups(events),
        findings=read_findings(outcome),
        privacy=read_privacy(events),
    )


def stamp(folder: Path) -> tuple[object, ...]:
    """Changes whenever what a folder tells may have changed."""
    found: list[object] = [is_led(folder)]
    for name in (FILE_NAME, OUTCOME, STOPPED, CONTRIBUTIONS):
        try:
            state = (folder / name).stat()
            found.append((state.st_ino, state.st_size, state.st_mtime_ns))
        except OSError:
            found.append(None)
    return tuple(found)


def _left(events: Sequence[Mapping[str, Any]], rounds: int) -> float | None:
    """The rounds that are left, at the pace of those that are over."""
    ends = [
        _stamp(event)
        for event in events
        if event["event"] == "started" or (event["event"] == "round" and _is_count(event.get("round")))
    ]
    over = len(ends) - 1
    if over < 1 or rounds < over:
        return None
    return max(0.0, (ends[-1] - ends[0]) / over * (rounds - over))


def _owners(outcome: Mapping[str, Any]) -> dict[int, OwnerTold]:
    found = {}
    for entry in _list(outcome.get("owners"))[:_MOST_OWNERS]:
        if isinstance(entry, dict) and _is_count(entry.get("index")):
            alone = float(entry["alone"]) if _is_number(entry.get("alone")) else None
            found[entry["index"]] = OwnerTold(
                str(entry.get("address", ""))[:64], _count(entry.get("rows")), alone
            )
    return found


def _shares(told: Mapping[str, Any]) -> dict[int, int]:
    """Member → share of the model's income in 1e-9, once it is measured."""
    try:
        return {int(member): int(share) for member, share in told.get("shares", {}).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _worth(told: Mapping[str, Any]) -> dict[int, tuple[float, float, float]]:
    """Member → what it was found to be worth, in points of the metric: (value, low, high)."""
    columns = [_list(told.get(name))[:_MOST_OWNERS] for name in ("values", "low", "high")]
    if len({len(column) for column in columns}) != 1:
        return {}
    return {
        member: (float(row[0]), float(row[1]), float(row[2]))
        for member, row in enumerate(zip(*columns, strict=True))
        if all(_is_number(value) for value in row)
    }


def _copies(told: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
    groups = [tuple(one for one in _list(group) if _is_count(one)) for group in _list(told.get("copies"))]
    return tuple(group for group in groups[:_MOST_OWNERS] if len(group) > 1)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _last(events: Sequence[Mapping[str, Any]], name: str, kind: type[Any]) -> Any:
    """The newest value of a field, as text or number; None where none was told."""
    for event in reversed(events):
        value = event.get(name)
        if isinstance(value, str) if kind is str else _is_number(value):
            return kind(value)
    return None


def _triple(found: object) -> tuple[float, float, float] | None:
    values = [found.get(name) for name in ("value", "low", "high")] if isinstance(found, dict) else []
    if len(values) == 3 and all(_is_number(value) for value in values):
        return float(values[0] or 0.0), float(values[1] or 0.0), float(values[2] or 0.0)
    return None


def _pair(low: object, high: object) -> tuple[float, float] | None:
    if (
        isinstance(low, int | float)
        and isinstance(high, int | float)
        and _is_number(low)
        and _is_number(high)
    ):
        return float(low), float(high)
    return None


def _stamp(event: Mapping[str, Any]) -> float:
    at = event.get("at")
    return float(at) if isinstance(at, int | float) and _is_number(at) and 0 <= at < 2**40 else 0.0


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(value: object) -> str:
    return value[:_LONGEST_NAME] if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and _is_count(value) else 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
