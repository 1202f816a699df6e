# SPDX-License-Identifier: Apache-2.0
"""Whether money paid to one account could have come back to another, as far as the event tables show.

The money graph: an edge from an account to another for every transfer of the coin, and for every channel from
who fills it to who is paid by it, and for every job from its client to its provider. New coins come from
nowhere, and the contracts behind channels and jobs are purses of many, so none of them is a place of the
graph. Tills are places like any other.

Conservative on purpose: a path counts whatever its amounts and dates were, and an account with more
neighbours than are looked at counts as connected with everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from koinon.chain.address import ZERO_ADDRESS
from koinon.works.family import Index

STEPS: Final = 3
"""Transfers in a row that are followed."""

MOST: Final = 5_000
"""Neighbours that are looked at, all in all; beyond it everything counts as connected."""

_AT_ONCE: Final = 200


class Returning:
    """Paths of money over an index, for one coin. Remembers what it found: make a new one for a new head.

    Parameters
    ----------
    index : Index
    token, channels : str
        Addresses of the coin and of the Channels contract.
    jobs : str
        Address of the Jobs contract; empty where the network has none.
    """

    def __init__(self, index: Index, token: str, channels: str, jobs: str = "") -> None:
        self.index, self.token, self.jobs = index, token, jobs
        self._nowhere = {ZERO_ADDRESS, channels, jobs}
        self._payers: dict[str, set[str] | None] = {}
        self._behind: dict[str, tuple[frozenset[str], ...] | None] = {}

    def could_return(self, paid: str, payer: str) -> bool:
        """Whether ``paid`` funds ``payer`` in up to `STEPS` transfers, is funded by it directly, or is it."""
        if paid == payer:
            return True
        behind = self._behind_of(payer)
        if behind is None or any(paid in step for step in behind):
            return True
        funded_by = self._paying(paid)
        return funded_by is None or payer in funded_by

    def _behind_of(self, account: str) -> tuple[frozenset[str], ...] | None:
        """Accounts that pay into this one in one, two … transfers; None where there are too many."""
        if account not in self._behind:
            self._behind[account] = self._walk(account)
        return self._behind[account]

    def _walk(self, account: str) -> tuple[frozenset[str], ...] | None:
        seen, layer, layers = {account}, {account}, []
        for _ in range(STEPS):
            found = self._paying_all(layer)
            if found is None or len(seen) + len(found) > MOST:
                return None
            layer = found - seen
            seen |= layer
            layers.append(frozenset(layer))
        return tuple(layers)

    def _paying_all(self, accounts: Iterable[str]) -> set[str] | None:
        found: set[str] = set()
        for account in accounts:
            payers = self._paying(account)
            if payers is None:
                return None
            found |= payers
        return found

    def _paying(self, account: str) -> set[str] | None:
        """Who paid this account directly; None where that is too many to look at."""
        if account not in self._payers:
            rows = self.index.rows(
                'SELECT DISTINCT t."from" AS payer FROM coin_transfer t WHERE t."to" = ? AND t.address = ?'
                " LIMIT ?",
                (account, self.token, MOST + 1),
            )
            filled = self.index.rows(
                "SELECT DISTINCT config_payer AS payer FROM channels_channel_created"
                " WHERE config_receiver = ? AND config_token = ? LIMIT ?",
                (account, self.token, MOST + 1),
            )
            commissioned = self._clients(account) if self.jobs else ()
            found = {str(row["payer"]) for row in (*rows, *filled, *commissioned)} - self._nowhere
            self._payers[account] = None if len(found) > MOST else found
        return self._payers[account]

    def _clients(self, account: str) -> list[dict[str, Any]]:
        """Whose jobs this account was paid for."""
        return self.index.rows(
            "SELECT DISTINCT f.client AS payer FROM jobs_payment_released p"
            " JOIN jobs_job_funded f ON f.job_id = p.job_id WHERE p.provider = ? LIMIT ?",
            (account, MOST + 1),
        )
