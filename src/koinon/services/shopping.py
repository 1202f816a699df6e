# SPDX-License-Identifier: Apache-2.0
"""Calling a service from a page and paying for it, as guest, operator or with a wallet."""

from __future__ import annotations

from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.errors import BadInput, KeyFault, NotFound, PaymentError, PeerError
from koinon.services.client import Buyer
from koinon.services.counter import open_counter
from koinon.services.prices import to_text
from koinon.services.transport import Http
from koinon.web import Action, Fields, Outcome, Review, Say, Visitor, gettext
from koinon.works.api import Works

PATIENCE_S: Final = 5.0
"""For asking a gateway what it sells."""

LONGEST_JSON: Final = 200_000
MOST_CALLS: Final = 100_000


def address_of(ground: Any, work_id: int) -> str:
    """Where a Work is called: at this node's gateway, or where its registration file says.

    Raises
    ------
    NotFound
        It is no service, or its file is not on this node.
    """
    services = open_counter(ground)
    running = services.running()
    if work_id in {listing.work_id for listing in services.listings()}:
        return f"{running or services.url}/services/{work_id}"
    file = Works(ground.chain, ground.store).registration_of(work_id).registration
    for service in file.services:
        if service.name == "x402":
            return f"{service.endpoint.rstrip('/')}/{work_id}"
    raise NotFound(
        gettext("Work %(id)s is not sold by the call.", id=work_id),
        hint=gettext("See its terms on its own page."),
        code="service.not_called",
    )


def describe(url: str) -> dict[str, Any]:
    """What the gateway at an address says of a service; PeerError when it says nothing that makes sense."""
    http = Http(PATIENCE_S)
    try:
        response = http.request("GET", url)
    finally:
        http.close()
    try:
        found = orjson.loads(response.body)
        int(found["price"]["amount"])
        usable = response.status == 200 and isinstance(found["schema"]["input"], dict)
    except (ValueError, KeyError, TypeError):
        usable = False
    if not usable:
        raise PeerError(
            gettext("The gateway does not sell this at the moment."),
            hint=gettext("Try again in a few seconds; a service that was just published needs a moment."),
            code="service.away",
        )
    return dict(found)


def read_arguments(schema: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """The body of a call from a form: one field an input, or one of JSON; `BadInput` otherwise."""
    text = fields.get("json")
    if text is not None:
        try:
            body = orjson.loads(text) if len(text) <= LONGEST_JSON else None
        except ValueError as error:
            raise BadInput(
                gettext("The arguments are not JSON: %(error)s", error=error),
                hint=gettext("Write them like %(example)s.", example='{"income": 5}'),
                code="service.arguments",
            ) from None
        if not isinstance(body, dict):
            raise BadInput(gettext("The arguments are not a JSON object."), code="service.arguments")
        return body
    body = {}
    for name, entry in schema.get("properties", {}).items():
        given = fields.get(f"input_{name}", "").strip()
        if not given and name not in schema.get("required", ()):
            continue
        body[name] = _value(name, str(entry.get("type")), given)
    return body


def _value(name: str, kind: str, text: str) -> Any:
    try:
        if kind == "number":
            return float(text)
        if kind == "integer":
            return int(text)
    except ValueError:
        raise BadInput(gettext("%(name)s is not a number.", name=name), code="service.arguments") from None
    if kind == "boolean":
        if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
            raise BadInput(gettext("%(name)s is yes or no.", name=name), code="service.arguments")
        return text.lower() in ("true", "yes", "1")
    return text


def _work_id(fields: Fields) -> int:
    text = fields.get("work_id", "")
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise BadInput(gettext("The form names no Work."), code="service.form")
    return int(text)


def _calls(fields: Fields) -> int:
    """How many calls' worth is put into a channel; 0 for paying just once."""
    text = fields.get("calls", "").strip() or "0"
    if not text.isascii() or not text.isdigit() or int(text) > MOST_CALLS:
        raise BadInput(
            gettext("The number of calls is a whole number up to %(most)s.", most=MOST_CALLS),
            code="service.calls",
        )
    return int(text)


def _prepare(ground: Any, visitor: Visitor, fields: Fields) -> Review:
    work_id, calls = _work_id(fields), _calls(fields)
    if visitor.address is None:
        raise KeyFault(gettext("Nobody has come in."), hint=gettext("Come in first."), code="web.nobody")
    found = describe(address_of(ground, work_id))
    arguments = read_arguments(found["schema"]["input"], fields)
    price, unit = int(found["price"]["amount"]), found["price"]
    balance = int(ground.chain.coin.call("balanceOf", visitor.address))
    needed = price * max(1, calls)
    if balance < needed:
        raise PaymentError(
            gettext(
                "You have %(have)s %(symbol)s, and this takes %(needed)s.",
                have=to_text(balance, unit["decimals"]),
                needed=to_text(needed, unit["decimals"]),
                symbol=unit["symbol"],
            ),
            hint=gettext("Come in as a guest to be given test coins, or send your account some."),
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
            gettext("You sign one payment of %(amount)s to the Work's till.", amount=_money(price, unit)),
        )
        risks = (gettext("The gateway sees your question; the payment is on the chain for everyone."),)
    return Review(
        title=gettext("Call “%(name)s”?", name=found["name"]),
        button=gettext("Pay and call"),
        changes=changes,
        costs=(_money(price, unit), gettext("No gas: the gateway brings the payment to the chain.")),
        risks=risks,
        result={gettext("You ask"): orjson.dumps(arguments).decode()[:400]},
    )


def _run(ground: Any, account: Account, fields: Fields, say: Say) -> Outcome:
    work_id, calls = _work_id(fields), _calls(fields)
    url = address_of(ground, work_id)
    found = describe(url)
    price, unit = int(found["price"]["amount"]), found["price"]
    arguments = read_arguments(found["schema"]["input"], fields)
    say(gettext("Signing and calling"))
    limit = price * max(1, calls)
    with Buyer(ground.chain, account, spending_limit=limit, deposit=limit if calls else None) as buyer:
        answer = buyer.call(url, arguments) if calls else buyer.call_exact(url, arguments)
    facts = {gettext("You asked"): orjson.dumps(arguments).decode()[:2_000]}
    evidence = answer.evidence
    card = evidence.get("card") or {}
    if card.get("metric"):
        facts[gettext("How good it is")] = (
            f"{card['metric']} {card['value']:.3f} {card['interval']} "
            f"· {card['baseline_name']} {card['baseline']:.3f}"
        )
    else:
        facts[gettext("How good it is")] = str(card.get("unmeasured", "")) or gettext("Not measured.")
    facts[gettext("Paid")] = _money(answer.charged, unit)
    facts[gettext("Input digest")] = str(evidence.get("input_digest", ""))
    return Outcome(
        gettext("The answer: %(answer)s", answer=orjson.dumps(answer.result).decode()[:4_000]),
        f"/works/{work_id}",
        facts,
    )


def _money(units: int, unit: dict[str, Any]) -> str:
    return f"{to_text(units, int(unit['decimals']))} {unit['symbol']}"


CALL: Final = Action("services.call", _prepare, _run, back="/explore/service")
