# SPDX-License-Identifier: Apache-2.0
"""Saying what a service was worth, and whom one believes: ERC-8004 feedback with tags of our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, TransactionFailed
from koinon.services.finding.evidence import BEST
from koinon.services.finding.trust import TRUST
from koinon.web import gettext
from koinon.works.catalogue import URI_SCHEME
from koinon.works.ground import Ground
from koinon.works.reputation import Reputation

STARRED: Final = "starred"
"""ERC-8004's first tag of a mark from 0 to 100."""

LONGEST_REASON: Final = 4_000


def give_mark(ground: Ground, client: Account, work_id: int, mark: int, reason: str) -> int:
    """Give a mark from 0 to 100 with its reason; the number it has among the client's words.

    Raises
    ------
    BadInput
        The mark or reason is out of bounds, or the Work is the client's own.
    TransactionFailed
        The contract refuses: there is no such Work.
    """
    check_mark(mark, reason)
    content = orjson.dumps({"work": work_id, "author": client.address, "text": reason})
    uri = URI_SCHEME + ground.store.put(content)
    with _not_ones_own():
        return Reputation(ground.chain).give(client, work_id, mark, tag1=STARRED, uri=uri, content=content)


def check_mark(mark: int | None, reason: str) -> int:
    """A mark as it may be given; `BadInput` otherwise."""
    if mark is None or not 0 <= mark <= BEST:
        raise BadInput(gettext("A mark is a whole number from 0 to 100."), code="works.mark")
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise BadInput(
            gettext("Say why, in at most %(most)s characters.", most=LONGEST_REASON), code="works.reason"
        )
    return mark


def give_trust(chain: Chain, reader: Account, work_id: int, *, believed: bool = True) -> int:
    """Say on the chain that one believes a Work's owner (see `trust`), or no longer does; BadInput where that
    is oneself."""
    with _not_ones_own():
        return Reputation(chain).give(reader, work_id, int(believed), tag1=TRUST)


@contextmanager
def _not_ones_own() -> Iterator[None]:
    try:
        yield
    except TransactionFailed as error:
        if error.reason != "Self-feedback not allowed":
            raise
        raise BadInput(
            gettext("One does not speak of one's own Work."),
            hint=gettext("The standard refuses feedback by the owner."),
            code="works.own_feedback",
        ) from error
