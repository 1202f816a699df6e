# SPDX-License-Identifier: Apache-2.0
"""The watch in the console: the queue of cases, the desk of one case, and what can be paid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.errors import KoinonError, NotFound
from koinon.watch.api import Watch
from koinon.watch.cases.record import DECIDED, OPEN, WATCH, Case
from koinon.watch.desk import words
from koinon.watch.desk.actions import ACTIONS, CHOICES, alert_keys
from koinon.watch.desk.graph import graph_of
from koinon.watch.desk.graph_picture import draw_graph, figure
from koinon.watch.desk.liquidity import shown_liquidity
from koinon.watch.desk.ranking_picture import draw_false_alarms, draw_rankings
from koinon.watch.desk.reasons import in_words
from koinon.watch.desk.screened import screened
from koinon.watch.desk.time_picture import draw_in_time
from koinon.watch.laundering.again import can_learn_again
from koinon.web import NavEntry, Router, gettext, ngettext, node, paginate, render, visitor
from koinon.web import marked as _

BUDGETS: Final = (10, 20, 50, 100)
MOST_ALERTS: Final = 5
MOST_KEPT: Final = 25

router: Final = Router(
    "watch",
    nav=[
        NavEntry("decide", "/watch", _("Cases of the watch"), order=40),
        NavEntry("decide", "/liquidity", _("Liquidity"), order=45),
    ],
    actions=ACTIONS,
)


@router.page("/watch")
def watch(request: Request) -> Response:
    """What to look at first, what alarmed, and how far to trust the order."""
    opened, budget = _may_read(request), _budget(request)
    with Watch.of(node(request)) as here:
        counts, kinds = here.cases.counts(), here.cases.kinds()
        cases = here.queue(budget) if opened else []
        alerts = here.alerts.waiting(MOST_ALERTS) if opened else []
        told = here.alerts.counts()
        kept = here.newest_alerts(MOST_KEPT) if opened else []
        decided = here.cases.decisions(10) if opened else []
        report = _report(here)
    waiting = sum(counts[status] for status in OPEN)
    return render(
        request,
        "watch/queue.html",
        title=queue_title(waiting, sum(counts.values()), kinds),
        opened=opened,
        operator=_is_operator(request),
        budget=budget,
        budgets=BUDGETS,
        waiting=waiting,
        judged=sum(counts[status] for status in DECIDED),
        cases=cases,
        alerts=alerts,
        alert_keys=alert_keys(alerts),
        more=max(0, told["waiting"] + told["held"] - len(alerts)),
        told=told,
        kept=kept,
        decided=decided,
        report=report,
        again=report is not None and can_learn_again(report),
        picture=None if report is None else draw_rankings(report),
        audits=[] if report is None else [(each, draw_false_alarms(each)) for each in report["false_alarms"]],
        words=words,
        figure=figure,
        section="decide",
    )


@router.page("/watch/cases/{case_id}")
def case(request: Request, case_id: int) -> Response:
    """One case: who paid whom, when, why it stands out, and what was decided."""
    if not _may_read(request):
        raise NotFound(
            gettext("Cases of this node are for whoever runs it."),
            hint=gettext("What stands out is no proof of anything, so accounts are not named to everybody."),
            code="watch.no_case",
        )
    with Watch.of(node(request)) as here:
        found = here.case(case_id)
        lists = screened(here, found)
    edges = found.edges
    until = _until(request, found)
    graph = graph_of(found, until)
    pages = paginate(request, len(edges))
    return render(
        request,
        "watch/case.html",
        case=found,
        title=case_title(found),
        kinds=words.in_order(each.kind for each in found.findings),
        picture=draw_graph(graph),
        in_time=draw_in_time(edges, graph, until),
        until=until,
        graph=graph,
        edges=edges[pages.offset : pages.offset + pages.size],
        pages=pages,
        moved=sum(float(each["amount"]) for each in edges),
        lists=lists,
        choices=CHOICES,
        operator=_is_operator(request),
        words=words,
        in_words=in_words,
        decided=[each for each in found.decisions if each.who != WATCH],
        noted=[each for each in found.decisions if each.who == WATCH],
        figure=figure,
        is_address=is_address,
        section="decide",
    )


@router.page("/liquidity")
def liquidity(request: Request) -> Response:
    """What can be paid out, what may be asked for, and how often warnings were right."""
    return render(request, "watch/liquidity.html", **shown_liquidity(node(request)), section="decide")


def queue_title(waiting: int, every: int, kinds: Mapping[str, int]) -> str:
    """How many cases wait, and what most of them look like."""
    if not every:
        return gettext("What should somebody look at?")
    if not waiting:
        return gettext("No case waits")
    said = ngettext("One case waits", "%(num)s cases wait", waiting)
    told = {kind: number for kind, number in kinds.items() if kind != "model"}
    first = "listed" if told.get("listed") else next(iter(told), "")
    if first == "listed":
        return ngettext(
            "%(said)s; one of them has to do with somebody on a list",
            "%(said)s; %(num)s of them have to do with somebody on a list",
            told[first],
            said=said,
        )
    seen = words.kind_seen(first)
    if not seen:
        return said
    if waiting == 1:
        return gettext("%(said)s; it looks like %(seen)s", said=said, seen=seen)
    return ngettext(
        "%(said)s; one of them looks like %(seen)s",
        "%(said)s; %(num)s of them look like %(seen)s",
        told[first],
        said=said,
        seen=seen,
    )


def case_title(found: Case) -> str:
    """What a case looks like; the kinds that people know before the model's."""
    kinds = words.kinds_named(each.kind for each in found.findings)
    return gettext("Case %(id)s looks like: %(kinds)s", id=found.id, kinds=kinds)


def is_address(name: str) -> bool:
    """Whether an account of a case has a page on the chain."""
    return len(name) == 42 and name.startswith("0x")


def _report(here: Watch) -> dict[str, Any] | None:
    try:
        return here.report()
    except KoinonError:
        return None


def _is_operator(request: Request) -> bool:
    return visitor(request).kind == "operator"


def _may_read(request: Request) -> bool:
    """Suspicion is no proof: where money is real, accounts are named to the operator alone."""
    return _is_operator(request) or bool(node(request).chain.network.test_money)


def _budget(request: Request) -> int:
    text = request.query_params.get("budget", "")
    return int(text) if text in {str(budget) for budget in BUDGETS} else 20


def _until(request: Request, found: Case) -> int | None:
    """The time that is looked at; None for all of it."""
    text = request.query_params.get("until", "")
    if not (text.isascii() and text.isdigit() and len(text) < 13):
        return None
    return int(text) if found.start <= int(text) < found.end else None
