# SPDX-License-Identifier: Apache-2.0
"""Vaults in the console: weights beside bounds, a share beside equal parts, money in and out, roles."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from koinon.treasury.api import Treasury
from koinon.treasury.vault import DELAY_S
from tests.console.wallet_support import Wallet
from tests.pages_support import open_town, words
from tests.treasury.market_support import World, move_on, send

COIN = 10**6


@pytest.fixture(scope="module")
def town(tmp_path_factory, own_chain, own_devnet):
    with open_town(tmp_path_factory.mktemp("town"), own_chain.network, own_devnet) as opened:
        opened.pay(opened.owner.address, 100_000 * COIN)
        yield opened


@pytest.fixture(scope="module")
def empty(town):
    """What the list says before there is a vault."""
    return town.nobody().page("/vaults")


@pytest.fixture(scope="module")
def world(town, own_devnet, empty):
    return World.build(town.chain, own_devnet.key(0))


@pytest.fixture(scope="module")
def manager(town):
    """A guest with all roles of the vault, and coins."""
    guest = town.guest()
    town.pay(guest.address, 50_000 * COIN)
    return guest


@pytest.fixture(scope="module")
def vault(town, world, manager, tmp_path_factory):
    """A vault with 3,000 coins in it."""
    treasury = Treasury(town.chain, tmp_path_factory.mktemp("treasury"), town.owner)
    address = treasury.create(replace(world.terms(manager.address), name="<b>Tides")).address
    treasury.deposit(address, 3_000 * COIN)
    return address


@pytest.fixture
def holder(town, vault):
    """A guest with shares for 100 coins."""
    guest = town.guest()
    town.pay(guest.address, 200 * COIN)
    guest.do("treasury.deposit", vault=vault, amount="100")
    return guest


def test_a_network_without_vaults_says_what_to_do(empty):
    assert "There is no vault yet" in empty
    assert "koinon treasury vault create" in empty


def test_vaults_are_listed_with_what_they_hold(town, vault):
    page = town.nobody().page("/vaults")
    assert re.search(r"vaults? holds? \d,\d{3}\.\d\d tUSD", words(page))
    assert f"/vaults/{vault}" in page
    assert "<b>Tides" not in town.nobody().raw("/vaults").text
    assert "金庫" in town.nobody().page("/zh-hant/vaults")


def test_addresses_without_a_vault_are_not_found(town, world):
    for address in ("0x1", "nobody", world.token.address, "0x" + "11" * 20, town.owner.address):
        assert "There is no vault at" in town.nobody().page(f"/vaults/{address}", 404), address


def test_a_vault_shows_weights_bounds_limits_and_roles(town, vault, manager):
    page = town.nobody().page(f"/vaults/{vault}")
    said = words(page)
    for words_ in ("within its bounds", "from 0.0 % to 60.0 % allowed", "What its allocator may do"):
        assert words_ in page
    assert "Nothing waits" in said
    assert manager.address[-4:] in page
    assert page.count("What one share is worth") >= 2, "wide and narrow"
    assert page.count('class="baseline"') >= 2, "equal parts beside it"
    assert "No walk-forward report" in page
    assert "As its guardian" not in page
    for action in ("withdraw", "in_kind", "rebalance", "stop"):
        assert f"treasury.{action}" not in page
    assert "<b>Tides" not in town.nobody().raw(f"/vaults/{vault}").text


def test_money_goes_in_and_out_by_reviews(town, vault, holder):
    review = holder.review("treasury.deposit", vault=vault, amount="100")
    for said in ("You would get", "within the bounds", "can fall", "10.0 %"):
        assert said in review
    assert "You hold" in holder.page(f"/vaults/{vault}")
    before = town.coins(holder.address)
    assert "Most that can be had at once" in holder.review("treasury.withdraw", vault=vault, amount="20")
    holder.do("treasury.withdraw", vault=vault, amount="20")
    assert town.coins(holder.address) == before + 20 * COIN
    review = holder.review("treasury.redeem", vault=vault, amount="10")
    assert "You get" in review
    assert "as reckoned just now" in review
    holder.do("treasury.redeem", vault=vault, amount="10")
    assert before + 29 * COIN < town.coins(holder.address) <= before + 31 * COIN
    review = holder.review("treasury.in_kind", vault=vault, percent="100")
    assert "needs no price, no role" in review
    assert "tried just now" in review
    holder.do("treasury.in_kind", vault=vault, percent="100")
    assert "no shares" in holder.refused("treasury.in_kind", vault=vault, percent="100")
    events = words(holder.page(f"/vaults/{vault}"))
    for what in ("Somebody deposited", "Somebody withdrew", "Somebody took a part in kind"):
        assert what in events


def test_a_wallet_deposits_and_leaves_in_kind_each_step_signed_in_the_browser(town, vault):
    wallet = Wallet(town.chain)
    visit = town.wallet(wallet)
    town.pay(wallet.address, 100 * COIN)
    visit.agree_by_wallet(visit.ask("treasury.deposit", vault=vault, amount="100"), wallet)
    page = visit.page(f"/vaults/{vault}")
    assert "You hold" in page
    visit.agree_by_wallet(visit.ask("treasury.in_kind", vault=vault, percent="100"), wallet)
    sent = [method for method, _ in wallet.asked if method == "eth_sendTransaction"]
    assert len(sent) == 3, "allow, deposit, leave"
    assert town.coins(wallet.address) > 0


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("deposit", {"amount": "0"}),
        ("deposit", {"amount": "-1"}),
        ("deposit", {"amount": "much"}),
        ("deposit", {"amount": "1.0000001"}),
        ("deposit", {"amount": "99999999"}),
        ("deposit", {"amount": "1", "vault": "0x1"}),
        ("withdraw", {"amount": "99999999"}),
        ("redeem", {"amount": "99999999"}),
        ("redeem", {"amount": ""}),
        ("in_kind", {"percent": "0"}),
        ("in_kind", {"percent": "101"}),
        ("rebalance", {"weight_0": "10"}),
        ("stop", {}),
        ("resume", {}),
        ("veto", {"change": "0x12"}),
    ],
)
def test_what_makes_no_sense_or_is_not_ones_own_is_refused_in_words(vault, holder, action, fields):
    holder.refused(f"treasury.{action}", **{"vault": vault, **fields})


def test_the_allocator_rebalances_within_bounds_after_a_review(town, vault, manager):
    for fields, said in (
        ({}, "No weight"),
        ({"weight_0": "60", "weight_1": "60"}, "more than the whole"),
        ({"weight_7": "1"}, "empty"),
        ({"weight_0": "x"}, "not an amount"),
    ):
        assert said in manager.refused("treasury.rebalance", vault=vault, **fields)
    review = manager.review("treasury.rebalance", vault=vault, weight_0="90", weight_1="10")
    for said in ("bounds and turnover allow no more", "Turnover", "the vault accepts it", "at the least"):
        assert said in review
    assert "to 60.0 %" in review
    manager.do("treasury.rebalance", vault=vault, weight_0="40", weight_1="20")
    page = manager.page(f"/vaults/{vault}")
    assert "in 3 places, within its bounds" in words(page)
    assert "Last target" in page
    assert "40.0 %" in page
    assert "Ticks on the axis are rebalancings" in page
    assert "The allocator rebalanced" in page


def test_what_was_announced_waits_in_sight_and_the_guardian_takes_it_away(town, world, vault, manager):
    guest = town.app.state.guests.key(manager.address)
    rules = Treasury(town.chain, town.house.settings.home, guest).rules
    rules.make(rules.bounds(vault, "0", 0, 7_000))
    page = manager.page(f"/vaults/{vault}")
    assert "may be from 0.0 % to 70.0 % of what is held" in page
    (change,) = re.findall(r'name="change" value="(0x[0-9a-f]{64})"', page)
    assert "As its guardian" not in town.nobody().page(f"/vaults/{vault}")
    assert "unless it is announced anew" in manager.review("treasury.veto", vault=vault, change=change)
    manager.do("treasury.veto", vault=vault, change=change)
    assert "Nothing waits" in manager.page(f"/vaults/{vault}")
    assert "No such change" in manager.refused("treasury.veto", vault=vault, change=change)


def test_the_guardian_stops_it_holders_leave_and_it_goes_on_in_public(town, vault, manager, holder):
    assert "not stopped" in manager.refused("treasury.resume", vault=vault)
    assert "Deposits and withdrawals go on" in manager.review("treasury.stop", vault=vault)
    manager.do("treasury.stop", vault=vault)
    assert "stopped allocation" in manager.page(f"/vaults/{vault}")
    assert "stopped already" in manager.refused("treasury.stop", vault=vault)
    manager.refused("treasury.rebalance", vault=vault, weight_0="10")
    holder.do("treasury.withdraw", vault=vault, amount="10")
    manager.do("treasury.resume", vault=vault)
    assert "can be made from" in manager.refused("treasury.resume", vault=vault)
    move_on(town.chain, DELAY_S + 60)
    assert "may move money within the bounds again" in manager.review("treasury.resume", vault=vault)
    manager.do("treasury.resume", vault=vault)
    assert "within its bounds" in words(manager.page(f"/vaults/{vault}"))


def test_without_a_price_the_page_says_so_and_leaving_in_kind_works(town, world, vault, holder, own_devnet):
    payer = own_devnet.key(0)
    send(town.chain, payer, world.feed.transaction("misbehave", 1))
    try:
        page = holder.page(f"/vaults/{vault}")
        assert "has no valid price now" in page
        assert "no valid price" in holder.page("/vaults")
        assert "now: something it holds has no valid price" in holder.refused(
            "treasury.deposit", vault=vault, amount="10"
        )
        assert "At most" in holder.refused("treasury.withdraw", vault=vault, amount="10")
        assert "nothing: left behind" in holder.review(
            "treasury.in_kind", vault=vault, percent="50", skip_0="1"
        )
        holder.do("treasury.in_kind", vault=vault, percent="100")
    finally:
        send(town.chain, payer, world.feed.transaction("misbehave", 0))


def test_a_kept_report_is_shown_with_its_intervals(town, vault):
    row = {"method": "equal-weight", "sharpe": 0.9, "sharpe_interval": [0.1, 1.7], "better": False}
    treasury = Treasury.of(town.house)
    report = {
        "source": "made <up>",
        "begin": "2020-01-01",
        "end": "2021-01-01",
        "tested_rows": 250,
        "split": {"train": 504},
        "cost_bps": 30.0,
        "rows": [row, {**row, "method": "hrp", "sharpe": 1.2, "better": True}],
    }

    class Kept:
        def to_dict(self):
            return report

    place = treasury.reports.keep(vault, Kept())  # type: ignore[arg-type]
    page = town.nobody().page(f"/vaults/{vault}")
    assert "0.90 [0.10, 1.70]" in page
    assert "beyond chance" in page
    assert "made <up>" not in town.nobody().raw(f"/vaults/{vault}").text
    place.write_text('{"rows": [{"method": 1}]}')
    assert "No walk-forward report" in town.nobody().page(f"/vaults/{vault}")
    place.write_text("{")
    assert "No walk-forward report" in town.nobody().page(f"/vaults/{vault}")


def test_a_network_without_a_factory_says_so(town, vault):
    network = town.chain.network
    others = {name: at for name, at in network.contracts.items() if name != "VaultFactory"}
    town.chain.network = replace(network, contracts=others)
    try:
        page = town.nobody().page("/vaults")
    finally:
        town.chain.network = network
    assert "has no factory of vaults" in page
