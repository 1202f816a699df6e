# SPDX-License-Identifier: Apache-2.0
"""A place with jobs: a client with money, a provider, a Work whose till can be one, an evaluator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import boa

from koinon.chain.hashing import keccak256
from tests.contracts_support import NOBODY, account, deploy, deploy_hall, deploy_mock

CLIENT, PROVIDER, EVALUATOR, STRANGER, MAKER = (
    account(role) for role in ("job client", "job provider", "job evaluator", "stranger", "maker of a Work")
)
OPEN, FUNDED, SUBMITTED, COMPLETED, REJECTED, EXPIRED = range(6)
HOUR = 3600
MONEY = 10**6
DELIVERABLE, REASON, NOTHING = b"\x0d" * 32, b"\x0e" * 32, bytes(32)


def selector(signature: str) -> bytes:
    """The first four bytes of a function's hash."""
    return keccak256(signature.encode())[:4]


@dataclass
class Place:
    """The contract with its token and a Work."""

    hall: Any = field(default_factory=deploy_hall)

    def __post_init__(self) -> None:
        self.token: Any = deploy_mock("StakeToken")
        self.jobs: Any = deploy("services", "Jobs", self.hall.works.address, self.token.address)
        self.work = self.hall.publish(MAKER)
        self.till = self.hall.works.till_of(self.work)
        self.token.mint(CLIENT, MONEY)
        self.token.approve(self.jobs, 2**256 - 1, sender=CLIENT)

    @property
    def now(self) -> int:
        return int(boa.env.evm.patch.timestamp)

    def create(
        self,
        provider: str = PROVIDER,
        evaluator: str = EVALUATOR,
        *,
        lasts: int = HOUR,
        description: str = "Draw a map",
        hook: str = NOBODY,
    ) -> int:
        """An open job."""
        made = self.jobs.createJob(provider, evaluator, self.now + lasts, description, hook, sender=CLIENT)
        return int(made)

    def funded(self, price: int = 70, **how: Any) -> int:
        """A job whose price is in escrow."""
        job = self.create(**how)
        self.jobs.setBudget(job, price, sender=CLIENT)
        self.jobs.fund(job, price, sender=CLIENT)
        return job

    def submitted(self, price: int = 70, **how: Any) -> int:
        """A job whose deliverable is handed in."""
        job = self.funded(price, **how)
        self.jobs.submit(job, DELIVERABLE, sender=PROVIDER)
        return job

    def status(self, job: int) -> int:
        """Its status as a number."""
        return int(self.jobs.getJob(job).status)

    def held(self, account: str) -> int:
        """An account's tokens."""
        return int(self.token.balanceOf(account))
