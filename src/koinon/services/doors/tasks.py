# SPDX-License-Identifier: Apache-2.0
"""A2A tasks: what was asked, how it stands, what came of it. In memory, bounded, each for an hour at most.

A task's id is 128 random bits told to whoever made it and to nobody else: who knows it may read it. Tasks
that nobody paid for are kept apart from the others: a flood of them pushes out nothing that was paid.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from koinon.services.doors.skill import Skill

SUBMITTED: Final = "TASK_STATE_SUBMITTED"
WORKING: Final = "TASK_STATE_WORKING"
INPUT_REQUIRED: Final = "TASK_STATE_INPUT_REQUIRED"
COMPLETED: Final = "TASK_STATE_COMPLETED"
FAILED: Final = "TASK_STATE_FAILED"
REJECTED: Final = "TASK_STATE_REJECTED"
CANCELED: Final = "TASK_STATE_CANCELED"

ENDED: Final = frozenset({COMPLETED, FAILED, REJECTED, CANCELED})

KEPT_S: Final = 3600.0
UNPAID_BYTES: Final = 16 << 20
PAID_BYTES: Final = 64 << 20
REMEMBERED: Final = 4_096
RESULT: Final = "result"
_OVERHEAD: Final = 2_048


@dataclass
class Task:
    """One task. ``body`` is the service's input; ``message_id`` of the message that last set it going."""

    skill: Skill
    body: bytes
    context_id: str
    message_id: str
    question: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    state: str = SUBMITTED
    said: dict[str, Any] | None = None
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    at: str = ""
    size: int = 0
    result_bytes: int = 0
    running: asyncio.Task[None] | None = None
    listeners: list[asyncio.Queue[dict[str, Any] | None]] = field(default_factory=list)
    _parts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def resting(self) -> bool:
        """Whether nothing happens until somebody says more, if ever."""
        return self.state in ENDED or self.state == INPUT_REQUIRED

    def set(self, state: str, said: dict[str, Any] | None = None) -> None:
        """Change its state and tell whoever listens."""
        self.state, self.said = state, said
        self.at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._tell({"statusUpdate": {"taskId": self.id, "contextId": self.context_id, **self._status()}})
        if self.resting:
            for listener in self.listeners:
                listener.put_nowait(None)

    def stream(self, item: Any) -> None:
        """Tell whoever listens a part of the result."""
        part = _part({"item": item})
        chunk = {"artifactId": RESULT, "name": RESULT, "parts": [part]}
        self._tell_artifact(chunk, append=bool(self._parts), last=False)
        self._parts.append(part)

    def finish(self, result: Any, evidence: Mapping[str, Any], size: int) -> None:
        """Keep the result of so many bytes, or the parts that were told, and tell whoever listens."""
        self.result_bytes = size
        parts = self._parts or [_part({"result": result})]
        artifact = {
            "artifactId": RESULT,
            "name": RESULT,
            "parts": parts,
            "metadata": {"koinon.evidence": evidence},
        }
        self.artifacts = [artifact]
        if not self._parts:
            self._tell_artifact(artifact, append=False, last=True)

    def to_json(self, history: int | None = None) -> dict[str, Any]:
        """As A2A 1.0 has it; ``history`` the most messages of it."""
        document: dict[str, Any] = {
            "id": self.id,
            "contextId": self.context_id,
            **self._status(),
            "artifacts": self.artifacts,
        }
        if history is None or history > 0:
            document["history"] = [self.question]
        return document

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = {"state": self.state, "timestamp": self.at}
        if self.said is not None:
            status["message"] = self.said
        return {"status": status}

    def _tell_artifact(self, artifact: dict[str, Any], *, append: bool, last: bool) -> None:
        update = {
            "taskId": self.id,
            "contextId": self.context_id,
            "artifact": artifact,
            "append": append,
            "lastChunk": last,
        }
        self._tell({"artifactUpdate": update})

    def _tell(self, event: dict[str, Any]) -> None:
        for listener in self.listeners:
            listener.put_nowait(event)


def _part(data: dict[str, Any]) -> dict[str, Any]:
    return {"data": data, "mediaType": "application/json"}


class Tasks:
    """All tasks of one door.

    Parameters
    ----------
    clock : callable
        Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unpaid = _Shelf(UNPAID_BYTES)
        self._paid = _Shelf(PAID_BYTES)
        self._said: OrderedDict[bytes, str] = OrderedDict()

    def put(self, task: Task, *, paid: bool) -> None:
        """Keep a task, or keep it better once a payment came; the oldest may go for it."""
        if paid:
            self._unpaid.drop(task.id)
        task.size = 2 * len(task.body) + task.result_bytes + _OVERHEAD
        (self._paid if paid else self._unpaid).put(task, self._clock())

    def remember(self, key: bytes, task: Task) -> None:
        """That a message which paid began this task."""
        self._said[key] = task.id
        while len(self._said) > REMEMBERED:
            self._said.popitem(last=False)

    def begun_by(self, key: bytes) -> Task | None:
        """The task that the very same message began before."""
        task_id = self._said.get(key)
        return None if task_id is None else self.get(task_id)

    def get(self, task_id: str) -> Task | None:
        """A task that is still kept."""
        now = self._clock()
        return self._paid.get(task_id, now) or self._unpaid.get(task_id, now)

    async def close(self, drain_s: float) -> None:
        """End the tasks that still run, after so many seconds in which they may end by themselves."""
        running = [
            task.running for task in (*self._paid.all(), *self._unpaid.all()) if task.running is not None
        ]
        if running:
            await asyncio.wait(running, timeout=drain_s)
        for work in running:
            work.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class _Shelf:
    """Tasks in the order they came, up to a number of bytes. Those that run stay."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._tasks: OrderedDict[str, tuple[Task, float, int]] = OrderedDict()

    def put(self, task: Task, now: float) -> None:
        self.drop(task.id)
        self._tasks[task.id] = (task, now, task.size)
        self._bytes += task.size
        for task_id in list(self._tasks):
            kept, since, _ = self._tasks[task_id]
            if self._bytes <= self._most and now - since <= KEPT_S:
                break
            if kept.resting and kept is not task:
                self.drop(task_id)

    def get(self, task_id: str, now: float) -> Task | None:
        found = self._tasks.get(task_id)
        if found is None or (now - found[1] > KEPT_S and found[0].resting):
            return None
        return found[0]

    def all(self) -> list[Task]:
        return [task for task, _, _ in self._tasks.values()]

    def drop(self, task_id: str) -> None:
        found = self._tasks.pop(task_id, None)
        if found is not None:
            self._bytes -= found[2]
