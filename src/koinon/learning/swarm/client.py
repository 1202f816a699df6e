# SPDX-License-Identifier: Apache-2.0
"""A peer's line to another: one HTTPS connection that ends at the certificate the other announced."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from typing import Final
from urllib.parse import urlsplit

import orjson

from koinon.errors import BadInput, IntegrityError, NotFound, PeerError
from koinon.learning.swarm.identity import Identity, shown
from koinon.learning.swarm.patient import PatientSocket

_LONGEST_REFUSAL: Final = 1 << 16
_SLOWEST: Final = 1 << 20
"""Bytes a second that a peer must manage at least."""


class PeerClient:
    """Calls one peer; safe to share between threads, which take turns.

    Parameters
    ----------
    identity : Identity
        What this side shows.
    account, url, certificate
        As the other announced them on chain.
    connect_s, answer_s : float
        How long to wait for the connection, and for an answer: altogether, with a second for each megabyte.
    """

    def __init__(
        self,
        identity: Identity,
        account: str,
        url: str,
        certificate: bytes,
        *,
        connect_s: float = 2.0,
        answer_s: float = 5.0,
    ) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme != "https" or not parts.hostname or not port:
            raise BadInput(f"{url!r} is no address of a peer.", hint="https://host:port", code="swarm.url")
        self.account = account
        self._host, self._port, self._certificate = parts.hostname, port, certificate
        self._context = identity.client_context(certificate)
        self._connect_s, self._answer_s = connect_s, answer_s
        self._connection: http.client.HTTPSConnection | None = None
        self._line: PatientSocket | None = None
        self._lock = threading.Lock()

    def get(self, path: str, *, limit: int) -> bytes:
        """Fetch at most ``limit`` bytes; errors as in `post`, NotFound where the other does not have it."""
        return self._exchange("GET", path, None, limit)

    def post(self, path: str, body: bytes, *, limit: int = 1 << 16) -> bytes:
        """Hand something over; the answer.

        Raises
        ------
        PeerError
            The peer cannot be reached, or refuses (with its code and words).
        IntegrityError
            Somebody else answers there, or too much.
        """
        return self._exchange("POST", path, body, limit)

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._hang_up()

    def _exchange(self, method: str, path: str, body: bytes | None, limit: int) -> bytes:
        with self._lock:
            fresh = self._connection is None
            try:
                try:
                    status, content = self._once(method, path, body, limit)
                except (ConnectionError, http.client.HTTPException, ssl.SSLEOFError):
                    if fresh:
                        raise
                    self._hang_up()  # the other had closed it in the meantime
                    status, content = self._once(method, path, body, limit)
            except (OSError, http.client.HTTPException) as error:
                self._hang_up()
                raise PeerError(
                    f"Peer {self.account} cannot be reached at {self._host}:{self._port} ({error}).",
                    code="swarm.unreachable",
                ) from error
        if status != 200:
            raise _refusal(status, content)
        return content

    def _once(self, method: str, path: str, body: bytes | None, limit: int) -> tuple[int, bytes]:
        connection, line = self._connected()
        line.until(time.monotonic() + self._answer_s + (limit + len(body or b"")) / _SLOWEST)
        connection.request(method, path, body=body)
        response = connection.getresponse()
        if response.status != 200:
            limit = _LONGEST_REFUSAL
        content = response.read(limit + 1)
        if len(content) > limit:
            self._hang_up()
            raise IntegrityError(
                f"Peer {self.account} answered more than {limit} bytes.", code="learning.message_too_large"
            )
        if response.will_close:
            self._hang_up()
        return response.status, content

    def _connected(self) -> tuple[http.client.HTTPSConnection, PatientSocket]:
        if self._connection is not None and self._line is not None:
            return self._connection, self._line
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=self._connect_s, context=self._context
        )
        try:
            connection.connect()
            self._check(connection.sock)
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        self._connection, self._line = connection, PatientSocket(connection.sock)
        connection.sock = self._line
        return self._connection, self._line

    def _check(self, line: socket.socket | ssl.SSLSocket) -> None:
        if not isinstance(line, ssl.SSLSocket) or shown(line) != self._certificate:
            raise IntegrityError(
                f"Not peer {self.account} answers at {self._host}:{self._port}.",
                hint="It shows another certificate than was announced.",
                code="learning.certificate",
            )

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._line = None


def _refusal(status: int, body: bytes) -> PeerError | NotFound:
    kind = NotFound if status == 404 else PeerError
    try:
        problem = orjson.loads(body)
        return kind(str(problem["title"]), hint=str(problem["detail"]), code=str(problem["code"]))
    except (ValueError, KeyError, TypeError):
        return kind("The peer refused without a reason.", code="swarm.refused")
