# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser import browsing
from tests.browser.browsing import CHROMIUM
from tests.browser.world import Place, World, fill, running
from tests.ports import own_ports


@dataclass(frozen=True)
class Town:
    """A running node with the small world in it."""

    place: Place
    world: World


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(
                pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no Chromium at /usr/bin/chromium")
            )


@pytest.fixture(scope="package")
def town(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Iterator[Town]:
    """One node for everything here, as `koinon up` runs it."""
    with running(tmp_path_factory.mktemp("home"), KOINON_ANVIL=str(anvil_path), **own_ports()) as place:
        yield Town(place, fill(place))


@pytest.fixture(scope="module")
def browser(town: Town) -> Iterator[Browser]:
    """A Chromium; ``town`` first, for filling it needs asyncio, which cannot be used beside a browser."""
    with browsing.chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def visitors(browser: Browser, town: Town) -> Iterator[dict[str, BrowserContext]]:
    """Three profiles: nobody, a guest who changed things, the operator."""
    profiles = {name: browsing.profile(browser) for name in ("nobody", "guest", "operator")}
    page = profiles["guest"].new_page()
    browsing.come_in_as_guest(page, town.place)
    browsing.leave_traces(page, town.place, town.world)
    page.close()
    page = profiles["operator"].new_page()
    browsing.come_in_as_operator(page, town.place)
    page.close()
    yield profiles
    for each in profiles.values():
        each.close()
