# SPDX-License-Identifier: Apache-2.0
"""Paying out, from a page, what Works earned, along the whole way upstream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from koinon.chain.account import Account
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext
from koinon.works.api import Works
from koinon.works.forms import acting, coin_unit, money, work_ids_of
from koinon.works.ground import Ground

MOST_WORKS: Final = 100
"""Works that one action pays out."""


def _prepare_collect(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_ids, unit = _works_of(fields), coin_unit(ground)
    result = {
        gettext("Waiting at the till of Work %(id)s", id=work_id): money(waiting, unit)
        for work_id, waiting in _waiting(ground, work_ids).items()
    }
    return Review(
        title=gettext("Collect along the whole way?"),
        button=gettext("Collect"),
        changes=(
            gettext(
                "Everyone who is due something from these Works, and from the Works they were made "
                "from, is paid now."
            ),
            gettext("Nobody's share changes; what is owner's goes to the owner only if that is you."),
        ),
        costs=(
            gettext("Gas for one transaction for each payee, paid by %(account)s.", account=acting(visitor)),
        ),
        risks=(gettext("A payee that refuses its part is passed over; its part stays in the till."),),
        result=result,
    )


def _run_collect(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    works, unit = Works(ground.chain, ground.store, account), coin_unit(ground)
    received, payouts = 0, 0
    skipped: dict[int, str] = {}
    work_ids = _works_of(fields)
    for work_id in work_ids:
        say(gettext("Paying out Work %(id)s", id=work_id))
        collection = works.collect(work_id)
        received += collection.received(account.address)
        payouts += len(collection.payouts)
        skipped |= dict(collection.skipped)
    facts = {
        gettext("Work %(id)s was passed over", id=work_id): reason for work_id, reason in skipped.items()
    }
    return Outcome(
        gettext(
            "%(num)s payments were made; %(amount)s came to you.", num=payouts, amount=money(received, unit)
        ),
        f"/works/{work_ids[0]}" if len(work_ids) == 1 else "/money",
        facts,
    )


def _waiting(ground: Ground, work_ids: Sequence[int]) -> dict[int, int]:
    """Work → coins in its till; `NotFound` where there is no such Work."""
    works, coin = Works(ground.chain, ground.store), ground.chain.coin
    works.owner_of(max(work_ids))
    works.owner_of(min(work_ids))
    found = coin.call_many([("balanceOf", works.till_of(work_id)) for work_id in work_ids])
    return dict(zip(work_ids, map(int, found), strict=True))


def _works_of(fields: Fields) -> list[int]:
    return work_ids_of(fields.get("work_ids", fields.get("work_id", "")))[:MOST_WORKS]


COLLECT: Final = Action("works.collect", _prepare_collect, _run_collect, back="/money")
