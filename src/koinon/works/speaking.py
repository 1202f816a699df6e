# SPDX-License-Identifier: Apache-2.0
"""Speaking of somebody's Work from a page: a mark with words, or an objection to what its card says."""

from __future__ import annotations

from typing import Final

import orjson

from koinon.chain.account import Account
from koinon.errors import BadInput
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext
from koinon.works.api import Works
from koinon.works.catalogue import URI_SCHEME
from koinon.works.forms import acting, whole_number, work_id_of
from koinon.works.ground import Ground
from koinon.works.portrait import CONTEST
from koinon.works.reputation import Reputation

LONGEST_REASON: Final = 4_000
"""Characters of a contest or a comment."""

MOST_MARKS: Final = 100


def _prepare_word(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_id, contest = work_id_of(fields), fields.get("contest") == "1"
    _word_of(fields)
    owner = Works(ground.chain, ground.store).owner_of(work_id)
    if owner == visitor.address:
        raise BadInput(
            gettext("One does not speak of one's own Work."),
            hint=gettext("The standard refuses feedback by the owner."),
            code="works.own_feedback",
        )
    title = (
        gettext("Contest Work %(id)s?", id=work_id)
        if contest
        else gettext("Say this of Work %(id)s?", id=work_id)
    )
    return Review(
        title=title,
        button=gettext("Contest it") if contest else gettext("Say it"),
        changes=(
            gettext(
                "Your words, signed by %(account)s, stand beside the Work for everyone.",
                account=acting(visitor),
            ),
            gettext("They can be revoked by you, and never removed by anyone else."),
        ),
        costs=(gettext("Gas for one transaction."),),
        risks=(gettext("The text is public. Do not put anybody's personal data into it."),),
        result={gettext("Your words"): fields.get("reason", "")[:200]},
    )


def _run_word(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    work_id, contest = work_id_of(fields), fields.get("contest") == "1"
    value, reason = _word_of(fields)
    say(gettext("Keeping your words"))
    content = orjson.dumps({"work": work_id, "author": account.address, "text": reason})
    uri = URI_SCHEME + ground.store.put(content)
    say(gettext("Sending the transaction"))
    index = Reputation(ground.chain).give(
        account,
        work_id,
        value,
        tag1=CONTEST if contest else "starred",
        uri=uri,
        content=content,
    )
    sentence = (
        gettext("Your objection stands beside the Work.")
        if contest
        else gettext("Your words stand beside the Work.")
    )
    return Outcome(sentence, f"/works/{work_id}", {gettext("Number among your words"): str(index)})


def _word_of(fields: Fields) -> tuple[int, str]:
    reason = fields.get("reason", "").strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise BadInput(
            gettext("Say why, in at most %(most)s characters.", most=LONGEST_REASON), code="works.reason"
        )
    mark = whole_number(fields.get("value", "0").strip())
    if mark is None or mark > MOST_MARKS:
        raise BadInput(gettext("A mark is a whole number from 0 to 100."), code="works.mark")
    return mark, reason


SPEAK: Final = Action("works.word", _prepare_word, _run_word, back="/explore")
