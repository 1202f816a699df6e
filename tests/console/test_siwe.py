# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.keys import Key
from koinon.console.siwe import Nonces, SignIn
from koinon.errors import BadInput, KeyFault, KoinonError

NOW = 1_800_000_000.0
OF_THE_STANDARD = """example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z"""
WHERE: dict[str, Any] = {"domain": "127.0.0.1:8400", "uri": "http://127.0.0.1:8400", "chain_id": 31337}


@pytest.fixture
def nonces():
    return Nonces(clock=lambda: NOW)


@pytest.fixture
def message(nonces):
    return nonces.ask(
        "visit",
        domain=WHERE["domain"],
        uri=WHERE["uri"] + "/login",
        address=Key.generate().address,
        chain_id=31337,
    )


def test_the_example_of_the_standard_is_read_and_written_to_the_byte():
    read = SignIn.from_text(OF_THE_STANDARD)
    assert read.domain == "example.com"
    assert read.nonce == "32891756"
    assert read.to_text() == OF_THE_STANDARD


@given(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2**60))
def test_what_is_written_is_read_back(statement, expiry, request_id, chain_id):
    one = SignIn(
        "localhost:1",
        "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
        "http://localhost:1/login",
        chain_id,
        "abcdefgh1",
        "2026-01-01T00:00:00Z",
        "Come in." if statement else None,
        "2026-01-01T00:05:00Z" if expiry else None,
        "2025-12-31T23:59:59.5+08:00" if expiry else None,
        "r-1" if request_id else None,
    )
    assert SignIn.from_text(one.to_text()) == one


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Version: 1", "Version: 2"),
        ("Chain ID: 1", "Chain ID: 01"),
        ("Chain ID: 1", "Chain ID: 0x1"),
        ("Nonce: 32891756", "Nonce: short"),
        ("Nonce: 32891756", "Nonce: 3289 1756"),
        ("2021-09-30T16:25:24Z", "2021-13-30T16:25:24Z"),
        ("2021-09-30T16:25:24Z", "yesterday"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756CC2"),
        ("URI: https", "URI: ftp"),
        ("\n\nURI", "\nURI"),
        ("Issued At", "Issued at"),
        ("\n", "\r\n"),
        ("example.com wants", "example.com\nevil wants"),
    ],
)
def test_a_message_that_bends_the_standard_is_refused(old, new):
    with pytest.raises(BadInput):
        SignIn.from_text(OF_THE_STANDARD.replace(old, new))


@pytest.mark.parametrize(
    "text", ["", "\n", OF_THE_STANDARD + "\n", OF_THE_STANDARD + "\nResources:\n- x", "a" * 5_000]
)
def test_anything_else_is_refused(text):
    with pytest.raises(BadInput):
        SignIn.from_text(text)


def test_a_good_message_passes_once(nonces, message):
    read = SignIn.from_text(message.to_text())
    nonces.take("visit", read)
    read.check(**WHERE, now=NOW)
    with pytest.raises(KeyFault) as caught:
        nonces.take("visit", read)
    assert caught.value.code == "login.nonce"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"domain": "evil.example"}, "login.domain"),
        ({"uri": "http://evil.example"}, "login.domain"),
        ({"uri": "http://127.0.0.1:84"}, "login.domain"),
        ({"chain_id": 1}, "login.chain"),
        ({"now": NOW + 301}, "login.expired"),
        ({"now": NOW - 600}, "login.not_yet"),
    ],
)
def test_a_message_for_elsewhere_or_another_time_is_refused(message, change, code):
    with pytest.raises(KoinonError) as caught:
        message.check(**{**WHERE, "now": NOW, **change})
    assert caught.value.code == code


def test_a_message_that_is_not_valid_yet_or_never_ends_is_refused(message):
    later = SignIn(**{**message.__dict__, "not_before": "2099-01-01T00:00:00Z"})
    with pytest.raises(KeyFault, match="not valid yet"):
        later.check(**WHERE, now=NOW)
    endless = SignIn(**{**message.__dict__, "expires_at": None})
    with pytest.raises(KeyFault, match="expired"):
        endless.check(**WHERE, now=NOW)


def test_a_nonce_is_good_for_the_visit_that_asked_and_the_words_it_was_given_with(nonces, message):
    with pytest.raises(KeyFault):
        nonces.take("another visit", message)
    again = nonces.ask("visit", domain="d", uri="http://d/login", address=message.address, chain_id=1)
    with pytest.raises(KeyFault):
        nonces.take("visit", SignIn(**{**again.__dict__, "statement": "Give me everything."}))


def test_a_nonce_nobody_gave_out_is_refused(nonces, message):
    with pytest.raises(KeyFault):
        Nonces(clock=lambda: NOW).take("visit", message)
