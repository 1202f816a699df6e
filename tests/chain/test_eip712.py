# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.address import checksum
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.errors import BadInput

MAIL_DOMAIN = Domain("Ether Mail", "1", 1, "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC")
PERSON = TypedStruct("Person(string name,address wallet)")
MAIL = TypedStruct("Mail(Person from,Person to,string contents)Person(string name,address wallet)")


def test_the_mail_of_the_standard():
    sender = PERSON.hash("Cow", "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826")
    receiver = PERSON.hash("Bob", "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB")
    mail = MAIL.hash(sender, receiver, "Hello, Bob!")
    assert MAIL_DOMAIN.separator.hex() == "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
    assert MAIL.type_hash.hex() == "a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2"
    assert mail.hex() == "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    signed = digest(MAIL_DOMAIN, mail)
    assert signed.hex() == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    assert Key.from_bytes(keccak256(b"cow")).sign(signed).hex() == (
        "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
        "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"
    )


FIELDS = {
    "bytes32": st.binary(min_size=32, max_size=32),
    "bytes4": st.binary(min_size=4, max_size=4),
    "uint128": st.integers(0, 2**128 - 1),
    "uint256": st.integers(0, 2**256 - 1),
    "int128": st.integers(-(2**127), 2**127 - 1),
    "bool": st.booleans(),
    "address": st.binary(min_size=20, max_size=20).map(checksum),
    "string": st.text(max_size=50),
    "bytes": st.binary(max_size=50),
    "uint64[]": st.lists(st.integers(0, 2**64 - 1), max_size=4),
    "address[2]": st.lists(st.binary(min_size=20, max_size=20).map(checksum), min_size=2, max_size=2),
    "uint8[][2]": st.lists(st.lists(st.integers(0, 255), max_size=3), min_size=2, max_size=2),
}


@given(
    st.data(),
    st.lists(st.sampled_from(sorted(FIELDS)), max_size=6),
    st.text(max_size=20),
    st.integers(1, 2**60),
)
def test_any_struct_agrees_with_eth_account(data, kinds, name, chain_id):
    fields = [{"name": f"field{index}", "type": kind} for index, kind in enumerate(kinds)]
    values = [data.draw(FIELDS[kind]) for kind in kinds]
    domain = Domain(name, "1", chain_id, MAIL_DOMAIN.verifying_contract)
    theirs = encode_typed_data(
        {"name": name, "version": "1", "chainId": chain_id, "verifyingContract": domain.verifying_contract},
        {"Thing": fields},
        {field["name"]: value for field, value in zip(fields, values, strict=True)},
    )
    kind = TypedStruct("Thing(" + ",".join(f"{field['type']} {field['name']}" for field in fields) + ")")
    assert digest(domain, kind.hash(*values)) == _hash_eip191_message(theirs)


@pytest.mark.parametrize(
    "text", ["", "Voucher", "Voucher(", "Voucher(uint256)", "(uint256 a)", "V(uint7 a)", "V(Other a)"]
)
def test_malformed_types_are_refused(text):
    with pytest.raises(BadInput):
        TypedStruct(text)


@pytest.mark.parametrize("values", [(), (1,), (1, 2, 3), ("1", 2), (-1, 2), (1, 2**128)])
def test_values_that_do_not_fit_are_refused(values):
    with pytest.raises(BadInput):
        TypedStruct("Pair(uint256 a,uint128 b)").hash(*values)


def test_an_array_of_the_wrong_length_is_refused():
    with pytest.raises(BadInput):
        TypedStruct("Pair(uint8[2] both)").hash([1, 2, 3])
