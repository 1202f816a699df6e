# SPDX-License-Identifier: Apache-2.0
"""The marketplace in the console: find a service, look at it, try it, rate it."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from koinon.errors import BadInput, KoinonError
from koinon.services.buying.answers import WrongInput
from koinon.services.buying.description import Description, describe
from koinon.services.buying.form import PREFIX, filled, form_of
from koinon.services.buying.pages import check_form
from koinon.services.buying.purchase import new_number
from koinon.services.buying.reach import asking, place_of
from koinon.services.counter import open_shelf
from koinon.services.finding.catalogue_rows import is_called
from koinon.services.finding.evidence import BEST, Evidence
from koinon.services.finding.found import Filters
from koinon.services.finding.market import Market
from koinon.services.finding.opening import open_market
from koinon.services.finding.rating import LONGEST_REASON
from koinon.services.finding.trust import Trust
from koinon.services.market import pictures as market_pictures
from koinon.services.selling.announcement import read_announcement
from koinon.web import Link, NavEntry, Router, Unit, gettext, node, render, review, visitor
from koinon.web import marked as _
from koinon.web.pictures import draw_shares
from koinon.works.catalogue import URI_SCHEME
from koinon.works.forms import read_amount
from koinon.works.pages import hall
from koinon.works.portrait import portrait

PAGE: Final = 24
LARGEST_FILE: Final = 512 << 10
"""Bytes of a file that is sent with a call from a page."""

MOST_WORDS: Final = 50
WHY: Final = {
    "believed": _("You believe whoever said it: all they paid counts."),
    "third parties": _("This part of what they paid went to people you believe and could not come back."),
    "owner only": _("All of what they paid is kept by the owner, who may be the same person."),
    "came back": _("Whoever was paid from it may have handed the money back."),
    "nobody known": _("You believe nobody who was paid from it."),
    "unpaid": _("They had paid nothing before they said it."),
}
"""Why a word counts or not, as a message id."""

NAV: Final = (
    NavEntry("explore", "/market", _("Find a service"), order=8),
    NavEntry("money", "/money/channels", _("My channels"), order=20),
)

router: Final = Router("services")


def market(request: Request) -> Market:
    """One market a console, so that what was read once stays."""
    state = request.app.state
    if not hasattr(state, "market"):
        state.market = open_market(node(request), hall(request))
    found: Market = state.market
    return found


def reader_trust(request: Request) -> Trust:
    """Whom the visitor believes; nobody but themselves where they named no one."""
    who = visitor(request)
    return market(request).trust([who.address] if who.address else [])


def beside(request: Request, work_id: int) -> Sequence[Link]:
    """On a Work's own page, where it is called: its marks that count, and the form to try it."""
    entry = hall(request).directory.entry(work_id)
    if entry is None or not is_called(hall(request).family, entry.uri):
        return ()
    return (Link(f"/services/{work_id}", gettext("Try it; marks that somebody paid for; checks; speed")),)


@router.page("/market")
def find(request: Request) -> Response:
    """Search with conditions; the best for this visitor first."""
    unit: Unit = request.app.state.contribute.coin
    asked = {
        name: request.query_params.get(name, "").replace("\0", "").strip()[:200]
        for name in ("q", "price", "ms", "mark", "checked")
    }
    fault = ""
    try:
        filters = read_filters(asked, unit)
    except BadInput as wrong:
        filters, fault = Filters(), wrong.message
    trust = reader_trust(request)
    sold_here = open_shelf(node(request)).listings()
    found = market(request).find(
        asked["q"], filters, trust=trust, sold_here=[each.work_id for each in sold_here], limit=PAGE
    )
    return render(
        request,
        "services/market.html",
        found=found,
        asked=asked,
        fault=fault,
        trust=trust,
        picture=market_pictures.prices(found, unit),
        best=BEST,
        section="explore",
    )


def read_filters(asked: Mapping[str, str], unit: Unit) -> Filters:
    """What the search's form says; `BadInput` names the field that is wrong."""
    return Filters(
        max_price=read_amount(asked["price"], unit, asked["price"]) if asked["price"] else None,
        max_latency_ms=_number(asked["ms"], 3_600_000) if asked["ms"] else None,
        min_quality=_number(asked["mark"], BEST) if asked["mark"] else None,
        validated=asked["checked"] == "1",
    )


@router.page("/services/{work_id}")
def service(request: Request, work_id: int) -> Response:
    """One service: what a call costs and whom it pays, the form to try it, what others say and why it counts,
    verdicts, versions."""
    return _service(request, work_id)


@router.change("/services/{work_id}")
async def ask(request: Request, work_id: int) -> Response:
    """The form with its files: small ones go with the call, the rest is reviewed. What is wrong comes back to
    its field, with everything else as it was written."""
    fields: dict[str, str] = {"work_id": str(work_id)}
    files: dict[str, tuple[bytes, bool]] = {}
    async with request.form() as form:
        for name, given in form.items():
            if isinstance(given, UploadFile):
                if given.filename:
                    files[name] = await given.read(LARGEST_FILE + 1), form.get(f"text_{name}") == "1"
            elif name not in ("csrf_token", "work_id"):
                fields.setdefault(name, given)
    return await run_in_threadpool(_reviewed, request, work_id, fields, files)


# inside


def _reviewed(
    request: Request, work_id: int, fields: dict[str, str], files: Mapping[str, tuple[bytes, bool]]
) -> Response:
    told, _fault = _ask_gateway(request, work_id)
    try:
        for name, (content, as_text) in files.items():
            fields[name] = _file_text(name, content, as_text=as_text)
        if told is not None:
            check_form(told, fields)
    except WrongInput as wrong:
        return _service(request, work_id, fields, wrong)
    return review(request, "services.call", fields)


def _service(
    request: Request, work_id: int, sent: Mapping[str, str] | None = None, wrong: WrongInput | None = None
) -> Response:
    """The page; ``sent`` is what stands in its form, and ``wrong`` what is wrong with it."""
    faults = {wrong.field: wrong.message} if wrong is not None else {}
    here, ground, who = hall(request), node(request), visitor(request)
    here.directory.catch_up()
    found = portrait(here, work_id)
    trust = reader_trust(request)
    evidence, verdicts = market(request).about(work_id, trust)
    told, fault = _ask_gateway(request, work_id)
    if told is not None:
        market(request).prices.told(work_id, told)
    form = form_of(told.schema, told.example) if told is not None else None
    if form is not None and sent is not None:
        form = filled(form, sent, faults)
    shown = told.example if told is not None else {}
    example = orjson.dumps(shown).decode()
    income = here.book.of(work_id)
    head = here.index.head()
    parts = market_pictures.parts_of_a_call(
        here.family, work_id, found.names, request.app.state.contribute.name_of
    )
    return render(
        request,
        "services/service.html",
        work=found,
        work_id=work_id,
        service=told,
        fault=fault,
        form=form,
        number=new_number(),
        json=(sent or {}).get("json", orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()),
        calls=(sent or {}).get("calls", "0"),
        faults=faults,
        command=f"koinon call {shlex.quote(told.url)} {shlex.quote(example)}" if told else "",
        picture=draw_shares(parts) if parts else None,
        parts_of_a_call=parts,
        measured=market(request).measurements.all().get(work_id),
        evidence=evidence,
        texts=_texts(request, evidence),
        why=WHY,
        trust=trust,
        believes_owner=bool(trust.of(found.owner)) and found.owner != who.address,
        verdicts=verdicts,
        paid=income.paid_by(who.address, head.timestamp if head else 0) if who.address else 0,
        versions=_versions(request, work_id),
        runs_here=open_shelf(ground).sells(work_id),
        status=200 if wrong is None else wrong.http_status,
        section="explore",
    )


def _ask_gateway(request: Request, work_id: int) -> tuple[Description | None, KoinonError | None]:
    ground = node(request)
    try:
        place = place_of(ground, work_id)
        return describe(asking(ground, place, operator=visitor(request).kind == "operator"), place.url), None
    except KoinonError as fault:
        return None, fault


def _texts(request: Request, evidence: Evidence) -> dict[str, str]:
    """URI → what was said there, of the weightiest words whose content is on this node."""
    texts = {}
    for word in evidence.words[:MOST_WORDS]:
        try:
            content = orjson.loads(hall(request).store.get(word.uri.removeprefix(URI_SCHEME)))
            texts[word.uri] = str(content["text"])[:LONGEST_REASON]
        except (KoinonError, ValueError, KeyError, TypeError):
            continue
    return texts


def _versions(request: Request, work_id: int) -> list[dict[str, Any]]:
    """What the Work's file was over time, newest first: when, which file, its name and version as signed."""
    here = hall(request)
    rows = here.index.rows(
        "SELECT e.uri, b.timestamp FROM ("
        " SELECT agent_uri AS uri, block_number, log_index FROM works_registered WHERE agent_id = ?"
        " UNION ALL SELECT new_uri AS uri, block_number, log_index FROM works_uri_updated"
        " WHERE agent_id = ?) e LEFT JOIN block b ON b.number = e.block_number"
        " ORDER BY e.block_number DESC, e.log_index DESC LIMIT ?",
        (work_id, work_id, MOST_WORDS),
    )
    versions = []
    for row in rows:
        name = version = ""
        with suppress(KoinonError):
            file = here.family.file(row["uri"]).registration
            name, announced = file.name, read_announcement(file)
            version = announced.version if announced is not None else ""
        versions.append(
            {"uri": row["uri"], "timestamp": int(row["timestamp"] or 0), "name": name, "version": version}
        )
    return versions


def _number(text: str, most: float) -> float:
    """A number from 0 on as people type it; `BadInput` otherwise."""
    try:
        found = float(text.replace(",", ""))
    except ValueError:
        found = -1.0
    if not 0 <= found <= most:
        raise BadInput(
            gettext("“%(text)s” is not a number from 0 to %(most)s.", text=text, most=f"{most:g}"),
            code="service.form",
        )
    return found


def _file_text(name: str, content: bytes, *, as_text: bool) -> str:
    """A file as the call carries it: text where the schema wants bytes of a text, else base64."""
    label = name.removeprefix(PREFIX)
    if len(content) > LARGEST_FILE:
        raise WrongInput(
            gettext("The file for %(name)s is larger than %(most)s KB.", name=label, most=LARGEST_FILE >> 10),
            field=name,
            hint=gettext("Send a smaller one, or call the service from a program."),
        )
    if not as_text:
        return base64.b64encode(content).decode()
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise WrongInput(
            gettext("The file for %(name)s is not text in UTF-8.", name=label), field=name
        ) from None
