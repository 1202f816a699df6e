# SPDX-License-Identifier: Apache-2.0
"""A small read-only HTTP server for evidence, beside a process's work: uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

import orjson

from koinon import serving
from koinon.errors import KoinonError, NotFound, SetupError
from koinon.services.gateway.asgi import PROBLEM, Receive, Scope, Send, problem_of, respond

_START_S: Final = 60.0
_CONNECTIONS: Final = 256


class Showing:
    """Answers GET requests with what ``look_up`` returns for their path (bytes; NotFound, BadInput).

    Parameters
    ----------
    look_up : callable
        Path → bytes; called in threads.
    host, port : str, int
        Where to listen; 0 takes a free port.

    Raises
    ------
    SetupError
        The port is taken (``verification.port``).
    """

    def __init__(self, look_up: Callable[[str], bytes], *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._look_up = look_up
        try:
            self._listener = serving.listen(host, port)
        except OSError as error:
            raise SetupError(
                f"Nothing can be shown on {host}:{port} ({error.strerror}).",
                hint="Choose another port, or 0 for any free one.",
                code="verification.port",
            ) from error
        self.url = serving.url_of(host, self._listener)
        self._server = serving.http_server(self, connections=_CONNECTIONS, drain_s=2)
        self._thread = threading.Thread(target=self._serve, name="showing", daemon=True)
        self._thread.start()
        end = time.monotonic() + _START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < end:
            time.sleep(0.01)

    def close(self) -> None:
        """Stop, and wait for what is being shown."""
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            if scope["method"] != "GET":
                raise NotFound("Only GET is answered here.", code="verification.nothing_here")
            body = await asyncio.to_thread(self._look_up, scope["path"])
            await respond(send, 200, [(b"content-type", b"application/octet-stream")], body)
        except KoinonError as error:
            await respond(send, error.http_status, [PROBLEM], orjson.dumps(problem_of(error)))

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))
