# SPDX-License-Identifier: Apache-2.0
"""The little of HTTP that the gateway does by itself: bodies within limits, answers, problems."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple

import orjson

from koinon.errors import KoinonError
from koinon.services.selling.signature import InvalidInput

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

BODY_LIMIT: Final = 1 << 20
BODY_TIMEOUT_S: Final = 10.0
JSON: Final = (b"content-type", b"application/json")
PROBLEM: Final = (b"content-type", b"application/problem+json")


class Request(NamedTuple):
    """One call's body, the SHA-256 of it, and the key under which it may be repeated ("" where there is
    none)."""

    body: bytes
    input_digest: bytes
    call_key: bytes = b""


class RequestProblem(KoinonError):
    """A request that is refused for its form, with the HTTP status that says so."""

    def __init__(self, status: int, message: str, hint: str, code: str) -> None:
        super().__init__(message, hint=hint, code=code)
        self.status = status

    def problem(self) -> dict[str, object]:
        return super().problem() | {"status": self.status}


async def read_body(receive: Receive, most: int = BODY_LIMIT) -> bytes:
    """The whole body.

    Raises RequestProblem: longer than ``most`` bytes (413), too slow (408), or the client left (400).
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestProblem(
                        400, "The connection was closed before the body ended.", "", "service.disconnected"
                    )
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most:
                    raise too_large(most)
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise RequestProblem(
            408,
            f"The body did not arrive within {BODY_TIMEOUT_S:g} s.",
            "Send it faster.",
            "service.slow_client",
        ) from None


async def has_left(receive: Receive) -> bool:
    """Whether the client is known to have closed its connection, once its body was read."""
    told = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    if told.done():
        return bool(told.result()["type"] == "http.disconnect")
    told.cancel()
    return False


async def respond_error(send: Send, error: KoinonError) -> None:
    """A problem, with Retry-After where the error says when to come back."""
    headers = [PROBLEM]
    status = error.http_status
    if isinstance(error, RequestProblem):
        status = error.status
        headers.append((b"connection", b"close"))
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(retry_after_s))))
    await respond(send, status, headers, orjson.dumps(problem_of(error)))


async def respond(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    """Send one whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


def header(scope: Scope, name: bytes) -> bytes:
    """A request header by its lower-case name; empty when it is not there."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


def is_json(content_type: bytes) -> bool:
    """Whether a content type is JSON's, whatever its parameters."""
    return content_type.split(b";", 1)[0].strip().lower() == b"application/json"


def problem_of(error: KoinonError) -> dict[str, object]:
    """RFC 9457, with every place of a body that does not fit its schema."""
    document = error.problem()
    if isinstance(error, InvalidInput):
        document["problems"] = error.problems
    return document


def too_large(most: int = BODY_LIMIT) -> RequestProblem:
    """413."""
    return RequestProblem(413, "The body is too large.", f"At most {most} bytes.", "service.body_too_large")
