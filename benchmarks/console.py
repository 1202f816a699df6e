# SPDX-License-Identifier: Apache-2.0
"""How fast the console answers on a node with a million events, and how much the first page weighs.

``console.p95_ms``: the slowest page's 95th percentile over loopback HTTP, one request after another, warm; a
line for each page goes to standard error. ``console.first_load_kb``: what Chromium transfers for the start
page with an empty cache: HTML, styles, scripts, fonts, compressed as sent.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

EVENTS: Final = 1_000_000
REQUESTS: Final = 40
WARM_UP: Final = 3
SLOWEST_MS: Final = 50.0
HEAVIEST_KB: Final = 150.0
CHROMIUM: Final = Path("/usr/bin/chromium")
ROOT: Final = Path(__file__).resolve().parent.parent

PAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "": (
        "/",
        "/zh-hant/",
        "/explore",
        "/explore/model",
        "/explore?q=tea",
        "/explore?q=%E5%9C%B0%E9%9C%87",
        "/works/{busiest_work}",
        "/works/{deepest_work}",
        "/works/1/call",
        "/publish",
        "/publish/dataset",
        "/publish/model",
        "/publish/artwork",
        "/publish/other",
        "/runs/1",
        "/services",
        "/runs",
        "/tour",
        "/decide",
        "/money",
        "/me",
        "/actions",
        "/trust",
        "/login",
        "/login/operator",
        "/chain",
        "/chain/block/{block}",
        "/chain/transaction/{transaction}",
        "/chain/address/{busiest_owner}",
        "/chain/address/{busiest_payer}",
        "/chain/address/{till}",
        "/chain/contracts",
        "/chain/contract/Works",
        "/search?q=harbour",
    ),
    "owner": ("/me", "/money", "/actions", "/works/{busiest_work}"),
    "payer": ("/me", "/money", "/works/{busiest_work}"),
    "operator": ("/me", "/money", "/publish/service", "/services"),
}
"""Paths by who asks; a page that this console does not have is passed over."""


def run() -> Iterator[dict[str, Any]]:
    """The figures of this module."""
    with console(EVENTS) as there:
        worst = 0.0
        for who, path, times in measured(there):
            p95 = percentile(times, 0.95)
            shown = f"{p95:7.1f} ms p95 {statistics.median(times):7.1f} ms median  {path} {who}"
            print(f"console  {shown}", file=sys.stderr, flush=True)
            worst = max(worst, p95)
        yield figure("p95_ms", worst, "ms", SLOWEST_MS)
        if CHROMIUM.exists():
            yield figure("first_load_kb", first_load_kb(there["url"]), "kB", HEAVIEST_KB)


def figure(name: str, ours: float, unit: str, most: float) -> dict[str, Any]:
    return {
        "name": f"console.{name}",
        "ours": round(ours, 1),
        "peer": None,
        "ratio": None,
        "unit": unit,
        "target": f"<= {most:.0f}",
        "ok": ours <= most,
    }


@contextmanager
def console(events: int) -> Iterator[dict[str, Any]]:
    """A console in a process of its own; what it says of itself."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._console_server", str(events)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            raise RuntimeError(f"the console ended with status {child.wait()}")
        yield orjson.loads(line)
    finally:
        child.communicate(timeout=60)


def measured(there: Mapping[str, Any]) -> Iterator[tuple[str, str, list[float]]]:
    """(who asks, path, milliseconds of each request) for every page."""
    place = urlsplit(there["url"])
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    wanted = [
        (who, path.format_map(there), heading(there, who)) for who, paths in PAGES.items() for path in paths
    ]
    shown = [each for each in wanted if ask(connection, each[1], each[2])[0] != 404]
    for _who, path, headers in shown * WARM_UP:
        ask(connection, path, headers)
    for who, path, headers in shown:
        yield who, path, [timed(connection, path, headers) for _ in range(REQUESTS)]
    connection.close()


def heading(there: Mapping[str, Any], who: str) -> dict[str, str]:
    """What a browser of this visitor sends along."""
    headers = {"Accept-Encoding": "gzip", "Host": urlsplit(there["url"]).netloc}
    return headers | {"Cookie": there["cookies"][who]} if who else headers


def ask(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read()


def timed(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    status, body = ask(connection, path, headers)
    took = (time.perf_counter() - begin) * 1_000
    if status != 200:
        raise RuntimeError(f"{path}: HTTP status {status}: {body[:300]!r}")
    return took


def percentile(times: list[float], part: float) -> float:
    """The smallest time that ``part`` of all requests did not exceed."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def first_load_kb(url: str) -> float:
    """Kilobytes (1,000 bytes) over the wire until the start page is complete, headers included."""
    from playwright.sync_api import Request, sync_playwright  # noqa: PLC0415  (only where there is a Chromium)

    finished: list[Request] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("requestfinished", lambda request: finished.extend([request]))
        page.goto(f"{url}/")
        page.wait_for_timeout(1_500)
        total = 0
        for each in finished:
            sizes = each.sizes()
            size = sizes["responseBodySize"] + sizes["responseHeadersSize"]
            total += size
            print(f"console  {size:8,d} B  {urlsplit(each.url).path}", file=sys.stderr, flush=True)
        browser.close()
    return total / 1_000
