# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from koinon.agents import Address
from koinon.agents.context import LONGEST_LIFETIME_S
from koinon.agents.envelope import CLOCK_SKEW_S, ENVELOPE, ENVELOPE_LIMIT, OVERHEAD, Envelope, check
from koinon.chain import eip712
from koinon.chain.account import typed_data
from koinon.chain.keys import Key, PublicKeyCache
from koinon.errors import BadInput, IntegrityError, KoinonError
from tests.agents.support import DOMAIN

KEY = Key.from_bytes(bytes(31) + b"\x07")
OTHER = Key.from_bytes(bytes(31) + b"\x08")
PLAIN = Envelope(
    Address(7, KEY.address),
    Address(9, OTHER.address),
    uuid.UUID(int=5),
    b"\x01" * 32,
    b"\x02" * 32,
    b'{"amount":3}',
    1_800_000_000,
    b"\x03" * 16,
)
SIGNED, IDENTITY = PLAIN.signed(KEY, DOMAIN)
NOW = PLAIN.expires - 60.0


def values(envelope: Envelope) -> tuple[object, ...]:
    return (
        envelope.sender.work_id,
        envelope.sender.account,
        envelope.target.work_id,
        envelope.target.account,
        envelope.session.bytes,
        envelope.schema,
        envelope.protocol,
        envelope.payload,
        envelope.expires,
        envelope.nonce,
    )


def test_what_is_signed_is_eip_712_data():
    assert eip712.digest(DOMAIN, ENVELOPE.hash(*values(PLAIN))) == IDENTITY


def test_a_wallet_of_somebody_elses_signs_the_same():
    encoded = encode_typed_data(full_message=typed_data(DOMAIN, ENVELOPE, values(PLAIN)))
    assert Account.recover_message(encoded, signature=SIGNED.signature) == KEY.address


def test_the_wire_form_is_fixed():
    content = SIGNED.to_bytes()
    assert len(content) == OVERHEAD + len(PLAIN.payload)
    assert content[:11].hex() == "4b41" + "01" + "0000000000000007"
    assert Envelope.from_bytes(content) == SIGNED


@given(st.binary(max_size=400))
def test_garbage_is_refused_and_nothing_else_happens(content):
    with pytest.raises(KoinonError) as raised:
        check(Envelope.from_bytes(content), DOMAIN, NOW, PublicKeyCache())
    assert raised.value.code.startswith("agents.")


@given(st.integers(0, len(SIGNED.to_bytes()) - 1), st.integers(1, 255))
def test_no_bit_can_be_changed(place, change):
    content = bytearray(SIGNED.to_bytes())
    content[place] ^= change
    with pytest.raises(KoinonError):
        check(Envelope.from_bytes(bytes(content)), DOMAIN, NOW, PublicKeyCache())


def test_an_envelope_too_long_or_cut_is_refused():
    with pytest.raises(BadInput) as raised:
        Envelope.from_bytes(bytes(ENVELOPE_LIMIT + 1))
    assert raised.value.code == "agents.envelope_too_long"
    for content in (SIGNED.to_bytes()[:-1], SIGNED.to_bytes() + b"\0", b""):
        with pytest.raises(BadInput) as raised:
            Envelope.from_bytes(content)
        assert raised.value.code == "agents.envelope_malformed"


def test_an_envelope_for_another_network_is_forged_here():
    elsewhere = eip712.Domain(DOMAIN.name, DOMAIN.version, 1, DOMAIN.verifying_contract)
    with pytest.raises(IntegrityError) as raised:
        check(SIGNED, elsewhere, NOW, PublicKeyCache())
    assert raised.value.code == "agents.forged"


def test_somebody_elses_signature_does_not_count():
    forged, _ = PLAIN.signed(OTHER, DOMAIN)
    with pytest.raises(IntegrityError):
        check(forged, DOMAIN, NOW, PublicKeyCache())
    with pytest.raises(IntegrityError):
        check(replace(SIGNED, signature=bytes(65)), DOMAIN, NOW, PublicKeyCache())


@pytest.mark.parametrize(
    ("late_s", "code"),
    [
        (CLOCK_SKEW_S, None),
        (CLOCK_SKEW_S + 1, "agents.expired"),
        (-LONGEST_LIFETIME_S - CLOCK_SKEW_S, None),
        (-LONGEST_LIFETIME_S - CLOCK_SKEW_S - 1, "agents.too_long_lived"),
    ],
)
def test_clocks_may_differ_by_a_minute(late_s, code):
    now = PLAIN.expires + late_s
    if code is None:
        assert check(SIGNED, DOMAIN, now, PublicKeyCache()) == IDENTITY
        return
    with pytest.raises(BadInput) as raised:
        check(SIGNED, DOMAIN, now, PublicKeyCache())
    assert raised.value.code == code


@pytest.mark.parametrize(
    "text", ["x@0x" + "11" * 20, "@0x12", "7@", "-1@0x" + "11" * 20, f"{1 << 64}@0x" + "11" * 20]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(BadInput):
        Address.parse(text)


def test_an_address_is_read_as_it_is_written():
    assert Address.parse(str(PLAIN.sender)) == PLAIN.sender
    assert Address.parse(KEY.address) == Address(0, KEY.address)
