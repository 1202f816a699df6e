# SPDX-License-Identifier: Apache-2.0
"""Attestations: who may say something of an account, until when, and that nobody says it twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.errors import BadInput
from koinon.works.attestations import Attestation, AttestationDomain, SchemaTerms, Standing, in_order, rising
from tests.bench_support import NOBODY, account, deploy, key, refused
from tests.works.contracts.attestations_support import (
    DAY,
    DELAY_S,
    REGISTRANT,
    ROLES,
    STRANGER,
    SUBJECT,
    open_scene,
)


@pytest.fixture(scope="module")
def standing():
    return open_scene()


@pytest.fixture
def scene(standing):
    with standing.bench.undone():
        yield standing


# --- schemas -----------------------------------------------------------------------------------------------


def test_a_schemas_id_follows_from_who_registers_what(scene):
    assert scene.schema == scene.terms.id(scene.bench.chain_id, scene.contract.address, REGISTRANT)
    assert scene.contract.is_registered(scene.schema)
    assert not scene.contract.is_registered(bytes(32))
    issuers, threshold = scene.contract.issuers_of(scene.schema)
    assert (list(issuers), threshold) == (rising(scene.terms.issuers), 2)
    assert scene.contract.resolver_of(scene.schema) == scene.resolver.address
    assert scene.contract.change_delay_of(scene.schema) == DELAY_S
    assert all(scene.contract.is_issuer(scene.schema, account(role)) for role in ROLES)
    assert not scene.contract.is_issuer(scene.schema, STRANGER)
    (event,) = scene.contract.events("SchemaRegistered")
    assert (event["schema"], event["text"], event["threshold"]) == (scene.schema, scene.terms.text, 2)
    assert scene.contract.eip712Domain()[1:3] == ("Koinon Attestations", "1")


def test_what_is_no_schema_is_refused(scene):
    good = scene.terms.values()
    for place, wrong, reason in (
        (0, "", "say what it means"),
        (1, STRANGER, "resolver has no code"),
        (2, [], "threshold out of range"),
        (2, list(reversed(good[2])), "issuers must rise"),
        (2, [good[2][0]] * 2, "issuers must rise"),
        (2, [NOBODY, good[2][0]], "issuers must rise"),
        (3, 0, "threshold out of range"),
        (3, 4, "threshold out of range"),
        (4, 366 * DAY, "delay too long"),
    ):
        values = list(good)
        values[place] = wrong
        with refused(reason):
            scene.contract.register(*values, sender=REGISTRANT)
    with refused("schema exists"):
        scene.contract.register(*good, sender=REGISTRANT)
    assert scene.contract.register(*good, sender=STRANGER) != scene.schema


def test_python_refuses_what_the_contract_would():
    for make in (
        lambda: SchemaTerms("", NOBODY, (SUBJECT,)),
        lambda: SchemaTerms("é" * 129, NOBODY, (SUBJECT,)),
        lambda: SchemaTerms("text", NOBODY, ()),
        lambda: SchemaTerms("text", NOBODY, (SUBJECT, SUBJECT), 2),
        lambda: Attestation(b"short", SUBJECT, 0, 1, 2),
        lambda: Attestation(bytes(32), SUBJECT, 0, 2, 2),
    ):
        with pytest.raises(BadInput):
            make()


# --- attesting ---------------------------------------------------------------------------------------------


def test_enough_issuers_make_an_attestation_stand(scene):
    attestation = scene.attestation()
    uid = scene.post(attestation)
    assert uid == scene.domain.uid(attestation) == scene.contract.uid_of(attestation.values())
    assert scene.latest() == Standing(
        uid, 7, 3, 5, attestation.issued_at, attestation.expires_at, attestation.nonce, False
    )
    assert scene.contract.is_valid(scene.schema, SUBJECT)
    assert not scene.contract.is_valid(scene.schema, STRANGER)
    assert scene.latest(STRANGER).uid == bytes(32)
    (event,) = scene.contract.events("Attested")
    assert (event["uid"], event["word"], event["feature_root"]) == (uid, 7, bytes(32))
    assert (scene.resolver.told(), scene.resolver.last_word()) == (1, 7)


def test_all_three_may_sign_and_order_does_not_matter(scene):
    scene.post(scene.attestation(), *ROLES)
    assert scene.latest().word == 7


def test_a_minority_of_issuers_decides_nothing(scene):
    attestation = scene.attestation()
    for roles in ((ROLES[0],), (ROLES[2],)):
        with refused("too few signatures"):
            scene.post(attestation, *roles)
    alone = scene.signed(attestation, ROLES[0])
    with refused("signers must rise"):
        scene.contract.attest(attestation.values(), alone * 2, sender=STRANGER)
    with refused("not an issuer"):
        scene.post(attestation, ROLES[0], "stranger")
    with refused("too few signatures"):
        scene.revoke(attestation, ROLES[0])
    with refused("not an issuer"):
        scene.revoke(attestation, ROLES[0], "stranger")


def test_a_forged_or_changed_attestation_is_refused(scene):
    attestation = scene.attestation()
    signed = scene.signed(attestation)
    for changes in (
        {"word": 0},
        {"subject": STRANGER},
        {"digest": b"\1" * 32},
        {"work_id": 4},
        {"feature_root": b"\1" * 32},
        {"as_of_block": 6},
        {"issued_at": attestation.issued_at - 1},
        {"expires_at": attestation.expires_at + 1},
        {"nonce": 1},
    ):
        with refused("wrong signature"):
            scene.contract.attest(replace(attestation, **changes).values(), signed, sender=STRANGER)
    swapped = [(signed[0][0], signed[1][1]), (signed[1][0], signed[0][1])]
    with refused("wrong signature"):
        scene.contract.attest(attestation.values(), swapped, sender=STRANGER)
    with refused("no such schema"):
        scene.post(replace(attestation, schema=b"\1" * 32))


def test_signatures_for_another_contract_or_chain_are_refused(scene):
    attestation = scene.attestation()
    twin = deploy(scene.bench, "Attestations")
    twin.register(*scene.terms.values(), sender=REGISTRANT)
    for domain in (
        AttestationDomain(scene.bench.chain_id, twin.address),
        AttestationDomain(scene.bench.chain_id + 1, scene.contract.address),
    ):
        signed = in_order([domain.sign(key(role), attestation) for role in ROLES[:2]])
        with refused("wrong signature"):
            scene.contract.attest(attestation.values(), signed, sender=STRANGER)


def test_an_attestation_for_another_schema_of_the_same_issuers_is_refused(scene):
    other = scene.contract.register("another", *scene.terms.values()[1:], sender=REGISTRANT)
    attestation = scene.attestation()
    with refused("wrong signature"):
        scene.contract.attest(
            replace(attestation, schema=other).values(), scene.signed(attestation), sender=STRANGER
        )


def test_an_attestation_of_tomorrow_or_yesterday_is_refused(scene):
    now = scene.bench.timestamp
    with refused("issued in the future"):
        scene.post(scene.attestation(issued_at=now + 1))
    with refused("expired"):
        scene.post(scene.attestation(issued_at=now - 2, expires_at=now))
    with refused("subject missing"):
        scene.post(scene.attestation(subject=NOBODY))


def test_the_newest_wins_and_none_can_be_replayed(scene):
    now = scene.bench.timestamp
    good, bad = scene.attestation(1, issued_at=now - 10), scene.attestation(9)
    scene.post(good)
    scene.post(bad)
    assert scene.latest().word == 9
    for old in (good, bad, scene.attestation(2, issued_at=now - 1), scene.attestation(3, nonce=0)):
        with refused("not newer than what stands"):
            scene.post(old)
    scene.post(scene.attestation(4, nonce=1))
    assert scene.latest().word == 4


def test_an_attestation_ends_at_its_expiry(scene):
    attestation = scene.attestation()
    scene.post(attestation)
    scene.bench.next_block(attestation.expires_at - 1)
    assert scene.contract.is_valid(scene.schema, SUBJECT)
    assert scene.latest().is_valid(scene.bench.timestamp)
    scene.bench.next_block(attestation.expires_at)
    assert not scene.contract.is_valid(scene.schema, SUBJECT)
    assert not scene.latest().is_valid(scene.bench.timestamp)


# --- revoking ----------------------------------------------------------------------------------------------


def test_what_issuers_take_back_is_over_and_cannot_be_posted_again(scene):
    before, attestation = scene.attestation(1), scene.attestation(2, nonce=1)
    scene.post(before)
    scene.post(attestation)
    scene.revoke(attestation)
    assert scene.latest().revoked
    assert not scene.contract.is_valid(scene.schema, SUBJECT)
    assert scene.resolver.revocations() == 1
    for old in (before, attestation):
        with refused("not newer than what stands"):
            scene.post(old)
    with refused("already revoked"):
        scene.revoke(attestation)
    scene.post(scene.attestation(3, nonce=2))
    assert scene.contract.is_valid(scene.schema, SUBJECT)


def test_what_was_taken_back_before_it_was_posted_is_never_posted(scene):
    attestation = scene.attestation()
    scene.revoke(attestation)
    with refused("revoked"):
        scene.post(attestation)


def test_nobody_takes_back_what_another_schema_says(scene):
    """A schema of one's own issuers reaches its own attestations only, also for the empty uid."""
    attestation = scene.attestation()
    scene.post(attestation)
    terms = SchemaTerms("mine", NOBODY, (STRANGER,))
    mine = scene.contract.register(*terms.values(), sender=STRANGER)
    for uid in (scene.domain.uid(attestation), bytes(32)):
        digest = scene.domain.revocation_digest(mine, SUBJECT, uid)
        assert digest == scene.contract.revocation_digest(mine, SUBJECT, uid)
        scene.contract.revoke(mine, SUBJECT, uid, [(STRANGER, key("stranger").sign(digest))], sender=STRANGER)
    assert scene.contract.is_valid(scene.schema, SUBJECT)
    assert not scene.latest(account("nobody yet")).revoked


def test_a_signature_under_an_attestation_is_none_under_its_revocation(scene):
    attestation = scene.attestation()
    signed = scene.signed(attestation)
    with refused("wrong signature"):
        scene.contract.revoke(scene.schema, SUBJECT, scene.domain.uid(attestation), signed, sender=STRANGER)
