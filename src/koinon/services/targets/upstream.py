# SPDX-License-Identifier: Apache-2.0
"""Asks somebody else's server, trusting nothing of its answer: a time, a size, no redirects, no address told.

Threads and `http.client`, as everything lean here; an answer is read as it comes, so that a stream can be
passed on and an endless one is left once what was wanted of it is there.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from koinon.errors import PeerError

ANSWER_LIMIT: Final = 4 << 20
"""Bytes of an answer, its stream's frames included."""

_CHUNK: Final = 1 << 16


@dataclass
class Reply:
    """An answer that is being read; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]

    @property
    def is_stream(self) -> bool:
        """Whether it consists of server-sent events."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower() == "text/event-stream"

    def body(self) -> bytes:
        """All of it; PeerError where it is too long or breaks off."""
        return b"".join(self.chunks)

    def events(self) -> Iterator[bytes]:
        """The data of each server-sent event; PeerError as in `body`."""
        return _events(self.chunks)


class Upstream:
    """One server.

    Parameters
    ----------
    timeout_s : float
        For a request from its beginning to the end of its answer.
    what : str
        What the server is for buyers' eyes, as in "the endpoint behind this service".
    secret : str
        Sent as a bearer token, and nowhere else.
    """

    def __init__(self, *, timeout_s: float, what: str, secret: str = "") -> None:
        self._timeout_s = timeout_s
        self._what = what
        self._secret = secret

    @contextmanager
    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Iterator[Reply]:
        """Send once, and read the answer within the context. PeerError when none comes, in time, within its
        size; whatever its status."""
        parts = urlsplit(url)
        connection = _connection(parts.scheme, parts.netloc, self._timeout_s)
        over = threading.Event()
        line: list[socket.socket] = []  # a connection forgets its socket once an answer is its last

        def cut() -> None:
            over.set()
            for connected in line:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._timeout_s, cut)
        timer.daemon = True
        timer.start()
        sent = {"content-type": "application/json", **headers}
        if self._secret:
            sent["authorization"] = f"Bearer {self._secret}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.connect()
            line.append(connection.sock)
            connection.request("POST", target, body, sent)
            with closing(connection.getresponse()) as answer:
                found = {name.lower(): value for name, value in answer.getheaders()}
                yield Reply(answer.status, found, self._read(answer, over))
        except (OSError, ValueError, http.client.HTTPException) as fault:
            raise self._silent(over) from fault
        finally:
            timer.cancel()
            connection.close()

    def failed(self, why: str) -> PeerError:
        """The error for an answer that is none, in words that name nobody."""
        return PeerError(
            f"{self._what} {why}.",
            hint="Nothing was charged; try again later, or tell the service's owner.",
            code="service.endpoint_failed",
        )

    def _read(self, answer: http.client.HTTPResponse, over: threading.Event) -> Iterator[bytes]:
        size = 0
        try:
            while chunk := answer.read1(_CHUNK):
                size += len(chunk)
                if size > ANSWER_LIMIT:
                    raise self.failed("gave an answer that is too long")
                yield chunk
        except (OSError, ValueError, http.client.HTTPException) as fault:
            raise self._silent(over) from fault
        if over.is_set() or answer.length:
            raise self._silent(over)

    def _silent(self, over: threading.Event) -> PeerError:
        if over.is_set():
            return PeerError(
                f"{self._what} gave no answer within {self._timeout_s:g} s.",
                hint="Try again later; nothing was charged.",
                code="service.timeout",
            )
        return self.failed("gave no answer")


def _connection(scheme: str, place: str, timeout_s: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(place, timeout=timeout_s, context=ssl.create_default_context())
    return http.client.HTTPConnection(place, timeout=timeout_s)


def _events(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Server-sent events (WHATWG HTML, 9.2.6), as far as their data goes."""
    rest = b""
    data: list[bytes] = []
    for chunk in chunks:
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []
