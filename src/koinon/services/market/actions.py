# SPDX-License-Identifier: Apache-2.0
"""Rating a service and believing its owner, from a page, as guest, operator or with a wallet."""

from __future__ import annotations

from typing import Final

from koinon.chain.account import Account
from koinon.errors import BadInput
from koinon.services.finding.rating import check_mark, give_mark, give_trust
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext
from koinon.works.api import Works
from koinon.works.forms import acting, whole_number, work_id_of
from koinon.works.ground import Ground


def _mark_of(fields: Fields) -> tuple[int, str]:
    reason = fields.get("reason", "").strip()
    mark = whole_number(fields.get("mark", "").strip())
    return check_mark(mark, reason), reason


def _not_ones_own(ground: Ground, visitor: Visitor, work_id: int) -> None:
    if Works(ground.chain, ground.store).owner_of(work_id) == visitor.address:
        raise BadInput(
            gettext("One does not speak of one's own Work."),
            hint=gettext("The standard refuses feedback by the owner."),
            code="works.own_feedback",
        )


def _prepare_rate(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_id, (mark, reason) = work_id_of(fields), _mark_of(fields)
    account = acting(visitor)
    _not_ones_own(ground, visitor, work_id)
    return Review(
        title=gettext("Give Work %(id)s %(mark)s of 100?", id=work_id, mark=mark),
        button=gettext("Rate it"),
        changes=(
            gettext("Your mark and words, signed by %(account)s, stand beside the Work.", account=account),
            gettext("They count with others by what you paid that could not come back to you."),
            gettext("A later mark of yours takes the place of this one."),
        ),
        costs=(gettext("Gas for one transaction."),),
        risks=(gettext("The text is public. Do not put anybody's personal data into it."),),
        result={gettext("Your mark"): f"{mark}", gettext("Your words"): reason[:200]},
    )


def _run_rate(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    work_id, (mark, reason) = work_id_of(fields), _mark_of(fields)
    say(gettext("Sending the transaction"))
    index = give_mark(ground, account, work_id, mark, reason)
    return Outcome(
        gettext("Your mark stands beside the Work."),
        f"/services/{work_id}",
        {gettext("Number among your words"): str(index)},
    )


def _prepare_trust(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_id, believed = work_id_of(fields), fields.get("believed") != "0"
    acting(visitor)
    _not_ones_own(ground, visitor, work_id)
    if not believed:
        return Review(
            title=gettext("Believe the owner of Work %(id)s no longer?", id=work_id),
            button=gettext("Take it back"),
            changes=(gettext("What they paid for and were paid counts for nothing in your lists any more."),),
            costs=(gettext("Gas for one transaction."),),
        )
    return Review(
        title=gettext("Believe the owner of Work %(id)s?", id=work_id),
        button=gettext("Believe them"),
        changes=(
            gettext("Services they paid for and spoke of stand higher in your lists."),
            gettext("So do services whose customers' money reaches them."),
            gettext("Whom they believe, you believe half as much."),
        ),
        costs=(gettext("Gas for one transaction."),),
        risks=(gettext("Everyone can see whom you believe. You can take it back at any time."),),
    )


def _run_trust(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    work_id, believed = work_id_of(fields), fields.get("believed") != "0"
    say(gettext("Sending the transaction"))
    give_trust(ground.chain, account, work_id, believed=believed)
    sentence = (
        gettext("You believe its owner now.") if believed else gettext("You believe its owner no more.")
    )
    return Outcome(sentence, f"/services/{work_id}")


RATE: Final = Action("services.rate", _prepare_rate, _run_rate, back="/market")
TRUST: Final = Action("services.trust", _prepare_trust, _run_trust, back="/market")
ACTIONS: Final = (RATE, TRUST)
