# SPDX-License-Identifier: Apache-2.0
"""``--share``, ``--parent`` and ``--permission`` as people write them, and as they must not."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.address import checksum
from koinon.errors import BadInput
from koinon.works.api import Parent
from koinon.works.arguments import read_parents, read_share, read_shares
from koinon.works.shares import OWNER, WHOLE, ShareTable, parse_share

PAYEE = checksum("0x" + "ab" * 20)


@pytest.mark.parametrize(
    ("amount", "fraction"),
    [
        ("30%", Fraction(3, 10)),
        (" 30 % ", Fraction(3, 10)),
        ("0.3", Fraction(3, 10)),
        ("100%", Fraction(1)),
        ("0.0000001%", Fraction(1, WHOLE)),
        ("12.5%", Fraction(1, 8)),
    ],
)
def test_a_share_is_read_exactly(amount, fraction):
    assert parse_share(f"{PAYEE}={amount}") == (PAYEE, fraction)
    assert parse_share(f" {PAYEE.lower()} ={amount}") == (PAYEE, fraction)
    assert read_share(amount) == fraction * WHOLE


@pytest.mark.parametrize(
    "amount",
    [
        "0%",
        "0",
        "-1%",
        "101%",
        "1.01",
        "30",
        "abc",
        "",
        "%",
        "30%%",
        "30 percent",
        "nan",
        "inf",
        "1/0",
        "=30%",
    ],
)
def test_what_is_no_part_of_the_whole_is_refused(amount):
    with pytest.raises(BadInput) as caught:
        parse_share(f"{PAYEE}={amount}")
    assert "30%" in caught.value.hint
    with pytest.raises(BadInput) as caught:
        read_share(amount)
    assert OWNER not in caught.value.message, "nobody wrote that address"


@pytest.mark.parametrize("payee", ["", "0x", "abc", "0x" + "ab" * 19, "0x" + "ab" * 21, "0x" + "zz" * 20])
def test_what_is_no_address_is_refused(payee):
    with pytest.raises(BadInput):
        parse_share(f"{payee}=30%")


def test_a_mistyped_address_is_refused():
    with pytest.raises(BadInput) as caught:
        parse_share(f"{PAYEE[:-1]}{PAYEE[-1].swapcase()}=30%")
    assert caught.value.code == "chain.address_checksum"


@pytest.mark.parametrize("text", ["", "30%", PAYEE, "="])
def test_half_a_share_is_refused(text):
    with pytest.raises(BadInput):
        parse_share(text)


@given(st.text(max_size=80))
def test_no_text_ends_in_anything_but_a_share_or_an_error_of_ours(text):
    for read in (parse_share, read_share, lambda given: read_parents([given], [given])):
        with contextlib.suppress(BadInput):
            read(text)


def test_an_address_named_twice_is_refused_however_it_is_written():
    with pytest.raises(BadInput) as caught:
        read_shares([f"{PAYEE}=10%", f"{PAYEE.lower()}=20%"])
    assert caught.value.code == "works.twice"


def test_shares_above_the_whole_are_refused():
    other = checksum("0x" + "cd" * 20)
    with pytest.raises(BadInput) as caught:
        ShareTable.from_fractions(read_shares([f"{PAYEE}=60%", f"{other}=40.1%"]), rest=OWNER)
    assert caught.value.code == "shares.sum"
    table = ShareTable.from_fractions(read_shares([f"{PAYEE}=60%", f"{other}=40%"]), rest=OWNER)
    assert table == ShareTable({PAYEE: 600_000_000, other: 400_000_000})


def test_parents_with_their_permissions():
    assert read_parents(["7=20%", "8=0.1"], ["8=0xff00"]) == [
        Parent(7, WHOLE // 5),
        Parent(8, WHOLE // 10, b"\xff\x00"),
    ]
    assert read_parents([]) == []


@pytest.mark.parametrize(
    ("parents", "permissions", "code"),
    [
        (["7"], [], "works.share"),
        (["7=0%"], [], "works.share"),
        (["seven=10%"], [], "works.parent"),
        (["-7=10%"], [], "works.parent"),
        (["7.0=10%"], [], "works.parent"),
        (["9" * 5000 + "=10%"], [], "works.parent"),
        (["7=10%", "7=20%"], [], "works.twice"),
        (["7=10%"], ["8=0xff"], "works.permission"),
        (["7=10%"], ["7=0xf"], "works.permission"),
        (["7=10%"], ["7"], "works.permission"),
        (["7=10%"], ["7=0x"], "works.permission"),
        (["7=10%"], ["x=0xff"], "works.permission"),
        (["7=10%"], ["7=0xff", "7=0xfe"], "works.twice"),
    ],
)
def test_malformed_parents_and_permissions_are_refused(parents, permissions, code):
    with pytest.raises(BadInput) as caught:
        read_parents(parents, permissions)
    assert caught.value.code == code
    assert caught.value.hint
