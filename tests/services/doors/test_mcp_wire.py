# SPDX-License-Identifier: Apache-2.0
"""The MCP door byte by byte, and what it says to those who send anything else."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from koinon.services.doors.mcp_tools import output_schema
from koinon.services.gateway.asgi import BODY_LIMIT
from tests.services.doors.free import URL, Free

PATH = "/services/1/mcp"
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
MODERN = {"mcp_protocol_version": "2026-07-28"}


def run(talk: Any) -> Any:
    return asyncio.run(talk)


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26"])
def test_initialize_agrees_on_the_clients_revision(version: str) -> None:
    answer = run(Free().rpc(PATH, "initialize", {"protocolVersion": version, "capabilities": {}}))
    assert answer["result"]["protocolVersion"] == version
    assert answer["result"]["capabilities"] == {"tools": {"listChanged": False}}


def test_a_revision_that_nobody_knows_is_answered_with_the_newest() -> None:
    answer = run(Free().rpc(PATH, "initialize", {"protocolVersion": "1999-01-01", "capabilities": {}}))
    assert answer["result"]["protocolVersion"] == "2025-11-25"


def test_a_free_service_answers_without_payment() -> None:
    free = Free()
    answer = run(free.rpc(PATH, "tools/call", {"name": "echo_1", "arguments": {"text": "a"}}))
    result = answer["result"]
    assert (result["isError"], result["structuredContent"]) == (False, {"result": "a"})
    assert result["content"] == [{"type": "text", "text": '"a"'}]
    (path, body, headers) = free.asked[0]
    assert (path, orjson.loads(body)) == ("/services/1", {"text": "a"})
    assert b"payment-signature" not in headers


def test_a_payment_and_the_clients_own_headers_reach_the_service_and_the_doors_do_not() -> None:
    free = Free()
    params = {"name": "echo_1", "arguments": {"text": "a"}, "_meta": {"x402/payment": {"x402Version": 2}}}
    run(free.rpc(PATH, "tools/call", params, idempotency_key="k", mcp_protocol_version="2025-11-25"))
    headers = free.asked[0][2]
    assert headers[b"payment-signature"] == b"eyJ4NDAyVmVyc2lvbiI6Mn0="
    assert headers[b"idempotency-key"] == b"k"
    assert b"mcp-protocol-version" not in headers


def test_what_pays_otherwise_reaches_the_service_as_by_plain_http() -> None:
    free = Free()
    meta = {"koinon/free-call": "signed", "koinon/prepaid": "token", "koinon/call-key": "mine"}
    run(free.rpc(PATH, "tools/call", {"name": "echo_1", "arguments": {"text": "a"}, "_meta": meta}))
    headers = free.asked[0][2]
    assert headers[b"koinon-free-call"] == b"signed"
    assert headers[b"koinon-prepaid"] == b"token"
    assert headers[b"idempotency-key"] == b"mine"


DEEP = b"[" * 300 + b"]" * 300


def test_what_is_nested_deeper_than_can_be_written_is_refused_or_given_as_text() -> None:
    free = Free()
    call = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo_1",%s}}'
    for part in (
        b'"arguments":{"text":%s}' % DEEP,
        b'"arguments":{},"_meta":{"x402/payment":{"a":%s}}' % DEEP,
    ):
        assert run(free.post(PATH, call % part)).json()["error"]["code"] == -32602
    assert not free.asked
    free.says = b'{"result":' + DEEP + b"}"
    result = run(free.rpc(PATH, "tools/call", {"name": "echo_1", "arguments": {"text": "a"}}))["result"]
    assert result["structuredContent"]["result"] == free.says.decode()


@pytest.mark.parametrize("key", [7, "x" * 65, "é"])
def test_a_key_that_is_none(key: Any) -> None:
    params = {"name": "echo_1", "arguments": {"text": "a"}, "_meta": {"koinon/call-key": key}}
    assert run(Free().rpc(PATH, "tools/call", params))["error"]["code"] == -32602


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, -32700),
        (b"\xff\xfe", 400, -32700),
        (b"[" * 100_000, 400, -32700),
        (b"[]", 400, -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', 400, -32600),
        (b"7", 400, -32600),
        (b'{"id":1,"method":"ping"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', 400, -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"resources/list"}', 200, -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"none"}}', 200, -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["echo_1"]}}', 200, -32602),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo_1","arguments":[]}}',
            200,
            -32602,
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"-1"}}', 200, -32602),
    ],
)
def test_garbage_is_answered_in_json_rpc(body: bytes, status: int, code: int) -> None:
    answer = run(Free().post(PATH, body))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 405),
        ("DELETE", {}, 405),
        ("POST", {"content-type": "text/plain"}, 415),
        ("POST", {"origin": "http://elsewhere.test"}, 403),
        ("POST", {"origin": URL}, 200),
        ("POST", {"mcp-protocol-version": "2099-01-01"}, 400),
    ],
)
def test_http_around_it(method: str, headers: dict[str, str], status: int) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert run(Free().post(PATH, ping, headers, method=method)).status_code == status


def test_a_body_beyond_the_limit_is_not_read() -> None:
    assert run(Free().post(PATH, b" " * (BODY_LIMIT + 1))).status_code == 413


def test_a_notification_is_taken_and_not_answered() -> None:
    answer = run(Free().post(PATH, {"jsonrpc": "2.0", "method": "notifications/initialized"}))
    assert (answer.status_code, answer.content) == (202, b"")


def test_tools_come_in_pages() -> None:
    free = Free(count=201)

    async def names() -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await free.rpc("/mcp", "tools/list", cursor))["result"]
            found += [tool["name"] for tool in page["tools"]]
            if "nextCursor" not in page:
                return found
            cursor = {"cursor": page["nextCursor"]}

    assert run(names()) == [f"echo_{number}" for number in range(1, 202)]


def test_the_revision_without_handshake() -> None:
    answer = run(Free().rpc(PATH, "server/discover", {"_meta": META}, mcp_method="server/discover", **MODERN))
    assert answer["result"]["resultType"] == "complete"
    assert answer["result"]["supportedVersions"] == ["2026-07-28"]
    assert "org.x402/payment" in answer["result"]["capabilities"]["extensions"]


@pytest.mark.parametrize(
    ("meta", "headers", "code"),
    [
        (META, {"mcp-protocol-version": "2025-11-25", "mcp-method": "tools/list"}, -32020),
        (META, {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call"}, -32020),
        (META, {"mcp-protocol-version": "2026-07-28"}, -32020),
        (
            {**META, "io.modelcontextprotocol/protocolVersion": "2027-01-01"},
            {"mcp-protocol-version": "2027-01-01", "mcp-method": "tools/list"},
            -32022,
        ),
        ({"io.modelcontextprotocol/protocolVersion": "2026-07-28"}, {"mcp-method": "tools/list"}, -32602),
    ],
)
def test_requests_that_contradict_themselves(meta: Any, headers: dict[str, str], code: int) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    answer = run(Free().post(PATH, request, headers))
    assert answer.json()["error"]["code"] == code
    assert answer.status_code == (400 if "mcp-method" in headers else 200)


def test_results_that_are_no_objects_are_put_into_one_with_their_definitions_at_the_root() -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/Row"}, "$defs": {"Row": {"type": "object"}}}
    assert output_schema(schema) == {
        "type": "object",
        "required": ["result"],
        "$defs": {"Row": {"type": "object"}},
        "properties": {"result": {"type": "array", "items": {"$ref": "#/$defs/Row"}}},
    }
