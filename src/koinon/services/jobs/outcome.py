# SPDX-License-Identifier: Apache-2.0
"""How a job ended, as feedback on the Work that did it (ERC-8004).

The feedback's file names the job (CAIP-2 chain, contract, number), its outcome, the price and the digest of
the judge's reason, so that a reader can look all of it up on chain. It is given by the job's client or its
evaluator, from their own account: what it weighs is theirs, and nobody can give it in their name.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, KeyFault
from koinon.services.jobs.contract import Job, JobsContract, JobStatus
from koinon.services.jobs.deliverable import Desk
from koinon.store.cid import cid_from_digest
from koinon.works.reputation import Reputation

TAG: Final = "job"
FIGURES: Final = {JobStatus.COMPLETED: 100, JobStatus.REJECTED: 0, JobStatus.EXPIRED: 0}
"""Outcome → value: 100 for done as asked, 0 for not done or not accepted. A job that expired after something
was handed in tells of its evaluator, and nothing of the Work."""


def outcome_file(chain: Chain, job: Job, reason: bytes | None, text: str) -> bytes:
    """The feedback's file; reading it needs nothing of Koinon's."""
    fields: dict[str, Any] = {
        "job": job_name(chain, job.job_id),
        "outcome": job.status.word,
        "price": str(job.budget),
        "client": job.client,
        "provider": job.provider,
        "evaluator": job.evaluator,
        "reason": None if reason is None else f"ipfs://{cid_from_digest(reason)}",
        "text": text,
    }
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def job_name(chain: Chain, job_id: int) -> str:
    """A job's name anywhere: ``eip155:<chain>:<contract>/<number>``."""
    return f"eip155:{chain.chain_id}:{chain.network.address('Jobs')}/{job_id}"


def give_feedback(chain: Chain, desk: Desk, account: Account, job: Job, text: str = "") -> int:
    """Say on the provider's Work how a job ended; the feedback's index.

    Raises
    ------
    BadInput
        The job is not over, was never paid for, was done by no Work, or expired unjudged.
    KeyFault
        The account is neither its client nor its evaluator.
    TransactionFailed
        The account owns that Work or acts for it.
    """
    jobs = JobsContract(chain)
    if account.address not in (job.client, job.evaluator):
        raise KeyFault(
            f"{account.address} is neither client nor evaluator of job {job.job_id}.",
            hint="Use the account that commissioned or judged it.",
            code="job.not_party",
        )
    paid = bool(jobs.said("JobFunded", job.job_id))
    work_id = jobs.work_of_till(job.provider)
    unjudged = job.status is JobStatus.EXPIRED and jobs.deliverable(job.job_id) is not None
    if job.status not in FIGURES or not paid or not work_id or unjudged:
        raise BadInput(
            f"Job {job.job_id} has no outcome to tell of a Work.",
            hint="Feedback is for jobs of a Work that were paid for and judged, or not done in time.",
            code="job.no_outcome",
        )
    content = outcome_file(chain, job, jobs.reason(job.job_id), text)
    return Reputation(chain).give(
        account,
        work_id,
        FIGURES[job.status],
        tag1=TAG,
        tag2=job.status.word,
        uri=f"ipfs://{desk.give(content)}",
        content=content,
    )
