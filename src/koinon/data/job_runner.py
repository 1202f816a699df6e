# SPDX-License-Identifier: Apache-2.0
"""What a dataset's node does: runs the jobs it took, one after another, and tells how they ended.

The end of a job is told at the end of a time slot, by three steps that can each be repeated: what it spends
is entered into the privacy budget, the outcome and the digest of the sealed result are delivered to the
escrow, and the result may be fetched. The next job starts no earlier than the one before is told, so that
nothing shows when a program really ended.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.compute.sandbox import Finished
from koinon.data.budget import MILLION, PrivacyBudget
from koinon.data.escrow import ComputeJobs, JobState, OrderedJob
from koinon.data.gate import Told, decide, holds_for_every_program, read_schema, release_time
from koinon.data.job_admission import Admission
from koinon.data.job_journal import JobJournal, JournaledJob
from koinon.data.jobs import Bundle, JobRequest, job_domain, job_name, seal_result
from koinon.data.publishing import TABLE, KeptDataset
from koinon.errors import KoinonError, NotFound, PaymentError, TransactionFailed
from koinon.tables import Table

ATTEMPTS: Final = 3
"""How often a run is begun: a program that brings the whole node down is not run for ever."""

_PART_FOR_PROGRAMS: Final = 0.9
"""Of the time that was ordered; the rest is for what lies between runs, so that a job ends within it."""

_STATES: Final = {
    Told.RELEASED: JobState.RELEASED,
    Told.FAILED: JobState.FAILED,
    Told.REFUSED: JobState.REFUSED,
}


class JobRunner:
    """Runs and tells; `run_next` and `tell_due` may be called from two threads.

    Parameters
    ----------
    chain : Chain
    operator : Key
        The owner's, or an account that the owner named (`PrivacyBudget.name_operator`).
    admission : Admission
        With the datasets and the sandbox.
    journal : JobJournal
    clock : callable
        Unix seconds, for slots; deadlines go by the chain's clock as well.
    """

    def __init__(
        self,
        chain: Chain,
        operator: Key,
        admission: Admission,
        journal: JobJournal,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.operator, self.admission, self.journal = operator, admission, journal
        self._chain, self._clock = chain, clock
        self._jobs, self._budget = ComputeJobs(chain), PrivacyBudget(chain)
        self._domain = job_domain(chain.chain_id, self._jobs.contract.address)

    def run_next(self) -> bool:
        """Run the job whose turn it is; False when there is none, or its time has not come."""
        job = self.journal.next()
        now = self._clock()
        if job is None or now < self.journal.last_told():
            return False
        try:
            dataset = self.admission.dataset(job.work_id)
        except NotFound:
            self._give_up(job, "its dataset is not served here any more", tell_at=now)
            return True
        order, slot_s = self._jobs.job(job.job_id), dataset.policy.gate.slot_s
        if job.attempts >= ATTEMPTS:
            latest = _latest(job.started_at, order, slot_s, now)
            self._give_up(job, f"begun {job.attempts} times and never ended", tell_at=latest)
            return True
        left = order.deadline - self._chain.timestamp()
        if order.state is not JobState.OPEN or left < order.max_seconds + slot_s:
            self._give_up(job, "no time was left until the deadline", tell_at=now)
            return True
        self.journal.begin(job.job_id, now=now)
        try:
            self._run(job, dataset, order, now)
        except Exception as error:  # when it went wrong, and in which way, can tell of the data
            latest = _latest(now, order, slot_s, self._clock())
            self._give_up(job, f"{type(error).__name__}: {error}", tell_at=latest)
        return True

    def tell_due(self) -> int:
        """Tell the end of every job whose moment has come; how many. An error after all were tried."""
        due, faults = self.journal.due(self._clock()), list[KoinonError]()
        for job in due:
            try:
                self._tell(job)
            except KoinonError as fault:  # of one job; the others are told all the same
                faults.append(fault)
        if faults:
            raise faults[0]
        return len(due)

    def _run(self, job: JournaledJob, dataset: KeptDataset, order: OrderedJob, started: float) -> None:
        """Run it, and decide."""
        request, schema, gate = _request_of(job), read_schema(job.schema), dataset.policy.gate
        runs = self._runs(job, request, dataset, order.max_seconds)
        decision = decide(schema, gate, runs, dataset.table, dataset.held_out)
        released = decision.told is Told.RELEASED
        seconds = order.max_seconds
        if holds_for_every_program(schema, gate):  # then neither its price nor its end tells how long it took
            tell_at = _latest(started, order, gate.slot_s, self._clock())
        else:
            step = dataset.policy.billing_s
            seconds = min(seconds, math.ceil(math.ceil(sum(run.wall_s for run in runs) / step) * step))
            tell_at = release_time(started, gate.slot_s, self._clock())
        note = (
            decision.refused.message if decision.refused else ", ".join(sorted({run.outcome for run in runs}))
        )
        log = b"\n".join(run.log for run in runs)[:2_000].decode("utf-8", "replace")
        self.journal.decide(
            job.job_id,
            _STATES[decision.told],
            epsilon_micro=job.epsilon_micro,
            tell_at=tell_at,
            seconds=seconds if released else 0,
            sealed=seal_result(decision.files, request, self._domain) if released else b"",
            note=f"{note}\n{log}".strip(),
        )

    def _runs(
        self, job: JournaledJob, request: JobRequest, dataset: KeptDataset, max_seconds: int
    ) -> list[Finished]:
        """The program on each block of rows, each with an equal share of the time that was ordered.

        Whatever one run uses, the others have theirs: else one row could end more than its own block's run.
        """
        bundle = Bundle.from_fields(orjson.loads(job.program))
        with tempfile.TemporaryDirectory(prefix="koinon-job-") as folder:
            place = Path(folder)
            (place / "program").mkdir()
            program = bundle.write(place / "program")
            limits = dataset.policy.limits_for(_PART_FOR_PROGRAMS * max_seconds / request.blocks)
            runs = list[Finished]()
            for number, block in enumerate(_blocks(dataset.table, request.blocks)):
                path = dataset.folder / TABLE
                if request.blocks > 1:
                    path = place / f"block-{number}" / TABLE
                    block.save(path)
                runs.append(self.admission.sandbox.run(program, {TABLE: path}, limits))
        return runs

    def _give_up(self, job: JournaledJob, note: str, *, tell_at: float) -> None:
        """End a job that could not be run: the buyer has everything back. What has seen rows is spent."""
        spent = job.epsilon_micro if job.attempts else 0
        self.journal.decide(job.job_id, JobState.FAILED, epsilon_micro=spent, tell_at=tell_at, note=note)

    def _tell(self, job: JournaledJob) -> None:
        order = self._jobs.job(job.job_id)
        if order.state is not JobState.OPEN:
            self.journal.end(job.job_id, order.state)
            return
        if self._chain.timestamp() > order.deadline:
            self.journal.end(job.job_id, JobState.REFUNDED)  # whoever asks for it has the money back
            return
        outcome = job.outcome
        if job.epsilon_micro:
            try:
                self._spend(job)
            except PaymentError:
                outcome = JobState.REFUSED
        released = outcome is JobState.RELEASED
        self._deliver(
            job,
            outcome,
            job.seconds if released else 0,
            hashlib.sha256(job.sealed).digest() if released else bytes(32),
        )

    def _spend(self, job: JournaledJob) -> None:
        name = job_name(self._jobs.contract.address, job.job_id)
        try:
            self._budget.spend(self.operator, job.work_id, name, job.epsilon_micro / MILLION)
        except TransactionFailed:
            if self._budget.spent_by(job.work_id, name) != job.epsilon_micro:
                raise

    def _deliver(self, job: JournaledJob, outcome: JobState, seconds: int, result: bytes) -> None:
        try:
            self._jobs.deliver(self.operator, job.job_id, outcome, seconds=seconds, result=result)
        except TransactionFailed:
            order = self._jobs.job(job.job_id)
            if order.state is JobState.OPEN:
                raise
            outcome = order.state
        self.journal.end(job.job_id, outcome)


def _latest(started: float, order: OrderedJob, slot_s: float, now: float) -> float:
    """The end of the slot in which a job ends that takes all the time that was ordered."""
    return release_time(started, slot_s, max(now, started + order.max_seconds))


def _blocks(table: Table, count: int) -> list[Table]:
    """Disjoint parts of the rows; each row falls by itself, so that one more moves no other."""
    if count == 1:
        return [table]
    places = np.random.default_rng(secrets.randbits(128)).integers(0, count, len(table))
    return [table.take(np.flatnonzero(places == number).astype(np.int64)) for number in range(count)]


def _request_of(job: JournaledJob) -> JobRequest:
    return JobRequest.from_fields(orjson.loads(job.request))
