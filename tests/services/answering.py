# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that answers as somebody's endpoint or gateway might: well, badly, slowly, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answering:
    """Where it answers; ``asked`` (method, path, body) in order; ``says`` answers paths of a test's own."""

    url: str
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    says: dict[str, bytes] = field(default_factory=dict)
    let_go: threading.Event = field(default_factory=threading.Event)

    def count(self, path: str) -> int:
        return sum(1 for _, asked, _ in self.asked if asked == path)


@contextmanager
def open_answering() -> Iterator[Answering]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.answering = Answering(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.answering  # type: ignore[attr-defined]
    finally:
        server.answering.let_go.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asks may hang up: nothing to say."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _respond(self) -> None:
        here: Answering = self.server.answering  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        here.asked.append((self.command, self.path, body))
        with suppress(OSError):
            if self.path in here.says:
                self._answer(200, here.says[self.path])
            else:
                getattr(self, f"_{self.path.strip('/').partition('/')[0]}", self._missing)(body)

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _missing(self, _body: bytes) -> None:
        self._answer(404, b"{}")

    def _good(self, body: bytes) -> None:
        self._answer(200, b'{"asked":' + body + b"}")

    def _counted(self, _body: bytes) -> None:
        self._answer(200, b"{}", **{"Koinon-Units": "17"})

    def _redirect(self, _body: bytes) -> None:
        self._answer(307, b"", location="/good")

    def _html(self, _body: bytes) -> None:
        self._answer(200, b"<p>Welcome</p>")

    def _large(self, _body: bytes) -> None:
        self._answer(200, b'"' + b"x" * (5 << 20) + b'"')

    def _broken(self, _body: bytes) -> None:
        self._answer(500, b'{"error":"secret of the endpoint"}')

    def _dead(self, _body: bytes) -> None:
        self.close_connection = True

    def _slow(self, _body: bytes) -> None:
        self.server.answering.let_go.wait(20)  # type: ignore[attr-defined]
        self.close_connection = True

    def _last(self, body: bytes) -> None:
        self._drip(body, connection="close")

    def _drip(self, _body: bytes, connection: str = "keep-alive") -> None:
        self.send_response(200)
        self.send_header("content-length", "100000")
        self.send_header("connection", connection)
        self.end_headers()
        let_go: threading.Event = self.server.answering.let_go  # type: ignore[attr-defined]
        for _ in range(2_000):
            self.wfile.write(b" ")
            self.wfile.flush()
            if let_go.wait(0.01):
                return
