# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.account import typed_data
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.keys import Key, recover
from koinon.errors import BadInput, KeyFault

DOMAIN = Domain("x402 Batch Settlement", "1", 31337, "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC")
BATCH = TypedStruct(
    "ClaimBatch(ClaimEntry[] claims,Note note,string[] words,uint8[2] pair,bool last,int64 shift)"
    "ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
    "Note(bytes text,address by)"
)
ENTRIES = st.tuples(
    st.binary(min_size=32, max_size=32), st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1)
)


def _theirs(message: dict) -> bytes:
    return _hash_eip191_message(encode_typed_data(full_message=message))


@given(
    st.lists(ENTRIES, max_size=3),
    st.binary(max_size=40),
    st.lists(st.text(max_size=5), max_size=3),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
)
def test_a_wallet_signs_exactly_what_a_key_here_would_sign(claims, text, words, last, shift):
    values = (claims, (text, DOMAIN.verifying_contract), words, [1, 255], last, shift)
    assert _theirs(typed_data(DOMAIN, BATCH, values)) == digest(DOMAIN, BATCH.hash(*values))


def test_big_numbers_travel_to_the_browser_without_losing_digits():
    struct = TypedStruct("Amount(uint256 value)")
    message = typed_data(DOMAIN, struct, [2**256 - 1])
    assert message["message"] == {"value": str(2**256 - 1)}
    assert _theirs(message) == digest(DOMAIN, struct.hash(2**256 - 1))


def test_a_hash_in_place_of_a_structure_is_never_shown_to_a_wallet():
    struct = TypedStruct("Mail(Person from)Person(string name)")
    hashed = TypedStruct("Person(string name)").hash("Cow")
    assert struct.hash(hashed) == struct.hash(("Cow",))
    with pytest.raises(BadInput, match="not by its hash"):
        typed_data(DOMAIN, struct, [hashed])
    entries = TypedStruct("Mail(Person[] from)Person(string name)")
    with pytest.raises(BadInput, match="every element"):
        typed_data(DOMAIN, entries, [bytes(32)])
    with pytest.raises(BadInput, match="fields"):
        typed_data(DOMAIN, struct, [])


@pytest.mark.parametrize("text", ["A(B b)B(A a)", "A(A[] a)", "A(B b)B(C c)C(B b)"])
def test_types_that_contain_themselves_are_refused(text):
    with pytest.raises(BadInput):
        TypedStruct(text)


def test_a_hash_of_the_wrong_length_is_refused():
    with pytest.raises(BadInput):
        TypedStruct("Mail(Person from)Person(string name)").hash(b"short")


def test_a_key_is_an_account():
    key = Key.generate()
    struct = TypedStruct("Amount(uint256 value)")
    assert recover(digest(DOMAIN, struct.hash(7)), key.sign_typed(DOMAIN, struct, 7)) == key.address


def test_an_account_without_a_way_of_sending_is_told_so(chain):
    class Signer:
        address = Key.generate().address

        def sign_typed(self, domain, struct, *values):
            return b""

    with pytest.raises(KeyFault) as caught:
        chain.sender(Signer())
    assert caught.value.code == "key.cannot_send"
