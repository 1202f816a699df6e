# SPDX-License-Identifier: Apache-2.0
"""Every message is bound to its signer, its run and its bytes."""

from __future__ import annotations

import orjson
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput, IntegrityError, KoinonError
from koinon.learning.messages import (
    AloneModel,
    GlobalModel,
    Joining,
    LocalUpdate,
    Offer,
    Start,
    federation_domain,
    split_frame,
    updates_digest,
)
from tests.learning.support import DOMAIN, key

OWNER = key("owner 0")
D1, D2 = b"\x01" * 32, b"\x02" * 32
MESSAGES = [
    Offer(1, D1, D2),
    Joining(1, OWNER.address, 7, D1, 60, D2, 5, 99, b"\x03" * 65, b"\x04" * 97),
    LocalUpdate(1, 2, OWNER.address, D1, D2, 60),
    GlobalModel(1, 2, D1, D2, 3, False),
    Start(1, OWNER.address, 0, "{}"),
    AloneModel(1, OWNER.address, D1),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.KIND)
def test_a_message_survives_the_wire(message):
    frame = message.pack(OWNER, DOMAIN, b"payload")
    assert type(message).unpack(frame, DOMAIN, OWNER.address) == (message, b"payload")


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.KIND)
def test_a_message_for_another_run_chain_or_signer_is_refused(message):
    frame = message.pack(OWNER, DOMAIN)
    others = (
        federation_domain(1, DOMAIN.verifying_contract),
        federation_domain(DOMAIN.chain_id, "0x" + "cd" * 20),
    )
    for domain in others:
        with pytest.raises(IntegrityError):
            type(message).unpack(frame, domain, OWNER.address)
    with pytest.raises(IntegrityError):
        type(message).unpack(frame, DOMAIN, key("stranger").address)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.KIND)
def test_no_field_can_be_changed_after_signing(message):
    head, _ = split_frame(message.pack(OWNER, DOMAIN))
    for name, value in head.items():
        if name == "kind":
            continue
        changed = dict(head)
        match value:
            case bool():
                changed[name] = not value
            case int():
                changed[name] = value + 1
            case str():
                changed[name] = ("1" if value[-1] != "1" else "2").join((value[:-1], "")) if value else "00"
        encoded = orjson.dumps(changed)
        with pytest.raises(KoinonError):
            type(message).unpack(len(encoded).to_bytes(4, "big") + encoded, DOMAIN, OWNER.address)


def test_an_update_is_signed_as_eip712_says():
    message = LocalUpdate(1, 2, OWNER.address, D1, D2, 60)
    frame = message.pack(OWNER, DOMAIN)
    signature = split_frame(frame)[0]["signature"]
    typed = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "LocalUpdate": [
                {"name": "runId", "type": "uint256"},
                {"name": "round", "type": "uint32"},
                {"name": "owner", "type": "address"},
                {"name": "base", "type": "bytes32"},
                {"name": "update", "type": "bytes32"},
                {"name": "examples", "type": "uint64"},
            ],
        },
        "primaryType": "LocalUpdate",
        "domain": {
            "name": "Koinon Federation",
            "version": "1",
            "chainId": DOMAIN.chain_id,
            "verifyingContract": DOMAIN.verifying_contract,
        },
        "message": {
            "runId": 1,
            "round": 2,
            "owner": OWNER.address,
            "base": D1,
            "update": D2,
            "examples": 60,
        },
    }
    found = Account.recover_message(encode_typed_data(full_message=typed), signature=bytes.fromhex(signature))
    assert found == OWNER.address


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=120)
    | st.builds(lambda data: len(data).to_bytes(4, "big") + data, st.binary(max_size=80))
)
def test_arbitrary_bytes_are_refused_politely(data):
    with pytest.raises(BadInput):
        LocalUpdate.unpack(data, DOMAIN)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["kind", "run_id", "round", "owner", "base", "update", "examples", "signature", "x"]),
        st.sampled_from(
            ["update", "", "zz", "00" * 32, OWNER.address, -1, 2**70, 1, True, None, 1.5, [], {}]
        ),
    )
)
def test_arbitrary_heads_are_refused_politely(head):
    encoded = orjson.dumps(head) if max([0, *(v for v in head.values() if type(v) is int)]) < 2**63 else b"{}"
    with pytest.raises(KoinonError):
        LocalUpdate.unpack(len(encoded).to_bytes(4, "big") + encoded, DOMAIN)


def test_a_rounds_digest_names_who_sent_what():
    assert updates_digest({0: D1, 1: D2}) == updates_digest({1: D2, 0: D1})
    assert (
        len({updates_digest(found) for found in ({}, {0: D1}, {1: D1}, {0: D1, 1: D2}, {0: D2, 1: D1})}) == 5
    )
