# SPDX-License-Identifier: Apache-2.0
"""Something between a buyer and an honest gateway that changes what either hears."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from koinon.services.buying.transport import Http, Response
from koinon.services.gateway.x402 import decode, encode


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Proxy:
    """Passes requests on. ``before`` changes one on its way in, ``after`` an answer on its way out (None cuts
    the line). ``seen`` is what passed through: what a host in between can read."""

    url: str
    target: str
    before: Callable[[Asked], Asked] = lambda asked: asked
    after: Callable[[Asked, Response], Response | None] = lambda asked, answer: answer
    seen: list[tuple[Asked, Response]] = field(default_factory=list)
    http: Http = field(default_factory=Http)


@contextmanager
def open_proxy(target: str) -> Iterator[Proxy]:
    """A proxy in front of a gateway's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}", target)
    server.proxy = proxy  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        proxy.http.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._pass()

    def do_POST(self) -> None:
        self._pass()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _pass(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        kept = ("content-type", "payment-signature", "idempotency-key", "koinon-prepaid", "koinon-free-call")
        headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
        asked = proxy.before(Asked(self.command, self.path, headers, body))
        answer = proxy.http.request(asked.method, proxy.target + asked.path, asked.body, asked.headers)
        proxy.seen.append((asked, answer))
        changed = proxy.after(asked, answer)
        if changed is None:
            self.close_connection = True
            return
        self.send_response(changed.status)
        for name in ("content-type", "payment-required", "payment-response"):
            if name in changed.headers:
                self.send_header(name, changed.headers[name])
        self.send_header("content-length", str(len(changed.body)))
        self.end_headers()
        self.wfile.write(changed.body)


def rewritten(answer: Response, header: str, change: Callable[[dict[str, Any]], None]) -> Response:
    """An answer with the JSON in one of its headers changed."""
    if header not in answer.headers:
        return answer
    document = decode(answer.headers[header].encode())
    change(document)
    return Response(answer.status, {**answer.headers, header: encode(document).decode()}, answer.body)
