# SPDX-License-Identifier: Apache-2.0
"""Delegate: what a dishonest session key and its friends would try."""

from __future__ import annotations

import boa
import pytest

from koinon.chain import codec
from koinon.chain.hashing import keccak256
from koinon.services.mandates.delegation import BATCH, CALLS_AND_DATA
from tests.contracts_support import NOBODY, account, deploy_mock, events, fresh_chain
from tests.services.contracts.delegate_support import (
    ETH,
    SESSION,
    TRANSFER,
    UNTIL,
    delegating,
    encoded,
    execute,
    relay,
    signed,
    transfer,
)

AGENT, RECEIVER = account(SESSION), account("receiver")

INCOME = """
# pragma version 0.4.3
interface Token:
    def mint(to: address, amount: uint256): nonpayable

wallet: address
token: address

@deploy
def __init__(wallet: address, token: address):
    self.wallet = wallet
    self.token = token

@external
def token_arrived():
    extcall Token(self.token).mint(self.wallet, 200)

@external
@payable
def __default__():
    send(self.wallet, 200)
"""
"""Somebody who owes the account 200, and pays in the middle of a call."""

SHOP = """
# pragma version 0.4.3
interface Token:
    def transferFrom(sender: address, to: address, amount: uint256) -> bool: nonpayable

token: address

@deploy
def __init__(token: address):
    self.token = token

@external
def buy():
    extcall Token(self.token).transferFrom(msg.sender, self, 60)

@external
@payable
def pay():
    pass
"""
"""Takes 60 by an allowance that the account itself gave."""

FICKLE = """
# pragma version 0.4.3
wallet: address
data: Bytes[1024]

@external
def prepare(wallet: address, data: Bytes[1024]):
    self.wallet = wallet
    self.data = data

@external
def token_arrived():
    raw_call(self.wallet, self.data)
"""
"""A session key that does something else in the middle of its call."""


@pytest.fixture(scope="module")
def wallet():
    with fresh_chain():
        yield delegating()


@pytest.fixture(autouse=True)
def _undo(wallet):
    with fresh_chain():
        yield


def grant(wallet, rights, limits):
    wallet.grant(AGENT, UNTIL, rights, limits, sender=wallet.address)


def test_a_transfer_counts_whatever_comes_in_meanwhile(wallet):
    token = deploy_mock("HostileToken")
    token.mint(wallet.address, 1_000)
    token.set_hook(boa.loads(INCOME, wallet.address, token.address).address)
    grant(wallet, [(token.address, TRANSFER)], [(token.address, 50, 50, 50)])
    with boa.reverts("more than a call may spend"):
        execute(wallet, [transfer(token, RECEIVER, 200)], AGENT)
    execute(wallet, [transfer(token, RECEIVER, 50)], AGENT)
    assert wallet.spending_of(AGENT, token.address)[1] == 50


def test_plain_eth_counts_whatever_comes_in_meanwhile(wallet):
    friend = boa.loads(INCOME, wallet.address, RECEIVER)
    boa.env.set_balance(friend.address, 10_000)
    grant(wallet, [(friend.address, b"\0" * 4)], [(ETH, 50, 50, 50)])
    with boa.reverts("more than a call may spend"):
        execute(wallet, [(friend.address, 200, b"")], AGENT)
    execute(wallet, [(friend.address, 50, b"")], AGENT)
    assert wallet.spending_of(AGENT, ETH)[1] == 50


def test_leave_to_send_eth_is_no_leave_to_call_a_function_numbered_zero(wallet):
    grant(wallet, [(RECEIVER, b"\0" * 4)], [(ETH, 50, 50, 50)])
    with boa.reverts("no selector"):
        execute(wallet, [(RECEIVER, 0, bytes(36))], AGENT)


@pytest.mark.parametrize(
    "signature",
    [
        "approveAndCall(address,uint256)",
        "approveAndCall(address,uint256,bytes)",
        "multicall(uint256,bytes[])",
        "multicall(bytes32,bytes[])",
    ],
)
def test_allowances_by_another_name_are_not_granted(wallet, signature):
    with boa.reverts("allowances are not granted"):
        grant(wallet, [(RECEIVER, keccak256(signature.encode())[:4])], [(RECEIVER, 1, 1, 1)])


@pytest.mark.parametrize(
    "signature",
    [
        "transfer(address,uint256)",
        "transferFrom(address,address,uint256)",
        "transferAndCall(address,uint256)",
        "transferAndCall(address,uint256,bytes)",
        "transferFromAndCall(address,address,uint256)",
        "transferFromAndCall(address,address,uint256,bytes)",
        "safeTransferFrom(address,address,uint256)",
        "safeTransferFrom(address,address,uint256,bytes)",
        "send(address,uint256,bytes)",
        "burn(address,uint256)",
        "burn(uint256)",
    ],
)
def test_whatever_moves_a_token_needs_a_limit_on_it(wallet, signature):
    with boa.reverts("no limit on this token"):
        grant(wallet, [(RECEIVER, keccak256(signature.encode())[:4])], [(ETH, 1, 1, 1)])
    grant(wallet, [(RECEIVER, keccak256(signature.encode())[:4])], [(RECEIVER, 1, 1, 1)])


def test_a_session_and_its_signatures_last_through_their_last_second(wallet):
    token = deploy_mock("Token")
    token.mint(wallet.address, 1_000)
    until = int(boa.env.evm.patch.timestamp) + 10
    wallet.grant(
        AGENT, until, [(token.address, TRANSFER)], [(token.address, 50, 50, 50)], sender=wallet.address
    )
    calls = [transfer(token, RECEIVER, 1)]
    op_data = signed(wallet, calls, deadline=until)
    boa.env.time_travel(seconds=10)
    relay(wallet, calls, op_data)
    execute(wallet, calls, AGENT)
    boa.env.time_travel(seconds=1)
    with boa.reverts("no session"):
        execute(wallet, calls, AGENT)


def test_a_session_that_would_be_over_at_once_is_not_granted(wallet):
    now = int(boa.env.evm.patch.timestamp)
    rights = [(RECEIVER, b"\0" * 4)]
    with boa.reverts("already over"):
        wallet.grant(AGENT, now, rights, [], sender=wallet.address)
    wallet.grant(AGENT, now + 1, rights, [], sender=wallet.address)


def test_a_function_without_arguments_is_granted_by_its_name_and_is_no_plain_eth(wallet):
    shop = boa.loads(SHOP, NOBODY)
    pay = encoded(shop, "pay")
    grant(wallet, [(shop.address, b"\0" * 4)], [(ETH, 50, 50, 50)])
    with boa.reverts("not granted"):
        execute(wallet, [(shop.address, 1, pay)], AGENT)
    grant(wallet, [(shop.address, pay)], [(ETH, 50, 50, 50)])
    with boa.reverts("more than a call may spend"):
        execute(wallet, [(shop.address, 51, pay)], AGENT)
    execute(wallet, [(shop.address, 50, pay)], AGENT)
    assert wallet.spending_of(AGENT, ETH)[1] == 50


def test_what_a_function_takes_without_saying_so_counts(wallet):
    token = deploy_mock("StakeToken")
    token.mint(wallet.address, 1_000)
    shop = boa.loads(SHOP, token.address)
    token.approve(shop.address, 1_000, sender=wallet.address)
    buy = encoded(shop, "buy")
    grant(wallet, [(shop.address, buy)], [(token.address, 59, 100, 100)])
    with boa.reverts("more than a call may spend"):
        execute(wallet, [(shop.address, 0, buy)], AGENT)
    grant(wallet, [(shop.address, buy)], [(token.address, 60, 100, 100)])
    execute(wallet, [(shop.address, 0, buy)], AGENT)
    assert wallet.spending_of(AGENT, token.address)[1] == 60


def test_a_session_that_is_taken_back_in_the_middle_of_its_calls_makes_none_of_them(wallet):
    token, agent = deploy_mock("HostileToken"), boa.loads(FICKLE)
    token.mint(wallet.address, 1_000)
    token.set_hook(agent.address)
    agent.prepare(wallet.address, encoded(wallet, "revoke", agent.address))
    wallet.grant(
        agent.address,
        UNTIL,
        [(token.address, TRANSFER)],
        [(token.address, 50, 50, 50)],
        sender=wallet.address,
    )
    with boa.reverts("no session"):
        execute(wallet, [transfer(token, RECEIVER, 50)], agent.address)
    assert token.balanceOf(RECEIVER) == 0


def test_calls_that_spend_nothing_are_not_told_as_spending(wallet):
    token = deploy_mock("Token")
    grant(wallet, [(token.address, TRANSFER)], [(token.address, 50, 50, 50)])
    execute(wallet, [transfer(token, RECEIVER, 0)], AGENT)
    assert events(wallet, "SessionSpent") == []


def test_the_first_mode_takes_no_signature(wallet):
    grant(wallet, [(RECEIVER, b"\0" * 4)], [])
    calls = [(RECEIVER, 0, b"")]
    data = CALLS_AND_DATA.encode([calls, signed(wallet, calls)])
    with boa.reverts("no session"):
        wallet.execute(BATCH, data, sender=account("relayer"))
    assert wallet.nonces(AGENT) == 0


def test_a_signature_of_nobody_is_none(wallet):
    """What recovers to the zero address was not signed by it."""
    calls = [(RECEIVER, 0, b"")]
    with boa.reverts("not signed"):
        relay(wallet, calls, codec.encode(["address", "uint256", "bytes"], [NOBODY, UNTIL, b"\1" * 65]))
