# SPDX-License-Identifier: Apache-2.0
"""The token of a form, found without holding the whole request: uploads stream on behind it.

A form carries ``csrf_token`` as its first field, a script sends the header ``X-CSRF-Token``.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Message, Receive

FIELD: Final = "csrf_token"
HEADER: Final = "x-csrf-token"
_FORM_LIMIT: Final = 2**20
_PART_LIMIT: Final = 4_096
_FIRST_PART: Final = re.compile(
    rb"\A--([^\r\n]{1,70})\r\n"
    rb'Content-Disposition: form-data; name="csrf_token"\r\n\r\n([0-9a-f]{64})\r\n--\1',
    re.IGNORECASE,
)


def token(secret: bytes, session_id: str) -> str:
    """What forms of one session carry: 64 hex digits."""
    return hmac.new(secret, b"csrf\0" + session_id.encode(), hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Whether a token is the expected one; takes as long either way."""
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


async def find(headers: Headers, receive: Receive) -> tuple[str, Receive]:
    """The token of a request, and a `receive` that gives the whole body as if nobody had looked."""
    if HEADER in headers:
        return headers[HEADER], receive
    kind = headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        seen, body = await _read(receive, _FORM_LIMIT)
        fields = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=1_000)
        return next((value for name, value in fields if name == FIELD), ""), _replay(seen, receive)
    if kind == "multipart/form-data":
        seen, body = await _read(receive, _PART_LIMIT)
        found = _FIRST_PART.match(body)
        return (found.group(2).decode() if found else ""), _replay(seen, receive)
    return "", receive


async def _read(receive: Receive, enough: int) -> tuple[list[Message], bytes]:
    seen: list[Message] = []
    body = b""
    while len(body) < enough:
        message = await receive()
        seen.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    return seen, body


def _replay(seen: list[Message], receive: Receive) -> Receive:
    waiting = iter(seen)

    async def again() -> Message:
        found = next(waiting, None)
        return found if found is not None else await receive()

    return again
