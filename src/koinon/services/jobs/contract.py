# SPDX-License-Identifier: Apache-2.0
"""The escrow of commissioned work: `Jobs.vy` (ERC-8183)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.contract import Call
from koinon.chain.handle import Chain
from koinon.errors import NotFound

NOTHING: Final = bytes(32)
_CREATE: Final = "createJob(address,address,uint256,string,address)"
_SET_PROVIDER: Final = "setProvider(uint256,address,bytes)"
_SET_BUDGET: Final = "setBudget(uint256,uint256,bytes)"
_FUND: Final = "fund(uint256,uint256,bytes)"
_SUBMIT: Final = "submit(uint256,bytes32,bytes)"
_COMPLETE: Final = "complete(uint256,bytes32,bytes)"
_REJECT: Final = "reject(uint256,bytes32,bytes)"
_FUND_GAS: Final = 400_000
"""Of paying a price right after allowing it, which cannot be tried beforehand; hooks come on top."""
_HOOK_GAS: Final = 2_100_000


class JobStatus(IntEnum):
    """How far a job is; the standard's numbers."""

    OPEN = 0
    FUNDED = 1
    SUBMITTED = 2
    COMPLETED = 3
    REJECTED = 4
    EXPIRED = 5

    @property
    def over(self) -> bool:
        """Whether nothing can change any more."""
        return self >= JobStatus.COMPLETED

    @property
    def word(self) -> str:
        """Its name in small letters."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the chain has it.

    ``budget`` in the coin's smallest unit, ``expires_at`` in Unix seconds; ``provider`` is empty (the zero
    address) where nobody does it yet, ``hook`` where there is none.
    """

    job_id: int
    client: str
    provider: str
    evaluator: str
    description: str
    budget: int
    expires_at: int
    status: JobStatus
    hook: str

    @property
    def taken(self) -> bool:
        """Whether somebody is named to do it."""
        return self.provider != ZERO_ADDRESS

    @property
    def hooked(self) -> bool:
        """Whether another contract has a say."""
        return self.hook != ZERO_ADDRESS


class JobsContract:
    """The jobs of a network. What sends takes the key that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Jobs")

    def create(  # noqa: PLR0917  (the standard's order)
        self,
        client: Account,
        provider: str,
        evaluator: str,
        expires_at: int,
        description: str,
        hook: str = ZERO_ADDRESS,
    ) -> int:
        """Create an open job; its id."""
        call = self.contract.transaction(_CREATE, provider, evaluator, expires_at, description, hook)
        receipt = self.chain.sender(client).send(call)
        return int(self.contract.logs(receipt, "JobCreated")[0]["jobId"])

    def set_provider(self, client: Account, job_id: int, provider: str) -> None:
        """Say who does an open job that nobody does yet."""
        self._send(client, _SET_PROVIDER, job_id, provider, b"")

    def set_budget(self, party: Account, job_id: int, amount: int) -> None:
        """Propose a price, as client or provider."""
        self._send(party, _SET_BUDGET, job_id, amount, b"")

    def fund(self, client: Account, job: Job, amount: int) -> None:
        """Pay exactly ``amount`` into escrow; refused where the budget is another by then."""
        calls: list[Call] = []
        gas = None
        if int(self.chain.coin.call("allowance", client.address, self.contract.address)) < amount:
            calls.append(self.chain.coin.transaction("approve", self.contract.address, amount))
            gas = _FUND_GAS + (_HOOK_GAS if job.hooked else 0)
        calls.append(self.contract.transaction(_FUND, job.job_id, amount, b"", gas=gas))
        self.chain.sender(client).send_all(calls)

    def submit(self, provider: Account, job_id: int, deliverable: bytes) -> None:
        """Hand in what is known by these 32 bytes."""
        self._send(provider, _SUBMIT, job_id, deliverable, b"")

    def complete(self, evaluator: Account, job_id: int, reason: bytes = NOTHING) -> None:
        """Pay the provider."""
        self._send(evaluator, _COMPLETE, job_id, reason, b"")

    def reject(self, judge: Account, job_id: int, reason: bytes = NOTHING) -> None:
        """End it without pay; as client while it is open, as evaluator afterwards."""
        self._send(judge, _REJECT, job_id, reason, b"")

    def claim_refund(self, sender: Account, job_id: int) -> None:
        """Send the client's money back after the expiry."""
        self._send(sender, "claimRefund", job_id)

    def name_till(self, sender: Account, work_id: int) -> None:
        """Let a Work's owner and operators act where its till is the provider."""
        self._send(sender, "name_till", work_id)

    def job(self, job_id: int) -> Job:
        """A job as it is now; NotFound when none was created under this id."""
        found = self.jobs([job_id])
        if not found:
            raise NotFound(f"There is no job {job_id} on this network.", code="job.none")
        return found[0]

    def jobs(self, job_ids: Sequence[int]) -> list[Job]:
        """Several in one question to the node; those that do not exist are left out."""
        fit = [job_id for job_id in job_ids if 0 < job_id < 1 << 256]
        answers = self.contract.call_many([("getJob", job_id) for job_id in fit])
        return [_read(tuple(answer)) for answer in answers if int(answer[0])]

    def count(self) -> int:
        """How many were ever created; ids run from 1 to this."""
        return int(self.contract.call("jobCounter"))

    def is_provider(self, job_id: int, account: str) -> bool:
        """Whether an account may hand in a job's work."""
        return bool(self.contract.call("is_provider", job_id, account))

    def work_of_till(self, till: str) -> int:
        """The Work whose named till an address is; 0 for none."""
        return int(self.contract.call("work_of_till", till))

    def said(self, event: str, job_id: int) -> list[dict[str, Any]]:
        """A job's events of one name, in order."""
        return self.contract.history(event, self.chain.network.start_block, jobId=job_id)

    def deliverable(self, job_id: int) -> bytes | None:
        """What a handed-in work is known by; None where nothing was handed in."""
        found = self.said("JobSubmitted", job_id)
        return bytes(found[0]["deliverable"]) if found else None

    def reason(self, job_id: int) -> bytes | None:
        """The digest of why a job was completed or rejected; None where none was given."""
        found = self.said("JobCompleted", job_id) or self.said("JobRejected", job_id)
        reason = bytes(found[0]["reason"]) if found else NOTHING
        return None if reason == NOTHING else reason

    def _send(self, account: Account, function: str, *arguments: Any) -> None:
        self.chain.sender(account).send(self.contract.transaction(function, *arguments))


def _read(fields: tuple[Any, ...]) -> Job:
    job_id, client, provider, evaluator, description, budget, expires_at, status, hook = fields
    return Job(
        int(job_id),
        str(client),
        str(provider),
        str(evaluator),
        str(description),
        int(budget),
        int(expires_at),
        JobStatus(status),
        str(hook),
    )
