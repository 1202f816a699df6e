# SPDX-License-Identifier: Apache-2.0
"""A grantee's side of a complaint on chain: ask in public, read the answers, or get the money back.

The secret that answers are hidden for lies in a file of the grantee's from before the complaint is sent, so
each function may be called again after a crash and goes on.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.chain.keys import write_private
from koinon.data.delivery import Complaint, Delivery
from koinon.data.download import Fault, Received
from koinon.data.hidden_share import SECRET_BYTES, ComplaintKeys
from koinon.data.sealed import SealedContent, share_commitment
from koinon.errors import KeyFault, NotFound, PaymentError, PeerError
from koinon.shamir import Share, combine
from koinon.works.bonds import Bonds
from koinon.works.terms import Terms


class ComplaintState(Enum):
    """Where a complaint is."""

    NONE = "none"
    WAITING = "waiting"
    """Keepers still have time."""
    SERVED = "served"
    """Enough right answers are on chain: `answered_key` has the key."""
    REFUNDABLE = "refundable"
    """Too few answers and the time is over: `refund` pays back, and ends the grant."""
    CLOSED = "closed"


@dataclass(frozen=True)
class Opened:
    """The right shares among the answers to a complaint, and the keepers who answered something else."""

    shares: tuple[Share, ...]
    false: tuple[int, ...]


def complain(
    chain: Chain,
    grantee: Account,
    described: SealedContent,
    grant_id: int,
    secret_file: Path,
    *,
    promise_id: int | None = None,
) -> Complaint:
    """Complain that the keepers of a content do not serve a paid grant; once a grant, going on where cut off.

    Takes the best covered promise about this content unless ``promise_id`` names one. The grantee keeps
    ``secret_file`` until the complaint is closed.

    Raises
    ------
    NotFound
        Nobody promised delivery of this content.
    IntegrityError
        The promise named is about other content.
    TransactionFailed
        The contract refuses, in its own words: too late, nothing paid, nothing left, complained already.
    """
    delivery = Delivery(chain)
    if (made := delivery.complaint_of(grant_id)) is not None:
        return made
    if promise_id is None:
        promise_id = _covering(delivery, described, Terms(chain).grant(grant_id).starts_at)
    delivery.check(promise_id, described)
    if not secret_file.exists():
        write_private(secret_file, secrets.token_bytes(SECRET_BYTES))
    delivery.complain(grantee, promise_id, grant_id, _keys(secret_file, described).points)
    return _complaint(delivery, grant_id)


def state_of(chain: Chain, described: SealedContent, grant_id: int, secret_file: Path) -> ComplaintState:
    """Where the complaint about a grant is."""
    delivery = Delivery(chain)
    complaint = delivery.complaint_of(grant_id)
    if complaint is None:
        return ComplaintState.NONE
    opened = open_answers(chain, described, grant_id, secret_file)
    if len(opened.shares) >= described.threshold:
        return ComplaintState.SERVED
    if not complaint.open:
        return ComplaintState.CLOSED
    late = chain.timestamp() > complaint.answer_until
    return ComplaintState.REFUNDABLE if late else ComplaintState.WAITING


def open_answers(chain: Chain, described: SealedContent, grant_id: int, secret_file: Path) -> Opened:
    """Open what keepers answered; KeyFault when the secret is not that of the complaint."""
    keys = _keys(secret_file, described)
    shares, false = [], []
    for number, answer in Delivery(chain).answers_to(grant_id).items():
        value = keys.open(grant_id, number, answer)
        share = None if value is None else Share(number + 1, value)
        if share is not None and share_commitment(share) == described.commitments[number]:
            shares.append(share)
        else:
            false.append(number)
    return Opened(tuple(shares), tuple(false))


def answered_key(chain: Chain, described: SealedContent, grant_id: int, secret_file: Path) -> Received:
    """The content's key from the answers on chain. PeerError when fewer right ones are there than needed."""
    opened = open_answers(chain, described, grant_id, secret_file)
    faults = tuple(
        Fault(described.keepers[number], "It answered something that is not its share.", lied=True)
        for number in opened.false
    )
    if len(opened.shares) < described.threshold:
        lied = "".join(f" {fault.keeper.account} answered rubbish." for fault in faults)
        raise PeerError(
            f"Only {len(opened.shares)} of the {described.threshold} keepers needed answered.{lied}",
            hint="Once the time to answer is over, take the money back.",
            code="data.too_few_answers",
        )
    return Received(combine(opened.shares, described.threshold), faults)


def refute_false(
    chain: Chain, grantee: Account, described: SealedContent, grant_id: int, secret_file: Path
) -> tuple[int, ...]:
    """Show on chain which answers were not the shares promised; the keepers' numbers.

    Only where it decides: when so few right answers are there that the money may come back.
    """
    delivery, keys = Delivery(chain), _keys(secret_file, described)
    opened = open_answers(chain, described, grant_id, secret_file)
    if len(opened.shares) >= described.threshold:
        return ()
    answers = delivery.answers_to(grant_id)
    for number in opened.false:
        delivery.refute(grantee, grant_id, number, keys, answers[number])
    return opened.false


def refund(chain: Chain, grantee: Account, described: SealedContent, grant_id: int, secret_file: Path) -> int:
    """Take the money back: refute what is false, give the grant up, close the complaint, collect for the
    payer. Returns what was paid, in the bond's token. Goes on where it was cut off.

    Giving up ends all of the grantee's downloads of this Work, so it comes last, and only when the money is
    sure to come back.

    Raises
    ------
    NotFound
        There is no complaint about this grant.
    PaymentError
        Enough keepers answered; they still have time; it is too late; or nothing is left of the bond.
    """
    delivery = Delivery(chain)
    complaint = _complaint(delivery, grant_id)
    promised = delivery.promise_of(complaint.promise_id)
    token = Bonds(chain).bond(promised.bond_id).token
    refunded = _refunded(delivery, grant_id)
    if complaint.open:
        now = chain.timestamp()
        if now <= complaint.check_until:
            refute_false(chain, grantee, described, grant_id, secret_file)
            complaint = _complaint(delivery, grant_id)
        if complaint.answers >= promised.threshold:
            raise PaymentError(
                "Enough keepers answered the complaint: nothing is paid back.",
                hint="Read the key from their answers; a false one had to be refuted in time.",
                code="data.answered",
            )
        if now <= complaint.answer_until:
            raise PaymentError(
                f"Keepers have {complaint.answer_until - now} s left to answer.",
                hint="Come back then.",
                code="data.answers_due",
            )
        terms = Terms(chain)
        if bool(terms.contract.call("holds", grant_id)):
            if now > complaint.resolve_until:
                raise PaymentError(
                    "The time to give the grant up and be paid back is over.",
                    hint="The grant is still yours.",
                    code="data.refund_late",
                )
            if not Bonds(chain).bond(promised.bond_id).amount:
                raise PaymentError("Nothing is left of the bond.", code="data.bond_empty")
            grant = terms.grant(grant_id)
            terms.surrender(grantee, grant.work_id, grant.use)
        refunded = delivery.resolve(grantee, grant_id)
    bonds = Bonds(chain)
    if bonds.credit(complaint.payer, token=token):
        bonds.collect(grantee, complaint.payer, token=token)
    return refunded


def _covering(delivery: Delivery, described: SealedContent, starts_at: int) -> int:
    """The promise about this content that covers a grant which starts then, the best covered first."""
    for promise_id in delivery.promises(described):
        promised = delivery.promise_of(promise_id)
        if promised.since <= starts_at and (not promised.until or starts_at < promised.until):
            return promise_id
    raise NotFound(
        f"Nobody promised that this content of Work {described.work_id} is delivered to who bought it then.",
        hint="Write to its owner; next time buy under a promise, or in a fair exchange.",
        code="data.no_promise",
    )


def _refunded(delivery: Delivery, grant_id: int) -> int:
    """What an earlier call had paid back."""
    logs = delivery.contract.history(
        "Resolved", from_block=delivery.chain.network.start_block, grant_id=grant_id
    )
    return int(logs[0]["refunded"]) if logs else 0


def _complaint(delivery: Delivery, grant_id: int) -> Complaint:
    complaint = delivery.complaint_of(grant_id)
    if complaint is None:
        raise NotFound(
            f"There is no complaint about grant {grant_id}.", hint="Complain first.", code="data.no_complaint"
        )
    return complaint


def _keys(secret_file: Path, described: SealedContent) -> ComplaintKeys:
    try:
        secret = secret_file.read_bytes()
    except OSError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise KeyFault(
            f"The secret of the complaint is not in {secret_file}.",
            hint="Restore it from your backup: without it answers cannot be read or refuted.",
            code="data.complaint_file",
        )
    return ComplaintKeys(secret, len(described.keepers))
