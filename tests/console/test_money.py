# SPDX-License-Identifier: Apache-2.0
"""An account's money on its page, and the operator's vouchers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from koinon.chain import artifacts
from koinon.chain.contract import Call
from koinon.services.buying.client import Buyer
from koinon.services.counter import GATEWAY, keyring, open_shelf
from koinon.services.gateway.registry import Registry, Service
from koinon.works.channels import Channels
from tests.pages_support import COIN
from tests.services.answering import open_answering
from tests.services.support import GatewayProcess


@pytest.fixture(scope="module")
def operator(town):
    return town.operator()


def test_who_has_not_come_in_is_told_what_the_page_is_for(town):
    assert "What have you earned?" in town.nobody().page("/money")


def test_a_visitor_without_money_has_a_page(town):
    page = town.guest().page("/money")
    assert "Nothing waits for you at the moment" in page
    assert "No Work pays you yet." in page


def test_whoever_has_come_in_takes_test_coins_to_pay_with(town, operator):
    for visit in (operator, town.guest()):
        before = town.coins(visit.address)
        assert "Get test coins" in visit.page("/money")
        assert "100.00 tUSD" in visit.review("money.coins")
        assert "You were given 100.00 tUSD." in visit.do("money.coins")
        assert town.coins(visit.address) == before + 100 * COIN


def test_where_money_is_real_no_coins_are_given(town, operator, monkeypatch):
    monkeypatch.setattr(town.chain, "network", replace(town.chain.network, test_money=False))
    assert "Get test coins" not in operator.page("/money")
    assert "money.not_given" in operator.refused("money.coins")


def test_what_waits_is_collected_from_the_page(town):
    guest = town.guest()
    works = [town.work(f"Paying {number}", shares={guest.address: 0.5}) for number in range(2)]
    for work in works:
        town.pay(work.till, 2 * COIN)
    guest.page("/explore")
    page = guest.page("/money")
    assert "2.00 tUSD" in page
    assert "can come to you now" in page
    before = town.coins(guest.address)
    guest.do("works.collect", work_ids=",".join(str(work.work_id) for work in works))
    assert town.coins(guest.address) - before == 2 * COIN
    assert "have come to you so far" in guest.page("/money")


def test_a_channel_of_another_token_is_not_counted_in_coins(town, operator):
    channels = Channels(town.chain)
    creation = artifacts.load("Coin").creation("Other", "OTH", 2)
    other = town.transact(Call(None, creation)).contract_address
    key = town.house.operator
    town.transact(town.chain.contract("Coin", other).transaction("mint", key.address, 700))
    config = channels.config(key.address, town.owner.address, town.owner.address, token=other)
    authorization = channels.authorize_deposit(
        key, config, 700, valid_before=town.chain.timestamp() + 3_600, salt=1
    )
    channels.deposit(town.owner, config, authorization)
    page = operator.page("/money")
    assert f"smallest units of {other}" in page


def test_only_the_operator_settles(town, operator):
    for visit in (town.guest(), town.as_wallet(operator.address)):
        assert "money.operator_only" in visit.refused("money.settle")
        assert "Signed to this node's gateway" not in visit.page("/money")


def test_the_operator_brings_vouchers_onto_the_chain(town, operator):
    home = town.house.settings.home
    key = keyring(town.house).open(GATEWAY)
    town.house.fund(key.address)
    network_file = home / "network.json"
    town.chain.network.save(network_file)
    work = town.work("Sold", kind="service")
    town.pay(town.owner.address, COIN)
    with open_answering() as answering:
        service = Service(
            work_id=work.work_id,
            name="Sold",
            description="d",
            till=work.till,
            price=1_000,
            kind="endpoint",
            target=f"{answering.url}/good",
        )
        Registry(home / GATEWAY).add(service)
        process = GatewayProcess(SimpleNamespace(network_file=network_file), home / GATEWAY, key, {"port": 0})
        process.start()
        try:
            with Buyer(town.chain, town.owner, spending_limit=COIN // 10, deposit=10_000) as buyer:
                for _ in range(3):
                    buyer.call(process.address(service), {"a": 1})
            assert open_shelf(town.house).running() == process.url
            assert "0.003" in operator.page("/money")
            assert "0.003" in operator.review("money.settle")
            page = operator.do("money.settle")
            assert "0.003 tUSD were claimed and 0.003 tUSD went to tills." in page
            assert town.coins(work.till) == 3_000
        finally:
            process.stop()
    assert "Signed to this node's gateway" not in operator.page("/money")
