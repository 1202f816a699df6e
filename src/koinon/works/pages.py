# SPDX-License-Identifier: Apache-2.0
"""Works in the console: all of them, and one of them with its money."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import orjson
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from koinon.errors import KoinonError
from koinon.web import NavEntry, Router, Unit, amount_text, gettext, node, render, review, url, visitor
from koinon.web import marked as _
from koinon.web.pictures import Relative, draw_lineage, draw_river, draw_shares
from koinon.works.catalogue import URI_SCHEME
from koinon.works.changes import ACTIONS, LONGEST_REASON, USES
from koinon.works.exits import EXITS
from koinon.works.forms import acting
from koinon.works.hall import Hall
from koinon.works.pictured import river
from koinon.works.portrait import Portrait, portrait
from koinon.works.portrait import Relative as Kin
from koinon.works.publishing import KINDS as PUBLISHED_KINDS
from koinon.works.publishing import PUBLISH, keep_upload
from koinon.works.shares import OWNER
from koinon.works.terms import Consent

PAGE: Final = 24
KINDS: Final = {
    "dataset": _("Datasets"),
    "model": _("Models"),
    "service": _("Services"),
    "agent": _("Agents"),
    "artwork": _("Artworks"),
}
"""Kinds that stand in the rail; others are found by their own name."""

CONSENTS: Final = {
    Consent.OPEN: _("anyone"),
    Consent.SIGNED: _("whoever the owner signs a consent for"),
    Consent.LISTED: _("accounts on the owner's list"),
}

FRESH_S: Final = 20
"""How long new money is drawn in motion, in seconds."""

router: Final = Router(
    "works",
    nav=[
        NavEntry("explore", "/explore", _("All Works"), order=5),
        NavEntry("explore", "/explore/dataset", _("Datasets"), order=10),
        NavEntry("explore", "/explore/model", _("Models"), order=20),
        NavEntry("explore", "/explore/service", _("Services"), order=30),
        NavEntry("publish", "/publish/dataset", _("A dataset"), order=10),
        NavEntry("publish", "/publish/model", _("A model"), order=20),
    ],
    actions=(*ACTIONS, PUBLISH, *EXITS),
)


def hall(request: Request) -> Hall:
    """One hall a console, so that what was read once stays."""
    state = request.app.state
    if not hasattr(state, "hall"):
        ground = node(request)
        state.hall = Hall(ground.chain, ground.index, ground.store)
    found: Hall = state.hall
    return found


@router.page("/explore")
def explore(request: Request) -> Response:
    return _listed(request, None)


@router.page("/explore/{kind}")
def explore_kind(request: Request, kind: str) -> Response:
    return _listed(request, kind.replace("\0", "").strip().lower()[:64])


@router.page("/works/{work_id}")
def work(request: Request, work_id: int) -> Response:
    """One Work, its money at a moment or now."""
    hall(request).directory.catch_up()  # its relatives are named as soon as they are published
    found = portrait(hall(request), work_id, _moment(request))
    income, unit = found.way.income, _coin(request)
    head = hall(request).index.head()
    now = head.timestamp if head is not None else 0
    first = hall(request).book.of(work_id).first_paid or now
    known, me = request.app.state.contribute.name_of, visitor(request)

    def named(account: str) -> str | None:
        return gettext("you") if account == me.address else known(account)

    picture = draw_river(river(found.way, found.names, unit, named, fresh_since=int(time.time()) - FRESH_S))
    mine = hall(request).ways.gather([work_id], me.address) if me.address else None
    return render(
        request,
        "works/work.html",
        work=found,
        income=income,
        picture=picture,
        headline=_headline(found, unit),
        lineage=_lineage(found),
        bar=_bar(found, named),
        beside=[link for ask in request.app.state.beside for link in ask(request, work_id)],
        shares=found.way.sharing[work_id],
        flows=[flow for flow in found.way.flows if flow.source == work_id],
        uses=USES,
        consents=CONSENTS,
        mine=mine,
        until=_moment(request),
        first=first,
        now=now,
        texts=_texts(hall(request), found),
        section="explore",
    )


@router.page("/publish")
def publish(request: Request) -> Response:
    """What can be published, and by which way."""
    return render(request, "works/publish.html", section="publish")


def _publish_form(kind: str) -> Callable[[Request], Response]:
    def form(request: Request) -> Response:
        return render(request, "works/publish_form.html", kind=kind, kinds=PUBLISHED_KINDS, section="publish")

    return form


for _kind in PUBLISHED_KINDS:
    router.page(f"/publish/{_kind}")(_publish_form(_kind))


@router.change("/publish/work")
async def publish_work(request: Request) -> Response:
    """The form with its file: the file is kept, the rest is reviewed."""
    async with request.form() as form:
        fields = {name: text for name, text in form.items() if isinstance(text, str) and name != "csrf_token"}
        fields = {name: text for name, text in fields.items() if not name.startswith("file_")}
        upload = form.get("file")
        if isinstance(upload, UploadFile) and upload.filename:
            acting(visitor(request))
            content = await upload.read()
            fields |= await run_in_threadpool(
                keep_upload, node(request), upload.filename, upload.content_type or "", content
            )
    return await run_in_threadpool(review, request, "works.publish", fields)


def _listed(request: Request, kind: str | None) -> Response:
    directory = hall(request).directory
    directory.catch_up()
    query = request.query_params.get("q", "").strip()[:200]
    before = request.query_params.get("before", "")
    listing = directory.newest(
        kind=kind,
        search=query,
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None,
        limit=PAGE,
    )
    book = hall(request).book
    earned = {entry.work_id: book.of(entry.work_id).earned for entry in listing.entries}
    return render(
        request,
        "works/explore.html",
        listing=listing,
        earned=earned,
        kind=kind,
        kinds=directory.kinds(),
        titles=KINDS,
        query=query,
        total=directory.total(),
        section="explore",
    )


def _headline(found: Portrait, unit: Unit) -> str:
    """The page's title: the Work's name, and what it came to."""
    name = found.entry.name or gettext("Work %(id)s", id=found.entry.work_id)
    earned = f"{amount_text(found.way.income.earned, unit)} {unit.symbol}"
    if not found.way.income.earned:
        return gettext("%(name)s has earned nothing so far", name=name)
    if found.parents:
        return gettext(
            "%(name)s was made from %(num)s other Works; it has earned %(earned)s so far",
            name=name,
            num=len(found.parents),
            earned=earned,
        )
    return gettext("%(name)s has earned %(earned)s so far", name=name, earned=earned)


def _lineage(found: Portrait) -> Markup | None:
    """The family tree, where there is a family."""
    if not found.parents and not found.children:
        return None
    kind = found.entry.kind
    name = found.entry.name or gettext("Work %(id)s", id=found.entry.work_id)
    return draw_lineage(name, kind, _relatives(found.parents), _relatives(found.children))


def _relatives(works: Sequence[Kin]) -> list[Relative]:
    return [
        Relative(
            each.name or gettext("Work %(id)s", id=each.work_id),
            "",
            each.share,
            url(f"/works/{each.work_id}"),
        )
        for each in works
    ]


def _bar(found: Portrait, named: Callable[[str], str | None]) -> Markup | None:
    """Who shares, as one bar; none where one payee has all, or nothing is known."""
    work_id = found.entry.work_id
    flows = [flow for flow in found.way.flows if flow.source == work_id]
    if len(flows) < 2:
        return None
    parts = []
    for flow in flows:
        if flow.parent is not None:
            name = found.names.get(flow.parent) or gettext("Work %(id)s", id=flow.parent)
        elif flow.payee == OWNER:
            name = gettext("its owner")
        else:
            name = named(flow.payee) or f"{flow.payee[:6]}…{flow.payee[-4:]}"
        parts.append((name, flow.share))
    return draw_shares(parts)


def _coin(request: Request) -> Unit:
    unit: Unit = request.app.state.contribute.coin
    return unit


def _moment(request: Request) -> int | None:
    text = request.query_params.get("until", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _texts(here: Hall, found: Portrait) -> dict[str, str]:
    """URI → what was said there, of words whose content is on this node and is what was signed for."""
    texts = {}
    for word in found.words:
        try:
            content = orjson.loads(here.store.get(word.uri.removeprefix(URI_SCHEME)))
            texts[word.uri] = str(content["text"])[:LONGEST_REASON]
        except (KoinonError, ValueError, KeyError, TypeError):
            continue
    return texts
