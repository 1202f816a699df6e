# SPDX-License-Identifier: Apache-2.0
"""An application that gives answers for nothing behind doors, and a way to talk with it byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import orjson

from koinon.services.doors.site import Doors
from koinon.services.gateway.asgi import (
    JSON,
    PROBLEM,
    Receive,
    RequestProblem,
    Scope,
    Send,
    read_body,
    respond,
)

URL = "http://free.test"


@dataclass(frozen=True)
class Offered:
    description: bytes


def description(work_id: int, *, name: str = "echo", amount: str = "0") -> Offered:
    """As a gateway describes a service."""
    text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    return Offered(
        orjson.dumps(
            {
                "work_id": work_id,
                "work": f"eip155:1:0x{'1' * 40}/{work_id}",
                "name": "Echo",
                "description": "Says it again.",
                "url": f"{URL}/services/{work_id}",
                "price": {"amount": amount, "decimal": amount, "symbol": "tUSD"},
                "schema": {"name": name, "description": "", "input": text, "output": {"type": "string"}},
                "example": {"text": "hello"},
            }
        )
    )


@dataclass
class Free:
    """Its services answer with their own input, or what it ``says``, once ``open`` is set."""

    count: int = 1
    says: bytes = b""
    asked: list[tuple[str, bytes, dict[bytes, bytes]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shelf = {f"/services/{number}": description(number) for number in range(1, self.count + 1)}
        self.doors = Doors(self, URL, self.shelf)
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if self.doors.takes(scope["path"]):
                await self.doors(scope, receive, send)
                return
            body = await read_body(receive)
            self.asked.append((scope["path"], body, dict(scope["headers"])))
            await self.open.wait()
            text = orjson.loads(body).get("text")
            answer = self.says or orjson.dumps({"result": text, "evidence": {"card": {}}})
            await respond(send, 200, [JSON], answer)
        except RequestProblem as problem:
            await respond(send, problem.status, [PROBLEM], orjson.dumps(problem.problem()))

    async def post(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None, *, method: str = "POST"
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {"content-type": "application/json", **(headers or {})}
        transport = httpx.ASGITransport(cast("Any", self))
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            return await client.request(method, path, content=content, headers=sent)

    async def rpc(self, path: str, method: str, params: Any = None, **headers: str) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer: dict[str, Any] = (await self.post(path, request, sent)).json()
        assert answer["id"] == 7
        return answer
