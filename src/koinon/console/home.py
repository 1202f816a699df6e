# SPDX-License-Identifier: Apache-2.0
"""The start page, and the switch between light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from koinon.console.layout import THEME_COOKIE, THEMES
from koinon.web import Router, node, render

router: Final = Router("console")

_A_YEAR_S: Final = 365 * 86_400


@dataclass(frozen=True)
class Numbers:
    """How much this node has seen; ``paid`` in the coin's smallest unit."""

    works: int
    paid: int
    paid_out: int
    parties: int


@router.page("/")
def home(request: Request) -> Response:
    """What this is, what one can do, and the newest Works."""
    return render(request, "home.html", numbers=_numbers(node(request)))


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


def _numbers(ground: Any) -> Numbers | None:
    index = getattr(ground, "index", None)
    if index is None or index.head() is None:
        return None
    (row,) = index.rows(
        """SELECT (SELECT count(*) FROM works_registered) AS works,
                  (SELECT count(DISTINCT receiver) FROM till_released) AS parties"""
    )
    released = index.rows("SELECT sum_uint(amount) AS total FROM till_released")
    total = int(released[0]["total"] or 0)
    return Numbers(int(row["works"]), total, total, int(row["parties"]))
