# SPDX-License-Identifier: Apache-2.0
"""Who came in: sessions kept on the server, a cookie that only names one, and a token on every change.

The cookie holds 32 random bytes; the database holds their digest, so that a stolen file lets nobody in. A
browser that has not come in gets a name too, for its forms, but nothing is kept under it. Coming in always
makes a new name: one that was planted in a browser is worth nothing afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Final

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from koinon.console import csrf
from koinon.console.records import Records
from koinon.web import Visitor, status_problem
from koinon.web.visitor import Kind

LASTS_S: Final = {"guest": 30 * 86_400, "wallet": 7 * 86_400, "operator": 12 * 3_600}
"""How long one stays in."""
SESSIONS: Final = 10_000
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NAME_LENGTH: Final = 43


@dataclass(frozen=True)
class Session:
    """Somebody who came in; ``expires_at`` in Unix seconds."""

    kind: Kind
    address: str
    expires_at: float


class Sessions:
    """Everyone who came in. Safe to share between threads.

    Parameters
    ----------
    records : Records
    clock : callable
        Unix seconds.
    """

    def __init__(self, records: Records, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._clock = clock
        self.cookie = "koinon_" + hmac.new(records.secret, b"cookie", hashlib.sha256).hexdigest()[:8]
        """The cookie's name, a node's own: two nodes on one machine share a host name."""
        records.change("DELETE FROM session WHERE expires_at < ?", clock())

    def find(self, name: str) -> Session | None:
        """The session of a cookie, while it lasts."""
        found = self._records.rows(
            "SELECT kind, address, expires_at FROM session WHERE digest = ? AND expires_at >= ?",
            _digest(name),
            self._clock(),
        )
        return Session(**found[0]) if found else None

    def begin(self, kind: Kind, address: str) -> str:
        """A new session; its cookie's value. Beyond `SESSIONS` the one that ends soonest is ended."""
        name, ends = secrets.token_urlsafe(32), self._clock() + LASTS_S[kind]
        with self._records.together():
            self._records.insert(
                "session", ("digest", "kind", "address", "expires_at"), _digest(name), kind, address, ends
            )
            self._records.change(
                "DELETE FROM session WHERE digest NOT IN "
                "(SELECT digest FROM session ORDER BY expires_at DESC LIMIT ?)",
                SESSIONS,
            )
        return name

    def end(self, name: str) -> None:
        """Whoever holds this cookie is out."""
        self._records.change("DELETE FROM session WHERE digest = ?", _digest(name))

    def token(self, name: str) -> str:
        """What this session's forms carry."""
        return csrf.token(self._records.secret, name)


class Doorkeeper:
    """ASGI middleware: says who a request comes from, and refuses changes without the session's token."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        name = _cookie(headers, self._sessions.cookie)
        fresh = name is None
        name = name or secrets.token_urlsafe(32)
        session = None if fresh else self._sessions.find(name)
        language = state.get("language", "en")
        state["session_name"] = name
        state["csrf_token"] = self._sessions.token(name)
        state["visitor"] = (
            Visitor(language=language)
            if session is None
            else Visitor(session.kind, session.address, language)
        )
        if scope["method"] not in _READS:
            given, receive = await csrf.find(headers, receive)
            if fresh or not csrf.same(given, state["csrf_token"]):
                await status_problem(Request(scope), 403)(scope, receive, send)
                return
        if fresh:
            send = _with_cookie(send, self._header(scope, name, "nobody", None))
        await self._app(scope, receive, send)

    def _header(self, scope: Scope, name: str, kind: Kind, lasts_s: int | None) -> str:
        return cookie_header(self._sessions.cookie, name, kind, lasts_s, secure=scope["scheme"] == "https")


def come_in(request: Request, response: Response, kind: Kind, address: str) -> str:
    """Begin a session for whoever sent this request and hand its cookie over; the session's name."""
    sessions: Sessions = request.app.state.sessions
    sessions.end(request.state.session_name)
    name = sessions.begin(kind, address)
    _set(request, response, name, kind, LASTS_S[kind])
    return name


def go_out(request: Request, response: Response) -> None:
    """End the session of whoever sent this request."""
    sessions: Sessions = request.app.state.sessions
    sessions.end(request.state.session_name)
    _set(request, response, "", "nobody", 0)


def cookie_header(cookie: str, value: str, kind: Kind, lasts_s: int | None, *, secure: bool) -> str:
    """A ``Set-Cookie`` line: never for scripts; the operator's never sent along from elsewhere at all."""
    parts = [f"{cookie}={value}", "Path=/", "HttpOnly"]
    parts.append("SameSite=Strict" if kind == "operator" else "SameSite=Lax")
    if secure:
        parts.append("Secure")
    if lasts_s is not None:
        parts.append(f"Max-Age={lasts_s}")
    return "; ".join(parts)


def install(app: FastAPI) -> None:
    """Open the records and put the doorkeeper before every page."""
    records = Records(app.state.node.settings.home)
    app.state.records = records
    app.state.sessions = Sessions(records)
    app.add_middleware(Doorkeeper, sessions=app.state.sessions)


def _set(request: Request, response: Response, name: str, kind: Kind, lasts_s: int | None) -> None:
    sessions: Sessions = request.app.state.sessions
    line = cookie_header(sessions.cookie, name, kind, lasts_s, secure=request.url.scheme == "https")
    response.headers.append("Set-Cookie", line)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _cookie(headers: Headers, cookie: str) -> str | None:
    found: SimpleCookie = SimpleCookie()
    try:
        for line in headers.getlist("cookie"):
            found.load(line)
    except ValueError:
        return None
    value = found[cookie].value if cookie in found else ""
    return value if len(value) == _NAME_LENGTH and value.isascii() else None


def _with_cookie(send: Send, line: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if not any("koinon_" in value for value in headers.getlist("set-cookie")):
                headers.append("Set-Cookie", line)
        await send(message)

    return sending
