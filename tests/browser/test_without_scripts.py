# SPDX-License-Identifier: Apache-2.0
"""Every page can be read, and a guest can act, in a browser that runs no scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext

from tests.browser import browsing
from tests.browser.pages import LANGUAGES, PAGES


@pytest.fixture(scope="module")
def plain(browser, town) -> Iterator[BrowserContext]:
    profile = browsing.profile(browser, scripts=False)
    yield profile
    profile.close()


def test_every_page_says_what_it_is_about(plain, town):
    tab, seen = plain.new_page(), 0
    for page in PAGES:
        if page.visitor != "nobody":
            continue
        for prefix in LANGUAGES.values():
            answer = tab.goto(town.place.base + prefix + page.path(town.world))
            assert answer.status == page.status, page.name
            assert tab.locator("h1").count() == 1, page.name
            assert len(tab.locator("main").inner_text()) > 20, page.name
            seen += 1
    assert seen > 40
    tab.close()


def test_the_river_is_drawn_by_the_server_and_says_its_amounts_in_words(plain, town):
    tab = plain.new_page()
    tab.goto(f"{town.place.base}/works/{town.world.model}")
    river = tab.locator("#river svg").first
    assert river.locator("title").count() >= 1
    assert "tUSD" in river.inner_html()
    tab.close()


def test_a_guest_comes_in_asks_a_service_pays_and_reads_the_answer(plain, town):
    tab = plain.new_page()
    browsing.come_in_as_guest(tab, town.place)
    browsing.ask(tab, town.place, town.world, "42000")
    tab.locator("main button.primary").click()
    for _ in range(60):
        if tab.locator("#action[data-state='running']").count() == 0:
            break
        tab.wait_for_timeout(500)
        tab.reload()
    assert "The answer: 0.9" in tab.locator("#action").inner_text()
    tab.close()


def test_a_page_without_scripts_looks_again_by_itself_while_a_change_is_under_way(plain, town):
    tab = plain.new_page()
    browsing.come_in_as_guest(tab, town.place)
    browsing.ask(tab, town.place, town.world, "42000")
    tab.locator("main button.primary").click()
    tab.locator("#action[data-state='done']").wait_for()
    tab.close()
