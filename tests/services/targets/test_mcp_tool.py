# SPDX-License-Identifier: Apache-2.0
"""Selling a tool of an MCP server: the SDK's own server, and servers that answer anything else."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
import uvicorn
from mcp.server.mcpserver import MCPServer

from koinon.errors import BadInput, KoinonError, PeerError
from koinon.services.selling.signature import InvalidInput
from koinon.services.targets.address import MCP, Address
from koinon.services.targets.mcp import McpServer, McpTool, Tool, choose
from tests.services.targets.scripted import Answer, Says, Scripted

TOOL = Tool(
    "add",
    "Adding",
    "Adds.",
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]},
)


@pytest.fixture(scope="module", params=[False, True], ids=["events", "json"])
def stock(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the MCP SDK's server, answering by events or by JSON."""
    server = MCPServer("stock")

    @server.tool(title="Adding")
    def add(a: int, b: int = 1) -> int:
        """Adds."""
        if a < 0:
            raise ValueError("no negative numbers")
        return a + b

    @server.tool(structured_output=False)
    def greet(name: str) -> str:
        """Greets."""
        return f"Hello, {name}"

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        app = server.streamable_http_app(json_response=request.param)
        running = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        end = time.monotonic() + 60
        while not running.started and time.monotonic() < end:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        running.should_exit = True
        thread.join(30)


def call(url: str, tool: Tool, arguments: Any, *, timeout_s: float = 20.0) -> Any:
    async def once() -> Any:
        runner = McpTool(Address(MCP, url, tool.name), tool.signature(), timeout_s=timeout_s)
        try:
            return orjson.loads(await runner.call(orjson.dumps(arguments)))
        finally:
            await runner.close()

    return asyncio.run(once())


def test_the_sdks_server_lists_and_calls(stock: str) -> None:
    add, greet = McpServer(Address(MCP, stock), timeout_s=20).tools()
    assert (add.name, add.title, add.description) == ("add", "Adding", "Adds.")
    assert add.input_schema["properties"]["a"]["type"] == "integer"
    assert call(stock, add, {"a": 2}) == {"result": 3}
    assert call(stock, greet, {"name": "Ada"}) == {"content": [{"type": "text", "text": "Hello, Ada"}]}


def test_the_sdks_server_says_why_a_tool_failed_and_wrong_input_is_not_sent(stock: str) -> None:
    add, _ = McpServer(Address(MCP, stock), timeout_s=20).tools()
    with pytest.raises(PeerError) as caught:
        call(stock, add, {"a": -1})
    assert caught.value.code == "service.tool_failed"
    with pytest.raises(InvalidInput, match="'a'"):
        call(stock, add, {"a": "two"})


def speaks(result: Any = None, **other: Says) -> Answer:
    """A server that agrees on everything and answers a tool's call with ``result``; ``other`` by the end of
    the method's name."""

    def answer(body: dict[str, Any], _headers: Mapping[str, str]) -> Says:
        end = body["method"].rpartition("/")[2]
        if end in other:
            return other[end]
        if "id" not in body:
            return Says(202, [b""])
        found = {"protocolVersion": "2025-11-25"} if end == "initialize" else result
        return Says.json({"jsonrpc": "2.0", "id": body["id"], "result": found})

    return answer


GOOD = {"content": [], "structuredContent": {"result": 3}}


def test_a_session_is_agreed_on_once_and_again_when_it_is_forgotten(server: Scripted) -> None:
    sessions = iter(["first", "second"])
    forgotten: list[str] = []

    def answer(body: dict[str, Any], headers: Mapping[str, str]) -> Says:
        if body["method"] == "initialize":
            reply = {"jsonrpc": "2.0", "id": body["id"], "result": {"protocolVersion": "2025-06-18"}}
            return Says.json(reply, mcp_session_id=next(sessions))
        if headers["mcp-session-id"] in forgotten:
            return Says(404)
        assert headers["mcp-protocol-version"] == "2025-06-18"
        return speaks(GOOD)(body, headers)

    server.answer = answer
    here = McpServer(Address(MCP, server.url), timeout_s=20)
    assert [here.call("add", {}) for _ in range(2)] == [{"result": 3}] * 2
    forgotten.append("first")
    assert here.call("add", {}) == {"result": 3}
    asked = [body["method"] for body, _ in server.asked]
    assert asked.count("initialize") == asked.count("notifications/initialized") == 2


def test_a_stream_that_goes_on_after_the_answer_is_left(server: Scripted) -> None:
    def answer(body: dict[str, Any], headers: Mapping[str, str]) -> Says:
        if body["method"] != "tools/call":
            return speaks()(body, headers)
        note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
        question = {"jsonrpc": "2.0", "id": body["id"], "method": "sampling/createMessage"}
        result = {"jsonrpc": "2.0", "id": body["id"], "result": GOOD}
        return Says.events(note, question, result, holds=server.over)

    server.answer = answer
    assert call(server.url, TOOL, {"a": 2}) == {"result": 3}


def test_its_key_is_sent_to_it(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOL_KEY", "sk-secret")
    server.answer = speaks({"tools": []})
    assert McpServer(Address(MCP, server.url, key="env:TOOL_KEY"), timeout_s=20).tools() == []
    assert {headers["authorization"] for _, headers in server.asked} == {"Bearer sk-secret"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _b, _h: Says(307, [b""], {"location": "/elsewhere"}), "307"),
        (lambda _b, _h: Says(500, [b"secret of the server"]), "500"),
        (lambda _b, _h: Says(parts=[b"<p>Welcome</p>"]), "not JSON"),
        (lambda _b, _h: Says(parts=[b"[]"]), "no answer"),
        (lambda _b, _h: Says.json({"jsonrpc": "2.0", "id": 999, "result": {}}), "no answer"),
        (lambda _b, _h: Says.events(b"{"), "not JSON"),
        (lambda _b, _h: Says.events(), "no answer"),
        (lambda _b, _h: Says(parts=[b" " * (1 << 20)] * 5), "too long"),
        (lambda b, _h: Says.json({"id": b["id"], "result": {"protocolVersion": "1999"}}), "no revision"),
        (lambda b, _h: Says.json({"id": b["id"], "error": {"code": 1, "message": "secret"}}), "refused"),
        (speaks(GOOD, initialized=Says(400)), "notification"),
        (speaks({"content": "text"}), "no tool's result"),
        (speaks({"content": ["text"]}), "no tool's result"),
        (speaks({}), "no tool's result"),
        (speaks({"content": [], "structuredContent": {"result": "three"}}), "its own schema"),
        (speaks({"content": []}), "its own schema"),
    ],
)
def test_what_is_no_answer_is_no_answer_and_tells_nothing(
    server: Scripted, answer: Answer, words: str
) -> None:
    server.answer = answer
    with pytest.raises(KoinonError, match=words) as caught:
        call(server.url, TOOL, {"a": 2})
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


def test_a_server_that_forgets_at_once_is_given_up(server: Scripted) -> None:
    def answer(body: dict[str, Any], headers: Mapping[str, str]) -> Says:
        if body["method"] == "initialize":
            result = {"protocolVersion": "2025-11-25"}
            return Says.json({"id": body["id"], "result": result}, mcp_session_id="gone")
        return Says(202, [b""]) if "id" not in body else Says(404)

    server.answer = answer
    with pytest.raises(PeerError, match="forgets"):
        call(server.url, TOOL, {"a": 2})
    assert len(server.asked) == 6


def test_a_server_that_never_answers_is_given_up(server: Scripted) -> None:
    server.answer = lambda _body, _headers: Says(parts=[b" "], holds=server.over)
    with pytest.raises(PeerError) as caught:
        call(server.url, TOOL, {"a": 2}, timeout_s=0.3)
    assert caught.value.code == "service.timeout"


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"tools": [{}] * 1001},
        {"tools": [{"name": "a"}]},
        {"tools": [{"name": "a", "inputSchema": {"type": "array"}}]},
        {"tools": [{"name": "", "inputSchema": {"type": "object"}}]},
        {"tools": [{"name": "a", "inputSchema": {"type": "object", "title": "x" * 70_000}}]},
        {"tools": ["a"]},
        {"tools": [], "nextCursor": "again"},
    ],
)
def test_lists_of_tools_that_are_none(server: Scripted, page: Any) -> None:
    server.answer = speaks(page)
    with pytest.raises((PeerError, BadInput)):
        McpServer(Address(MCP, server.url), timeout_s=20).tools()


def test_tools_are_chosen_by_name() -> None:
    assert choose([TOOL], []) == choose([TOOL], ["add"]) == [TOOL]
    with pytest.raises(BadInput, match="no tool 'sub'"):
        choose([TOOL], ["sub"])
