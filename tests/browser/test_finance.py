# SPDX-License-Identifier: Apache-2.0
"""A stranger borrows in the browser and a crash takes the loan; pools come in line, a vault stays in bounds,
planted laundering is judged: on a development chain that the simulator filled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from koinon.node import Node
from koinon.treasury.api import Treasury
from koinon.watch.api import Watch
from tests.browser import browsing
from tests.browser.finance_world import (
    MOST_BPS,
    SLIPPAGE_BPS,
    TURNOVER_BPS,
    Finance,
    crash,
    financed,
    gap,
    pool_now,
    push,
)
from tests.browser.world import COIN, Place
from tests.ports import own_ports

BORROWED = 5_000
CENT = Decimal("0.02")
"""Amounts on pages have sensible digits, so that a row's parts differ from its end by so much."""

Exchange = tuple[Place, Finance]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Iterator[Exchange]:
    """The small financial world; before the browser, for filling it needs asyncio."""
    home = tmp_path_factory.mktemp("finance")
    with financed(home, KOINON_ANVIL=str(anvil_path), **own_ports()) as found:
        yield found


@pytest.fixture(scope="module")
def browser(exchange: Exchange) -> Iterator[Browser]:
    with browsing.chromium() as opened:
        yield opened


@pytest.fixture
def guest(browser: Browser, exchange: Exchange) -> Iterator[Page]:
    """A stranger with test money and nothing else."""
    yield from _visitor(browser, lambda page: browsing.come_in_as_guest(page, exchange[0]))


@pytest.fixture
def operator(browser: Browser, exchange: Exchange) -> Iterator[Page]:
    yield from _visitor(browser, lambda page: browsing.come_in_as_operator(page, exchange[0]))


def test_a_vault_is_rebalanced_as_far_as_its_bounds_let(exchange, operator):
    place, finance = exchange
    operator.goto(f"{place.base}/vaults")
    operator.locator(f"a[href$='/vaults/{finance.vault}']").first.click()
    operator.fill("#weight_0", "75")
    operator.locator("form[action$='/act/treasury.rebalance'] button").click()
    operator.get_by_text("bounds and turnover allow no more").wait_for()
    operator.get_by_text("the vault accepts it").wait_for()
    browsing.agree(operator)
    operator.goto(f"{place.base}/vaults/{finance.vault}")
    operator.get_by_role("heading", level=1, name=re.compile("within its bounds")).wait_for()
    with Node.open(place.settings()) as node:
        state = Treasury.of(node).vault(finance.vault)
    (slot,) = state.slots
    assert MOST_BPS - 100 < 10_000 * slot.worth // state.gross <= MOST_BPS
    assert state.turnover_left <= (TURNOVER_BPS - MOST_BPS + 100) / 10_000
    assert state.gross > (10_000 - SLIPPAGE_BPS) * COIN // 10  # it held 1,000 coins


def test_pools_that_disagree_are_brought_in_line_by_a_stranger_who_keeps_the_difference(exchange, guest):
    place, finance = exchange
    push(place, finance, 0.08)
    guest.goto(f"{place.base}/arbitrage")
    guest.get_by_role("heading", level=1, name=re.compile("cycles? would earn")).wait_for()
    before = gap(place, finance)
    guest.locator("form[action$='/act/markets.arbitrage'] button.primary").click()
    guest.get_by_text("It takes none of your money").wait_for()
    browsing.agree(guest)
    guest.get_by_text(re.compile(r"It brought \d")).first.wait_for()
    guest.goto(f"{place.base}/arbitrage")
    guest.get_by_role("heading", level=1, name="Pools agree: nothing to gain").wait_for()
    assert gap(place, finance) < 0.01 < before  # three fees of 0.3 % are not worth a cycle


def test_a_stranger_reads_why_borrows_and_loses_the_loan_in_a_crash(exchange, guest, browser):
    place, finance = exchange
    wallet = _tokens(guest, place, finance)
    guest.goto(f"{place.base}/credit/{wallet}")
    guest.get_by_role("heading", level=1, name=re.compile("This wallet scores 540")).wait_for()
    guest.get_by_text("60 points below the best").first.wait_for()  # a reason
    guest.get_by_text("600 points, enough for tier").first.wait_for()  # a way up
    price = pool_now(place, finance).price
    assert price is not None
    collateral = (Decimal(BORROWED) / price.whole / Decimal("0.6")).quantize(Decimal("0.0001"))
    guest.select_option("#pool", finance.pool)
    guest.fill("#borrow-amount", str(BORROWED))
    guest.fill("#borrow-collateral", str(collateral))
    guest.locator("form[action$='/act/lending.borrow'] button.primary").click()
    guest.wait_for_url("**/actions/*")
    guest.get_by_role("heading", name=re.compile("Borrow 5,000")).wait_for()
    browsing.agree(guest)
    _soon(guest, f"{place.base}/credit/{wallet}", "borrowed")

    before = pool_now(place, finance)
    assert before.lost.loss == 0
    crash(place, finance, Decimal("0.5"))
    with _tab(browser) as bidder:
        browsing.come_in_as_guest(bidder, place)
        _tokens(bidder, place, finance)
        _soon(bidder, f"{place.base}/pools/{finance.pool}", "can be sold")
        sale = bidder.locator("tr", has=bidder.locator(f"a[href$='/credit/{wallet}']"))
        sale.get_by_text("can be sold").wait_for()
        sale.get_by_role("button", name="Liquidate").click()
        browsing.agree(bidder)
        _soon(bidder, f"{place.base}/pools/{finance.pool}", "lenders have lost")
        bidder.get_by_role("heading", level=1, name=re.compile("lenders have lost")).wait_for()
        bidder.get_by_text("Each row adds up, to the smallest unit.").wait_for()
        for row in _waterfall(bidder):
            assert abs(sum(row[:-1]) - row[-1]) <= CENT
        lost = _waterfall(bidder)[1]

    after = pool_now(place, finance)
    assert after.lost.loss == after.lost.junior + after.lost.senior + after.lost.fees > 0
    assert abs(lost[-1] - Decimal(after.lost.loss) / COIN) <= CENT
    books = after.books
    assert books.cash + books.debt == books.senior + books.junior + books.fees
    assert 0 <= books.junior - (before.books.junior - after.lost.junior) < COIN  # interest of a minute
    _soon(guest, f"{place.base}/credit/{wallet}", "defaulted: this was never repaid")


def test_a_planted_case_waits_at_the_desk_and_is_judged(exchange, operator, browser):
    place, finance = exchange
    with _tab(browser) as stranger:
        stranger.goto(f"{place.base}/watch/cases/{finance.case}")
        stranger.get_by_text("Whoever runs this node decides what it is.").wait_for()
    operator.goto(f"{place.base}/watch")
    operator.locator(f"a[href$='/watch/cases/{finance.case}']").first.click()
    operator.locator("figure svg title").first.wait_for(state="attached")
    operator.fill("[name=why]", "Money goes round and comes back short of its start.")
    operator.get_by_role("button", name="It is laundering").click()
    operator.wait_for_url("**/actions/*")
    operator.get_by_text("Nobody is blocked").first.wait_for()
    browsing.agree(operator)
    operator.goto(f"{place.base}/watch/cases/{finance.case}")
    operator.get_by_text("Money goes round and comes back").first.wait_for()
    with Node.open(place.settings()) as node, Watch.of(node) as watch:
        assert watch.case(finance.case).status == "confirmed"
        assert watch.case(finance.case).decisions[-1].who == node.operator.address


# ---------------------------------------------------------------- small things


class _tab:
    """A page in a profile of its own, closed afterwards."""

    def __init__(self, browser: Browser) -> None:
        self.context = browsing.profile(browser)

    def __enter__(self) -> Page:
        return self.context.new_page()

    def __exit__(self, *_error: object) -> None:
        self.context.close()


def _visitor(browser, come_in):
    with _tab(browser) as page:
        said = browsing.complaints(page)
        come_in(page)
        yield page
        assert said == []


def _tokens(page: Page, place: Place, finance: Finance) -> str:
    """Take the pool's test tokens; whose they are."""
    page.goto(f"{place.base}/pools/{finance.pool}")
    page.locator("form[action$='/act/lending.tokens'] button").click()
    browsing.agree(page)
    page.goto(f"{place.base}/me")
    address = page.locator("code[title^='0x']").first.get_attribute("title")
    assert address is not None
    return address


def _soon(page: Page, url: str, words: str) -> None:
    """The page says so once the node has read the newest block."""
    for _ in range(60):
        page.goto(url)
        if page.get_by_text(words).count():
            return
        page.wait_for_timeout(500)
    pytest.fail(f"{url} never says {words!r}")


def _waterfall(page: Page) -> list[list[Decimal]]:
    """The rows of the loss waterfall, as people read them: what there is, what was lost, what could be."""
    rows = page.locator("table", has_text="The loss waterfall").locator("tbody tr").all()
    return [
        [Decimal(cell.inner_text().replace(",", "")) for cell in row.locator("td.number").all()]
        for row in rows
    ]
