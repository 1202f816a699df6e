# SPDX-License-Identifier: Apache-2.0
"""Commissions in the console: commissioned, paid, handed in and judged by visitors who read first."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from koinon.services.finding.evidence import evidence_of
from koinon.services.finding.returning import Returning
from koinon.services.finding.trust import Trust
from koinon.services.jobs.api import Commission, Jobs
from koinon.works.api import Works
from koinon.works.hall import Hall
from tests.pages_support import COIN, open_town

TEXT = "Draw a <b>map</b> of the harbour\n\nAt 1:500, with depths."
FILE = ("map.pdf", b"%PDF-1.7 a map", "application/pdf")


@pytest.fixture(scope="module")
def town(tmp_path_factory, network, devnet):
    with open_town(tmp_path_factory.mktemp("town"), network, devnet) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(town):
    return town.guest()


@pytest.fixture(scope="module")
def provider(town):
    return town.guest()


@pytest.fixture(scope="module")
def evaluator(town):
    return town.guest()


def commissioned(visit, **fields):
    """A job's number."""
    asked = {"text": TEXT, "days": "7", "price": "2", **fields}
    page = visit.do("services.job_create", **asked)
    found = re.search(r"/commissions/(\d+)", page)
    assert found is not None, page
    return found[1]


def paid(client, provider, evaluator, **fields):
    job = commissioned(client, provider=provider.address, evaluator=evaluator.address, **fields)
    client.do("services.job_fund", job_id=job, price="2")
    return job


def handed_in(visit, job, file=FILE):
    answer = visit.upload(f"/commissions/{job}/submit", {}, file)
    assert answer.status_code == 303, answer.text
    return visit.agree(str(answer.headers["location"]))


def test_a_commission_is_read_in_words_before_it_is_signed(town, client, evaluator):
    page = client.review(
        "services.job_create", text=TEXT, days="7", price="2", evaluator=evaluator.address, private="1"
    )
    for words in (
        "Draw a <b>map</b> of the harbour",
        "alone decides who gets the money",
        "will be sealed",
        "2.00 tUSD",
    ):
        assert words in page
    assert "<b>map" not in client.raw(client.ask("services.job_create", text=TEXT, days="7")).text


def test_a_job_goes_from_its_text_to_its_pay_by_its_pages(town, client, provider, evaluator):
    job = commissioned(client, evaluator=evaluator.address)
    assert f"/commissions/{job}" in town.nobody().page("/commissions")
    assert "Nobody does it yet" in town.nobody().page(f"/commissions/{job}")
    assert "What you can do now" not in town.nobody().page(f"/commissions/{job}")
    client.do("services.job_assign", job_id=job, provider=provider.address)
    assert f"/commissions/{job}" not in town.nobody().page("/commissions")
    provider.do("services.job_propose", job_id=job, price="3")
    assert "by now" in client.refused("services.job_fund", job_id=job, price="2")
    review = client.review("services.job_fund", job_id=job, price="3")
    assert "you cannot call it off" in review
    client.do("services.job_fund", job_id=job, price="3")
    before = town.coins(provider.address)
    assert "Everyone can fetch" in provider.page(
        str(provider.upload(f"/commissions/{job}/submit", {}, FILE).headers["location"])
    )
    handed_in(provider, job)
    answer = town.nobody().raw(f"/commissions/{job}/deliverable")
    assert (answer.content, answer.headers["x-content-type-options"]) == (FILE[1], "nosniff")
    assert "attachment" in answer.headers["content-disposition"]
    evaluator.do("services.job_accept", job_id=job, reason="The <i>depths</i> are right.")
    assert town.coins(provider.address) == before + 3 * COIN
    page = client.page(f"/commissions/{job}")
    for words in ("went to its provider", "Accepted: its provider is paid", "The <i>depths</i> are right."):
        assert words in page
    assert "<i>depths" not in client.raw(f"/commissions/{job}").text
    assert page.count('class="dot done"') == 8, "four stations, wide and narrow"
    assert "承接人收款" in client.page(f"/zh-hant/commissions/{job}")


def test_what_is_private_is_opened_for_client_and_evaluator_alone(town, client, provider, evaluator):
    job = paid(client, provider, evaluator, private="1")
    handed_in(provider, job)
    for visit in (client, evaluator):
        assert visit.raw(f"/commissions/{job}/deliverable").content == FILE[1]
    for visit in (provider, town.guest(), town.nobody()):
        assert "sealed for the job's client" in visit.page(f"/commissions/{job}/deliverable", 404)


def test_a_rejected_job_gives_the_money_back_and_is_told_of_its_work(town, client, evaluator):
    provider = town.guest()
    work = town.work("Maps", "service")
    job = commissioned(client, provider=str(work.work_id), evaluator=evaluator.address)
    client.do("services.job_fund", job_id=job, price="2")
    before = town.coins(client.address)
    assert "go back to" in evaluator.review("services.job_reject", job_id=job, reason="Late.")
    assert "not yours" in provider.refused("services.job_reject", job_id=job)
    evaluator.do("services.job_reject", job_id=job, reason="Late.")
    assert town.coins(client.address) == before + 2 * COIN
    page = client.page(f"/commissions/{job}")
    assert 'class="dot missing"' in page
    assert f"/works/{work.work_id}" in page
    client.do("services.job_feedback", job_id=job, reason="Nothing came.")


def test_an_accepted_job_is_income_of_its_client_and_gives_its_word_weight(town, client):
    friend = town.guest()
    work = town.work("Pilots", "service", shares={friend.address: 0.5})
    judge = town.guest()
    jobs = Jobs(town.chain, town.house.store, town.house.settings.home / "owner", town.owner)
    job = commissioned(client, provider=str(work.work_id), evaluator=judge.address)
    client.do("services.job_fund", job_id=job, price="2")
    jobs.submit(int(job), b"a chart")
    judge.do("services.job_accept", job_id=job, reason="")
    client.do("services.job_feedback", job_id=job, reason="Fine.")
    Works(town.chain, town.house.store, town.owner).release(work.work_id, friend.address)
    town.sync()
    hall = Hall(town.chain, town.house.index, town.house.store)
    income = hall.book.of(work.work_id)
    assert (income.by_payer, income.by_rail) == ({client.address: 2 * COIN}, {"job": 2 * COIN})
    network = town.chain.network
    contracts = (network.address(name) for name in ("Coin", "Channels", "Jobs"))
    returning = Returning(town.house.index, *contracts)
    trust = Trust({friend.address: Fraction(1)})
    heard = evidence_of(hall.family, work.work_id, hall.book.of, trust, returning)
    assert [(word.client, word.mark, word.paid) for word in heard.words] == [
        (client.address, Fraction(100), 2 * COIN)
    ]
    assert heard.weight == COIN, "what a believed third party was owed of it"

    # The third party commissions something of the client: money has found a way back.
    back = commissioned(friend, provider=client.address)
    friend.do("services.job_fund", job_id=back, price="2")
    handed_in(client, back)
    friend.do("services.job_accept", job_id=back, reason="")
    town.sync()
    returning = Returning(town.house.index, *(network.address(name) for name in ("Coin", "Channels", "Jobs")))
    assert returning.could_return(friend.address, client.address)
    assert not evidence_of(hall.family, work.work_id, hall.book.of, trust, returning).weight


def test_an_open_job_is_called_off(town, client):
    job = commissioned(client)
    client.do("services.job_reject", job_id=job, reason="")
    page = client.page(f"/commissions/{job}")
    assert "Called off" in page
    assert f"/commissions/{job}" not in client.page("/commissions")


def test_everyone_finds_their_own(town, client, provider, evaluator):
    work = town.work("Charts", "service")
    job = commissioned(client, provider=str(work.work_id), evaluator=evaluator.address)
    for visit, role in (
        (client, "client"),
        (evaluator, "evaluator"),
        (town.as_wallet(town.owner.address), "provider"),
    ):
        page = visit.page("/me/commissions")
        row = page[page.index(f"/commissions/{job}") :].split("</tr>")[0]
        assert role in row
    assert f"/commissions/{job}" not in town.guest().page("/me/commissions")
    assert "no part in any commission" in town.nobody().page("/me/commissions")


def test_a_stranger_can_do_nothing(town, client, provider, evaluator):
    job = paid(client, provider, evaluator)
    stranger = town.guest()
    for name, fields in (
        ("assign", {"provider": stranger.address}),
        ("propose", {"price": "1"}),
        ("fund", {"price": "2"}),
        ("submit", {"file": "0" * 64}),
        ("accept", {}),
        ("reject", {}),
        ("refund", {}),
        ("feedback", {}),
    ):
        stranger.refused(f"services.job_{name}", job_id=job, **fields)
    assert "What you can do now" not in stranger.page(f"/commissions/{job}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": ""},
        {"text": "x" * 5_000},
        {"days": "0"},
        {"days": "1000"},
        {"days": "one"},
        {"price": "-1"},
        {"price": "1.0000001"},
        {"provider": "nobody"},
        {"provider": "999999999"},
        {"evaluator": "0x12"},
    ],
)
def test_a_form_that_makes_no_sense_is_refused_in_words(client, wrong):
    client.refused("services.job_create", **{"text": TEXT, "days": "7", "price": "1", **wrong})


def test_forms_and_pages_of_no_job_are_refused(town, client, provider, evaluator):
    for number in ("", "x", "0", "-1", "9" * 14, "1" * 40):
        client.refused("services.job_accept", job_id=number)
    town.nobody().page("/commissions/99999999", 404)
    town.nobody().page("/commissions/0", 404)
    job = paid(client, provider, evaluator)
    for file in ((FILE[0], b"", FILE[2]), (FILE[0], b"x" * (2 << 20), FILE[2])):
        assert provider.upload(f"/commissions/{job}/submit", {}, file).status_code == 422
    assert "no file" in provider.refused("services.job_submit", job_id=job, file="../../keys")


def test_a_job_by_anybodys_program_is_shown_as_it_is(town):
    jobs = Jobs(town.chain, town.house.store, town.house.settings.home / "others", town.owner)
    job_id = jobs.create(Commission("<script>alert(1)</script>", 3_600))
    raw = town.nobody().raw(f"/commissions/{job_id}").text
    assert "<script>alert" not in raw
    assert "&lt;script&gt;alert(1)" in raw
