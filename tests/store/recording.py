# SPDX-License-Identifier: Apache-2.0
"""A recording of Kubo's RPC: requests a client makes and the answers a node gives, replayed over HTTP.

THIS IS A RECORDING, NOT A DAEMON. The exchanges in ``kubo_recording.json`` were written down from Kubo's RPC
reference and its source (release 0.39: ``core/commands/block.go``, ``refs.go``; go-ipfs-cmds ``http/``); no
Kubo node ran. A request that the recording does not hold, in method, path, options or body, is answered with
400 as Kubo answers malformed requests, so the client's side is held to it exactly.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

RECORDING = json.loads(Path(__file__).with_name("kubo_recording.json").read_text(encoding="utf-8"))
PART = re.compile(
    rb'--(?P<boundary>[^\r]+)\r\nContent-Disposition: form-data; name="data"; filename="data"\r\n'
    rb"Content-Type: application/octet-stream\r\n\r\n(?P<data>.*)\r\n--(?P=boundary)--\r\n",
    re.DOTALL,
)


class Replay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        asked: dict[str, Any] = {"path": parts.path, "options": dict(parse_qsl(parts.query))}
        if (self.headers.get("Content-Type") or "").startswith("multipart/form-data; boundary="):
            part = PART.fullmatch(body)
            asked["file"] = part["data"].decode("latin-1") if part else None
        self.server.asked.append(asked)
        for exchange in self.server.exchanges:
            if exchange["request"] == asked:
                return self.answer(exchange["response"])
        return self.answer({"status": 400, "type": "text/plain", "body": f"not in the recording: {asked}"})

    def do_GET(self) -> None:
        self.answer({"status": 405, "type": "text/plain", "body": "405 - Method Not Allowed"})

    def answer(self, response: dict[str, Any]) -> None:
        body = response["body"].encode("latin-1")
        self.send_response(response["status"])
        self.send_header("Content-Type", response["type"])
        self.send_header("Content-Length", str(response.get("length", len(body))))
        self.end_headers()
        self.wfile.write(body)
        if "length" in response:  # says more than it sends
            self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def replayed(*names: str, **changed: dict[str, Any]) -> Iterator[Any]:
    """A server that answers with the named exchanges (all without names); ``changed`` replaces responses'
    fields by the exchange's name. Its ``url``, and what it was ``asked``."""
    chosen = names or tuple(RECORDING)
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Replay)
    server.daemon_threads = True
    server.exchanges = [
        {**RECORDING[name], "response": {**RECORDING[name]["response"], **changed.get(name, {})}}
        for name in chosen
    ]
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
