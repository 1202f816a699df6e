# SPDX-License-Identifier: Apache-2.0
"""Jobs as pages list them: found in the event index, then read as the chain has them now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from koinon.chain.address import ZERO_ADDRESS
from koinon.chain.handle import Chain
from koinon.services.jobs.brief import Brief
from koinon.services.jobs.contract import Job, JobsContract, JobStatus
from koinon.works.family import Index

MOST: Final = 200
"""Jobs that are looked through for one list; the newest ones."""

EVENTS: Final = {
    "jobs_job_created": "created",
    "jobs_job_funded": "funded",
    "jobs_job_submitted": "submitted",
    "jobs_job_completed": "completed",
    "jobs_job_rejected": "rejected",
    "jobs_job_expired": "expired",
}
"""Event table → what happened."""

_NEWEST: Final = "ORDER BY block_number DESC, log_index DESC LIMIT ?"


@dataclass(frozen=True)
class Row:
    """A job in a list; ``roles`` what the account is in it."""

    job: Job
    brief: Brief
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Happened:
    """One thing that happened to a job; ``at`` in Unix seconds, 0 where the index does not know."""

    what: str
    at: int
    transaction: str


class Listing:
    """The jobs of a network over its event index."""

    def __init__(self, chain: Chain, index: Index) -> None:
        self._contract, self._works, self._index = JobsContract(chain), chain.contract("Works"), index

    def open(self) -> list[Row]:
        """The newest that nobody does yet and that have not expired, newest first."""
        found = self._index.rows(
            "SELECT c.job_id FROM jobs_job_created c WHERE c.provider = ?"  # noqa: S608  a constant
            " AND NOT EXISTS (SELECT 1 FROM jobs_provider_set s WHERE s.job_id = c.job_id)"
            " AND NOT EXISTS (SELECT 1 FROM jobs_job_rejected r WHERE r.job_id = c.job_id)"
            f" {_NEWEST}",
            (ZERO_ADDRESS, MOST),
        )
        head = self._index.head()
        now = 0 if head is None else head.timestamp
        jobs = self._contract.jobs([int(row["job_id"]) for row in found])
        return [
            Row(job, Brief.read(job.description))
            for job in jobs
            if job.status is JobStatus.OPEN and not job.taken and job.expires_at > now
        ]

    def of(self, account: str) -> list[Row]:
        """The newest in which an account has a part, also as owner or operator of a Work whose till does
        them; newest first."""
        mine = [account, *self._tills(account)]
        places = ", ".join("?" * len(mine))
        found = self._index.rows(
            "SELECT job_id FROM jobs_job_created WHERE client = ? OR evaluator = ?"  # noqa: S608  question marks
            f" OR provider IN ({places}) {_NEWEST}",
            (account, account, *mine, MOST),
        )
        assigned = self._index.rows(
            f"SELECT job_id FROM jobs_provider_set WHERE provider IN ({places}) {_NEWEST}",  # noqa: S608  only question marks
            (*mine, MOST),
        )
        ids = sorted({int(row["job_id"]) for row in (*found, *assigned)}, reverse=True)[:MOST]
        return [
            Row(job, Brief.read(job.description), roles(job, account, mine))
            for job in self._contract.jobs(ids)
        ]

    def history(self, job_id: int) -> list[Happened]:
        """What happened to a job, in order, with times."""
        found = []
        for table, what in EVENTS.items():
            rows = self._index.rows(
                "SELECT e.block_number, e.log_index, e.transaction_hash, b.timestamp"  # noqa: S608  a constant
                f" FROM {table} e LEFT JOIN block b ON b.number = e.block_number"
                " WHERE e.job_id = ?",
                (job_id,),
            )
            found += [(int(row["block_number"]), int(row["log_index"]), what, row) for row in rows]
        found.sort(key=lambda each: each[:2])
        return [
            Happened(what, int(row["timestamp"] or 0), str(row["transaction_hash"]))
            for _, _, what, row in found
        ]

    def _tills(self, account: str) -> list[str]:
        """Named tills of Works that an account may act for, of the newest."""
        named = self._index.rows(
            f"SELECT work_id, till FROM jobs_till_named {_NEWEST}",  # noqa: S608  a constant
            (MOST,),
        )
        may = self._works.call_many([("isAuthorizedOrOwner", account, int(row["work_id"])) for row in named])
        return [str(row["till"]) for row, yes in zip(named, may, strict=True) if yes]


def roles(job: Job, account: str, providers: list[str]) -> tuple[str, ...]:
    """What an account is in a job: ``client``, ``provider``, ``evaluator``."""
    held = {
        "client": job.client == account,
        "provider": job.taken and job.provider in providers,
        "evaluator": job.evaluator == account,
    }
    return tuple(role for role, holds in held.items() if holds)
