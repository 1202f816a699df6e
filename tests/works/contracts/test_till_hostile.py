# SPDX-License-Identifier: Apache-2.0
"""Tokens and payees that cheat: all they reach is their own part of their own Work, in one token."""

from __future__ import annotations

import boa
import pytest

from koinon.chain.abi import Function
from koinon.works.shares import OWNER, WHOLE, ShareTable
from tests.contracts_support import ETH, account, deploy_hall, deploy_mock, fresh_chain, give_eth


@pytest.fixture(scope="module")
def hall():
    with fresh_chain():
        yield deploy_hall()


@pytest.fixture(autouse=True)
def _undo(hall):
    with fresh_chain():
        yield


@pytest.fixture
def owner():
    return account("owner")


@pytest.fixture
def contract_payee():
    return deploy_mock("Payee")


@pytest.fixture
def table(contract_payee):
    return ShareTable(
        {str(contract_payee.address): 400_000_000, account("other"): 350_000_000, OWNER: 250_000_000}
    )


@pytest.fixture
def till(hall, owner, table):
    till = hall.till(hall.publish(owner))
    till.write_root(table.root, [], sender=owner)
    return till


@pytest.fixture
def hostile():
    return deploy_mock("HostileToken")


@pytest.fixture
def honest(till):
    token = deploy_mock("Token")
    token.mint(till.address, 1000)
    return token


def _release(till, token, payee, table, **options):
    return till.release(token, payee, *table.proof(payee), **options)


def _others_are_paid(till, table, honest, owner):
    """The honest token and ETH still pay everyone in full."""
    give_eth(till.address, 1000)
    other = account("other", 0)
    assert _release(till, honest, other, table) == 350
    assert _release(till, honest, OWNER, table, sender=owner) == 250
    assert _release(till, ETH, other, table) == 350
    assert boa.env.get_balance(other) == 350


def test_a_token_that_returns_nothing_pays(till, table):
    silent = deploy_mock("SilentToken")
    silent.mint(till.address, 100)
    assert _release(till, silent, account("other"), table) == 35
    assert silent.balanceOf(account("other")) == 35


def test_a_token_that_answers_false_is_not_booked(till, table, hostile, honest, owner):
    hostile.mint(till.address, 100)
    hostile.set_manners(True, False, False)
    with boa.reverts("transfer refused"):
        _release(till, hostile, account("other"), table)
    assert till.released(hostile) == 0
    _others_are_paid(till, table, honest, owner)


def test_a_token_that_cannot_say_its_balance_pays_nobody(till, table, hostile, honest, owner):
    hostile.set_manners(False, False, True)
    with boa.reverts("mute"):
        _release(till, hostile, account("other"), table)
    _others_are_paid(till, table, honest, owner)


def test_a_token_that_says_it_moved_and_did_not_harms_its_own_payee_alone(
    till, table, hostile, honest, owner
):
    hostile.mint(till.address, 100)
    hostile.set_manners(False, True, False)
    assert _release(till, hostile, account("other"), table) == 35
    assert hostile.balanceOf(account("other")) == 0
    _others_are_paid(till, table, honest, owner)


def test_a_token_that_reports_everything_there_is_only_stops_itself(till, table, hostile, honest, owner):
    hostile.mint(till.address, 100)
    most = 2**256 - 1
    hostile.lie(till.address, most - 1)
    share = table[account("other")]
    assert till.due(hostile, account("other"), share) == (most - 1) * share // WHOLE
    _release(till, hostile, account("other"), table)
    with boa.reverts():
        _release(till, hostile, OWNER, table, sender=owner)
    _others_are_paid(till, table, honest, owner)


def test_a_balance_that_falls_pays_nothing_rather_than_failing(till, table, hostile):
    hostile.mint(till.address, 1000)
    other = account("other")
    assert _release(till, hostile, other, table) == 350
    hostile.lie(till.address, 10)
    assert _release(till, hostile, other, table) == 0
    hostile.lie(till.address, 0)
    assert till.due(hostile, other, table[other]) == 0
    hostile.be_honest(till.address)
    hostile.mint(till.address, 1000)
    assert _release(till, hostile, other, table) == 350


def test_no_more_than_the_balance_is_paid(till, table, hostile, owner):
    hostile.mint(till.address, 1000)
    _release(till, hostile, account("other"), table)
    hostile.lie(till.address, 100)
    assert _release(till, hostile, OWNER, table, sender=owner) == 100


def test_a_fee_taken_from_the_receiver_is_the_receivers(till, table, hostile, owner):
    hostile.take_fee(1000, 0)
    hostile.mint(till.address, 1000)
    assert _release(till, hostile, account("other"), table) == 350
    assert hostile.balanceOf(account("other")) == 315
    assert _release(till, hostile, OWNER, table, sender=owner) == 250


def test_a_fee_taken_from_the_till_is_taken_from_who_was_paid(till, table, hostile, contract_payee):
    hostile.take_fee(0, 1000)
    hostile.mint(till.address, 1000)
    other, payee = account("other"), str(contract_payee.address)
    assert _release(till, hostile, other, table) == 350
    assert till.claimed(hostile, other) == 385
    assert till.released(hostile) + hostile.balanceOf(till.address) == 1000
    assert till.due(hostile, payee, table[payee]) == 400
    assert _release(till, hostile, other, table) == 0


def test_a_blacklisted_payee_blocks_itself_alone(till, table, hostile, contract_payee):
    hostile.mint(till.address, 1000)
    hostile.set_block(contract_payee.address, True)
    with boa.reverts("blacklisted"):
        _release(till, hostile, str(contract_payee.address), table)
    assert _release(till, hostile, account("other"), table) == 350
    hostile.set_block(contract_payee.address, False)
    assert _release(till, hostile, str(contract_payee.address), table) == 400


def test_a_blacklisted_till_keeps_its_other_tokens(till, table, hostile, honest, owner):
    hostile.mint(till.address, 1000)
    hostile.set_block(till.address, True)
    with boa.reverts("blacklisted"):
        _release(till, hostile, account("other"), table)
    _others_are_paid(till, table, honest, owner)


def test_a_payee_that_refuses_eth_blocks_itself_alone(till, table, contract_payee):
    give_eth(till.address, 1000)
    contract_payee.set_refuses(True)
    with boa.reverts("no ETH please"):
        _release(till, ETH, str(contract_payee.address), table)
    assert till.released(ETH) == 0
    assert _release(till, ETH, account("other"), table) == 350
    contract_payee.set_refuses(False)
    assert _release(till, ETH, str(contract_payee.address), table) == 400


def _call_data(till, name, *arguments):
    return next(Function(entry) for entry in till.abi if entry.get("name") == name).encode(*arguments)


def test_calling_back_into_the_till_is_refused(till, table, contract_payee, hostile, honest, owner):
    payee = str(contract_payee.address)
    give_eth(till.address, 1000)
    hostile.mint(till.address, 1000)
    hostile.set_hook(payee)
    share, nodes = table.proof(payee)
    for data in (
        _call_data(till, "release", ETH, payee, share, list(nodes)),
        _call_data(till, "release", str(honest.address), payee, share, list(nodes)),
        _call_data(till, "write_root", b"\x01" * 32, []),
        _call_data(till, "due", ETH, payee, share),
    ):
        contract_payee.call_back(till.address, data, 0)
        for token in (ETH, hostile):
            with boa.reverts():
                _release(till, token, payee, table)
    contract_payee.call_back("0x" + "00" * 20, b"", 0)
    assert _release(till, ETH, payee, table) == 400


def test_income_that_arrives_during_a_release_is_everyones(till, table, contract_payee, owner):
    """A payee that brings the till new income while it is being paid has been paid all the same."""
    payee = str(contract_payee.address)
    give_eth(till.address, 1000)
    contract_payee.call_back(till.address, b"", 300)
    assert _release(till, ETH, payee, table) == 400
    assert till.claimed(ETH, payee) == till.released(ETH) == 400
    assert till.due(ETH, payee, table[payee]) == 120
    assert till.due(ETH, account("other"), table[account("other")]) == 1300 * 350 // 1000
    assert till.due(ETH, OWNER, table[OWNER]) == 1300 * 250 // 1000


def test_a_till_that_pays_itself_shares_that_again(hall, owner):
    work = hall.publish(owner)
    address = str(hall.works.till_of(work))
    table = ShareTable({address: WHOLE // 2, OWNER: WHOLE // 2})
    till = hall.till(work)
    till.write_root(table.root, [], sender=owner)
    give_eth(address, 1000)
    for _ in range(12):
        _release(till, ETH, address, table)
    assert _release(till, ETH, OWNER, table, sender=owner) >= 998
    assert boa.env.get_balance(address) <= 2


def test_the_works_register_is_no_token_that_a_till_could_move(hall, till, table, owner):
    gift = hall.publish(owner)
    hall.works.transferFrom(owner, till.address, gift, sender=owner)
    assert till.due(hall.works, account("other"), WHOLE) == 1
    greedy = ShareTable({account("other"): WHOLE})
    second = hall.till(hall.publish(owner))
    second.write_root(greedy.root, [], sender=owner)
    hall.works.transferFrom(owner, second.address, hall.publish(owner), sender=owner)
    with boa.reverts():
        _release(second, hall.works, account("other"), greedy)
