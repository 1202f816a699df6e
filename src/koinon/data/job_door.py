# SPDX-License-Identifier: Apache-2.0
"""The job desk as an ASGI application: paths, sizes, times and numbers of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from koinon.data.door import RateLimit, Receive, Scope, Send, answer_to, parsed, read_body
from koinon.data.job_desk import JobDesk
from koinon.data.jobs import PROGRAM_BYTES, SCHEMA_BYTES
from koinon.errors import NotFound

BODY_LIMIT: Final = PROGRAM_BYTES * 4 // 3 + 2 * SCHEMA_BYTES + (64 << 10)
BODY_TIMEOUT_S: Final = 30.0
UPLOADS_AT_ONCE: Final = 16


class JobDoor:
    """Answers one request at a time for each connection; errors become RFC 9457 problems."""

    def __init__(self, desk: JobDesk, *, each_minute: int = 240) -> None:
        self._desk = desk
        self._hosts = RateLimit(each_minute)
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await answer_to(self._answer(scope, receive), send)

    async def _answer(self, scope: Scope, receive: Receive) -> dict[str, Any] | bytes:
        self._hosts.take((scope.get("client") or ("",))[0])
        match (scope["method"], *scope["path"].strip("/").split("/")):
            case ("GET", "compute"):
                return await asyncio.to_thread(self._desk.about)
            case ("POST", "checks"):
                return await self._uploaded(scope, receive, self._desk.check)
            case ("POST", "jobs"):
                return await self._uploaded(scope, receive, self._desk.submit)
            case ("GET", "jobs", number):
                return await asyncio.to_thread(self._desk.state, _job_id(number))
            case ("GET", "jobs", number, "result"):
                return await asyncio.to_thread(self._desk.result, _job_id(number))
        raise _nothing_here()

    async def _uploaded(
        self, scope: Scope, receive: Receive, take: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        async with self._uploads:
            body = await read_body(scope, receive, limit=BODY_LIMIT, timeout_s=BODY_TIMEOUT_S)
            return await asyncio.to_thread(lambda: take(parsed(body)))


def _job_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 78:
        raise _nothing_here()
    return int(text)


def _nothing_here() -> NotFound:
    return NotFound("There is nothing here.", hint="See GET /compute.", code="data.node_path")
