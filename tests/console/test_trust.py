# SPDX-License-Identifier: Apache-2.0
"""The page that names whom one trusts."""

from __future__ import annotations

from koinon.chain import rights
from tests.console.wallet_support import browser, open_console
from tests.pages_support import Visit


def test_every_contract_is_named_with_who_can_change_it(town, guest):
    page = guest.page("/trust")
    for name, address in town.chain.network.contracts.items():
        assert name in page
        assert address in page.replace('<span class="middle">', "").replace("</span>", "")
    assert "nobody can change it" in page
    assert "Keys of guests are made and kept by this node" in page


def test_the_page_has_no_secrets(town):
    page = town.operator().page("/trust")
    for secret in (town.house.settings.keys / "guests" / "password", town.house.settings.keys / "password"):
        if secret.exists():
            assert secret.read_text().strip() not in page


def test_rights_are_read_from_the_chain_at_most_once_a_minute(town, monkeypatch):
    read, as_before = [], rights.read

    def counted(*asked):
        read.append(asked)
        return as_before(*asked)

    monkeypatch.setattr(rights, "read", counted)
    visit = Visit(town, town.exits.enter_context(browser(open_console(town.house))))
    for _ in range(3):
        visit.page("/trust")
    assert len(read) == 1
