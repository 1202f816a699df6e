# SPDX-License-Identifier: Apache-2.0
"""A server that answers each request as a test says, byte by byte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass
class Says:
    """One answer; ``parts`` are sent one by one, and nothing after the last until ``holds`` is set."""

    status: int = 200
    parts: Iterable[bytes] = (b"{}",)
    headers: Mapping[str, str] = field(default_factory=dict)
    holds: threading.Event | None = None

    @classmethod
    def json(cls, document: Any, **headers: str) -> Says:
        return cls(parts=[orjson.dumps(document)], headers={"content-type": "application/json", **headers})

    @classmethod
    def events(cls, *events: Any, holds: threading.Event | None = None, **headers: str) -> Says:
        parts = [b"data: " + (e if isinstance(e, bytes) else orjson.dumps(e)) + b"\n\n" for e in events]
        return cls(parts=parts, headers={"content-type": "text/event-stream", **headers}, holds=holds)


Answer = Callable[[dict[str, Any], Mapping[str, str]], Says]


@dataclass
class Scripted:
    """Where it is; ``asked`` (JSON, headers in lower case) in order; ``answer`` is the test's."""

    url: str
    asked: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    answer: Answer = lambda _body, _headers: Says()
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def scripted() -> Iterator[Scripted]:
    server = _Server(("127.0.0.1", 0), _Handler)
    here = Scripted(f"http://127.0.0.1:{server.server_port}")
    server.here = here
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        here.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    here: Scripted

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asks may hang up: nothing to say."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.here.asked.append((body, headers))
        says = self.server.here.answer(body, headers)
        self.close_connection = True
        with suppress(OSError):
            self.send_response(says.status)
            for name, value in says.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("connection", "close")
            self.end_headers()
            for part in says.parts:
                self.wfile.write(part)
                self.wfile.flush()
            if says.holds is not None:
                says.holds.wait(20)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""
