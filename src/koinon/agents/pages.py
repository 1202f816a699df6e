# SPDX-License-Identifier: Apache-2.0
"""Agents in the console: those of this node, what each takes, and who says what to whom right now.

What is said is for the node's operator alone; everybody else sees what a Work and a card say anyway. Of an
agent that runs elsewhere the chain and its file are shown, and its host is not asked: a stranger wrote down
that address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from koinon.agents.address import Address
from koinon.agents.api import Agents
from koinon.agents.envelope import Envelope
from koinon.agents.flow import Flow
from koinon.agents.letters import dead_letters
from koinon.agents.page_actions import ACTIONS
from koinon.agents.pictured import name_of, picture_of
from koinon.errors import KoinonError
from koinon.services.buying.transport import Http
from koinon.services.mandates.pages import CAPS, STATES, USES, entries_of
from koinon.web import NavEntry, Router, node, render, url, visitor
from koinon.web import marked as _

SHOWN: Final = 100
"""Messages on a page."""

WORDS: Final = {"waiting": _("waiting"), "done": _("done"), "dead": _("dead letter")}
"""What a message's state is called, as message ids."""

_PATIENCE_S: Final = 2.0

router: Final = Router(
    "agents", nav=[NavEntry("explore", "/agents", _("Agents"), order=45)], actions=[*ACTIONS]
)


@router.page("/agents")
def agents_here(request: Request) -> Response:
    """The agents of this node."""
    agents = Agents.of(node(request))
    kept = agents.kept()
    names = {each.address: each.name for each in kept}
    flow = _flow(request, agents)
    return render(
        request,
        "agents/agents.html",
        kept=kept,
        running=agents.running(),
        told={each["account"]: each for each in _told(agents)},
        picture=picture_of(flow, names, _links(names)),
        rows=_rows(flow, names),
        words=WORDS,
        may=_may(request),
        section="explore",
    )


@router.page("/agents/{work_id}")
def agent(request: Request, work_id: int) -> Response:
    """One agent: what it takes, and its messages where it is this node's."""
    agents = Agents.of(node(request))
    contact = agents.directory.contact(work_id)
    kept = agents.kept()
    names = {each.address: each.name for each in kept}
    flow = _flow(request, agents, contact.address)
    told = [each for each in _told(agents) if each["account"] == contact.address.account]
    return render(
        request,
        "agents/agent.html",
        contact=contact,
        ours=contact.address in names,
        running=agents.running() if told else "",
        manifest=told[0] if told else None,
        picture=picture_of(flow, names, _links(names)),
        rows=_rows(flow, names),
        words=WORDS,
        may=_may(request),
        letters=_letters(request, agents, contact.address, names),
        mandates=entries_of(node(request), contact.address.account) if _may(request) else (),
        states=STATES,
        uses=USES,
        caps=CAPS,
        section="explore",
    )


def _letters(
    request: Request, agents: Agents, of: Address, names: Mapping[Address, str]
) -> list[dict[str, Any]]:
    """Dead letters of an agent of this node, for its operator."""
    if not _may(request) or of not in names:
        return []
    return [
        {
            "letter": each,
            "sender": name_of(envelope.sender, names),
            "target": name_of(envelope.target, names),
        }
        for each in dead_letters(agents.home, str(of), SHOWN)
        for envelope in [Envelope.from_bytes(each.envelope)]
    ]


def _may(request: Request) -> bool:
    return visitor(request).kind == "operator"


def _flow(request: Request, agents: Agents, of: Address | None = None) -> Flow:
    return agents.flow(of, SHOWN) if _may(request) else Flow(())


def _links(names: Mapping[Address, str]) -> Callable[[Address], str]:
    return lambda address: url(f"/agents/{address.work_id}") if address in names else ""


def _rows(flow: Flow, names: Mapping[Address, str]) -> list[dict[str, Any]]:
    return [
        {"message": each, "sender": name_of(each.sender, names), "target": name_of(each.target, names)}
        for each in flow.messages
    ]


def _told(agents: Agents) -> list[dict[str, Any]]:
    """What this node's own host says of its agents; nothing where it does not run."""
    place = agents.running()
    if not place:
        return []
    http = Http(_PATIENCE_S, whole_s=_PATIENCE_S)
    try:
        return agents.told_by(http, place)
    except KoinonError:
        return []
    finally:
        http.close()
