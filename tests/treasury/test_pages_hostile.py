# SPDX-License-Identifier: Apache-2.0
"""What strangers put on the chain must not take the vaults' pages away, nor pass for what it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.chain import artifacts
from koinon.treasury.api import Treasury
from koinon.treasury.vault import Kind, Strategy, announced, read_vault
from tests.lending.credit_town import open_credit
from tests.pages_support import open_town, words
from tests.treasury.market_support import World, create, put, send

COIN = 10**6
RIGHT_TO_LEFT = "\N{RIGHT-TO-LEFT OVERRIDE}dUSt"


@pytest.fixture(scope="module")
def town(tmp_path_factory, own_chain, own_devnet):
    with open_town(tmp_path_factory.mktemp("town"), own_chain.network, own_devnet) as opened:
        opened.pay(opened.owner.address, 100_000 * COIN)
        yield opened


@pytest.fixture(scope="module")
def payer(own_devnet):
    return own_devnet.key(0)


@pytest.fixture(scope="module")
def world(town, payer):
    return World.build(town.chain, payer)


@pytest.fixture(scope="module")
def treasury(town, world, tmp_path_factory):
    return Treasury(town.chain, tmp_path_factory.mktemp("treasury"), town.owner)


@pytest.fixture(scope="module")
def vault(town, world, treasury):
    return treasury.create(world.terms(town.owner.address)).address


@pytest.fixture(scope="module")
def mask(town, payer):
    """A stranger's contract with a vault's functions."""

    def put(name="Mask", decimals=12, epoch_s=86_400, kind=0):
        return create(town.chain, payer, "Mask", town.chain.coin.address, name, decimals, epoch_s, kind)

    return put


def test_a_vault_whose_asset_broke_is_named_and_takes_the_list_not_away(town, world, treasury, vault, payer):
    asset = create(town.chain, payer, "Money", 6)
    terms = world.terms(town.owner.address)
    broken = treasury.create(
        replace(terms, charter=replace(terms.charter, asset=asset.address), strategies=())
    ).address
    send(town.chain, payer, asset.transaction("misbehave", False, True))
    try:
        page = town.nobody().page("/vaults")
        assert "does not answer" in page
        assert broken in page
        assert f"/vaults/{vault}" in page
        town.nobody().page(f"/vaults/{broken}", 404)
        town.guest().refused("treasury.deposit", vault=broken, amount="1")
    finally:
        send(town.chain, payer, asset.transaction("misbehave", False, False))
    assert f"/vaults/{broken}" in town.nobody().page("/vaults")


@pytest.mark.parametrize(
    "terms", [{"epoch_s": 0}, {"kind": 7}, {"kind": 2**255}, {"decimals": 5}, {"decimals": 255}]
)
def test_a_strangers_contract_of_impossible_terms_is_no_vault(town, mask, terms):
    address = mask(**terms).address
    guest = town.guest()
    assert "There is no vault at" in guest.page(f"/vaults/{address}", 404)
    assert "There is no vault at" in guest.refused("treasury.deposit", vault=address, amount="1")


def test_precompiled_contracts_are_no_vaults(town, vault):
    for number in (1, 2, 4, 9):
        town.nobody().page(f"/vaults/0x{number:040x}", 404)


def test_a_strangers_announcements_are_passed_over(town, payer, mask):
    made = mask()
    for call in (b"", b"\1", b"\xde\xad\xbe\xef" + bytes(32), made.function("held").selector):
        send(town.chain, payer, made.transaction("announce", call))
    resumption = town.chain.contract("Vault", made.address).function("resume").encode()
    send(town.chain, payer, made.transaction("announce", resumption))
    page = town.nobody().page(f"/vaults/{made.address}")
    assert "Nothing waits" in page
    assert "nobody says what its code does" in page
    assert announced(town.chain, made.address) == []


def test_a_name_that_turns_text_around_is_not_shown(town, mask):
    state = read_vault(town.chain, mask(name=RIGHT_TO_LEFT).address)
    assert (state.name, state.symbol) == (state.address[:8], state.address[:8])
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in town.nobody().raw(f"/vaults/{state.address}").text
    assert read_vault(town.chain, mask(name="銀行 1").address).name == "銀行 1"


def test_a_vaults_own_announcement_comes_from_the_index(town, treasury, vault, monkeypatch):
    treasury.rules.make(treasury.rules.bounds(vault, "0", 0, 7_000))
    monkeypatch.setattr("koinon.chain.contract.Contract.history", None)
    said = words(town.nobody().page(f"/vaults/{vault}"))
    assert "may be from 0.0 % to 70.0 % of what is held" in said


def test_a_sudden_gain_is_told_apart_from_a_missing_price(town, world, treasury, vault, payer):
    treasury.deposit(vault, 1_000 * COIN)
    treasury.rebalance(treasury.propose(vault, {"1": 0.4}))
    send(town.chain, payer, world.pool.transaction("earn", 4_000 * COIN))
    assert treasury.vault(vault).valid
    guest = town.guest()
    town.pay(guest.address, 10 * COIN)
    page = guest.refused("treasury.deposit", vault=vault, amount="10")
    assert "claims to be worth more than counts yet" in page
    assert "at most a tenth a week" in page


def test_senior_shares_name_their_credit_pool(town, world, treasury, payer):
    credit = open_credit(town)
    shares = put(town.chain, payer, artifacts.load("PoolShares").creation(credit.pool))
    terms = world.terms(town.owner.address)
    place = Strategy(Kind.SHARES, shares, min_bps=0, max_bps=5_000)
    charter = replace(terms.charter, asset=credit.loan)
    made = treasury.create(replace(terms, charter=charter, strategies=(place,))).address
    page = town.nobody().page(f"/vaults/{made}")
    assert "senior tranche of the credit pool" in page
    assert f"/pools/{credit.pool}" in page
