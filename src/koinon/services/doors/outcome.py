# SPDX-License-Identifier: Apache-2.0
"""What plain HTTP answered to a call, whole or in parts, read as it is sent."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Outcome:
    """An answer. ``items`` are the parts of one that was streamed; ``ended`` says why such a one ended before
    it was complete, and is empty for every other; ``size`` in bytes."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes
    items: tuple[Any, ...] | None = None
    ended: str = ""
    size: int = 0

    @property
    def document(self) -> dict[str, Any]:
        """The body's JSON object: ``result`` and ``evidence``, or a problem."""
        try:
            found = orjson.loads(self.body)
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {"title": f"HTTP status {self.status}."}

    @property
    def result(self) -> Any:
        """What the service gave; of a refund, what the refund says; as text where it is nested too deeply."""
        document = self.document
        found = document.get("result", document) if self.items is None else list(self.items)
        try:
            orjson.dumps(found)
        except TypeError:  # nested deeper than can be written again
            return self.body.decode("utf-8", "replace")
        return found

    @property
    def payment_required(self) -> dict[str, Any] | None:
        """x402's PaymentRequired of a 402."""
        return _decoded(self.headers.get(b"payment-required"))

    @property
    def payment_response(self) -> dict[str, Any] | None:
        """x402's SettlementResponse of a paid answer; of a streamed one, with all that it cost."""
        if self.items is not None:
            found = self.document.get("payment")
            return found if isinstance(found, dict) else None
        return _decoded(self.headers.get(b"payment-response"))

    @property
    def reason(self) -> str:
        """Of a refusal, as one text for people."""
        problem = self.document
        inner = problem.get("problem")
        if isinstance(inner, dict):
            problem = inner
        parts = [str(problem.get("title", "")), str(problem.get("detail", ""))]
        return " ".join(part for part in parts if part)


class Reading:
    """An ASGI `send` that reads an answer.

    Parameters
    ----------
    whole : callable, optional
        Awaited with the outcome before the application learns that its answer has left.
    part : callable, optional
        Called with each part of a streamed answer.
    """

    def __init__(
        self,
        whole: Callable[[Outcome], Awaitable[None]] | None = None,
        part: Callable[[Any], None] | None = None,
    ) -> None:
        self.outcome = Outcome(500, {}, b"")
        self._whole = whole
        self._part = part
        self._status = 500
        self._headers: dict[bytes, bytes] = {}
        self._bytes = b""
        self._size = 0
        self._items: list[Any] = []
        self._end: dict[str, Any] = {}

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], dict(message["headers"])
        elif message["type"] == "http.response.body":
            self._bytes += message.get("body", b"")
            self._size += len(message.get("body", b""))
            streams = self._headers.get(b"content-type") == b"text/event-stream"
            if streams:
                self._read_events()
            if not message.get("more_body"):
                self.outcome = self._streamed() if streams else self._plain()
                if self._whole is not None:
                    await self._whole(self.outcome)

    def _plain(self) -> Outcome:
        return Outcome(self._status, self._headers, self._bytes, size=self._size)

    def _streamed(self) -> Outcome:
        reason = str(self._end.get("reason", "failed"))
        ended = "" if reason == "complete" else reason
        end = orjson.dumps(self._end)
        return Outcome(self._status, self._headers, end, tuple(self._items), ended, self._size)

    def _read_events(self) -> None:
        *events, self._bytes = self._bytes.split(b"\n\n")
        for event in events:
            kind, _, data = event.partition(b"\ndata: ")
            if kind == b"event: part":
                item = orjson.loads(data)["item"]
                self._items.append(item)
                if self._part is not None:
                    self._part(item)
            elif kind == b"event: end":
                self._end = orjson.loads(data)


def _decoded(header: bytes | None) -> dict[str, Any] | None:
    if not header:
        return None
    found = orjson.loads(base64.b64decode(header))
    return found if isinstance(found, dict) else None
