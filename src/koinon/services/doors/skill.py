# SPDX-License-Identifier: Apache-2.0
"""One service as the doors see it, and the call behind every door.

A door never runs a service nor takes a payment: it makes the very POST that a buyer by plain HTTP makes, in
the same process, to the same application. So whatever holds there holds here: one cashier, one journal, one
limit, one price.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from koinon.services.doors.jsonrpc import INVALID_PARAMS, RpcError, write_json
from koinon.services.doors.outcome import Outcome, Reading
from koinon.services.gateway.asgi import Receive, Scope, Send

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Deliver = Callable[[Outcome], Awaitable[None]]

CARRIED: Final = {"koinon/free-call": b"koinon-free-call", "koinon/prepaid": b"koinon-prepaid"}
"""Metadata of a message → the header that says the same by plain HTTP: a free call, a prepaid token."""

_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME: Final = 100
DEEPEST: Final = 100
_OWN_HEADERS: Final = (b"content-", b"mcp-", b"a2a-", b"x-a2a-", b"payment-")
_LEFT_OUT: Final = frozenset({b"accept", b"connection", b"transfer-encoding", b"origin", b"last-event-id"})


@dataclass(frozen=True)
class Skill:
    """What one service offers, from the gateway's own description of it.

    ``name`` is unique within a gateway and fits MCP's rule for tools; ``path`` is where its calls go, ``url``
    the same as buyers reach it; ``price`` is for people, with its unit, empty where nothing is asked;
    ``output_schema`` is of each part where it ``streams``; a ``retired`` one is not sold any more.
    """

    name: str
    title: str
    description: str
    path: str
    url: str
    price: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    example: Mapping[str, Any]
    work: str
    work_id: int
    streams: bool = False
    retired: bool = False

    @property
    def about(self) -> str:
        """Its description with its price, for a model that chooses among tools."""
        return f"{self.description} Price: {self.price}." if self.price else self.description

    @classmethod
    def from_description(cls, path: str, document: bytes) -> Skill:
        """Of the JSON that a gateway answers to GET on the service."""
        found = orjson.loads(document)
        price, schema = found.get("price") or {}, found.get("schema") or {}
        stem = _NAME.sub("_", str(schema.get("name") or found["name"])).strip("_") or "service"
        asked = str(price.get("amount", "0")) != "0"
        unit = price.get("unit", "call")
        return cls(
            name=f"{stem[:_LONGEST_NAME]}_{found['work_id']}",
            title=str(found["name"]),
            description=str(found["description"]),
            path=path,
            url=str(found["url"]),
            price=f"{price['decimal']} {price['symbol']} a {unit}" if asked else "",
            input_schema=schema.get("input") or {"type": "object"},
            output_schema=schema.get("output") or {},
            example=found.get("example") or {},
            work=str(found["work"]),
            work_id=int(found["work_id"]),
            streams=bool(schema.get("streams")),
            retired=bool(found.get("retired")),
        )


async def ask(
    application: Application,
    scope: Scope,
    receive: Receive,
    skill: Skill,
    body: bytes,
    *,
    payment: Any = None,
    carried: Mapping[str, Any] | None = None,
    call_key: str = "",
    deliver: Deliver | None = None,
    part: Callable[[Any], None] | None = None,
) -> Outcome:
    """Call a service as by plain HTTP, for whoever made the request in ``scope``.

    Parameters
    ----------
    receive : callable
        Told of the client's leaving, after the body; see `never`.
    payment : object, optional
        x402's PaymentPayload, as the protocol's message carried it.
    carried : mapping, optional
        Of the message's metadata, where what pays otherwise may lie (see `CARRIED`).
    call_key : str
        Names this call: repeated with the same voucher it is answered again, not charged again.
    deliver : callable, optional
        Given the outcome before the application learns that its answer has left.
    part : callable, optional
        Given each part of an answer that is streamed.
    """
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if name not in _LEFT_OUT and not name.startswith(_OWN_HEADERS)
    ]
    headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if payment is not None:
        headers.append((b"payment-signature", base64.b64encode(write_json(payment))))
    if call_key:
        headers = [header for header in headers if header[0] != b"idempotency-key"]
        headers.append((b"idempotency-key", call_key.encode()))
    for name, header in CARRIED.items():
        value = (carried or {}).get(name)
        if isinstance(value, str):
            headers.append((header, value.encode("latin-1", "replace")))
    asked = {
        **scope,
        "method": "POST",
        "path": skill.path,
        "raw_path": skill.path.encode(),
        "query_string": b"",
        "headers": headers,
    }
    sent = False

    async def give() -> dict[str, Any]:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    reading = Reading(deliver, part)
    await application(asked, give, reading)
    return reading.outcome


async def never() -> dict[str, Any]:
    """The `receive` of a call that goes on when its client leaves."""
    await asyncio.get_running_loop().create_future()
    return {"type": "http.disconnect"}


def plain_numbers(value: Any, depth: int = 0) -> Any:
    """JSON whose whole numbers are whole: A2A's clients keep it in protobuf's Struct, where 300 is 300.0.

    Raises RpcError for JSON of more than `DEEPEST` levels.
    """
    if depth > DEEPEST:
        raise RpcError(INVALID_PARAMS, "The parameters are nested too deeply.")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: plain_numbers(part, depth + 1) for name, part in value.items()}
    if isinstance(value, list):
        return [plain_numbers(part, depth + 1) for part in value]
    return value
