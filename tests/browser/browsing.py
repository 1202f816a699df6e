# SPDX-License-Identifier: Apache-2.0
"""A real Chromium, its profiles, and visitors who come in as people do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.world import Place, World

CHROMIUM: Final = Path("/usr/bin/chromium")
PATIENCE_MS: Final = 60_000
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; asyncio cannot be used in this thread while it runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def profile(browser: Browser, *, scripts: bool = True, width: int = 1280) -> BrowserContext:
    """A browser profile of its own: cookies, storage and all."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, java_script_enabled=scripts, color_scheme="light"
    )
    context.set_default_timeout(PATIENCE_MS)
    return context


def complaints(page: Page) -> list[str]:
    """What the page's console says from now on: policy violations, failed loads, errors, warnings."""
    said: list[str] = []
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def come_in_as_operator(page: Page, place: Place) -> None:
    """By the one-use link that `koinon up` prints."""
    page.goto(place.link())
    page.locator("main button.primary").click()
    page.wait_for_url("**/me")


def come_in_as_guest(page: Page, place: Place, next_path: str = "/me") -> None:
    """By the button."""
    page.goto(f"{place.base}/login?next={next_path}")
    page.locator("main form[action$='/login/guest'] button").click()
    page.wait_for_url(f"**{next_path}")


def leave_traces(page: Page, place: Place, world: World) -> None:
    """Changes of a guest in every state that a page can show; their paths go into the world."""
    world.review = ask(page, place, world, "52000")
    world.cancelled = ask(page, place, world, "20000")
    page.locator("main button.primary").evaluate(
        "button => { button.form.action = location.pathname + '/cancel' }"
    )
    page.locator("main button.primary").click()
    page.locator("#action[data-state='cancelled']").wait_for()
    world.failed = ask(page, place, world, "-1")
    page.locator("main button.primary").click()
    page.locator("#action[data-state='failed']").wait_for()
    world.job = compute(page, place, world)
    page.locator("#job[data-state='released']").wait_for()
    world.done = ask(page, place, world, "42000")
    page.locator("main button.primary").click()
    page.locator("#action[data-state='done']").wait_for()
    in_advance(page, place, world)
    believe(page, place, world.loans)


def in_advance(page: Page, place: Place, world: World) -> None:
    """Pay for several calls at once."""
    page.goto(f"{place.base}/services/{world.service}")
    page.fill("#calls", "4")
    page.locator("form.form button.primary").click()
    agree(page)


def believe(page: Page, place: Place, work_id: int) -> None:
    """Say that one believes whoever owns a Work."""
    page.goto(f"{place.base}/services/{work_id}")
    page.locator("form[action$='/act/services.trust'] button").click()
    agree(page)


def agree(page: Page) -> None:
    """To what is reviewed, until it is done."""
    page.wait_for_url("**/actions/*")
    page.locator("main button.primary").click()
    page.locator("#action[data-state='done']").wait_for()


def ask(page: Page, place: Place, world: World, income: str) -> str:
    """Ask the service that is sold, up to the review; where that stands."""
    page.goto(f"{place.base}/works/{world.service}/call")
    page.fill("#input_income", income)
    page.locator("form.form button.primary").click()
    page.wait_for_url("**/actions/*")
    return page.url.removeprefix(place.base)


def compute(page: Page, place: Place, world: World) -> str:
    """Buy a compute job with the form's own example, up to its page; where that stands."""
    page.goto(f"{place.base}/datasets/{world.market}/compute")
    page.locator(".evidence summary").first.click()
    program = page.locator(".evidence pre").first.inner_text()
    page.set_input_files(
        "#file", {"name": "mean.py", "mimeType": "text/x-python", "buffer": program.encode()}
    )
    page.fill("#seconds", "3")
    page.fill("#blocks", "2")
    page.locator("form.form button.primary").click()
    page.wait_for_url("**/actions/*")
    page.locator("main button.primary").click()
    page.locator("#action[data-state='done']").wait_for()
    page.get_by_role("link", name="See it").click()
    page.wait_for_url("**/jobs/*")
    return page.url.removeprefix(place.base)
