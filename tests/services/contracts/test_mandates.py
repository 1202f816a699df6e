# SPDX-License-Identifier: Apache-2.0
"""Mandates: an owner takes back its own, once, for ever."""

from __future__ import annotations

import boa
import pytest

from tests.contracts_support import account, deploy, events, fresh_chain

OWNER, STRANGER = account("owner"), account("stranger")
ONE, TWO = b"\1" * 32, b"\2" * 32


@pytest.fixture
def mandates():
    with fresh_chain():
        yield deploy("services", "Mandates")


def test_an_owner_revokes_its_own_mandate_and_nobody_elses(mandates):
    mandates.revoke(ONE, sender=STRANGER)
    assert not mandates.revoked(OWNER, ONE)
    mandates.revoke(ONE, sender=OWNER)
    assert events(mandates, "MandateRevoked") == [{"owner": OWNER, "nonce": ONE}]
    assert mandates.revoked(OWNER, ONE)
    assert not mandates.revoked(OWNER, TWO)
    with boa.reverts("already revoked"):
        mandates.revoke(ONE, sender=OWNER)


def test_several_are_revoked_at_once_whatever_was_revoked_before(mandates):
    mandates.revoke(ONE, sender=OWNER)
    mandates.revoke_many([ONE, TWO, TWO], sender=OWNER)
    assert [event["nonce"] for event in events(mandates, "MandateRevoked")] == [TWO]
    assert mandates.revoked(OWNER, TWO)
