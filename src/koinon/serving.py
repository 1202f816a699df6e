# SPDX-License-Identifier: Apache-2.0
"""What every process that answers HTTP shares: its socket, its address, its server, and how signals end it.

asyncio and uvicorn are loaded by those who serve with them: a peer that only listens has threads of its own.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

    import uvicorn

BACKLOG: Final = 1024
KEEP_ALIVE_S: Final = 5


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one, a host with a colon is IPv6. OSError where that
    cannot be."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(host: str, listener: socket.socket, *, https: bool = False) -> str:
    """Where that socket is reached by a name of its host."""
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if https else 'http'}://{name}:{listener.getsockname()[1]}"


def http_server(
    app: Any,
    *,
    connections: int,
    drain_s: int,
    certificate: str | None = None,
    private_key: str | None = None,
    keep_alive_s: int = KEEP_ALIVE_S,
    protocol: type[asyncio.Protocol] | str = "httptools",
    date_header: bool = False,
) -> uvicorn.Server:
    """A server of an ASGI application that says nothing of itself, trusts no forwarded address and logs no
    requests. It serves by ``_serve([listener])``, which leaves signals alone.

    Parameters
    ----------
    connections : int
        More than these at once are answered 503.
    drain_s : int
        How long requests that run may go on once it is told to end.
    certificate, private_key : str, optional
        PEM files for https.
    keep_alive_s : int
        How long a connection may wait for its next request.
    """
    import uvicorn  # noqa: PLC0415  (see above)

    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=protocol,
            lifespan="off",
            proxy_headers=False,
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=date_header,
            limit_concurrency=connections,
            timeout_keep_alive=keep_alive_s,
            timeout_graceful_shutdown=drain_s,
            ssl_certfile=certificate,
            ssl_keyfile=private_key,
        )
    )


def stop_on_signals(server: uvicorn.Server, before: Callable[[], None] = lambda: None) -> None:
    """End it at SIGINT and SIGTERM, after ``before``. uvicorn's own handlers would raise the signal again
    once it has stopped. Called in the running loop."""
    import asyncio  # noqa: PLC0415  (see above)

    def stop() -> None:
        before()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's loops where there is one."""
    import asyncio  # noqa: PLC0415  (see above)

    try:
        import uvloop  # noqa: PLC0415  (not on every system)
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
