# SPDX-License-Identifier: Apache-2.0
"""Drains: a large share of what a pool, vault or bridge holds leaves within a short time.

Ronin's bridge lost 173,600 ETH and 25.5 million USDC in two transactions on 23 March 2022, and nobody
noticed for six days.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from koinon.markets.history.rows import EventRow
from koinon.watch.monitors.remembering import Peak, Recent, Window
from koinon.watch.monitors.sightings import NOW, Sighting, Transaction

COMES: Final = frozenset({"supply", "repay", "liquidation", "vault_deposit"})
LEAVES: Final = frozenset({"withdraw", "borrow", "vault_withdraw"})
"""Rows of a pool or vault that say what of its asset comes in and goes out."""


@dataclass
class _Purse:
    peak: Peak
    rows: Window[EventRow]
    held: float = 0.0
    first_at: int = -1


class Drains:
    """Parameters
    ----------
    share : float
        Of what was held at the most within the window; an alert when so much is gone.
    window_s : int
        Seconds.
    warm_up_s : int
        For so long after its first row a purse is being filled and set up, in seconds.
    holders : collection of str
        Addresses whose transfers are counted, such as a bridge; contracts of pools and vaults that are
        followed are looked at by their own events, pairs by their reserves.
    least : mapping of str to int
        Token → smallest units below which a purse is too small to matter.

    A pair counts by the root of the product of its reserves: a swap empties one side and fills the other.
    """

    name = "drains"

    def __init__(
        self,
        *,
        share: float = 0.3,
        window_s: int = 3_600,
        warm_up_s: int = 86_400,
        holders: Collection[str] = (),
        least: Mapping[str, int] | None = None,
    ) -> None:
        self._share, self._warm_up_s = share, warm_up_s
        self._holders, self._least = set(holders), dict(least or {})
        self._purses: Recent[tuple[str, str], _Purse] = Recent(
            lambda: _Purse(Peak(window_s), Window(window_s, 20)), 5_000
        )

    def see(self, seen: Transaction) -> list[Sighting]:
        """Count what comes and goes, and look when the transaction is over."""
        touched: dict[tuple[str, str], _Purse] = {}
        for row in seen.rows:
            if row.kind == "transfer":
                for holder, sign in ((row.account, -1), (row.counterparty, 1)):
                    if holder in self._holders:
                        self._moves(holder, row.asset or row.contract, sign * row.amount, row, touched)
            elif row.kind == "reserves" and row.note != "virtual":
                purse = self._purse((row.contract, "liquidity"), row, touched)
                purse.held = math.sqrt(float(row.amount) * float(row.amount_2))
            elif row.kind in COMES or row.kind in LEAVES:
                sign = 1 if row.kind in COMES else -1
                self._moves(row.market, row.asset, sign * row.amount, row, touched)
        found = []
        for (holder, asset), purse in touched.items():
            top = purse.peak.add(seen.timestamp, purse.held)
            gone = top - purse.held
            settled = seen.timestamp - purse.first_at > self._warm_up_s
            if settled and top > self._least.get(asset, 0) and gone >= self._share * top > 0:
                why = f"{gone / top:.0%} of what {holder} held ({asset}) left within a short time."
                found.append(
                    Sighting.of(
                        self.name,
                        f"{holder} {asset}",
                        NOW,
                        why,
                        seen,
                        accounts=[holder, *(each.counterparty for each in purse.rows)],
                        rows=purse.rows,
                    )
                )
        return found

    def _moves(
        self, holder: str, asset: str, units: int, row: EventRow, touched: dict[tuple[str, str], _Purse]
    ) -> None:
        purse = self._purse((holder, asset), row, touched)
        purse.held = max(0.0, purse.held + units)  # what came before the first row is not known

    def _purse(self, key: tuple[str, str], row: EventRow, touched: dict[tuple[str, str], _Purse]) -> _Purse:
        purse = touched[key] = self._purses[key]
        purse.first_at = row.timestamp if purse.first_at < 0 else purse.first_at
        purse.rows.add(row.timestamp, row)
        return purse
