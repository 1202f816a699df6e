# SPDX-License-Identifier: Apache-2.0
"""Everything can be reached and pressed from the keyboard, and one sees where one is."""

from __future__ import annotations

import pytest

from tests.browser.pages import PAGES

CHOSEN = (
    "home",
    "explore",
    "work",
    "login",
    "contract",
    "guest-work",
    "guest-review",
    "operator-publish-function",
)

CAN_BE_PRESSED = """
() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  .filter((each) => each.type !== "hidden" && !each.disabled)
  .filter((each) => each.checkVisibility({ visibilityProperty: true }))
  .map((each, place) => { each.dataset.place = String(place); return each.outerHTML.slice(0, 120); })
"""
WHERE = """
() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at);
  const shown = parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== "none"
    || at.closest("svg") !== null;
  return { place: at.dataset.place, shown, skip: at.classList.contains("skip") };
}
"""


@pytest.mark.parametrize("page", [page for page in PAGES if page.name in CHOSEN], ids=lambda page: page.name)
def test_every_thing_on_a_page_is_reached_by_tab_and_shows_that_it_is(page, visitors, town):
    tab = visitors[page.visitor].new_page()
    try:
        tab.goto(town.place.base + page.path(town.world))
        wanted = tab.evaluate(CAN_BE_PRESSED)
        reached, dark = set(), []
        for step in range(len(wanted) + 20):
            tab.keyboard.press("Tab")
            at = tab.evaluate(WHERE)
            if at is None:
                break
            if step == 0:
                assert at["skip"], "the first thing is not the way past the frame"
            if at["place"] in reached:
                break
            if not at["shown"]:
                dark.append(wanted[int(at["place"])] if at["place"] else "?")
            reached.add(at["place"])
        missed = [name for place, name in enumerate(wanted) if str(place) not in reached]
        assert missed == []
        assert dark == []
    finally:
        tab.close()


def test_the_way_past_the_frame_leads_to_the_content(visitors, town):
    tab = visitors["nobody"].new_page()
    tab.goto(town.place.base + "/explore")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "content"
    tab.close()


def test_evidence_is_unfolded_by_enter(visitors, town):
    tab = visitors["nobody"].new_page()
    tab.goto(f"{town.place.base}/works/{town.world.model}")
    summary = tab.locator(".evidence summary").first
    summary.focus()
    tab.keyboard.press("Enter")
    assert summary.evaluate("each => each.parentElement.open") is True
    tab.close()


def test_the_slash_key_goes_to_the_search_box_and_finds_a_work(visitors, town):
    tab = visitors["nobody"].new_page()
    tab.goto(town.place.base + "/trust")
    tab.keyboard.press("/")
    tab.keyboard.type("harbour")
    tab.keyboard.press("Enter")
    tab.get_by_role("main").get_by_role("link", name="Harbour loans").first.wait_for()
    tab.close()
