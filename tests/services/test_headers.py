# SPDX-License-Identifier: Apache-2.0
"""The short way of reading a header gives what the long way gives, or is not taken."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.chain.keys import Key
from koinon.services.gateway.headers import HeaderReader
from koinon.services.gateway.x402 import BATCH, BatchPayment, Terms, decode, parse_payment
from koinon.works.payments import ChannelPayment, encode_header
from koinon.works.vouchers import ChannelConfig, ChannelDigests
from koinon.works.wire import MalformedPayment

KEY = Key.from_bytes(b"\x11" * 32)
TERMS = Terms(8402, KEY.address, "coin", "1", KEY.address, 1000, KEY.address)
DIGESTS = ChannelDigests(8402)
CONFIG = ChannelConfig(KEY.address, KEY.address, KEY.address, KEY.address, KEY.address)


def header(amount: int, config: ChannelConfig = CONFIG) -> bytes:
    voucher = DIGESTS.sign(KEY, DIGESTS.channel_id(config), amount)
    return encode_header(ChannelPayment("voucher", config, voucher), TERMS.requirements(BATCH))


def long_way(value: bytes) -> Any:
    try:
        return parse_payment(decode(value), TERMS)
    except MalformedPayment as error:
        return error.message


def read(headers: HeaderReader, value: bytes) -> Any:
    try:
        return headers.read(value)
    except MalformedPayment as error:
        return error.message


@given(st.lists(st.integers(0, 10**7), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_vouchers_are_read_as_they_were_written(amounts: list[int]) -> None:
    headers = HeaderReader(TERMS)
    for amount in amounts:
        found = headers.read(header(amount))
        assert found == long_way(header(amount))
        assert isinstance(found, BatchPayment)
        assert found.voucher.amount == amount


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_anywhere_is_noticed(position: int, byte: int) -> None:
    headers = HeaderReader(TERMS)
    headers.read(header(1000))
    changed = bytearray(header(2000))
    changed[position % len(changed)] = byte
    assert read(headers, bytes(changed)) == long_way(bytes(changed))


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_of_the_text_is_noticed(position: int, byte: int) -> None:
    headers = HeaderReader(TERMS)
    headers.read(header(1000))
    text = bytearray(base64.b64decode(header(2000)))
    text[position % len(text)] = byte
    changed = base64.b64encode(text)
    assert read(headers, changed) == long_way(changed)


def test_two_vouchers_in_one_header_do_not_confuse_it() -> None:
    document = json.loads(base64.b64decode(header(1000)))
    other = json.dumps(document["payload"]["voucher"]).replace('"1000"', '"9000"')
    text = base64.b64decode(header(1000)).replace(
        b'"voucher":', b'"voucher":' + other.encode() + b',"voucher":'
    )
    twice = base64.b64encode(text)
    headers = HeaderReader(TERMS)
    for _ in range(2):
        assert read(headers, twice) == long_way(twice)


def test_other_kinds_take_the_long_way() -> None:
    headers = HeaderReader(TERMS)
    voucher = DIGESTS.sign(KEY, DIGESTS.channel_id(CONFIG), 1000)
    refund = encode_header(ChannelPayment("refund", CONFIG, voucher), TERMS.requirements(BATCH))
    for _ in range(2):
        found = headers.read(refund)
        assert isinstance(found, BatchPayment)
        assert found.kind == "refund"


@pytest.mark.parametrize("value", [b"", b"x", b"e30=", b"A" * 2000])
def test_what_is_no_payment_is_malformed(value: bytes) -> None:
    with pytest.raises(MalformedPayment):
        HeaderReader(TERMS).read(value)
