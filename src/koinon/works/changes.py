# SPDX-License-Identifier: Apache-2.0
"""What a visitor can change about Works: collect, speak of one, take up or make an offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault, NotFound
from koinon.web import Action, Fields, Outcome, Review, Say, Unit, Visitor, amount_text, gettext
from koinon.web import marked as _
from koinon.works.api import Works
from koinon.works.catalogue import URI_SCHEME
from koinon.works.ground import Ground
from koinon.works.portrait import CONTEST
from koinon.works.reputation import Reputation
from koinon.works.terms import Consent, Offer, Terms, Use, text_digest

USES: Final[Mapping[int, str]] = {
    Use.DOWNLOAD: _("download it"),
    Use.COMPUTE: _("compute on it"),
    Use.TRAIN: _("train with it"),
    Use.CALL: _("call it"),
    Use.REMIX: _("make new Works from it"),
}
"""Use → what one may do, as a message id."""

_DAY_S: Final = 86_400

LONGEST_REASON: Final = 4_000
"""Characters of a contest or a comment."""


def work_id_of(fields: Fields) -> int:
    """The Work that a form speaks of; `BadInput` otherwise."""
    text = fields.get("work_id", "")
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise BadInput(gettext("The form names no Work."), code="works.form")
    return int(text)


def coin_unit(ground: Ground) -> Unit:
    """What the network's coin is counted in."""
    coin = ground.chain.coin
    return Unit(str(coin.call("symbol")), int(coin.call("decimals")))


def read_amount(text: str, unit: Unit, what: str) -> int:
    """An amount of coins as people type it, in the smallest unit; `BadInput` otherwise."""
    cleaned = text.replace(",", "").strip()
    whole, dot, part = cleaned.partition(".")
    digits = (whole or "0") + part
    fits = (
        cleaned and digits.isascii() and digits.isdigit() and len(part) <= unit.decimals and len(whole) < 20
    )
    if not fits or (dot and not part):
        raise BadInput(
            gettext("%(what)s is not an amount of %(symbol)s.", what=what, symbol=unit.symbol),
            hint=gettext("Write it like 0.25, with at most %(digits)s decimals.", digits=unit.decimals),
            code="works.amount",
        )
    return int(digits + "0" * (unit.decimals - len(part)))


def money(units: int, unit: Unit) -> str:
    """An amount with its unit."""
    return f"{amount_text(units, unit)} {unit.symbol}"


def acting(visitor: Visitor) -> str:
    """The visitor's address; `KeyFault` for nobody."""
    if visitor.address is None:
        raise KeyFault(gettext("Nobody has come in."), hint=gettext("Come in first."), code="web.nobody")
    return visitor.address


# ------------------------------------------------------------ collect


def _prepare_collect(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_ids, unit = _works_of(fields), coin_unit(ground)
    works = Works(ground.chain, ground.store)
    result = {}
    for work_id in work_ids:
        waiting = works.balances(work_id, [ground.chain.coin.address])[ground.chain.coin.address]
        result[gettext("Waiting at the till of Work %(id)s", id=work_id)] = money(waiting, unit)
    return Review(
        title=gettext("Collect along the whole way?"),
        button=gettext("Collect"),
        changes=(
            gettext(
                "Everyone who is due something from these Works, and from the Works they were made "
                "from, is paid now."
            ),
            gettext("Nobody's share changes; what is owner's goes to the owner only if that is you."),
        ),
        costs=(
            gettext("Gas for one transaction for each payee, paid by %(account)s.", account=acting(visitor)),
        ),
        risks=(gettext("A payee that refuses its part is passed over; its part stays in the till."),),
        result=result,
    )


def _run_collect(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    works, unit = Works(ground.chain, ground.store, account), coin_unit(ground)
    received, payouts = 0, 0
    skipped: dict[int, str] = {}
    work_ids = _works_of(fields)
    for work_id in work_ids:
        say(gettext("Paying out Work %(id)s", id=work_id))
        collection = works.collect(work_id)
        received += collection.received(account.address)
        payouts += len(collection.payouts)
        skipped |= dict(collection.skipped)
    facts = {
        gettext("Work %(id)s was passed over", id=work_id): reason for work_id, reason in skipped.items()
    }
    return Outcome(
        gettext(
            "%(num)s payments were made; %(amount)s came to you.", num=payouts, amount=money(received, unit)
        ),
        f"/works/{work_ids[0]}" if len(work_ids) == 1 else "/money",
        facts,
    )


def _works_of(fields: Fields) -> list[int]:
    found = []
    for text in fields.get("work_ids", fields.get("work_id", "")).split(","):
        if not text.strip().isdigit() or len(text) > 15:
            raise BadInput(gettext("The form names no Work."), code="works.form")
        found.append(int(text))
    return list(dict.fromkeys(found))[:100]


# ------------------------------------------------------------ speak of it


def _prepare_word(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_id, contest = work_id_of(fields), fields.get("contest") == "1"
    _word_of(fields)
    owner = Works(ground.chain, ground.store).owner_of(work_id)
    if owner == visitor.address:
        raise BadInput(
            gettext("One does not speak of one's own Work."),
            hint=gettext("The standard refuses feedback by the owner."),
            code="works.own_feedback",
        )
    title = (
        gettext("Contest Work %(id)s?", id=work_id)
        if contest
        else gettext("Say this of Work %(id)s?", id=work_id)
    )
    return Review(
        title=title,
        button=gettext("Contest it") if contest else gettext("Say it"),
        changes=(
            gettext(
                "Your words, signed by %(account)s, stand beside the Work for everyone.",
                account=acting(visitor),
            ),
            gettext("They can be revoked by you, and never removed by anyone else."),
        ),
        costs=(gettext("Gas for one transaction."),),
        risks=(gettext("The text is public. Do not put anybody's personal data into it."),),
        result={gettext("Your words"): fields.get("reason", "")[:200]},
    )


def _run_word(ground: Ground, account: Account, fields: Fields, say: Say) -> Outcome:
    work_id, contest = work_id_of(fields), fields.get("contest") == "1"
    value, reason = _word_of(fields)
    say(gettext("Keeping your words"))
    content = orjson.dumps({"work": work_id, "author": account.address, "text": reason})
    uri = URI_SCHEME + ground.store.put(content)
    say(gettext("Sending the transaction"))
    index = Reputation(ground.chain).give(
        account,
        work_id,
        value,
        tag1=CONTEST if contest else "starred",
        uri=uri,
        content=content,
    )
    sentence = (
        gettext("Your objection stands beside the Work.")
        if contest
        else gettext("Your words stand beside the Work.")
    )
    return Outcome(sentence, f"/works/{work_id}", {gettext("Number among your words"): str(index)})


def _word_of(fields: Fields) -> tuple[int, str]:
    reason = fields.get("reason", "").strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise BadInput(
            gettext("Say why, in at most %(most)s characters.", most=LONGEST_REASON), code="works.reason"
        )
    text = fields.get("value", "0")
    if not text.isdigit() or not 0 <= int(text) <= 100:
        raise BadInput(gettext("A mark is a whole number from 0 to 100."), code="works.mark")
    return int(text), reason


# ------------------------------------------------------------ terms


def _use_of(fields: Fields) -> int:
    text = fields.get("use", "")
    if not text.isdigit() or int(text) not in USES:
        raise BadInput(gettext("The form names no use."), code="works.use")
    return int(text)


def _prepare_buy(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_id, use = work_id_of(fields), _use_of(fields)
    offer, unit = _standing(ground, work_id, use), coin_unit(ground)
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
        else gettext("for %(days)s days", days=round(offer.period_s / _DAY_S, 1))
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
    work_id, use = work_id_of(fields), _use_of(fields)
    offer = _standing(ground, work_id, use)
    say(gettext("Paying"))
    grant_id = Terms(ground.chain).buy(account, work_id, use, offer)
    return Outcome(
        gettext("You may now %(use)s.", use=gettext(USES[use])),
        f"/works/{work_id}",
        {gettext("Receipt"): gettext("grant %(id)s", id=grant_id)},
    )


def _standing(ground: Ground, work_id: int, use: int) -> Offer:
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
    return offer


def _prepare_offer(ground: Ground, visitor: Visitor, fields: Fields) -> Review:
    work_id, use, unit = work_id_of(fields), _use_of(fields), coin_unit(ground)
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
    work_id, use, terms = work_id_of(fields), _use_of(fields), Terms(ground.chain)
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
        period_s=_days(fields) * _DAY_S,
    )
    return Outcome(gettext("The offer stands."), f"/works/{work_id}")


def _days(fields: Fields) -> int:
    text = fields.get("days", "").strip() or "0"
    if not text.isdigit() or int(text) > 36_500:
        raise BadInput(gettext("Days are a whole number; 0 is for ever."), code="works.days")
    return int(text)


def _days_text(fields: Fields) -> str:
    days = _days(fields)
    return gettext("for ever") if not days else gettext("%(days)s days", days=days)


def _must_own(ground: Ground, visitor: Visitor, work_id: int) -> None:
    if Works(ground.chain, ground.store).owner_of(work_id) != acting(visitor):
        raise KeyFault(
            gettext("Work %(id)s belongs to somebody else.", id=work_id),
            hint=gettext("Only its owner makes and closes offers."),
            code="works.not_owner",
        )


ACTIONS: Final = (
    Action("works.collect", _prepare_collect, _run_collect, back="/money"),
    Action("works.word", _prepare_word, _run_word, back="/explore"),
    Action("works.buy", _prepare_buy, _run_buy, back="/explore"),
    Action("works.offer", _prepare_offer, _run_offer, back="/me"),
)
