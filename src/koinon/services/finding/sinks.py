# SPDX-License-Identifier: Apache-2.0
"""Where a Work's income ends: whose hands it cannot leave against their will.

The shares behind a till's root are written once, so what a payment owes a payee is settled with the payment,
released or not. A share of OWNER ends with whoever owns the Work at release: on the way it counts for the
present owner, and only of payments made since it became that; of the Work itself it never counts, since its
owner may be the payer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from koinon.chain.address import checksum
from koinon.works.family import Family
from koinon.works.shares import OWNER, WHOLE

BURNT: Final = checksum("0x000000000000000000000000000000000000dead")
"""Where coins are sent to be gone: nobody has its key."""

DEEPEST: Final = 8
"""Tills in a row that are followed."""


@dataclass(frozen=True)
class Sink:
    """An account that a fixed part of a Work's income ends with.

    ``share`` of the income; ``since`` only of what was paid later than this (Unix seconds); ``by_way_of`` the
    Work whose till pays it out.
    """

    account: str
    share: Fraction
    since: int
    by_way_of: int


def sinks_of(family: Family, work_id: int) -> tuple[Sink, ...]:
    """Third parties of a Work: payees who are not its owner, upstream along tills. Largest first.

    Empty while the Work's root is not written, for its owner could still write another.
    """
    sharing = family.sharing(work_id)
    if sharing.table is None or not sharing.fixed:
        return ()
    own = {payee: share for payee, share in sharing.table.items() if payee != OWNER}
    way = _Way(family)
    way.follow(work_id, own, Fraction(1), 0, 0)
    owner = family.owner_of(work_id)
    sinks = [
        Sink(account, share, since, by_way_of)
        for (account, since, by_way_of), share in way.found.items()
        if account != owner and share
    ]
    return tuple(sorted(sinks, key=lambda sink: (-sink.share, sink.account, sink.by_way_of)))


class _Way:
    """Follows shares from till to till."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.found: dict[tuple[str, int, int], Fraction] = defaultdict(Fraction)

    def follow(self, work_id: int, shares: Mapping[str, int], part: Fraction, since: int, depth: int) -> None:
        """``part`` of the income arrives at a Work's till, of payments made after ``since``."""
        tills = self.family.works_of(payee for payee in shares if payee != OWNER)
        tills |= {self.family.till_of(parent): parent for parent, _ in self.family.parents_of(work_id)}
        for payee, share in shares.items():
            owed, older = part * Fraction(share, WHOLE), tills.get(payee)
            if payee == OWNER:
                owner, owned_since = self._owner(work_id)
                self.found[owner, max(since, owned_since), work_id] += owed
            elif older is None:
                self.found[payee, since, work_id] += owed
            elif older < work_id and depth < DEEPEST:
                table = self.family.sharing(older).table
                if table is not None:
                    self.follow(older, table, owed, since, depth + 1)

    def _owner(self, work_id: int) -> tuple[str, int]:
        """Who owns a Work, and since when (Unix seconds)."""
        rows = self.family.index.rows(
            'SELECT t."to" AS owner, b.timestamp FROM works_transfer t'
            " LEFT JOIN block b ON b.number = t.block_number WHERE t.token_id = ?"
            " ORDER BY t.block_number DESC, t.log_index DESC LIMIT 1",
            (work_id,),
        )
        return (str(rows[0]["owner"]), int(rows[0]["timestamp"] or 0)) if rows else (OWNER, 0)
