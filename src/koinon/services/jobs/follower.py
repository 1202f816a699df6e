# SPDX-License-Identifier: Apache-2.0
"""A provider that works by itself: it looks at its jobs, names its price, does what is paid, hands it in.

It keeps nothing: what is to be done stands on chain, so one that is killed begins again where the chain says,
and a job is handed in once whatever happens. Jobs with a hook it does not know are left alone, for a hook may
refuse what is handed in.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from koinon.errors import ChainError, KoinonError, PeerError
from koinon.process import Say
from koinon.services.jobs.api import Jobs
from koinon.services.jobs.brief import Brief
from koinon.services.jobs.contract import Job, JobStatus
from koinon.services.jobs.deliverable import LARGEST

Work = Callable[[Job, Brief], bytes]
"""Does a job: what it is and says → what is handed in. Raises KoinonError where it cannot."""

EVERY_S: Final = 2.0
AGAIN_S: Final = 60.0
"""Seconds until a job whose work failed is tried again."""


@dataclass
class Follower:
    """Looks after the jobs of one provider.

    Parameters
    ----------
    jobs : Jobs
        For the account that provides.
    work : callable
        What does a job.
    price : int
        What a job must pay at least, in the coin's smallest unit; proposed where the budget is lower.
    spare_s : int
        Seconds a job must still have before it expires, or it is not begun.
    hooks : collection of str
        Hooks that are known.
    """

    jobs: Jobs
    work: Work
    price: int = 1
    spare_s: int = 0
    hooks: Collection[str] = ()
    say: Say = lambda _event: None
    clock: Callable[[], float] = time.monotonic
    _failed: dict[int, float] = field(default_factory=dict)
    _seen: int = 0
    _watched: set[int] = field(default_factory=set)

    def look(self) -> int:
        """Once over all jobs: propose prices, do what is paid; how many were handed in."""
        count = self.jobs.contract.count()
        unread = [*self._watched, *range(self._seen + 1, count + 1)]
        handed_in = 0
        for first in range(0, len(unread), 100):
            for job in self.jobs.contract.jobs(unread[first : first + 100]):
                self._keep_in_mind(job)
                if job.job_id in self._watched and job.taken:
                    handed_in += self._one(job)
        self._seen = count
        return handed_in

    def run(self, stopped: Callable[[], bool], *, pause: Callable[[float], object] = time.sleep) -> None:
        """Look every two seconds until ``stopped`` says so; a node that is away is waited for."""
        while not stopped():
            try:
                self.look()
            except ChainError as fault:
                self.say({"event": "away", "why": fault.message})
            pause(EVERY_S)

    def _keep_in_mind(self, job: Job) -> None:
        """Watch what is ours to do, or can still become so."""
        strange = job.hooked and job.hook not in self.hooks
        begins = job.status in (JobStatus.OPEN, JobStatus.FUNDED) and not strange
        if begins and (not job.taken or self._mine(job)):
            self._watched.add(job.job_id)
        else:
            self._watched.discard(job.job_id)

    def _mine(self, job: Job) -> bool:
        return self.jobs.contract.is_provider(job.job_id, self.jobs.acting.address)

    def _one(self, job: Job) -> int:
        if self._failed.get(job.job_id, self.clock()) > self.clock():
            return 0
        try:
            if job.status is JobStatus.OPEN:
                if job.budget < self.price:
                    self.jobs.propose(job.job_id, self.price)
                    self.say({"event": "proposed", "job_id": job.job_id, "price": self.price})
                return 0
            left = job.expires_at - self.jobs.chain.timestamp()
            if job.budget < self.price or left < self.spare_s:
                return 0
            self.say({"event": "begun", "job_id": job.job_id, "price": job.budget})
            self.jobs.submit(job.job_id, self.work(job, Brief.read(job.description)))
        except KoinonError as fault:
            self._failed[job.job_id] = self.clock() + AGAIN_S
            self.say({"event": "failed", "job_id": job.job_id, "why": fault.message})
            return 0
        self.say({"event": "handed in", "job_id": job.job_id})
        return 1


def by_program(command: Sequence[str], *, timeout_s: float) -> Work:
    """Work that a program does: the job's text on its standard input, what it prints is handed in."""

    def work(job: Job, brief: Brief) -> bytes:
        try:
            done = subprocess.run(
                list(command), input=brief.text.encode(), capture_output=True, timeout=timeout_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PeerError(
                f"The program for job {job.job_id} did not end: {error}.", code="job.program"
            ) from None
        if done.returncode or not done.stdout or len(done.stdout) > LARGEST:
            raise PeerError(
                f"The program for job {job.job_id} ended with status {done.returncode} "
                f"and {len(done.stdout)} bytes.",
                hint=done.stderr.decode("utf-8", "replace")[-400:],
                code="job.program",
            )
        return done.stdout

    return work
