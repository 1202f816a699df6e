# SPDX-License-Identifier: Apache-2.0
"""The data market's front door: sell computing on one's data, buy it on others', see what was earned."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.keys import Key
from koinon.compute.sandbox import Sandbox
from koinon.data import earnings as earning
from koinon.data import job_server
from koinon.data.budget import BudgetState, PrivacyBudget
from koinon.data.document import DatasetDocument, document_of
from koinon.data.downloads import Downloads
from koinon.data.job_client import JobClient
from koinon.data.job_journal import JobJournal, JournaledJob
from koinon.data.job_orders import JobOrders, JobProgress, JobReview
from koinon.data.job_server import ServerOptions
from koinon.data.jobs import Asked, Bundle
from koinon.data.order_folder import JobOrder
from koinon.data.policy_file import USES, DatasetPolicy
from koinon.data.publishing import SERVICE, KeptDataset, change_terms, kept_datasets, publish_dataset
from koinon.data.rehearsal import Rehearsal, rehearse
from koinon.errors import BadInput, KeyFault, NotFound, PaymentError
from koinon.process import Say
from koinon.store import BlockStore
from koinon.tables import Table
from koinon.works.api import Works
from koinon.works.ground import Ground
from koinon.works.hall import Hall
from koinon.works.registration import Registration
from koinon.works.terms import Offer, SignedConsent, Terms, Use

ROOM: Final = "data"
ORDERS: Final = "orders"
LONGEST_CONSENT_DAYS: Final = 3_650
_LOOK_EVERY_S: Final = 0.5


@dataclass(frozen=True)
class Dataset:
    """A dataset as everyone sees it; ``here`` whether its rows lie in this data directory."""

    work_id: int
    owner: str
    till: str
    registration: Registration
    document: DatasetDocument
    offers: dict[Use, Offer]
    budget: BudgetState
    here: bool


class Data:
    """The data market of one network, for one account.

    Parameters
    ----------
    chain : Chain
    store : BlockStore
        Where registration files, documents and sealed content are put and looked up.
    home : Path
        The room's folder in the data directory: own datasets, the journal of their jobs, own orders.
    account : Account, optional
        Who acts. Looking works without.
    """

    def __init__(self, chain: Chain, store: BlockStore, home: Path, account: Account | None = None) -> None:
        self.chain, self.store, self.home = chain, store, home
        self._account = account
        self.orders = JobOrders(chain, home / ORDERS)

    @classmethod
    def of(cls, ground: Ground, account: Account | None = None) -> Data:
        """A node's; for its operator unless another account is named."""
        home = ground.settings.home / ROOM
        return cls(ground.chain, ground.store, home, account or ground.operator)

    # ------------------------------------------------------------ owners

    def publish(self, table: Table, policy: DatasetPolicy, *, url: str = "") -> KeptDataset:
        """Publish a table without it leaving this data directory; errors as `publish_dataset`."""
        datasets = self.home / job_server.DATASETS
        return publish_dataset(self.chain, self.store, self._acting, datasets, table, policy, url=url)

    def change_terms(self, work_id: int, policy: DatasetPolicy, *, url: str | None = None) -> KeptDataset:
        """Sell a dataset on other terms from now on; its node takes them up by itself.
        Errors as `publishing.change_terms`."""
        datasets = self.home / job_server.DATASETS
        return change_terms(self.chain, self.store, self._acting, datasets, work_id, policy, url=url)

    def allow(self, work_id: int, use: Use, account: str, allowed: bool = True) -> None:
        """Put an account on the list of a use with consent "listed", or take it off."""
        Terms(self.chain).allow(self._acting, work_id, use, account, allowed)

    def sign_consent(self, work_id: int, use: Use, account: str, *, days: int = 7) -> SignedConsent:
        """Let one account buy a use with consent "signed" once within ``days``, at the offer that stands;
        sends nothing. PaymentError where the use is not for sale, BadInput without a day."""
        terms = Terms(self.chain)
        offer = self._offer(work_id, use)
        if not 1 <= days <= LONGEST_CONSENT_DAYS:
            raise BadInput(
                f"A consent lasts 1 to {LONGEST_CONSENT_DAYS} days, not {days}.", code="data.consent_days"
            )
        deadline = self.chain.timestamp() + days * 86_400
        return terms.sign_consent(self._acting, work_id, use, account, offer, deadline=deadline)

    def give(self, work_id: int, use: Use, account: str, *, days: int = 0) -> int:
        """Grant a use for nothing, for ever without ``days``; the grant's id."""
        digest = self.dataset(work_id).document.terms_digest
        terms = Terms(self.chain)
        return terms.give(self._acting, work_id, use, account, terms_digest=digest, period_s=days * 86_400)

    def kept(self) -> list[int]:
        """Ids of the datasets whose rows lie here."""
        return kept_datasets(self.home / job_server.DATASETS)

    def serve(
        self,
        works: Iterable[int] = (),
        options: ServerOptions | None = None,
        say: Say = lambda _: None,
        *,
        sandbox: Sandbox | None = None,
    ) -> None:
        """Answer buyers and run their jobs until SIGINT or SIGTERM; by default on all datasets that are here
        or come to be, of which there must be one.

        Errors as `job_server.serve`; KeyFault for an account whose key is elsewhere.
        """
        if not isinstance(self._acting, Key):
            raise KeyFault(
                "A dataset's node needs its own key.", hint="Run it as operator.", code="data.needs_key"
            )
        served = list(works)
        if not served and not self.kept():
            raise NotFound(
                "No dataset lies here.", hint="Publish one: koinon data publish", code="data.nothing_here"
            )
        asyncio.run(
            job_server.serve(
                self.chain,
                self._acting,
                self.home,
                served,
                options or ServerOptions(),
                say,
                sandbox=sandbox,
            )
        )

    def served(self, work_id: int) -> list[JournaledJob]:
        """The jobs that this data directory's node took on a dataset, newest first: for its owner's eyes."""
        path = self.home / job_server.JOURNAL
        if not path.exists():
            return []
        journal = JobJournal(path)
        try:
            return journal.of(work_id)
        finally:
            journal.close()

    def set_budget(self, work_id: int, epsilon: float) -> BudgetState:
        """Set a dataset's epsilon in all: a lower one at once, a higher one waits a week; again after that
        week puts it in force."""
        budget = PrivacyBudget(self.chain)
        before = budget.of(work_id)
        due = before.announced and self.chain.timestamp() >= before.from_second
        if due and before.announced == round(epsilon * 1_000_000):
            return budget.raise_total(self._acting, work_id)
        return budget.set_total(self._acting, work_id, epsilon)

    # ------------------------------------------------------------ everyone

    def dataset(self, work_id: int) -> Dataset:
        """One dataset. NotFound when there is none; BadInput when the Work is no dataset of this market."""
        works, terms = Works(self.chain, self.store), Terms(self.chain)
        registration = works.registration_of(work_id).registration
        offers = {use: terms.offer_of(work_id, use) for use in USES.values()}
        return Dataset(
            work_id,
            works.owner_of(work_id),
            works.till_of(work_id),
            registration,
            document_of(self.store, registration),
            {use: offer for use, offer in offers.items() if offer is not None},
            PrivacyBudget(self.chain).of(work_id),
            work_id in self.kept(),
        )

    def earnings(self, hall: Hall, work_id: int) -> earning.Earnings:
        """What a dataset earned, by source."""
        return earning.earnings(hall, work_id)

    # ------------------------------------------------------------ buyers

    def node_url(self, work_id: int) -> str:
        """Where a dataset is computed on: by this data directory's own node, else as its file says."""
        if work_id in self.kept() and (own := self.serving()):
            return own
        for service in self.dataset(work_id).registration.services:
            if service.name == SERVICE:
                return service.endpoint
        raise NotFound(
            f"Nobody says where Work {work_id} is computed on.",
            hint="Ask its owner for the address of its node, and give it by --url.",
            code="data.no_node",
        )

    def serving(self) -> str:
        """The address of the node that serves the datasets of this data directory; '' where none does."""
        return job_server.address_in(self.home)

    def rehearse(self, work_id: int, program: Bundle, schema: str, *, seconds: float = 60) -> Rehearsal:
        """Try a program here on made-up rows; errors as `rehearse`."""
        return rehearse(self.dataset(work_id).document, program, schema, seconds=seconds)

    def review(
        self,
        work_id: int,
        program: Bundle,
        schema: str,
        *,
        blocks: int = 1,
        seconds: int = 60,
        url: str = "",
        buyer: str = "",
    ) -> JobReview:
        """What computing would cost and spend, from the dataset's node; errors as `JobOrders.review`."""
        asked = Asked(work_id, buyer or self._acting.address, program, schema, blocks, seconds)
        return self.orders.review(url or self.node_url(work_id), asked)

    def submit(
        self,
        review: JobReview,
        *,
        number: str | None = None,
        consent: SignedConsent | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> JobOrder:
        """Pay for what was reviewed and hand it in; errors as `JobOrders.buy`."""
        return self.orders.buy(self._acting, review, number=number, consent=consent, say=say)

    def progress(self, job_id: int) -> JobProgress:
        """Where one's job stands; what its node has not got is handed in again."""
        order = self.orders.find(job_id)
        found = self.orders.progress(order)
        if found.word == "unsent" and self._account is not None:
            return self.orders.progress(self.orders.submit(self._account, order))
        return found

    def wait(
        self, job_id: int, *, timeout_s: float = float("inf"), sleep: Callable[[float], None] = time.sleep
    ) -> JobProgress:
        """Until a job is over, or time is up; where it stands then."""
        end = time.monotonic() + timeout_s
        while not (found := self.progress(job_id)).over and time.monotonic() < end:
            sleep(_LOOK_EVERY_S)
        return found

    def result(self, job_id: int) -> dict[str, bytes]:
        """The files of a job's result, checked; errors as `JobOrders.fetch`."""
        return self.orders.fetch(self.orders.find(job_id))

    def refund(self, job_id: int) -> int:
        """Take back what an overdue job has locked; the amount."""
        return self.orders.refund(self._acting, self.orders.find(job_id))

    def buy(self, work_id: int, use: Use, *, most: int, consent: SignedConsent | None = None) -> int:
        """Buy a grant at the price that stands, if that is at most ``most``; the grant's id.

        Raises
        ------
        PaymentError
            It is not for sale, costs more, or needs the owner's consent.
        """
        offer = self._offer(work_id, use)
        if offer.token != self.chain.coin.address or offer.price > most:
            raise PaymentError(
                f"The grant costs {offer.price}; at most {most} was agreed to.",
                hint="Look at its terms again.",
                code="data.price_rose",
            )
        return Terms(self.chain).buy(self._acting, work_id, use, offer, consent=consent)

    def _offer(self, work_id: int, use: Use) -> Offer:
        offer = Terms(self.chain).offer_of(work_id, use)
        if offer is None:
            raise PaymentError(
                f"Work {work_id} is not for sale for this use.",
                hint="See what it is sold for with: koinon data show",
                code="data.not_for_sale",
            )
        return offer

    @property
    def downloads(self) -> Downloads:
        """Content that is sold and bought sealed."""
        return Downloads(self.chain, self.store, self.home / "downloads", self._account)

    @property
    def _acting(self) -> Account:
        if self._account is None:
            raise KeyFault("This needs an account to act with.", hint="Name one.", code="data.no_account")
        return self._account


def read_program(path: Path) -> Bundle:
    """A Python file, or a directory with a lock file; BadInput when it is neither, or cannot be read."""
    try:
        return Bundle.read(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", code="data.program") from None


__all__ = ["Data", "Dataset", "JobClient", "read_program"]
