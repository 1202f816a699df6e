# SPDX-License-Identifier: Apache-2.0
"""A Work's income followed all the way upstream, and what one button would collect along it.

Money goes from a till to its payees; a payee that is an older Work's till passes it on to its own. Parents
are older than their children, so following only older Works can never run in a circle, whatever a share table
says.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from koinon.works.family import Family, Sharing
from koinon.works.income import Income, IncomeBook
from koinon.works.shares import OWNER, WHOLE
from koinon.works.till import due


@dataclass(frozen=True)
class Flow:
    """One payee's part, at one till, of the money that the followed Work earned.

    ``parent`` is the Work whose till the payee is, or None for an account. ``withdrawn`` has left the till,
    ``waiting`` lies in it; amounts in the token's smallest unit.
    """

    source: int
    payee: str
    parent: int | None
    share: int
    withdrawn: int
    waiting: int

    @property
    def amount(self) -> int:
        """Everything the payee is entitled to out of this till."""
        return self.withdrawn + self.waiting


@dataclass(frozen=True)
class Way:
    """The way of one Work's income.

    ``arrived`` says how much of it reached each Work's till, ``held`` how much of that nobody can be named
    for: parts smaller than a unit, and all of it where the shares are not known. At every till
    ``arrived == sum of its flows + held``.
    """

    income: Income
    flows: tuple[Flow, ...]
    arrived: Mapping[int, int]
    held: Mapping[int, int]
    sharing: Mapping[int, Sharing]
    owners: Mapping[int, str]

    @property
    def works(self) -> tuple[int, ...]:
        """All Works on the way, children before parents."""
        return tuple(sorted(self.arrived, reverse=True))

    def received_by(self, account: str) -> int:
        """What one account was paid out of this Work's income, as owner or by name."""
        return sum(flow.withdrawn for flow in self.flows if self.receiver(flow) == account)

    def receiver(self, flow: Flow) -> str:
        """Where a flow ends: its payee, or the Work's owner."""
        return self.owners.get(flow.source, OWNER) if flow.payee == OWNER else flow.payee


@dataclass(frozen=True)
class Move:
    """A release that would pay now: from a Work's till to a payee."""

    work_id: int
    payee: str
    receiver: str
    amount: int


@dataclass(frozen=True)
class Gathering:
    """What collecting along a way would do: ``moves`` in order, and what of it ends with the account."""

    account: str
    moves: tuple[Move, ...]

    @property
    def works(self) -> tuple[int, ...]:
        """The Works to collect from, in order."""
        return tuple(dict.fromkeys(move.work_id for move in self.moves))

    @property
    def receives(self) -> int:
        """What the account gets, in the token's smallest unit."""
        return sum(move.amount for move in self.moves if move.receiver == self.account)


class Ways:
    """Follows money upstream over the index."""

    def __init__(self, family: Family, book: IncomeBook) -> None:
        self.family, self.book = family, book

    def of(self, work_id: int, until: int | None = None) -> Way:
        """The way of a Work's income, up to a moment (Unix seconds) or now."""
        income = self._income(work_id, until)
        arrived: dict[int, int] = defaultdict(int, {work_id: income.earned})
        held: dict[int, int] = {}
        sharing: dict[int, Sharing] = {}
        owners: dict[int, str] = {}
        flows: list[Flow] = []
        queue, seen = [-work_id], {work_id}
        while queue:
            current = -heapq.heappop(queue)
            sharing[current] = self.family.sharing(current)
            owners[current] = self.family.owner_of(current) or OWNER
            own = self._income(current, until)
            paid = own.by_payee
            named = 0
            parents = self._parents_among_payees(current, sharing[current])
            for payee, share in (sharing[current].table or {}).items():
                part = arrived[current] * share // WHOLE
                entitled = own.earned * share // WHOLE
                withdrawn = part * min(paid.get(payee, 0), entitled) // entitled if entitled else 0
                parent = parents.get(payee)
                named += part
                flows.append(Flow(current, payee, parent, share, withdrawn, part - withdrawn))
                if parent is not None:
                    arrived[parent] += withdrawn
                    if parent not in seen:
                        seen.add(parent)
                        heapq.heappush(queue, -parent)
            held[current] = arrived[current] - named
        return Way(income, tuple(flows), dict(arrived), held, sharing, owners)

    def gather(self, work_ids: Iterable[int], account: str) -> Gathering:
        """What `Works.collect` on these Works would pay, for an account that signs: everyone's part, owners'
        parts only of Works that are the account's. What one till passes to the next is counted there too."""
        waiting = [-work_id for work_id in set(work_ids)]
        heapq.heapify(waiting)
        seen = set(waiting)
        extra: dict[int, int] = defaultdict(int)
        moves: list[Move] = []
        while waiting:
            current = -heapq.heappop(waiting)
            sharing, own = self.family.sharing(current), self.book.of(current)
            owner = self.family.owner_of(current) or OWNER
            parents = self._parents_among_payees(current, sharing)
            balance, paid = own.waiting + extra[current], own.by_payee
            received = balance + own.withdrawn
            for payee, share in (sharing.table or {}).items():
                if payee == OWNER and owner != account:
                    continue
                amount = due(balance, received - balance, paid.get(payee, 0), share)
                if amount:
                    balance -= amount
                    moves.append(Move(current, payee, owner if payee == OWNER else payee, amount))
                parent = parents.get(payee)
                if parent is not None:
                    extra[parent] += amount
            for parent in parents.values():
                if -parent not in seen:
                    seen.add(-parent)
                    heapq.heappush(waiting, -parent)
        return Gathering(account, tuple(moves))

    def _income(self, work_id: int, until: int | None) -> Income:
        income = self.book.of(work_id)
        return income if until is None else income.until(until)

    def _parents_among_payees(self, work_id: int, sharing: Sharing) -> dict[str, int]:
        """Till → older Work, of the payees that are tills."""
        if sharing.table is None:
            return {}
        found = {self.family.till_of(parent): parent for parent, _ in self.family.parents_of(work_id)}
        for payee in sharing.table:
            if payee != OWNER and payee not in found:
                other = self.family.work_of(payee)
                if other is not None and other < work_id:
                    found[payee] = other
        return {payee: parent for payee, parent in found.items() if payee in sharing.table}
