# SPDX-License-Identifier: Apache-2.0
"""Services in the console: publish one, call one and pay for it."""

from __future__ import annotations

import shlex
from typing import Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from koinon.errors import KoinonError
from koinon.services.buying.description import describe
from koinon.services.buying.form import form_of
from koinon.services.buying.pages import CALL
from koinon.services.buying.purchase import new_number
from koinon.services.buying.reach import asking, place_of
from koinon.services.counter import open_shelf
from koinon.services.mandates import pages as mandate_pages
from koinon.services.market import actions as market_actions
from koinon.services.market import earning_pages
from koinon.services.market import pages as market_pages
from koinon.services.selling.pages import PUBLISH, keep_source, must_operate
from koinon.services.verification import pages as answer_pages
from koinon.web import NavEntry, Router, node, render, review, visitor
from koinon.web import marked as _

router: Final = Router(
    "services",
    nav=[
        NavEntry("publish", "/publish/service", _("A service"), order=30),
        NavEntry("publish", "/services", _("Sold by this node"), order=40),
        *market_pages.NAV,
        *answer_pages.NAV,
        *mandate_pages.NAV,
    ],
    beside=market_pages.beside,
    actions=[CALL, PUBLISH, mandate_pages.STOP, *market_actions.ACTIONS],
)
router.include_router(market_pages.router)
router.include_router(answer_pages.router)
router.include_router(earning_pages.router)
router.include_router(mandate_pages.router)


@router.page("/services")
def sold_here(request: Request) -> Response:
    """What this node's gateway sells."""
    services = open_shelf(node(request))
    return render(
        request,
        "services/sold.html",
        listings=services.listings(),
        running=services.running(),
        section="publish",
    )


@router.page("/publish/service")
def publish_form(request: Request) -> Response:
    asked = request.query_params.get("kind", "")
    kind = asked if asked in ("model", "endpoint") else "function"
    may = visitor(request).kind == "operator"
    return render(request, "services/publish.html", kind=kind, may=may, section="publish")


@router.change("/publish/service")
async def publish(request: Request) -> Response:
    """The form with its file: the source or model is kept in the data directory, the rest is reviewed."""
    async with request.form() as form:
        fields = {name: text for name, text in form.items() if isinstance(text, str) and name != "csrf_token"}
        fields.pop("source", None)
        upload = form.get("file")
        if isinstance(upload, UploadFile) and upload.filename:
            must_operate(visitor(request))
            content = await upload.read()
            fields["source"] = await run_in_threadpool(
                keep_source, node(request), visitor(request), upload.filename, content
            )
    return await run_in_threadpool(review, request, "services.publish", fields)


@router.page("/works/{work_id}/call")
def call_form(request: Request, work_id: int) -> Response:
    """A form for the service's inputs; its price; how it is paid."""
    ground = node(request)
    place = place_of(ground, work_id)
    try:
        found = describe(asking(ground, place, operator=visitor(request).kind == "operator"), place.url)
    except KoinonError as fault:
        return render(
            request, "services/away.html", work_id=work_id, fault=fault, status=503, section="explore"
        )
    example = orjson.dumps(found.example).decode()
    return render(
        request,
        "services/call.html",
        work_id=work_id,
        service=found,
        form=form_of(found.schema, found.example),
        number=new_number(),
        json=orjson.dumps(found.example, option=orjson.OPT_INDENT_2).decode(),
        command=f"koinon call {shlex.quote(place.url)} {shlex.quote(example)}",
        section="explore",
    )
