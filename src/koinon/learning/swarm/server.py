# SPDX-License-Identifier: Apache-2.0
"""A peer's HTTPS server: only announced certificates get past the handshake, and none of them far.

Each connection has a thread; what a connection may cost is bounded before anything is read: handshakes at a
time, connections and requests of a peer, seconds for a request, bytes of a body.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

import orjson

from koinon.errors import KoinonError, PeerError
from koinon.learning.listening import listen
from koinon.learning.swarm.identity import Identity, shown, trust
from koinon.learning.swarm.patient import PatientReader, send_until
from koinon.serving import url_of

Answer = Callable[[str, str, str, bytes], bytes]
"""(account, method, path, body) → the answer's body; errors of Koinon become problem details."""

_END_S: Final = 5.0


@dataclass(frozen=True)
class Limits:
    """What a server grants.

    Attributes
    ----------
    handshakes : int
        Connections that have not shown their certificate yet, all together.
    connections : int
        Open connections of one peer.
    requests_per_s, burst : float
        Of one peer, on the average and at once.
    handshake_s, request_s, idle_s : float
        For the handshake, for a request's head and body together, and between requests.
    """

    handshakes: int = 32
    connections: int = 8
    requests_per_s: float = 200.0
    burst: float = 400.0
    handshake_s: float = 5.0
    request_s: float = 15.0
    idle_s: float = 300.0


class PeerServer:
    """Listens from construction on, serves from `open` on.

    Parameters
    ----------
    identity : Identity
    answer : callable
        Called in a connection's thread.
    body_limit : int
        The most bytes a request's body may have.
    """

    def __init__(
        self,
        identity: Identity,
        answer: Answer,
        *,
        body_limit: int,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self.answer, self.body_limit, self.limits = answer, body_limit, limits or Limits()
        self._context = identity.server_context()
        self._accounts: dict[bytes, str] = {}
        self._open: dict[str, int] = {}
        self._budgets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()
        self._handshakes = threading.BoundedSemaphore(self.limits.handshakes)
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._socket = listen(host, port)
        self.port = int(self._socket.getsockname()[1])
        self.url = url_of(host, self._socket, https=True)
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="swarm server", daemon=True)

    def open(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def admit(self, account: str, certificate: bytes) -> None:
        """Let a peer in from now on; BadInput where that is no certificate."""
        with self._lock:
            if certificate not in self._accounts:
                trust(self._context, certificate)
                self._accounts[certificate] = account

    def close(self) -> None:
        """Stop serving; open connections have ended when this returns."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            connections, threads = list(self._connections), list(self._connections.values())
        for connection in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # its thread finishes what TLS needs
        for thread in threads:
            thread.join(_END_S)

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                continue
            if not self._handshakes.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        connection, account = plain, None
        try:
            try:
                plain.settimeout(self.limits.handshake_s)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                secure = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                connection = secure
                with self._lock:
                    self._connections[secure] = threading.current_thread()
                secure.do_handshake()
                account = self._take_place(shown(secure))
            finally:
                self._handshakes.release()
            if account is not None and not self._closing:
                _Connection(secure, account, self)
        except OSError:
            pass  # who breaks a connection loses it
        finally:
            with self._lock:
                self._connections.pop(connection, None)
                if account is not None:
                    self._open[account] -= 1
            connection.close()

    def _take_place(self, certificate: bytes) -> str | None:
        """Whose certificate it is, where that account may have one more connection."""
        with self._lock:
            account = self._accounts.get(certificate)
            if account is None or self._open.get(account, 0) >= self.limits.connections:
                return None
            self._open[account] = self._open.get(account, 0) + 1
            return account

    def spend(self, account: str) -> bool:
        """Count a request; whether the account may make it now."""
        now = time.monotonic()
        with self._lock:
            left, since = self._budgets.get(account, (self.limits.burst, now))
            left = min(self.limits.burst, left + (now - since) * self.limits.requests_per_s)
            self._budgets[account] = (left - 1 if left >= 1 else left, now)
            return left >= 1


class _Connection(BaseHTTPRequestHandler):
    """One peer's requests, one after the other."""

    protocol_version = "HTTP/1.1"

    def __init__(self, connection: ssl.SSLSocket, account: str, owner: PeerServer) -> None:
        self._account, self._owner = account, owner
        self._patient = PatientReader(connection)
        super().__init__(connection, connection.getpeername(), owner)  # type: ignore[arg-type]

    def setup(self) -> None:
        self.connection = self.request
        self.rfile = io.BufferedReader(self._patient, 1 << 16)
        self.wfile = io.BytesIO()

    def finish(self) -> None:
        pass

    def handle_one_request(self) -> None:
        limits = self._owner.limits
        self._patient.deadline = time.monotonic() + limits.idle_s
        self.close_connection = True
        if not self.rfile.peek(1):  # type: ignore[attr-defined]
            return
        self._patient.deadline = time.monotonic() + limits.request_s
        super().handle_one_request()
        self._flush()

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or "Transfer-Encoding" in self.headers:
            self._refuse(411, PeerError("A body needs its length.", code="swarm.length"))
            return
        if int(length) > self._owner.body_limit:
            limit = self._owner.body_limit
            self._refuse(
                413,
                PeerError(
                    f"A message of this run has at most {limit} bytes.", code="learning.message_too_large"
                ),
            )
            return
        body = self.rfile.read(int(length))
        if len(body) == int(length):
            self._answer(body)
        else:
            self.close_connection = True

    def _answer(self, body: bytes) -> None:
        if not self._owner.spend(self._account):
            self._refuse(429, PeerError("Too many requests.", hint="Wait a second.", code="swarm.rate"))
            return
        try:
            found = self._owner.answer(self._account, self.command, self.path, body)
        except KoinonError as error:
            self._respond(error.http_status, orjson.dumps(error.problem()))
        else:
            self._respond(200, found)

    def _refuse(self, status: int, error: KoinonError) -> None:
        """Answer without having read the body: the connection ends."""
        self.close_connection = True
        self._respond(status, orjson.dumps(error.problem()))

    def _respond(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _flush(self) -> None:
        answer, self.wfile = self.wfile.getvalue(), io.BytesIO()  # type: ignore[attr-defined]
        send_until(self.connection, answer, time.monotonic() + self._owner.limits.request_s)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a peer's requests are nobody's business."""
