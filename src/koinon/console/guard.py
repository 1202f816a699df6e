# SPDX-License-Identifier: Apache-2.0
"""What stands before every page: the host that was meant, how much may be sent and how often, and the headers
that keep strangers' scripts, frames and forms out.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from koinon.web import speaking, status_problem
from koinon.web.language import split_language

POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ]
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
}

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Limits:
    """How much one address may ask for. Rates a second; ``body`` in bytes of a request."""

    reads_per_s: float = 50.0
    reads_at_once: float = 400.0
    changes_per_s: float = 1.0
    changes_at_once: float = 40.0
    body: int = 64 * 2**20
    addresses: int = 10_000


class Buckets:
    """Token buckets, one an address; the least recently seen is forgotten first."""

    def __init__(self, per_s: float, at_once: float, most: int, clock: Callable[[], float]) -> None:
        self._per_s, self._at_once, self._most, self._clock = per_s, at_once, most, clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Seconds to wait before this request may come; 0 lets it pass."""
        now = self._clock()
        tokens, since = self._held.pop(key, (self._at_once, now))
        tokens = min(self._at_once, tokens + (now - since) * self._per_s)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._per_s
        self._held[key] = (tokens - 1 if wait == 0 else tokens, now)
        if len(self._held) > self._most:
            self._held.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._held)


class Guard:
    """ASGI middleware around everything else.

    Parameters
    ----------
    app : ASGIApp
    hosts : iterable of str
        Names this console is reached by, without port, beside the loopback ones. Any other ``Host`` is
        refused: a stranger's domain that resolves to this machine (DNS rebinding) gets nothing.
    limits : Limits
    clock : callable
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str] = (),
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._hosts = LOOPBACK | frozenset(hosts)
        self._limits = limits or Limits()
        self._reads = Buckets(
            self._limits.reads_per_s, self._limits.reads_at_once, self._limits.addresses, clock
        )
        self._changes = Buckets(
            self._limits.changes_per_s, self._limits.changes_at_once, self._limits.addresses, clock
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        language, path = split_language(scope["path"])
        path = path.rstrip("/") or "/"
        state = scope.setdefault("state", {})
        state["language"], state["path"] = language, path
        scope = {**scope, "path": path, "raw_path": path.encode()}
        answer = _with_headers(send)
        with speaking(language):
            refusal = self._refusal(scope)
            if refusal is not None:
                status, more = refusal
                response = status_problem(Request(scope), status)
                response.headers.update(more)
                await response(scope, receive, answer)
                return
            await self._app(scope, _bounded(receive, self._limits.body), answer)

    def _refusal(self, scope: Scope) -> tuple[int, dict[str, str]] | None:
        headers = Headers(scope=scope)
        if _host_name(headers.get("host", "")) not in self._hosts:
            return 421, {}
        if (
            int(length) > self._limits.body
            if (length := headers.get("content-length", "0")).isdigit()
            else True
        ):
            return 413, {"Connection": "close"}
        changes = scope["method"] not in _READS
        if changes and not _from_here(headers):
            return 403, {}
        if not scope["path"].startswith("/static/"):
            client = scope.get("client") or ("", 0)
            wait = (self._changes if changes else self._reads).take(client[0])
            if wait:
                return 429, {"Retry-After": str(int(wait) + 1)}
        return None


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _from_here(headers: Headers) -> bool:
    """Whether a change comes from a page of this console, as far as the browser says."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _bounded(receive: Receive, most: int) -> Receive:
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            return {"type": "http.disconnect"}
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending
