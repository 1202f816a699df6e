# SPDX-License-Identifier: Apache-2.0
"""Keep-alive HTTP for buyers: `http.client` with a pool, because a lean process calls one host many times."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from koinon.errors import BadInput, PeerError

_IDLE_LIMIT: Final = 32
ANSWER_LIMIT: Final = 16 << 20


@dataclass(frozen=True)
class Response:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Connections to any hosts, kept open between requests. Safe to share between threads.

    Parameters
    ----------
    timeout_s : float
        For connecting and for each wait.
    tls : ssl.SSLContext, optional
        For https; the system's certificates by default.
    """

    def __init__(self, timeout_s: float = 60.0, tls: ssl.SSLContext | None = None) -> None:
        self._timeout_s = timeout_s
        self._tls = tls
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()

    def request(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send once and return the answer, whatever its status; PeerError when none came."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{url} is not the address of a service.", hint="Give an http:// or https:// URL.")
        place = (parts.scheme, parts.netloc)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = self._take(place)
        try:
            connection.request(method, target, body, dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read(ANSWER_LIMIT + 1)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise PeerError(
                f"{parts.netloc} gave no answer ({type(error).__name__}).",
                hint="Check the address, or try again.",
                code="service.no_answer",
            ) from error
        if len(content) > ANSWER_LIMIT or answer.will_close:
            connection.close()
        else:
            self._give(place, connection)
        if len(content) > ANSWER_LIMIT:
            raise PeerError(f"The answer of {parts.netloc} is too long.", code="service.bad_answer")
        return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _take(self, place: tuple[str, str]) -> http.client.HTTPConnection:
        with self._lock:
            waiting = self._idle.get(place)
            if waiting:
                return waiting.pop()
        if place[0] == "https":
            context = self._tls or ssl.create_default_context()
            return http.client.HTTPSConnection(place[1], timeout=self._timeout_s, context=context)
        return http.client.HTTPConnection(place[1], timeout=self._timeout_s)

    def _give(self, place: tuple[str, str], connection: http.client.HTTPConnection) -> None:
        with self._lock:
            waiting = self._idle.setdefault(place, [])
            if len(waiting) < _IDLE_LIMIT:
                waiting.append(connection)
                return
        connection.close()
