# SPDX-License-Identifier: Apache-2.0
"""What buyers ask of a dataset's node: its terms, whether a job would be taken, to take it, how it is."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson

from koinon.chain.address import checksum
from koinon.chain.handle import Chain
from koinon.data.budget import micro
from koinon.data.document import terms_of
from koinon.data.escrow import ComputeJobs, JobState, OrderedJob
from koinon.data.gate import Refused
from koinon.data.job_admission import Admission
from koinon.data.job_journal import JobJournal, JournaledJob
from koinon.data.jobs import Asked, Bundle, JobRequest, job_domain
from koinon.data.sealed_box import check_reader
from koinon.errors import BadInput, IntegrityError, NotFound, PaymentError, SetupError


class JobDesk:
    """Answers buyers, whoever they are and over whatever wire. Safe to share between threads.

    Parameters
    ----------
    chain : Chain
    admission : Admission
    journal : JobJournal
    clock : callable
        Unix seconds.
    """

    def __init__(
        self,
        chain: Chain,
        admission: Admission,
        journal: JobJournal,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.admission, self.journal = admission, journal
        self._chain, self._clock = chain, clock
        self._jobs = ComputeJobs(chain)
        self._domain = job_domain(chain.chain_id, self._jobs.contract.address)
        self._decimals = int(chain.coin.call("decimals"))
        self._admitting = threading.Lock()

    def about(self) -> dict[str, Any]:
        """Who computes here, on what, on which terms; why not, where the host cannot."""
        try:
            self.admission.sandbox.check()
            unavailable = ""
        except SetupError as error:
            unavailable = error.message
        return {
            "account": self.admission.operator,
            "chain_id": self._chain.chain_id,
            "jobs": self._jobs.contract.address,
            "unavailable": unavailable,
            "waiting": self.journal.waiting(),
            "datasets": {
                str(work_id): terms_of(each.policy, self._decimals).get("compute", {})
                for work_id, each in self.admission.datasets.items()
            },
        }

    def check(self, fields: Any) -> dict[str, Any]:
        """Whether a job would be taken, before any money moves; errors as `Admission.check`."""
        return self.admission.check(_asked(fields)).to_fields()

    def submit(self, fields: Any) -> dict[str, Any]:
        """Take a job, or refuse it so that its buyer has the money back at once; where it stands.

        Sending the same again changes nothing.

        Raises
        ------
        KeyFault
            The buyer did not sign it.
        PaymentError
            The order is another's, for another dataset, or over.
        IntegrityError
            Program or declaration are not those that were ordered.
        """
        try:
            request = JobRequest.from_fields(fields["request"])
            schema_text, program = fields["schema"], fields["program"]
        except (KeyError, TypeError):
            raise _not_a_job() from None
        if not isinstance(schema_text, str):
            raise _not_a_job()
        self.admission.dataset(request.work_id)
        request.check(self._domain)
        known = self.journal.find(request.job_id)
        written = orjson.dumps(request.to_fields())
        if known is not None:
            if known.request != written:
                raise PaymentError(
                    f"Job {request.job_id} was accepted with another request.",
                    hint="Order another one.",
                    code="data.job_known",
                )
            return self.state(request.job_id)
        bundle = Bundle.from_fields(program)
        order = self._ordered(request, bundle, schema_text)
        with self._admitting:  # two at once would both count on what is left of the budget
            self._take(order, request, bundle, schema_text, written)
        return self.state(request.job_id)

    def _take(
        self, order: OrderedJob, request: JobRequest, bundle: Bundle, schema_text: str, written: bytes
    ) -> None:
        try:
            epsilon = self._admitted(order, request, bundle, schema_text)
        except (BadInput, PaymentError, Refused, SetupError) as error:
            why = f"{error.message} {error.hint}".strip()
            self.journal.refuse(order.job_id, order.work_id, order.buyer, written, why, now=self._clock())
        else:
            self.journal.accept(
                order.job_id,
                order.work_id,
                order.buyer,
                written,
                schema_text,
                orjson.dumps(bundle.to_fields()),
                micro(epsilon),
                now=self._clock(),
            )

    def state(self, job_id: int) -> dict[str, Any]:
        """Where a job stands, as far as anyone may know: nothing tells that it ended before that is told."""
        job = self._found(job_id)
        stage = "running" if job.stage == "decided" else job.stage
        if job.why:
            stage = "ended"
        return {
            "job_id": str(job.job_id),
            "work_id": str(job.work_id),
            "stage": stage,
            "accepted_at": job.accepted_at,
            "started_at": job.started_at,
            "ended": job.outcome.name.lower() if stage == "ended" else "",
            "why": job.why,
            "waiting": self.journal.waiting(),
        }

    def result(self, job_id: int) -> bytes:
        """The sealed result; NotFound until it is released."""
        job = self._found(job_id)
        if job.stage != "ended" or not job.sealed:
            raise NotFound(
                f"Job {job_id} has no result here.", hint="Ask for its state.", code="data.no_result"
            )
        return job.sealed

    def _found(self, job_id: int) -> JournaledJob:
        job = self.journal.find(job_id)
        if job is None:
            raise NotFound(f"Job {job_id} never came here.", hint="Submit it.", code="data.job_unknown")
        return job

    def _ordered(self, request: JobRequest, bundle: Bundle, schema_text: str) -> OrderedJob:
        order = self._jobs.job(request.job_id)
        if order.buyer != request.buyer or order.work_id != request.work_id:
            raise PaymentError(
                f"Job {request.job_id} was not ordered by {request.buyer} for Work {request.work_id}.",
                hint="Order one of your own.",
                code="data.other_job",
            )
        if order.state is not JobState.OPEN:
            raise PaymentError(
                f"Job {request.job_id} is over: {order.state.name.lower()}.",
                hint="Order another one.",
                code="data.job_over",
            )
        schema = hashlib.sha256(schema_text.encode()).digest()
        sent = (bundle.digest, schema)
        if not sent == (order.algorithm, order.schema) == (request.algorithm, request.schema):
            raise IntegrityError(
                f"Program or declaration are not those of job {request.job_id}.",
                hint="Send what was ordered; nothing is lost: after the deadline the money comes back.",
                code="data.other_program",
            )
        return order

    def _admitted(self, order: OrderedJob, request: JobRequest, bundle: Bundle, schema_text: str) -> float:
        """The epsilon it will spend; errors say why the job is refused."""
        if not self._jobs.may_compute(order.work_id, order.buyer):
            raise PaymentError(
                f"{order.buyer} has no running grant to compute on Work {order.work_id}.",
                hint="Buy one first.",
                code="data.not_granted",
            )
        check_reader(request.sealing_key)
        asked = Asked(order.work_id, order.buyer, bundle, schema_text, request.blocks, order.max_seconds)
        quote = self.admission.check(asked)
        if order.token != self._chain.coin.address or order.price_per_second < quote.price_per_second:
            raise PaymentError(
                f"A second costs {quote.price_per_second} of the network's coin here; the order offers less.",
                hint="Order again at the price that the terms state.",
                code="data.price",
            )
        if order.deadline - self._chain.timestamp() < order.max_seconds:
            raise PaymentError(
                "The order's deadline is too near.", hint="Order again.", code="data.deadline_near"
            )
        return quote.epsilon


def _asked(fields: Any) -> Asked:
    try:
        work_id, blocks, seconds = (int(fields[name]) for name in ("work_id", "blocks", "max_seconds"))
        buyer, schema = checksum(fields["buyer"]), str(fields["schema"])
        return Asked(work_id, buyer, Bundle.from_fields(fields["program"]), schema, blocks, seconds)
    except (KeyError, TypeError, ValueError):
        raise _not_a_job() from None


def _not_a_job() -> BadInput:
    return BadInput("This is no job.", hint="Use koinon data submit.", code="data.job")
