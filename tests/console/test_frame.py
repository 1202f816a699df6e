# SPDX-License-Identifier: Apache-2.0
"""The frame around every page: what strangers cannot do, and what readers get without asking."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from koinon.chain.handle import Chain
from koinon.console.app import create_app
from koinon.console.guard import POLICY, Buckets, Limits
from koinon.console.home import local
from tests.console.wallet_support import BASE, House, browser, open_console, send

INLINE = re.compile(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)")


@pytest.fixture(scope="module")
def house(tmp_path_factory, network, devnet):
    with Chain.open(network) as chain:
        yield House(tmp_path_factory.mktemp("house"), chain, devnet.key(3))


@pytest.fixture(scope="module")
def app(house):
    return open_console(house)


@pytest.fixture
def client(app):
    with browser(app) as one:
        yield one


def test_every_answer_keeps_foreign_scripts_and_frames_out(client):
    for path in ("/", "/decide", "/nothing-here", "/static/x/none.js", "/static/0/style.css"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["referrer-policy"] == "same-origin"
    assert "unsafe" not in POLICY


@pytest.mark.parametrize("path", ["/", "/zh-hant/", "/decide", "/zh-hant/decide", "/nothing-here"])
def test_no_page_carries_a_script_or_style_inside(client, path):
    assert not INLINE.search(client.get(path).text)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8400", "", "127.0.0.1.evil.example", "[::1"])
def test_a_strangers_domain_that_points_here_gets_nothing(client, host):
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "This node is not called that" in answer.text


@pytest.mark.parametrize("host", ["localhost:8400", "127.0.0.1", "[::1]:8400", "LOCALHOST"])
def test_this_machines_own_names_are_answered(client, host):
    assert client.get("/decide", headers={"host": host}).status_code == 200


def test_a_name_that_the_operator_set_is_answered(house):
    with TestClient(create_app(house, hosts=("koinon.example",)), base_url="https://koinon.example") as there:
        assert there.get("/decide").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": BASE},
    ],
)
def test_a_form_on_another_site_changes_nothing_here(client, headers):
    answer = client.post("/appearance", data={"theme": "dark"}, headers=headers)
    assert answer.status_code == 403
    assert "theme" not in client.cookies


def test_a_change_without_this_visitors_token_is_refused(client):
    assert client.post("/appearance", data={"theme": "dark"}).status_code == 403
    assert client.post("/appearance", data={"theme": "dark", "csrf_token": "0" * 64}).status_code == 403
    assert send(client, "/appearance", theme="dark", back="/decide").status_code == 303


def test_the_theme_is_remembered_without_scripts(client):
    assert 'data-theme="system"' in client.get("/decide").text
    answer = send(client, "/appearance", theme="dark", back="/zh-hant/decide")
    assert answer.headers["location"] == "/zh-hant/decide"
    assert 'data-theme="dark"' in client.get("/decide").text
    client.cookies.clear()
    strange = client.get("/decide", headers={"cookie": "theme=<script>"}).text
    assert 'data-theme="system"' in strange


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\nSet-Cookie: x"]
)
def test_nobody_is_led_elsewhere(path):
    assert local(path) == "/"


def test_a_page_stands_in_both_languages_with_links_that_keep_it(client):
    english, chinese = client.get("/decide").text, client.get("/zh-hant/decide").text
    assert '<html lang="en"' in english
    assert "What is there to decide?" in english
    assert '<html lang="zh-Hant-TW"' in chinese
    assert "現在有什麼要一起決定？" in chinese
    assert 'href="/zh-hant/trust"' in chinese
    assert 'href="/decide" hreflang="en"' in chinese
    assert 'href="/zh-hant/decide" hreflang="zh-Hant"' in english


def test_the_network_and_that_its_money_is_a_test_are_on_every_page(client, house):
    for path in ("/", "/decide", "/nothing-here"):
        text = client.get(path).text
        assert house.chain.network.name in text
        assert "test money" in text
    assert "測試幣" in client.get("/zh-hant/decide").text


def test_each_page_has_one_heading_a_way_past_the_rail_and_a_title(client):
    text = client.get("/decide").text
    assert text.count("<h1") == 1
    assert 'href="#content"' in text
    assert 'id="content"' in text
    assert "<title>What is there to decide? · Koinon</title>" in text
    assert text.count('aria-current="page"') == 1


@pytest.mark.parametrize("path", ["/explore", "/market", "/commissions", "/agents", "/publish", "/money"])
def test_the_start_page_leads_to_what_one_can_do(client, path):
    assert f'<dt><a href="{path}">' in client.get("/").text


def test_an_error_is_a_page_for_people_and_problem_details_for_programs(client):
    page = client.get("/nothing-here", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "There is no such page" in page.text
    assert "沒有這個頁面" in client.get("/zh-hant/nothing-here").text
    problem = client.get("/nothing-here", headers={"accept": "application/json"})
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == 404
    file = client.get("/static/0/none.js", headers={"accept": "application/json"})
    assert file.json()["code"] == "console.file"


def test_a_file_named_by_its_digest_is_kept_for_ever_and_others_are_asked_for_again(client):
    (address,) = re.findall(r'href="(/static/[0-9a-f]{12}/style\.css)"', client.get("/decide").text)
    answer = client.get(address)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert re.search(r'url\("/static/[0-9a-f]{12}/vendor/fonts/inter\.woff2"\)', answer.text)
    assert client.get(address, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    assert client.get("/static/000000000000/style.css").headers["cache-control"] == "no-cache"
    assert client.get("/decide").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "vendor/../../app.py", "..%2fapp.py"])
def test_files_outside_the_static_folder_are_not_served(client, name):
    assert client.get(f"/static/0/{name}").status_code == 404


def test_who_asks_too_often_waits_and_others_do_not(house):
    limits = Limits(reads_per_s=0.001, reads_at_once=3, changes_per_s=0.001, changes_at_once=1)
    app = create_app(house, limits=limits)
    with TestClient(app, base_url=BASE, client=("192.0.2.1", 1)) as busy:
        assert [busy.get("/decide").status_code for _ in range(4)] == [200, 200, 200, 429]
        assert int(busy.get("/decide").headers["retry-after"]) > 0
        assert [busy.post("/appearance").status_code for _ in range(2)] == [403, 429]
    with TestClient(app, base_url=BASE, client=("192.0.2.2", 1)) as other:
        assert other.get("/decide").status_code == 200


def test_a_crowd_of_addresses_does_not_fill_the_memory():
    buckets = Buckets(1, 1, most=100, clock=lambda: 0.0)
    for number in range(10_000):
        buckets.take(str(number))
    assert len(buckets) == 100


def test_a_bucket_fills_again_with_time():
    now = [0.0]
    buckets = Buckets(2, 1, most=10, clock=lambda: now[0])
    assert buckets.take("a") == 0
    assert buckets.take("a") == pytest.approx(0.5)
    now[0] = 0.5
    assert buckets.take("a") == 0


def test_too_much_at_once_is_refused_before_it_is_read(house):
    with browser(create_app(house, limits=Limits(body=1_000))) as client:
        answer = client.post("/appearance", content=b"x" * 2_000)
        assert answer.status_code == 413
        assert "That is too large" in answer.text
        assert client.post("/appearance", headers={"content-length": "many"}).status_code == 413


def test_a_first_visit_weighs_at_most_150_kilobytes(client):
    text = client.get("/").text
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', text))
    sheet = next(name for name in files if name.endswith("style.css"))
    files |= {
        font
        for font in re.findall(r'url\("([^"]+)"\)', client.get(sheet).text)
        if "mono" not in font  # only pages that show code ask for it
    }
    weight = 0
    for name in files | {"/"}:
        with client.stream("GET", name) as answer:
            weight += sum(len(part) for part in answer.iter_raw())
    assert weight <= 150_000


def test_a_page_is_told_of_nothing_it_may_not_know(client, house):
    for path in ("/", "/trust", "/decide", "/nothing-here"):
        text = client.get(path).text
        assert str(house.settings.home) not in text
        assert "root.secret" not in text
        assert "up.lock" not in text


def test_a_fault_of_ours_is_a_page_that_tells_none_of_it(app, monkeypatch):
    def broken(*_arguments, **_options):
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("koinon.console.decide.render", broken)
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    answer = client.get("/decide")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.text
    assert "secret" not in answer.text
    asked = client.get("/decide", headers={"accept": "application/json"})
    assert asked.json()["status"] == 500
    assert "secret" not in asked.text
