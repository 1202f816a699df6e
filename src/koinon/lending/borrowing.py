# SPDX-License-Identifier: Apache-2.0
"""What a borrower changes on pages: borrow on one's tier or on a signed offer, repay, move collateral."""

from __future__ import annotations

from typing import Final

import orjson

from koinon.chain.account import Account
from koinon.errors import BadInput
from koinon.lending.forms import (
    GAS,
    GAS_OF_TWO,
    Asked,
    address_of,
    amount_of,
    amount_or_all,
    amount_or_none,
    asked_by,
    asked_of,
    refusals,
    unit_of,
)
from koinon.lending.grades import letter
from koinon.lending.offer_file import SignedOffer
from koinon.lending.pool_terms import WHOLE_BPS
from koinon.lending.pools import Position
from koinon.lending.quoting import Quote
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext, moment, percent
from koinon.web import marked as _
from koinon.works.forms import money
from koinon.works.ground import Ground

BACK: Final = "/pools"
SOLD: Final = _(
    "If the collateral falls below that price, anyone may sell part of it for your debt, at a discount."
)
LONGEST_OFFER: Final = 20_000


def _prepare_borrow(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    asked = asked_of(ground, visitor, fields)
    if asked.state.terms.offer_required:
        raise BadInput(
            gettext("This pool lends only on an offer that an issuer of scores signed."),
            hint=gettext("Ask an issuer for one, and take it on your wallet's page."),
            code="lending.offer_needed",
        )
    amount = amount_of(fields, "amount", asked.loan)
    more = amount_or_none(fields, "collateral", asked.collateral)
    asked.must_have(asked.state.collateral, more)
    with refusals():
        quote = asked.lending.quote(asked.state.address, asked.me, amount=amount, collateral=more)
    _must_cover(asked, quote)
    if not more:
        asked.try_out("borrow", amount, asked.me)
    return Review(
        title=gettext("Borrow %(amount)s?", amount=money(amount, asked.loan)),
        button=gettext("Borrow it"),
        changes=(
            *_collateral_goes(asked, more),
            gettext("%(amount)s come to your account, and you owe them.", amount=money(amount, asked.loan)),
        ),
        costs=(
            gettext(
                "Interest of %(rate)s a year at the moment: %(base)s of the pool, which moves with its use, "
                "and %(spread)s of your tier, which stays.",
                rate=percent(quote.rate, 2),
                base=percent(quote.base_rate, 2),
                spread=percent(quote.spread_bps / WHOLE_BPS, 2),
            ),
            gettext(GAS_OF_TWO),
        ),
        risks=(gettext(SOLD),),
        result=_came_out(asked, quote),
        reckoned=bool(more),  # without the collateral, the contract would refuse to be tried
    )


def _must_cover(asked: Asked, quote: Quote) -> None:
    if quote.is_covered:
        return
    raise BadInput(
        gettext(
            "That needs %(needed)s behind it in all; %(lacking)s more than there is.",
            needed=money(quote.collateral_needed, asked.collateral),
            lacking=money(quote.collateral_needed - quote.collateral, asked.collateral),
        ),
        hint=gettext("Add collateral with it, or borrow less."),
        code="lending.uncovered",
    )


def _collateral_goes(asked: Asked, more: int) -> tuple[str, ...]:
    if not more:
        return ()
    return (
        gettext("%(amount)s go from your account behind the loan.", amount=money(more, asked.collateral)),
    )


def _came_out(asked: Asked, quote: Quote) -> dict[str, str]:
    return {
        gettext("You owe afterwards"): money(quote.owed + quote.amount, asked.loan),
        gettext("Collateral behind it"): money(quote.collateral, asked.collateral),
        gettext("Your tier"): letter(quote.tier),
        gettext("Debt for collateral's worth"): gettext(
            "%(now)s; from %(limit)s on it is sold",
            now=percent(quote.ltv_bps / WHOLE_BPS),
            limit=percent(quote.lltv_bps / WHOLE_BPS),
        ),
        gettext("Sold below a price of"): gettext(
            "%(price)s %(loan)s for one %(collateral)s",
            price=f"{quote.sold_below:,.6g}",
            loan=asked.loan.symbol,
            collateral=asked.collateral.symbol,
        ),
    }


def _run_borrow(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    asked = asked_by(ground, account, fields)
    more = amount_or_none(fields, "collateral", asked.collateral)
    amount = amount_of(fields, "amount", asked.loan)
    _supply(asked, more, say)
    say(gettext("Borrowing"))
    return _borrowed(asked, asked.lending.borrow(asked.state.address, amount), amount)


def _supply(asked: Asked, more: int, say: Say) -> None:
    if more:
        say(gettext("Putting collateral behind the loan"))
        asked.lending.supply_collateral(asked.state.address, more)


def _borrowed(asked: Asked, after: Position, amount: int) -> Outcome:
    return Outcome(
        gettext("%(amount)s came to your account.", amount=money(amount, asked.loan)),
        asked.path,
        _stands(asked, after),
    )


def _stands(asked: Asked, after: Position) -> dict[str, str]:
    return {
        gettext("You owe"): money(after.debt, asked.loan),
        gettext("Collateral behind it"): money(after.collateral, asked.collateral),
        **({gettext("Tier of the loan"): letter(after.tier)} if after.debt else {}),
    }


def offer_of(fields: Fields) -> SignedOffer:
    """The signed offer that a form holds; `BadInput` where it is none."""
    text = fields.get("offer", "").strip()
    try:
        return SignedOffer.from_json(orjson.loads(text[:LONGEST_OFFER]))
    except orjson.JSONDecodeError as fault:
        raise BadInput(
            gettext("This is no signed offer."),
            hint=gettext("Paste the whole file that the issuer gave you."),
            code="lending.offer",
        ) from fault


def _prepare_take(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    signed = offer_of(fields)
    offer = signed.offer
    asked = asked_of(ground, visitor, {**fields, "pool": offer.pool})
    signed.check(ground.chain.chain_id, asked.me, ground.chain.next_timestamp())
    more = amount_or_none(fields, "collateral", asked.collateral)
    asked.must_have(asked.state.collateral, more)
    if not more:
        asked.try_out("borrow_with_offer", offer.values(), signed.issuer, signed.signature, asked.me)
    rate = asked.state.rate_after(offer.amount) + offer.spread_bps / WHOLE_BPS
    before = asked.lending.position(asked.state.address, asked.me)
    tier = asked.state.terms.tiers[min(offer.tier, asked.state.worst_tier)]
    return Review(
        title=gettext("Borrow %(amount)s, exactly as offered?", amount=money(offer.amount, asked.loan)),
        button=gettext("Take the offer"),
        changes=(
            *_collateral_goes(asked, more),
            gettext(
                "%(amount)s come to your account, and you owe them.", amount=money(offer.amount, asked.loan)
            ),
            gettext("The offer is used up."),
        ),
        costs=(
            gettext("Interest of %(rate)s a year at the moment.", rate=percent(rate, 2)),
            gettext(GAS_OF_TWO),
        ),
        risks=(gettext(SOLD), *signed.reasons),
        result={
            gettext("You owe afterwards"): money(before.debt + offer.amount, asked.loan),
            gettext("Collateral behind it"): money(before.collateral + more, asked.collateral),
            gettext("Tier of the offer"): letter(offer.tier),
            gettext("Debt for collateral's worth, at most"): percent(tier.lltv_bps / WHOLE_BPS),
            gettext("The offer ends"): moment(offer.expires_at),
            gettext("Signed by"): signed.issuer,
        },
        reckoned=bool(more),
    )


def _run_take(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    signed = offer_of(fields)
    asked = asked_by(ground, account, {**fields, "pool": signed.offer.pool})
    _supply(asked, amount_or_none(fields, "collateral", asked.collateral), say)
    say(gettext("Taking the offer"))
    return _borrowed(asked, asked.lending.take(signed), signed.offer.amount)


def _prepare_repay(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    asked = asked_of(ground, visitor, fields)
    whose = _whose(asked, fields)
    loan = asked.lending.position(asked.state.address, whose)
    if not loan.debt:
        raise BadInput(gettext("There is no debt to repay here."), code="lending.no_debt")
    amount = amount_or_all(fields, "amount", asked.loan)
    paid = loan.debt if amount is None else min(amount, loan.debt)
    left = loan.debt - paid
    if 0 < left < asked.state.terms.min_debt:
        raise BadInput(
            gettext(
                "That would leave %(left)s; what is left must be nothing or at least %(least)s.",
                left=money(left, asked.loan),
                least=money(asked.state.terms.min_debt, asked.loan),
            ),
            hint=gettext("Leave the amount empty to repay all of it."),
            code="lending.dust",
        )
    asked.must_have(asked.state.loan, paid)
    return Review(
        title=gettext("Repay %(amount)s?", amount=money(paid, asked.loan)),
        button=gettext("Repay it"),
        changes=(
            gettext("The debt becomes smaller by what you pay; nothing above the debt is taken."),
            gettext("The collateral stays where it is; once nothing is owed, its owner can take it back."),
        ),
        costs=(money(paid, asked.loan), gettext(GAS_OF_TWO)),
        risks=(gettext("Interest grows until it is mined; what that second owes is paid."),)
        if amount is None
        else (),
        result={
            gettext("Whose loan"): gettext("yours") if whose == asked.me else whose,
            gettext("Owed afterwards"): money(left, asked.loan),
        },
        reckoned=True,
    )


def _whose(asked: Asked, fields: Fields) -> str:
    text = fields.get("borrower", "").strip()
    return address_of(text) if text else asked.me


def _run_repay(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    asked = asked_by(ground, account, fields)
    amount = amount_or_all(fields, "amount", asked.loan)
    say(gettext("Repaying"))
    done = asked.lending.repay(asked.state.address, amount, borrower=_whose(asked, fields))
    return Outcome(
        gettext("%(amount)s are repaid.", amount=money(done.paid, asked.loan)),
        asked.path,
        {gettext("Still owed"): money(done.debt, asked.loan)},
    )


def _prepare_collateral(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    asked = asked_of(ground, visitor, fields)
    before = asked.lending.position(asked.state.address, asked.me)
    amount = amount_of(fields, "amount", asked.collateral)
    shown = money(amount, asked.collateral)
    if _is_back(fields):
        asked.try_out("withdraw_collateral", amount, asked.me)
        return Review(
            title=gettext("Take %(amount)s of collateral back?", amount=shown),
            button=gettext("Take it back"),
            changes=(gettext("%(amount)s come to your account.", amount=shown),),
            costs=(gettext(GAS),),
            risks=(gettext("The loan is sold sooner: less stands behind it."),) if before.debt else (),
            result={gettext("Collateral left"): money(before.collateral - amount, asked.collateral)},
        )
    asked.must_have(asked.state.collateral, amount)
    return Review(
        title=gettext("Put %(amount)s behind your loan?", amount=shown),
        button=gettext("Put it in"),
        changes=(gettext("%(amount)s go from your account to the pool, and stay yours.", amount=shown),),
        costs=(gettext(GAS_OF_TWO),),
        risks=(gettext("As long as you owe something, it can be sold for your debt."),),
        result={gettext("Collateral then"): money(before.collateral + amount, asked.collateral)},
        reckoned=True,
    )


def _is_back(fields: Fields) -> bool:
    return fields.get("way", "") == "back"


def _run_collateral(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    asked = asked_by(ground, account, fields)
    amount, where = amount_of(fields, "amount", asked.collateral), asked.state.address
    if _is_back(fields):
        say(gettext("Taking collateral back"))
        after = asked.lending.withdraw_collateral(where, amount)
        sentence = gettext("%(amount)s came back.", amount=money(amount, asked.collateral))
    else:
        say(gettext("Putting collateral behind the loan"))
        after = asked.lending.supply_collateral(where, amount)
        sentence = gettext(
            "%(amount)s stand behind your loan now.", amount=money(amount, unit_of(asked.state.collateral))
        )
    return Outcome(sentence, asked.path, _stands(asked, after))


ACTIONS: Final = (
    Action("lending.borrow", _prepare_borrow, _run_borrow, back=BACK),
    Action("lending.take", _prepare_take, _run_take, back=BACK),
    Action("lending.repay", _prepare_repay, _run_repay, back=BACK),
    Action("lending.collateral", _prepare_collateral, _run_collateral, back=BACK),
)
