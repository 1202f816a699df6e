# SPDX-License-Identifier: Apache-2.0
"""Blocks from other people's gateways: kept when they are what was asked for, and never otherwise."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from koinon.errors import BadInput, NotFound
from koinon.store.cid import cid_of
from koinon.store.peers import LIMIT, PeerBlockStore

DATA = b"a registration file"
CID = cid_of(DATA)


@contextmanager
def peer(body: bytes, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A gateway that gives everyone the same; its address and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_what_is_missing_here_is_fetched_once_and_kept(tmp_path):
    with peer(DATA) as (address, asked):
        store = PeerBlockStore(tmp_path, [address + "/", address])
        assert not store.has(CID), "what others have is not here"
        assert store.get(CID) == DATA
        assert store.get(CID) == DATA
    assert asked == [f"/blocks/{CID}"]
    assert store.has(CID)


def test_a_peer_that_lies_is_passed_over_for_one_that_does_not(tmp_path):
    with peer(b"something else") as (liar, _), peer(DATA) as (honest, _):
        assert PeerBlockStore(tmp_path / "one", [liar, honest]).get(CID) == DATA
        alone = PeerBlockStore(tmp_path / "two", [liar])
        with pytest.raises(NotFound):
            alone.get(CID)
        assert list(alone.cids()) == []


@pytest.mark.parametrize(
    ("body", "status"), [(DATA, 404), (DATA, 500), (b"", 200), (b"x" * (LIMIT + 1), 200)]
)
def test_a_peer_without_the_block_leaves_it_missing(tmp_path, body, status):
    with peer(body, status) as (address, _), pytest.raises(NotFound):
        PeerBlockStore(tmp_path, [address]).get(CID)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "ftp://127.0.0.1", "nonsense", ""])
def test_a_peer_that_is_not_there_leaves_it_missing(tmp_path, address):
    with pytest.raises(NotFound):
        PeerBlockStore(tmp_path, [address]).get(CID)


def test_nobody_is_asked_for_what_is_no_cid(tmp_path):
    with peer(DATA) as (address, asked), pytest.raises(BadInput):
        PeerBlockStore(tmp_path, [address]).get("../../etc/passwd")
    assert asked == []
