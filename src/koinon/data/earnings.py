# SPDX-License-Identifier: Apache-2.0
"""Everything a dataset earns, told by what it earned it with: uses that were sold, seconds that were
computed, and models that were taught with it, which pass their own income up by their shares.

All of it lies in, or went through, the dataset's till; this only tells it apart, from the event index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from koinon.works.hall import Hall
from koinon.works.income import Income
from koinon.works.shares import OWNER
from koinon.works.terms import Use

Kind = Literal["download", "compute", "train", "use", "seconds", "exchange", "work", "other"]

_USES: Final[dict[int, Kind]] = {Use.DOWNLOAD: "download", Use.COMPUTE: "compute", Use.TRAIN: "train"}
_GRANTS: Final = """
SELECT "use", SUM(paid) AS paid, COUNT(*) AS count FROM terms_granted
WHERE work_id = ? AND token = ? AND paid > 0 GROUP BY "use" ORDER BY "use"
"""
_JOBS: Final = """
SELECT COUNT(*) AS count FROM compute_jobs_delivered WHERE work_id = ? AND paid > 0
"""


@dataclass(frozen=True)
class Source:
    """What some of the income came from.

    ``work_id`` the child Work of the kind "work"; ``amount`` has arrived, ``waiting`` lies in the child's
    till for this dataset; both in the coin's smallest unit. ``count`` how many times, 0 where not counted;
    ``earned`` what the child earned altogether.
    """

    kind: Kind
    amount: int
    waiting: int = 0
    count: int = 0
    work_id: int = 0
    name: str = ""
    earned: int = 0


@dataclass(frozen=True)
class Earnings:
    """A dataset's income by its sources; their amounts add up to what arrived in its till."""

    work_id: int
    name: str
    owner: str
    sources: tuple[Source, ...]
    income: Income

    @property
    def earned(self) -> int:
        return self.income.earned

    @property
    def coming(self) -> int:
        """What lies in the tills of Works that were made from it."""
        return sum(source.waiting for source in self.sources)


def earnings(hall: Hall, work_id: int) -> Earnings:
    """What a dataset earned up to the newest block in the index."""
    income = hall.book.of(work_id)
    sources = [*_granted(hall, work_id, income), *_paid_by_contracts(hall, work_id, income)]
    sources += _passed_up(hall, work_id, income)
    rest = income.earned - sum(source.amount for source in sources)
    if rest > 0:
        sources.append(Source("other", rest))
    names = hall.directory.names([work_id])
    sources.sort(key=lambda source: -(source.amount + source.waiting))
    return Earnings(
        work_id, names.get(work_id, ""), hall.family.owner_of(work_id) or OWNER, tuple(sources), income
    )


def _granted(hall: Hall, work_id: int, income: Income) -> list[Source]:
    """Uses that were sold, as far as their price came to the till in the coin."""
    left = income.by_rail.get("grant", 0)
    found = []
    for row in hall.index.rows(_GRANTS, (work_id, income.token)):
        amount = min(left, int(row["paid"]))
        left -= amount
        if amount:
            found.append(Source(_USES.get(int(row["use"]), "use"), amount, count=int(row["count"])))
    return found


def _paid_by_contracts(hall: Hall, work_id: int, income: Income) -> list[Source]:
    found = []
    for kind, contract in (("seconds", "ComputeJobs"), ("exchange", "FairExchange")):
        paid = income.by_payer.get(hall.chain.contract(contract).address, 0)
        if paid and kind == "seconds":
            found.append(Source("seconds", paid, count=int(hall.index.rows(_JOBS, (work_id,))[0]["count"])))
        elif paid:
            found.append(Source("exchange", paid))
    return found


def _passed_up(hall: Hall, work_id: int, income: Income) -> list[Source]:
    """Works made from it: what their tills passed up, and what waits there."""
    children = {child for child, _share in hall.family.children_of(work_id)}
    children |= set(hall.family.works_of(income.by_payer).values())
    names = hall.directory.names(sorted(children))
    mine = hall.family.till_of(work_id)
    found = []
    for child in sorted(children):
        theirs = hall.book.of(child)
        table = hall.family.sharing(child).table
        waiting = theirs.due(mine, table.get(mine, 0)) if table is not None else 0
        amount = income.by_payer.get(theirs.till, 0)
        found.append(
            Source("work", amount, waiting, work_id=child, name=names.get(child, ""), earned=theirs.earned)
        )
    return found
