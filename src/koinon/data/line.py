# SPDX-License-Identifier: Apache-2.0
"""A line to another's process: one bounded HTTP exchange, whatever the other side does with it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import orjson


class Line:
    """Where a process answers, http or https.

    Parameters
    ----------
    url : str
    tls : ssl.SSLContext, optional
        For https; the system's certificates by default.

    Raises ValueError for what is no such address.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(url)
        self._parts, self._tls = parts, tls

    def send(
        self, method: str, path: str, fields: dict[str, Any] | None, *, timeout_s: float, limit: int
    ) -> tuple[int, bytes]:
        """Status and body of the answer.

        ``timeout_s`` is for the whole exchange, headers included, however slowly the other side drips. Raises
        OSError, ValueError or HTTPException where there is no answer, OverflowError for over ``limit`` bytes.
        """
        end = time.monotonic() + timeout_s
        connection = self._connection(timeout_s)
        watch = threading.Timer(timeout_s, _cut_off, (connection,))
        watch.daemon = True
        try:
            watch.start()
            body = None if fields is None else orjson.dumps(fields)
            connection.request(
                method, self._parts.path.rstrip("/") + path, body, {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            content = bytearray()
            while part := answer.read1(1 << 20):
                content += part
                if len(content) > limit:
                    raise OverflowError
                if time.monotonic() > end:
                    raise TimeoutError
            if time.monotonic() > end:  # cut off by the watch
                raise TimeoutError
        finally:
            watch.cancel()
            connection.close()
        return answer.status, bytes(content)

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        host = self._parts.netloc.rpartition("@")[2]
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, timeout=timeout_s)
        context = self._tls or ssl.create_default_context()
        return http.client.HTTPSConnection(host, timeout=timeout_s, context=context)


def _cut_off(connection: http.client.HTTPConnection) -> None:
    """Wake whoever waits for an answer that comes a byte at a time."""
    if (wire := connection.sock) is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(wire, socket.SHUT_RDWR)  # TLS has one of its own, for its own thread alone
