# SPDX-License-Identifier: Apache-2.0
"""The Delivery contract of a network: promises to deliver, complaints, answers, and what is paid back.

`koinon.data.complaint` is a grantee's side of it, `koinon.data.keeper_answers` a keeper's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.contract import Block, Call
from koinon.chain.handle import Chain
from koinon.chain.receipts import Receipt
from koinon.data.hidden_share import ComplaintKeys, HiddenShare, Point
from koinon.data.sealed import SealedContent, content_domain
from koinon.errors import IntegrityError
from koinon.works.bonds import Bonds, BondTerms

DAY_S: Final = 86_400
COMPLAINT_S: Final = 7 * DAY_S
ANSWER_S: Final = 2 * DAY_S
CHECK_S: Final = DAY_S
RESOLVE_S: Final = 3 * DAY_S


@dataclass(frozen=True, slots=True)
class Promise:
    """What a seller promised: who keeps, how many of them are needed (``threshold``), the most paid back for
    one grant in the bond's token, and the windows in seconds. ``since`` and ``until`` are Unix seconds,
    ``until`` 0 while it stands."""

    work_id: int
    bond_id: int
    promiser: str
    content_id: bytes
    threshold: int
    max_refund: int
    complaint_s: int
    answer_s: int
    since: int
    until: int
    keepers: tuple[str, ...]
    commitments: tuple[bytes, ...]

    def fits(self, described: SealedContent, content_id: bytes) -> bool:
        """Whether it promises what the owner signed about this content: shares, keepers, how many."""
        return (
            self.work_id == described.work_id
            and self.content_id == content_id
            and self.threshold == described.threshold
            and self.keepers == tuple(keeper.account for keeper in described.keepers)
            and self.commitments == described.commitments
        )


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a grantee complained about: ``cover`` is reserved of the bond, ``answered`` has a bit for each
    keeper whose answer counts, ``answer_until`` is Unix seconds."""

    promise_id: int
    grantee: str
    payer: str
    cover: int
    keys_digest: bytes
    answer_until: int
    answered: int
    open: bool

    @property
    def answers(self) -> int:
        """How many answers count."""
        return self.answered.bit_count()

    @property
    def check_until(self) -> int:
        """The last second to refute an answer."""
        return self.answer_until + CHECK_S

    @property
    def resolve_until(self) -> int:
        """The last second in which the grant must be given up for the money to come back."""
        return self.check_until + RESOLVE_S


class Delivery:
    """The contract. What sends takes the key that pays; errors as in `Sender.send`."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = chain.contract("Delivery")
        self.domain = content_domain(chain.chain_id, chain.contract("Works").address)

    def post_bond(
        self,
        seller: Account,
        amount: int,
        described: SealedContent,
        *,
        complaint_s: int = COMPLAINT_S,
        answer_s: int = ANSWER_S,
        token: str | None = None,
    ) -> int:
        """Stake a bond that outlasts every deadline of such a promise, in the network's coin unless ``token``
        is named; returns its id."""
        terms = BondTerms(
            judge=self.contract.address,
            subject=described.content_id(self.domain),
            ruling_s=DAY_S,
            notice_s=complaint_s + answer_s + CHECK_S + RESOLVE_S,
        )
        return Bonds(self.chain).post(seller, amount, terms, token=token)

    def promise(
        self,
        seller: Account,
        described: SealedContent,
        *,
        bond_id: int,
        max_refund: int,
        complaint_s: int = COMPLAINT_S,
        answer_s: int = ANSWER_S,
    ) -> int:
        """Promise delivery of a content by its keepers; returns the promise's id. See `post_bond`."""
        receipt = self._send(
            seller,
            self.contract.transaction(
                "promise",
                described.work_id,
                bond_id,
                described.content_id(self.domain),
                [keeper.account for keeper in described.keepers],
                list(described.commitments),
                described.threshold,
                max_refund,
                complaint_s,
                answer_s,
            ),
        )
        return int(self.contract.logs(receipt, "Promised")[0]["promise_id"])

    def end(self, seller: Account, promise_id: int) -> None:
        """Promise nothing more to those whose grant starts a day from now or later."""
        self._send(seller, self.contract.transaction("end_promise", promise_id))

    def complain(self, grantee: Account, promise_id: int, grant_id: int, keys: list[Point]) -> None:
        """Say that a paid grant is not served, with a new public key for each keeper."""
        self._send(grantee, self.contract.transaction("complain", promise_id, grant_id, keys))

    def answer(self, keeper: Account, grant_id: int, number: int, share: HiddenShare) -> None:
        """Give keeper number ``number``'s share, hidden for the grantee who complained."""
        self._send(keeper, self.contract.transaction("answer", grant_id, number, share.values()))

    def refute(
        self, anyone: Account, grant_id: int, number: int, keys: ComplaintKeys, share: HiddenShare
    ) -> None:
        """Show that an answer is not the share promised. The key it was hidden for is public from then on."""
        arguments = (grant_id, number, keys.points, keys.secret_of(number), share.values())
        self._send(anyone, self.contract.transaction("refute", *arguments))

    def resolve(self, anyone: Account, grant_id: int) -> int:
        """Close a complaint; what was paid back, to be collected from Bonds by the payer."""
        receipt = self._send(anyone, self.contract.transaction("resolve", grant_id))
        return int(self.contract.logs(receipt, "Resolved")[0]["refunded"])

    def promise_of(self, promise_id: int) -> Promise:
        """A promise; TransactionFailed when there is none."""
        fields = list(self.contract.call("promise_of", promise_id))
        fields[-2:] = [tuple(fields[-2]), tuple(fields[-1])]
        return Promise(*fields)

    def promises(self, described: SealedContent) -> list[int]:
        """The promises about this very content, the best covered first; those that cover nothing any more
        come last, and may cover what was bought before."""
        content_id = described.content_id(self.domain)
        found = [int(log["promise_id"]) for log in self._history("Promised", work_id=described.work_id)]
        fitting = [number for number in found if self.promise_of(number).fits(described, content_id)]
        return sorted(fitting, key=self.cover_left, reverse=True)

    def complaint_of(self, grant_id: int) -> Complaint | None:
        """The complaint about a grant, or None."""
        complaint = Complaint(*self.contract.call("complaint_of", grant_id))
        return complaint if complaint.promise_id else None

    def complaints(
        self, *, from_block: Block | None = None, to_block: Block = "latest"
    ) -> list[dict[str, Any]]:
        """Every complaint made in these blocks, as the event says it."""
        return self._history("Complained", from_block=from_block, to_block=to_block)

    def answers_to(self, grant_id: int) -> dict[int, HiddenShare]:
        """Keeper's number → its answer, as far as answers count."""
        complaint = self.complaint_of(grant_id)
        counted = 0 if complaint is None else complaint.answered
        return {
            int(log["number"]): HiddenShare(int(log["x"]), bool(log["odd"]), bytes(log["hidden"]))
            for log in self._history("Answered", grant_id=grant_id)
            if counted >> int(log["number"]) & 1
        }

    def cover_left(self, promise_id: int) -> int:
        """What one who buys now could be paid back at most, in the bond's token."""
        return int(self.contract.call("cover_left", promise_id))

    def check(self, promise_id: int, described: SealedContent) -> Promise:
        """A promise, once it is found to be about this content; IntegrityError when it is about another."""
        promised = self.promise_of(promise_id)
        if not promised.fits(described, described.content_id(self.domain)):
            raise IntegrityError(
                f"Promise {promise_id} is not about the content that the owner signed.",
                hint="It protects nobody who buys this content.",
                code="data.promise",
            )
        return promised

    def _history(
        self, event: str, *, from_block: Block | None = None, to_block: Block = "latest", **indexed: Any
    ) -> list[dict[str, Any]]:
        start = self.chain.network.start_block if from_block is None else from_block
        return self.contract.history(event, from_block=start, to_block=to_block, **indexed)

    def _send(self, key: Account, call: Call) -> Receipt:
        return self.chain.sender(key).send(call)
