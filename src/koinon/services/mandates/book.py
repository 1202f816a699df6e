# SPDX-License-Identifier: Apache-2.0
"""The mandates a node knows: given here, or spent under here; what was spent, and how to stop one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, KeyFault, NotFound, TransactionFailed
from koinon.services.lineage.demand import lineage_check
from koinon.services.mandates.account import MandateAccount, Spent
from koinon.services.mandates.ledger import SpendingLedger
from koinon.services.mandates.mandate import Mandate, SignedMandate, sign_mandate
from koinon.services.mandates.spending import MandateSpending
from koinon.works.catalogue import Blocks

FOLDER: Final = "mandates"
"""Of a node's data directory."""

SHORTEST_ID: Final = 6


@dataclass(frozen=True)
class Entry:
    """A mandate with what was spent under it here; ``state`` is standing, stopped (here), revoked (on chain),
    over, or not yet."""

    signed: SignedMandate
    spent: Spent
    state: str

    @property
    def id(self) -> str:
        """The mandate's id as people write it: 64 hex digits."""
        return self.signed.id.hex()


class MandateBook:
    """The mandates of one data directory, on one network. Close it when done.

    Parameters
    ----------
    chain : Chain
    home : Path
        The data directory.
    clock : callable, optional
        Unix seconds.
    """

    def __init__(self, chain: Chain, home: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.chain = chain
        self.ledger = SpendingLedger(home / FOLDER, clock=clock)
        self._clock = clock

    def give(self, owner: Account, mandate: Mandate) -> SignedMandate:
        """Sign a mandate and enter it; the agent needs the file (`SignedMandate.save`)."""
        signed = sign_mandate(self.chain, owner, mandate)
        self.ledger.add(signed)
        return signed

    def spending(
        self, signed: SignedMandate, agent: str, *, use: str = "call", store: Blocks | None = None
    ) -> MandateSpending:
        """What a buyer asks before it signs; errors as in `MandateSpending`. With ``store``, where
        registration files are looked up, a demand for verified lineage can be met."""
        lineage = None if store is None else lineage_check(self.chain, store)
        return MandateSpending(self.chain, self.ledger, signed, agent, use=use, lineage=lineage)

    def entries(self) -> list[Entry]:
        """Every mandate for this network, the newest first."""
        return [self._entry(signed) for signed in self._ours()]

    def entry(self, mandate_id: str) -> Entry:
        """The mandate of an id, or of its first digits; NotFound where that is none, or more than one."""
        wanted = mandate_id.lower().removeprefix("0x")
        found = [signed for signed in self._ours() if signed.id.hex().startswith(wanted)]
        if len(wanted) < SHORTEST_ID or len(found) != 1:
            raise NotFound(
                f"No mandate here is called {mandate_id[:80]}.",
                hint="`koinon mandate list` shows their ids.",
                code="mandate.unknown",
            )
        return self._entry(found[0])

    def revoke(self, owner: Account, mandate_id: str) -> Entry:
        """Stop a mandate in every process of this machine at once, then on chain for every other.

        Raises
        ------
        KeyFault
            The account is not the mandate's owner; nothing was stopped.
        """
        entry = self.entry(mandate_id)
        mandate = entry.signed.mandate
        if owner.address != mandate.owner:
            raise KeyFault(
                f"Only {mandate.owner} takes this mandate back.",
                hint="Come in with that account.",
                code="mandate.owner",
            )
        self.ledger.stop(entry.signed.id)
        contract = self.chain.contract("Mandates")
        try:
            self.chain.sender(owner).send(contract.transaction("revoke", mandate.nonce))
        except TransactionFailed:
            if not contract.call("revoked", mandate.owner, mandate.nonce):
                raise
        return self._entry(entry.signed)

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def _ours(self) -> list[SignedMandate]:
        place = self.chain.network.address("Mandates")
        return [
            signed
            for signed in self.ledger.mandates()
            if (signed.domain.chain_id, signed.domain.verifying_contract) == (self.chain.chain_id, place)
        ]

    def _entry(self, signed: SignedMandate) -> Entry:
        mandate, now = signed.mandate, int(self._clock())
        state = "standing"
        if self.chain.contract("Mandates").call("revoked", mandate.owner, mandate.nonce):
            state = "revoked"
        elif self.ledger.is_stopped(signed.id):
            state = "stopped"
        elif now > mandate.not_after:
            state = "over"
        elif now < mandate.not_before:
            state = "not yet"
        return Entry(signed, MandateAccount(self.ledger, signed).spent, state)


def days_from(now: int, days: int) -> int:
    """The last second of a mandate that lasts so many days; BadInput unless 1 to 3,650."""
    if not 1 <= days <= 3650:
        raise BadInput("A mandate lasts 1 to 3,650 days.", code="mandate.form")
    return now + days * 86_400
