# SPDX-License-Identifier: Apache-2.0
import stat

import pytest

from koinon.errors import BadInput, IntegrityError, NotFound, SetupError
from koinon.store import BlockStore, cid_of


@pytest.fixture
def store(tmp_path):
    return BlockStore(tmp_path / "blocks")


def the_file(store, cid):
    (file,) = store.path.glob(f"*/{cid}")
    return file


def test_what_is_put_is_what_is_got(store):
    cid = store.put(b"a signed registration file")
    assert cid == cid_of(b"a signed registration file")
    assert store.get(cid) == b"a signed registration file"
    assert store.has(cid)


def test_an_empty_store_has_nothing_and_makes_no_folder(store):
    assert not store.has(cid_of(b"never put"))
    assert list(store.cids()) == []
    assert not store.path.exists()


def test_the_cids_are_listed_in_order(store):
    cids = [store.put(bytes([number])) for number in range(40)]
    assert list(store.cids()) == sorted(cids)


def test_putting_twice_keeps_one_block(store):
    assert store.put(b"same") == store.put(b"same")
    assert len(list(store.cids())) == 1


def test_a_missing_block_is_named(store):
    cid = cid_of(b"never put")
    with pytest.raises(NotFound, match=cid):
        store.get(cid)


def test_a_block_changed_on_disk_is_never_handed_out(store):
    cid = store.put(b"the truth")
    the_file(store, cid).write_bytes(b"the truths")
    with pytest.raises(IntegrityError, match="changed on disk"):
        store.get(cid)


def test_putting_again_repairs_a_block_changed_on_disk(store):
    cid = store.put(b"the truth")
    the_file(store, cid).write_bytes(b"")
    store.put(b"the truth")
    assert store.get(cid) == b"the truth"


@pytest.mark.parametrize("cid", ["../../secret", "", "bafy"])
def test_a_name_that_is_no_cid_never_reaches_the_disk(store, cid):
    for ask in (store.get, store.has):
        with pytest.raises(BadInput):
            ask(cid)


def test_blocks_are_for_their_owner_only(store):
    cid = store.put(b"private")
    assert stat.S_IMODE(the_file(store, cid).stat().st_mode) == 0o600
    assert stat.S_IMODE(the_file(store, cid).parent.stat().st_mode) == 0o700


def test_a_write_that_fails_half_way_leaves_nothing(store, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SetupError, match="No space left"):
        store.put(b"too much")
    assert [file for file in store.path.rglob("*") if file.is_file()] == []


def test_a_store_where_a_file_stands_says_so(tmp_path):
    (tmp_path / "blocks").write_text("not a folder")
    with pytest.raises(SetupError):
        BlockStore(tmp_path / "blocks").put(b"x")
