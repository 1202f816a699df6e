# SPDX-License-Identifier: Apache-2.0
"""Downloads as sellers and buyers meet them: both ways of selling behind one class.

Through keepers: `sell`, then for buyers `buy`, `download`, and where keepers fail `complain`, `complaint`,
`fetch_answered`, `refund`. In fair exchange, without keepers: `announce`, `prepare`, `seller_step`; for
buyers `agreed`, `lock`, `buyer_step`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.data import complaint as complaints
from koinon.data.complaint import ComplaintState
from koinon.data.delivery import Complaint, Delivery
from koinon.data.download import Downloaded
from koinon.data.exchange_offer import Wanted, announce, root_of, wanted
from koinon.data.fair_buyer import FairBuyer
from koinon.data.fair_exchange import DAY_S, FairSeller
from koinon.data.keeper_sale import (
    Backing,
    SoldDownload,
    download_answered,
    download_sold,
    promise_delivery,
    sell_download,
    sold_content,
)
from koinon.data.sale import Sale, SaleState
from koinon.data.sealed import SealedContent
from koinon.errors import BadInput, KeyFault, NotFound
from koinon.store import Store
from koinon.works.ground import Ground
from koinon.works.terms import Offer, SignedConsent, Terms, Use

Progress = Callable[[int, int], None]

_SALES: Final = "sales"
_COMPLAINTS: Final = "complaints"


def _quiet(_done: int, _all: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Downloads:
    """The downloads of one network, for one account.

    Parameters
    ----------
    chain : Chain
    store : Store
        Where sealed content and its descriptions are.
    home : Path
        A folder of this account's own: what was sealed, the secrets of complaints. Back it up.
    account : Account, optional
        Who acts. Looking works without.
    """

    chain: Chain
    store: Store
    home: Path
    account: Account | None = None

    @classmethod
    def of(cls, ground: Ground, account: Account | None = None) -> Downloads:
        """A node's; for its operator unless another account is named."""
        home = ground.settings.home / "data" / "downloads"
        return cls(ground.chain, ground.store, home, account or ground.operator)

    # ------------------------------------------------------------ through keepers

    def sell(
        self,
        work_id: int,
        content: Path,
        keepers: Sequence[str],
        *,
        threshold: int | None = None,
        offer: Offer | None = None,
        backing: Backing | None = None,
    ) -> SoldDownload:
        """Seal a file, leave its key with keepers, stake on delivery if ``backing`` says how much, and open
        ``offer`` unless it stands; errors as `sell_download`. More than half of the keepers open it by
        default. Called again with the same file it goes on; sell another file as another Work."""
        return sell_download(
            self.chain,
            self.store,
            self._acting,
            content,
            self.home / _SALES / str(work_id),
            work_id=work_id,
            keepers=keepers,
            threshold=threshold or len(keepers) // 2 + 1,
            offer=offer,
            backing=backing,
        )

    def promise(self, work_id: int, backing: Backing) -> int:
        """Stake on the delivery of what is on sale; the promise's id. Errors as `promise_delivery`."""
        return promise_delivery(self.chain, self.store, self._acting, work_id, backing)

    def covered(self, work_id: int) -> int:
        """What one who buys now could be paid back at most if keepers fail, in the bond's smallest unit."""
        delivery = Delivery(self.chain)
        promises = delivery.promises(sold_content(self.chain, self.store, work_id))
        return delivery.cover_left(promises[0]) if promises else 0

    def buy(self, work_id: int, offer: Offer, *, consent: SignedConsent | None = None) -> int:
        """Buy the download at the offer one has read; the grant's id. Errors as `Terms.buy`."""
        return Terms(self.chain).buy(self._acting, work_id, Use.DOWNLOAD, offer, consent=consent)

    def download(self, work_id: int, target: Path, *, progress: Progress = _quiet) -> Downloaded:
        """Write what one has a grant for; errors as `sold_content` and `download_sold`."""
        described = sold_content(self.chain, self.store, work_id)
        return download_sold(self.chain, self.store, self._acting, described, target, progress=progress)

    def complain(self, grant_id: int, *, promise_id: int | None = None) -> Complaint:
        """Complain that keepers do not serve a paid grant; errors as `complaint.complain`."""
        described, secret = self._case(grant_id)
        return complaints.complain(
            self.chain, self._acting, described, grant_id, secret, promise_id=promise_id
        )

    def complaint(self, grant_id: int) -> tuple[ComplaintState, Complaint | None]:
        """Where the complaint about a grant is, and what the chain says of it."""
        described, secret = self._case(grant_id)
        state = complaints.state_of(self.chain, described, grant_id, secret)
        return state, Delivery(self.chain).complaint_of(grant_id)

    def fetch_answered(self, grant_id: int, target: Path, *, progress: Progress = _quiet) -> Downloaded:
        """Write the content with what keepers answered on chain; errors as `download_answered`."""
        described, secret = self._case(grant_id)
        return download_answered(
            self.chain, self.store, described, grant_id, target, secret_file=secret, progress=progress
        )

    def refund(self, grant_id: int) -> int:
        """Take the money back and give the grant up; what was paid back. Errors as `complaint.refund`."""
        described, secret = self._case(grant_id)
        return complaints.refund(self.chain, self._acting, described, grant_id, secret)

    def paid_grant(self, work_id: int) -> int:
        """The newest grant to download a Work that was paid for this account and runs.

        Raises NotFound when there is none.
        """
        terms = Terms(self.chain)
        grants = terms.contract.history(
            "Granted",
            from_block=self.chain.network.start_block,
            work_id=work_id,
            grantee=self._acting.address,
        )
        for grant in reversed(grants):
            grant_id = int(grant["grant_id"])
            paid = grant["use"] == Use.DOWNLOAD and grant["paid"]
            if paid and terms.contract.call("holds", grant_id):
                return grant_id
        raise NotFound(
            f"You have no paid grant to download Work {work_id}.",
            hint="Only what was paid for can be complained about.",
            code="data.no_paid_grant",
        )

    # ------------------------------------------------------------ in fair exchange

    def announce(self, work_id: int, content: Path) -> bytes:
        """Say on chain which content a Work exchanges for money; its root (32 bytes)."""
        return announce(self.chain, self._acting, work_id, content)

    def prepare(
        self,
        work_id: int,
        content: Path,
        buyer: str,
        folder: Path,
        *,
        reveal_s: int = DAY_S,
        dispute_s: int = DAY_S,
        valid_s: int = 7 * DAY_S,
    ) -> Sale:
        """Encrypt the content for one buyer, at the offer that stands, into a folder of this sale alone.

        Hand ``sale.json``, ``ciphertext`` and ``leaves`` to the buyer; ``sale.key`` to nobody. Raises
        NotFound without an announced root or an offer, BadInput for content of another root.
        """
        agreed = wanted(self.chain, work_id)
        if root_of(content) != agreed.root:
            raise BadInput(
                f"{content} is not the content that Work {work_id} announced.",
                hint="Announce it first: no buyer locks money for anything else.",
                code="data.not_announced",
            )
        return self._seller(folder).prepare(
            content,
            work_id=work_id,
            buyer=buyer,
            offer=agreed.offer,
            reveal_s=reveal_s,
            dispute_s=dispute_s,
            valid_s=valid_s,
        )

    def seller_step(self, folder: Path, *, depth: int = 0) -> SaleState:
        """Reveal the key or collect, whichever is due; errors as `FairSeller.step`."""
        return self._seller(folder).step(depth=depth)

    def agreed(self, work_id: int) -> Wanted:
        """What a Work's owner exchanges for money, to be read before `lock`; errors as `wanted`."""
        return wanted(self.chain, work_id)

    def lock(self, agreed: Wanted, folder: Path) -> SaleState:
        """Check everything in the folder against what was agreed, and lock the price; errors as
        `FairBuyer.lock`."""
        return self._buyer(folder).lock(agreed)

    def buyer_step(self, folder: Path, target: Path, *, progress: Progress = _quiet) -> SaleState:
        """Open the content and pay, dispute, or take the price back, whichever is due; errors as
        `FairBuyer.step`."""
        return self._buyer(folder).step(target, progress=progress)

    # ------------------------------------------------------------ inside

    def _case(self, grant_id: int) -> tuple[SealedContent, Path]:
        work_id = Terms(self.chain).grant(grant_id).work_id
        secret = self.home / _COMPLAINTS / f"{self.chain.chain_id}-{grant_id}.key"
        return sold_content(self.chain, self.store, work_id), secret

    def _seller(self, folder: Path) -> FairSeller:
        return FairSeller(self.chain, self._acting, folder)

    def _buyer(self, folder: Path) -> FairBuyer:
        return FairBuyer(self.chain, self._acting, folder)

    @property
    def _acting(self) -> Account:
        if self.account is None:
            raise KeyFault("This needs an account to act with.", hint="Name one.", code="data.no_account")
        return self.account
