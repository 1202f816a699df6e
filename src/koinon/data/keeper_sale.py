# SPDX-License-Identifier: Apache-2.0
"""Selling a download through keepers, and buying it: from a file to an offer, from a Work's id to the file.

seller    sell_download(…)                    a Work's owner; may be called again after a crash
buyer     sold_content(…), Terms.buy, download_sold(…)
buyer     complain(…), then download_answered(…) or refund(…): see `koinon.data.complaint`
keeper    ComplaintDesk.answer(): see `koinon.data.keeper_answers`
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.keys import write_private
from koinon.data.complaint import open_answers
from koinon.data.delivery import ANSWER_S, COMPLAINT_S, Delivery
from koinon.data.download import Downloaded, download, keepers_of
from koinon.data.keeper_client import KeeperClient
from koinon.data.keepers import check_owner
from koinon.data.sealed import Keeper, SealedContent, content_domain, seal_content
from koinon.errors import BadInput, IntegrityError, NotFound, PeerError
from koinon.shamir import Share
from koinon.store import Store, digest_of
from koinon.store.cid import cid_from_digest
from koinon.works.bonds import Bonds
from koinon.works.terms import Offer, Terms, Use

CONTENT_KEY: Final = "sealedContent"
"""Under which key of a Work's metadata the SHA-256 of its content's description is."""
NOTE: Final = "sealed.json"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Backing:
    """What a seller stakes on delivery: ``stake`` and ``max_refund`` (for one grant) in the offer's token,
    windows in seconds."""

    stake: int
    max_refund: int
    complaint_s: int = COMPLAINT_S
    answer_s: int = ANSWER_S


@dataclass(frozen=True)
class SoldDownload:
    """A content on sale: what its owner signed, and the promise of delivery if there is one."""

    described: SealedContent
    promise_id: int | None = None


def sell_download(
    chain: Chain,
    store: Store,
    owner: Account,
    content: Path,
    folder: Path,
    *,
    work_id: int,
    keepers: Sequence[str],
    threshold: int,
    offer: Offer | None = None,
    backing: Backing | None = None,
) -> SoldDownload:
    """Seal a file, leave each keeper its share, stake on delivery, and open the offer: in this order, so
    that nothing is sold that nobody can deliver.

    ``folder`` remembers what was sealed: called again, this goes on where it was cut off. ``keepers`` are
    addresses (http or https); all of them must take their share. Without ``offer`` the one that stands, if
    any, is left as it is.

    Raises
    ------
    BadInput
        Keepers or threshold that do not fit, or content that is too large or does not fit the folder.
    PeerError
        A keeper does not answer or does not take its share.
    TransactionFailed
        As the contracts say: not the owner, no money for the stake.
    """
    described, boxes = _sealed(chain, store, owner, content, folder, work_id, keepers, threshold)
    for keeper, box in zip(described.keepers, boxes, strict=True):
        KeeperClient(keeper.url).deposit(described, box)
    digest = digest_of(store.put(described.to_json()))
    works, terms = chain.contract("Works"), Terms(chain)
    if bytes(works.call("getMetadata", work_id, CONTENT_KEY)) != digest:
        chain.sender(owner).send(works.transaction("setMetadata", work_id, CONTENT_KEY, digest))
    standing = terms.offer_of(work_id, Use.DOWNLOAD)
    promise_id = None
    if backing is not None:
        priced = offer or standing
        token = chain.coin.address if priced is None else priced.token
        promise_id = _promised(chain, owner, described, token, backing)
    if offer is not None and standing != offer:
        terms.offer(
            owner,
            work_id,
            Use.DOWNLOAD,
            price=offer.price,
            terms_digest=offer.terms_digest,
            period_s=offer.period_s,
            consent=offer.consent,
            expires_at=offer.expires_at,
            token=offer.token,
        )
    return SoldDownload(described, promise_id)


def promise_delivery(chain: Chain, store: Store, owner: Account, work_id: int, backing: Backing) -> int:
    """Stake on the delivery of what is on sale already; the promise's id. A promise that stands stays.

    Raises NotFound and IntegrityError as `sold_content`, TransactionFailed without the money.
    """
    described = sold_content(chain, store, work_id)
    standing = Terms(chain).offer_of(work_id, Use.DOWNLOAD)
    token = chain.coin.address if standing is None else standing.token
    return _promised(chain, owner, described, token, backing)


def sold_content(chain: Chain, store: Store, work_id: int) -> SealedContent:
    """What is sold as a Work's download, once it is found to be signed by the Work's owner.

    Raises NotFound (nothing is sold, or the description is not in the store) and IntegrityError.
    """
    digest = bytes(chain.contract("Works").call("getMetadata", work_id, CONTENT_KEY))
    if len(digest) != 32:
        raise NotFound(
            f"Work {work_id} has no content on sale through keepers.",
            hint="Ask its owner how it is sold.",
            code="data.not_sold",
        )
    data = store.get(cid_from_digest(digest))
    if hashlib.sha256(data).digest() != digest:
        raise IntegrityError(
            "The description of the content is not the one that its owner named.",
            hint="Get it from another store.",
            code="data.description",
        )
    described = SealedContent.from_json(data)
    if described.work_id != work_id:
        raise IntegrityError(
            f"The description is of content of Work {described.work_id}.",
            hint="Ask the owner for the right one.",
            code="data.description",
        )
    check_owner(chain, described)
    return described


def download_sold(
    chain: Chain,
    store: Store,
    buyer: Account,
    described: SealedContent,
    target: Path,
    *,
    timeout_s: float = 20.0,
    progress: Progress = lambda _done, _size: None,
) -> Downloaded:
    """Ask the keepers with a grant one has, and write the content; errors as in `download`."""
    ask = keepers_of(chain, buyer, described)
    return download(store, described, target, ask, timeout_s=timeout_s, progress=progress)


def download_answered(
    chain: Chain,
    store: Store,
    described: SealedContent,
    grant_id: int,
    target: Path,
    *,
    secret_file: Path,
    progress: Progress = lambda _done, _size: None,
) -> Downloaded:
    """Write the content with the shares that keepers gave on chain in answer to a complaint.

    Raises PeerError when too few right ones are there, else as `download`.
    """
    opened = open_answers(chain, described, grant_id, secret_file)
    shares = {described.keepers[share.index - 1].account: share for share in opened.shares}
    lied = {described.keepers[number].account for number in opened.false}

    def ask(keeper: Keeper) -> Share:
        if keeper.account in lied:
            raise IntegrityError("It answered something that is not its share.", code="data.share")
        if keeper.account not in shares:
            raise PeerError("It did not answer the complaint.", code="data.keeper_silent")
        return shares[keeper.account]

    return download(store, described, target, ask, progress=progress)


def _sealed(  # noqa: PLR0917  (what sealing takes)
    chain: Chain,
    store: Store,
    owner: Account,
    content: Path,
    folder: Path,
    work_id: int,
    keepers: Sequence[str],
    threshold: int,
) -> tuple[SealedContent, list[bytes]]:
    """What was sealed and signed, and each keeper's box; from the note of an earlier call if there is one."""
    note = folder / NOTE
    if note.exists():
        fields = orjson.loads(note.read_bytes())
        described = SealedContent.from_json(fields["content"])
        if (described.work_id, described.threshold, [keeper.url for keeper in described.keepers]) != (
            work_id,
            threshold,
            list(keepers),
        ):
            raise BadInput(
                f"{folder} remembers another sale.",
                hint="Take another folder, or the same Work, keepers and threshold.",
                code="data.other_sale",
            )
        with content.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").digest() != described.content_digest:
                raise BadInput(
                    f"{folder} remembers another content than {content}.",
                    hint="Take another folder for it.",
                    code="data.other_sale",
                )
        return described, [bytes.fromhex(box) for box in fields["boxes"]]
    domain = content_domain(chain.chain_id, chain.contract("Works").address)
    named = [KeeperClient(url).keeper() for url in keepers]
    with content.open("rb") as stream:
        unsigned, boxes = seal_content(
            store, stream, work_id=work_id, keepers=named, threshold=threshold, domain=domain
        )
    described = unsigned.signed(owner, domain)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fields = {"content": orjson.loads(described.to_json()), "boxes": [box.hex() for box in boxes]}
    write_private(note, orjson.dumps(fields))
    return described, list(boxes)


def _promised(chain: Chain, owner: Account, described: SealedContent, token: str, backing: Backing) -> int:
    """The promise that stands behind this content, made now if there is none."""
    delivery, bonds = Delivery(chain), Bonds(chain)
    for promise_id in delivery.promises(described):
        found = delivery.promise_of(promise_id)
        if found.promiser == owner.address and not found.until:
            return promise_id
    content_id = described.content_id(delivery.domain)
    posted = bonds.contract.history(
        "Posted",
        from_block=chain.network.start_block,
        poster=owner.address,
        judge=delivery.contract.address,
    )
    mine = [int(log["bond_id"]) for log in posted if bytes(log["subject"]) == content_id]
    standing = [each for each in mine if not (bond := bonds.bond(each)).ends_at and bond.amount]
    bond_id = standing[-1] if standing else None
    if bond_id is None:
        bond_id = delivery.post_bond(
            owner,
            backing.stake,
            described,
            complaint_s=backing.complaint_s,
            answer_s=backing.answer_s,
            token=token,
        )
    return delivery.promise(
        owner,
        described,
        bond_id=bond_id,
        max_refund=backing.max_refund,
        complaint_s=backing.complaint_s,
        answer_s=backing.answer_s,
    )
