# SPDX-License-Identifier: Apache-2.0
"""Calling a service from its page, with a gateway that really takes the money, and gateways of strangers."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from types import SimpleNamespace

import orjson
import pytest

from koinon.chain.keys import Key
from koinon.services.counter import GATEWAY, keyring, open_shelf
from koinon.works.api import Works
from koinon.works.registration import Card, Registration, Service
from tests.console.wallet_support import send
from tests.pages_support import COIN, state
from tests.services.support import GatewayProcess

PRICE = 1_000


@pytest.fixture(scope="module")
def gateway(town):
    key = keyring(town.house).open(GATEWAY)
    town.house.fund(key.address)
    file = town.house.settings.home / "network.json"
    town.chain.network.save(file)
    process = GatewayProcess(
        SimpleNamespace(network_file=file), town.house.settings.home / GATEWAY, key, {"port": 0}
    )
    yield process.start()
    process.stop()


@pytest.fixture(scope="module")
def guest(town):
    return town.guest()


@pytest.fixture(scope="module")
def service(town, gateway, answering):
    return publish(town, f"{answering.url}/good")


def publish(town, endpoint, **fields):
    """A service as the operator publishes one from the page; its Work's id once the gateway sells it."""
    operator = town.operator()
    page = operator.do(
        "services.publish",
        kind="endpoint",
        endpoint=endpoint,
        price="0.001",
        example='{"income": 5}',
        **{"name": "Echo", **fields},
    )
    found = re.search(r"is Work (\d+)", page)
    assert found is not None
    work_id = found.group(1)
    deadline = time.monotonic() + 30
    while operator.raw(f"/works/{work_id}/call").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return work_id


def form(visit, work_id, /, **changed):
    """What the form on the service's page sends."""
    page = visit.page(f"/works/{work_id}/call")
    fields = {
        name: re.findall(rf'name="{name}" value="([^"]*)"', page)[0]
        for name in ("work_id", "number", "price")
    }
    return {**fields, "json": '{"income": 7}', "calls": "0", **changed}


def failed(visit, fields):
    """The page of a call that did not come off."""
    path = visit.ask("services.call", **fields)
    assert send(visit.client, f"{path}/begin").status_code == 303
    page = visit.finished(path)
    assert state(page) == "failed", page
    return page


def till_of(town, work_id):
    return Works(town.chain, town.house.store).till_of(int(work_id))


# ------------------------------------------------------------ paid and answered


def test_a_guest_pays_for_one_call_and_reads_the_answer(town, guest, service):
    before, till = town.coins(guest.address), town.coins(till_of(town, service))
    fields = form(guest, service)
    review = guest.review("services.call", **fields)
    assert "You sign one payment of 0.001 tUSD" in review
    page = guest.do("services.call", **fields)
    assert '{"asked":{"income":7}}' in page
    assert "Its publisher stated no metric." in page
    assert before - town.coins(guest.address) == PRICE
    assert town.coins(till_of(town, service)) - till == PRICE


def test_the_same_purchase_is_never_paid_twice(town, guest, service):
    fields = form(guest, service)
    path = guest.ask("services.call", **fields)
    guest.agree(path)
    before = town.coins(guest.address)
    again = send(guest.client, f"{path}/again").headers["location"]
    send(guest.client, f"{again}/begin")
    assert "payment.spent" in guest.finished(again)
    assert "payment.spent" in failed(guest, fields)
    assert town.coins(guest.address) == before


def test_a_call_that_got_no_answer_is_tried_again_without_paying_again(town, guest, answering, gateway):
    work_id = publish(town, f"{answering.url}/later")
    before = town.coins(guest.address)
    fields = form(guest, work_id)
    assert "Nothing was charged" in failed(guest, fields)
    assert town.coins(guest.address) == before
    answering.says["/later"] = b'"now"'
    assert 'The answer: "now"' in guest.do("services.call", **fields)
    assert before - town.coins(guest.address) == PRICE


def test_a_channel_pays_for_later_calls_without_a_transaction(town, gateway, service):
    visit = town.guest()
    before = town.coins(visit.address)
    assert "0.005 tUSD are put into a channel" in visit.review(
        "services.call", **form(visit, service, calls="5")
    )
    visit.do("services.call", **form(visit, service, calls="5"))
    assert before - town.coins(visit.address) == 5 * PRICE
    visit.do("services.call", **form(visit, service, calls="5"))
    assert before - town.coins(visit.address) == 5 * PRICE
    assert "Take the rest back" in visit.page("/money")


def test_a_price_that_rose_since_the_page_was_read_is_refused(town, guest, service):
    cheap = form(guest, service, price=str(PRICE - 1))
    before = town.coins(guest.address)
    for calls in ("0", "5"):
        assert "service.price_rose" in guest.refused("services.call", **{**cheap, "calls": calls})
    assert town.coins(guest.address) == before


@pytest.mark.parametrize("path", ["html", "broken", "redirect", "dead"])
def test_an_endpoint_that_fails_costs_the_buyer_nothing(town, guest, answering, gateway, path):
    work_id = publish(town, f"{answering.url}/{path}")
    before = town.coins(guest.address)
    page = failed(guest, form(guest, work_id))
    assert "Nothing was charged" in page
    assert "secret" not in page
    assert answering.url.removeprefix("http://") not in page
    assert town.coins(guest.address) == before


def test_who_has_too_little_is_told_before_signing(town, service):
    poor = town.as_wallet(Key.generate().address)
    assert "service.too_little" in poor.refused("services.call", **form(poor, service))


# ------------------------------------------------------------ forms


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        ("work_id", "²", "service.form"),
        ("work_id", "", "service.form"),
        ("number", "", "service.form"),
        ("number", "z" * 64, "payment.number"),
        ("number", "ab" * 31, "service.form"),
        ("price", "", "service.form"),
        ("price", "²", "service.form"),
        ("price", "-1", "service.form"),
        ("price", "9" * 5_000, "service.form"),
        ("calls", "²", "service.calls"),
        ("calls", "-1", "service.calls"),
        ("calls", "100001", "service.calls"),
        ("calls", "9" * 5_000, "service.calls"),
        ("json", "", "service.arguments"),
        ("json", "[]", "service.arguments"),
        ("json", "{", "service.arguments"),
        ("json", "[" * 100_000, "service.arguments"),
        ("json", '{"a":"' + "x" * 200_000 + '"}', "service.arguments"),
    ],
)
def test_a_wrong_form_is_refused_before_anything_is_signed(town, guest, service, field, text, code):
    fields = form(guest, service, **{field: text})
    before = town.coins(guest.address)
    if code == "payment.number":
        assert code in failed(guest, fields)
    else:
        assert code in guest.refused("services.call", **fields)
    assert town.coins(guest.address) == before


def test_a_work_that_is_no_service_is_not_called(town, guest):
    work = town.work("Only a dataset")
    assert "service.not_called" in guest.page(f"/works/{work.work_id}/call", status=404)
    guest.page("/works/999999999/call", status=404)
    guest.page(f"/works/{10**30}/call", status=404)


# ------------------------------------------------------------ strangers' gateways


def strange(town, answering, description, path="/strange"):
    """A Work whose file names a gateway of somebody's own, and what that gateway says."""
    works = Works(town.chain, town.house.store, town.owner)
    card = Card("service", "s", "d", ("l",), "c", unmeasured="u")
    services = (Service("x402", f"{answering.url}{path}"),)
    work = works.publish(Registration("Strange", "Strange", card, services=services, x402_support=True))
    if description is not None:
        answering.says[f"{path}/{work.work_id}"] = orjson.dumps(description)
    return work.work_id


SOUND = {
    "name": "<script>alert(1)</script>",
    "description": "<img src=x onerror=alert(1)>",
    "price": {"amount": "1000", "symbol": "tUSD", "decimals": 18, "asset": "0x"},
    "schema": {"input": {"properties": {"<b>": {"type": "number"}}, "required": ["<b>"]}},
    "example": {"<b>": '"><script>'},
    "card": {"metric": "AUC", "value": 0.9, "interval": [0.8, 1.0], "baseline": 0.5, "baseline_name": "<i>"},
}


def test_a_strangers_words_are_shown_and_never_run(town, guest, answering):
    work_id = strange(town, answering, SOUND)
    page = guest.raw(f"/works/{work_id}/call").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    for tag in ("<script>alert", "<img src=x", "<b>&", "<i>", '"><script'):
        assert tag not in page


def test_a_price_is_in_the_networks_coin_whatever_a_gateway_calls_it(town, guest, answering):
    dear = {**SOUND, "price": {"amount": str(10**12), "symbol": "crumbs", "decimals": 18}}
    page = guest.page(f"/works/{strange(town, answering, dear)}/call")
    assert "1,000,000.00" in page
    assert "crumbs" not in page


@pytest.mark.parametrize(
    "changed",
    [
        {"price": None},
        {"price": {"amount": "²"}},
        {"price": {"amount": "-5"}},
        {"price": {"amount": "0"}},
        {"price": {"amount": "9" * 80}},
        {"price": {"amount": [1]}},
        {"schema": None},
        {"schema": {"input": []}},
    ],
)
def test_a_gateway_that_makes_no_sense_is_away(town, guest, answering, changed):
    work_id = strange(town, answering, {**SOUND, **changed})
    assert "is not sold at the moment" in guest.page(f"/works/{work_id}/call", status=503)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": None, "description": 5, "card": None, "example": None},
        {"name": ["x"], "card": "AUC", "example": [1]},
        {"card": {"metric": "AUC", "value": "high", "interval": [1, 2], "baseline": 1}},
        {"card": {"metric": "AUC", "value": 1, "interval": 5, "baseline": 1}},
        {"card": {"metric": {"a": 1}, "value": 1, "interval": [1, 2], "baseline": 1}},
        {"schema": {"input": {"properties": {"a": {"type": ["number", "null"]}}, "required": 7}}},
        {"schema": {"input": {"properties": {"a": "number"}}}},
        {"schema": {"input": {"properties": [1], "additionalProperties": True}}},
        {"schema": {"input": {"properties": {str(n): {"type": "number"} for n in range(5_000)}}}},
    ],
)
def test_odd_descriptions_still_make_a_page(town, guest, answering, changed):
    page = guest.page(f"/works/{strange(town, answering, {**SOUND, **changed})}/call")
    assert "Price of a call" in page


@pytest.mark.parametrize("path", ["/html", "/large", "/redirect", "/dead", "/broken", "/missing"])
def test_a_gateway_that_answers_badly_is_away(town, guest, answering, path):
    assert "is not sold at the moment" in guest.page(
        f"/works/{strange(town, answering, None, path)}/call", status=503
    )


def test_a_console_that_others_reach_asks_nothing_inside_for_them(town, guest, answering, monkeypatch):
    work_id = strange(town, answering, SOUND)
    path = f"/strange/{work_id}"
    guest.page(f"/works/{work_id}/call")
    asked = answering.count(path)
    monkeypatch.setattr(town.house, "settings", replace(town.house.settings, console_url="https://k.example"))
    answer = guest.page(f"/works/{work_id}/call", status=503)
    assert "Refused" not in answer
    assert answering.count(path) == asked
    town.operator().page(f"/works/{work_id}/call")
    assert answering.count(path) == asked + 1


def test_a_gateway_that_wants_the_money_elsewhere_is_not_paid(town, guest, answering):
    work_id = strange(town, answering, SOUND)
    before = town.coins(guest.address)
    fields = {"work_id": str(work_id), "number": "ab" * 32, "price": "1000", "input_<b>": "1"}
    page = failed(guest, fields)  # it never says 402 with this Work's till
    assert town.coins(guest.address) == before
    assert "payment.paid_unanswered" not in page


@pytest.mark.parametrize("text", ["", "²", "nan", "inf", "1e999999", "x"])
def test_a_field_that_is_no_number_is_refused(town, guest, answering, text):
    work_id = strange(town, answering, SOUND)
    fields = {"work_id": str(work_id), "number": "ab" * 32, "price": "1000", "input_<b>": text}
    assert "service.arguments" in guest.refused("services.call", **fields)


def test_what_is_sold_here_is_listed_with_its_price(town, guest, service):
    page = guest.page("/services")
    assert "Echo" in page
    assert "0.001" in page
    assert open_shelf(town.house).sells(int(service))
    assert not open_shelf(town.house).sells(COIN * COIN)
