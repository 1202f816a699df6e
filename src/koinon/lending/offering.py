# SPDX-License-Identifier: Apache-2.0
"""Offers that this node's operator signs as an issuer of scores, kept until their borrower takes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import orjson

from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault, KoinonError
from koinon.lending.api import ROOM, Lending
from koinon.lending.forms import (
    Asked,
    address_of,
    amount_or_all,
    amount_or_none,
    asked_by,
    asked_of,
    refusals,
)
from koinon.lending.grades import letter
from koinon.lending.issuing import OFFER_LASTS_S, Judgement
from koinon.lending.judging import usual_scorer
from koinon.lending.offer_file import SignedOffer
from koinon.lending.pool_terms import WHOLE_BPS
from koinon.lending.quoting import Quote
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext, percent
from koinon.works.forms import money
from koinon.works.ground import Ground

FOLDER: Final = "offers"
MOST_KEPT: Final = 200
_NAME: Final = re.compile(r"0x[0-9a-fA-F]{40}-\d{1,20}\.json")


def kept_for(ground: Ground, borrower: str) -> list[SignedOffer]:
    """Offers for a borrower that this node keeps and that have not ended, the newest first."""
    found, now = [], ground.chain.next_timestamp()
    for path in sorted(_folder(ground).glob(f"{borrower}-*.json"), key=lambda each: -each.stat().st_mtime):
        try:
            signed = SignedOffer.load(path)
            signed.check(ground.chain.chain_id, borrower, now)
        except KoinonError:
            continue
        found.append(signed)
    return found


def text_of(signed: SignedOffer) -> str:
    """An offer as its file holds it, for a form."""
    return orjson.dumps(signed.to_json()).decode()


def _folder(ground: Ground) -> Path:
    return ground.settings.home / ROOM / FOLDER


def _keep(ground: Ground, signed: SignedOffer) -> None:
    folder = _folder(ground)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signed.save(folder / f"{signed.offer.borrower}-{signed.offer.nonce}.json")
    kept = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    for path in sorted(kept, key=lambda each: each.stat().st_mtime)[:-MOST_KEPT]:
        path.unlink(missing_ok=True)


def _found(ground: Ground, asked: Asked, fields: Fields) -> tuple[str, Quote, Judgement | None]:
    """Whose, on which terms, and the judgement that may only make them worse."""
    if asked.me not in asked.state.issuers or asked.me != ground.operator.address:
        raise KeyFault(
            gettext("Only an issuer of this pool's scores signs offers."), code="lending.not_issuer"
        )
    borrower = address_of(fields.get("borrower", ""), gettext("The form names no borrower."))
    scorer, lending = usual_scorer(ground), Lending.of(ground)
    judgement = None if scorer is None else lending.score(borrower, scorer, pool=asked.state.address)
    with refusals():
        quote = lending.quote(
            asked.state.address,
            borrower,
            amount=amount_or_all(fields, "amount", asked.loan) or 0,
            collateral=amount_or_none(fields, "collateral", asked.collateral),
            judgement=judgement,
        )
    if not quote.amount:
        raise BadInput(gettext("There is nothing to offer."), code="lending.offer")
    return borrower, quote, judgement


def _prepare(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    asked = asked_of(ground, visitor, fields)
    borrower, quote, judgement = _found(ground, asked, fields)
    reasons = () if judgement is None else tuple(judgement.answer.reasons)
    return Review(
        title=gettext("Offer %(amount)s to this wallet?", amount=money(quote.amount, asked.loan)),
        button=gettext("Sign the offer"),
        changes=(
            gettext("For an hour %(who)s can borrow exactly this, once.", who=borrower),
            gettext("Nothing goes to the chain; the offer is kept here, and shown on the wallet's page."),
        ),
        risks=reasons,
        result={
            gettext("Tier of the offer"): letter(quote.tier),
            gettext("Rate a year at the moment"): percent(quote.rate, 2),
            gettext("Collateral needed in all"): money(quote.collateral_needed, asked.collateral),
            gettext("Debt for collateral's worth, at most"): percent(quote.lltv_bps / WHOLE_BPS),
        },
    )


def _run(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    asked = asked_by(ground, account, fields)
    say(gettext("Judging the wallet"))
    borrower, quote, judgement = _found(ground, asked, fields)
    say(gettext("Signing the offer"))
    signed = Lending.of(ground, account).offer(quote, judgement=judgement, lasts_s=OFFER_LASTS_S)
    _keep(ground, signed)
    return Outcome(
        gettext("The offer is signed. Its borrower finds it on this page."),
        f"/credit/{borrower}",
        {gettext("As a file"): text_of(signed)},
    )


ACTIONS: Final = (Action("lending.offer", _prepare, _run, back="/credit"),)
