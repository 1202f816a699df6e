# SPDX-License-Identifier: Apache-2.0
"""How an A2A request is answered: with a task, or with a stream of what happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from koinon.services.doors.a2a_messages import history_of, to_legacy
from koinon.services.doors.card import X402, X402_FORMER
from koinon.services.doors.jsonrpc import Request, answer
from koinon.services.doors.skill import Skill
from koinon.services.doors.tasks import Task
from koinon.services.gateway.asgi import JSON, Headers, Scope, Send, header, respond

PING_S: Final = 15.0
STALL_S: Final = 30.0
"""How long the reader of a stream may take nothing."""

_STREAM: Final[Headers] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True)
class Call:
    """One request with all that is needed to answer it."""

    scope: Scope
    send: Send
    skills: Sequence[Skill]
    request: Request
    method: str
    legacy: bool


async def follow(call: Call, task: Task) -> None:
    """Stream a task until it rests: first how it stands, then every change."""
    events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    task.listeners.append(events)
    first = {"task": task.to_json(history_of(call.request.params))}
    await _send(
        call, {"type": "http.response.start", "status": 200, "headers": [*_STREAM, *_activated(call)]}
    )
    try:
        await _event(call, first)
        resting = task.resting
        while not resting:
            try:
                async with asyncio.timeout(PING_S):
                    event = await events.get()
            except TimeoutError:
                await _send(call, {"type": "http.response.body", "body": b": ping\n\n", "more_body": True})
                continue
            if event is None:
                resting = True
            else:
                await _event(call, event)
        await _send(call, {"type": "http.response.body", "body": b""})
    except TimeoutError:
        return  # nobody reads it; the task goes on
    finally:
        task.listeners.remove(events)


async def _send(call: Call, message: dict[str, Any]) -> None:
    """Send a part of a stream; TimeoutError where its reader takes nothing."""
    async with asyncio.timeout(STALL_S):
        await call.send(message)


async def _event(call: Call, event: dict[str, Any]) -> None:
    data = answer(call.request.id, to_legacy(event) if call.legacy else event)
    await _send(call, {"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": True})


async def answer_with(call: Call, result: dict[str, Any], *, bare: bool = False) -> None:
    """Answer with a task; 1.0's SendMessage names what kind of answer it is, the others are ``bare``."""
    shown = to_legacy(result) if call.legacy else result["task"] if bare else result
    await respond(call.send, 200, [JSON, *_activated(call)], answer(call.request.id, shown))


def _activated(call: Call) -> Headers:
    """The extensions that a client asked for and that are spoken here, by the header it used."""
    found: Headers = []
    for name in (b"a2a-extensions", b"x-a2a-extensions"):
        wanted = {part.strip() for part in header(call.scope, name).decode("latin-1").split(",")}
        spoken = [uri for uri in (X402, X402_FORMER) if uri in wanted]
        if spoken:
            found.append((name, ", ".join(spoken).encode()))
    return found
