# SPDX-License-Identifier: Apache-2.0
"""The MCP door: services as tools, over streamable HTTP without sessions, paid by x402's MCP transport.

Speaks the revisions with a handshake (2025-03-26 to 2025-11-25) and the one without (2026-07-28). A paid call
without payment is a tool error that carries x402's PaymentRequired; the payment comes in
``_meta["x402/payment"]`` and the receipt goes back in ``_meta["x402/payment-response"]``.

Source: modelcontextprotocol.io, revisions 2025-11-25 and 2026-07-28; x402 specs/transports-v2/mcp.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from koinon.services.doors.jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Request,
    RpcError,
    answer,
    id_of,
    read_request,
    refusal,
    write_json,
)
from koinon.services.doors.mcp_tools import failure_of, result_of, tool_of
from koinon.services.doors.outcome import Outcome
from koinon.services.doors.skill import Application, Skill, ask
from koinon.services.gateway.asgi import (
    JSON,
    Receive,
    RequestProblem,
    Scope,
    Send,
    header,
    is_json,
    read_body,
    respond,
)

HANDSHAKE: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
"""Revisions agreed on by `initialize`, newest first."""

MODERN: Final = ("2026-07-28",)
"""Revisions whose every request says what it is."""

PAYMENT: Final = "x402/payment"
EXTENSION: Final = "org.x402/payment"
CALL_KEY: Final = "koinon/call-key"
"""What a client names a call by: said again, it is answered again and not charged again."""

HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022

_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
_CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
_SERVER_KEY: Final = "io.modelcontextprotocol/serverInfo"
_SERVER: Final = {"name": "koinon", "title": "Koinon", "version": "1"}
KEY_LIMIT: Final = 64
_PAGE: Final = 100
_TTL_MS: Final = 5_000
_INSTRUCTIONS: Final = (
    "Each tool is a service that is paid per call by x402. Call it once without payment to be told the "
    "price; send the payment in _meta under x402/payment."
)
_STATUS: Final = {
    INVALID_PARAMS: 400,
    METHOD_NOT_FOUND: 404,
    HEADER_MISMATCH: 400,
    UNSUPPORTED_VERSION: 400,
}


@dataclass(frozen=True)
class _Call:
    """One request with all that is needed to answer it."""

    scope: Scope
    receive: Receive
    send: Send
    skills: Sequence[Skill]
    request: Request
    modern: bool


class Mcp:
    """Serves any set of skills as tools.

    Parameters
    ----------
    application : callable
        The ASGI application that runs and charges the calls.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send, skills: Sequence[Skill]) -> None:
        """One HTTP request to an MCP endpoint."""
        if scope["method"] != "POST":
            raise RequestProblem(
                405, "This MCP endpoint has neither sessions nor streams.", "Use POST.", "service.method"
            )
        if not is_json(header(scope, b"content-type")):
            raise RequestProblem(
                415, "The body is not JSON.", "Send content-type: application/json.", "service.content_type"
            )
        body = await read_body(receive)
        number = None
        try:
            request = read_request(body)
            number = request.id
            modern = _is_modern(scope, request)
            if request.notification:
                await respond(send, 202, [], b"")
                return
            await self._answer(_Call(scope, receive, send, skills, request, modern))
        except RpcError as error:
            if number is None:
                number = id_of(body)
            status = _STATUS.get(error.code, error.status) if header(scope, b"mcp-method") else error.status
            await respond(send, status, [JSON], refusal(number, error))

    async def _answer(self, call: _Call) -> None:
        method = call.request.method
        if method == "tools/call":
            await self._tool(call)
        elif method == "tools/list":
            await _reply(call, _listed(call))
        elif method == "initialize" and not call.modern:
            await _reply(call, _initialized(call.request.params))
        elif method == "ping" and not call.modern:
            await _reply(call, {})
        elif method == "server/discover":
            await _reply(call, _discovered())
        else:
            raise RpcError(METHOD_NOT_FOUND, f"There is no method {method[:100]!r} here.")

    async def _tool(self, call: _Call) -> None:
        params = call.request.params
        name, arguments = params.get("name"), params.get("arguments")
        skill = next((skill for skill in call.skills if skill.name == name), None)
        if skill is None:
            raise RpcError(INVALID_PARAMS, f"There is no tool {str(name)[:100]!r}: tools/list names them.")
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, dict):
            raise RpcError(INVALID_PARAMS, "The arguments are no object.")
        meta = _meta(params)
        payment, call_key = meta.get(PAYMENT), meta.get(CALL_KEY, "")
        if not isinstance(call_key, str) or len(call_key) > KEY_LIMIT or not call_key.isascii():
            raise RpcError(INVALID_PARAMS, f"_meta[{CALL_KEY!r}] is no text of {KEY_LIMIT} ASCII characters.")
        if isinstance(payment, str):
            try:
                payment = orjson.loads(payment)
            except ValueError:
                raise RpcError(INVALID_PARAMS, f"_meta[{PAYMENT!r}] is not JSON.") from None
        body = write_json(arguments)

        async def deliver(outcome: Outcome) -> None:
            if outcome.status == 200:
                await _reply(call, result_of(skill, outcome))
            elif outcome.payment_required is not None:
                await _reply(call, _unpaid(call, outcome.payment_required))
            elif not _about_payment(outcome):
                await _reply(call, failure_of(outcome))

        outcome = await ask(
            self._application,
            call.scope,
            call.receive,
            skill,
            body,
            payment=payment,
            carried=meta,
            call_key=call_key,
            deliver=deliver,
        )
        if outcome.payment_required is None and _about_payment(outcome):
            unpaid = await ask(self._application, call.scope, call.receive, skill, body)
            terms = unpaid.payment_required
            said = failure_of(outcome) if terms is None else _unpaid(call, {**terms, "error": outcome.reason})
            await _reply(call, said)


def _about_payment(outcome: Outcome) -> bool:
    """Whether it was the payment that was wrong, which x402 answers with the terms of another."""
    if outcome.status == 200:
        return False
    return outcome.status == 402 or str(outcome.document.get("code", "")).startswith("payment.")


def _is_modern(scope: Scope, request: Request) -> bool:
    """Whether a request is of a revision without handshake; RpcError where it contradicts itself."""
    meta, stated = _meta(request.params), header(scope, b"mcp-protocol-version").decode("latin-1")
    if _VERSION_KEY not in meta:
        if stated and stated not in HANDSHAKE and not (stated in MODERN and request.notification):
            raise _unsupported(stated)
        return False
    version = meta[_VERSION_KEY]
    if not isinstance(version, str) or not isinstance(meta.get(_CAPABILITIES_KEY), dict):
        raise RpcError(INVALID_PARAMS, f"params._meta needs {_VERSION_KEY} and {_CAPABILITIES_KEY}.")
    if stated != version:
        raise RpcError(HEADER_MISMATCH, "The MCP-Protocol-Version header is not the request's version.")
    if header(scope, b"mcp-method").decode("latin-1") != request.method:
        raise RpcError(HEADER_MISMATCH, "The Mcp-Method header is not the request's method.")
    if request.method == "tools/call" and _header_text(scope, b"mcp-name") != request.params.get("name"):
        raise RpcError(HEADER_MISMATCH, "The Mcp-Name header is not the tool's name.")
    if version not in MODERN:
        raise _unsupported(version)
    return True


def _header_text(scope: Scope, name: bytes) -> str:
    """A header as it is or in the base64 form for what is not ASCII."""
    text = header(scope, name).decode("latin-1")
    if text.startswith("=?base64?") and text.endswith("?="):
        try:
            return base64.b64decode(text[9:-2], validate=True).decode()
        except (binascii.Error, ValueError):
            return ""
    return text


def _unsupported(version: str) -> RpcError:
    return RpcError(
        UNSUPPORTED_VERSION,
        "Unsupported protocol version",
        {"supported": [*MODERN, *HANDSHAKE], "requested": version[:100]},
        status=400,
    )


def _meta(params: Mapping[str, Any]) -> dict[str, Any]:
    found = params.get("_meta")
    return found if isinstance(found, dict) else {}


def _initialized(params: Mapping[str, Any]) -> dict[str, Any]:
    wanted = params.get("protocolVersion")
    return {
        "protocolVersion": wanted if wanted in HANDSHAKE else HANDSHAKE[0],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": _SERVER,
        "instructions": _INSTRUCTIONS,
    }


def _discovered() -> dict[str, Any]:
    return {
        "supportedVersions": list(MODERN),
        "capabilities": {"tools": {}, "extensions": {EXTENSION: {}}},
        "instructions": _INSTRUCTIONS,
        "ttlMs": _TTL_MS,
        "cacheScope": "public",
    }


def _listed(call: _Call) -> dict[str, Any]:
    cursor = call.request.params.get("cursor")
    start = 0
    if cursor is not None:
        if not isinstance(cursor, str) or not cursor.isascii() or not cursor.isdigit() or len(cursor) > 9:
            raise RpcError(INVALID_PARAMS, "The cursor is none that was given out.")
        start = int(cursor)
    page: dict[str, Any] = {"tools": [tool_of(skill) for skill in call.skills[start : start + _PAGE]]}
    if start + _PAGE < len(call.skills):
        page["nextCursor"] = str(start + _PAGE)
    if call.modern:
        page |= {"ttlMs": _TTL_MS, "cacheScope": "public"}
    return page


def _unpaid(call: _Call, required: Mapping[str, Any]) -> dict[str, Any]:
    capabilities = _meta(call.request.params).get(_CAPABILITIES_KEY)
    extensions = capabilities.get("extensions") if isinstance(capabilities, dict) else None
    if call.modern and isinstance(extensions, dict) and EXTENSION in extensions:
        return {"resultType": "payment_required", "paymentRequired": required}
    return {
        "content": [{"type": "text", "text": orjson.dumps(required).decode()}],
        "structuredContent": required,
        "isError": True,
    }


async def _reply(call: _Call, result: dict[str, Any]) -> None:
    if call.modern:
        result = {"resultType": "complete", **result}
        result["_meta"] = {**result.get("_meta", {}), _SERVER_KEY: _SERVER}
    await respond(call.send, 200, [JSON], answer(call.request.id, result))
