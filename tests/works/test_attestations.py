# SPDX-License-Identifier: Apache-2.0
"""Attestations through a node: registered, signed, posted, read, taken back."""

from __future__ import annotations

import time

import pytest

from koinon.chain.address import ZERO_ADDRESS
from koinon.errors import TransactionFailed
from koinon.works.attestations import Attestation, Attestations, SchemaTerms, rising


def test_issuers_say_something_of_an_account_and_take_it_back(chain, new_account):
    payer, issuers, subject = new_account(), [new_account(0) for _ in range(3)], new_account(0).address
    attestations = Attestations(chain)
    terms = SchemaTerms("likes music", issuers=tuple(issuer.address for issuer in issuers), threshold=2)
    schema = attestations.register(payer, terms)
    assert attestations.register(payer, terms) == schema
    assert attestations.issuers_of(schema) == (rising(terms.issuers), 2)
    assert attestations.issuers_of(bytes(32)) == ([], 0)
    now = int(time.time()) - 60
    made = Attestation(schema, subject, 42, now, now + 86_400, as_of_block=1)
    signed = [attestations.domain.sign(issuer, made) for issuer in issuers[:2]]
    with pytest.raises(TransactionFailed) as refusal:
        attestations.post(payer, made, signed[:1])
    assert refusal.value.reason == "too few signatures"
    uid = attestations.post(payer, made, signed)
    standing = attestations.latest(schema, subject)
    assert (standing.uid, standing.word, standing.issued_at) == (uid, 42, now)
    assert standing.is_valid(now)
    assert attestations.is_valid(schema, subject)
    assert attestations.latest_of(schema, [ZERO_ADDRESS, subject]) == [
        attestations.latest(schema, ZERO_ADDRESS),
        standing,
    ]
    attestations.revoke(
        payer, made, [attestations.domain.sign_revocation(issuer, made) for issuer in issuers]
    )
    assert attestations.latest(schema, subject).revoked
    assert not attestations.is_valid(schema, subject)


def test_issuers_hand_over_to_others(chain, new_account):
    payer, first, second = new_account(), new_account(0), new_account(0)
    attestations = Attestations(chain)
    terms = SchemaTerms("is a person", issuers=(first.address,), change_delay_s=86_400)
    schema = attestations.register(payer, terms)
    signed = attestations.domain.sign_change(first, schema, [second.address], 1, 0)
    from_time = attestations.change_issuers(payer, schema, [second.address], 1, [signed])
    assert from_time > time.time() + 80_000
    assert attestations.issuers_of(schema) == ([first.address], 1)
    other = SchemaTerms("is another", issuers=(first.address,))
    fixed = attestations.register(payer, other)
    with pytest.raises(TransactionFailed) as refusal:
        attestations.change_issuers(payer, fixed, [second.address], 1, [signed])
    assert refusal.value.reason == "issuers never change"
