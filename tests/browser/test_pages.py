# SPDX-License-Identifier: Apache-2.0
"""Every page, in both languages, light and dark, wide and on a phone: axe finds nothing, nothing is cut off,
and the browser's console stays silent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from koinon.console.app import create_app
from tests.browser import axe, browsing
from tests.browser.pages import LANGUAGES, NO_PAGE, PAGES
from tests.console.wallet_support import House

PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
OPEN_EVERYTHING = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
TOO_WIDE = """
() => {
  const root = document.scrollingElement;
  if (root.scrollWidth <= innerWidth) return [];
  const wide = [...document.querySelectorAll("body *")].filter((each) =>
    each.getBoundingClientRect().right > innerWidth + 1 && !each.closest(".scroll, pre, .rail"));
  return [`${root.scrollWidth} px`, ...wide.slice(0, 5).map((each) => each.outerHTML.slice(0, 160))];
}
"""


def test_no_page_of_the_console_is_left_out(tmp_path, chain, devnet):
    app = create_app(House(tmp_path, chain, devnet.key(5)))
    shown = {path for path in _paths(app.routes) if path not in NO_PAGE}
    assert shown == {page.route for page in PAGES if page.route}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_is_for_everyone(page, language, visitors, town):
    tab = visitors[page.visitor].new_page()
    try:
        said = browsing.complaints(tab)
        tab.emulate_media(color_scheme="light")
        answer = tab.goto(town.place.base + LANGUAGES[language] + page.path(town.world))
        assert answer.status == page.status
        tab.evaluate(OPEN_EVERYTHING)
        faults = axe.violations(tab)
        tab.emulate_media(color_scheme="dark")
        faults += [f"dark: {fault}" for fault in axe.violations(tab, "color-contrast")]
        tab.set_viewport_size(PHONE)
        faults += [f"phone: {fault}" for fault in axe.violations(tab, "target-size")]
        faults += tab.evaluate(TOO_WIDE)
        assert not faults, "\n".join(faults)
        assert [line for line in said if not _expected(line, page.status)] == []
    finally:
        tab.close()


def _paths(routes: Iterable[Any]) -> Iterator[str]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _paths(route.original_router.routes)
        elif "GET" in getattr(route, "methods", ()):
            yield route.path


def _expected(line: str, status: int) -> bool:
    return status != 200 and f"the server responded with a status of {status}" in line
