# SPDX-License-Identifier: Apache-2.0
"""The gateway's side of sealed calls: opens a request, lets the gateway answer it as any other, seals that.

    GET  /sealing         the key to seal to, signed by the gateway's account
    POST /services/ID     with content-type application/vnd.koinon.sealed

Price, schema, limits and payment are the gateway's own: the call inside is the very request that a buyer
without sealing sends. What is refused for want of payment (402) is answered in the open, for it says nothing
of the input; everything else, errors too, is sealed to the caller. Each event of a stream is sealed by
itself, to its place in the stream, inside an event ``sealed``; a stream has no receipt.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson

from koinon.errors import IntegrityError
from koinon.services.gateway.asgi import (
    JSON,
    Receive,
    RequestProblem,
    Scope,
    Send,
    header,
    read_body,
    respond,
)
from koinon.services.sealing.calls import (
    KEY_BYTES,
    MEDIA_TYPE,
    CallOpening,
    answer_context,
    part_context,
    request_context,
    seal,
    unseal,
)
from koinon.services.sealing.keys import SealingKeys

PATH: Final = "/sealing"
BOUND: Final = (b"payment-signature", b"koinon-prepaid", b"koinon-free-call", b"idempotency-key")
"""Headers that a sealed request is bound to, in this order; those that are missing are empty."""

SEALED: Final = (b"content-type", MEDIA_TYPE.encode())
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Deliver = Callable[[int, dict[bytes, bytes], bytes], Awaitable[None]]


class SealedDoor:
    """Answers sealed calls through an application.

    Parameters
    ----------
    application : callable
        The gateway's.
    keys : SealingKeys
    reveal : callable, optional
        Given the opening of every call that was answered with success, for whoever stands behind its answers
        and may have to reveal one.
    """

    def __init__(
        self,
        application: Application,
        keys: SealingKeys,
        reveal: Callable[[CallOpening], None] | None = None,
    ) -> None:
        self._application = application
        self._keys = keys
        self._reveal = reveal

    def takes(self, scope: Scope) -> bool:
        """Whether a request is one for here."""
        if scope["method"] == "POST":
            return header(scope, b"content-type") == SEALED[1]
        return bool(scope["path"] == PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises RequestProblem where the request cannot be opened."""
        if scope["path"] == PATH:
            document = {"account": self._keys.account.address, **self._keys.current().to_json()}
            await respond(send, 200, [JSON, (b"cache-control", b"no-store")], orjson.dumps(document))
            return
        work_id = _work_id(scope["path"])
        sealed = await read_body(receive)
        head, body = self._open(work_id, scope, sealed)
        answer_key, salt = _bytes_in(head, "answerKey"), _bytes_in(head, "salt")

        async def deliver(status: int, headers: dict[bytes, bytes], content: bytes) -> None:
            if status == 402:
                await respond(send, status, headers.items(), content)
                return
            answer: dict[str, Any] = {
                "status": status,
                "headers": {
                    name.decode(): value.decode("latin-1")
                    for name, value in headers.items()
                    if name in (b"content-type", b"payment-response", b"retry-after")
                },
            }
            if status == 200:
                opening = CallOpening(work_id, salt, body, content)
                opening = opening.signed_by(self._keys.account, self._keys.domain)
                answer["receipt"] = "0x" + opening.receipt.hex()
                if self._reveal is not None:
                    self._reveal(opening)
            await respond(send, 200, [SEALED], seal(answer_key, answer, content, answer_context(sealed)))

        numbers = itertools.count()

        async def pass_on(message: dict[str, Any]) -> None:
            if content := message.get("body", b""):
                part = seal(answer_key, {}, content, part_context(sealed, next(numbers)))
                message = {**message, "body": b"event: sealed\ndata: " + base64.b64encode(part) + b"\n\n"}
            await send(message)

        await self._inside(scope, body, receive, deliver, pass_on)

    def _open(self, work_id: int, scope: Scope, sealed: bytes) -> tuple[dict[str, Any], bytes]:
        private = self._keys.private(sealed[:KEY_BYTES])
        if private is None:
            raise RequestProblem(
                409,
                "This request is sealed to a key that is not held here, or no longer.",
                "GET /sealing says to which key to seal.",
                "service.sealing_unknown",
            )
        bound = [header(scope, name) for name in BOUND]
        try:
            return unseal(private, sealed[KEY_BYTES:], request_context(work_id, *bound))
        except IntegrityError:
            raise _unreadable() from None

    async def _inside(
        self,
        scope: Scope,
        body: bytes,
        receive: Receive,
        deliver: Deliver,
        pass_on: Send,
    ) -> None:
        """Let the application answer the request inside; ``deliver`` sends the answer before the application
        learns that it has left. What a stream sends goes to ``pass_on``, part by part."""
        length = (b"content-length", b"%d" % len(body))
        ours = {*BOUND, b"content-type", b"content-length"}
        kept = [entry for entry in scope["headers"] if entry[0] not in ours]
        kept += [(name, value) for name in BOUND if (value := header(scope, name))]
        start: dict[str, Any] = {"status": 500, "headers": []}
        parts: list[bytes] = []
        given = False

        async def give() -> dict[str, Any]:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def take(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            if (b"content-type", b"text/event-stream") in start["headers"]:
                await pass_on(message)
                return
            if message["type"] == "http.response.start":
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                headers = {name: value for name, value in start["headers"] if name != b"content-length"}
                await deliver(start["status"], headers, b"".join(parts))

        await self._application({**scope, "headers": [*kept, JSON, length]}, give, take)


def _work_id(path: str) -> int:
    text = path.removeprefix("/services/")
    if not (text.isascii() and text.isdigit() and len(text) <= 78):
        raise RequestProblem(404, "There is no service at this address.", "", "service.none")
    return int(text)


def _bytes_in(head: dict[str, Any], name: str) -> bytes:
    try:
        found = bytes.fromhex(head[name])
    except (KeyError, TypeError, ValueError):
        found = b""
    if len(found) != 32:
        raise _unreadable()
    return found


def _unreadable() -> RequestProblem:
    return RequestProblem(
        400,
        "This sealed request cannot be opened: it was changed, or was made for another payment.",
        "Seal it again, for the payment it is sent with.",
        "service.sealed_request",
    )
