# SPDX-License-Identifier: Apache-2.0
"""A facilitator over HTTP: ``GET /supported``, ``POST /verify``, ``POST /settle``, as x402 clients ask it."""

from __future__ import annotations

from typing import Any, Final

import orjson

from koinon.errors import BadInput, KoinonError, NotFound
from koinon.services.facilitator.payments import Facilitator
from koinon.services.gateway.admission import Admission
from koinon.services.gateway.asgi import (
    JSON,
    Receive,
    RequestProblem,
    Scope,
    Send,
    read_body,
    respond,
    respond_error,
)

AT_ONCE: Final = 64
WAITING: Final = 512
PER_MINUTE: Final = 6_000
"""Of one receiver: nobody's server keeps others' payments waiting."""


class FacilitatorApp:
    """The ASGI application.

    Parameters
    ----------
    facilitator : Facilitator
    root : str
        Where it is mounted, without a slash at the end.
    """

    def __init__(self, facilitator: Facilitator, *, root: str = "") -> None:
        self._facilitator = facilitator
        self._root = root
        self._admission = Admission(
            at_once=AT_ONCE, of_one_payer=AT_ONCE // 2, waiting=WAITING, calls_per_minute=PER_MINUTE
        )

    def takes(self, path: str) -> bool:
        """Whether a path is one of its own."""
        return path.startswith(self._root + "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
            await respond(send, 200, [JSON], orjson.dumps(answer))
        except KoinonError as error:
            await respond_error(send, error)

    async def _answer(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        path, method = scope["path"].removeprefix(self._root), scope["method"]
        if path == "/supported" and method in ("GET", "HEAD"):
            return self._facilitator.supported()
        if path not in ("/verify", "/settle"):
            raise NotFound("There is nothing at this address.", hint="GET /supported says what there is.")
        if method != "POST":
            raise RequestProblem(405, "This address takes POST.", "Send JSON by POST.", "service.method")
        try:
            document = orjson.loads(await read_body(receive))
        except ValueError:
            raise BadInput("The body is not JSON.", code="service.not_json") from None
        async with self._admission.enter(_receiver(document)):
            if path == "/verify":
                return await self._facilitator.verify(document)
            return await self._facilitator.settle(document)


def _receiver(document: Any) -> str:
    requirements = document.get("paymentRequirements") if isinstance(document, dict) else None
    pay_to = requirements.get("payTo") if isinstance(requirements, dict) else None
    return pay_to.lower()[:42] if isinstance(pay_to, str) else ""
