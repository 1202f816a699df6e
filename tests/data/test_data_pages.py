# SPDX-License-Identifier: Apache-2.0
"""The data market's pages: datasets found and computed on by a guest; refusals in plain words."""

from __future__ import annotations

import html
import io
import json
import re
import time
import zipfile

import pytest

from koinon.compute.sandbox import BubblewrapSandbox
from koinon.data.api import ROOM, Data
from koinon.data.policy_file import read_policy
from koinon.errors import SetupError
from koinon.works.terms import Use
from tests.console.wallet_support import send
from tests.data.market_support import COIN, MEAN_AGE, MEAN_SCHEMA, POLICY, VERDICT_SCHEMA, table
from tests.data.test_job_server import NodeProcess
from tests.pages_support import open_town

PYTHON = "text/x-python"


@pytest.fixture(scope="module")
def town(tmp_path_factory, network, devnet):
    with open_town(tmp_path_factory.mktemp("home"), network, devnet) as opened:
        yield opened


@pytest.fixture(scope="module")
def work_id(town):
    data = Data.of(town.house)
    return data.publish(table(), read_policy(POLICY)).work_id


@pytest.fixture(scope="module")
def node(town, work_id, network_file):
    try:
        BubblewrapSandbox().check()
    except SetupError as error:
        pytest.skip(f"{error.message} {error.hint}")
    folder = town.house.settings.home / ROOM
    process = NodeProcess(folder, network_file, town.house.operator, [work_id])
    yield process.start()
    process.kill()


@pytest.fixture(scope="module")
def guest(town):
    return town.guest()


def ask(visit, work_id, program=MEAN_AGE, schema=MEAN_SCHEMA, *, name="program.py", **fields):
    """Send the form in; the answer."""
    content = program if isinstance(program, bytes) else program.encode()
    sent = {"schema": schema, "blocks": "2", "seconds": "2", **fields}
    return visit.upload(f"/datasets/{work_id}/compute", sent, (name, content, PYTHON))


def bought(visit, work_id, *arguments, **options):
    """Buy a job; its number."""
    answer = ask(visit, work_id, *arguments, **options)
    assert answer.status_code == 303, answer.text
    page = visit.agree(str(answer.headers["location"]))
    found = re.search(r"/jobs/(\d+)", page)
    assert found is not None, page
    return int(found[1])


def over(visit, job_id):
    """The job's page once nothing more will happen."""
    deadline = time.monotonic() + 60
    while "every 1s" in (page := visit.page(f"/jobs/{job_id}")):
        assert time.monotonic() < deadline, page
        time.sleep(0.1)
    return page


# ------------------------------------------------------------ looking


def test_a_dataset_is_found_and_shown_with_its_statistics_terms_and_budget(town, work_id):
    visit = town.nobody()
    assert f"/datasets/{work_id}" in visit.page("/datasets?q=regional+bank")
    assert f"/datasets/{work_id}" not in visit.page("/datasets?q=nothing+like+it")
    page = visit.page(f"/datasets/{work_id}")
    for words in (
        "What may be known of it?",
        "income",
        "Nothing is told of it.",
        "A second of computing",
        "1 / 10",
    ):
        assert words in page
    assert page.count('class="picture marks"') == 2
    assert "/datasets" in visit.page(f"/works/{work_id}")
    assert "還能從中得知多少？" in visit.page(f"/zh-hant/datasets/{work_id}")
    assert "Review price and noise" in visit.page(f"/datasets/{work_id}/compute")


def test_a_work_that_is_no_dataset_of_this_market_has_no_such_page(town):
    other = town.work("Just a card").work_id
    assert "no dataset of this market" in town.nobody().page(f"/datasets/{other}", 422)
    assert f"/datasets/{other}" not in town.nobody().page("/datasets?q=card")


def test_nobody_sees_anybodys_jobs(town, work_id, node, guest):
    job_id = bought(guest, work_id)
    over(guest, job_id)
    for visit in (town.nobody(), town.guest(), town.operator()):
        assert "not yours" in visit.page(f"/jobs/{job_id}", 404)
        assert visit.raw(f"/jobs/{job_id}/files/result.json").status_code == 404
        assert f"/jobs/{job_id}" not in visit.page("/jobs")
    assert "not yours" in guest.page("/jobs/999999999", 404)


# ------------------------------------------------------------ buying


def test_a_guest_reviews_price_and_noise_pays_and_gets_the_noised_result_alone(town, work_id, node):
    guest = town.guest()
    before = town.coins(guest.address)
    answer = ask(guest, work_id, blocks="4")
    review = guest.page(str(answer.headers["location"]))
    for words in ("5.00 tUSD for leave", "At most 0.02 tUSD", "19 times in 20", "less than 60", "5.02 tUSD"):
        assert words in review
    job_id = bought(guest, work_id, blocks="4")
    page = over(guest, job_id)
    assert "Here is what your program returned" in page
    released = guest.raw(f"/jobs/{job_id}/files/result.json")
    assert released.headers["content-disposition"].startswith("attachment")
    assert set(json.loads(released.content)) == {"mean_age"}
    paid = before - town.coins(guest.address)
    assert paid == 5 * COIN + 2 * COIN // 100
    assert guest.raw(f"/jobs/{job_id}/files/table.npz").status_code == 404
    assert f"/jobs/{job_id}" in guest.page("/jobs")
    page = guest.page(f"/datasets/{work_id}")
    assert "Seconds of computing" in page
    assert "Leave to compute" in page


def test_a_zip_with_a_lock_file_is_a_program(town, work_id, node, guest):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", "import helper\n" + MEAN_AGE)
        archive.writestr("helper.py", "")
        archive.writestr("requirements.txt", "")
    assert "returned" in over(guest, bought(guest, work_id, packed.getvalue(), name="program.zip"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"schema": ""}, "Say what your program returns."),
        ({"schema": "[x"}, "declaration of results"),
        ({"schema": VERDICT_SCHEMA, "blocks": "1"}, "would leave without noise"),
        ({"schema": MEAN_SCHEMA.replace("epsilon = 1.0", "epsilon = 5.0")}, "a job may spend 2"),
        ({"blocks": "0"}, "1 to 16 blocks"),
        ({"blocks": "many"}, "whole numbers"),
        ({"seconds": "21"}, "may run 20 s here"),
        ({"program": ""}, "Give a Python file"),
        ({"name": "program.exe"}, "Give a Python file"),
        ({"program": "no zip", "name": "program.zip"}, "not a zip file"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words_and_costs_nothing(town, work_id, node, guest, fields, said):
    before = town.coins(guest.address)
    answer = ask(guest, work_id, **fields)
    assert 400 <= answer.status_code < 500, answer.text
    page = html.unescape(answer.text)
    assert said in page
    assert "Nothing was paid." in page
    assert fields.get("schema", MEAN_SCHEMA).strip() in page
    assert town.coins(guest.address) == before


def test_a_form_that_was_refused_keeps_its_program(town, work_id, node):
    guest = town.guest()
    page = ask(guest, work_id, blocks="0").text
    found = re.search(r'name="program" value="([0-9a-f]{64})"', page)
    assert found is not None
    sent = {"schema": MEAN_SCHEMA, "blocks": "2", "seconds": "5", "program": found[1]}
    again = guest.upload(f"/datasets/{work_id}/compute", sent)
    assert again.status_code == 303
    assert "Pay and hand it in" in guest.page(str(again.headers["location"]))
    stranger = town.guest()
    other = stranger.upload(f"/datasets/{work_id}/compute", sent)
    assert "not here any more" in other.text
    assert (
        "Choose your program first."
        in stranger.upload(f"/datasets/{work_id}/compute", sent | {"program": ""}).text
    )


def test_a_buyer_with_the_owners_signed_consent_computes_and_others_do_not(town, node, work_id, guest):
    data = Data.of(town.house)
    signed = read_policy(POLICY.replace('price = "5"', 'price = "5"\nconsent = "signed"'))
    data.change_terms(work_id, signed)
    try:
        visit = town.guest()
        assert "signed consent" in visit.page(f"/datasets/{work_id}/compute")
        assert "no leave yet" in ask(visit, work_id).text
        assert "not an owner" in ask(visit, work_id, consent="please").text
        leave = data.sign_consent(work_id, Use.COMPUTE, visit.address).to_text()
        assert bought(visit, work_id, consent=leave, seconds="1")
    finally:
        data.change_terms(work_id, read_policy(POLICY))


def test_who_has_not_come_in_is_asked_to(town, work_id, node):
    answer = ask(town.nobody(), work_id)
    assert (answer.status_code, "/login" in answer.headers["location"]) == (303, True)


def test_a_price_that_was_not_agreed_to_is_not_paid(town, work_id, node):
    guest = town.guest()
    answer = ask(guest, work_id)
    path = str(answer.headers["location"])
    row = town.app.state.records.rows("SELECT fields FROM action WHERE id = ?", path.rpartition("/")[2])
    fields = {**json.loads(row[0]["fields"]), "most": "1"}
    before = town.coins(guest.address)
    again = guest.ask("data.compute", **fields)
    assert guest.client.get(again).status_code == 200
    send(guest.client, f"{again}/begin")
    assert "The price rose" in guest.finished(again)
    assert town.coins(guest.address) == before


def test_a_node_that_does_not_run_is_told_before_money_moves(town, work_id, node, guest):
    node.kill()
    (node.folder / "server.json").unlink(missing_ok=True)
    try:
        answer = ask(guest, work_id)
        assert "does not run now" in answer.text
    finally:
        node.start()
