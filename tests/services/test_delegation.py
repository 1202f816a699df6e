# SPDX-License-Identifier: Apache-2.0
"""Accounts delegate by real type-4 transactions on a node; sessions act, and end when their owner says."""

from __future__ import annotations

import time

import pytest
from eth_account import Account as OtherAccount

from koinon.chain.contract import Call
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.chain.rpc import RpcError
from koinon.chain.set_code import Authorization, delegate_of, set_code, sign_set_code
from koinon.chain.transactions import Transaction
from koinon.errors import BadInput, PaymentError, TransactionFailed
from koinon.services.buying.client import Buyer
from koinon.services.gateway.registry import Registry
from koinon.services.mandates.delegation import Delegation, Permission, SpendLimit
from koinon.services.mandates.ledger import SpendingLedger
from koinon.services.mandates.mandate import sign_mandate
from koinon.services.mandates.spending import MandateSpending
from tests.services.mandates import mandate
from tests.services.support import COIN

SECRET = b"\5" * 32
DELEGATE = "0x" + "12" * 20


def test_authorizations_and_transactions_are_those_of_another_implementation():
    key, other = Key.from_bytes(SECRET), OtherAccount.from_key(SECRET)
    ours = Authorization(31_337, DELEGATE, 7).sign(key)
    theirs = other.sign_authorization({"chainId": 31_337, "address": DELEGATE, "nonce": 7})
    assert bytes(theirs.authorization_hash) == ours.authorization.signing_hash
    assert ours.account == key.address
    assert bytes(theirs.authority).hex() == key.address[2:].lower()
    transaction = Transaction(31_337, 6, 10**9, 3 * 10**9, 150_000, key.address, 5, b"\1\2")
    signed = other.sign_transaction(
        {
            "type": 4,
            "chainId": 31_337,
            "nonce": 6,
            "maxPriorityFeePerGas": 10**9,
            "maxFeePerGas": 3 * 10**9,
            "gas": 150_000,
            "to": key.address,
            "value": 5,
            "data": "0x0102",
            "accessList": [],
            "authorizationList": [theirs],
        }
    )
    assert sign_set_code(transaction, [ours], key) == bytes(signed.raw_transaction)


def test_no_authorization_is_for_every_chain():
    with pytest.raises(BadInput):
        Authorization(0, DELEGATE, 7)
    with pytest.raises(BadInput):
        sign_set_code(Transaction(1, 0, 1, 1, 1, DELEGATE), [], Key.generate())


@pytest.fixture
def owner(hall):
    return hall.account(coins=COIN, ether=1)


@pytest.fixture
def delegation(hall, owner):
    found = Delegation(hall.chain, owner.address)
    found.begin(owner)
    return found


def later(seconds: int = 3600) -> int:
    return int(time.time()) + seconds


def limit(hall, most: int) -> SpendLimit:
    return SpendLimit(hall.chain.coin.address, most, most, most)


def test_an_account_delegates_and_stops(hall, owner):
    delegation = Delegation(hall.chain, owner.address)
    session = hall.account()
    assert not delegation.stands
    with pytest.raises(PaymentError):
        delegation.allow_top_up(owner, session.address, later(), limit(hall, 100))
    delegation.begin(owner)
    assert delegation.stands
    assert delegate_of(hall.chain.rpc, owner.address) == hall.chain.network.address("Delegate")
    delegation.allow_top_up(owner, session.address, later(), limit(hall, 100))
    assert delegation.until(session.address) > 0
    hall.chain.sender(owner).send(Call(session.address, value=10**16))
    delegation.end(owner)
    assert delegation.until(session.address) == 0
    with pytest.raises(PaymentError):
        delegation.top_up(session, 1)
    with pytest.raises(BadInput):
        delegation.begin(session)


def test_an_authorization_of_another_chain_or_used_before_changes_nothing(hall):
    key, sponsor = hall.account(ether=1), hall.account(ether=1)
    code = hall.chain.network.address("Delegate")
    chain_id = hall.chain.chain_id

    def carry(authorization: Authorization) -> None:
        rpc = hall.chain.rpc
        nonce = int(rpc.call("eth_getTransactionCount", sponsor.address, "pending"), 16)
        transaction = Transaction(chain_id, nonce, 10**9, 10**11, 150_000, sponsor.address)
        raw = sign_set_code(transaction, [authorization.sign(key)], sponsor)
        try:
            rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
        except RpcError:
            return
        hall.chain.sender(sponsor).wait(keccak256(raw))

    carry(Authorization(chain_id + 1, code, 0))
    carry(Authorization(chain_id, code, 5))
    assert delegate_of(hall.chain.rpc, key.address) is None
    first = Authorization(chain_id, code, 0)
    carry(first)
    assert delegate_of(hall.chain.rpc, key.address) == code, "somebody else may pay for it"
    set_code(hall.chain, key)
    carry(first)
    assert delegate_of(hall.chain.rpc, key.address) is None, "no authorization counts twice"


def test_a_session_tops_itself_up_within_its_limit_and_pays_under_a_mandate(
    hall, owner, delegation, tmp_path
):
    agent = hall.account(ether=1)
    (tmp_path / "app.py").write_text("def double(x: int) -> int:\n    return 2 * x\n")
    service = hall.service(Registry(tmp_path / "gateway"), f"{tmp_path}/app.py:double", price=1000)
    delegation.allow_top_up(owner, agent.address, later(), limit(hall, 5000))
    delegation.top_up(agent, 5000)
    with pytest.raises(TransactionFailed) as refused:
        delegation.top_up(agent, 1)
    assert "more than a day may spend" in refused.value.reason
    assert (hall.coins(owner.address), hall.coins(agent.address)) == (COIN - 5000, 5000)
    assert delegation.spent(agent.address, hall.chain.coin.address).spent == 5000
    chosen = mandate(
        owner=owner.address, agent=agent.address, token=hall.chain.coin.address, per_call=1000, total=2000
    )
    granted = sign_mandate(hall.chain, owner, chosen)
    granted.verify(hall.chain)
    with hall.gateway(tmp_path / "gateway", hall.account(ether=10)) as gateway:
        spending = MandateSpending(hall.chain, SpendingLedger(tmp_path), granted, agent.address)
        with Buyer(hall.chain, agent, allowance=spending) as buyer:
            assert buyer.call(gateway.address(service), {"x": 21}).result == 42
            assert buyer.refund(gateway.address(service)) == 1000


def test_an_owner_ends_a_session_in_one_transaction(hall, owner, delegation):
    agent, other = hall.account(ether=1), hall.account(ether=1)
    for each in (agent, other):
        delegation.allow_top_up(owner, each.address, later(), limit(hall, 1000))
    delegation.revoke(owner, agent.address)
    with pytest.raises(TransactionFailed):
        delegation.top_up(agent, 1)
    delegation.top_up(other, 1)
    delegation.revoke_all(owner)
    with pytest.raises(TransactionFailed):
        delegation.top_up(other, 1)
    with pytest.raises(BadInput):
        delegation.revoke_all(agent)


def test_a_session_without_eth_signs_and_somebody_else_sends(hall, owner, delegation):
    agent, relayer = hall.account(), hall.account(ether=1)
    delegation.allow_top_up(owner, agent.address, later(), limit(hall, 1000))
    call = hall.chain.coin.transaction("transfer", agent.address, 300)
    signed = delegation.sign(agent, [call])
    delegation.relay(relayer, signed)
    assert hall.coins(agent.address) == 300
    with pytest.raises(TransactionFailed):
        delegation.relay(relayer, signed)
    late = delegation.sign(agent, [call], deadline=1)
    with pytest.raises(TransactionFailed):
        delegation.relay(relayer, late)


def test_a_session_takes_nothing_but_what_was_granted(hall, owner, delegation):
    agent = hall.account(ether=1)
    coin = hall.chain.coin
    delegation.allow_top_up(owner, agent.address, later(), limit(hall, 1000))
    for call in (
        coin.transaction("approve", agent.address, 10**6),
        Call(agent.address, value=1),
        delegation.contract.transaction("revoke_all"),
    ):
        with pytest.raises(TransactionFailed):
            delegation.execute(agent, [call])
    with pytest.raises(TransactionFailed):
        delegation.grant(
            owner, agent.address, later(), [Permission.of(coin.address, "approve(address,uint256)")], []
        )
    with pytest.raises(BadInput):
        delegation.execute(owner, [])
    delegation.execute(owner, [Call(agent.address, value=1), coin.transaction("approve", agent.address, 5)])
    assert coin.call("allowance", owner.address, agent.address) == 5
