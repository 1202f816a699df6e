# SPDX-License-Identifier: Apache-2.0
import io
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.chain.keys import Key
from koinon.data.sealed import (
    SealedContent,
    chunk_cids,
    open_chunks,
    read_share,
    seal_content,
    share_context,
)
from koinon.data.sealed_box import BoxKey, seal_to
from koinon.errors import BadInput, IntegrityError, KeyFault, NotFound
from koinon.shamir import Share, combine
from koinon.store import BlockStore, cid_of, digest_of
from koinon.store.cid import cid_from_digest
from tests.data.support import DOMAIN, keepers, sealed

CONTENT = bytes(range(256)) * 3


@pytest.fixture
def store(tmp_path):
    return BlockStore(tmp_path)


def opened_shares(described, boxes, keys):
    content_id = described.content_id(DOMAIN)
    return [
        read_share(key.box.open(box, share_context(content_id, key.account.address)), described)
        for key, box in zip(keys, boxes, strict=True)
    ]


@given(content=st.binary(max_size=450))
@settings(max_examples=25)
def test_any_two_of_three_keepers_open_what_was_sealed(tmp_path_factory, content):
    store, keys = BlockStore(tmp_path_factory.mktemp("store")), keepers(3)
    described, boxes = sealed(store, content, keys)
    shares = opened_shares(described, boxes, keys)
    for pair in (shares[:2], shares[1:], shares[::2]):
        assert b"".join(open_chunks(store, described, combine(pair, 2))) == content
    assert described.chunk_count == max(1, -(-len(content) // 100))


def test_it_can_be_read_on_from_any_piece(store):
    keys = keepers(1)
    described, boxes = sealed(store, CONTENT, keys, 1)
    key = opened_shares(described, boxes, keys)[0].value
    assert b"".join(open_chunks(store, described, key, begin=5)) == CONTENT[500:]


def test_a_stream_that_gives_little_at_a_time_is_sealed_the_same(store):
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 7))

    key = keepers(1)[0]
    described, _ = seal_content(
        store,
        Dripping(CONTENT),
        work_id=1,
        keepers=[key.at("http://k")],
        threshold=1,
        domain=DOMAIN,
        chunk_bytes=100,
    )
    assert (described.size, described.chunk_count) == (768, 8)


def test_the_store_never_sees_the_content_nor_the_key(store):
    keys = keepers(2)
    described, boxes = sealed(store, CONTENT, keys)
    key = combine(opened_shares(described, boxes, keys), 2)
    kept = b"".join(store.get(cid) for cid in store.cids()) + described.to_json()
    assert CONTENT[:32] not in kept
    assert key not in kept
    assert key.hex().encode() not in kept


def test_another_keeper_another_content_and_a_changed_box_do_not_open(store):
    keys = keepers(2)
    described, boxes = sealed(store, CONTENT, keys)
    context = share_context(described.content_id(DOMAIN), keys[0].account.address)
    other = share_context(bytes(32), keys[0].account.address)
    changed = boxes[0][:-1] + bytes([boxes[0][-1] ^ 1])
    for key, box, bound in (
        (keys[1], boxes[0], context),
        (keys[0], boxes[0], other),
        (keys[0], changed, context),
        (keys[0], b"", context),
    ):
        with pytest.raises(IntegrityError) as error:
            key.box.open(box, bound)
        assert error.value.code == "data.box"


@pytest.mark.parametrize("opened", [b"", bytes(33), b"\x01" + bytes(32), b"\x03" + bytes(32), bytes(40)])
def test_a_share_nobody_committed_to_is_refused(store, opened):
    described, _ = sealed(store, CONTENT, keepers(2))
    with pytest.raises(IntegrityError) as error:
        read_share(opened, described)
    assert error.value.code == "data.share"


def test_a_wrong_key_opens_nothing(store):
    described, _ = sealed(store, CONTENT, keepers(1), 1)
    with pytest.raises(IntegrityError, match="Piece 1"):
        next(open_chunks(store, described, bytes(32)))


def rearranged(store, described, order):
    """The same pieces under another list."""
    listed = store.get(cid_of_list(described))
    changed = b"".join(listed[32 * place : 32 * place + 32] for place in order)
    store.put(changed)
    return replace(described, chunk_list=digest_of(cid_of(changed)), size=100 * (len(order) - 1) + 68)


def cid_of_list(described):
    return cid_from_digest(described.chunk_list)


@pytest.mark.parametrize(
    "order", [[1, 0, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3], [0, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7, 7]]
)
def test_pieces_that_are_moved_cut_off_left_out_or_added_do_not_open(store, order):
    keys = keepers(1)
    described, boxes = sealed(store, CONTENT, keys, 1)
    key = opened_shares(described, boxes, keys)[0].value
    with pytest.raises(IntegrityError):
        list(open_chunks(store, rearranged(store, described, order), key))


def test_a_list_that_does_not_fit_the_size_is_refused(store):
    described, _ = sealed(store, CONTENT, keepers(1), 1)
    with pytest.raises(IntegrityError) as error:
        chunk_cids(store, replace(described, size=10_000))
    assert error.value.code == "data.chunk_list"


def test_a_missing_piece_is_named(store):
    keys = keepers(1)
    described, boxes = sealed(store, CONTENT, keys, 1)
    key = opened_shares(described, boxes, keys)[0].value
    with pytest.raises(NotFound):
        list(open_chunks(BlockStore(store.path / "elsewhere"), described, key))


def test_the_owner_signs_every_field(store):
    owner = Key.generate()
    described, _ = sealed(store, CONTENT, keepers(2))
    signed = described.signed(owner, DOMAIN)
    assert SealedContent.from_json(signed.to_json()) == signed
    assert signed.signer(DOMAIN) == owner.address
    keeper = replace(signed.keepers[0], url="http://elsewhere")
    for changed in (
        {"work_id": 2},
        {"size": 767},
        {"content_digest": bytes(32)},
        {"chunk_list": bytes(32)},
        {"chunk_bytes": 99},
        {"threshold": 1},
        {"keepers": (keeper, signed.keepers[1])},
        {"commitments": (bytes(32), signed.commitments[1])},
    ):
        assert replace(signed, **changed).signer(DOMAIN) != owner.address
    with pytest.raises(KeyFault):
        described.signer(DOMAIN)


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0},
        {"threshold": 3},
        {"threshold": True},
        {"size": -1},
        {"size": "768"},
        {"chunk_bytes": 0},
        {"chunk_bytes": 1 << 30},
        {"content_digest": "ab"},
        {"chunk_list": "bafy"},
        {"keepers": []},
        {"keepers": "none"},
        {"work_id": "one"},
        {"signature": 5},
    ],
)
def test_a_description_that_cannot_be_is_refused(store, change):
    described, _ = sealed(store, CONTENT, keepers(2))
    fields = orjson.loads(described.to_json()) | change
    with pytest.raises(IntegrityError) as error:
        SealedContent.from_json(orjson.dumps(fields))
    assert error.value.code == "data.sealed_content"


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"3", b"{"])
def test_what_is_no_description_is_refused(text):
    with pytest.raises(IntegrityError):
        SealedContent.from_json(text)


def test_a_keeper_named_twice_is_refused(store):
    key = keepers(1)[0]
    with pytest.raises(IntegrityError, match="named twice"):
        sealed(store, CONTENT, [key, key])


def test_content_of_too_many_pieces_is_refused(store, monkeypatch):
    monkeypatch.setattr("koinon.data.sealed.MAXIMUM_CHUNKS", 7)
    with pytest.raises(BadInput) as error:
        sealed(store, CONTENT, keepers(1), 1)
    assert error.value.code == "data.too_large"


def test_a_derived_key_is_the_same_again_and_another_for_another_purpose():
    one, again, other = (BoxKey.derive(bytes(range(32)), purpose) for purpose in ("a", "a", "b"))
    assert one.public == again.public != other.public
    assert repr(one) == f"BoxKey({one.public.hex()})"
    with pytest.raises(KeyFault):
        BoxKey.derive(b"short", "a")


@pytest.mark.parametrize("public", [b"", bytes(32), bytes(31)])
def test_nothing_is_sealed_to_what_is_no_key(public):
    with pytest.raises(BadInput) as error:
        seal_to(public, b"secret", b"")
    assert error.value.code == "data.box_reader"


def test_a_share_in_a_box_is_short_enough_for_a_transaction():
    box = seal_to(BoxKey.generate().public, bytes(33), b"")
    assert len(box) == 81
    assert Share(1, bytes(32)).value == bytes(32)
