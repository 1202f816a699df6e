# SPDX-License-Identifier: Apache-2.0
"""What feedback on a Work is worth to a reader: the money behind it that could not come back to its giver.

Of each client the latest word counts, and its weight is an amount of coins:

- of an account the reader believes: everything it had paid the Work, as far as it is believed;
- of anybody else: what of its payments was owed to third parties the reader believes, or was burnt. Not
  counted: the share of the Work's owner, a payee from whom money could have come back to the client
  (`Returning`), and everybody the reader has no reason to believe.

So accounts that pay only one another weigh nothing, however many they are; and whoever wants weight has to
give as much away to people the reader believes. No measure that treats all accounts alike can do this: A.
Cheng, E. Friedman, Sybilproof reputation mechanisms (2005).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, Literal

from koinon.services.finding.returning import Returning
from koinon.services.finding.sinks import BURNT, Sink, sinks_of
from koinon.services.finding.trust import Trust
from koinon.works.earnings import Income
from koinon.works.family import Family, Index
from koinon.works.portrait import CONTEST

MARKS: Final = ("starred", CONTEST, "job")
"""First tags of feedback whose figure is a mark from 0 to 100."""

BEST: Final = 100

Reason = Literal["believed", "third parties", "owner only", "came back", "nobody known", "unpaid"]
"""Why a word counts, or not: ``believed`` its giver is; ``third parties`` they got part of the payment;
``owner only`` all of it is kept by the Work's owner; ``came back`` those who got it may have returned it;
``nobody known`` the reader believes nobody who got it; ``unpaid`` there was no payment before the word."""


@dataclass(frozen=True)
class Heard:
    """One client's latest word and its weight.

    ``mark`` 0 to 100; ``paid`` before it and ``weight`` in the coin's smallest unit; ``reached`` account →
    how much of the payment was owed to it and counts.
    """

    client: str
    index: int
    mark: Fraction
    tag: str
    uri: str
    timestamp: int
    paid: int
    weight: Fraction
    reason: Reason
    reached: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All that was said of a Work, the weightiest first, and the third parties of its income."""

    words: tuple[Heard, ...] = ()
    sinks: tuple[Sink, ...] = ()

    @property
    def weight(self) -> Fraction:
        """Coins behind it, in the smallest unit."""
        return sum((word.weight for word in self.words), Fraction(0))

    @property
    def counted(self) -> int:
        """How many words count."""
        return sum(1 for word in self.words if word.weight)

    @property
    def mean(self) -> Fraction | None:
        """The weighted mark, 0 to 100; None where nothing counts."""
        if not self.weight:
            return None
        return sum((word.mark * word.weight for word in self.words), Fraction(0)) / self.weight


def evidence_of(
    family: Family,
    work_id: int,
    income: Callable[[int], Income],
    trust: Trust,
    returning: Returning,
) -> Evidence:
    """What a reader makes of the feedback on a Work.

    Parameters
    ----------
    family : Family
    work_id : int
    income : callable
        A Work's income; only asked for where somebody gave a mark.
    trust : Trust
        The reader's.
    returning : Returning
    """
    latest = _latest(family.index, work_id)
    if not latest:
        return Evidence()
    sinks = sinks_of(family, work_id)
    owner = family.owner_of(work_id)
    earned = income(work_id)
    words = [_weigh(row, earned, sinks, trust, returning) for row in latest if row["client_address"] != owner]
    words.sort(key=lambda word: (-word.weight, -word.paid, -word.timestamp, word.client))
    return Evidence(tuple(words), sinks)


def _latest(index: Index, work_id: int) -> list[dict[str, Any]]:
    """Each client's latest mark that stands."""
    rows = index.rows(
        "SELECT f.client_address, f.feedback_index, f.value, f.value_decimals, f.tag1, f.feedback_uri,"
        " b.timestamp FROM reputation_new_feedback f LEFT JOIN block b ON b.number = f.block_number"
        " WHERE f.agent_id = ? AND f.tag1 IN (?, ?, ?)"
        " AND NOT EXISTS (SELECT 1 FROM reputation_feedback_revoked r WHERE r.agent_id = f.agent_id"
        " AND r.client_address = f.client_address AND r.feedback_index = f.feedback_index)"
        " ORDER BY f.block_number, f.log_index",
        (work_id, *MARKS),
    )
    return list({row["client_address"]: row for row in rows}.values())


def _weigh(
    row: Mapping[str, Any],
    income: Income,
    sinks: Sequence[Sink],
    trust: Trust,
    returning: Returning,
) -> Heard:
    client, at = str(row["client_address"]), int(row["timestamp"] or 0)
    paid = income.paid_by(client, at)
    reached: dict[str, Fraction] = {}
    came_back = False
    if paid:
        for sink in sinks:
            believed = Fraction(1) if sink.account == BURNT else trust.of(sink.account)
            amount = (paid - income.paid_by(client, sink.since)) * sink.share * believed
            if amount <= 0:
                continue
            if sink.account != BURNT and returning.could_return(sink.account, client):
                came_back = True
                continue
            reached[sink.account] = reached.get(sink.account, Fraction(0)) + amount
    of_itself = paid * trust.of(client)
    weight = max(of_itself, sum(reached.values(), Fraction(0)))
    return Heard(
        client=client,
        index=int(row["feedback_index"]),
        mark=_mark(int(row["value"]), int(row["value_decimals"])),
        tag=str(row["tag1"]),
        uri=str(row["feedback_uri"]),
        timestamp=at,
        paid=paid,
        weight=weight,
        reason=_reason(paid, weight, of_itself, came_back=came_back, sinks=sinks),
        reached=reached,
    )


def _reason(
    paid: int, weight: Fraction, of_itself: Fraction, *, came_back: bool, sinks: Sequence[Sink]
) -> Reason:
    if not paid:
        return "unpaid"
    if weight:
        return "believed" if of_itself == weight else "third parties"
    if came_back:
        return "came back"
    return "nobody known" if sinks else "owner only"


def _mark(value: int, decimals: int) -> Fraction:
    return min(max(Fraction(value, 10**decimals), Fraction(0)), Fraction(BEST))
