# SPDX-License-Identifier: Apache-2.0
"""A mandate says what its owner signed, and nothing else."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import orjson
import pytest
from eth_account import Account as OtherAccount
from eth_account.messages import encode_typed_data

from koinon.chain.account import typed_data
from koinon.chain.eip712 import digest
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, PaymentError
from koinon.services.mandates.mandate import _TYPE, Mandate, SignedMandate, mandate_domain, sign_mandate
from tests.services.mandates import DOMAIN, OWNER, mandate, payee, signed


def test_it_is_signed_as_wallets_sign_typed_data():
    chosen = mandate(works=(3, 2**200), counterparties=(OWNER.address,), uses=("call", "job"))
    shown = typed_data(DOMAIN, _TYPE, chosen.values())
    theirs = OtherAccount.sign_message(encode_typed_data(full_message=shown), b"\1" * 32)
    assert bytes(theirs.message_hash) == digest(DOMAIN, _TYPE.hash(*chosen.values()))
    assert bytes(theirs.signature) == OWNER.sign_typed(DOMAIN, _TYPE, *chosen.values())


def test_every_field_is_signed():
    assert len(fields(Mandate)) == len(_TYPE.fields)
    one = mandate(nonce=bytes(32))
    changed: list[dict[str, Any]] = [
        {"per_call": 1},
        {"per_day": 1},
        {"total": 1},
        {"per_counterparty": 1},
        {"works": (1,)},
        {"counterparties": (OWNER.address,)},
        {"uses": ("job",)},
        {"verified_lineage": True},
        {"validators": (OWNER.address,)},
        {"not_before": 1},
        {"not_after": 2},
        {"nonce": b"\1" * 32},
        {"agent": OWNER.address},
    ]
    hashes = {_TYPE.hash(*mandate(**{"nonce": bytes(32), **each}).values()) for each in changed}
    assert len(hashes | {_TYPE.hash(*one.values())}) == len(changed) + 1


def test_a_file_holds_what_was_signed(tmp_path):
    chosen = signed(works=(7,), uses=("call", "trade"), minimum_validation=80, validators=(OWNER.address,))
    chosen.save(tmp_path / "mandate.json")
    assert SignedMandate.load(tmp_path / "mandate.json") == chosen


@pytest.mark.parametrize(
    "change",
    [
        {"total": 1000},
        {"total": "-1"},
        {"total": "1" * 60},
        {"uses": []},
        {"uses": ["everything"]},
        {"works": "7"},
        {"works": [7]},
        {"owner": "0x12"},
        {"verifiedLineage": 1},
        {"minimumValidation": 101},
        {"minimumValidation": 5},
        {"notBefore": "9", "notAfter": "9"},
        {"nonce": "0x00"},
        {"raise": "limit"},
    ],
)
def test_what_is_no_mandate_is_refused(tmp_path, change):
    document = orjson.loads(orjson.dumps(signed().to_json()))
    document["mandate"] |= change
    (tmp_path / "mandate.json").write_bytes(orjson.dumps(document))
    with pytest.raises(BadInput):
        SignedMandate.load(tmp_path / "mandate.json")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"mandate": 1}', b" " * (1 << 17)])
def test_garbage_is_refused(tmp_path, content):
    (tmp_path / "mandate.json").write_bytes(content)
    with pytest.raises(BadInput):
        SignedMandate.load(tmp_path / "mandate.json")


@pytest.mark.parametrize(
    ("granted", "asked", "code"),
    [
        ({"not_before": 100}, {"now": 99}, "mandate.time"),
        ({"not_after": 100}, {"now": 101}, "mandate.time"),
        ({}, {"use": "train"}, "mandate.use"),
        ({"works": (2,)}, {}, "mandate.work"),
        ({"counterparties": ("0x" + "33" * 20,)}, {}, "mandate.counterparty"),
        ({"per_call": 9}, {}, "mandate.per_call"),
    ],
)
def test_what_it_does_not_cover_is_refused(granted, asked, code):
    wanted = {"use": "call", "payee": payee(1), "amount": 10, "now": 1000} | asked
    mandate(uses=("call", "train")).check(**wanted)
    with pytest.raises(PaymentError) as refused:
        mandate(**granted).check(**wanted)
    assert refused.value.code == code


def test_only_its_owner_signs_it_and_for_one_network_only(hall):
    owner = Key.generate()
    chosen = mandate(owner=owner.address)
    with pytest.raises(BadInput):
        sign_mandate(hall.chain, Key.generate(), chosen)
    good = sign_mandate(hall.chain, owner, chosen)
    good.verify(hall.chain)
    for bad in (
        SignedMandate(mandate(owner=owner.address, total=10**10), good.signature, good.domain),
        SignedMandate(chosen, Key.generate().sign(good.id), good.domain),
        SignedMandate(chosen, b"\1" * 40, good.domain),
        SignedMandate(chosen, good.signature, DOMAIN),
    ):
        with pytest.raises(IntegrityError):
            bad.verify(hall.chain)
    assert good.domain == mandate_domain(hall.chain)


def test_a_contract_may_own_the_money(hall):
    """A Work's till answers ERC-1271 for its Work's owner; here: only what it says yes to counts."""
    _, till = hall.work()
    with pytest.raises(IntegrityError):
        SignedMandate(mandate(owner=till), b"\1" * 65, mandate_domain(hall.chain)).verify(hall.chain)
