# SPDX-License-Identifier: Apache-2.0
"""Publishing a Work from a form: dataset, model, artwork or anything else that has a card."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from koinon.chain.account import Account
from koinon.errors import BadInput, NotFound, TransactionFailed
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext
from koinon.web import marked as _
from koinon.works.api import Parent, Works
from koinon.works.arguments import read_parents, read_shares
from koinon.works.catalogue import URI_SCHEME
from koinon.works.forms import DAY_S, acting, coin_unit, days_of, money, read_amount, whole_number
from koinon.works.ground import Ground
from koinon.works.registration import Card, Content, Metric, Registration
from koinon.works.shares import WHOLE
from koinon.works.terms import Terms, Use, text_digest

KINDS: Final = {
    "dataset": _("a dataset"),
    "model": _("a model"),
    "artwork": _("an artwork"),
    "other": _("something else"),
}
"""What can be published by the form, as message ids."""


LARGEST_FILE: Final = 32 << 20
"""Bytes of an attached file."""

MOST_LINES: Final = 1_000
"""Lines of a list in the form: shares, parents, limits."""


@dataclass(frozen=True)
class Draft:
    """What the form says, read and checked. ``price`` of a download in the coin's smallest unit, or None."""

    registration: Registration
    shares: dict[str, Fraction]
    parents: list[Parent]
    royalty_bps: int
    price: int | None
    days: int


def read_draft(ground: Ground, fields: Fields, owner: str) -> Draft:
    """The Work that a form describes; `BadInput` names what is wrong with it."""
    kind, unit = fields.get("kind", ""), coin_unit(ground)
    if kind not in KINDS:
        raise BadInput(gettext("The form names no kind of Work."), code="works.form")
    summary = _needed(fields, "summary", gettext("What it is"))
    card = Card(
        kind=kind,
        summary=summary,
        data=_needed(fields, "data", gettext("What it was made from")),
        limits=tuple(_lines(fields.get("limits", ""))),
        contest=fields.get("contest", "").strip()
        or gettext("Contest it on its page, or write to its owner, %(owner)s.", owner=owner),
        metric=_metric(fields),
        unmeasured=""
        if fields.get("metric", "").strip()
        else _needed(fields, "unmeasured", gettext("Why nothing was measured")),
    )
    price = fields.get("price", "").strip()
    return Draft(
        registration=Registration(
            name=_needed(fields, "name", gettext("The name")),
            description=fields.get("description", "").strip() or summary,
            card=card,
            contents=_contents(ground, fields),
        ),
        shares=read_shares(_lines(fields.get("shares", ""))),
        parents=read_parents(_lines(fields.get("parents", "")), _lines(fields.get("permissions", ""))),
        royalty_bps=_royalty(fields),
        price=read_amount(price, unit, gettext("The price")) if price else None,
        days=days_of(fields),
    )


def _prepare(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    unit, account = coin_unit(ground), acting(visitor)
    draft = read_draft(ground, fields, account)
    works = Works(ground.chain, ground.store)
    result = {}
    rest = Fraction(1) - sum(draft.shares.values(), Fraction(0))
    _try_parents(works, draft, account)
    for parent in draft.parents:
        rest -= Fraction(parent.share, WHOLE)
        result[gettext("The till of Work %(id)s gets", id=parent.work_id)] = (
            f"{float(Fraction(parent.share, WHOLE)):.2%}"
        )
    for payee, share in draft.shares.items():
        result[gettext("%(account)s gets", account=payee)] = f"{float(share):.2%}"
    if rest < 0:
        raise BadInput(
            gettext("The shares add up to more than all of the income."),
            hint=gettext("Keep them at 100 % or less; the rest is yours."),
            code="works.share",
        )
    result[gettext("Whoever owns it gets")] = f"{float(rest):.2%}"
    changes = [
        gettext(
            "“%(name)s” becomes a Work of %(account)s, with a till of its own.",
            name=draft.registration.name,
            account=account,
        ),
        gettext("Its file, signed by you, is public: what it is, how good, its limits, and who shares."),
    ]
    if draft.shares or draft.parents:
        changes.append(gettext("Who shares in its income is fixed for ever. New shares need a new Work."))
    if draft.price is not None:
        changes.append(gettext("Anyone may download it for %(price)s.", price=money(draft.price, unit)))
    transactions = 1 + (2 if draft.shares or draft.parents else 0) + (draft.price is not None)
    return Review(
        title=gettext("Publish “%(name)s”?", name=draft.registration.name),
        button=gettext("Publish"),
        changes=tuple(changes),
        costs=(gettext("Gas for %(num)s transactions, and one signature for the file.", num=transactions),),
        risks=(
            gettext("What is published cannot be taken back; it can only be left alone."),
            gettext(
                "A file you attach stays on this node. Its digest and size are public; publishing "
                "sends its bytes to nobody."
            ),
        ),
        result=result,
    )


def _try_parents(works: Works, draft: Draft, account: str) -> None:
    """`BadInput` with the register's own words where it would not take the parents."""
    if not draft.parents:
        return
    works.owner_of(max(parent.work_id for parent in draft.parents))
    parents = [(parent.work_id, parent.share, parent.permission) for parent in draft.parents]
    try:
        works.contract.call("publish", URI_SCHEME, [], draft.royalty_bps, parents, sender=account)
    except TransactionFailed as refusal:
        raise BadInput(
            gettext("The register refuses these parents: %(reason)s", reason=refusal.reason),
            hint=gettext("Ask their owners for permission, or leave them out."),
            code="works.parents",
        ) from refusal


def _run(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    draft = read_draft(ground, fields, account.address)
    works = Works(ground.chain, ground.store, account)
    say(gettext("Registering the Work"))
    published = works.publish(
        draft.registration, parents=draft.parents, shares=draft.shares or None, royalty_bps=draft.royalty_bps
    )
    if draft.price is not None:
        say(gettext("Making the offer"))
        Terms(ground.chain).offer(
            account,
            published.work_id,
            Use.DOWNLOAD,
            price=draft.price,
            terms_digest=text_digest(fields.get("terms", "").strip() or published.uri),
            period_s=draft.days * DAY_S,
        )
    return Outcome(
        gettext("It is Work %(id)s now.", id=published.work_id),
        f"/works/{published.work_id}",
        {gettext("Till"): published.till, gettext("File"): published.uri},
    )


def keep_upload(ground: Ground, name: str, media_type: str, content: bytes) -> dict[str, str]:
    """Keep an attached file in the node's store; the form fields that name it."""
    if not content:
        return {}
    if len(content) > LARGEST_FILE:
        raise BadInput(
            gettext("The file is larger than 32 MiB."),
            hint=gettext("Keep it where you have it, and say in the description how to get it."),
            code="works.upload",
        )
    return {
        "file_cid": ground.store.put(content),
        "file_name": name[-120:] or "file",
        "file_size": str(len(content)),
        "file_type": media_type or "application/octet-stream",
    }


def _needed(fields: Fields, name: str, label: str) -> str:
    text = fields.get(name, "").strip()
    if not text or len(text) > 4_000:
        raise BadInput(
            gettext("%(label)s is missing, or longer than 4,000 characters.", label=label), code="works.form"
        )
    return text


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        raise BadInput(
            gettext("A list has at most %(most)s lines.", most=f"{MOST_LINES:,}"), code="works.form"
        )
    return lines


def _metric(fields: Fields) -> Metric | None:
    name = fields.get("metric", "").strip()
    if not name:
        return None
    try:
        return Metric(
            name=name,
            value=float(fields.get("metric_value", "")),
            interval=(float(fields.get("metric_low", "")), float(fields.get("metric_high", ""))),
            baseline=float(fields.get("metric_baseline", "")),
            baseline_name=fields.get("metric_baseline_name", ""),
            held_out=fields.get("metric_held_out", ""),
            samples=int(whole_number(fields.get("metric_samples", "").strip()) or 0),
        )
    except ValueError:
        raise BadInput(
            gettext("The metric's numbers are not all numbers."),
            hint=gettext(
                "Give value, interval, baseline and number of cases, or say why nothing was measured."
            ),
            code="works.metric",
        ) from None


def _contents(ground: Ground, fields: Fields) -> tuple[Content, ...]:
    cid = fields.get("file_cid", "")
    if not cid:
        return ()
    size = whole_number(fields.get("file_size", ""))
    if size is None or not ground.store.has(cid):
        raise NotFound(
            gettext("The attached file was lost."), hint=gettext("Attach it again."), code="works.upload"
        )
    return (
        Content(
            fields.get("file_name", "file"),
            cid,
            size,
            fields.get("file_type", "application/octet-stream"),
        ),
    )


def _royalty(fields: Fields) -> int:
    text = fields.get("royalty", "").strip().removesuffix("%").strip() or "0"
    try:
        bps = round(float(text) * 100)
    except (ValueError, OverflowError):
        bps = -1
    if not 0 <= bps <= 10_000:
        raise BadInput(gettext("What a resale owes is a percentage from 0 to 100."), code="works.royalty")
    return bps


PUBLISH: Final = Action("works.publish", _prepare, _run, back="/publish")
