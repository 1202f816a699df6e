# SPDX-License-Identifier: Apache-2.0
"""Builds the console: the frame around every domain's pages."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response

from koinon.console.files import Files
from koinon.console.guard import Guard, Limits
from koinon.console.layout import Layout
from koinon.console.live import Live
from koinon.errors import KoinonError
from koinon.web import Action, Router, make_environment, problem, status_problem

ROOMS: Final = ("works", "services", "learning", "data", "agents", "lending", "watch", "markets", "treasury")
"""Domains that bring pages: ``koinon.<room>.pages`` has a `Router` named ``router``."""

PARTS: Final = (
    "koinon.services.jobs.pages",
    "koinon.console.explorer.pages",
    "koinon.console.trust",
    "koinon.console.money",
    "koinon.console.me",
    "koinon.console.decide",
    "koinon.console.tour",
    "koinon.console.home",
)
"""The console's own pages, and those of a domain's part of its own; each a module with ``router``."""

COMING_IN: Final = ("koinon.console.session", "koinon.console.login", "koinon.console.actions")
"""Who comes in and what they change: modules with ``install(app)``, in this order."""

_HOUSE: Final = Path(__file__).resolve().parent.parent
_SMALL: Final = 512


def create_app(node: Any, *, hosts: Iterable[str] = (), limits: Limits | None = None) -> FastAPI:
    """The console of an open node, as an ASGI application.

    Parameters
    ----------
    node : Node
    hosts : iterable of str
        Names it is reached by beside 127.0.0.1 and localhost.
    limits : Limits, optional
        How much one address may ask for.
    """
    live = Live(node)

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        async with live.running():
            yield

    app = FastAPI(lifespan=running, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    routers = [_router(name) for name in _modules()]
    files = Files(
        {"": _HOUSE / "console" / "static"}
        | {room: _HOUSE / room / "static" for room in ROOMS if (_HOUSE / room / "static").is_dir()}
    )
    app.state.node = node
    app.state.live = live
    app.state.files = files
    app.state.actions = _actions(routers)
    app.state.beside = [router.beside for router in routers if router.beside is not None]
    app.state.templates = make_environment(
        [_HOUSE / "console" / "templates"],
        {room: _HOUSE / room / "templates" for room in ("console", *ROOMS)},
    )
    app.state.contribute = Layout(node, files, [entry for router in routers for entry in router.nav])

    app.add_api_route("/static/{digest}/{name:path}", files.respond, methods=["GET"], response_model=None)
    app.add_api_route("/events", live.respond, methods=["GET"], response_model=None)
    app.add_middleware(GZipMiddleware, minimum_size=_SMALL, compresslevel=5)
    for name in COMING_IN:
        importlib.import_module(name).install(app)
    app.add_middleware(Guard, hosts=tuple(hosts), limits=limits)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(KoinonError, _koinon_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _wrong_form)
    app.add_exception_handler(Exception, _unforeseen)
    return app


def _modules() -> list[str]:
    return [*(f"koinon.{room}.pages" for room in ROOMS), *PARTS]


def _router(name: str) -> Router:
    router = importlib.import_module(name).router
    if not isinstance(router, Router):
        raise TypeError(f"{name}.router is not a koinon.web.Router")
    return router


def _actions(routers: Iterable[Router]) -> dict[str, Action]:
    actions: dict[str, Action] = {}
    for router in routers:
        for action in router.actions:
            if action.name in actions:
                raise TypeError(f"two actions are named {action.name}")
            actions[action.name] = action
    return actions


def _koinon_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, KoinonError):
        raise error
    return problem(request, error)


def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    response = status_problem(request, error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


def _unforeseen(request: Request, _error: Exception) -> Response:
    """A fault of ours: the page says so and nothing of it; the server's log has the rest."""
    return status_problem(request, 500)


def _wrong_form(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    path_is_wrong = any(fault["loc"][:1] == ("path",) for fault in error.errors())
    return status_problem(request, 404 if path_is_wrong else 422)
