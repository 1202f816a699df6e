# SPDX-License-Identifier: Apache-2.0
"""A function is published in one browser profile and bought from another, whose wallet signs for real; then
everything is killed, and every unit is where it was."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from koinon.chain.handle import Chain
from koinon.chain.network import Network
from koinon.chain.sender import Sender
from koinon.node import Node
from tests.browser import browsing
from tests.browser.world import COIN, SOURCE, Place, running
from tests.console.test_wallet_in_browser import inject
from tests.console.wallet_support import Wallet
from tests.ports import own_ports

PRICE = 2_000
"""0.002 coins, of a millionth each."""


@dataclass
class Stage:
    """A node that sells one function, and the wallet of somebody who has coins."""

    place: Place
    chain: Chain
    wallet: Wallet
    work_id: int
    till: str
    operator: BrowserContext
    buyer: BrowserContext

    def coins(self, address: str) -> int:
        return int(self.chain.coin.call("balanceOf", address))

    def open(self, path: str, who: BrowserContext | None = None) -> Page:
        tab = (who or self.buyer).new_page()
        tab.goto(self.place.base + path)
        return tab


@pytest.fixture(scope="module")
def node_of_its_own(tmp_path_factory: pytest.TempPathFactory, anvil_path: Path) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("journey"), KOINON_ANVIL=str(anvil_path), **own_ports()) as place:
        yield place


@pytest.fixture(scope="module")
def stage(node_of_its_own: Place) -> Iterator[Stage]:
    place = node_of_its_own
    with Chain.open(Network.load(place.settings().network)) as chain, browsing.chromium() as browser:
        wallet = Wallet(chain)
        with Node.open(place.settings()) as node:
            node.fund(wallet.address)
            mint = chain.coin.transaction("mint", wallet.address, 10 * COIN)
            Sender(chain.rpc, node.operator, chain_id=chain.chain_id).send(mint)
        operator, buyer = browsing.profile(browser), browsing.profile(browser)
        work_id = publish(operator, place)
        till = str(chain.contract("Works").call("till_of", work_id))
        yield Stage(place, chain, wallet, work_id, till, operator, buyer)


def publish(operator: BrowserContext, place: Place) -> int:
    """As the operator: come in by the link, upload a function, agree."""
    page = operator.new_page()
    browsing.come_in_as_operator(page, place)
    page.goto(f"{place.base}/publish/service")
    page.set_input_files(
        "#file", {"name": "score.py", "mimeType": "text/x-python", "buffer": SOURCE.encode()}
    )
    page.fill("#function", "score")
    page.fill("#price", "0.002")
    page.locator("form.form button.primary").click()
    page.wait_for_url("**/actions/*")
    page.locator("main button.primary").click()
    page.locator("#action[data-state='done']").wait_for()
    where = page.get_by_role("link", name="See it").get_attribute("href") or ""
    page.close()
    return int(where.removesuffix("/call").rpartition("/")[2])


def log_in(stage: Stage, *, chain_id: str | None = None) -> Page:
    """In the buyer's profile, by a message that the wallet signs."""
    page = stage.buyer.new_page()
    inject(page, stage.wallet, chain_id)
    page.goto(f"{stage.place.base}/login")
    page.get_by_role("button", name="Test Wallet").click()
    page.wait_for_url("**/me")
    return page


def ask(page: Page, stage: Stage, income: str, calls: int = 0) -> None:
    """Ask the service, up to where the wallet comes in."""
    page.goto(f"{stage.place.base}/works/{stage.work_id}/call")
    page.fill("#input_income", income)
    page.fill("#calls", str(calls))
    page.locator("form.form button.primary").click()
    page.wait_for_url("**/actions/*")
    page.get_by_role("button", name="Pay and call").click()


def told(page: Page, words: str) -> None:
    """Wait until the change's own page says so."""
    page.locator("#action").get_by_text(words).first.wait_for()


def test_a_call_is_paid_by_one_signature_and_the_river_moves_without_a_reload(stage):
    page = log_in(stage, chain_id="0x1")
    river = stage.open(f"/works/{stage.work_id}")
    river.evaluate("window.never = 'loaded again'")
    before, waiting = stage.coins(stage.wallet.address), stage.coins(stage.till)
    asked = len(stage.wallet.asked)
    ask(page, stage, "42000")
    told(page, "The answer: 0.9")
    methods = [method for method, _ in stage.wallet.asked[asked:]]
    assert methods.count("eth_signTypedData_v4") == 1
    assert methods.count("eth_sendTransaction") == 0
    assert stage.coins(stage.wallet.address) == before - PRICE
    assert stage.coins(stage.till) == waiting + PRICE
    shown = f"{(waiting + PRICE) / COIN:.3f}".rstrip("0")
    river.locator("#river svg.wide text", has_text=shown).first.wait_for()
    assert river.evaluate("window.never") == "loaded again"
    river.close()
    page.close()


def test_words_about_the_work_are_a_transaction_of_the_wallet(stage):
    page = log_in(stage)
    page.goto(f"{stage.place.base}/works/{stage.work_id}")
    page.locator("#speak summary").click()
    page.fill("#value", "88")
    page.fill("#reason", "It answered at once.")
    page.locator("#speak button", has_text="Review").click()
    page.get_by_role("button", name="Say it").click()
    told(page, "Your words stand beside the Work.")
    assert stage.wallet.asked[-1][0] == "eth_sendTransaction"
    page.get_by_role("link", name="See it").click()
    page.wait_for_url(f"**/works/{stage.work_id}")
    _reload_until(page, "It answered at once.")
    page.close()


def test_what_a_stranger_published_is_found_paid_with_a_wallet_answered_and_rated(stage):
    page = log_in(stage)
    before = stage.coins(stage.wallet.address)
    page.goto(f"{stage.place.base}/market")
    page.fill("#q", "customers who pay back")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="score", exact=True).click()
    page.wait_for_url(f"**/services/{stage.work_id}")
    assert page.locator("h1").inner_text().startswith("“score” answers for 0.002")
    page.fill("#input_income", "42000")
    page.fill("#input_late_payments", "1")
    page.get_by_role("button", name="Review and pay").click()
    page.get_by_role("button", name="Pay and call").click()
    told(page, "The answer: 0.8")
    assert page.locator("h1").inner_text() == "“score” answered"
    assert stage.coins(stage.wallet.address) == before - PRICE
    page.get_by_role("link", name="Rate it").click()
    page.wait_for_url(f"**/services/{stage.work_id}#rate")
    _reload_until(page, "What was it worth?")
    page.fill("#mark", "92")
    page.fill("#reason", "It told me what I wanted to know.")
    page.get_by_role("button", name="Review before signing").click()
    page.get_by_role("button", name="Rate it").click()
    told(page, "Your mark stands beside the Work.")
    assert stage.wallet.asked[-1][0] == "eth_sendTransaction"
    page.get_by_role("link", name="See it").click()
    page.wait_for_url(f"**/services/{stage.work_id}")
    _reload_until(page, "It told me what I wanted to know.")
    assert "You believe whoever said it: all they paid counts." in page.locator("#words + ol").inner_text()
    page.close()


def test_a_refusal_in_the_wallet_costs_nothing_and_the_wish_can_be_taken_up_again(stage):
    page = log_in(stage)
    before = stage.coins(stage.wallet.address)
    stage.wallet.refuses.add("eth_signTypedData_v4")
    ask(page, stage, "42000")
    told(page, "The wallet refused to sign.")
    told(page, "Nothing more was signed. Start again if you want it after all.")
    stage.wallet.refuses.clear()
    assert stage.coins(stage.wallet.address) == before
    page.get_by_role("button", name="Look at it again").click()
    page.get_by_role("button", name="Pay and call").click()
    told(page, "The answer: 0.9")
    assert stage.coins(stage.wallet.address) == before - PRICE
    page.close()


def test_a_wallet_on_another_chain_is_asked_to_change_and_told_why(stage):
    page = stage.buyer.new_page()
    inject(page, stage.wallet, "0x1")
    told_so: list[str] = []
    page.expose_function("note", lambda words: told_so.extend([words]))
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => new MutationObserver((all) =>"
        " all.forEach(({ target }) => note(target.textContent))).observe("
        "document.querySelector('.wallet-state') || document.body, { childList: true }))"
    )
    page.goto(f"{stage.place.base}/login")
    page.get_by_role("button", name="Test Wallet").click()
    page.wait_for_url("**/me")
    assert any("Your wallet is on another network." in words for words in told_so)
    page.close()


def test_after_everything_was_killed_every_unit_is_in_place(stage):
    page = log_in(stage)
    before, waiting = stage.coins(stage.wallet.address), stage.coins(stage.till)
    ask(page, stage, "42000", calls=5)
    told(page, "The answer: 0.9")
    page.close()
    assert stage.coins(stage.wallet.address) == before - 5 * PRICE
    kill_everything(stage.place)
    again = stage.place.command.json("up", "--detach")
    assert again["console"] == stage.place.base
    assert stage.coins(stage.wallet.address) == before - 5 * PRICE
    assert stage.coins(stage.till) == waiting
    mine = stage.open("/money")
    mine.get_by_role("cell", name=f"{5 * PRICE / COIN}").first.wait_for()
    mine.close()
    money = stage.open("/money", stage.operator)
    money.locator("#money").get_by_text(f"{PRICE / COIN}").first.wait_for()
    money.get_by_role("button", name="Settle").click()
    money.get_by_role("button", name="Settle").click()
    money.locator("#action[data-state='done']").wait_for()
    money.close()
    assert stage.coins(stage.till) == waiting + PRICE


def _reload_until(page: Page, words: str) -> None:
    """The index is a moment behind the chain."""
    for _ in range(60):
        if page.get_by_text(words).count():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(f"the page does not say: {words}")


def kill_everything(place: Place) -> None:
    """Every process of this data directory, at once, as a power cut would."""
    mark = f"KOINON_HOME={place.home}".encode()
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    assert place.pid() in found
    assert len(found) > 2
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    while place.pid():
        time.sleep(0.05)
