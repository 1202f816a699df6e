# SPDX-License-Identifier: Apache-2.0
"""Mint spikes: a token's supply grows by a large share within a short time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from koinon.chain.address import ZERO_ADDRESS
from koinon.markets.history.rows import EventRow
from koinon.watch.monitors.remembering import Recent, Window
from koinon.watch.monitors.sightings import NOW, Sighting, Transaction

DAY_S: Final = 86_400


@dataclass
class _Supply:
    window: Window[EventRow]
    first_at: int = -1
    units: int = 0


class Minting:
    """Parameters
    ----------
    share : float
        Of the supply before the window; an alert when so much is new.
    window_s : int
        Seconds.
    warm_up_s : int
        For so long after its first row a token is being given out, in seconds.

    Shares of pairs and vaults are left out: they are minted for what is paid in. A supply whose beginning was
    not seen is taken to be what was.
    """

    name = "minting"

    def __init__(self, *, share: float = 0.2, window_s: int = DAY_S, warm_up_s: int = DAY_S) -> None:
        self._share, self._warm_up_s = share, warm_up_s
        self._supplies: Recent[str, _Supply] = Recent(lambda: _Supply(Window(window_s, 1_000)), 2_000)

    def see(self, seen: Transaction) -> list[Sighting]:
        """Count what is made and destroyed of each token."""
        touched: dict[str, _Supply] = {}
        for row in seen.of_kind("transfer"):
            if row.protocol != "erc20" or ZERO_ADDRESS not in (row.account, row.counterparty):
                continue
            token = row.asset or row.contract
            supply = touched[token] = self._supplies[token]
            supply.first_at = row.timestamp if supply.first_at < 0 else supply.first_at
            supply.window.add(row.timestamp, row)
            made = row.account == ZERO_ADDRESS
            supply.units = max(0, supply.units + (row.amount if made else -row.amount))
        return [each for token, supply in touched.items() for each in self._look(token, supply, seen)]

    def _look(self, token: str, supply: _Supply, seen: Transaction) -> list[Sighting]:
        new = sum(row.amount if row.account == ZERO_ADDRESS else -row.amount for row in supply.window)
        before = supply.units - new
        if (
            seen.timestamp - supply.first_at <= self._warm_up_s
            or before <= 0
            or new < self._share * float(before)
        ):
            return []
        to = [row.counterparty for row in supply.window if row.account == ZERO_ADDRESS]
        why = f"The supply of {token} grew by {new / before:.0%} within a short time."
        return [
            Sighting.of(self.name, token, NOW, why, seen, accounts=[token, *to[::-1]], rows=supply.window)
        ]
