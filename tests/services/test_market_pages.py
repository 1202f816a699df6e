# SPDX-License-Identifier: Apache-2.0
"""The marketplace's pages, with a gateway that really takes the money."""

from __future__ import annotations

import base64
import io
import re
import time
from contextlib import nullcontext
from fractions import Fraction
from types import SimpleNamespace

import orjson
import pytest
from click.testing import CliRunner

from koinon.chain.keys import Key
from koinon.errors import BadInput
from koinon.services.counter import GATEWAY, keyring
from koinon.services.finding.cli import find, rate, trust
from koinon.services.finding.opening import open_market
from koinon.services.finding.rating import give_trust
from koinon.terminal import Session, Terminal
from koinon.works.api import Works
from koinon.works.registration import Card, Registration, Service
from koinon.works.validation import Validations
from tests.console.wallet_support import token
from tests.pages_support import words
from tests.services.support import GatewayProcess

PRICE = 1_000
SOURCE = '''
from typing import Literal
from pydantic import Base64Bytes, BaseModel, Field


class Place(BaseModel):
    city: str
    floor: int = 0


def measure(
    length: float,
    times: int = 1,
    *,
    grade: Literal["low", "high"] = "low",
    exact: bool = False,
    tags: list[str] = [],
    place: Place = Place(city="Taipei"),
    photo: Base64Bytes = b"",
) -> str:
    """How long it is."""
    return f"{length * times} {grade} {exact} {tags} {place.city}/{place.floor} {len(photo)}"
'''


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
def farmer(town):
    """Somebody whose dataset the service was made from."""
    key = Key.generate()
    town.house.fund(key.address)
    return key


@pytest.fixture(scope="module")
def dataset(town, farmer):
    card = Card("dataset", "Rain.", "Gauges.", ("One island.",), "Ask.", unmeasured="A table.")
    works = Works(town.chain, town.house.store, farmer)
    shares = {Key.generate().address: Fraction(1, 100)}
    return works.publish(Registration("Rain gauges of the market's test", "Rain.", card), shares=shares)


@pytest.fixture(scope="module")
def guest(town):
    """One who never rates anything."""
    return town.guest()


@pytest.fixture(scope="module")
def service(town, gateway, dataset):
    """A service of the operator's that passes 60 % on to the farmer's dataset."""
    operator = town.operator()
    location = operator.upload(
        "/publish/service",
        {
            "kind": "function",
            "function": "measure",
            "price": "0.001",
            "name": "Quokka measure",
            "description": "How long a quokka is.",
            "shares": f"{dataset.till}=60%",
        },
        ("measure.py", SOURCE.encode(), "text/x-python"),
    ).headers["location"]
    page = operator.agree(location)
    found = re.search(r"is Work (\d+)", page)
    assert found is not None
    work_id = found.group(1)
    deadline = time.monotonic() + 60
    while "Review and pay" not in operator.raw(f"/services/{work_id}").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return work_id


def form(visit, work_id, /, **changed):
    """What the form on the service's page sends where only the length is filled in."""
    page = visit.page(f"/services/{work_id}")
    fields = {
        name: re.findall(rf'name="{name}" value="([^"]*)"', page)[0]
        for name in ("work_id", "number", "price")
    }
    return {**fields, "input_length": "2.5", "calls": "0", **changed}


def answer(visit, work_id, **changed):
    """The page with a call's answer."""
    return visit.do("services.call", **form(visit, work_id, **changed))


# ------------------------------------------------------------ search


def test_a_service_is_found_with_its_price_and_what_was_measured(town, guest, service):
    page = words(guest.page("/market?q=quokkas"))
    assert "One service for “quokkas”" in page
    assert "Quokka measure" in page
    assert "0.001" in page
    assert "Quokka" not in guest.page("/market?q=quokka&price=0.0001").split("<tbody>")[-1]
    answer(guest, service)
    assert "Quokka measure" in guest.page("/market?q=quokka&ms=60000")
    measured = open_market(town.house).find("quokka", ask=False).results[0].measured
    assert measured is not None
    assert measured.success > 0


@pytest.mark.parametrize("query", ["price=x", "ms=-1", "mark=101", "mark=nan", "price=-1", "ms=1e9999"])
def test_a_wrong_condition_is_told_and_the_list_is_still_there(town, service, query):
    page = town.nobody().page(f"/market?q=quokka&{query}")
    assert 'class="notice warning"' in page
    assert "Quokka measure" in page


@pytest.mark.parametrize("query", ["q=%00", "q=" + "a" * 5_000, "q=%E9%9B%A8", "q=<script>alert(1)</script>"])
def test_odd_questions_are_only_questions(town, query):
    assert "<script>alert(1)" not in town.nobody().raw(f"/market?{query}").text


# ------------------------------------------------------------ the form


def test_every_kind_of_input_has_its_field(town, guest, service):
    page = guest.page(f"/services/{service}")
    assert re.search(r'name="input_length" type="number" step="any"[^>]* required', page)
    assert re.search(r'name="input_times" type="number" step="1"', page)
    assert '<option value="high">' in page
    assert '<option value="true">' in page
    assert 'name="input_tags" rows' in page
    assert 'name="input_place.city"' in page
    assert re.search(r'name="input_photo" type="file"', page)


def test_what_is_filled_in_reaches_the_function(town, guest, service):
    page = answer(
        guest, service,
        input_times="2", input_grade="high", input_exact="true", input_tags="wild\nsmall\n",
        **{"input_place.city": "Perth", "input_place.floor": "3"},
    )  # fmt: skip
    assert "5.0 high True ['wild', 'small'] Perth/3 0" in page


def test_a_file_goes_with_the_call(town, guest, service):
    fields = form(guest, service)
    sent = guest.client.post(
        f"/services/{service}",
        data={"csrf_token": token(guest.client), **fields},
        files={"input_photo": ("q.png", b"\x89PNG" * 50, "image/png")},
        follow_redirects=False,
    )
    assert sent.status_code == 303, sent.text
    assert "Taipei/0 200" in guest.agree(sent.headers["location"])


def test_a_file_that_is_too_large_or_no_text_is_refused_in_words(town, guest, service):
    fields = {"csrf_token": token(guest.client), **form(guest, service)}
    big = {"input_photo": ("q.png", b"x" * (600 << 10), "image/png")}
    sent = guest.client.post(f"/services/{service}", data=fields, files=big)
    assert sent.status_code == 422
    assert "The file for photo is larger than 512 KB." in sent.text
    assert 'value="2.5"' in sent.text
    odd = {"input_photo": ("q.png", b"\xff\xfe", "image/png")}
    sent = guest.client.post(f"/services/{service}", data={**fields, "text_input_photo": "1"}, files=odd)
    assert "is not text in UTF-8" in sent.text


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("input_length", "", "length is missing."),
        ("input_length", "long", "length is not a number."),
        ("input_times", "1.5", "times is not a whole number."),
        ("input_grade", "middle", "grade is not one of the choices."),
        ("input_exact", "perhaps", "exact is yes or no."),
    ],
)
def test_what_is_wrong_is_said_of_its_input_before_anything_is_signed(
    town, guest, service, field, text, said
):
    before = town.coins(guest.address)
    assert said in guest.refused("services.call", **form(guest, service, **{field: text}))
    assert town.coins(guest.address) == before


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("input_length", "long", "length is not a number."),
        ("input_grade", "middle", "grade is not one of the choices."),
        ("input_tags", "a\n" * 10_001, "tags has more than 10,000 lines."),
        ("input_place.floor", "up", "floor is not a whole number."),
        ("calls", "many", "The number of calls is a whole number up to 100000."),
    ],
)
@pytest.mark.parametrize("who", ["guest", "nobody"])
def test_what_is_wrong_comes_back_to_its_field_with_everything_as_it_was_written(
    town, guest, service, who, field, text, said
):
    """Before anything is kept, signed or asked for."""
    visit = guest if who == "guest" else town.nobody()
    fields = form(visit, service, **{"input_times": "7", "input_place.city": "<Tainan>", field: text})
    kept = len(town.app.state.records.rows("SELECT id FROM action"))
    sent = visit.client.post(f"/services/{service}", data={"csrf_token": token(visit.client), **fields})
    assert sent.status_code == 422
    page = sent.text
    assert f'<p class="error" id="{field}-error">{said}</p>' in page
    assert len(re.findall('aria-invalid="true"', page)) == 1
    assert "Nothing was signed. Correct what is marked" in page
    assert 'name="input_times" type="number" step="1" value="7"' in page
    assert "&lt;Tainan&gt;" in page
    assert "<Tainan>" not in page
    assert len(town.app.state.records.rows("SELECT id FROM action")) == kept


def test_an_answer_leads_to_its_mark_and_ones_own_service_to_its_page(town, service):
    guest, operator = town.guest(), town.operator()
    done = answer(guest, service)
    assert "“Quokka measure” answered" in done
    assert f'href="/services/{service}#rate">Rate it</a>' in done
    assert 'id="rate"' in guest.page(f"/services/{service}")
    mint = town.chain.coin.transaction("mint", town.house.operator.address, PRICE)
    town.chain.sender(town.house.operator).send(mint)
    assert f'href="/services/{service}">See it</a>' in answer(operator, service)


# ------------------------------------------------------------ what others say


def test_who_paid_is_asked_for_a_mark_and_who_believes_the_farmer_sees_it_count(town, service, dataset):
    guest = town.guest()
    assert "Call it once, and you can rate it here" in guest.page(f"/services/{service}")
    answer(guest, service)
    assert "You have paid 0.001 tUSD for it." in words(guest.page(f"/services/{service}"))
    review = guest.review("services.rate", work_id=service, mark="85", reason="It measured well.")
    assert "They count with others by what you paid that could not come back to you." in review
    done = guest.do("services.rate", work_id=service, mark="85", reason="It measured well.")
    assert "Your mark stands beside the Work." in done

    reader = town.guest()
    page = words(reader.page(f"/services/{service}"))
    assert "It measured well." in page
    assert "You believe nobody who was paid from it." in page
    assert "None that counts for you." in page
    reader.do("services.trust", work_id=str(dataset.work_id), believed="1")
    page = words(reader.page(f"/services/{service}"))
    assert "85 of 100 1 of 1 words count, with 0.000594 tUSD behind them" in page
    assert "This part of what they paid went to people you believe" in page
    assert "0.000594 tUSD of the 0.001 tUSD they had paid count." in page
    assert "one counts" in reader.page("/market?q=quokka")
    reader.do("services.trust", work_id=str(dataset.work_id), believed="0")
    assert "None that counts for you." in words(reader.page(f"/services/{service}"))


@pytest.mark.parametrize(
    ("mark", "reason"), [("101", "x"), ("-1", "x"), ("²", "x"), ("5", " "), ("5", "x" * 4_001)]
)
def test_a_wrong_mark_is_refused(guest, service, mark, reason):
    page = guest.refused("services.rate", work_id=service, mark=mark, reason=reason)
    assert "works.mark" in page or "works.reason" in page


def test_nobody_speaks_of_what_is_their_own(town, service):
    operator = town.operator()
    assert "works.own_feedback" in operator.refused("services.rate", work_id=service, mark="9", reason="!")
    assert "works.own_feedback" in operator.refused("services.trust", work_id=service, believed="1")
    assert 'id="rate"' not in operator.page(f"/services/{service}")


def test_a_check_is_told_with_who_chose_who_checks(town, service):
    auditor = Key.generate()
    town.house.fund(auditor.address)
    checks = Validations(town.chain)
    asked = checks.ask(
        town.house.operator, int(service), auditor.address, uri="", request=orjson.dumps(service)
    )
    checks.answer(auditor, asked, 100, tag="remeasured")
    page = words(town.nobody().page(f"/services/{service}"))
    assert "no, its owner chose them" in page
    assert "Quokka" not in town.nobody().page("/market?q=quokka&checked=1").split("<tbody>")[-1]


# ------------------------------------------------------------ money


def test_earnings_are_told_by_day_and_payer(town, guest, service):
    answer(guest, service)
    page = guest.page(f"/services/{service}/earnings")
    assert "has earned" in words(page)
    assert guest.address[-4:] in page
    assert time.strftime("%Y-%m-%d", time.gmtime()) in page
    assert "Can come to you now" in town.operator().page(f"/services/{service}/earnings")


def test_a_work_that_earned_nothing_says_how_to_begin(town, dataset, farmer):
    work = town.work("Never paid")
    assert "has earned nothing yet" in town.nobody().page(f"/services/{work.work_id}/earnings")


def test_channels_are_told_with_what_is_left_and_the_way_out(town, service):
    guest = town.guest()
    assert "You have no channels" in guest.page("/money/channels")
    assert "Come in" in town.nobody().page("/money/channels")
    answer(guest, service, calls="7")
    page = words(guest.page("/money/channels"))
    assert "0.007 tUSD are left in your channels" in page
    assert "Take the rest back" in page


# ------------------------------------------------------------ from a shell


def shell(town, command, *words):
    """What a command answers as JSON, in this house."""
    said = io.StringIO()
    session = Session(town.house.settings, Terminal(stdout=said), opener=lambda _: nullcontext(town.house))
    done = CliRunner().invoke(command, [*words, "--json"], obj=session, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return orjson.loads(said.getvalue())


def test_the_shell_finds_rates_and_believes(town, guest, service, dataset, farmer):
    answer(guest, service)
    found = shell(town, find, "quokka", "--max-price", "0.001")
    assert [each["work_id"] for each in found["services"]] == [int(service)]
    assert found["services"][0]["price"] == "0.001"
    assert shell(town, find, "quokka", "--max-price", "0.0009")["services"] == []
    guest.do("services.rate", work_id=service, mark="70", reason="Fine.")
    believed = shell(town, find, "quokka", "--trust", guest.address, "--min-mark", "60")
    assert believed["services"][0]["mark"] == 70
    assert shell(town, find, "quokka", "--min-mark", "60")["services"] == []
    shell(town, trust, str(dataset.work_id))
    assert shell(town, find, "quokka", "--min-mark", "60")["services"][0]["counted"] >= 1
    shell(town, trust, str(dataset.work_id), "--not")
    rated = shell(town, rate, service, "50", "--reason", "I only looked.")
    assert rated["index"] == 1
    with pytest.raises(BadInput, match="one's own Work"):
        give_trust(town.house.chain, farmer, dataset.work_id)


# ------------------------------------------------------------ not there


def test_a_gateway_that_does_not_answer_is_away_and_keeps_the_price_it_told(town, answering):
    works = Works(town.chain, town.house.store, town.owner)
    card = Card("service", "s", "d", ("l",), "c", unmeasured="u")
    services = (Service("x402", f"{answering.url}/numbat"),)
    work = works.publish(Registration("Numbat watch", "Numbats.", card, services=services, x402_support=True))
    town.sync()
    path = f"/numbat/{work.work_id}"
    answering.says[path] = orjson.dumps(
        {
            "name": "Numbat watch", "price": {"amount": "700"}, "schema": {"input": {}}, "example": {},
            "latency": {"p50_ms": 4, "p95_ms": 9},
        }
    )  # fmt: skip
    market = open_market(town.house)
    found = market.find("numbat").results[0].listed
    assert found is not None
    assert (found.state, found.price, found.claimed_p95_ms) == ("open", 700, 9.0)
    assert "its own word, checked by nobody" in town.nobody().page(f"/services/{work.work_id}")
    market.prices._clock = lambda: time.time() + 10_000
    answering.says[path] = b"nonsense"
    away = market.find("numbat").results[0].listed
    assert away is not None
    assert (away.state, away.price) == ("away", 700)
    assert "does not answer at the moment" in town.nobody().page(f"/services/{work.work_id}")


def test_a_work_that_is_no_service_says_so_and_no_work_is_not_found(town, dataset):
    assert "is not sold by the call" in town.nobody().page(f"/services/{dataset.work_id}")
    town.nobody().page("/services/999999999", status=404)
    town.nobody().page(f"/services/{10**30}/earnings", status=404)


def test_base64_is_what_a_file_becomes(town, guest, service):
    photo = base64.b64encode(b"abc").decode()
    assert "Taipei/0 3" in answer(guest, service, input_photo=photo)
