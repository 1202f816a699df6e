# SPDX-License-Identifier: Apache-2.0
"""The start page, and the switch between light and dark."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from koinon.console.layout import THEME_COOKIE, THEMES
from koinon.console.numbers import Counter
from koinon.web import Router, node, render
from koinon.works.directory import Entry
from koinon.works.pages import hall

router: Final = Router("console")

_A_YEAR_S: Final = 365 * 86_400
_NEWEST: Final = 6


@router.page("/")
def home(request: Request) -> Response:
    """What this is, what one can do, and the newest Works."""
    return render(request, "home.html", numbers=_counter(request).numbers(), newest=_newest(request))


@router.change("/appearance")
def appearance(theme: Annotated[str, Form()] = "system", back: Annotated[str, Form()] = "/") -> Response:
    """Light, dark, or as the system says; kept in a cookie."""
    response = RedirectResponse(local(back), 303)
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=_A_YEAR_S, httponly=True, samesite="lax")
    return response


def local(path: str) -> str:
    """The path if it leads to this console, else the start page."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside and "\\" not in path else "/"


def _counter(request: Request) -> Counter:
    state = request.app.state
    if not hasattr(state, "counter"):
        ground = node(request)
        state.counter = Counter(ground.index, ground.chain.coin.address)
    found: Counter = state.counter
    return found


def _newest(request: Request) -> tuple[Entry, ...]:
    directory = hall(request).directory
    directory.catch_up()
    return directory.newest(limit=_NEWEST).entries
