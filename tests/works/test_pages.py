# SPDX-License-Identifier: Apache-2.0
"""Works on their pages: lists, one Work with its money, and nonsense that is asked for."""

from __future__ import annotations

import pytest

from koinon.chain.keys import Key
from koinon.works.api import Works
from koinon.works.registration import Card, Registration, registration_domain
from koinon.works.reputation import Reputation
from koinon.works.terms import Terms, Use, text_digest
from tests.pages_support import COIN, words


def test_what_was_published_is_listed_by_its_kind(town, guest):
    made = {kind: town.work(f"Some {kind}", kind=kind) for kind in ("dataset", "model", "poem")}
    everything = guest.page("/explore")
    for kind, work in made.items():
        page = guest.page(f"/explore/{kind}")
        assert f"Some {kind}" in page
        assert f"Some {kind}" in everything
        others = [f"Some {other}" for other in made if other != kind]
        assert not any(other in page for other in others)
        assert f"/works/{work.work_id}" in page
    assert "poem" in everything


def test_words_find_a_work_and_nothing_else(town, guest):
    town.work("Quagga stripes")
    assert "Quagga stripes" in guest.page("/explore?q=quag")
    assert "No Work has these words." in guest.page("/explore?q=zebraless")


def test_the_list_goes_on_where_it_ends(town, guest, monkeypatch):
    monkeypatch.setattr("koinon.works.pages.PAGE", 1)
    first = guest.page("/explore")
    assert "Earlier" in first
    before = first.split("before=", 1)[1].split('"', 1)[0]
    assert "Newest" in guest.page(f"/explore?before={before}")


@pytest.mark.parametrize(
    "path",
    [
        "/explore?before=²",
        "/explore?before=-1",
        "/explore?before=" + "9" * 100,
        "/explore?q=%00",
        "/explore?q=" + "x" * 5_000,
        "/explore?q=%27%3B--",
        "/explore?q=<script>alert(1)</script>",
        "/explore/" + "x" * 500,
        "/explore/<script>alert(1)</script>",
        "/explore/%00",
    ],
)
def test_odd_questions_get_a_list(guest, path):
    answer = guest.raw(path)
    assert answer.status_code in (200, 404)
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("work_id", ["0", "-1", "999999999", "9" * 18, "9" * 30, "9" * 77])
def test_a_work_that_does_not_exist_is_not_found(guest, work_id):
    guest.page(f"/works/{work_id}", status=404)


@pytest.mark.parametrize("work_id", ["x", "1.5", "²", "0x1", "<b>", "9" * 4_000, "9" * 9_000])
def test_what_is_no_work_is_not_found(guest, work_id):
    assert guest.raw(f"/works/{work_id}").status_code in (404, 422)


def test_a_works_money_is_told_as_the_chain_has_it(town, guest):
    payee = Key.generate().address
    work = town.work("Earning", shares={payee: 0.25})
    assert "Earning has earned nothing so far" in guest.page(f"/works/{work.work_id}")
    town.pay(work.till, 8 * COIN)
    page = words(guest.page(f"/works/{work.work_id}"))
    assert "Earning has earned 8.00 tUSD so far" in page
    assert "25.00 %" in page
    assert "2.00" in page
    Works(town.chain, town.house.store, town.owner).release(work.work_id, payee)
    assert town.coins(payee) == 2 * COIN
    assert "Earning has earned 8.00 tUSD so far" in words(guest.page(f"/works/{work.work_id}"))


def test_money_is_told_as_it_was_at_a_moment(town, guest):
    work = town.work("Earlier")
    town.pay(work.till, COIN)
    page = guest.page(f"/works/{work.work_id}?until=1")
    assert "Earlier has earned nothing so far" in page


@pytest.mark.parametrize(
    "until", ["", "²", "-1", "0", "x", "99999999999", "999999999999", "253402300800", "9" * 100, "1e9"]
)
def test_any_moment_may_be_asked_for(town, guest, until):
    work = _any(town)
    guest.page(f"/works/{work.work_id}?until={until}")
    assert "works" in guest.client.get(f"/zh-hant/works/{work.work_id}?until={until}").text


def _any(town):
    if not hasattr(town, "any_work"):
        town.any_work = town.work("Any")
    return town.any_work


def test_an_offer_of_any_size_is_shown(town, guest):
    work = town.work("Priceless")
    Terms(town.chain).offer(
        town.owner,
        work.work_id,
        Use.DOWNLOAD,
        price=2**128 - 1,
        terms_digest=text_digest("t"),
        period_s=2**32,
    )
    assert "340,282,366,920,938,463,463,374,607,431,768.21" in guest.page(f"/works/{work.work_id}")


def test_words_whose_text_is_not_here_or_is_none_do_no_harm(town, guest):
    work, reputation = town.work("Spoken of"), Reputation(town.chain)
    somebody = Key.generate()
    town.house.fund(somebody.address)
    store = town.house.store
    hostile = [
        "ipfs://" + store.put(b"not json"),
        "ipfs://" + store.put(b"[1]"),
        "ipfs://" + store.put(b'{"text":{"a":1}}'),
        "ipfs://" + store.put(b'{"text":"<script>alert(1)</script>"}'),
        "ipfs://../../../../etc/passwd",
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "",
    ]
    for uri in hostile:
        reputation.give(
            somebody, work.work_id, -(10**30), 18, tag1="<b>", tag2="'", uri=uri, content=b"other"
        )
    answer = guest.raw(f"/works/{work.work_id}")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "uri", ["", "http://example.org/a.json", "ipfs://bafkreinothere", "data:text/html,x"]
)
def test_a_work_whose_file_cannot_be_read_has_a_page_that_says_so(town, guest, uri):
    works = town.chain.contract("Works")
    receipt = town.transact(works.transaction("register(string)", uri))
    work_id = int(works.logs(receipt, "Registered")[0]["agentId"])
    page = guest.page(f"/works/{work_id}")
    assert f"Work {work_id}" in page
    assert f"/works/{work_id}" in guest.page("/explore")


def test_a_work_whose_file_somebody_else_signed_is_not_believed(town, guest):
    works = town.chain.contract("Works")
    store = town.house.store
    card = Card("model", "Forged.", "d", ("l",), "c", unmeasured="u")
    domain = registration_domain(town.chain.chain_id, works.address)
    unsigned = Registration("Forged", "Forged", card)
    signed = unsigned.sign(town.owner, domain).to_bytes()
    cid = store.put(signed.replace(b"Forged.", b"Better."))
    receipt = town.transact(works.transaction("register(string)", f"ipfs://{cid}"))
    work_id = int(works.logs(receipt, "Registered")[0]["agentId"])
    page = guest.page(f"/works/{work_id}")
    assert "Better." not in page
    assert "Its file is not what it says." in guest.page("/explore")


def test_publish_leads_to_every_form(guest):
    page = guest.page("/publish")
    for kind in ("dataset", "model", "service", "artwork", "other"):
        assert f'href="/publish/{kind}"' in page
        assert guest.raw(f"/publish/{kind}").status_code == 200


def test_an_owner_is_offered_what_only_an_owner_may(town, guest):
    work = _any(town)
    assert "Offer a use" not in guest.page(f"/works/{work.work_id}")
    owner = town.as_wallet(town.owner.address)
    page = owner.page(f"/works/{work.work_id}")
    assert "Offer a use" in page
    assert "Say something, or contest it" not in page
