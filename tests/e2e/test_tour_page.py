# SPDX-License-Identifier: Apache-2.0
"""The tour's last step as a visitor takes it: ask the model on its page, pay, find the money in the river."""

from __future__ import annotations

import html
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_up import Command

pytestmark = pytest.mark.e2e

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def koinon(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Iterator[Command]:
    command = Command(tmp_path_factory.mktemp("home"), anvil_path)
    yield command
    command.run("down")


@pytest.fixture(scope="module")
def console(koinon: Command) -> str:
    """A running node's pages."""
    found: str = koinon.json("up", "--detach")["console"]
    return found


@pytest.fixture(scope="module")
def toured(koinon: Command, console: str) -> subprocess.CompletedProcess[str]:
    """A tour on that node, as people see it."""
    with httpx.Client(base_url=console) as browser:
        assert "Nobody took the tour" in browser.get("/tour").text
    done = koinon.run("tour", "--calls", "60")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def browser(console: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=console, timeout=30) as client:
        yield client


def token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', page)
    assert found is not None, page
    return found.group(1)


def soon(browser: httpx.Client, path: str, words: str) -> str:
    """The page once it says so."""
    end = time.monotonic() + PATIENCE_S
    while words not in (page := browser.get(path).text):
        assert time.monotonic() < end, page
        time.sleep(0.1)
    return page


def test_people_read_who_was_paid_and_that_the_money_is_test_money(toured):
    assert "Who was paid?" in toured.stdout
    assert "Every unit is there." in toured.stdout
    assert "test money" in toured.stderr
    assert "Harbour Bank" in toured.stdout


def test_it_ends_with_the_page_where_the_visitor_goes_on(toured, console):
    words = " ".join(toured.stdout.split())
    assert words.endswith(f"Now you: open {console}/tour and ask the model yourself.")


def test_a_guest_asks_about_an_applicant_pays_and_finds_the_payment_in_the_river(toured, browser):
    page = soon(browser, "/tour", "/act/services.call")
    (work_id,) = set(re.findall(r'name="work_id" value="(\d+)"', page))
    soon(browser, f"/works/{work_id}/call", f'action="/services/{work_id}"')  # the gateway has seen the offer
    applicants = [html.unescape(each) for each in re.findall(r'name="json" value="([^"]+)"', page)]
    assert len(applicants) == 3
    form = page.split('action="/act/services.call"', 1)[1].split("</form>", 1)[0]
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    fields["json"] = applicants[-1]
    asked = browser.post("/act/services.call", data=fields)
    assert asked.headers["location"].startswith("/login?next=")
    action = httpx.URL(asked.headers["location"]).params["next"]
    way_in = {"csrf_token": token(browser.get("/login").text), "next": action}
    assert browser.post("/login/guest", data=way_in).headers["location"] == action
    review = browser.get(action).text
    assert "0.001" in review
    assert browser.post(f"{action}/begin", data={"csrf_token": token(review)}).status_code == 303
    answer = html.unescape(soon(browser, action, 'data-state="done"'))
    assert '"label":"defaults"' in answer
    assert "AUC" in answer
    (guest,) = re.findall(r'<code title="(0x[0-9a-fA-F]{40})"', browser.get("/me").text)[:1]
    story = soon(browser, "/tour", "and this is whose it is")
    assert "Customers of Harbour Bank" in story
    river = browser.get(f"/works/{work_id}").text
    assert f"/chain/address/{guest}" in river
    assert ">you<" in river
    assert "Waiting" in river


def test_its_loan_is_told_with_the_ways_to_its_wallet_and_pool(toured, browser):
    page = browser.get("/tour").text
    part = page.split('id="loan"', 1)[1].split('id="you"', 1)[0]
    assert re.search(r'href="/credit/0x[0-9a-fA-F]{40}"', part)
    assert re.search(r'href="/pools/0x[0-9a-fA-F]{40}"', part)
    assert re.search(r"2 of 3 issuers attest \d+ points: tier B", part)
    junior, senior, loss = (
        int(each) for each in re.findall(r'<td class="number"><data class="amount" value="(\d+)"', part)
    )
    assert junior + senior == loss > 0
    assert "Simulated:" in part
    assert re.search(r"Paid in month \d, NT\$ is [\d,]+: \d+ points below the best", part)
    assert "模擬的部分" in browser.get("/zh-hant/tour").text


def test_a_held_out_applicant_stands_in_the_form_of_the_model(toured, browser):
    page = soon(browser, "/tour", "/act/services.call")
    (work_id,) = set(re.findall(r'name="work_id" value="(\d+)"', page))
    form = html.unescape(soon(browser, f"/works/{work_id}/call", f'action="/services/{work_id}"'))
    limit = re.search(r'"limit":\s*(\d+)', form)
    assert limit is not None
    assert int(limit.group(1)) > 0


def test_the_run_and_the_model_lead_to_each_other_in_both_languages(toured, browser):
    runs = browser.get("/runs").text
    (run,) = re.findall(r'href="(/runs/\d+)"', runs)
    page = browser.get(run).text
    (work,) = set(re.findall(r'href="(/works/\d+)">See what it earns', page))
    assert f'href="{run}"' in browser.get(work).text
    assert "各自訓練" in browser.get(f"/zh-hant{run}").text
