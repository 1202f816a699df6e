# SPDX-License-Identifier: Apache-2.0
"""A service's answers in the console: what is promised, staked, disputed and ruled; a provider's promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.services.verification.contract import Reason
from koinon.services.verification.history import History, Promised, history_of, promises_of
from koinon.services.verification.pictures import windows
from koinon.web import NavEntry, Router, node, render, visitor
from koinon.web import marked as _
from koinon.works.bonds import Bonds, Outcome
from koinon.works.pages import hall
from koinon.works.portrait import portrait

MOST_ROWS: Final = 50
MOST_BONDS: Final = 8
"""Bonds whose stake is asked for; older ones are mostly spent."""

STATES: Final = {
    "open": _("can be disputed"),
    "disputed": _("disputed now"),
    "broken": _("a committee found a lie"),
    "kept": _("a committee found it right"),
    "undisputed": _("nobody disputed it in time"),
    "not told": _("over; not told to the registry yet"),
}
"""How a batch stands, as message ids."""

REASONS: Final = {
    Reason.WRONG: _("the answer is wrong"),
    Reason.WITHHELD: _("the answer is not shown"),
    Reason.LEFT_OUT: _("the answer is in no batch"),
}
"""Why an answer is disputed, as message ids."""

OUTCOMES: Final = {
    Outcome.OPEN: _("not decided yet"),
    Outcome.UPHELD: _("the provider lost its stake"),
    Outcome.DISMISSED: _("the challenger lost its stake"),
    Outcome.LAPSED: _("nobody decided in time"),
}
"""How a dispute ended, as message ids."""

router: Final = Router("services")
NAV: Final = (NavEntry("me", "/me/promises", _("My promises about answers"), order=47),)


@dataclass(frozen=True)
class Standing:
    """A promise and what stands behind it now, in the coin's smallest unit; ``ends_at`` 0 where no end was
    announced."""

    promised: Promised
    staked: int
    ends_at: int


@router.page("/services/{work_id}/answers")
def answers(request: Request, work_id: int) -> Response:
    """What stands behind a service's answers, and what became of them."""
    here = hall(request)
    here.directory.catch_up()
    now = node(request).chain.next_timestamp()
    history = history_of(here.index, work_id, now)
    standing = _standing(request, history.promises)
    return render(
        request,
        "services/answers.html",
        work=portrait(here, work_id),
        work_id=work_id,
        history=history,
        standing=standing,
        staked=sum(each.staked for each in standing),
        picture=windows(history.batches, now),
        rows=MOST_ROWS,
        **_words(),
        section="explore",
    )


@router.page("/me/promises")
def promises(request: Request) -> Response:
    """The promises of who looks, and what became of each."""
    who, here = visitor(request), hall(request)
    if who.address is None:
        return render(request, "services/promises.html", standing=None, section="me")
    found = promises_of(here.index, who.address)
    now = node(request).chain.next_timestamp()
    standing = _standing(request, found)
    histories: dict[int, History] = {
        work_id: history_of(here.index, work_id, now) for work_id in {each.work_id for each in found}
    }
    return render(
        request,
        "services/promises.html",
        standing=standing,
        staked=sum(each.staked for each in standing),
        histories=histories,
        names=here.directory.names(sorted(histories)),
        section="me",
    )


def _standing(request: Request, promises: Sequence[Promised]) -> list[Standing]:
    bonds = Bonds(node(request).chain)
    found = []
    for each in promises[:MOST_BONDS]:
        bond = bonds.bond(each.bond_id)
        found.append(Standing(each, bond.amount, bond.ends_at))
    return found


def _words() -> dict[str, Any]:
    return {"states": STATES, "reasons": REASONS, "outcomes": OUTCOMES}
