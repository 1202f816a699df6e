# SPDX-License-Identifier: Apache-2.0
"""Mandates in the console: what each program may spend, on what, until when, what it spent, and a way to
give one and to stop one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault
from koinon.services.mandates.book import Entry, MandateBook, days_from
from koinon.services.mandates.mandate import Mandate, SignedMandate
from koinon.web import (
    Action,
    Fields,
    NavEntry,
    Outcome,
    Review,
    Router,
    Say,
    Visitor,
    gettext,
    moment,
    node,
    render,
    visitor,
)
from koinon.web import marked as _
from koinon.works.forms import acting, coin_unit, money, read_amount, whole_number

STATES: Final = {
    "standing": _("It stands"),
    "not yet": _("Not begun yet"),
    "over": _("It is over"),
    "stopped": _("Stopped here"),
    "revoked": _("Revoked"),
}
"""What a mandate's state is called, as message ids."""

USES: Final = {
    "call": _("calls of services"),
    "job": _("commissioned work"),
    "download": _("downloads"),
    "compute": _("computing on data"),
    "train": _("teaching models"),
    "remix": _("remixing"),
    "trade": _("trades between agents"),
}
"""What a use is called, as message ids."""

CAPS: Final = {"per_call": _("One use"), "per_day": _("A day (UTC)"), "total": _("In all")}
"""What a form calls a cap, as message ids."""

router: Final = Router("services")
NAV: Final = (NavEntry("me", "/me/mandates", _("My programs' mandates"), order=48),)


@router.page("/me/mandates")
def mandates(request: Request) -> Response:
    """The mandates that concern who looks: all of them for the operator, else one's own."""
    who = visitor(request)
    entries = [entry for entry in entries_of(node(request)) if _concerns(who, entry)]
    return render(
        request,
        "services/mandates.html",
        entries=entries,
        standing=sum(entry.state in ("standing", "not yet") for entry in entries),
        states=STATES,
        uses=USES,
        section="me",
    )


def entries_of(ground: Any, agent: str = "") -> list[Entry]:
    """Every mandate a node knows, or those for one program's account; the newest first."""
    with _book(ground) as book:
        return [entry for entry in book.entries() if agent in ("", entry.signed.mandate.agent)]


def give(ground: Any, account: Account, mandate: Mandate) -> SignedMandate:
    """Sign a mandate as its owner, and let this node's programs know it."""
    with _book(ground) as book:
        return book.give(account, mandate)


def read_mandate(ground: Any, owner: str, agent: str, fields: Fields) -> Mandate:
    """A mandate as a form tells it: ``per_call``, ``per_day``, ``total`` in coins, ``days``, ``use_…`` for
    each use; `BadInput` otherwise."""
    unit, now = coin_unit(ground), ground.chain.timestamp()
    caps = {name: read_amount(fields.get(name, ""), unit, gettext(CAPS[name])) for name in CAPS}
    days = whole_number(fields.get("days", "").strip())
    uses = tuple(use for use in USES if fields.get(f"use_{use}"))
    if not caps["per_call"] <= caps["per_day"] <= caps["total"] or not caps["per_call"]:
        raise BadInput(
            gettext("These caps make no mandate."),
            hint=gettext(
                "One use is more than nothing, a day at least one use, and all in all at least a day."
            ),
            code="mandate.form",
        )
    if not uses:
        raise BadInput(gettext("It names nothing to spend on."), code="mandate.form")
    return Mandate(
        owner=owner,
        agent=agent,
        token=ground.chain.coin.address,
        per_call=caps["per_call"],
        per_day=caps["per_day"],
        total=caps["total"],
        per_counterparty=caps["total"],
        not_before=now,
        not_after=days_from(now, days or 0),
        uses=uses,
    )


def _concerns(who: Visitor, entry: Entry) -> bool:
    mandate = entry.signed.mandate
    return who.kind == "operator" or who.address in (mandate.owner, mandate.agent)


def _prepare(ground: Any, who: Visitor, fields: Fields) -> Review:
    account = acting(who)
    with _book(ground) as book:
        entry = book.entry(fields.get("id", ""))
    mandate, unit = entry.signed.mandate, coin_unit(ground)
    if mandate.owner != account:
        raise KeyFault(
            gettext("Only who gave this mandate takes it back."),
            hint=gettext("Come in as %(owner)s.", owner=mandate.owner),
            code="mandate.owner",
        )
    return Review(
        title=gettext("Stop this program's spending?"),
        button=gettext("Stop it"),
        changes=(
            gettext("%(agent)s signs nothing more under this mandate, from now on.", agent=mandate.agent),
            gettext("There is no way back: to go on, it needs a new mandate."),
        ),
        costs=(gettext("Gas for one transaction."),),
        risks=(
            gettext(
                "What it signed already can still be taken: %(amount)s at most.",
                amount=money(max(0, entry.spent.signed - entry.spent.charged), unit),
            ),
            gettext("Whoever holds the program's key can still spend what lies in its own account."),
        ),
        result={gettext("Left unspent"): money(mandate.total - entry.spent.signed, unit)},
    )


def _run(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    with _book(ground) as book:
        say(gettext("Stopping it"))
        entry = book.revoke(account, fields.get("id", ""))
    return Outcome(
        gettext(
            "Mandate %(id)s is revoked since %(when)s.",
            id=entry.id[:12],
            when=moment(ground.chain.timestamp()),
        ),
        "/me/mandates",
    )


@contextmanager
def _book(ground: Any) -> Iterator[MandateBook]:
    book = MandateBook(ground.chain, ground.settings.home)
    try:
        yield book
    finally:
        book.close()


STOP: Final = Action("services.stop_mandate", _prepare, _run, back="/me/mandates")
