# SPDX-License-Identifier: Apache-2.0
"""What an operator does on an agent's page: gives it a mandate, decides what becomes of dead letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from koinon.agents.api import Agents
from koinon.agents.kept import KeptAgent
from koinon.agents.letters import drop, letter_of, retry
from koinon.agents.mailbox import DeadLetter
from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault
from koinon.services.mandates.pages import USES, give, read_mandate
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext, moment
from koinon.web import marked as _
from koinon.works.forms import acting, coin_unit, money, whole_number, work_id_of


def _kept(ground: Any, fields: Fields) -> KeptAgent:
    wanted = work_id_of(fields)
    for each in Agents.of(ground).kept():
        if each.work_id == wanted:
            return each
    raise BadInput(gettext("This agent is not this node's."), code="agents.not_here")


def _operator(visitor: Visitor) -> str:
    if visitor.kind != "operator":
        raise KeyFault(gettext("Only this node's operator decides that."), code="agents.operator")
    return acting(visitor)


def _prepare_give(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    owner, kept, unit = _operator(visitor), _kept(ground, fields), coin_unit(ground)
    mandate = read_mandate(ground, owner, kept.account, fields)
    return Review(
        title=gettext("Let “%(name)s” spend?", name=kept.name),
        button=gettext("Give it this mandate"),
        changes=(
            gettext(
                "It may sign away %(call)s for one use, %(day)s a day and %(total)s in all.",
                call=money(mandate.per_call, unit),
                day=money(mandate.per_day, unit),
                total=money(mandate.total, unit),
            ),
            gettext("Only for: %(uses)s.", uses=", ".join(gettext(USES[use]) for use in mandate.uses)),
            gettext("It ends on %(when)s.", when=moment(mandate.not_after)),
            gettext("It takes the place of an older mandate for the same use, from now on."),
        ),
        costs=(gettext("Nothing: it is a signature. The coins must lie in the agent's own account."),),
        risks=(
            gettext("The agent spends within this without asking you again; you can stop it here."),
            gettext("Whoever holds the program's key can still spend what lies in its own account."),
        ),
        result={gettext("The account that spends"): kept.account},
    )


def _run_give(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    kept = _kept(ground, fields)
    say(gettext("Signing the mandate"))
    signed = give(ground, account, read_mandate(ground, account.address, kept.account, fields))
    return Outcome(
        gettext("“%(name)s” has mandate %(id)s.", name=kept.name, id=signed.id.hex()[:12]),
        f"/agents/{kept.work_id}",
    )


def _letter(ground: Any, visitor: Visitor, fields: Fields) -> tuple[KeptAgent, DeadLetter]:
    _operator(visitor)
    kept, number = _kept(ground, fields), whole_number(fields.get("number", ""))
    return kept, letter_of(Agents.of(ground).home, number or 0, str(kept.address))


def _prepare_retry(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    _kept_agent, letter = _letter(ground, visitor, fields)
    return Review(
        title=gettext("Try the message %(name)s again?", name=letter.name),
        button=gettext("Try it again"),
        changes=(
            gettext("It is signed anew where its time is over, and sent again.")
            if letter.outgoing
            else gettext("The agent handles it again, as if it had just come."),
        ),
        risks=(
            gettext("If its receiver did have it, it is told the same twice.")
            if letter.outgoing
            else gettext("What the handler did to the world outside before it failed may happen twice."),
        ),
    )


def _prepare_drop(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    _kept_agent, letter = _letter(ground, visitor, fields)
    return Review(
        title=gettext("Throw the message %(name)s away?", name=letter.name),
        button=gettext("Throw it away"),
        changes=(gettext("It is gone. Nobody is told."),),
    )


def _deciding(decide: Callable[..., None], done: str) -> Callable[[Any, Account, Fields, Say], Outcome]:
    def run(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
        del account, say
        kept, number = _kept(ground, fields), whole_number(fields.get("number", ""))
        decide(Agents.of(ground).home, number or 0, str(kept.address))
        return Outcome(gettext(done), f"/agents/{kept.work_id}")

    return run


ACTIONS: Final = (
    Action("agents.give_mandate", _prepare_give, _run_give, back="/agents"),
    Action(
        "agents.retry_letter",
        _prepare_retry,
        _deciding(retry, _("It is tried again as soon as the agent runs.")),
        back="/agents",
    ),
    Action("agents.drop_letter", _prepare_drop, _deciding(drop, _("It is thrown away.")), back="/agents"),
)
