# SPDX-License-Identifier: Apache-2.0
"""The money behind computing on someone's data: `ComputeJobs.vy`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from koinon.chain.account import Account
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.errors import NotFound
from koinon.works.terms import Use


class JobState(IntEnum):
    """How a job stands on chain."""

    OPEN = 0
    RELEASED = 1
    FAILED = 2
    REFUSED = 3
    REFUNDED = 4


@dataclass(frozen=True, slots=True)
class OrderedJob:
    """A job as the chain has it.

    Prices are in the token's smallest unit, ``deadline`` in Unix seconds, digests sha256. ``seconds``
    and ``result`` are 0 and empty until it is released.
    """

    job_id: int
    work_id: int
    buyer: str
    token: str
    algorithm: bytes
    schema: bytes
    price_per_second: int
    max_seconds: int
    deadline: int
    state: JobState
    seconds: int
    result: bytes

    @property
    def locked(self) -> int:
        """The most it can cost."""
        return self.price_per_second * self.max_seconds

    @property
    def paid(self) -> int:
        """What it has cost."""
        return self.price_per_second * self.seconds


class ComputeJobs:
    """The jobs of a network. What sends takes the key that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("ComputeJobs")

    def order(
        self,
        buyer: Account,
        work_id: int,
        *,
        algorithm: bytes,
        schema: bytes,
        price_per_second: int,
        max_seconds: int,
        deadline: int,
        token: str | None = None,
    ) -> int:
        """Order a run and pay in the most it can cost; the job's id.

        In the network's coin unless ``token`` is named. The buyer must hold a running grant to compute.
        """
        where = token or self.chain.coin.address
        calls: list[Call] = []
        gas = None
        if amount := price_per_second * max_seconds:
            coin = self.chain.contract("Coin", where)
            calls.append(coin.transaction("approve", self.contract.address, amount))
            gas = 500_000
        arguments = (work_id, algorithm, schema, price_per_second, max_seconds, deadline, where)
        calls.append(self.contract.transaction("order", *arguments, gas=gas))
        receipt = self.chain.sender(buyer).send_all(calls)[-1]
        return int(self.contract.logs(receipt, "Ordered")[0]["job_id"])

    def deliver(
        self, operator: Account, job_id: int, state: JobState, *, seconds: int = 0, result: bytes = bytes(32)
    ) -> None:
        """Say how a job ended; where that was said before in the same words, nothing is sent."""
        job = self.job(job_id)
        if (job.state, job.seconds, job.result) == (state, seconds, result):
            return
        call = self.contract.transaction("deliver", job_id, int(state), seconds, result)
        self.chain.sender(operator).send(call)

    def refund(self, sender: Account, job_id: int) -> None:
        """Send a buyer's money back after the deadline."""
        self.chain.sender(sender).send(self.contract.transaction("refund", job_id))

    def job(self, job_id: int) -> OrderedJob:
        """A job as it is now; NotFound when none was ordered under this id."""
        if not 0 < job_id <= int(self.contract.call("job_count")):
            raise NotFound(f"There is no job {job_id} on this network.", code="data.no_job")
        fields: tuple[Any, ...] = tuple(self.contract.call("job_of", job_id))
        work_id, buyer, token, algorithm, schema, price, most, deadline, state, seconds, result = fields
        return OrderedJob(
            job_id,
            int(work_id),
            str(buyer),
            str(token),
            bytes(algorithm),
            bytes(schema),
            int(price),
            int(most),
            int(deadline),
            JobState(state),
            int(seconds),
            bytes(result),
        )

    def jobs_of(self, work_id: int) -> list[OrderedJob]:
        """All jobs of a dataset, oldest first."""
        return [self.job(int(entry["job_id"])) for entry in self.contract.history("Ordered", work_id=work_id)]

    def may_compute(self, work_id: int, account: str) -> bool:
        """Whether an account has a running grant to compute, by the chain's clock."""
        until = self.chain.contract("Terms").call("granted", work_id, int(Use.COMPUTE), account)
        return int(until) > self.chain.timestamp()
