# SPDX-License-Identifier: Apache-2.0
"""Services in the console: publish one, call one and pay for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from koinon.errors import KoinonError
from koinon.services.counter import open_counter
from koinon.services.selling import PUBLISH, keep_source
from koinon.services.shopping import CALL, address_of, describe
from koinon.web import NavEntry, Router, node, render, review, visitor
from koinon.web import marked as _

SCALARS: Final = {"number": "decimal", "integer": "numeric", "string": "text", "boolean": "text"}
MOST_INPUTS: Final = 40


@dataclass(frozen=True)
class Input:
    """One input of a service as a form field. ``kind`` its JSON type; ``example`` as text."""

    name: str
    kind: str
    example: str
    inputmode: str
    required: bool


router: Final = Router(
    "services",
    nav=[
        NavEntry("publish", "/publish/service", _("A service"), order=30),
        NavEntry("publish", "/services", _("Sold by this node"), order=40),
    ],
    actions=[CALL, PUBLISH],
)


@router.page("/services")
def sold_here(request: Request) -> Response:
    """What this node's gateway sells."""
    services = open_counter(node(request))
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
    form = await request.form()
    fields = {name: value for name, value in form.items() if isinstance(value, str) and name != "csrf_token"}
    fields.pop("source", None)
    upload = form.get("file")
    if isinstance(upload, UploadFile) and upload.filename:
        content = await upload.read()
        fields["source"] = await run_in_threadpool(
            keep_source, node(request), visitor(request), upload.filename, content
        )
    return await run_in_threadpool(review, request, "services.publish", fields)


@router.page("/works/{work_id}/call")
def call_form(request: Request, work_id: int) -> Response:
    """A form for the service's inputs; its price; how it is paid."""
    ground = node(request)
    where = address_of(ground, work_id)
    try:
        found = describe(where)
    except KoinonError as fault:
        return render(
            request, "services/away.html", work_id=work_id, fault=fault, status=503, section="explore"
        )
    schema, example = found["schema"]["input"], found.get("example") or {}
    inputs = _inputs(schema, example)
    return render(
        request,
        "services/call.html",
        work_id=work_id,
        service=found,
        price=int(found["price"]["amount"]),
        inputs=inputs,
        json=orjson.dumps(example, option=orjson.OPT_INDENT_2).decode(),
        command=f"koinon call {where} '{orjson.dumps(example).decode()}'",
        section="explore",
    )


def _inputs(schema: Mapping[str, Any], example: Mapping[str, Any]) -> list[Input] | None:
    """A field for each input where all are plain; None where JSON has to be typed."""
    properties = schema.get("properties", {})
    if not properties or len(properties) > MOST_INPUTS or schema.get("additionalProperties") is True:
        return None
    inputs = []
    for name, entry in properties.items():
        kind = entry.get("type")
        if kind not in SCALARS:
            return None
        shown = example.get(name, "")
        text = shown if isinstance(shown, str) else orjson.dumps(shown).decode()
        inputs.append(Input(name, kind, text, SCALARS[kind], name in schema.get("required", ())))
    return inputs
