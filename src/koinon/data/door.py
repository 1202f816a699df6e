# SPDX-License-Identifier: Apache-2.0
"""What the doors of this room's processes have in common: bounded bodies, bounded requests, told refusals."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from koinon.errors import BadInput, KoinonError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Refusal(KoinonError):
    """A request that is refused for its form or its number, with the HTTP status that says so."""

    def __init__(self, status: int, message: str, hint: str, code: str) -> None:
        super().__init__(message, hint=hint, code=code)
        self.status = status

    def problem(self) -> dict[str, object]:
        return super().problem() | {"status": self.status}


class RateLimit:
    """So many requests a minute for each name, with as many at once; remembers the latest 65,536 names."""

    def __init__(
        self, each_minute: int, clock: Callable[[], float] = time.monotonic, names: int = 65_536
    ) -> None:
        self._each_minute, self._clock, self._names = each_minute, clock, names
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Refusal (429) when the name has none left."""
        now = self._clock()
        left, at = self._left.pop(name, (float(self._each_minute), now))
        left = min(float(self._each_minute), left + (now - at) * self._each_minute / 60)
        self._left[name] = (max(0.0, left - 1), now)
        if len(self._left) > self._names:
            self._left.popitem(last=False)
        if left < 1:
            raise Refusal(429, "Too many requests.", "Wait a minute.", "data.too_many_requests")


async def answer_to(answering: Awaitable[dict[str, Any] | bytes], send: Send) -> None:
    """Send what is answered, bytes as they are and the rest as JSON; errors as RFC 9457 problems."""
    status, kind = 200, b"application/json"
    try:
        found = await answering
        if isinstance(found, bytes):
            body, kind = found, b"application/octet-stream"
        else:
            body = orjson.dumps(found)
    except KoinonError as error:
        status = error.status if isinstance(error, Refusal) else error.http_status
        body, kind = orjson.dumps(error.problem()), b"application/problem+json"
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    if status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(scope: Scope, receive: Receive, *, limit: int, timeout_s: float) -> bytes:
    """The whole body; Refusal when it is over ``limit`` bytes (413), too slow (408) or breaks off (400)."""
    too_large = Refusal(413, "The body is too large.", f"At most {limit} bytes.", "data.body_too_large")
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value) > limit):
            raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(400, "The body broke off.", "Send it again.", "data.broken_body")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise too_large
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise Refusal(
            408, "The body did not arrive in time.", f"Send it within {timeout_s:g} s.", "data.slow_body"
        ) from None


def parsed(body: bytes) -> Any:
    """JSON; BadInput where it is none."""
    try:
        return orjson.loads(body)
    except ValueError:
        raise BadInput("The body is not JSON.", code="data.not_json") from None
