# SPDX-License-Identifier: Apache-2.0
"""Whom a reader believes: itself, accounts it named, and accounts that those named.

Naming is feedback with the tag `TRUST` on a Work, and says that its giver trusts whoever owns that Work. It
is on the chain, so it goes with the account that gave it and is taken back like any feedback. It counts only
while the Work still belongs to who was trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from koinon.chain.address import checksum
from koinon.works.family import Index

TRUST: Final = "trust"
"""First tag of feedback that names the Work's owner as somebody its giver trusts."""

NAMED: Final = Fraction(1)
NAMED_BY_NAMED: Final = Fraction(1, 2)
_AT_ONCE: Final = 200
_NAMED_BY: Final = """
SELECT f.client_address, f.agent_id, f.feedback_index, f.value, t."to" AS owner, t.block_number AS since,
       f.block_number
FROM reputation_new_feedback f
JOIN works_transfer t ON t.token_id = f.agent_id
WHERE f.tag1 = ? AND f.client_address IN ({marks})
AND NOT EXISTS (SELECT 1 FROM works_transfer later WHERE later.token_id = f.agent_id
    AND (later.block_number > t.block_number
         OR (later.block_number = t.block_number AND later.log_index > t.log_index)))
AND NOT EXISTS (SELECT 1 FROM reputation_feedback_revoked r WHERE r.agent_id = f.agent_id
    AND r.client_address = f.client_address AND r.feedback_index = f.feedback_index)
ORDER BY f.block_number, f.log_index
"""


@dataclass(frozen=True)
class Trust:
    """Account → how far it is believed, 0 to 1; ``steps`` how far away it is: 0 the reader, 1 named, 2 named
    by one who is named."""

    believed: Mapping[str, Fraction] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)

    def of(self, account: str) -> Fraction:
        return self.believed.get(account, Fraction(0))

    @property
    def named(self) -> int:
        """How many accounts are believed beside the reader."""
        return sum(1 for step in self.steps.values() if step)


def trust_of(index: Index, reader: Iterable[str] = (), named: Iterable[str] = ()) -> Trust:
    """The trust of a reader.

    Parameters
    ----------
    index : Index
    reader : iterable of str
        Accounts that are the reader's own.
    named : iterable of str
        Accounts named here and now, beside those named on the chain.
    """
    steps = {checksum(account): 0 for account in reader}
    first = {checksum(account) for account in named} | _named_by(index, list(steps))
    steps |= {account: 1 for account in first if account not in steps}
    second = _named_by(index, [account for account, step in steps.items() if step == 1])
    steps |= {account: 2 for account in second if account not in steps}
    weights = {0: NAMED, 1: NAMED, 2: NAMED_BY_NAMED}
    return Trust({account: weights[step] for account, step in steps.items()}, steps)


def _named_by(index: Index, accounts: list[str]) -> set[str]:
    """Owners of Works that these accounts named, who have owned them ever since."""
    latest: dict[tuple[str, int], str | None] = {}
    for first in range(0, len(accounts), _AT_ONCE):
        some = accounts[first : first + _AT_ONCE]
        rows = index.rows(_NAMED_BY.format(marks=", ".join("?" * len(some))), (TRUST, *some))
        for row in rows:
            stands = int(row["value"]) > 0 and int(row["since"]) <= int(row["block_number"])
            latest[row["client_address"], int(row["agent_id"])] = str(row["owner"]) if stands else None
    return {owner for owner in latest.values() if owner is not None}
