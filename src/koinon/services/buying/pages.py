# SPDX-License-Identifier: Apache-2.0
"""Calling a service from a page and paying for it, as guest, operator or with a wallet.

The form carries the number of the purchase and the price that its page showed. The number is the payment's
own (see `purchase`), so that the same wish tried again is never paid twice; the price is the most that is
paid for a call, so that one which rose since is refused.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault, PaymentError
from koinon.services.buying.answers import LONGEST_JSON, WrongInput, read_form
from koinon.services.buying.description import Description, describe, read_quality
from koinon.services.buying.form import form_of
from koinon.services.buying.purchase import NUMBER_BYTES, buy_call, call_by_channel
from koinon.services.buying.reach import asking, calling, place_of
from koinon.services.prices import to_text
from koinon.web import Action, Fields, Outcome, Review, Say, Unit, Visitor, gettext
from koinon.works.forms import coin_unit

MOST_CALLS: Final = 100_000


def read_arguments(found: Description, fields: Fields) -> dict[str, Any]:
    """The body of a call from a form: its fields by the service's schema, or one of JSON; `WrongInput`
    otherwise."""
    text, form = fields.get("json"), form_of(found.schema, found.example)
    return read_form(form, fields) if text is None and form is not None else _from_json(text or "")


def check_form(found: Description, fields: Fields) -> None:
    """`WrongInput` where a field of the form is wrong."""
    read_arguments(found, fields)
    _calls(fields)


def _from_json(text: str) -> dict[str, Any]:
    if len(text) > LONGEST_JSON:
        raise WrongInput(gettext("The arguments are not a JSON object."), field="json")
    try:
        body = orjson.loads(text)
    except ValueError as error:
        raise WrongInput(
            gettext("The arguments are not JSON: %(error)s", error=error),
            field="json",
            hint=gettext("Write them like %(example)s.", example='{"income": 5}'),
        ) from None
    if not isinstance(body, dict):
        raise WrongInput(gettext("The arguments are not a JSON object."), field="json")
    return body


def _work_id(fields: Fields) -> int:
    text = fields.get("work_id", "")
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise BadInput(gettext("The form names no Work."), code="service.form")
    return int(text)


def _calls(fields: Fields) -> int:
    """How many calls' worth is put into a channel; 0 for paying just once."""
    text = fields.get("calls", "").strip() or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > MOST_CALLS:
        raise WrongInput(
            gettext("The number of calls is a whole number up to %(most)s.", most=MOST_CALLS),
            field="calls",
            code="service.calls",
        )
    return int(text)


def _purchase(fields: Fields) -> tuple[str, int]:
    """The purchase's number, and the price that was agreed to."""
    number, price = fields.get("number", ""), fields.get("price", "")
    numbered = number.isascii() and len(number) == 2 * NUMBER_BYTES and number.isalnum()
    if not numbered or not (price.isascii() and price.isdigit() and len(price) < 40):
        raise BadInput(
            gettext("The form does not say what is bought at which price."),
            hint=gettext("Load the service's page again."),
            code="service.form",
        )
    return number, int(price)


def _agreed(found: Description, most: int, unit: Unit) -> None:
    """`PaymentError` where a call costs more than was agreed to."""
    if found.price > most:
        raise PaymentError(
            gettext(
                "A call costs %(price)s now; the page said %(agreed)s.",
                price=_money(found.price, unit),
                agreed=_money(most, unit),
            ),
            hint=gettext("Load the service's page again."),
            code="service.price_rose",
        )


def _prepare(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    work_id, calls = _work_id(fields), _calls(fields)
    _number, most = _purchase(fields)
    if visitor.address is None:
        raise KeyFault(gettext("Nobody has come in."), hint=gettext("Come in first."), code="web.nobody")
    place, unit = place_of(ground, work_id), coin_unit(ground)
    found = describe(asking(ground, place, operator=visitor.kind == "operator"), place.url)
    _agreed(found, most, unit)
    arguments = read_arguments(found, fields)
    balance = int(ground.chain.coin.call("balanceOf", visitor.address))
    needed = found.price * max(1, calls)
    if balance < needed:
        raise PaymentError(
            gettext(
                "You have %(have)s %(symbol)s, and this takes %(needed)s.",
                have=to_text(balance, unit.decimals),
                needed=to_text(needed, unit.decimals),
                symbol=unit.symbol,
            ),
            hint=gettext(
                "Where money is test money, the page Money gives you some; else send your account some."
            ),
            code="service.too_little",
        )
    if calls:
        changes: tuple[str, ...] = (
            gettext(
                "%(amount)s are put into a channel that only pays this Work.", amount=_money(needed, unit)
            ),
            gettext(
                "This call takes its price from there; later calls need a signature each and no transaction."
            ),
        )
        risks = (
            gettext("What you do not use comes back when you close the channel, after a delay of its own."),
        )
    else:
        changes = (
            gettext(
                "You sign one payment of %(amount)s to the Work's till.", amount=_money(found.price, unit)
            ),
        )
        risks = (gettext("The gateway sees your question; the payment is on the chain for everyone."),)
    return Review(
        title=gettext("Call “%(name)s”?", name=found.name),
        button=gettext("Pay and call"),
        changes=changes,
        costs=(
            _money(found.price, unit),
            gettext("No gas: the gateway brings the payment to the chain."),
        ),
        risks=risks,
        result={gettext("You ask"): orjson.dumps(arguments).decode()[:400]},
    )


def _run(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    work_id, calls = _work_id(fields), _calls(fields)
    number, most = _purchase(fields)
    place, unit = place_of(ground, work_id), coin_unit(ground)
    operator = account.address == ground.operator.address
    found = describe(asking(ground, place, operator=operator), place.url)
    _agreed(found, most, unit)
    arguments = read_arguments(found, fields)
    http = calling(ground, place, operator=operator)
    own = ground.chain.contract("Works").call("ownerOf", work_id) == account.address
    say(gettext("Signing and calling"))
    if calls:
        whole = most * calls
        answer = call_by_channel(
            ground.chain, account, place.url, arguments, deposit=whole, most=whole, price=most, http=http
        )
    else:
        answer = buy_call(ground.chain, account, place.url, arguments, number=number, most=most, http=http)
    evidence = answer.evidence if isinstance(answer.evidence, dict) else {}
    facts = {
        gettext("You asked"): orjson.dumps(arguments).decode()[:2_000],
        gettext("How good it is"): _how_good(evidence.get("card")),
        gettext("Paid"): _money(answer.charged, unit),
        gettext("Input digest"): str(evidence.get("input_digest", ""))[:80],
    }
    told = gettext("The answer: %(answer)s", answer=orjson.dumps(answer.result).decode()[:4_000])
    title, where = gettext("“%(name)s” answered", name=found.name), f"/services/{work_id}"
    if own:
        return Outcome(told, where, facts, title)
    return Outcome(told, f"{where}#rate", facts, title, gettext("Rate it"))


def _how_good(card: Any) -> str:
    quality = read_quality(card)
    if not quality.metric:
        return quality.unmeasured or gettext("Not measured.")
    low, high = quality.interval
    return (
        f"{quality.metric} {quality.value:.3f} [{low:.3f}, {high:.3f}] "
        f"· {quality.baseline_name} {quality.baseline:.3f}"
    )


def _money(units: int, unit: Unit) -> str:
    return f"{to_text(units, unit.decimals)} {unit.symbol}"


CALL: Final = Action("services.call", _prepare, _run, back="/explore/service")
