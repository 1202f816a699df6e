# SPDX-License-Identifier: Apache-2.0
"""What a door costs: calls a CPU second of a service that gives its input back, asked by MCP and by A2A.

Peers are the protocols' own Python servers with the same function: the MCP SDK's, without sessions and with
JSON answers as ours, and the A2A SDK's with its store in memory. All are asked as ASGI applications in this
process, by turns, with the same bytes; HTTP itself costs the same for all and is left out, and so is payment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from statistics import median
from typing import Any, Final

import orjson
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types.a2a_pb2 import AgentCapabilities, AgentCard, Task, TaskState, TaskStatus
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette

from koinon.services.doors.site import Doors
from koinon.services.gateway.asgi import JSON, Receive, Scope, Send, read_body, respond

NAMES: Final = ("doors",)
CALLS: Final = 300
ROUNDS: Final = 5
TARGET: Final = 2.0
URL: Final = "http://127.0.0.1"
MODERN: Final = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}

Application = Callable[[Any, Any, Any], Awaitable[None]]


class _Shelf:
    """One service."""

    description = orjson.dumps(
        {
            "work_id": 1,
            "work": "eip155:1:0x1/1",
            "name": "echo",
            "description": "Says it again.",
            "url": f"{URL}/services/1",
            "price": {"amount": "0"},
            "schema": {
                "name": "echo",
                "input": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
                "output": {"type": "string"},
            },
        }
    )


class _Ours:
    """A service that gives its input back, behind our doors."""

    def __init__(self) -> None:
        self.doors = Doors(self, URL, {"/services/1": _Shelf()})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.doors.takes(scope["path"]):
            await self.doors(scope, receive, send)
            return
        body = orjson.loads(await read_body(receive))
        await respond(send, 200, [JSON], orjson.dumps({"result": body["text"], "evidence": {}}))


class _Echo(AgentExecutor):
    """The same for the A2A SDK."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        task_id, context_id = str(context.task_id), str(context.context_id)
        status = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
        await event_queue.enqueue_event(Task(id=task_id, context_id=context_id, status=status))
        updater = TaskUpdater(event_queue, task_id, context_id)
        await updater.start_work()
        message = context.message
        await updater.add_artifact(list(message.parts) if message is not None else [])
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Nothing runs long enough."""


def run() -> Iterator[dict[str, Any]]:
    """Both doors."""
    yield from asyncio.run(_figures())


async def _figures() -> list[dict[str, Any]]:
    server = MCPServer("echo", log_level="ERROR")

    @server.tool()
    def echo(text: str) -> str:
        """Says it again."""
        return text

    ours = _Ours()
    stock_mcp = server.streamable_http_app(json_response=True, stateless_http=True)
    card = AgentCard(name="echo", version="1", capabilities=AgentCapabilities(streaming=True))
    handler = DefaultRequestHandler(_Echo(), InMemoryTaskStore(), card)
    stock_a2a = Starlette(routes=create_jsonrpc_routes(handler, "/a2a"))
    async with stock_mcp.router.lifespan_context(stock_mcp):
        mcp = await _compared(
            lambda: _ask(ours, "/services/1/mcp", _tool("echo_1"), "echo_1"),
            lambda: _ask(stock_mcp, "/mcp", _tool("echo"), "echo"),
        )
    a2a = await _compared(
        lambda: _ask(ours, "/services/1/a2a", _message()), lambda: _ask(stock_a2a, "/a2a", _message())
    )
    await ours.doors.close()
    return [
        {
            "name": f"doors.{name}",
            "ours": round(own),
            "peer": round(peer),
            "ratio": round(own / peer, 1),
            "unit": f"calls per CPU second (peer: the {name.upper()} SDK's server)",
            "target": TARGET,
            "ok": own / peer >= TARGET,
        }
        for name, (own, peer) in (("mcp", mcp), ("a2a", a2a))
    ]


async def _compared(
    own: Callable[[], Awaitable[None]], peer: Callable[[], Awaitable[None]]
) -> tuple[float, float]:
    """Calls per CPU second of both, the median of rounds that take turns."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for rates, call in zip(found, (own, peer), strict=True):
            began = time.process_time()
            for _ in range(CALLS):
                await call()
            rates.append(CALLS / (time.process_time() - began))
    return median(found[0]), median(found[1])


async def _ask(application: Application, path: str, body: bytes, tool: str = "") -> None:
    """One POST; AssertionError unless it is answered with the text that was sent."""
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"content-length", b"%d" % len(body)),
        (b"a2a-version", b"1.0"),
    ]
    if tool:
        headers += [
            (b"mcp-protocol-version", b"2026-07-28"),
            (b"mcp-method", b"tools/call"),
            (b"mcp-name", tool.encode()),
        ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent = False
    answer = b""
    over: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            return await over
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal answer
        answer += message.get("body", b"")

    await application(scope, receive, send)
    over.cancel()
    assert b"the text" in answer, answer


def _tool(name: str) -> bytes:
    params = {"name": name, "arguments": {"text": "the text"}, "_meta": MODERN}
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


def _message() -> bytes:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {"text": "the text"}}]}
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}})
