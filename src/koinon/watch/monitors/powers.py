# SPDX-License-Identifier: Apache-2.0
"""Powers that change hands: owners, roles, administrators, implementations."""

from __future__ import annotations

from typing import Final

from koinon.chain.address import ZERO_ADDRESS
from koinon.markets.history.rows import EventRow
from koinon.watch.monitors.remembering import Recent, Window
from koinon.watch.monitors.sightings import ACT, LOOK, NOW, Sighting, Transaction

NOTHING: Final = ("", ZERO_ADDRESS)
EVERYTHING: Final = "0x" + "00" * 32
"""OpenZeppelin's ``DEFAULT_ADMIN_ROLE``."""


class Powers:
    """Parameters
    ----------
    several : int
        Changes of one contract within ``window_s`` that make it most urgent.
    window_s : int
        Seconds.
    """

    name = "powers"

    def __init__(self, *, several: int = 3, window_s: int = 3_600) -> None:
        self._several = several
        self._recent: Recent[str, Window[EventRow]] = Recent(lambda: Window(window_s, 20), 5_000)
        self._code: Recent[str, str] = Recent(str, 5_000)

    def see(self, seen: Transaction) -> list[Sighting]:
        """Tell every change but a contract's first owner and first implementation."""
        found = []
        for row in seen.of_kind("role"):
            told = self._told(row)
            if told is None:
                continue
            level, why = told
            recent = self._recent[row.contract]
            recent.add(row.timestamp, row)
            if len(recent) >= self._several:
                level, why = NOW, f"{why} {len(recent)} such changes within a short time."
            found.append(
                Sighting.of(
                    self.name,
                    f"{row.contract} {row.note} {row.account}",
                    level,
                    why,
                    seen,
                    accounts=[row.contract, row.account, row.counterparty],
                    rows=recent,
                )
            )
        return found

    def _told(self, row: EventRow) -> tuple[int, str] | None:
        if row.note == "Upgraded":
            known, self._code[row.contract] = self._code[row.contract], row.account
            return (NOW, f"{row.contract} runs other code now: {row.account}.") if known else None
        if row.note in ("OwnershipTransferred", "AdminChanged"):
            if row.counterparty in NOTHING:
                return None
            power = "owner" if row.note == "OwnershipTransferred" else "administrator"
            if row.account in NOTHING:
                return LOOK, f"{row.contract} has no {power} any more."
            return ACT, f"{row.contract} has another {power}: {row.account} instead of {row.counterparty}."
        if row.note == "SetOwner":
            return ACT, f"{row.contract} has another owner: {row.account}."
        if row.note == EVERYTHING:
            return ACT, f"The role over all roles of {row.contract} was given to or taken from {row.account}."
        return LOOK, f"A role of {row.contract} was given to or taken from {row.account}."
