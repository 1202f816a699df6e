# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib

import pytest
import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_utils.address import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.chain.keys import ORDER, Key
from koinon.chain.transactions import SignedTransaction, Transaction, create_address, rlp_decode, rlp_encode
from koinon.errors import BadInput, IntegrityError, KoinonError

items = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=20)
addresses = st.binary(min_size=20, max_size=20).map(to_checksum_address)
amounts = st.integers(0, 2**128)
transactions = st.builds(
    Transaction,
    chain_id=st.integers(1, 2**53),
    nonce=st.integers(0, 2**63),
    max_priority_fee_per_gas=amounts,
    max_fee_per_gas=amounts,
    gas=st.integers(0, 2**40),
    to=st.none() | addresses,
    value=st.integers(0, 2**256 - 1),
    data=st.binary(max_size=200),
    access_list=st.lists(
        st.tuples(addresses, st.lists(st.binary(min_size=32, max_size=32), max_size=2).map(tuple)), max_size=2
    ).map(tuple),
)
secrets = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))


@given(items)
def test_rlp_agrees_with_pyrlp_and_round_trips(item):
    encoded = rlp_encode(item)
    assert encoded == rlp.encode(item)
    assert rlp_decode(encoded) == item


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_either_the_canonical_encoding_or_refused(data):
    try:
        item = rlp_decode(data)
    except IntegrityError:
        with pytest.raises(rlp.exceptions.RLPException):
            rlp.decode(data)
    else:
        assert rlp_encode(item) == data


@settings(max_examples=50)
@given(transactions, secrets)
def test_signed_transactions_agree_with_eth_account(transaction, secret):
    fields = {
        "type": 2,
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "maxPriorityFeePerGas": transaction.max_priority_fee_per_gas,
        "maxFeePerGas": transaction.max_fee_per_gas,
        "gas": transaction.gas,
        "value": transaction.value,
        "data": transaction.data,
        "accessList": [
            {"address": address, "storageKeys": ["0x" + slot.hex() for slot in slots]}
            for address, slots in transaction.access_list
        ],
    }
    if transaction.to is not None:
        fields["to"] = transaction.to
    theirs = Account.from_key(secret).sign_transaction(fields)
    ours = transaction.sign(Key.from_bytes(secret))
    assert ours.raw == bytes(theirs.raw_transaction)
    assert ours.hash == bytes(theirs.hash)


@given(transactions, secrets)
def test_a_raw_transaction_reads_back_with_its_sender(transaction, secret):
    key = Key.from_bytes(secret)
    signed = transaction.sign(key)
    found = SignedTransaction.from_raw(signed.raw)
    assert found.sender == key.address
    assert found.raw == signed.raw
    assert found.hash == signed.hash
    assert found.transaction.sign(key).raw == signed.raw


@given(transactions, secrets, st.data())
def test_changed_bytes_never_pass_as_the_same_senders(transaction, secret, data):
    key = Key.from_bytes(secret)
    raw = bytearray(transaction.sign(key).raw)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(KoinonError):
        assert SignedTransaction.from_raw(bytes(raw)).sender != key.address


def test_create_address_of_a_known_deployment():
    # the deterministic deployment proxy: its deployer's first transaction
    assert create_address("0x3fAB184622Dc19b6109349B94811493BF2a45362", 0) == (
        "0x4e59b44847b379578588920cA78FbF26c0B4956C"
    )


def test_negative_numbers_are_refused():
    with pytest.raises(BadInput):
        Transaction(1, -1, 0, 0, 0, None).sign(Key.generate())
