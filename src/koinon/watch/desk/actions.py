# SPDX-License-Identifier: Apache-2.0
"""What the operator changes on the watch's pages: decide a case, and have seen the alerts that wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson

from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault
from koinon.watch.api import Watch
from koinon.watch.cases.alerts import MOST_WAITING, Alert
from koinon.watch.cases.record import DECIDED, OPEN
from koinon.watch.desk.words import STATUSES, kinds_named
from koinon.watch.laundering.again import can_learn_again, learn_again
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext, ngettext
from koinon.web import marked as _
from koinon.works.forms import acting, whole_number
from koinon.works.ground import Ground

LONGEST_REASON: Final = 2_000
CHOICES: Final = {
    "confirmed": _("It is laundering"),
    "cleared": _("It is nothing"),
    "in review": _("It needs more"),
}
"""What may be decided of a case on its page → what the button says."""


def case_path(case_id: int) -> str:
    """A case's page."""
    return f"/watch/cases/{case_id}"


def _operator(visitor: Visitor) -> str:
    if visitor.kind != "operator":
        raise KeyFault(
            gettext("Only this node's operator judges what its watch found."),
            hint=gettext("Open the link that “koinon up” printed."),
            code="watch.operator",
        )
    return acting(visitor)


def _case_id(fields: Fields) -> int:
    found = whole_number(fields.get("case_id", ""))
    if not found:
        raise BadInput(gettext("The form names no case."), code="watch.form")
    return found


def _why(fields: Fields) -> str:
    why = fields.get("why", "").strip()
    if not why or len(why) > LONGEST_REASON:
        raise BadInput(
            gettext("Say why, in at most 2,000 characters."),
            hint=gettext("Whoever looks at this case later needs your reason."),
            code="watch.decision",
        )
    return why


def _status(fields: Fields) -> str:
    status = fields.get("status", "")
    if status not in CHOICES:
        raise BadInput(gettext("The form says nothing of the case."), code="watch.form")
    return status


def _prepare_decide(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    who, status, why = _operator(visitor), _status(fields), _why(fields)
    with Watch.of(ground) as watch:
        case = watch.case(_case_id(fields))
    learned = {
        "confirmed": gettext("The model learns from it as laundering the next time it is taught."),
        "cleared": gettext("The model learns from it as honest the next time it is taught."),
        "in review": gettext("The model learns nothing from it. The case stays in the queue."),
    }
    return Review(
        title=gettext("Case %(id)s: %(status)s?", id=case.id, status=gettext(CHOICES[status])),
        button=gettext("Write it down"),
        changes=(
            gettext(
                "The case was “%(before)s” and becomes “%(after)s”.",
                before=gettext(STATUSES[case.status]),
                after=gettext(STATUSES[status]),
            ),
            learned[status],
            gettext("Nobody is blocked, and no money moves: it is a judgement that this node keeps."),
        ),
        risks=(gettext("Who decided, when and why stays for ever; a later decision is written beneath it."),),
        result={
            gettext("Looks like"): kinds_named(each.kind for each in case.findings),
            gettext("Reason"): why,
            gettext("Decided by"): who,
        },
    )


def _run_decide(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    say(gettext("Writing it down"))
    with Watch.of(ground) as watch:
        made = watch.decide(_case_id(fields), _status(fields), who=account.address, why=_why(fields))
        left = sum(number for status, number in watch.cases.counts().items() if status in OPEN)
    return Outcome(
        gettext("Case %(id)s is “%(status)s” now.", id=made.case_id, status=gettext(STATUSES[made.status])),
        case_path(made.case_id) if made.status in OPEN else "/watch",
        {gettext("Cases that still wait"): str(left)},
    )


def alert_keys(alerts: Iterable[Alert]) -> str:
    """Alerts as a form names them."""
    return orjson.dumps([each.key for each in alerts]).decode()


def _keys(fields: Fields) -> list[str]:
    try:
        found = orjson.loads(fields.get("keys", ""))
    except ValueError:
        found = None
    if (
        not isinstance(found, list)
        or not 0 < len(found) <= MOST_WAITING
        or not all(isinstance(each, str) for each in found)
    ):
        raise BadInput(gettext("The form names no alerts."), code="watch.form")
    return found


def _prepare_seen(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    _operator(visitor)
    with Watch.of(ground) as watch:
        alerts = watch.alerts.waiting(keys=_keys(fields))
    if not alerts:
        raise BadInput(gettext("None of these alerts waits any more."), code="watch.alerts")
    return Review(
        title=ngettext("Have you seen this alert?", "Have you seen these %(num)s alerts?", len(alerts)),
        button=gettext("I have seen them"),
        changes=(
            gettext("They wait no more. What goes on is told again after an hour."),
            gettext("Their evidence stays."),
        ),
        result={each.key: each.text for each in alerts},
    )


def _run_seen(ground: Ground, _account: Account, fields: Fields, say: Say) -> Outcome:
    say(gettext("Marking them"))
    with Watch.of(ground) as watch:
        taken = watch.alerts.take(keys=_keys(fields))
    return Outcome(
        ngettext("One alert waits no more.", "%(num)s alerts wait no more.", len(taken)),
        "/watch",
        {each.key: each.text for each in taken},
    )


def _prepare_learn(ground: Ground, visitor: Visitor, _fields: Fields) -> Review:
    _operator(visitor)
    with Watch.of(ground) as watch:
        counts, report = watch.cases.counts(), watch.report()
    if not can_learn_again(report):
        raise BadInput(
            gettext("The transfers that the model was taught on are not there any more."),
            hint=gettext("Teach it by command: koinon watch train FILE"),
            code="watch.again",
        )
    decided = sum(counts[status] for status in DECIDED)
    return Review(
        title=gettext("Teach the model again with what was decided?"),
        button=gettext("Teach it"),
        changes=(
            gettext("It learns from the same transfers as before, and from decided cases that are in them."),
            gettext("The new model takes over only where it is not worse on the later transfers."),
        ),
        costs=(gettext("No gas; some minutes of this machine."),),
        risks=(gettext("Each look at the same later transfers makes luck likelier; looks are counted."),),
        result={
            gettext("Transfers"): str(report["data"]["what"]),
            gettext("Decided cases"): str(decided),
            gettext("Times these were measured on"): str(report["looks"]),
        },
    )


def _run_learn(ground: Ground, _account: Account, _fields: Fields, say: Say) -> Outcome:
    say(gettext("Teaching and measuring"))
    with Watch.of(ground) as watch:
        document, retrained = learn_again(watch)
    accepted = retrained is not None and retrained.accepted
    return Outcome(
        gettext("The new model took over.") if accepted else gettext("The model that was there stays."),
        "/watch",
        {
            gettext("Decided transfers learned from"): str(0 if retrained is None else retrained.used),
            gettext("Times these were measured on"): str(document["looks"]),
        },
    )


ACTIONS: Final = (
    Action("watch.learn", _prepare_learn, _run_learn, back="/watch"),
    Action("watch.decide", _prepare_decide, _run_decide, back="/watch"),
    Action("watch.seen", _prepare_seen, _run_seen, back="/watch"),
)
