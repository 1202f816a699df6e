# SPDX-License-Identifier: Apache-2.0
"""Signed answers, their tree and their evidence: golden vectors, and what hostile parties send instead."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from koinon.chain.account import typed_data
from koinon.chain.hashing import keccak256
from koinon.chain.keys import Key
from koinon.errors import BadInput, IntegrityError, NotFound, PeerError
from koinon.services.selling.comparison import Comparison
from koinon.services.verification.evidence import Asker, Evidence, Place
from koinon.services.verification.judging import broken
from koinon.services.verification.record import (
    ANSWER,
    AnswerTree,
    SignedAnswer,
    check_membership,
    verification_domain,
)
from koinon.services.verification.showing import Showing
from koinon.services.verification.store import AnswerStore, KeptBatch

DOMAIN = verification_domain(31_337, "0x" + "11" * 20)
SIGNER = Key.from_bytes(keccak256(b"signer"))
BODY, RESULT = b'{"income":1000}', b"41.0"


def answer(number: int = 1, **changes: Any) -> SignedAnswer:
    fields: dict[str, Any] = {
        "work_id": 7,
        "bond_id": 3,
        "payer": SIGNER.address,
        "input_digest": hashlib.sha256(BODY).digest(),
        "runtime_digest": keccak256(b"runtime"),
        "output_digest": hashlib.sha256(RESULT).digest(),
        "number": number,
        "issued_at": 1_800_000_000,
    }
    return SignedAnswer(**fields | changes).signed(SIGNER, DOMAIN)


def test_what_is_signed_is_what_any_wallet_would_sign() -> None:
    signed = answer()
    document = encode_typed_data(full_message=typed_data(DOMAIN, ANSWER, signed.values))
    assert keccak256(b"\x19" + document.version + document.header + document.body) == signed.digest(DOMAIN)


def test_a_signed_answer_is_read_as_it_is_written() -> None:
    signed = answer()
    assert SignedAnswer.from_json(signed.to_json()) == signed
    signed.check(DOMAIN, SIGNER.address, BODY, RESULT)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"number": 2}, "verification.signature"),
        ({"payer": "0x" + "22" * 20}, "verification.signature"),
        ({"signature": bytes(65)}, "verification.signature"),
    ],
)
def test_answers_that_were_not_signed_so_are_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(IntegrityError) as refused:
        replace(answer(), **changes).check(DOMAIN, SIGNER.address, BODY, RESULT)
    assert refused.value.code == code


def test_inputs_outputs_signers_and_networks_are_not_exchanged() -> None:
    signed, other = answer(), verification_domain(1, "0x" + "11" * 20)
    for domain, signer, body, result in (
        (DOMAIN, SIGNER.address, BODY + b" ", RESULT),
        (DOMAIN, SIGNER.address, BODY, b"42.0"),
        (DOMAIN, "0x" + "22" * 20, BODY, RESULT),
        (other, SIGNER.address, BODY, RESULT),
    ):
        with pytest.raises(IntegrityError):
            signed.check(domain, signer, body, result)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "answer",
        {},
        answer().to_json() | {"more": 1},
        answer().to_json() | {"number": -1},
        answer().to_json() | {"number": 2**64},
        answer().to_json() | {"number": True},
        answer().to_json() | {"number": 1.5},
        answer().to_json() | {"payer": "0x12"},
        answer().to_json() | {"input_digest": "0x12"},
        answer().to_json() | {"input_digest": 12},
        answer().to_json() | {"signature": "0xzz"},
    ],
)
def test_what_is_no_signed_answer_is_refused(data: Any) -> None:
    with pytest.raises(BadInput) as refused:
        SignedAnswer.from_json(data)
    assert refused.value.code == "verification.answer"
    with pytest.raises(BadInput):
        Evidence.from_json({"answer": data})


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), st.data())
def test_every_answer_is_where_it_is_and_nowhere_else(answers: list[bytes], data: st.DataObject) -> None:
    tree = AnswerTree(answers)
    position = data.draw(st.integers(0, len(answers) - 1))
    proof = tree.proof(position)
    check_membership(tree.root, position, answers[position], proof)
    with pytest.raises(IntegrityError):
        check_membership(tree.root, position + len(answers), answers[position], proof)
    with pytest.raises(IntegrityError):
        check_membership(tree.root, position, keccak256(answers[position]), proof)
    with pytest.raises(IntegrityError):
        check_membership(tree.root, position, answers[position], [*proof, bytes(32)])


def test_a_batch_of_nothing_is_none() -> None:
    with pytest.raises(BadInput):
        AnswerTree([])


@pytest.mark.parametrize(
    "place",
    [
        None,
        {},
        {"request": "0x" + "00" * 32, "position": True, "proof": []},
        {"request": "0x" + "00" * 32, "position": -1, "proof": []},
        {"request": "0x00", "position": 1, "proof": []},
        {"request": "0x" + "00" * 32, "position": 1, "proof": ["0x12"]},
        {"request": "0x" + "00" * 32, "position": 1, "proof": 5},
    ],
)
def test_places_that_are_none_are_refused(place: Any) -> None:
    with pytest.raises(BadInput):
        Place.from_json(place)


def test_the_store_keeps_answers_through_a_restart_until_nobody_can_dispute_them(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    for number in (1, 2):
        signed = answer(number)
        store.keep(signed, signed.digest(DOMAIN), BODY, RESULT)
    store.close()
    store = AnswerStore(tmp_path)
    assert store.last_number() == 2
    assert store.waiting(3) == (2, 1_800_000_000)
    waiting = store.waiting_digests(3, 10)
    tree = AnswerTree([digest for _, digest in waiting])
    batch = KeptBatch(keccak256(b"request"), 3, tree.root, 2, bytes(32), None)
    store.gather(batch, [number for number, _ in waiting])
    assert store.waiting(3) == (0, 0)
    assert store.unsent(3) == [batch]
    assert store.standing(3, 0) == 2
    shown = store.evidence(batch.request, 1)
    assert shown.answer == answer(2)
    assert shown.place is not None
    check_membership(tree.root, 1, shown.answer.digest(DOMAIN), shown.place.proof)
    assert store.place(shown.answer.digest(DOMAIN)) == shown.place
    store.sent(batch.request, 100)
    assert store.over(3, 99) == []
    assert [each.request for each in store.over(3, 100)] == [batch.request]
    assert store.standing(3, 100) == 0
    store.told(batch.request)
    store.forget(101)
    with pytest.raises(NotFound):
        store.evidence(batch.request, 1)
    with pytest.raises(NotFound):
        store.place(shown.answer.digest(DOMAIN))
    store.close()


@pytest.mark.parametrize(
    ("given_", "again", "wrong"),
    [
        (b"41.0", b"41.0", False),
        (b"41.0", b"41.1", True),
        (b"41.0", None, True),
        (b"junk", b"41.0", True),
        (b"junk", b"junk", False),
        (b'{"a":1}', b'{"a":1}', False),
    ],
)
def test_an_answer_is_broken_by_its_rule(given_: bytes, again: bytes | None, *, wrong: bool) -> None:
    assert bool(broken(Comparison(), given_, again)) is wrong


def test_whoever_shows_nothing_or_nonsense_has_not_shown_it() -> None:
    said = {"/evidence/" + "00" * 32 + "/0": b"junk", "/answers/" + "00" * 32: b"[]"}

    def look_up(path: str) -> bytes:
        if path not in said:
            raise NotFound("Nothing here.")
        return said[path]

    showing, asker = Showing(look_up), Asker(whole_s=5.0)
    for ask in (
        lambda: asker.evidence(showing.url, bytes(32), 0),
        lambda: asker.evidence(showing.url, bytes(32), 1),
        lambda: asker.place(showing.url, bytes(32)),
        lambda: asker.details(showing.url, bytes(32)),
        lambda: asker.evidence_at("file:///etc/passwd"),
        lambda: asker.evidence_at(""),
        lambda: asker.evidence_at("http://"),
    ):
        with pytest.raises((PeerError, BadInput)):
            ask()
    asker.close()
    showing.close()
