# SPDX-License-Identifier: Apache-2.0
"""The tour in the browser: five lenders, one model, its income, and the visitor who asks and pays."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from koinon.console.story import FOLDER, Applicant, Story
from koinon.console.tour_loan import read_loan, read_reasons
from koinon.learning.pages import follow
from koinon.learning.pictured import picture
from koinon.learning.round_view import RunView
from koinon.resume import TOUR_UNDERWAY
from koinon.services.buying.purchase import new_number
from koinon.services.counter import GATEWAY
from koinon.services.gateway.registry import Registry, Service
from koinon.web import NavEntry, Router, amount_text, gettext, ngettext, node, render, visitor
from koinon.web import marked as _
from koinon.web.formatting import number
from koinon.web.pictures import draw_river, draw_round
from koinon.works.pages import FRESH_S, hall
from koinon.works.pictured import river
from koinon.works.shares import OWNER, WHOLE
from koinon.works.way import Way

LONGEST_S: Final = 3_600
"""A tour that began longer ago is not waited for."""

router: Final = Router("console", nav=[NavEntry("explore", "/tour", _("The tour"), order=1)])


@dataclass(frozen=True)
class Asked:
    """An applicant as the form shows it: what is said of it, and the body of the call."""

    facts: tuple[str, ...]
    json: str
    defaulted: bool


@dataclass(frozen=True)
class Part:
    """What one party gets of the visitor's own payments, in the coin's smallest unit."""

    name: str
    path: str
    share: int
    amount: int


@router.page("/tour")
def tour(request: Request) -> Response:
    """The story with the real objects of the newest tour on this node."""
    home = Path(node(request).settings.home)
    story = Story.newest(home)
    if story is None:
        return render(request, "tour.html", story=None, section="explore")
    hall(request).directory.catch_up()
    run = follow(request, story.run_id)[0] if story.run_id else None
    work_id = story.work_id or (run.work_id if run is not None else 0)
    entry = hall(request).directory.entry(work_id) if work_id else None
    way = hall(request).ways.of(work_id) if entry is not None else None
    datasets = [owner.work_id for owner in run.owners if owner.work_id] if run is not None else []
    names = hall(request).directory.names(datasets) if datasets else {}
    me = visitor(request)
    paid = 0
    if way is not None and me.address is not None:
        income = way.income
        paid = income.by_payer.get(me.address, 0) + income.unsettled.get(me.address, 0)
    sold = _sold(home, work_id) if way is not None else None
    coin = request.app.state.contribute.coin
    return render(
        request,
        "tour.html",
        story=story,
        run=run,
        names=names,
        work_id=work_id if entry is not None else 0,
        name=entry.name if entry is not None else (run.name if run is not None else ""),
        way=way,
        picture=_picture(request, story, run, way, names),
        sold=sold,
        number=new_number(),
        price="" if sold is None else f"{amount_text(sold.price, coin)} {coin.symbol}",
        asked=[_asked(each) for each in story.applicants],
        paid=paid,
        loan=read_loan(node(request).chain, story.pool, story.wallet) if story.pool else None,
        reasons=read_reasons(home / FOLDER) if story.pool else [],
        parts_of_it=_parts(story, way, names, paid) if way is not None and paid else [],
        going_on=_goes_on(home, story, run),
        section="explore",
    )


def _goes_on(home: Path, story: Story, run: RunView | None) -> bool:
    """Whether somebody is taking the tour now; what was killed is cleared away by the next `koinon up`."""
    if story.over or time.time() - story.began_at > LONGEST_S:
        return False
    led = run is None or run.stage not in ("stopped", "elsewhere")
    return led and (home / FOLDER / TOUR_UNDERWAY).exists()


def _picture(
    request: Request, story: Story, run: RunView | None, way: Way | None, names: Mapping[int, str]
) -> Markup | None:
    """The river once money flows, the round before."""
    if way is not None and way.income.earned:
        known, me = request.app.state.contribute.name_of, visitor(request)

        def named(account: str) -> str | None:
            if account == me.address:
                return gettext("you")
            return story.parties.get(account) or known(account)

        head = hall(request).index.head()
        since = head.timestamp - FRESH_S if head is not None else 0
        everyone = hall(request).directory.names(list(way.works))
        coin = request.app.state.contribute.coin
        return draw_river(river(way, everyone, coin, named, fresh_since=since))
    if run is not None and run.owners:
        leader = story.parties.get(run.opener, "")
        return draw_round(picture(run, run.name or gettext("a model"), names, leader))
    return None


def _sold(home: Path, work_id: int) -> Service | None:
    """The model as this node's gateway sells it; None where it does not."""
    folder = home / GATEWAY
    return Registry(folder).all().get(work_id) if folder.is_dir() else None


def _parts(story: Story, way: Way, names: Mapping[int, str], paid: int) -> list[Part]:
    """Who gets what of the visitor's payments: each share of them, rounded down as the till does."""
    found = []
    for flow in way.flows:
        if flow.source != way.income.work_id:
            continue
        if flow.parent is not None:
            name = names.get(flow.parent) or gettext("Work %(id)s", id=flow.parent)
            path = f"/works/{flow.parent}"
        else:
            account = way.receiver(flow)
            name = story.parties.get(account) or f"{account[:6]}…{account[-4:]}"
            path = f"/chain/address/{account}"
            if flow.payee == OWNER:
                name = gettext("%(name)s, who led the run", name=name)
        found.append(Part(name, path, flow.share, paid * flow.share // WHOLE))
    return sorted(found, key=lambda part: -part.share)


def _asked(applicant: Applicant) -> Asked:
    body = orjson.dumps({"features": dict(applicant.features)}).decode()
    return Asked(_facts(applicant.features), body, applicant.defaulted)


def _facts(features: Mapping[str, float]) -> tuple[str, ...]:
    """An applicant in words: what a clerk would look at first."""
    if not {"limit", "age", "status_1", "bill_1", "paid_1"} <= features.keys():
        return tuple(f"{name} {value:g}" for name, value in list(features.items())[:5])
    late = int(features["status_1"])
    return (
        gettext("%(age)s years old", age=int(features["age"])),
        gettext("limit NT$ %(amount)s", amount=number(int(features["limit"]))),
        gettext("owes NT$ %(amount)s", amount=number(int(features["bill_1"]))),
        gettext("paid NT$ %(amount)s last month", amount=number(int(features["paid_1"]))),
        ngettext("one month behind", "%(num)s months behind", late)
        if late > 0
        else gettext("not behind with payments"),
    )
