# SPDX-License-Identifier: Apache-2.0
"""A real Chromium with an injected wallet: found by EIP-6963, it signs with a key that Python holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Page, sync_playwright

from koinon.chain.devnet import free_port
from koinon.console.operator import operator_link
from tests.console.wallet_support import House, Refused, Wallet, open_console

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 20_000
INJECTED = """
(() => {
  const request = async ({ method, params = [] }) => {
    const said = await window.signForReal(method, params);
    if (said.code) throw Object.assign(new Error("refused"), { code: said.code });
    return said.result;
  };
  const detail = Object.freeze({
    info: { uuid: "6963", name: "Test Wallet", icon: "data:,", rdns: "test.wallet" },
    provider: { request },
  });
  const announce = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
  addEventListener("eip6963:requestProvider", announce);
  announce();
})();
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no Chromium at /usr/bin/chromium"),
]


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The console on a port of its own."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def house(tmp_path, chain, devnet):
    return House(tmp_path, chain, devnet.key(5))


@pytest.fixture
def base(house):
    with serving(open_console(house)) as url:
        yield url


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


def inject(page: Page, wallet: Wallet, chain_id: str | None = None) -> None:
    """Give the browser a wallet, on another chain at first where one is named."""
    now: dict[str, Any] = {"chain": chain_id}

    def sign(method: str, params: list[Any]) -> dict[str, Any]:
        if method == "wallet_switchEthereumChain":
            return {"code": 4902}
        if method == "wallet_addEthereumChain":
            now["chain"] = None
            return {"result": None}
        if method == "eth_chainId" and now["chain"]:
            return {"result": now["chain"]}
        try:
            return {"result": wallet.request(method, params)}
        except Refused:
            return {"code": 4001}

    page.expose_function("signForReal", sign)
    page.add_init_script(INJECTED)


def mint(page: Page, base: str, name: str = "test.mint") -> None:
    """Send the form of a change in, as a domain's page would."""
    page.goto(f"{base}/login")
    page.evaluate(
        """(name) => {
          const form = document.querySelector("form[action$='/logout']");
          form.action = `/act/${name}`;
          const field = document.createElement("input");
          field.name = "amount"; field.value = "5"; field.type = "hidden";
          form.append(field);
          form.submit();
        }""",
        name,
    )
    page.wait_for_url("**/actions/*")


def test_a_person_comes_in_with_a_wallet_signs_and_sends(page, base, chain, house):
    wallet = Wallet(chain)
    house.fund(wallet.address)
    inject(page, wallet, chain_id="0x1")
    page.goto(f"{base}/login")
    page.get_by_role("button", name="Test Wallet").click()
    page.wait_for_url("**/me")
    mint(page, base)
    page.get_by_role("button", name="Mint").click()
    page.get_by_text("The coins are there.").wait_for()
    assert chain.coin.call("balanceOf", wallet.address) == 5
    mint(page, base, "test.sign")
    page.get_by_role("button", name="Mint").click()
    page.get_by_text("Signed.").wait_for()
    methods = [method for method, _ in wallet.asked]
    assert methods.count("personal_sign") == 1
    assert methods.count("eth_sendTransaction") == 1
    assert methods.count("eth_signTypedData_v4") == 1


def test_a_refusal_in_the_wallet_is_told_and_changes_nothing(page, base, chain):
    wallet = Wallet(chain)
    wallet.refuses.add("personal_sign")
    inject(page, wallet)
    page.goto(f"{base}/login")
    page.get_by_role("button", name="Test Wallet").click()
    page.get_by_text("The wallet refused. Nothing was changed").wait_for()


def test_a_browser_without_a_wallet_is_told_so(page, base):
    page.goto(f"{base}/login")
    page.get_by_text("No wallet was found in this browser.").wait_for()


def test_the_operators_link_fills_the_code_in_and_hides_it(page, base, house):
    link = operator_link(house.settings, base)
    page.goto(link.url)
    page.get_by_role("button", name="Come in", exact=True).click()
    page.wait_for_url("**/me")
    assert link.code not in page.content()
    page.go_back()
    assert link.code not in page.url
