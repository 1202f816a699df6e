# SPDX-License-Identifier: Apache-2.0
"""A keeper: keeps its share of every key that owners leave with it, and gives it to whoever has a grant.

    GET  /keeper     who keeps here: account, sealing key, chain, contracts
    POST /deposits   {"content": a signed description, "share": hex}
    POST /shares     a signed request → {"sealed_share": hex, "signature": hex}

Nothing of a share is ever logged, and a share leaves only sealed to the key that the grantee signed for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.contract import Block
from koinon.chain.handle import Chain
from koinon.chain.keys import verify
from koinon.data.door import RateLimit, Receive, Refusal, Scope, Send, answer_to, parsed, read_body
from koinon.data.keeper_book import KeeperBook
from koinon.data.keepers import (
    LONGEST_REQUEST_S,
    ShareRequest,
    check_owner,
    keeper_domain,
    sign_release,
)
from koinon.data.sealed import SealedContent, read_share, share_context
from koinon.data.sealed_box import BoxKey, seal_to
from koinon.errors import BadInput, IntegrityError, KeyFault, NotFound, PaymentError
from koinon.shamir import Share
from koinon.works.terms import Use

BODY_LIMIT: Final = 32 << 10
BODY_TIMEOUT_S: Final = 10.0
CONTENTS_A_WORK: Final = 64
AT_ONCE: Final = 16
"""How many requests look at chain and disk at a time."""


class Keeper:
    """What a keeper does, whoever asks over whatever wire. Safe to share between threads.

    Parameters
    ----------
    chain : Chain
    account : Account
        Signs the answers; owners name it.
    box : BoxKey
        What shares are sealed to.
    book : KeeperBook
    depth : int
        How many blocks old a grant must be, where blocks can be taken back.
    clock : callable
        Unix seconds, for deadlines of requests; grants go by the chain's clock.
    """

    def __init__(
        self,
        chain: Chain,
        account: Account,
        box: BoxKey,
        book: KeeperBook,
        *,
        depth: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account, self.box = account, box
        self._chain, self._book, self._depth, self._clock = chain, book, depth, clock
        self._terms = chain.contract("Terms")
        self._domain = keeper_domain(chain.chain_id, self._terms.address)

    def about(self) -> dict[str, Any]:
        """Who keeps here."""
        return {
            "account": self.account.address,
            "sealing_key": self.box.public.hex(),
            "chain_id": self._chain.chain_id,
            "terms": self._terms.address,
            "works": self._chain.contract("Works").address,
        }

    def deposit(self, fields: Any) -> dict[str, Any]:
        """Take a share that the Work's owner signed for; leaving it twice changes nothing.

        Raises IntegrityError (not the owner's, not the share committed to), BadInput (for another keeper),
        Refusal (507: too many contents of one Work).
        """
        try:
            described = SealedContent.from_json(fields["content"])
            sealed_share = bytes.fromhex(fields["share"])
        except (KeyError, TypeError, ValueError):
            raise BadInput(
                "This is not a deposit.", hint='Send {"content": {…}, "share": hex}.', code="data.deposit"
            ) from None
        number = next(
            (
                number
                for number, keeper in enumerate(described.keepers)
                if (keeper.account, keeper.sealing_key) == (self.account.address, self.box.public)
            ),
            None,
        )
        if number is None:
            raise BadInput(
                f"The content names other keepers than {self.account.address}, or another key of it.",
                hint="Ask the keeper for its account and sealing key first.",
                code="data.other_keeper",
            )
        content_id = check_owner(self._chain, described)
        opened = self.box.open(sealed_share, share_context(content_id, self.account.address))
        if read_share(opened, described).index != number + 1:
            raise IntegrityError("This share is another keeper's.", code="data.other_share")
        if not self._book.deposit(
            content_id, described.work_id, described.to_json(), sealed_share, limit=CONTENTS_A_WORK
        ):
            raise Refusal(
                507,
                f"Work {described.work_id} has {CONTENTS_A_WORK} contents here already.",
                "Publish further contents as Works of their own.",
                "data.keeper_full",
            )
        return {"content_id": content_id.hex()}

    def check(self, request: ShareRequest) -> None:
        """Whether the grantee asks this keeper, now; reads nothing from chain or disk.

        Raises
        ------
        BadInput
            For another keeper, too late, or with a deadline too far away.
        KeyFault
            Not signed by the grantee.
        """
        now = int(self._clock())
        if request.keeper != self.account.address:
            raise BadInput("The request is for another keeper.", code="data.other_keeper")
        if not now <= request.deadline <= now + LONGEST_REQUEST_S:
            raise BadInput(
                "The request's deadline is past, or too far away.",
                hint=f"Give one within {LONGEST_REQUEST_S} s, and set your clock.",
                code="data.request_deadline",
            )
        if not verify(request.digest(self._domain), request.signature, request.grantee):
            raise KeyFault(
                "The request is not signed by the grantee.",
                hint="Sign it with the key that has the grant.",
                code="data.request_signature",
            )

    def release(self, request: ShareRequest) -> dict[str, Any]:
        """Give the share to a grantee, sealed to the key it signed for, once for each nonce.

        Raises
        ------
        BadInput, KeyFault
            As `check`.
        NotFound
            No such content was left here.
        PaymentError
            The chain shows no running grant.
        Refusal
            409: the nonce was used before.
        """
        now = int(self._clock())
        self.check(request)
        found = self._book.deposited(request.content_id)
        if found is None or found[0] != request.work_id:
            raise NotFound(
                "No share of this content was left here.",
                hint="Ask the Work's owner.",
                code="data.no_deposit",
            )
        if not self._is_granted(request):
            raise PaymentError(
                f"{request.grantee} has no running grant to download Work {request.work_id}.",
                hint="Buy it first; where blocks can be taken back, wait for a few.",
                code="data.not_granted",
            )
        share = self.box.open(found[2], share_context(request.content_id, self.account.address))
        sealed = seal_to(request.sealing_key, share, share_context(request.content_id, request.grantee))
        if not self._book.use_nonce(request.grantee, request.nonce, request.deadline, now=now):
            raise Refusal(
                409, "This request was answered before.", "Sign a new one.", "data.replayed_request"
            )
        signature = sign_release(self.account, self._domain, request, sealed)
        return {"sealed_share": sealed.hex(), "signature": signature.hex()}

    def share_of(self, content_id: bytes) -> tuple[SealedContent, Share] | None:
        """What was left here of a content, for answering on chain; None without a deposit.

        The share must not leave but hidden for whoever has a right to it.
        """
        found = self._book.deposited(content_id)
        if found is None:
            return None
        described = SealedContent.from_json(found[1])
        opened = self.box.open(found[2], share_context(content_id, self.account.address))
        return described, read_share(opened, described)

    def _is_granted(self, request: ShareRequest) -> bool:
        block: Block = "latest"
        if self._depth:
            block = max(0, self._chain.block_number() - self._depth)
        until = self._terms.call("granted", request.work_id, int(Use.DOWNLOAD), request.grantee, block=block)
        return int(until) > self._chain.timestamp()


class KeeperApp:
    """The keeper as an ASGI application."""

    def __init__(self, keeper: Keeper, *, each_minute: int = 120) -> None:
        self._keeper = keeper
        self._hosts, self._grantees = RateLimit(each_minute), RateLimit(each_minute)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await answer_to(self._answer(scope, receive), send)

    async def _answer(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        self._hosts.take((scope.get("client") or ("",))[0])
        where = (scope["method"], scope["path"])
        if where == ("GET", "/keeper"):
            return self._keeper.about()
        if where not in (("POST", "/deposits"), ("POST", "/shares")):
            raise NotFound("There is nothing here.", hint="See GET /keeper.", code="data.keeper_path")
        fields = parsed(await read_body(scope, receive, limit=BODY_LIMIT, timeout_s=BODY_TIMEOUT_S))
        if where[1] == "/deposits":
            async with self._slots:
                return await asyncio.to_thread(self._keeper.deposit, fields)
        request = ShareRequest.from_fields(fields)
        async with self._slots:
            await asyncio.to_thread(self._keeper.check, request)
            self._grantees.take(request.grantee)  # only what it signed counts against a grantee
            return await asyncio.to_thread(self._keeper.release, request)
