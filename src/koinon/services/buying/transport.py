# SPDX-License-Identifier: Apache-2.0
"""Keep-alive HTTP for buyers: `http.client` with a pool, because a lean process calls one host many times."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
    whole_s : float, optional
        For a request from its beginning to its end, however slowly the other side goes on.
    answer_limit : int
        Bytes of an answer's body.
    allowed : callable, optional
        Whether an IP address may be asked; every address by default. Names are looked up and checked before
        anything is sent, and what was connected to is checked again.
    """

    def __init__(
        self,
        timeout_s: float = 60.0,
        tls: ssl.SSLContext | None = None,
        *,
        whole_s: float | None = None,
        answer_limit: int = ANSWER_LIMIT,
        allowed: Callable[[str], bool] | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._tls = tls
        self._whole_s = whole_s
        self._answer_limit = answer_limit
        self._allowed = allowed
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def request(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send once and return the answer, whatever its status; PeerError when none came."""
        scheme, place, target = _parts(url)
        connection: http.client.HTTPConnection | None = None
        try:
            connection = self._take((scheme, place))
            with self._within() as line:
                if connection.sock is None:
                    self._connect(connection)
                line.append(connection.sock)
                connection.request(method, target, body, dict(headers or {}))
                answer = connection.getresponse()
                content = answer.read(self._answer_limit + 1)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if connection is not None:
                connection.close()
            raise PeerError(
                f"{place} gave no answer ({type(error).__name__}).",
                hint="Check the address, or try again.",
                code="service.no_answer",
            ) from error
        if len(content) > self._answer_limit or answer.will_close:
            connection.close()
        else:
            self._give((scheme, place), connection)
        if len(content) > self._answer_limit:
            raise PeerError(f"The answer of {place} is too long.", code="service.bad_answer")
        return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def close(self) -> None:
        """Close every idle connection; those that are in use by other threads close after their answer."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        if self._allowed is None:
            connection.connect()
            return
        found = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
        if not all(self._allowed(str(address[0])) for *_, address in found):
            raise PermissionError(connection.host)
        connection.connect()
        if not self._allowed(str(connection.sock.getpeername()[0])):
            raise PermissionError(connection.host)

    @contextmanager
    def _within(self) -> Iterator[list[socket.socket]]:
        """Cut a connection when a request has taken its whole time. Its socket is to be put into the list:
        the connection itself forgets it once the other side says that an answer is its last."""
        line: list[socket.socket] = []
        if self._whole_s is None:
            yield line
            return
        over = threading.Event()

        def cut() -> None:
            over.set()
            for connected in line:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._whole_s, cut)
        timer.daemon = True
        timer.start()
        try:
            yield line
        finally:
            timer.cancel()
        if over.is_set():
            raise TimeoutError

    def _take(self, place: tuple[str, str]) -> http.client.HTTPConnection:
        with self._lock:
            waiting = self._idle.get(place, [])
            while waiting:
                connection = waiting.pop()
                if not _ended(connection):
                    return connection
                connection.close()
        if place[0] == "https":
            context = self._tls or ssl.create_default_context()
            return http.client.HTTPSConnection(place[1], timeout=self._timeout_s, context=context)
        return http.client.HTTPConnection(place[1], timeout=self._timeout_s)

    def _give(self, place: tuple[str, str], connection: http.client.HTTPConnection) -> None:
        with self._lock:
            waiting = self._idle.setdefault(place, [])
            if len(waiting) < _IDLE_LIMIT and not self._closed:
                waiting.append(connection)
                return
        connection.close()


def _ended(idle: http.client.HTTPConnection) -> bool:
    """Whether the other side has closed a connection since its last answer: only then is there anything to
    read, and a request sent on it would get no answer."""
    look = select.poll()
    look.register(idle.sock, select.POLLIN)
    return bool(look.poll(0))


def _parts(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and what is asked for there; `BadInput` where a URL is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadInput(f"{url} is not the address of a service.", hint="Give an http:// or https:// URL.")
    return parts.scheme, parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
