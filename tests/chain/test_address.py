# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.address import ZERO_ADDRESS, checksum, create2_address, to_bytes
from koinon.chain.hashing import keccak256
from koinon.errors import BadInput


@given(st.binary(max_size=300))
def test_keccak256_agrees_with_eth_utils(data):
    assert keccak256(data) == keccak(data)


@given(st.binary(min_size=20, max_size=20))
def test_checksums_agree_with_eth_utils_and_round_trip(raw):
    address = checksum(raw)
    assert address == to_checksum_address(raw)
    assert checksum(address.lower()) == address
    assert checksum(address[2:]) == address
    assert to_bytes(address) == raw


def test_zero_address():
    assert checksum(bytes(20)) == ZERO_ADDRESS


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "0x",
        "0x12",
        "0x" + "g" * 40,
        "0x" + "1" * 41,
        b"short",
        5,
        None,
        "１" * 40,
        "0x" + " " * 40,
        "+" + "1" * 39,
    ],
)
def test_what_is_not_an_address_is_refused(wrong):
    with pytest.raises(BadInput) as caught:
        checksum(wrong)
    assert caught.value.hint


def test_a_mistyped_letter_is_noticed():
    with pytest.raises(BadInput, match="checksum"):
        checksum("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD".replace("5aA", "5aa"))


@pytest.mark.parametrize(
    ("deployer", "salt", "init_code", "expected"),
    [  # the examples of EIP-1014
        ("0x" + "00" * 20, "00" * 32, "00", "0x4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38"),
        (
            "0xdeadbeef00000000000000000000000000000000",
            "00" * 32,
            "00",
            "0xB928f69Bb1D91Cd65274e3c79d8986362984fDA3",
        ),
        (
            "0x00000000000000000000000000000000deadbeef",
            "00" * 28 + "cafebabe",
            "deadbeef",
            "0x60f3f640a8508fC6a86d45DF051962668E1e8AC7",
        ),
    ],
)
def test_create2_address_of_the_standard(deployer, salt, init_code, expected):
    found = create2_address(deployer, bytes.fromhex(salt), keccak256(bytes.fromhex(init_code)))
    assert found == expected


def test_create2_refuses_a_short_salt():
    with pytest.raises(BadInput):
        create2_address(ZERO_ADDRESS, b"", bytes(32))
