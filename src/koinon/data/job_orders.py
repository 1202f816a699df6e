# SPDX-License-Identifier: Apache-2.0
"""A buyer's side of compute jobs: what was ordered, with which key the result opens, and what came of it.

Each order has a folder of its own, which is written before money moves: whatever is cut off goes on from
there, and nothing is ordered twice under one number.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.data.budget import PrivacyBudget
from koinon.data.escrow import ComputeJobs, JobState, OrderedJob
from koinon.data.gate import read_schema
from koinon.data.job_client import JobClient
from koinon.data.jobs import Asked, JobRequest, Quote, job_domain, open_result
from koinon.data.order_folder import ORDER, JobOrder, OrderFolder
from koinon.errors import BadInput, IntegrityError, KoinonError, NotFound, PaymentError, PeerError
from koinon.works.terms import Offer, SignedConsent, Terms, Use

SLACK_S: Final = 600
"""What is added to the time a node asks for, before the money may be taken back."""

LONGEST_S: Final = 2 * 86_400
"""For no longer is money locked, whatever a node asks for."""

NUMBER_BYTES: Final = 16

Say = Callable[[str], None]


@dataclass(frozen=True)
class JobReview:
    """What a job would cost: the grant where none runs, so much a second at most, and epsilon."""

    asked: Asked
    url: str
    quote: Quote
    offer: Offer | None

    @property
    def grant_price(self) -> int:
        """Of the grant that is still to be bought; 0 where one runs."""
        return 0 if self.offer is None else self.offer.price

    @property
    def locked(self) -> int:
        """The most that the run costs."""
        return self.quote.price_per_second * self.quote.max_seconds

    @property
    def most(self) -> int:
        """All that can be paid."""
        return self.grant_price + self.locked


@dataclass(frozen=True)
class JobProgress:
    """Where an order stands.

    ``word`` is ``unsent`` (ordered, and the node does not have it), ``silent`` (the node does not answer),
    ``waiting``, ``running``, ``open`` (one of these: the node was not asked), ``released``, ``failed``,
    ``refused``, ``overdue`` (the money can be taken back) or ``refunded``.
    """

    word: str
    order: JobOrder
    chain: OrderedJob
    started_at: float = 0.0
    waiting: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.word in ("released", "failed", "refused", "refunded", "overdue")


class JobOrders:
    """The orders in one folder.

    Parameters
    ----------
    chain : Chain
    folder : Path
    connect : callable
        A client for a node's address.
    """

    def __init__(
        self, chain: Chain, folder: Path, *, connect: Callable[[str], JobClient] = JobClient
    ) -> None:
        self.folder = folder
        self._chain, self._connect = chain, connect
        self._jobs = ComputeJobs(chain)
        self._domain = job_domain(chain.chain_id, self._jobs.contract.address)

    def review(self, url: str, asked: Asked) -> JobReview:
        """What a job costs; nothing is paid or kept.

        Raises
        ------
        IntegrityError
            The node is on another network, or does not act for the dataset.
        PaymentError
            The use is not for sale, or the node refuses for the budget's sake.
        BadInput, PeerError
            The node refuses the program, or does not answer.
        """
        client = self._connect(url)
        about = client.about()
        jobs = self._jobs.contract.address
        named = (about.get("chain_id"), about.get("jobs"))
        if named != (self._chain.chain_id, jobs) or not PrivacyBudget(self._chain).may_act(
            asked.work_id, str(about.get("account"))
        ):
            raise IntegrityError(
                f"The node at {url} does not act for Work {asked.work_id} on this network.",
                hint="Ask the dataset's owner where it is computed on.",
                code="data.other_node",
            )
        if about.get("unavailable"):
            raise PeerError(
                f"The node does not compute now: {str(about['unavailable'])[:300]}",
                hint="Nothing was paid. Tell the dataset's owner.",
                code="data.node_unavailable",
            )
        quote = client.check(asked)
        _check_quote(asked, quote)
        offer = None
        if not self._jobs.may_compute(asked.work_id, asked.buyer):
            offer = Terms(self._chain).offer_of(asked.work_id, Use.COMPUTE)
            if offer is None:
                raise PaymentError(
                    f"Computing on Work {asked.work_id} is not for sale.",
                    hint="Ask its owner for a grant.",
                    code="data.not_for_sale",
                )
        return JobReview(asked, url, quote, offer)

    def buy(
        self,
        buyer: Account,
        review: JobReview,
        *,
        number: str | None = None,
        consent: SignedConsent | None = None,
        say: Say = lambda _: None,
    ) -> JobOrder:
        """Pay for what was reviewed and hand the job in; the same number is never paid twice.

        Raises
        ------
        PaymentError
            The buyer has too little, or the grant needs the owner's consent.
        TransactionFailed
            Terms were changed meanwhile.
        PeerError
            The node does not answer any more: `resume` hands it in later, and after the deadline `refund`
            takes the money back.
        """
        number = number or secrets.token_hex(NUMBER_BYTES)
        if len(number) != 2 * NUMBER_BYTES or not number.isalnum() or not number.isascii():
            raise BadInput("An order's number is 32 letters and digits.", code="data.order_number")
        folder = OrderFolder(self.folder / number)
        with folder.alone():
            return self._bought(buyer, review, folder, consent, say)

    def _bought(
        self,
        buyer: Account,
        review: JobReview,
        folder: OrderFolder,
        consent: SignedConsent | None,
        say: Say,
    ) -> JobOrder:
        if not folder.exists:
            self._must_have(buyer.address, review)
            if review.offer is not None:
                say("grant")
                offer = review.offer
                Terms(self._chain).buy(buyer, review.asked.work_id, Use.COMPUTE, offer, consent=consent)
            folder.begin(self._drafted(folder.place.name, buyer.address, review), review.asked.program)
        order = folder.read()
        if order.buyer != buyer.address:
            raise NotFound("This order is another account's.", code="data.no_order")
        if not order.job_id:
            say("order")
            order = self._ordered(folder, order, buyer)
        say("submit")
        return self.submit(buyer, order)

    def submit(self, buyer: Account, order: JobOrder) -> JobOrder:
        """Hand an order in at its node; again is harmless."""
        folder = OrderFolder(self.folder / order.number)
        asked = self._jobs.job(order.job_id)
        request = JobRequest(
            order.job_id,
            order.work_id,
            order.buyer,
            asked.algorithm,
            asked.schema,
            order.blocks,
            folder.box.public,
        )
        signed = request.sign(buyer, self._domain)
        status = self._connect(order.url).submit(signed, order.schema_text, folder.program)
        return self._noted(order, status.why)

    def all(self) -> list[JobOrder]:
        """Every order, newest first; those without a job on chain first of all."""
        orders = [OrderFolder(path.parent).read() for path in self.folder.glob(f"*/{ORDER}")]
        return sorted(orders, key=lambda order: (order.job_id == 0, order.job_id), reverse=True)

    def find(self, job_id: int) -> JobOrder:
        """The order of a job; NotFound when it is none of these."""
        for order in self.all():
            if order.job_id == job_id:
                return order
        raise NotFound(
            f"Job {job_id} was not ordered from here.",
            hint="Only the data directory that ordered it has the key to its result.",
            code="data.no_order",
        )

    def glance(self, order: JobOrder) -> JobProgress:
        """Where an order stands by the chain alone."""
        job = self._jobs.job(order.job_id)
        if job.state is not JobState.OPEN:
            return JobProgress(job.state.name.lower(), order, job)
        return JobProgress("overdue" if self._chain.timestamp() > job.deadline else "open", order, job)

    def progress(self, order: JobOrder) -> JobProgress:
        """Where an order stands: by the chain where it is over, else by what the node says."""
        seen = self.glance(order)
        job = seen.chain
        if seen.over:
            return replace(seen, order=self._with_why(order, job))
        try:
            status = self._connect(order.url).status(order.job_id)
        except NotFound:
            return JobProgress("unsent", order, job)
        except KoinonError:
            return JobProgress("silent", order, job)
        order = self._noted(order, status.why)
        word = "running" if status.stage == "ended" else status.stage
        return JobProgress(word, order, job, status.started_at, status.waiting)

    def fetch(self, order: JobOrder) -> dict[str, bytes]:
        """The result's files, checked against the chain; kept, so that later the node is not needed.

        Raises
        ------
        PaymentError
            There is no result: the job is open, or ended without one.
        IntegrityError
            The node hands out something else than it stated on the chain, or than was declared.
        PeerError, NotFound
            The node does not have it ready; ask again.
        """
        folder = OrderFolder(self.folder / order.number)
        job = self._jobs.job(order.job_id)
        if job.state is not JobState.RELEASED:
            raise PaymentError(
                f"Job {order.job_id} has no result: it is {job.state.name.lower()}.",
                hint="See how it stands with: koinon data result",
                code="data.no_result",
            )
        kept = folder.sealed_result
        sealed = kept or self._connect(order.url).result(order.job_id)
        declared = set(read_schema(order.schema_text).files)
        files = open_result(sealed, folder.box, self._domain, order.job_id, job.result, declared)
        if kept is None:
            folder.keep_result(sealed)
        return files

    def refund(self, sender: Account, order: JobOrder) -> int:
        """Take the money back after the deadline; the amount. TransactionFailed before it."""
        self._jobs.refund(sender, order.job_id)
        return self._jobs.job(order.job_id).locked

    # ------------------------------------------------------------ inside

    def _must_have(self, buyer: str, review: JobReview) -> None:
        coin = self._chain.coin
        needed = review.locked
        if review.offer is not None and review.offer.token == coin.address:
            needed += review.offer.price
        have = int(coin.call("balanceOf", buyer))
        if have < needed:
            one = 10 ** int(coin.call("decimals"))
            raise PaymentError(
                f"The job takes {needed / one:,.6f} coins at most; {buyer} has {have / one:,.6f}.",
                hint="Send the account some, or ask for fewer seconds.",
                code="data.too_little",
            )

    def _drafted(self, number: str, buyer: str, review: JobReview) -> JobOrder:
        asked, quote = review.asked, review.quote
        return JobOrder(
            number,
            review.url,
            asked.work_id,
            buyer,
            asked.schema_text,
            asked.blocks,
            quote.max_seconds,
            quote.price_per_second,
            self._chain.timestamp() + quote.deadline_s + SLACK_S,
            int(self._jobs.contract.call("job_count")) + 1,
        )

    def _ordered(self, folder: OrderFolder, order: JobOrder, buyer: Account) -> JobOrder:
        """With its job on chain: the one that was ordered before that could be noted, or a new one."""
        algorithm = folder.program.digest
        schema = hashlib.sha256(order.schema_text.encode()).digest()
        taken = {other.job_id for other in self.all()}
        job_id = 0
        for entry in self._jobs.contract.history("Ordered", work_id=order.work_id, buyer=order.buyer):
            same = (entry["algorithm"], entry["schema"]) == (algorithm, schema)
            if same and entry["job_id"] >= order.first_job and entry["job_id"] not in taken:
                job_id = int(entry["job_id"])
        if not job_id:
            job_id = self._jobs.order(
                buyer,
                order.work_id,
                algorithm=algorithm,
                schema=schema,
                price_per_second=order.price_per_second,
                max_seconds=order.max_seconds,
                deadline=order.deadline,
            )
        order = replace(order, job_id=job_id)
        folder.write(order)
        return order

    def _with_why(self, order: JobOrder, job: OrderedJob) -> JobOrder:
        if job.state is not JobState.REFUSED or order.why:
            return order
        try:
            status = self._connect(order.url).status(order.job_id)
        except KoinonError:
            return order
        return self._noted(order, status.why)

    def _noted(self, order: JobOrder, why: str) -> JobOrder:
        if why and why != order.why:
            order = replace(order, why=why)
            OrderFolder(self.folder / order.number).write(order)
        return order


def _check_quote(asked: Asked, quote: Quote) -> None:
    """A node may be anyone's: what it asks for must make sense."""
    fits = 0 <= quote.price_per_second < 1 << 200 and quote.max_seconds == asked.max_seconds
    if not fits or not 0 < quote.deadline_s <= LONGEST_S:
        raise PeerError(
            f"The node asks to lock money for {quote.deadline_s} s, or for another job than yours.",
            hint="Nothing was paid. Try again when it is less busy, or tell its owner.",
            code="data.quote",
        )
