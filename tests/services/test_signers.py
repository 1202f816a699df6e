# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.chain.keys import ORDER, Key, verify
from koinon.services.gateway.signers import Signers, claimable

KEY = Key.from_bytes(b"\x11" * 32)
OTHER = Key.from_bytes(b"\x22" * 32)


@given(st.binary(min_size=32, max_size=32))
@settings(deadline=None)
def test_it_agrees_with_recovery(digest: bytes) -> None:
    signers = Signers()
    signature = KEY.sign(digest)
    for _ in range(2):  # by recovery, then by the cached key
        assert signers.verify(digest, signature, KEY.address)
        assert not signers.verify(digest, OTHER.sign(digest), KEY.address)
        other = bytes(byte ^ 1 for byte in digest)
        assert not signers.verify(other, signature, KEY.address)


@pytest.mark.parametrize("known", [False, True])
def test_forms_that_the_contract_refuses_are_refused(known: bool) -> None:
    signers, digest = Signers(), b"\x07" * 32
    signature = KEY.sign(digest)
    if known:
        assert signers.verify(digest, signature, KEY.address)
    high = (ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    for wrong in (
        signature[:64],
        signature + b"\0",
        signature[:64] + b"\x00",
        signature[:32] + high + bytes((55 - signature[64],)),
        bytes(64) + b"\x1b",
        b"\xff" * 64 + b"\x1b",
        b"",
    ):
        assert not signers.verify(digest, wrong, KEY.address)
    assert not signers.verify(digest[:31], signature, KEY.address)


def test_a_signature_with_the_wrong_v_is_put_right_before_it_is_claimed() -> None:
    digest = b"\x07" * 32
    signature = KEY.sign(digest)
    wrong = signature[:64] + bytes((55 - signature[64],))
    assert claimable(digest, signature, KEY.address) == signature
    assert claimable(digest, wrong, KEY.address) == signature
    assert verify(digest, claimable(digest, wrong, KEY.address), KEY.address)
