# SPDX-License-Identifier: Apache-2.0
"""The front door to commissioned work: commission, settle on a price, pay, hand in, judge, take back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon.chain.account import Account
from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.chain.handle import Chain
from koinon.errors import BadInput, KeyFault, NotFound, PaymentError
from koinon.services.jobs.brief import Brief
from koinon.services.jobs.contract import NOTHING, Job, JobsContract, JobStatus
from koinon.services.jobs.deliverable import ROOM, Desk
from koinon.services.jobs.outcome import give_feedback
from koinon.works.api import Works
from koinon.works.catalogue import Blocks
from koinon.works.ground import Ground

SHORTEST_S: Final = 60
LONGEST_S: Final = 366 * 86_400
NEWEST: Final = 500
"""Jobs looked through for a list without an index."""


@dataclass(frozen=True)
class Commission:
    """What somebody would like to have done.

    Parameters
    ----------
    text : str
        What is to be done, at most about 4,000 bytes.
    lasts_s : int
        Seconds until the money can be taken back.
    provider : str
        An account, or a Work's id (its till is paid, whoever acts for it does the job); empty: said later.
    evaluator : str
        Who judges; the client where empty.
    budget : int
        The price to begin with, in the coin's smallest unit; 0 for none yet.
    private : bool
        Whether the deliverable is sealed to this node's reader.
    readers : sequence of str
        Age keys of others who shall read a private deliverable, such as the evaluator's.
    hook : str
        A contract with a say in the job (ERC-8183); empty for none.
    """

    text: str
    lasts_s: int
    provider: str = ""
    evaluator: str = ""
    budget: int = 0
    private: bool = False
    readers: tuple[str, ...] = ()
    hook: str = ""


class Jobs:
    """The jobs of one network, for one account.

    Parameters
    ----------
    chain : Chain
    store : Blocks
        Where deliverables and reasons are put and looked up.
    home : Path
        The room's folder in the data directory.
    account : Account, optional
        Who acts. Looking works without.
    """

    def __init__(self, chain: Chain, store: Blocks, home: Path, account: Account | None = None) -> None:
        self.chain, self.store = chain, store
        self.contract = JobsContract(chain)
        self.desk = Desk(store, home)
        self._account = account

    @classmethod
    def of(cls, ground: Ground, account: Account | None = None) -> Jobs:
        """A node's; for its operator unless another account is named."""
        home = ground.settings.home / ROOM
        return cls(ground.chain, ground.store, home, account or ground.operator)

    # ------------------------------------------------------------ clients

    def create(self, asked: Commission) -> int:
        """Commission work; its number. Nothing is paid yet.

        Raises BadInput for a text, time, account or price that cannot be, NotFound for a Work that is none.
        """
        description = self.check(asked).to_text()
        provider = self.provider_address(asked.provider) if asked.provider else ZERO_ADDRESS
        evaluator = checksum(asked.evaluator) if asked.evaluator else self.acting.address
        hook = checksum(asked.hook) if asked.hook else ZERO_ADDRESS
        expires = self.chain.timestamp() + asked.lasts_s
        job_id = self.contract.create(self.acting, provider, evaluator, expires, description, hook)
        if asked.budget:
            self.contract.set_budget(self.acting, job_id, asked.budget)
        return job_id

    def assign(self, job_id: int, provider: str) -> None:
        """Say who does a job that nobody does yet: an account, or a Work's id."""
        job = self._job(job_id, JobStatus.OPEN)
        if job.taken:
            raise BadInput(
                f"Job {job_id} is {job.provider}'s already.",
                hint="Call it off and commission it anew.",
                code="job.taken",
            )
        self._must_be(job.client, "client", job)
        self.contract.set_provider(self.acting, job_id, self.provider_address(provider))

    def fund(self, job_id: int, amount: int | None = None) -> int:
        """Pay the price into escrow; what was paid. ``amount`` is what the client means to pay: where the
        budget is another, it is refused, or, while nobody named one, becomes it.

        Raises PaymentError for another price or too few coins, BadInput where it cannot be paid.
        """
        job = self._job(job_id, JobStatus.OPEN)
        self._must_be(job.client, "client", job)
        if not job.taken:
            raise BadInput(
                f"Nobody is named to do job {job_id}.",
                hint="Name a provider first.",
                code="job.no_provider",
            )
        if job.budget == 0 and amount:
            self.contract.set_budget(self.acting, job_id, amount)
            job = self.contract.job(job_id)
        price = job.budget if amount is None else amount
        if job.budget == 0 or price != job.budget:
            raise PaymentError(
                f"The price of job {job_id} is {job.budget} units; {price} were to be paid.",
                hint="Propose a price, or pay the one that stands.",
                code="job.price",
            )
        if self.chain.timestamp() >= job.expires_at:
            raise BadInput(f"Job {job_id} has expired.", hint="Commission it anew.", code="job.expired")
        if int(self.chain.coin.call("balanceOf", self.acting.address)) < price:
            raise PaymentError(
                f"{self.acting.address} has less than the price of {price} units.",
                hint="Send it coins first; where money is test money, `koinon coins` gives some.",
                code="job.too_little",
            )
        self.contract.fund(self.acting, job, price)
        return price

    # ------------------------------------------------------------ both

    def propose(self, job_id: int, amount: int) -> None:
        """Name a price, as client or provider."""
        job = self._job(job_id, JobStatus.OPEN)
        if self.acting.address != job.client:
            self._must_provide(job)
        self.contract.set_budget(self.acting, job_id, amount)

    def refund(self, job_id: int) -> int:
        """Send the client's money back after the expiry; how much. Anyone may."""
        job = self._job(job_id, JobStatus.FUNDED, JobStatus.SUBMITTED)
        if self.chain.timestamp() < job.expires_at:
            raise BadInput(
                f"Job {job_id} has not expired.",
                hint="Until then its evaluator may reject it.",
                code="job.not_expired",
            )
        self.contract.claim_refund(self.acting, job_id)
        return job.budget

    def feedback(self, job_id: int, text: str = "") -> int:
        """Tell how a job ended as feedback on the Work that did it; errors as `give_feedback`."""
        return give_feedback(self.chain, self.desk, self.acting, self.contract.job(job_id), text)

    # ------------------------------------------------------------ providers

    def submit(self, job_id: int, content: bytes) -> bytes:
        """Hand in what was asked for; the digest on chain. Sealed where the client asked for that."""
        job = self._job(job_id, JobStatus.FUNDED)
        self._must_provide(job)
        digest = self.desk.hand_in(content, Brief.read(job.description))
        self.contract.submit(self.acting, job_id, digest)
        return digest

    # ------------------------------------------------------------ evaluators

    def accept(self, job_id: int, reason: str = "") -> int:
        """Say that the deliverable is what was asked for; what its provider is paid."""
        job = self._job(job_id, JobStatus.SUBMITTED)
        self._must_be(job.evaluator, "evaluator", job)
        self.contract.complete(self.acting, job_id, self._reason(reason))
        return job.budget

    def reject(self, job_id: int, reason: str = "") -> int:
        """End a job without pay; what goes back to its client. Its client calls it off while it is open, its
        evaluator rejects it afterwards."""
        job = self._job(job_id, JobStatus.OPEN, JobStatus.FUNDED, JobStatus.SUBMITTED)
        if job.status is JobStatus.OPEN:
            self._must_be(job.client, "client", job)
        else:
            self._must_be(job.evaluator, "evaluator", job)
        self.contract.reject(self.acting, job_id, self._reason(reason))
        return 0 if job.status is JobStatus.OPEN else job.budget

    # ------------------------------------------------------------ looking

    def job(self, job_id: int) -> Job:
        """A job as it is now; NotFound for none."""
        return self.contract.job(job_id)

    def deliverable(self, job_id: int) -> bytes:
        """What was handed in, opened; NotFound where nothing was or nobody who is asked has it, KeyFault
        where it is sealed for another reader."""
        job, digest = self.contract.job(job_id), self.contract.deliverable(job_id)
        if digest is None:
            raise NotFound(f"Nothing was handed in for job {job_id}.", code="job.no_deliverable")
        return self.desk.open(digest, Brief.read(job.description))

    def newest(self, most: int = NEWEST) -> list[Job]:
        """The newest jobs of the network, newest first."""
        count = self.contract.count()
        return self.contract.jobs(range(count, max(0, count - most), -1))

    def mine(self, most: int = NEWEST) -> list[Job]:
        """Those of the newest in which the account has a part."""
        found = self.newest(most)
        tills = [job.provider for job in found if job.taken]
        works = self.contract.contract.call_many([("work_of_till", till) for till in tills])
        mine = {
            till
            for till, work_id in set(zip(tills, map(int, works), strict=True))
            if work_id and self._acts_for(work_id)
        } | {self.acting.address}
        return [job for job in found if mine & {job.client, job.provider, job.evaluator}]

    # ------------------------------------------------------------ what is shared with the pages

    @property
    def acting(self) -> Account:
        """Who acts; KeyFault for nobody."""
        if self._account is None:
            raise KeyFault("Nobody acts here.", hint="Name an account.", code="job.no_account")
        return self._account

    def provider_address(self, provider: str) -> str:
        """Who is paid: an account as it is, a Work's till by its id. The first time a Work is named so, its
        till is made known to the contract."""
        if not provider.isdigit():
            return checksum(provider)
        work_id = int(provider)
        works = Works(self.chain, self.store)
        works.owner_of(work_id)
        till = works.till_of(work_id)
        if not self.contract.work_of_till(till):
            self.contract.name_till(self.acting, work_id)
        return till

    def check(self, asked: Commission) -> Brief:
        """What the description will say; BadInput or NotFound for what cannot be commissioned."""
        own = (self.desk.identity().recipient,) if asked.private else ()
        brief = Brief(asked.text, (*own, *asked.readers))
        brief.to_text()
        lasts_s = asked.lasts_s
        if not SHORTEST_S <= lasts_s <= LONGEST_S:
            raise BadInput(
                f"A job lasts {SHORTEST_S} seconds to {LONGEST_S // 86_400} days, not {lasts_s} seconds.",
                hint="Leave time for the work and for judging it.",
                code="job.time",
            )
        for named in (asked.provider, asked.evaluator, asked.hook):
            if named and not (named == asked.provider and named.isdigit()):
                checksum(named)
        if asked.provider.isdigit():
            Works(self.chain, self.store).owner_of(int(asked.provider))
        return brief

    def _job(self, job_id: int, *fitting: JobStatus) -> Job:
        job = self.contract.job(job_id)
        if job.status not in fitting:
            raise BadInput(
                f"Job {job_id} is {job.status.word}.",
                hint=f"This is for jobs that are {' or '.join(each.word for each in fitting)}.",
                code="job.status",
            )
        return job

    def _must_be(self, account: str, role: str, job: Job) -> None:
        if self.acting.address != account:
            raise KeyFault(
                f"{self.acting.address} is not the {role} of job {job.job_id}.",
                hint=f"Its {role} is {account}.",
                code="job.not_party",
            )

    def _must_provide(self, job: Job) -> None:
        if not self.contract.is_provider(job.job_id, self.acting.address):
            raise KeyFault(
                f"{self.acting.address} does not do job {job.job_id}.",
                hint=f"Its provider is {job.provider}.",
                code="job.not_party",
            )

    def _acts_for(self, work_id: int) -> bool:
        works = self.chain.contract("Works")
        return bool(works.call("isAuthorizedOrOwner", self.acting.address, work_id))

    def _reason(self, reason: str) -> bytes:
        return self.desk.say_why(reason.strip()) if reason.strip() else NOTHING
