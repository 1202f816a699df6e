# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC over HTTP to an EVM node: keep-alive connections, batches, typed errors.

Built on `http.client`: a process that only signs and sends starts without importing a full HTTP client (which
takes longer than all of its work), and a call on loopback costs a fraction of a millisecond.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import select
import ssl
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

import orjson

from koinon.errors import BadInput, ChainError, NodeUnavailable

BATCH: Final = 250
"""Most requests in one HTTP message: larger batches have hung development nodes."""

_ATTEMPTS: Final = 3
_IDLE_CONNECTIONS: Final = 8
_WRITES: Final = ("eth_send", "eth_sign", "personal_", "anvil_", "evm_", "hardhat_")


class RpcError(ChainError):
    """The node answered with an error.

    ``rpc_code`` is JSON-RPC's number (3 = execution reverted), ``data`` the revert data (may be empty).
    """

    code = "chain.rpc"

    def __init__(self, message: str, *, rpc_code: int, data: bytes = b"", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rpc_code = rpc_code
        self.data = data


class Rpc:
    """One node. Safe to share between threads; close it or use it as a context manager.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``; a user name and password in it are sent as basic authentication.
    timeout_s : float
        Longest wait for one answer, in seconds.

    Raises
    ------
    NodeUnavailable
        From every call: no connection, no answer in time, no JSON-RPC answer. Reads are tried three times.
    """

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(
                f"{redact(url)} is not the address of a node.",
                hint="Give an http:// or https:// URL.",
                code="chain.rpc_url",
            )
        self.url = url
        self.timeout_s = timeout_s
        self._host, self._port = parts.hostname, parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
        self._numbers = itertools.count(1)
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def call(self, method: str, *parameters: Any) -> Any:
        """One request; its result. `RpcError` when the node refuses it."""
        request = self._request(method, parameters)
        answer = self._exchange(request, retry=not method.startswith(_WRITES))
        if not isinstance(answer, dict) or not ("result" in answer or answer.get("error")):
            raise self._unavailable("does not speak JSON-RPC", "Check the address of the node.")
        if answer.get("error"):
            raise _error(answer["error"])
        return answer["result"]

    def batch(self, requests: Sequence[tuple[str, Sequence[Any]]], *, raise_errors: bool = True) -> list[Any]:
        """Several ``(method, parameters)`` in messages of at most 250; results in the same order.

        With ``raise_errors=False`` an `RpcError` stands in its request's place instead of being raised.
        """
        results: list[Any] = []
        for start in range(0, len(requests), BATCH):
            results += self._batch(requests[start : start + BATCH])
        if raise_errors:
            for result in results:
                if isinstance(result, RpcError):
                    raise result
        return results

    def close(self) -> None:
        """Close every idle connection; those that are in use by other threads close after their answer."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Rpc({redact(self.url)})"

    def _batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        messages = [self._request(method, parameters) for method, parameters in requests]
        retry = not any(method.startswith(_WRITES) for method, _ in requests)
        answers = self._exchange(messages, retry=retry)
        if not isinstance(answers, list) or len(answers) != len(messages):
            raise self._unavailable("does not answer batches", "Use a node that supports JSON-RPC batches.")
        by_number = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        results = []
        for message in messages:
            answer = by_number.get(message["id"])
            if answer is None:
                raise self._unavailable("left out part of a batch", "Try again.")
            results.append(_error(answer["error"]) if answer.get("error") else answer.get("result"))
        return results

    def _request(self, method: str, parameters: Sequence[Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": list(parameters)}

    def _exchange(self, message: Any, *, retry: bool) -> Any:
        body = orjson.dumps(message)
        attempts = _ATTEMPTS if retry else 1
        for attempt in range(1, attempts + 1):
            try:
                status, content = self._post(body)
            except TimeoutError:
                raise self._unavailable(
                    f"did not answer within {self.timeout_s:g} seconds",
                    "Try again, or look at the node's log.",
                ) from None
            except ssl.SSLCertVerificationError:
                raise self._unavailable(
                    "shows a certificate that cannot be trusted", "Check the address, or its certificate."
                ) from None
            except (OSError, http.client.HTTPException):
                if attempt < attempts:
                    continue
                raise self._unavailable("cannot be reached", "Start it, or check its address.") from None
            if status in (429, 502, 503, 504) and attempt < attempts:
                continue
            return self._parse(status, content)
        raise AssertionError("unreachable")

    def _parse(self, status: int, content: bytes) -> Any:
        if status in (401, 403):
            raise self._unavailable(
                "refuses our credentials", "Check the user name, password or API key in its URL."
            )
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            raise self._unavailable(
                f"answered with HTTP status {status} and no JSON", "Check the address of the node."
            ) from None

    def _post(self, body: bytes) -> tuple[int, bytes]:
        with self._lock:
            connection = self._idle.pop() if self._idle else self._connect()
        if _was_closed(connection):
            connection.close()  # and opened again by the request: a write is never tried twice
        try:
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            status, content = response.status, response.read()
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if len(self._idle) < _IDLE_CONNECTIONS and not response.will_close and not self._closed:
                self._idle.append(connection)
                return status, content
        connection.close()
        return status, content

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self.timeout_s, context=self._tls
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self.timeout_s)

    def _unavailable(self, what: str, hint: str) -> NodeUnavailable:
        return NodeUnavailable(f"The node at {redact(self.url)} {what}.", hint=hint)


def _was_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the node hung up on an idle connection: nothing can be read from one but its end."""
    if connection.sock is None:
        return False
    look = select.poll()
    look.register(connection.sock, select.POLLIN)
    return bool(look.poll(0))


def redact(url: str) -> str:
    """A URL fit for messages: without user, password, query and path, where providers put their keys."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    secret = "/…" if parts.path not in ("", "/") or parts.query else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{secret}"


def _error(error: Any) -> RpcError:
    if not isinstance(error, dict):
        return RpcError(f"The node answered: {error}", rpc_code=0)
    data = error.get("data")
    while isinstance(data, dict):
        data = data.get("data")
    revert = b""
    if isinstance(data, str) and data.startswith("0x"):
        try:
            revert = bytes.fromhex(data[2:])
        except ValueError:
            revert = b""
    number = error.get("code", 0)
    return RpcError(
        str(error.get("message", "error")), rpc_code=number if isinstance(number, int) else 0, data=revert
    )
