# SPDX-License-Identifier: Apache-2.0
"""Offers from a page: an owner makes and closes them, anybody takes an open one up."""

from __future__ import annotations

from typing import Final

from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault, NotFound
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext
from koinon.works.api import Works
from koinon.works.forms import (
    DAY_S,
    USES,
    acting,
    coin_unit,
    days_of,
    money,
    read_amount,
    use_of,
    work_id_of,
)
from koinon.works.ground import Ground
from koinon.works.terms import Consent, Offer, Terms, text_digest


def _prepare_buy(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_id, use = work_id_of(fields), use_of(fields)
    offer, unit = _standing(ground, work_id, use, fields), coin_unit(ground)
    balance = int(ground.chain.coin.call("balanceOf", acting(visitor)))
    if balance < offer.price:
        raise BadInput(
            gettext(
                "You have %(have)s and it costs %(price)s.",
                have=money(balance, unit),
                price=money(offer.price, unit),
            ),
            hint=gettext("Get some coins first."),
            code="works.too_little",
        )
    until = (
        gettext("for ever")
        if not offer.period_s
        else gettext("for %(days)s days", days=round(offer.period_s / DAY_S, 1))
    )
    return Review(
        title=gettext("Take up this offer of Work %(id)s?", id=work_id),
        button=gettext("Pay and take it up"),
        changes=(
            gettext(
                "%(account)s may %(use)s %(until)s.",
                account=acting(visitor),
                use=gettext(USES[use]),
                until=until,
            ),
            gettext("The price goes to the Work's till, and from there to everyone who shares in it."),
        ),
        costs=(money(offer.price, unit), gettext("Gas for two transactions.")),
        risks=(gettext("What is paid does not come back."),),
        result={gettext("You have afterwards"): money(balance - offer.price, unit)},
    )


def _run_buy(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    work_id, use = work_id_of(fields), use_of(fields)
    offer = _standing(ground, work_id, use, fields)
    say(gettext("Paying"))
    grant_id = Terms(ground.chain).buy(account, work_id, use, offer)
    return Outcome(
        gettext("You may now %(use)s.", use=gettext(USES[use])),
        f"/works/{work_id}",
        {gettext("Receipt"): gettext("grant %(id)s", id=grant_id)},
    )


def _standing(ground: Ground, work_id: int, use: int, fields: Fields) -> Offer:
    """The offer, as far as a page can take it up and as its visitor read it."""
    offer = Terms(ground.chain).offer_of(work_id, use)
    if offer is None:
        raise NotFound(
            gettext("Work %(id)s is not offered for that use.", id=work_id),
            hint=gettext("Ask its owner."),
            code="works.no_offer",
        )
    if offer.consent != Consent.OPEN or offer.token != ground.chain.coin.address:
        raise BadInput(
            gettext("This offer needs its owner's consent, or another token than the coin."),
            hint=gettext("Take it up from Python: koinon.works.terms.Terms.buy."),
            code="works.offer_kind",
        )
    if fields.get("offer", "") != offer_mark(offer.price, offer.period_s, "0x" + offer.terms_digest.hex()):
        raise BadInput(
            gettext("The offer is not the one that the page showed."),
            hint=gettext("Load the Work's page again and read what it says now."),
            code="works.offer_changed",
        )
    return offer


def offer_mark(price: int, period_s: int, terms_digest: str) -> str:
    """What a form carries of an offer, so that nobody pays for another one than they read."""
    return f"{price}-{period_s}-{terms_digest}"


def _prepare_offer(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_id, use, unit = work_id_of(fields), use_of(fields), coin_unit(ground)
    _must_own(ground, visitor, work_id)
    if fields.get("close") == "1":
        return Review(
            title=gettext("Close this offer of Work %(id)s?", id=work_id),
            button=gettext("Close the offer"),
            changes=(
                gettext(
                    "Nobody new may %(use)s. Who bought already keeps what they bought.",
                    use=gettext(USES[use]),
                ),
            ),
            costs=(gettext("Gas for one transaction."),),
        )
    price = read_amount(fields.get("price", ""), unit, gettext("The price"))
    return Review(
        title=gettext("Offer Work %(id)s?", id=work_id),
        button=gettext("Make the offer"),
        changes=(
            gettext("Anyone may %(use)s for %(price)s.", use=gettext(USES[use]), price=money(price, unit)),
        ),
        costs=(gettext("Gas for one transaction."),),
        risks=(gettext("Whoever has downloaded a Work can pass it on; a grant is a receipt, not a lock."),),
        result={gettext("A grant lasts"): _days_text(fields)},
    )


def _run_offer(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    work_id, use, terms = work_id_of(fields), use_of(fields), Terms(ground.chain)
    say(gettext("Sending the transaction"))
    if fields.get("close") == "1":
        terms.close(account, work_id, use)
        return Outcome(gettext("The offer is closed."), f"/works/{work_id}")
    price = read_amount(fields.get("price", ""), coin_unit(ground), gettext("The price"))
    text = fields.get("text", "").strip() or "The Work's registration file."
    terms.offer(
        account,
        work_id,
        use,
        price=price,
        terms_digest=text_digest(text),
        period_s=days_of(fields) * DAY_S,
    )
    return Outcome(gettext("The offer stands."), f"/works/{work_id}")


def _days_text(fields: Fields) -> str:
    days = days_of(fields)
    return gettext("for ever") if not days else gettext("%(days)s days", days=days)


def _must_own(ground: Ground, visitor: Visitor, work_id: int) -> None:
    if Works(ground.chain, ground.store).owner_of(work_id) != acting(visitor):
        raise KeyFault(
            gettext("Work %(id)s belongs to somebody else.", id=work_id),
            hint=gettext("Only its owner makes and closes offers."),
            code="works.not_owner",
        )


BUY: Final = Action("works.buy", _prepare_buy, _run_buy, back="/explore")
OFFER: Final = Action("works.offer", _prepare_offer, _run_offer, back="/me")
