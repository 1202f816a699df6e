# SPDX-License-Identifier: Apache-2.0
"""Archives. ``fixtures/`` holds the IPLD specifications' own (Apache-2.0 OR MIT)."""

import io
import json
import tracemalloc
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.errors import BadInput, IntegrityError, KoinonError, NotFound, SetupError
from koinon.store import BlockStore, cid_of
from koinon.store.archive import export_blocks, import_blocks
from koinon.store.car import BLOCK_LIMIT, HEADER_LIMIT, PRAGMA, CarReader, Link, varint, write_car
from koinon.store.limited import Limited

FIXTURES = Path(__file__).parent / "fixtures"
HELLO = b"Hello Mars!\n"
FISH = "bafkreifuosuzujyf4i6psbneqtwg2fhplc2wxptc5euspa2gn3bwhnihfu"
LOBSTER = "bafkreifc4hca3inognou377hfhvu2xfchn2ltzi7yu27jkaeujqqqdbjju"


def car(*blocks: bytes, roots: tuple[str, ...] = ()) -> bytes:
    stream = io.BytesIO()
    write_car(stream, roots or [cid_of(blocks[0])], [(cid_of(data), data) for data in blocks])
    return stream.getvalue()


def read(content: bytes) -> list[bytes]:
    return [data for _, data in CarReader(io.BytesIO(content))]


def section(cid: bytes, data: bytes) -> bytes:
    return varint(len(cid) + len(data)) + cid + data


HEADER = car(HELLO)[: -len(section(Link.of(cid_of(HELLO)).encode(), HELLO))]


@pytest.mark.parametrize("name", ["carv1-basic", "carv2-basic"])
def test_the_specifications_own_archives_are_read_to_the_last_block(name):
    told = json.loads((FIXTURES / f"{name}.json").read_text())
    payload = told.get("payload", told)
    reader = CarReader(io.BytesIO((FIXTURES / f"{name}.car").read_bytes()))
    assert [str(root) for root in reader.roots] == [
        root["/"] for root in told.get("header", payload.get("header"))["roots"]
    ]
    blocks = [(str(link), len(data)) for link, data in reader]
    assert blocks == [
        (block["cid"]["/"], block["blockLength"]) for block in told.get("blocks", payload.get("blocks"))
    ]


def test_of_the_specifications_archive_raw_blocks_are_kept_and_others_counted(tmp_path):
    store = BlockStore(tmp_path)
    imported = import_blocks(store, FIXTURES / "carv2-basic.car")
    assert sorted(store.cids()) == sorted([FISH, LOBSTER])
    assert (imported.kept, imported.kept_bytes) == (2, 11)
    assert imported.passed_over == {"codec 0x70, hash 0x12": 3}
    assert imported.roots == ("QmfEoLyB5NndqeKieExd1rtJzTduQUPEV8TwAYcUiy3H5Z",)


def test_blocks_go_from_one_store_to_another_in_a_file(tmp_path):
    here, there, file = BlockStore(tmp_path / "a"), BlockStore(tmp_path / "b"), tmp_path / "x.car"
    cids = [here.put(data) for data in (b"", b"one", HELLO)]
    size = export_blocks(here, [*cids, cids[0]], file)
    assert file.stat().st_size == size
    imported = import_blocks(there, file)
    assert (imported.kept, imported.roots, imported.passed_over) == (3, tuple(cids), {})
    assert list(there.cids()) == sorted(cids)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=30))
def test_whatever_is_written_is_read_again(blocks):
    content = car(*blocks)
    assert read(content) == blocks
    inside = b"\0" * 16 + (51).to_bytes(8, "little") + len(content).to_bytes(8, "little") + b"\0" * 8
    assert read(PRAGMA + inside + content + b"an index") == blocks
    assert [str(root) for root in CarReader(io.BytesIO(content)).roots] == [cid_of(blocks[0])]


@given(st.integers(0, 2**63 - 1))
def test_a_length_is_read_as_it_was_written(number):
    assert Limited.over(varint(number)).varint() == number


@given(st.data())
def test_an_archive_that_was_cut_or_changed_is_refused_or_gives_only_true_blocks(data):
    content = bytearray(car(b"one", b"two", HELLO))
    where = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:where]
    else:
        content[where] ^= data.draw(st.integers(1, 255))
    try:
        for link, block in CarReader(io.BytesIO(bytes(content))):
            assert not link.can_be_checked or link.matches(block)
    except (BadInput, IntegrityError):
        pass


@given(st.binary(max_size=200))
def test_noise_is_refused_with_an_error_of_ours(noise):
    with pytest.raises((BadInput, IntegrityError)):
        read(noise + b"\xff" * 12)


def test_a_changed_block_is_refused_and_named(tmp_path):
    file = tmp_path / "x.car"
    file.write_bytes(car(b"one", HELLO)[:-1] + b"?")
    store = BlockStore(tmp_path / "blocks")
    with pytest.raises(IntegrityError, match=cid_of(HELLO)):
        import_blocks(store, file)
    assert list(store.cids()) == [cid_of(b"one")], "what came before is good by itself"


def test_blocks_of_hash_functions_that_cannot_be_checked_are_passed_over(tmp_path):
    strange = varint(1) + varint(0x55) + varint(0x1B) + varint(32) + bytes(32)
    identity = varint(1) + varint(0x55) + varint(0x00) + varint(3) + b"abc"
    file = tmp_path / "x.car"
    file.write_bytes(HEADER + section(strange, b"x") + section(identity, b"abc"))
    imported = import_blocks(BlockStore(tmp_path / "b"), file)
    assert imported.kept == 0
    assert imported.passed_over == {"codec 0x55, hash 0x1b": 1, "codec 0x55, hash 0x0": 1}
    with pytest.raises(IntegrityError):
        read(HEADER + section(identity, b"abd"))


HOSTILE = {
    "empty": b"",
    "short": b"\x0a",
    "version 2 without its header": PRAGMA,
    "version 2 that points into itself": PRAGMA
    + bytes(16)
    + (5).to_bytes(8, "little")
    + bytes([9])
    + bytes(15),
    "version 2 of no bytes": PRAGMA + bytes(16) + (51).to_bytes(8, "little") + bytes(16),
    "version 2 that points past its end": PRAGMA + bytes(16) + (2**63).to_bytes(8, "little") + b"\1" * 16,
    "version 2 inside version 2": PRAGMA
    + bytes(16)
    + (51).to_bytes(8, "little")
    + (60).to_bytes(8, "little")
    + bytes(8)
    + PRAGMA
    + bytes(49),
    "header too long": varint(HEADER_LIMIT + 1) + bytes(12),
    "header of nothing": b"\0" + bytes(12),
    "header of version 3": b"\x11\xa2eroots\x80gversion\x03",
    "header with more keys": b"\x14\xa3eroots\x80gversion\x01aa\x01",
    "roots that are not links": b"\x12\xa2eroots\x81\x01gversion\x01",
    "more roots than bytes": b"\x19\xa2eroots\x9b\xff\xff\xff\xff\xff\xff\xff\xffgversion\x01",
    "count not in its shortest form": b"\x12\xa2eroots\x98\x00gversion\x01",
    "block of nothing": HEADER + b"\0",
    "block too long": HEADER + varint(BLOCK_LIMIT + 1) + b"x",
    "block cut short": car(HELLO)[:-1],
    "length with needless bytes": HEADER + b"\x80\x00",
    "length without end": HEADER + b"\xff" * 12,
    "cid of version 2": HEADER + section(varint(2) + Link.of(cid_of(HELLO)).encode()[1:], HELLO),
    "cid longer than its block": HEADER + varint(4) + Link.of(cid_of(HELLO)).encode(),
    "cid of version 0 with a short digest": HEADER + section(b"\x12\x10" + bytes(16), b""),
    "digest of the wrong size": HEADER + section(varint(1) + b"\x55\x12\x10" + bytes(16), b""),
    "digest without end": HEADER + section(varint(1) + b"\x55\x1b" + varint(10**6), b""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(name):
    with pytest.raises(BadInput) as caught:
        read(HOSTILE[name])
    assert caught.value.code == "store.car"


def test_an_archive_that_promises_much_takes_little_memory():
    promising = HEADER + varint(BLOCK_LIMIT) + Link.of(cid_of(HELLO)).encode() + b"x"
    tracemalloc.start()
    with pytest.raises(BadInput):
        read(promising)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


class Zeros(io.RawIOBase):
    """An archive of 64 blocks of one MiB, made while it is read."""

    def __init__(self) -> None:
        block = bytes(1 << 20)
        self.parts = iter([HEADER, *[section(Link.of(cid_of(block)).encode(), block)] * 64])
        self.ahead = b""
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        if not self.ahead:
            self.ahead = next(self.parts, b"")
        got, self.ahead = self.ahead[:size], self.ahead[size:]
        self.given += len(got)
        return got


def test_a_long_archive_is_read_block_by_block():
    source = Zeros()
    seen = 0
    for _, data in CarReader(cast("BinaryIO", source)):
        seen += len(data)
        assert source.given - seen < 2 << 20  # never more than a block ahead of who reads
    assert seen == 64 << 20


def test_an_export_appears_whole_or_not_at_all(tmp_path):
    store, file = BlockStore(tmp_path / "blocks"), tmp_path / "x.car"
    with pytest.raises(NotFound):
        export_blocks(store, [store.put(HELLO), cid_of(b"absent")], file)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["blocks"]


def test_a_block_that_was_changed_on_disk_is_not_exported(tmp_path):
    store = BlockStore(tmp_path / "blocks")
    cid = store.put(HELLO)
    (store.path / cid[-2:] / cid).write_bytes(b"changed")
    with pytest.raises(IntegrityError):
        export_blocks(store, [cid], tmp_path / "x.car")


@pytest.mark.parametrize("cids", [[], ["QmRKqGMAM6EZngbpjSqrvYzq5Qd8b1bSWymjSUY9zQSNDk"]])
def test_nothing_and_blocks_of_other_kinds_are_not_exported(cids, tmp_path):
    with pytest.raises(BadInput):
        export_blocks(BlockStore(tmp_path), cids, tmp_path / "x.car")


def test_a_file_that_is_not_there_or_cannot_be_written_is_named(tmp_path):
    store = BlockStore(tmp_path / "blocks")
    with pytest.raises(NotFound, match="absent"):
        import_blocks(store, tmp_path / "absent.car")
    with pytest.raises(KoinonError):
        import_blocks(store, tmp_path)
    with pytest.raises(SetupError, match="nowhere"):
        export_blocks(store, [store.put(HELLO)], tmp_path / "nowhere" / "x.car")
