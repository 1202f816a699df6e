# SPDX-License-Identifier: Apache-2.0
"""A hall with a federation, and the signatures owners give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import boa

from koinon.chain.eip712 import digest
from koinon.learning.messages import CONSENT, federation_domain
from koinon.works.shares import OWNER, WHOLE, ShareTable
from tests.contracts_support import Hall, account, deploy, deploy_hall, key

RECIPE, JUDGE, TEST, MODEL, UPDATES, CONTRIBUTIONS = (bytes((number,)) * 32 for number in range(1, 7))
LATER = 10**12


@dataclass
class Record:
    """A federation over a fresh hall, with dataset Works by their owner's role."""

    hall: Hall = field(default_factory=deploy_hall)
    datasets: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contract: Any = deploy("learning", "Federation", self.hall.works.address)
        self.opener = account("opener")

    @property
    def chain_id(self) -> int:
        return int(boa.env.evm.patch.chain_id)

    def dataset(self, role: str) -> int:
        """The role's dataset Work, published when first asked for."""
        if role not in self.datasets:
            self.datasets[role] = self.hall.publish(account(role))
        return self.datasets[role]

    def open(self, rounds: int = 3, owners_share: int = 800_000_000) -> int:
        return int(self.contract.open(RECIPE, JUDGE, TEST, rounds, owners_share, sender=self.opener))

    def consent(self, run_id: int, work_id: int, role: str, share: int = 0, deadline: int = LATER) -> bytes:
        domain = federation_domain(self.chain_id, self.contract.address)
        return key(role).sign(digest(domain, CONSENT.hash(run_id, work_id, share, deadline)))

    def joining(self, run_id: int, role: str, share: int = 0) -> tuple[int, int, int, bytes]:
        work_id = self.dataset(role)
        return (work_id, share, LATER, self.consent(run_id, work_id, role, share))

    def join(self, run_id: int, *roles: str, share: int = 0) -> None:
        self.contract.join(run_id, [self.joining(run_id, role, share) for role in roles], sender=self.opener)

    def record(self, run_id: int, number: int, participants: int) -> None:
        self.contract.record_round(run_id, number, UPDATES, MODEL, participants, sender=self.opener)

    def finish_arguments(self, run_id: int, shares: dict[str, int], share: int = 0) -> list[Any]:
        """All of finish's arguments when these roles' datasets are paid so."""
        tills = {role: str(self.hall.works.till_of(self.dataset(role))) for role in shares}
        rest = WHOLE - sum(shares.values())
        table = ShareTable({tills[role]: shares[role] for role in shares} | ({OWNER: rest} if rest else {}))
        permissions = [
            self.hall.permission(self.dataset(role), key(role), self.contract.address, share, LATER)
            for role in shares
        ]
        proofs = [table.proof(tills[role]) for role in shares]
        return [run_id, "ipfs://model", [], 250, permissions, table.root, proofs, CONTRIBUTIONS]

    def finish(self, run_id: int, shares: dict[str, int], share: int = 0) -> int:
        return int(self.contract.finish(*self.finish_arguments(run_id, shares, share), sender=self.opener))
