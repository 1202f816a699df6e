# SPDX-License-Identifier: Apache-2.0
"""Who is told of attestations, and who may make them: resolvers, changes of issuers, contracts as issuers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koinon.works.attestations import SchemaTerms, in_order, rising
from tests.bench_support import HALL_MOCKS, NOBODY, account, deploy, key, refused
from tests.works.contracts.attestations_support import (
    DELAY_S,
    REGISTRANT,
    ROLES,
    STRANGER,
    SUBJECT,
    Scene,
    open_scene,
)


@pytest.fixture(scope="module")
def standing():
    return open_scene()


@pytest.fixture
def scene(standing):
    with standing.bench.undone():
        yield standing


# --- resolvers ---------------------------------------------------------------------------------------------


def test_a_resolver_may_refuse_an_attestation_and_never_a_revocation(scene):
    attestation = scene.attestation()
    scene.post(attestation)
    for refuses, burns in ((True, False), (False, True)):
        with scene.bench.undone():
            scene.resolver.behave(refuses, burns)
            with refused("the resolver refuses"):
                scene.post(scene.attestation(8, nonce=1))
            scene.revoke(attestation)
            assert scene.latest().revoked
            (event,) = scene.contract.events("Revoked")
            assert not event["resolver_told"]


def test_a_resolver_that_calls_back_changes_nothing(scene):
    attestation, later = scene.attestation(), scene.attestation(8, nonce=1)
    call = scene.contract.encode("attest", later.values(), scene.signed(later))
    scene.resolver.call_back(scene.contract.address, call)
    scene.post(attestation)
    assert scene.latest().word == 7
    assert not scene.resolver.called_back()
    revocation = in_order([scene.domain.sign_revocation(key(role), attestation) for role in ROLES[:2]])
    uid = scene.domain.uid(attestation)
    again = scene.contract.encode("revoke", scene.schema, SUBJECT, uid, revocation)
    scene.resolver.call_back(scene.contract.address, again)
    scene.revoke(attestation)
    assert not scene.resolver.called_back()


def test_a_resolver_gets_its_gas_in_full_or_nothing_happens(scene):
    pyrevm = pytest.importorskip("pyrevm")
    attestation = scene.attestation()
    call = scene.contract.encode("attest", attestation.values(), scene.signed(attestation))
    evm = scene.bench.evm
    reasons = set()
    for gas in range(120_000, 420_000, 10_000):
        mark = evm.snapshot()
        try:
            evm.message_call(STRANGER, scene.contract.address, call, gas=gas)
        except RuntimeError as error:
            reasons.add("bring more gas" if b"bring more gas".hex() in str(error) else "out of gas")
        else:
            assert scene.resolver.gas_seen() > 90_000
            reasons.add("done")
        finally:
            evm.revert(mark)
            evm.reset_transient_storage()
    assert reasons == {"out of gas", "bring more gas", "done"}
    assert pyrevm is not None


def test_a_schema_needs_no_resolver(scene):
    terms = replace(scene.terms, resolver=NOBODY)
    schema = scene.contract.register(*terms.values(), sender=REGISTRANT)
    attestation = scene.attestation(schema=schema)
    scene.post(attestation)
    scene.revoke(attestation)
    assert scene.latest(schema=schema).revoked


# --- issuers -----------------------------------------------------------------------------------------------


def change(
    scene: Scene, issuers: list[str], threshold: int, signers: tuple[str, ...], number: int = 0
) -> None:
    signed = in_order(
        [scene.domain.sign_change(key(role), scene.schema, issuers, threshold, number) for role in signers]
    )
    scene.contract.change_issuers(scene.schema, rising(issuers), threshold, signed, sender=STRANGER)


def test_issuers_change_by_their_own_majority_after_the_delay(scene):
    successor = account("successor")
    digest = scene.domain.change_digest(scene.schema, [successor], 1, 0)
    assert digest == scene.contract.change_digest(scene.schema, [successor], 1, 0)
    change(scene, [successor], 1, ROLES[:2])
    (event,) = scene.contract.events("IssuersChanging")
    assert (
        event["from_time"]
        == scene.bench.timestamp + DELAY_S
        == scene.contract.next_issuers_from(scene.schema)
    )
    scene.bench.next_block(scene.bench.timestamp + DELAY_S - 1)
    with refused("too few signatures"):
        scene.post(scene.attestation(), "successor")
    scene.post(scene.attestation())
    scene.bench.next_block(scene.bench.timestamp + 1)
    assert scene.contract.issuers_of(scene.schema) == ([successor], 1)
    with refused("not an issuer"):
        scene.post(scene.attestation())
    scene.post(scene.attestation(), "successor")
    # The successor may change issuers again; those before may not.
    with refused("not an issuer"):
        change(scene, [STRANGER], 1, ROLES[:2], 1)
    change(scene, [STRANGER], 1, ("successor",), 1)
    assert scene.contract.issuers_of(scene.schema) == ([successor], 1)


def test_a_change_under_way_is_replaced_by_a_later_one_and_none_is_replayed(scene):
    change(scene, [STRANGER], 1, ROLES[:2])
    with refused("wrong signature"):
        change(scene, [STRANGER], 1, ROLES[:2])
    change(scene, list(scene.terms.issuers), 2, ROLES[1:], 1)
    scene.bench.next_block(scene.bench.timestamp + DELAY_S)
    assert scene.contract.issuers_of(scene.schema)[1] == 2
    assert scene.contract.changes(scene.schema) == 2


def test_who_may_not_change_issuers(scene):
    with refused("too few signatures"):
        change(scene, [STRANGER], 1, ROLES[:1])
    with refused("threshold out of range"):
        change(scene, [STRANGER], 2, ROLES[:2])
    signed = [(account(role), b"") for role in ROLES[:2]]
    with refused("issuers must rise"):
        scene.contract.change_issuers(scene.schema, [STRANGER, STRANGER], 1, signed, sender=STRANGER)
    terms = replace(scene.terms, change_delay_s=0)
    fixed = scene.contract.register(*terms.values(), sender=REGISTRANT)
    with refused("issuers never change"):
        scene.contract.change_issuers(fixed, [STRANGER], 1, signed, sender=STRANGER)
    with refused("issuers never change"):
        scene.contract.change_issuers(b"\1" * 32, [STRANGER], 1, signed, sender=STRANGER)


def test_a_contract_may_be_an_issuer(scene):
    wallet = deploy(scene.bench, HALL_MOCKS / "ContractWallet.vy", bytes.fromhex("1626ba7e"))
    terms = SchemaTerms("by contract", NOBODY, (wallet.address,))
    schema = scene.contract.register(*terms.values(), sender=REGISTRANT)
    attestation = scene.attestation(schema=schema)
    signed = [(wallet.address, b"any")]
    with refused("wrong signature"):
        scene.contract.attest(attestation.values(), signed, sender=STRANGER)
    uid = scene.domain.uid(attestation)
    wallet.agree(uid)
    assert scene.contract.is_signed_by_issuer(schema, wallet.address, uid, b"any")
    assert scene.contract.attest(attestation.values(), signed, sender=STRANGER) == uid


def test_one_issuers_signature_is_known_as_its_own(scene):
    digest = b"\7" * 32
    signature = key(ROLES[0]).sign(digest)
    assert scene.contract.is_signed_by_issuer(scene.schema, account(ROLES[0]), digest, signature)
    assert not scene.contract.is_signed_by_issuer(scene.schema, account(ROLES[1]), digest, signature)
    stranger = key("stranger").sign(digest)
    assert not scene.contract.is_signed_by_issuer(scene.schema, STRANGER, digest, stranger)
