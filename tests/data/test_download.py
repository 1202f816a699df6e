# SPDX-License-Identifier: Apache-2.0
"""Gathering shares and writing content, with keepers that behave as a test says."""

from __future__ import annotations

import stat
import threading
from dataclasses import replace

import pytest

from koinon.data.door import RateLimit, Refusal
from koinon.data.download import download, gather
from koinon.data.keeper_book import KeeperBook
from koinon.data.keeper_client import KeeperClient
from koinon.data.sealed import read_share, share_context
from koinon.errors import IntegrityError, NotFound, PaymentError, PeerError, SetupError
from koinon.store import BlockStore
from tests.data.support import DOMAIN, keepers, sealed

CONTENT = bytes(range(250)) * 4


@pytest.fixture
def sold(tmp_path):
    """Store, description, and for each keeper its share."""
    store, keys = BlockStore(tmp_path / "store"), keepers(3)
    described, boxes = sealed(store, CONTENT, keys)
    content_id = described.content_id(DOMAIN)
    shares = {
        key.account.address: read_share(
            key.box.open(box, share_context(content_id, key.account.address)), described
        )
        for key, box in zip(keys, boxes, strict=True)
    }
    return store, described, lambda keeper: shares[keeper.account]


def test_no_more_keepers_are_asked_than_it_takes(sold):
    _, described, ask = sold
    asked = []

    def noted(keeper):
        asked.append(keeper)
        return ask(keeper)

    gather(described, noted)
    assert sorted(asked, key=described.keepers.index) == list(described.keepers[:2])


def test_a_slow_keeper_is_not_waited_for(sold):
    _, described, ask = sold
    never = threading.Event()

    def one_hangs(keeper):
        if keeper == described.keepers[0]:
            never.wait(30)
        return ask(keeper)

    assert gather(described, one_hangs, hedge_s=0.05).faults == ()
    never.set()


def test_when_time_is_up_the_silent_are_counted(sold):
    _, described, ask = sold
    never = threading.Event()

    def two_hang(keeper):
        if keeper in described.keepers[:2]:
            never.wait(30)
        return ask(keeper)

    with pytest.raises(PeerError, match="2 did not answer in time"):
        gather(described, two_hang, hedge_s=0.02, timeout_s=0.3)
    never.set()


def test_a_fault_of_ours_is_a_fault_not_a_hang(sold):
    _, described, _ = sold

    def broken(_keeper):
        raise ZeroDivisionError

    with pytest.raises(PeerError, match="ZeroDivisionError"):
        gather(described, broken)


def test_when_every_keeper_sees_no_grant_it_is_a_matter_of_paying(sold):
    _, described, _ = sold

    def refuse(_keeper):
        raise PaymentError("no grant", code="data.not_granted")

    with pytest.raises(PaymentError):
        gather(described, refuse)


class Cut(Exception):
    """The line breaks."""


def cut_after(pieces):
    left = [pieces]

    def progress(_done, _size):
        left[0] -= 1
        if left[0] == 0:
            raise Cut

    return progress


@pytest.mark.parametrize("pieces", [1, 5, 9])
def test_a_download_that_was_cut_off_goes_on_without_asking_again(sold, tmp_path, pieces):
    store, described, ask = sold
    target = tmp_path / "bought"
    with pytest.raises(Cut):
        download(store, described, target, ask, progress=cut_after(pieces))
    kept = tmp_path / ".bought.key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert not target.exists()

    def nobody(_keeper):
        raise AssertionError("asked again")

    told = []
    download(store, described, target, nobody, progress=lambda done, _size: told.append(done))
    assert target.read_bytes() == CONTENT
    assert told[0] > 100 * (pieces - 1)
    assert not kept.exists()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_part_that_was_damaged_meanwhile_is_written_again(sold, tmp_path):
    store, described, ask = sold
    target = tmp_path / "bought"
    with pytest.raises(Cut):
        download(store, described, target, ask, progress=cut_after(4))
    part = tmp_path / ".bought.part"
    part.write_bytes(b"damaged" + part.read_bytes()[7:])
    download(store, described, target, ask)
    assert target.read_bytes() == CONTENT


def test_a_kept_key_of_other_content_is_not_used(sold, tmp_path):
    store, described, ask = sold
    (tmp_path / ".bought.key").write_bytes(b'{"content": "00", "key": "00"}')
    download(store, described, tmp_path / "bought", ask)
    assert (tmp_path / "bought").read_bytes() == CONTENT


def test_content_with_another_digest_than_signed_for_is_refused(sold, tmp_path):
    store, described, ask = sold
    with pytest.raises(IntegrityError) as refused:
        download(store, replace(described, content_digest=bytes(32)), tmp_path / "bought", ask)
    assert refused.value.code == "data.content_digest"
    assert not (tmp_path / "bought").exists()


def test_a_piece_nobody_has_leaves_the_rest_for_later(sold, tmp_path):
    store, described, ask = sold
    empty = BlockStore(tmp_path / "empty")
    with pytest.raises(NotFound):
        download(empty, described, tmp_path / "bought", ask)
    download(store, described, tmp_path / "bought", ask)


def test_a_place_that_cannot_be_written_is_named(sold, tmp_path):
    store, described, ask = sold
    with pytest.raises(SetupError) as refused:
        download(store, described, tmp_path / "store" / ("x" * 300), ask)
    assert refused.value.code == "data.write"


def test_nobody_there_is_a_silent_keeper():
    with pytest.raises(PeerError) as silent:
        KeeperClient("http://127.0.0.1:9", timeout_s=2).keeper()
    assert silent.value.code == "data.keeper_silent"


def test_so_many_requests_a_minute_and_no_more():
    now = [0.0]
    limit = RateLimit(2, lambda: now[0], names=2)
    limit.take("a")
    limit.take("a")
    with pytest.raises(Refusal) as refused:
        limit.take("a")
    assert refused.value.problem()["status"] == 429
    limit.take("b")
    now[0] = 30.0
    limit.take("a")
    for name in "bcd":
        limit.take(name)
    assert len(limit._left) == 2


def test_a_book_keeps_so_many_contents_a_work_and_forgets_nonces_past_their_deadline(tmp_path):
    book = KeeperBook(tmp_path / "book")
    assert book.deposit(b"1", 7, b"described", b"share", limit=1)
    assert book.deposit(b"1", 7, b"described", b"share", limit=1)
    assert not book.deposit(b"2", 7, b"described", b"share", limit=1)
    assert book.deposit(b"2", 8, b"described", b"share", limit=1)
    assert book.deposited(b"1") == (7, b"described", b"share")
    assert book.deposited(b"3") is None
    assert book.use_nonce("buyer", b"n", 100, now=50)
    assert not book.use_nonce("buyer", b"n", 100, now=100)
    assert book.use_nonce("other", b"n", 100, now=100)
    assert book.use_nonce("buyer", b"n", 200, now=101)
    book.close()
    with pytest.raises(SetupError):
        KeeperBook(tmp_path)
