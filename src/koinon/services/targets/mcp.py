# SPDX-License-Identifier: Apache-2.0
"""Sells a tool of an MCP server that stands already, over streamable HTTP.

The server sees the tool's arguments and nothing of who pays. What it declares is read once, when the tool is
published; a call that does not fit its schema is not sent on, and an answer that does not fit is not paid.

Source: modelcontextprotocol.io, revision 2025-11-25: lifecycle, transports, tools.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from koinon.errors import BadInput, PeerError
from koinon.services.selling.signature import InvalidInput, Signature
from koinon.services.targets.address import Address
from koinon.services.targets.shape import problems
from koinon.services.targets.upstream import Reply, Upstream

VERSION: Final = "2025-11-25"
SPOKEN: Final = frozenset({"2025-11-25", "2025-06-18", "2025-03-26"})
CONNECTIONS: Final = 8
MOST_PAGES: Final = 50
MOST_TOOLS: Final = 1_000
LARGEST_SCHEMA: Final = 64 << 10
_LONGEST: Final = 2_000
_LONGEST_FAULT: Final = 500
_WHAT: Final = "The MCP server behind this service"


@dataclass(frozen=True)
class Tool:
    """What a server says of one of its tools, within bounds."""

    name: str
    title: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]

    def signature(self) -> Signature:
        """As a service shows it."""
        output = self.output_schema or {
            "type": "object",
            "properties": {"content": {"type": "array", "items": {"type": "object"}}},
            "required": ["content"],
        }
        return Signature(self.name, self.description, dict(self.input_schema), dict(output))


@dataclass
class _Session:
    """What was agreed on with a server; ``id`` is empty where it keeps none."""

    id: str
    version: str
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {"mcp-protocol-version": self.version}
        if self.id:
            self.headers["mcp-session-id"] = self.id


class _Forgotten(Exception):
    """The server knows the session no more; nothing was done."""


class McpServer:
    """An MCP server, asked by one thread or by many.

    Parameters
    ----------
    address : Address
    timeout_s : float
        For one request, and for agreeing on a session before it.
    """

    def __init__(self, address: Address, *, timeout_s: float) -> None:
        self._url = address.url
        self._upstream = Upstream(timeout_s=timeout_s, what=_WHAT, secret=address.secret())
        self._session: _Session | None = None
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def tools(self) -> list[Tool]:
        """Its tools; PeerError where it does not say them in good form."""
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = self._ask("tools/list", {"cursor": cursor} if cursor else {})
            listed, cursor = page.get("tools"), page.get("nextCursor")
            if not isinstance(listed, list) or len(found) + len(listed) > MOST_TOOLS:
                raise self._upstream.failed("lists no tools, or too many")
            found += [_tool(item) for item in listed]
            if not isinstance(cursor, str) or not cursor:
                return found
        raise self._upstream.failed("lists tools without end")

    def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A tool's result; PeerError where there is none, ``service.tool_failed`` where the tool says so."""
        result = self._ask("tools/call", {"name": tool, "arguments": arguments})
        content = result.get("content")
        if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
            raise self._upstream.failed("answered with something that is no tool's result")
        if result.get("isError"):
            said = " ".join(part["text"] for part in content if isinstance(part.get("text"), str))
            raise PeerError(
                f"The tool behind this service failed: {said[:_LONGEST_FAULT] or 'it does not say why'}",
                hint="Nothing was charged; check the input.",
                code="service.tool_failed",
            )
        structured = result.get("structuredContent")
        return structured if isinstance(structured, dict) else {"content": content}

    def _ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """One request, again with a new session where the server forgot the old one."""
        for last in (False, True):
            session = self._agree()
            try:
                return self._request(method, params, session.headers)[0]
            except _Forgotten:
                with self._lock:
                    if self._session is session:
                        self._session = None
                if last:
                    raise self._upstream.failed("forgets every session at once") from None
        raise AssertionError

    def _agree(self) -> _Session:
        """The session, agreed on once."""
        with self._lock:
            if self._session is None:
                params = {
                    "protocolVersion": VERSION,
                    "capabilities": {},
                    "clientInfo": {"name": "koinon", "version": "1"},
                }
                result, headers = self._request("initialize", params, {})
                version = result.get("protocolVersion")
                if version not in SPOKEN:
                    raise self._upstream.failed("speaks no revision of MCP that is spoken here")
                self._session = _Session(headers.get("mcp-session-id", "")[:1_000], str(version))
                self._notify("notifications/initialized", self._session.headers)
            return self._session

    def _notify(self, method: str, headers: Mapping[str, str]) -> None:
        body = orjson.dumps({"jsonrpc": "2.0", "method": method})
        with self._upstream.post(self._url, body, {**_ACCEPT, **headers}) as reply:
            if reply.status not in (200, 202, 204):
                raise self._upstream.failed("takes no notification")

    def _request(
        self, method: str, params: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        number = next(self._numbers)
        body = orjson.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        with self._upstream.post(self._url, body, {**_ACCEPT, **headers}) as reply:
            if reply.status == 404 and "mcp-session-id" in headers:
                raise _Forgotten
            if reply.status != 200:
                raise self._upstream.failed(f"answered with HTTP status {reply.status}")
            return self._result(reply, number), reply.headers

    def _result(self, reply: Reply, number: int) -> dict[str, Any]:
        """The result among what a reply says; the server's own requests and notes are passed over."""
        for message in reply.events() if reply.is_stream else iter([reply.body()]):
            try:
                found = orjson.loads(message)
            except ValueError:
                raise self._upstream.failed("answered with something that is not JSON") from None
            if not isinstance(found, dict) or found.get("id") != number or "method" in found:
                continue
            result = found.get("result")
            if not isinstance(result, dict):
                raise self._upstream.failed("refused the request")
            return result
        raise self._upstream.failed("gave no answer")


_ACCEPT: Final = {"accept": "application/json, text/event-stream"}


class McpTool:
    """Runs one tool. As `executor.Runner`.

    Parameters
    ----------
    address : Address
    signature : Signature
        As it was published.
    timeout_s : float
    """

    def __init__(self, address: Address, signature: Signature, *, timeout_s: float) -> None:
        self.signature = signature
        self._name = address.name
        self._timeout_s = timeout_s
        self._server = McpServer(address, timeout_s=timeout_s)
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="mcp")

    async def call(self, body: bytes) -> bytes:
        try:
            arguments = orjson.loads(body)
        except ValueError:
            raise InvalidInput([]) from None
        if not isinstance(arguments, dict):
            raise InvalidInput([])
        if wrong := problems(self.signature.input_schema, arguments):
            raise InvalidInput(wrong)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                result = await loop.run_in_executor(self._threads, self._server.call, self._name, arguments)
        except TimeoutError:
            raise PeerError(
                f"{_WHAT} gave no answer in time.",
                hint="Try again later; nothing was charged.",
                code="service.timeout",
            ) from None
        if problems(self.signature.output_schema, result):
            raise PeerError(
                f"{_WHAT} gave an answer that does not fit its own schema.",
                hint="Nothing was charged; tell the service's owner.",
                code="service.endpoint_failed",
            )
        return orjson.dumps(result)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def choose(tools: Sequence[Tool], names: Sequence[str]) -> list[Tool]:
    """The tools of these names, or all; BadInput names one that is not there."""
    by_name = {tool.name: tool for tool in tools}
    for name in names:
        if name not in by_name:
            raise BadInput(
                f"The MCP server has no tool {name!r}.",
                hint=f"It has: {', '.join(list(by_name)[:20]) or 'none'}.",
                code="service.endpoint",
            )
    return [by_name[name] for name in names] if names else list(tools)


def _tool(item: Any) -> Tool:
    """A tool of a server's list; BadInput where it is none."""
    if not isinstance(item, dict) or len(orjson.dumps(item)) > LARGEST_SCHEMA:
        raise _unusable("a tool that is no object of at most 64 KiB")
    name = item.get("name")
    if not isinstance(name, str) or not name or len(name) > 128 or not name.isprintable():
        raise _unusable("a tool without a name")
    schema, output = item.get("inputSchema"), item.get("outputSchema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise _unusable(f"a tool {name} whose input is no object")
    title = item.get("title")
    return Tool(
        name,
        title[:200] if isinstance(title, str) and title.strip() else name,
        str(item.get("description") or "")[:_LONGEST],
        schema,
        output if isinstance(output, dict) else {},
    )


def _unusable(what: str) -> BadInput:
    return BadInput(f"The MCP server lists {what}.", hint="Tell its owner.", code="service.endpoint")
