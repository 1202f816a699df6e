# SPDX-License-Identifier: Apache-2.0
"""A proxy between the index and a real node that lies, refuses or leaves out what a test tells it to."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Lie = Callable[[dict[str, Any], Any], Any]
Refusal = Callable[[dict[str, Any]], dict[str, Any] | None]


class Liar:
    """Passes requests on to a node, and its answers back through ``lie(request, result)``.

    Where ``refuse(request)`` gives a JSON-RPC error, that is the answer. ``asked``: every request so far.
    """

    def __init__(self, url: str) -> None:
        self.lie: Lie = lambda request, result: result
        self.refuse: Refusal = lambda request: None
        self.asked: list[dict[str, Any]] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked = json.loads(body)
                headers = {"Content-Type": "application/json"}
                request = urllib.request.Request(url, body, headers)  # noqa: S310  (the node)
                with urllib.request.urlopen(request) as answer:  # noqa: S310
                    answered = json.loads(answer.read())
                single = isinstance(asked, dict)
                for each, reply in [(asked, answered)] if single else zip(asked, answered, strict=True):
                    liar.answer(each, reply)
                content = json.dumps(answered).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request: dict[str, Any], reply: dict[str, Any]) -> None:
        """Change a reply in place."""
        self.asked.append(request)
        refusal = self.refuse(request)
        if refusal is not None:
            reply.pop("result", None)
            reply["error"] = refusal
        elif reply.get("result") is not None:
            reply["result"] = self.lie(request, reply["result"])

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
