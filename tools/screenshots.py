# SPDX-License-Identifier: Apache-2.0
"""Pictures of every page of the console: both languages, light and dark, wide and on a phone.

    python -m tools.screenshots [FOLDER]   every page into FOLDER (build/screenshots)
    python -m tools.screenshots --readme   the two pictures of the README, into docs/images

Files are named ``<language>/<page>-<width>-<theme>.png``. A node of its own is started and filled for it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext

from tests.browser import browsing
from tests.browser.pages import LANGUAGES, PAGES, VISITORS
from tests.browser.world import Place, World, fill, running

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "build" / "screenshots"
IMAGES: Final = ROOT / "docs" / "images"
WIDTHS: Final = (1280, 360)
THEMES: Final = ("light", "dark")
README: Final = {"console.png": "en", "console.zh-Hant.png": "zh"}
LARGEST: Final = 250_000
_TALLEST: Final = 6_000


def every_page(folder: Path, names: Sequence[str] = ()) -> int:
    """Every page, or those whose names begin as one of ``names``; how many pictures were taken."""
    taken = 0
    with tempfile.TemporaryDirectory(prefix="koinon-pictures-") as home, running(Path(home)) as place:
        world = fill(place)
        with browsing.chromium() as browser:
            profiles = _come_in(browser, place, world)
            for page in PAGES:
                if names and not page.name.startswith(tuple(names)):
                    continue
                tab = profiles[page.visitor].new_page()
                for language, prefix in LANGUAGES.items():
                    tab.set_viewport_size({"width": WIDTHS[0], "height": 900})
                    tab.goto(place.base + prefix + page.path(world))
                    for width in WIDTHS:
                        for theme in THEMES:
                            file = folder / language / f"{page.name}-{width}-{theme}.png"
                            _take(tab, file, width, theme)
                            taken += 1
                tab.close()
    return taken


def pictures_of_the_readme() -> None:
    """The Work page with its river, in both languages."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="koinon-pictures-") as home, running(Path(home)) as place:
        model = place.command.json("tour")["model_work"]
        with browsing.chromium() as browser:
            tab = browsing.profile(browser).new_page()
            for name, language in README.items():
                tab.set_viewport_size({"width": 1200, "height": 1000})
                tab.goto(f"{place.base}{LANGUAGES[language]}/works/{model}")
                tab.wait_for_function("document.fonts.status === 'loaded'")
                tab.screenshot(path=IMAGES / name, animations="disabled")
                _make_small(IMAGES / name)


def _come_in(browser: Browser, place: Place, world: World) -> dict[str, BrowserContext]:
    profiles = {name: browsing.profile(browser) for name in VISITORS}
    guest, operator = profiles["guest"].new_page(), profiles["operator"].new_page()
    browsing.come_in_as_guest(guest, place)
    browsing.leave_traces(guest, place, world)
    browsing.come_in_as_operator(operator, place)
    guest.close()
    operator.close()
    return profiles


def _take(tab: Any, file: Path, width: int, theme: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
    tab.set_viewport_size({"width": width, "height": 900})
    height = min(_TALLEST, int(tab.evaluate("document.documentElement.scrollHeight")))
    tab.screenshot(
        path=file,
        full_page=True,
        animations="disabled",
        clip={"x": 0, "y": 0, "width": width, "height": max(900, height)},
    )


def _make_small(file: Path) -> None:
    """Fail where a picture is too large for a README; flat pages compress to far less."""
    size = file.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{file.name} has {size:,} bytes, more than {LARGEST:,}.")


def main() -> int:
    """Take what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--readme", action="store_true", help="only the two pictures of the README")
    parser.add_argument("--only", nargs="*", default=(), help="pages whose names begin so")
    chosen = parser.parse_args()
    if chosen.readme:
        pictures_of_the_readme()
        print(f"{', '.join(README)} in {IMAGES}")
    else:
        print(f"{every_page(chosen.folder, chosen.only)} pictures in {chosen.folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
