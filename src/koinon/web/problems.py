# SPDX-License-Identifier: Apache-2.0
"""Errors as pages for people and as RFC 9457 problem details for programs.

A page says what happened, what it means and what to do; a program that asks for JSON gets the same as
``application/problem+json``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from koinon.errors import (
    ChainError,
    IntegrityError,
    KeyFault,
    KoinonError,
    NotFound,
    PaymentError,
    PeerError,
    SetupError,
    UsageError,
)
from koinon.web.language import gettext
from koinon.web.language import marked as _
from koinon.web.templates import render

_MEANINGS: Final = (
    (
        NotFound,
        _("There is no such thing here"),
        _("Nobody registered it here, or the address is wrong."),
    ),
    (UsageError, _("That cannot be done like this"), _("Nothing was changed.")),
    (SetupError, _("This node lacks something"), _("Its operator has to put that right; nothing was lost.")),
    (
        ChainError,
        _("The chain did not take it"),
        _("What is on the chain stays; nothing else was changed."),
    ),
    (
        KeyFault,
        _("The key does not fit"),
        _("Only who holds the right key may do this."),
    ),
    (PaymentError, _("The payment does not cover this"), _("No money was taken.")),
    (IntegrityError, _("The bytes are not what they should be"), _("They were not used.")),
    (PeerError, _("Another party did not answer"), _("It left, failed or lied; your part is safe.")),
)

_STATUS_TITLES: Final = {
    400: _("The request cannot be read"),
    401: _("Come in first"),
    403: _("You may not do this"),
    404: _("There is no such page"),
    405: _("That cannot be done here"),
    413: _("That is too large"),
    421: _("This node is not called that"),
    422: _("Something in the form is missing or wrong"),
    429: _("Too many requests"),
}

_STATUS_MEANINGS: Final = {
    400: _("Nothing was changed."),
    401: _("This needs an account to act with."),
    403: _("Nothing was changed. Load the page you came from again, then try once more."),
    404: _("Go to the start page, or search for a name, address, hash or block above."),
    405: _("Nothing was changed."),
    413: _("Nothing was stored. Send less at once."),
    421: _("Open the page at the address that the node printed when it started."),
    422: _("Nothing was changed. Go back, correct it and send it again."),
    500: _(
        "The fault is this node's. What you began is listed on the page Me; look there before trying again."
    ),
    429: _("Wait a moment, then try again."),
}


def wants_json(request: Request) -> bool:
    """Whether a program asks: JSON is accepted and a page is not."""
    accepted = request.headers.get("accept", "")
    return "json" in accepted and "text/html" not in accepted


def problem(request: Request, error: KoinonError) -> Response:
    """The answer that tells of an error raised on purpose."""
    if wants_json(request):
        return JSONResponse(error.problem(), error.http_status, media_type="application/problem+json")
    title, meaning = next(
        ((title, meaning) for kind, title, meaning in _MEANINGS if isinstance(error, kind)),
        (_("Something went wrong"), _("Nothing else was changed.")),
    )
    return render(
        request,
        "problem.html",
        status=error.http_status,
        problem_title=gettext(title),
        message=error.message,
        meaning=gettext(meaning),
        hint=error.hint,
        code=error.code,
    )


def status_problem(request: Request, status: int, message: str = "") -> Response:
    """The answer to a request that never reached a page: not found, too large, too many."""
    phrase = HTTPStatus(status).phrase
    if wants_json(request):
        body = {"type": "about:blank", "title": phrase, "status": status, "detail": message}
        return JSONResponse(body, status, media_type="application/problem+json")
    return render(
        request,
        "problem.html",
        status=status,
        problem_title=gettext(_STATUS_TITLES.get(status, _("Something went wrong"))),
        message="" if message == phrase else message,
        meaning=gettext(_STATUS_MEANINGS.get(status, _("Nothing was changed."))),
        hint="",
        code=f"http.{status}",
    )
