# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC 2.0 as both doors read it: one request a body, no batches, ids that can be given back.

Source: JSON-RPC 2.0 specification, sections 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

Id = str | int | float | None


class RpcError(Exception):
    """An answer that is an error: JSON-RPC's ``code``, ``message`` and ``data``; ``status`` of HTTP."""

    def __init__(self, code: int, message: str, data: Any = None, *, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.status = status


@dataclass(frozen=True)
class Request:
    """One call. ``notification`` where no answer is wanted, else it goes to ``id``."""

    method: str
    params: dict[str, Any]
    id: Id
    notification: bool = False


def read_request(body: bytes) -> Request:
    """The request in a body.

    Raises
    ------
    RpcError
        Not JSON (-32700), a batch or no request (-32600), parameters that have no names (-32602).
    """
    try:
        found = orjson.loads(body)
    except ValueError:
        raise RpcError(PARSE_ERROR, "The body is not JSON.", status=400) from None
    if isinstance(found, list):
        raise RpcError(INVALID_REQUEST, "Send one request a time: batches are not taken.", status=400)
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'The body is no object with "jsonrpc": "2.0".', status=400)
    method, params = found.get("method"), found.get("params", {})
    number = found.get("id")
    if isinstance(number, bool) or not isinstance(number, str | int | float | None):
        raise RpcError(INVALID_REQUEST, "The id is neither text nor number.", status=400)
    if not isinstance(method, str) or not method:
        raise RpcError(INVALID_REQUEST, "The request names no method.", status=400)
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "The parameters are no object.", status=400)
    return Request(method, params, number, "id" not in found)


def write_json(value: Any) -> bytes:
    """JSON of what came as JSON; RpcError where it is nested deeper than can be written."""
    try:
        return orjson.dumps(value)
    except TypeError:
        raise RpcError(INVALID_PARAMS, "The parameters are nested too deeply.") from None


def id_of(body: bytes) -> Id:
    """The id of a body that could not be read as a request; None where it has none."""
    try:
        found = orjson.loads(body)
    except ValueError:
        return None
    number = found.get("id") if isinstance(found, dict) else None
    return number if isinstance(number, str | int | float) and not isinstance(number, bool) else None


def answer(number: Id, result: Any) -> bytes:
    """A response."""
    return orjson.dumps({"jsonrpc": "2.0", "id": number, "result": result})


def refusal(number: Id, error: RpcError) -> bytes:
    """An error response."""
    fault = {"code": error.code, "message": error.message}
    if error.data is not None:
        fault["data"] = error.data
    return orjson.dumps({"jsonrpc": "2.0", "id": number, "error": fault})
