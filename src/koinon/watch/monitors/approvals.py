# SPDX-License-Identifier: Apache-2.0
"""Sudden approvals: many wallets let one new spender take all they have, or have it taken already.

So BadgerDAO's users lost 120 million dollars in December 2021: for three weeks a changed web page asked
them to approve an address that nobody had seen before, and then it took.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from koinon.chain.address import ZERO_ADDRESS
from koinon.markets.history.rows import EventRow
from koinon.watch.monitors.remembering import Recent, Window
from koinon.watch.monitors.sightings import ACT, NOW, Sighting, Transaction

DAY_S: Final = 86_400


@dataclass
class _Spender:
    first_at: int
    wallets: dict[str, int] = field(default_factory=dict)
    """Wallet → when it approved, in Unix seconds; the oldest first."""

    rows: Window[EventRow] = field(default_factory=lambda: Window(21 * DAY_S, 20))
    takers: dict[str, set[str]] = field(default_factory=dict)
    """Receiver → wallets whose tokens went there."""


class Approvals:
    """Parameters
    ----------
    wallets : int
        How many different ones make an alert.
    window_s : int
        Within so many seconds.
    new_s : int
        A spender is new for so long after it was first approved, in seconds.
    warm_up_s : int
        What is first seen in so many seconds from the first row may be old, and is not told.
    unlimited : int
        Approvals of fewer units are ordinary; ``ApprovalForAll`` and the like always count.
    taken_from : int
        Wallets whose tokens went to one receiver after they approved the same new spender.
    trusted : collection of str
        Spenders known to be in order, such as a router.
    """

    name = "approvals"

    def __init__(
        self,
        *,
        wallets: int = 10,
        window_s: int = 14 * DAY_S,
        new_s: int = 30 * DAY_S,
        warm_up_s: int = DAY_S,
        unlimited: int = 2**128,
        taken_from: int = 3,
        trusted: Collection[str] = (),
    ) -> None:
        self._wallets, self._window_s, self._new_s, self._unlimited = wallets, window_s, new_s, unlimited
        self._warm_up_s, self._taken_from, self._trusted = warm_up_s, taken_from, set(trusted)
        self._began: int | None = None
        self._spenders: Recent[str, _Spender] = Recent(lambda: _Spender(0), 5_000)
        self._allowed: Recent[str, tuple[str, ...]] = Recent(tuple)
        self._contracts: Recent[str, None] = Recent(lambda: None, 5_000)

    def see(self, seen: Transaction) -> list[Sighting]:
        """Count who approves whom, and whose tokens then go where."""
        found = []
        self._began = seen.timestamp if self._began is None else self._began
        for row in seen.rows:
            self._contracts[row.contract] = None
            if row.kind == "approval":
                found += self._approved(row, seen)
            elif row.kind == "transfer" and row.account in self._allowed:
                found += self._taken(row, seen)
        return found

    def _approved(self, row: EventRow, seen: Transaction) -> list[Sighting]:
        name, now = row.counterparty, row.timestamp
        everything = row.amount >= self._unlimited or (row.amount == 1 and not row.asset)
        if not everything or name in self._trusted or name in self._contracts or name == ZERO_ADDRESS:
            return []
        spender = self._spenders.get(name)
        if spender is None:
            spender = self._spenders[name] = _Spender(now)
        if not self._new(spender, now):
            return []
        wallets = spender.wallets
        wallets.pop(row.account, None)
        wallets[row.account] = now
        while (wallets and now - next(iter(wallets.values())) > self._window_s) or len(wallets) > 2_000:
            del wallets[next(iter(wallets))]
        spender.rows.add(now, row)
        allowed = self._allowed[row.account]
        self._allowed[row.account] = (*(each for each in allowed if each != name), name)[-5:]
        if len(wallets) < self._wallets:
            return []
        days = (now - spender.first_at) / DAY_S
        why = f"{len(wallets)} wallets let {name} take everything; it was first seen {days:.1f} days ago."
        return [Sighting.of(self.name, name, ACT, why, seen, accounts=[name, *wallets], rows=spender.rows)]

    def _taken(self, row: EventRow, seen: Transaction) -> list[Sighting]:
        found = []
        to = row.counterparty
        if to in self._contracts or to == ZERO_ADDRESS:
            return []
        for name in self._allowed[row.account]:
            spender = self._spenders.get(name)
            if spender is None or row.account not in spender.wallets or not self._new(spender, row.timestamp):
                continue
            if len(spender.takers) >= 100 and to not in spender.takers:
                continue
            victims = spender.takers.setdefault(to, set())
            if len(victims) < 2_000:
                victims.add(row.account)
            if len(victims) >= self._taken_from:
                why = f"Tokens of {len(victims)} wallets that let {name} take them went to {to}."
                found.append(
                    Sighting.of(
                        self.name, f"{name} {to}", NOW, why, seen, accounts=[name, to, *sorted(victims)]
                    )
                )
        return found

    def _new(self, spender: _Spender, now: int) -> bool:
        began = self._began or 0
        return spender.first_at - began > self._warm_up_s and now - spender.first_at <= self._new_s
