# SPDX-License-Identifier: Apache-2.0
"""The console's server: its place, and a thread that keeps it serving."""

from __future__ import annotations

import gc
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn

from koinon import serving
from koinon.errors import SetupError
from koinon.settings import Settings

_TRIES: Final = 50
_DEFAULT_PORTS: Final = {
    "console_port": Settings.console_port,
    "port": Settings.port,
    "data_port": Settings.data_port,
    "agents_port": Settings.agents_port,
}


def listen(host: str, port: int, *, setting: str, last: str = "") -> socket.socket:
    """A socket that listens there. By default it is the port of ``last``, the URL of the run before, so that
    addresses others know stay good; or else the next free one.

    Raises SetupError where a port that somebody chose is taken.
    """
    candidates = [port]
    if port == _DEFAULT_PORTS[setting]:
        before = urlsplit(last)
        candidates = [before.port] if before.port and before.hostname == host else []
        candidates += range(port, port + _TRIES)
    fault: OSError | None = None
    for candidate in candidates:
        try:
            return serving.listen(host, candidate)
        except OSError as error:
            fault = error
    raise SetupError(
        f"Nothing can listen on {host}:{port} ({fault.strerror if fault else 'taken'}).",
        hint=f"Set KOINON_{setting.upper()} to another port, or to 0 for any free one.",
        code="setup.port",
    )


class Pages:
    """Serves an application in a thread of its own, again and again until it is stopped."""

    def __init__(self, app: Any, listener: socket.socket, say: Callable[[str], None]) -> None:
        self._app, self._listener, self._say = app, listener, say
        self._stopping = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._serve, name="console", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being answered, for two seconds at most, and let go of the port."""
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._server = uvicorn.Server(
                uvicorn.Config(
                    self._app,
                    http="httptools",
                    proxy_headers=False,
                    access_log=False,
                    log_level="warning",
                    log_config=None,
                    server_header=False,
                    timeout_keep_alive=30,
                    timeout_graceful_shutdown=2,
                    limit_concurrency=1_000,
                )
            )
            try:
                gc.freeze()  # what lives until the end need not be looked at again and again
                self._server.run(sockets=[self._listener.dup()])
            except Exception:
                logging.getLogger("koinon").exception("the console's server failed")
            if not self._stopping.wait(0.5):
                self._say("The console's server ended; it starts again.")


def names(settings: Settings) -> tuple[str, ...]:
    """The host names this console is reached by."""
    urls = [f"http://{settings.host}"] + ([settings.console_url] if settings.console_url else [])
    return tuple(host for url in urls if (host := urlsplit(url).hostname))
