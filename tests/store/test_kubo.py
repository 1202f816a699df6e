# SPDX-License-Identifier: Apache-2.0
"""The Kubo store against a recording of Kubo's RPC (`tests.store.recording`): NOT against a daemon."""

import http.server
import json
import socket
import threading

import pytest

from koinon.errors import BadInput, IntegrityError, NotFound, SetupError
from koinon.settings import Settings
from koinon.store import BlockStore, KuboStore, cid_of, open_store
from koinon.store.kubo import BIG_BLOCK, KuboRpc
from koinon.store.peers import PeerBlockStore
from tests.store.recording import RECORDING, replayed

MARS, VENUS = b"Hello Mars!\n", b"Hello Venus!\n"
MARS_CID, VENUS_CID = cid_of(MARS), cid_of(VENUS)


@pytest.fixture
def kubo():
    with replayed() as server:
        yield server


@pytest.fixture
def store(kubo, tmp_path):
    return KuboStore(tmp_path / "blocks", kubo.url)


def test_what_is_put_is_pinned_in_kubo_and_kept_here(store, kubo):
    assert store.put(MARS) == MARS_CID
    assert kubo.asked == [RECORDING["put"]["request"]]
    assert BlockStore(store.path).get(MARS_CID) == MARS


def test_what_is_only_in_kubo_is_fetched_once(store, kubo):
    assert store.get(MARS_CID) == MARS
    assert store.get(MARS_CID) == MARS
    assert kubo.asked == [RECORDING["get"]["request"]]


def test_a_block_that_kubo_cannot_find_is_not_found(store):
    with pytest.raises(NotFound) as caught:
        store.get(VENUS_CID)
    assert caught.value.code == "store.missing"


def test_kubo_is_asked_without_its_network_whether_it_has_a_block(store, kubo):
    assert store.has(MARS_CID)
    assert not store.has(VENUS_CID)
    assert [asked["options"]["offline"] for asked in kubo.asked] == ["true", "true"]


def test_blocks_of_both_are_listed_in_order_and_other_kinds_of_kubos_left_out(store):
    BlockStore(store.path).put(VENUS)
    assert list(store.cids()) == sorted([MARS_CID, VENUS_CID])


def test_a_cid_of_another_kind_is_never_sent(store, kubo):
    for ask in (store.get, store.has):
        with pytest.raises(BadInput):
            ask("QmRKqGMAM6EZngbpjSqrvYzq5Qd8b1bSWymjSUY9zQSNDk&arg=other")
    assert kubo.asked == []


def test_other_bytes_than_asked_for_are_refused_and_not_kept(tmp_path):
    with replayed("get", get={"body": "Hello Pluto!"}) as liar:
        store = KuboStore(tmp_path, liar.url)
        with pytest.raises(IntegrityError, match="other bytes"):
            store.get(MARS_CID)
    assert not BlockStore(tmp_path).has(MARS_CID)


def test_a_block_kept_under_another_name_is_refused(tmp_path):
    key = {"body": json.dumps({"Key": VENUS_CID, "Size": 12})}
    with replayed("put", put=key) as liar, pytest.raises(IntegrityError, match="another name"):
        KuboStore(tmp_path, liar.url).put(MARS)
    assert not BlockStore(tmp_path).has(MARS_CID), "what Kubo did not take is not kept as if it had"


def test_an_answer_cut_short_is_no_block(tmp_path):
    with replayed("get", get={"body": "Hello", "length": 12}) as server, pytest.raises(IntegrityError):
        KuboStore(tmp_path, server.url).get(MARS_CID)


@pytest.mark.parametrize("body", ["", "[]", "<html>", "{" * 5000, '"bafk"'])
def test_what_does_not_speak_the_rpc_is_named(body, tmp_path):
    with replayed("put", put={"body": body}) as server, pytest.raises(SetupError, match="does not speak"):
        KuboStore(tmp_path, server.url).put(MARS)


def test_an_answer_without_end_is_cut_off(tmp_path):
    with (
        replayed("put", put={"body": " " * 100_000}) as server,
        pytest.raises(IntegrityError, match="more than"),
    ):
        KuboStore(tmp_path, server.url).put(MARS)


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_refusal_says_that_the_address_may_be_the_gateways(status, tmp_path):
    with (
        replayed("put", put={"status": status}) as server,
        pytest.raises(SetupError, match=str(status)) as caught,
    ):
        KuboStore(tmp_path, server.url).put(MARS)
    assert "5001" in caught.value.hint


def test_an_error_of_kubos_own_is_told(tmp_path):
    full = {
        "status": 500,
        "body": '{"Message":"write blocks: no space left on device","Code":0,"Type":"error"}',
    }
    with replayed("put", put=full) as server, pytest.raises(SetupError, match="no space left"):
        KuboStore(tmp_path, server.url).put(MARS)


def test_a_list_that_fails_midway_is_not_taken_for_whole(tmp_path):
    body = RECORDING["refs"]["response"]["body"] + '{"Ref":"","Err":"datastore closed"}\n'
    with replayed("refs", refs={"body": body}) as server, pytest.raises(SetupError, match="datastore closed"):
        list(KuboStore(tmp_path, server.url).cids())


def test_a_silent_kubo_is_named_with_what_to_do(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        with pytest.raises(SetupError, match="silent") as caught:
            KuboStore(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}").put(MARS)
    assert "KOINON_KUBO_URL" in caught.value.hint


def test_a_kubo_that_never_answers_is_given_up(tmp_path):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(SetupError, match="did not answer"):
            KuboStore(tmp_path, url, timeout_s=0.2).get(MARS_CID)


def test_a_block_longer_than_kubo_takes_unasked_is_sent_as_a_big_one(kubo):
    with pytest.raises(SetupError, match="400"):  # not in the recording; what counts is how it was asked
        KuboRpc(kubo.url).put(bytes(BIG_BLOCK + 1))
    assert kubo.asked[-1]["options"]["allow-big-block"] == "true"


def test_what_kubo_lacks_is_asked_of_peers(tmp_path):
    class Peer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(VENUS)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Peer) as peer, replayed("get_absent", "put_venus") as kubo:
        threading.Thread(target=peer.handle_request, daemon=True).start()
        store = KuboStore(tmp_path, kubo.url, [f"http://127.0.0.1:{peer.server_address[1]}"])
        assert store.get(VENUS_CID) == VENUS


@pytest.mark.parametrize("url", ["127.0.0.1:5001", "/ip4/127.0.0.1/tcp/5001", "ftp://node:5001", "http://"])
def test_an_address_that_is_none_is_refused(url, tmp_path):
    with pytest.raises(BadInput):
        KuboStore(tmp_path, url)


def test_the_settings_choose_the_store(tmp_path):
    def opened(peers=(), **variables):
        return open_store(Settings.load({"KOINON_HOME": str(tmp_path), **variables}), peers)

    assert type(opened()) is BlockStore
    assert type(opened(["http://peer"])) is PeerBlockStore
    chosen = opened(["http://peer"], KOINON_KUBO_URL="http://127.0.0.1:5001")
    assert type(chosen) is KuboStore
    assert (chosen.path, chosen.peers) == (tmp_path / "blocks", ("http://peer",))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KOINON_KUBO_URL", "127.0.0.1:5001"),
        ("KOINON_DASK_SCHEDULER", "http://127.0.0.1:8786"),
        ("KOINON_DASK_SCHEDULER", "tcp://127.0.0.1"),
        ("KOINON_DASK_SCHEDULER", "tls://:8786"),
        ("KOINON_DASK_SCHEDULER", "tcp://host:port"),
        ("KOINON_FLOWER_SUPERLINK", "https://host:9000"),
        ("KOINON_FLOWER_SUPERLINK", "host"),
        ("KOINON_FLOWER_SUPERLINK", "host:port"),
    ],
)
def test_a_wrong_address_in_the_settings_is_named(variable, value, tmp_path):
    with pytest.raises(BadInput, match=variable):
        Settings.load({"KOINON_HOME": str(tmp_path), variable: value})
